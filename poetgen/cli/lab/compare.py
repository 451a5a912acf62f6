"""`poetgen lab compare`: cells trained on equal terms, and what each became."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from poetgen.cli import console
from poetgen.models.cells import CELLS
from poetgen.training.options import PRESETS
from poetgen.verse.forms import form_named

if TYPE_CHECKING:
    from poetgen.lab.compare import Comparison
    from poetgen.lab.terms import Terms

_SAMPLE = "sample"
_MINUTES = 2.0
_PICTURE = "compare.png"


@click.command(short_help="Train several cells on equal terms, and compare them.")
@click.option(
    "--cells",
    metavar="NAME,…",
    help=f"What takes part: {', '.join(CELLS)}; a name may go on as for `lab gradients`: "
    "rnn:relu:identity, lstm:forget3.  [default: rnn,lstm,gru]",
)
@click.option("--corpus", metavar="NAME|PATH", help="What they learn.  [default: sample]")
@click.option("--form", metavar="FORM,…", help="Learn these forms only.  [default: all]")
@click.option("--minutes", type=float, help="What each may take.  [default: 2]")
@click.option("--steps", type=int, help="What each may take, in optimiser steps.")
@click.option(
    "--parameters",
    type=click.IntRange(1),
    metavar="N",
    help="How many parameters each is to have.  [default: twice what the tokens take]",
)
@click.option("--embedding-size", type=int, help="Width of a token's vector.  [default: 128]")
@click.option("--num-layers", type=int, help="Recurrent layers.  [default: 1]")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="The rest of the recipe.  [default: tiny on the sample, small on any other corpus]",
)
@click.option(
    "--validate-every",
    type=click.IntRange(0),
    help="In steps.  [default: 25 for each of the --minutes, or twenty times in --steps]",
)
@click.option("--heads", help="Of the acrostic that each writes.  [default: 春夏秋冬]")
@click.option(
    "--seed", type=click.IntRange(0), help="Of weights, order, dropout, acrostic.  [default: 0]"
)
@click.option("--device", help="auto, cpu, cuda or mps.  [default: auto]")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where the networks and the picture go.  [default: ./compare-CORPUS]",
)
@click.option("--resume", is_flag=True, help="Go on with the comparison in the output folder.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, only the result.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def compare(
    cells: str | None,
    form: str | None,
    output: Path | None,
    resume: bool,
    quiet: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Train several cells in turn, with as many parameters and as much time, and compare them.

    \b
    poetgen lab compare --steps 100
    poetgen lab compare --corpus chinese-poetry --form 五绝,七绝 --minutes 10
    poetgen lab compare --cells rnn,rnn:relu:identity,lstm --steps 400 --output irnn
    poetgen lab compare --cells rnn,lstm,gru --output irnn --resume

    The hidden size of each is solved for, so that all have as nearly as possible the same number
    of parameters. What each becomes is a checkpoint, OUTPUT/CELL, that writes and resumes like any
    other. The table has the perplexity per character, of the validation poems while training, at
    its best, and of the test poems at the end; and the seconds that each took to be as good as
    the one that is worst in the end ever was. The picture is OUTPUT/compare.png.

    Ctrl-C stops after the step in hand and shows what is finished; --resume goes on, does not
    train again what is finished, and may name more cells or a larger budget.
    """  # noqa: D301
    given = {name: value for name, value in flags.items() if value is not None}
    if form is not None:
        given["forms"] = tuple(form_named(name).name for name in form.split(","))
    if cells is not None:
        given["cells"] = tuple(name.strip() for name in cells.split(","))
    corpus = given.get("corpus", _SAMPLE)
    folder = output or Path("compare-" + re.sub(r"\W+", "-", Path(corpus).stem).strip("-"))
    if Path(corpus).exists() and (Path(corpus).suffix or "/" in corpus):
        given["corpus"] = str(Path(corpus).resolve())  # It may be resumed from another folder.

    # As for `train`: both make training on a CPU faster, and are read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

    from poetgen.cli.stopping import stopping_at_signals
    from poetgen.lab.compare import Comparison

    comparison = Comparison(_terms(folder, given, resume=resume), folder, resume=resume)
    with stopping_at_signals(comparison.stop) as signals:
        try:
            _train(comparison, quiet=quiet or not sys.stderr.isatty())
        finally:
            if comparison.outcomes:
                _show(comparison, as_json=as_json)
    if comparison.stopping:
        click.echo("stopped; --resume goes on from here", err=True)
        return 128 + signals[0]
    return 0


def _terms(folder: Path, given: dict[str, Any], *, resume: bool) -> Terms:
    from poetgen.lab.terms import Terms, read_terms

    terms = read_terms(folder) if resume else None
    if terms is None:
        preset = "tiny" if given.get("corpus", _SAMPLE) == _SAMPLE else "small"
        terms = Terms(preset=preset, minutes=_MINUTES)
    if "minutes" in given or "steps" in given:  # Both are for TrainingOptions to refuse.
        terms = dataclasses.replace(terms, minutes=None, steps=None)
    return dataclasses.replace(terms, **given)


def _train(comparison: Comparison, *, quiet: bool) -> None:
    """Train, with a bar for each network on stderr.

    No poem is written on the way, as `poetgen train` does: it would take of a network's time.
    """
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

    from poetgen.lab.compare import Turn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
    )
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=console.messages(), disable=quiet) as progress:
        for record in comparison.run():
            if not isinstance(record, Turn):
                continue
            name, step = record.contestant.name, record.progress
            if name not in bars:
                units = f"{name}, {record.contestant.config.hidden_size:,} units"
                bars[name] = progress.add_task(units, total=1.0, figures="")
            progress.update(bars[name], completed=step.share)
            if step.validation is not None:
                perplexity = f"perplexity {step.validation.per_character:,.1f}"
                progress.update(bars[name], figures=perplexity)


def _show(comparison: Comparison, *, as_json: bool) -> None:
    from poetgen.lab.compare import records

    found = records(comparison.outcomes)
    if as_json:
        terms = dataclasses.asdict(comparison.terms)
        console.print_json({**terms, "cells": found})
    else:
        _print_tables(found)
        _print_poems(found)
    picture = _draw(comparison)
    click.echo(console.clean(str(picture)), err=as_json)


def _draw(comparison: Comparison) -> Path:
    from poetgen.training.plots import METRICS, plot_runs, read_run

    runs = [
        read_run(Path(outcome.checkpoint) / METRICS, outcome.name)
        for outcome in comparison.outcomes
    ]
    picture = comparison.folder / _PICTURE
    plot_runs(runs, picture, "seconds")
    return picture


def _print_tables(found: list[dict[str, Any]]) -> None:
    _print_table(
        ("perplexity", "on test poems", "s to the loser's best", "s in all"),
        [
            (
                outcome["name"],
                _figure(outcome["perplexity"]),
                _figure(outcome["test_perplexity"]),
                _figure(outcome["seconds_to_losers_best"]),
                _figure(outcome["seconds"]),
            )
            for outcome in found
        ],
    )
    click.echo()
    _print_table(
        ("units", "parameters", "steps", "tokens/s", "median |g|", "largest", "clipped"),
        [
            (
                outcome["name"],
                f"{outcome['hidden_size']:,}",
                f"{outcome['parameters']:,}",
                f"{outcome['steps']:,}",
                f"{outcome['tokens_per_second']:,.0f}",
                f"{outcome['gradient_norm']:.2f}",
                f"{outcome['largest_gradient_norm']:.2f}",
                f"{outcome['clipped']:.0%}",
            )
            for outcome in found
        ],
    )
    click.echo()


def _print_table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("cell", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    console.output().print(table)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def _print_poems(found: list[dict[str, Any]]) -> None:
    for outcome in found:
        click.echo(f"{outcome['name']}: {console.clean(outcome['poem'])}")
