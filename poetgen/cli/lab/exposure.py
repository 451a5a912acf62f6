"""`poetgen lab exposure`: what a model loses when it reads its own writing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from poetgen.cli import console
from poetgen.cli.lab.pictures import picture_option
from poetgen.cli.progress import poems_progress
from poetgen.errors import TrainingError

if TYPE_CHECKING:
    from rich.table import Table

    from poetgen.lab.exposure import Estimate, ExposureBias


@click.command(short_help="Measure what a model loses by reading its own writing.")
@click.argument("model")
@click.option(
    "--judge",
    metavar="MODEL",
    help="Who judges its continuations, of the same vocabulary.  [default: the model itself]",
)
@click.option("--corpus", metavar="NAME", help="Where its corpus is.  [default: where it was]")
@click.option(
    "--prefixes",
    default="2,4,8,16",
    show_default=True,
    metavar="K,…",
    help="Tokens of the beginnings, marks included.",
)
@click.option(
    "--continuation",
    type=click.IntRange(1, 200),
    default=8,
    show_default=True,
    metavar="M",
    help="Tokens of a continuation at most.",
)
@click.option(
    "--poems",
    type=click.IntRange(2),
    default=300,
    show_default=True,
    metavar="N",
    help="Held-out poems at most.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all draws.")
@click.option("--device", default="auto", help="auto, cpu, cuda or mps.  [default: auto]")
@picture_option
@click.option("--json", "as_json", is_flag=True, help="The figures as one JSON object.")
def exposure(
    model: str,
    judge: str | None,
    corpus: str | None,
    prefixes: str,
    continuation: int,
    poems: int,
    seed: int,
    device: str,
    output: Path | None,
    as_json: bool,
) -> None:
    """Measure the exposure bias of a model: the nats that it loses on its own writing.

    \b
    poetgen lab exposure my-run
    poetgen lab exposure my-run --judge another-run --prefixes 1,2,4,8,16 -o exposure.png
    poetgen lab exposure my-run --poems 1000 --json

    Of each held-out poem there are two beginnings, its own and one that the model wrote, and after
    each a continuation that the model draws. The first table has what that costs the judge: where
    errors pile up, it pays more after the model's beginnings, the more so the longer they are. The
    second has what the poem's true characters cost the model, when only a share of what it reads
    is true and the rest is its own. All in nats per Chinese character, with 95 % intervals over
    the poems. `train --teacher-forcing` is the classic cure.
    """  # noqa: D301
    from poetgen.checkpoint import load_checkpoint
    from poetgen.lab.exposure import Settings, measure
    from poetgen.shipping.measuring import corpus_of, held_out
    from poetgen.training.devices import device_named
    from poetgen.training.plots import format_of

    if output is not None:
        format_of(output)  # Complains now, not after the measuring.
    settings = Settings(_lengths(prefixes), continuation, poems, seed)
    checkpoint = load_checkpoint(model)
    other = checkpoint if judge is None else load_checkpoint(judge)
    torch_device = device_named(device)
    split = held_out(checkpoint, corpus_of(checkpoint, corpus)).split
    with poems_progress("measuring", min(poems, len(split)), quiet=False) as advance:
        found = measure(checkpoint, other, split, settings, torch_device, advance)
    if as_json:
        console.print_json(dataclasses.asdict(found))
    else:
        _print_tables(found)
    if output is not None:
        from poetgen.lab.exposure_picture import draw_exposure

        draw_exposure(found, output)
        click.echo(console.clean(str(output)), err=as_json)


def _lengths(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(word) for word in text.split(",")}))
    except ValueError:
        raise TrainingError(f"--prefixes is '{text}'", hint="such as 2,4,8,16") from None


def _print_tables(found: ExposureBias) -> None:
    judge = "itself" if found.judge == found.model else found.judge
    table = _table(
        f"continuations of {found.model}, {found.poems:,} poems: what they cost {judge}",
        "beginning",
        ("after true", "after own", "gap"),
    )
    for row in found.continued:
        table.add_row(
            f"{row.prefix} tokens", *map(_shown, (row.true, row.own)), _shown(row.gap, "+")
        )
    console.output().print(table)
    click.echo()
    table = _table(
        f"true characters, when {found.model} reads its own", "inputs true", ("nats/character",)
    )
    for each in found.fed_back:
        table.add_row(f"{each.forced:.0%}", _shown(each.cost))
    console.output().print(table)


def _table(title: str, first: str, headings: tuple[str, ...]) -> Table:
    from rich.table import Table
    from rich.text import Text

    shown: Any = Text(console.clean(title))
    table = Table(title=shown, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _shown(estimate: Estimate, sign: str = "") -> str:
    low, high = (f"{value:{sign}.2f}" for value in (estimate.low, estimate.high))
    return f"{estimate.nats:{sign}.2f} [{low}, {high}]"
