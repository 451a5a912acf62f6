"""`poetgen lab gradients`: how far back a gradient reaches."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from poetgen.cli import console
from poetgen.cli.lab.pictures import picture_option

if TYPE_CHECKING:
    from poetgen.lab.gradients import Reach

_CELLS = "rnn:x0.5,rnn,rnn:x2,rnn:relu,rnn:relu:identity,lstm,gru"


@click.command(short_help="Measure how far back a gradient reaches.")
@click.option(
    "--cells",
    default=_CELLS,
    show_default=True,
    metavar="NAME,…",
    help="The networks: a cell, and how its recurrent matrix starts: orthogonal, or :identity, "
    "times :x2 or another factor. rnn:relu has rectifiers; :forget3, or another number, is where "
    "the bias of an lstm's forget gate starts.",
)
@click.option(
    "--steps",
    type=click.IntRange(2, 1000),
    default=32,
    show_default=True,
    metavar="T",
    help="Steps of a sequence.",
)
@click.option(
    "--hidden-size",
    type=click.IntRange(1, 1024),
    default=64,
    show_default=True,
    metavar="H",
    help="Units of each network; it has one layer.",
)
@click.option(
    "--train-steps",
    type=click.IntRange(0),
    default=60,
    show_default=True,
    metavar="N",
    help="Steps of the short training; 0 looks at the start alone.",
)
@click.option(
    "--clip-norm",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="What the gradient's norm is clipped to in one of the two trainings.",
)
@click.option("--corpus", default="sample", show_default=True, help="What they read.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of weights and training."
)
@picture_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a network and time.")
def gradients(
    cells: str,
    steps: int,
    hidden_size: int,
    train_steps: int,
    clip_norm: float,
    corpus: str,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Measure how much of a gradient reaches the state k steps back, per cell.

    \b
    poetgen lab gradients
    poetgen lab gradients --cells rnn,lstm,gru --steps 64 -o gradients.png
    poetgen lab gradients --cells rnn:x0.5,rnn:x2,rnn:relu:identity --train-steps 0 --json

    The loss is that of one prediction, at the end of a sequence. The norm of its gradient at the
    state k steps before is shown at the start, and after a short training with the gradient of
    the parameters clipped and unclipped. "a step" is what a step back multiplies it by: below 1
    it vanishes, above 1 it explodes. Theory's limit to it is the norm of the product of the
    Jacobians of the steps in between, which stands beside it for the farthest state.
    """  # noqa: D301
    from poetgen.corpus.store import open_corpus
    from poetgen.dataset.encoded import encode_corpus
    from poetgen.lab.gradients import Settings, compare, network_named
    from poetgen.lab.pictures import draw_gradients
    from poetgen.training.plots import format_of

    if output is not None:
        format_of(output)  # Complains now, not after the training.
    networks = [network_named(name) for name in cells.split(",")]
    settings = Settings(
        steps=steps,
        hidden_size=hidden_size,
        train_steps=train_steps,
        clip_norm=clip_norm,
        seed=seed,
    )
    encoded = encode_corpus(open_corpus(corpus))
    found: list[Reach] = []
    total = len(networks) * (3 if train_steps else 1)
    for reach in compare(networks, encoded, settings):
        found.append(reach)
        if as_json:
            console.print_json(_record(reach))
        elif sys.stderr.isatty():
            click.echo(f"\r{len(found)} of {total} measured", nl=len(found) == total, err=True)
    if not as_json:
        _print_table(found, settings.distances)
        if train_steps:
            _print_training(found)
    if output is not None:
        draw_gradients(found, output)
        click.echo(console.clean(str(output)), err=as_json)


def _record(reach: Reach) -> dict[str, Any]:
    training = reach.training
    return {
        "network": reach.network.name,
        "when": reach.when,
        "gradient": [_finite(norm) for norm in reach.gradient],
        "factor": _finite(reach.factor),
        "product_of_jacobians": {k: _finite(norm) for k, norm in reach.product.items()},
        "loss": None if training is None else _finite(training.loss),
        "largest_norm": None if training is None else training.largest_norm,
        "clipped": None if training is None else training.clipped,
        "failed_at": None if training is None else training.failed_at,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON has no infinity.


def _print_table(found: list[Reach], distances: list[int]) -> None:
    from rich.table import Table

    table = Table(
        title=f"norm of the gradient k steps back, and of the product of {distances[-1]} Jacobians",
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    table.add_column("network", no_wrap=True)
    table.add_column("when", no_wrap=True)
    # Of more than four distances, the nearest, the farthest and two between are enough to see.
    some = distances if len(distances) <= 4 else [1, distances[-4], distances[-2], distances[-1]]
    for heading in (*(f"k = {k}" for k in some), "a step", "product"):
        table.add_column(heading, justify="right")
    for reach in found:
        table.add_row(
            reach.network.name,
            reach.when,
            *(f"{reach.gradient[k]:.1e}" for k in some),
            f"{reach.factor:.3f}",
            f"{reach.product[some[-1]]:.1e}",
        )
    console.output().print(table)


def _print_training(found: list[Reach]) -> None:
    from rich.table import Table

    table = Table(
        title="\nthe short trainings",
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    table.add_column("network", no_wrap=True)
    table.add_column("when", no_wrap=True)
    for heading in ("nats/token", "largest gradient", "steps clipped"):
        table.add_column(heading, justify="right")
    for reach in found:
        if reach.training is not None:
            training = reach.training
            broken = training.failed_at is not None
            table.add_row(
                reach.network.name,
                reach.when,
                f"broke at step {training.failed_at}" if broken else f"{training.loss:.2f}",
                f"{training.largest_norm:.3g}",
                f"{training.clipped:.0%}",
            )
    console.output().print(table)
