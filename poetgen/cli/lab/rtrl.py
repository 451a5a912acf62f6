"""`poetgen lab rtrl`: a gradient carried forward in time, and what it costs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from poetgen.cli import console
from poetgen.cli.lab.pictures import picture_option

if TYPE_CHECKING:
    from poetgen.lab.rtrl_costs import Costs, Growth


def _numbers(least: int, most: int) -> Callable[..., list[int]]:
    def parse(context: click.Context, parameter: click.Parameter, text: str) -> list[int]:
        kind: click.ParamType[int] = click.IntRange(least, most)
        return sorted({kind.convert(word, parameter, context) for word in text.split(",")})

    return parse


@click.command(short_help="Carry a gradient forward in time, and measure what that costs.")
@click.option(
    "--cells",
    default="rnn",
    show_default=True,
    metavar="NAME,…",
    help="The networks, named as for `lab gradients`: rnn, lstm, gru, rnn:relu:identity, …",
)
@click.option(
    "--hidden-sizes",
    default="8,16,32,64",
    show_default=True,
    metavar="H,…",
    callback=_numbers(1, 256),
    help="Units of the one layer, up to 256.",
)
@click.option(
    "--lengths",
    default="16,64,256",
    show_default=True,
    metavar="T,…",
    callback=_numbers(1, 1000),
    help="Steps of a sequence, up to 1000.",
)
@click.option(
    "--dtype",
    type=click.Choice(("float32", "float64")),
    default="float32",
    show_default=True,
    help="What is computed in.",
)
@click.option("--corpus", default="sample", show_default=True, help="What they read.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of weights and pieces."
)
@picture_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a size.")
def rtrl(
    cells: str,
    hidden_sizes: list[int],
    lengths: list[int],
    dtype: str,
    corpus: str,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Compare real-time recurrent learning (RTRL) with backpropagation through time (BPTT).

    \b
    poetgen lab rtrl
    poetgen lab rtrl --cells rnn,lstm,gru --hidden-sizes 8,16,32 --lengths 8,32 -o rtrl.png
    poetgen lab rtrl --hidden-sizes 4 --lengths 100 --dtype float64 --json

    Williams and Zipser's method carries the derivative of the state by every parameter forward
    from step to step, so it never looks back, and gives the gradient at every step. The table has
    the bytes that each method must keep by its formula, those that it held at most as measured,
    the time of both in the same run, and how far their gradients are apart. Under it: by which
    power of the size each of these grew from the second largest size to the largest.
    """  # noqa: D301
    from poetgen.corpus.store import open_corpus
    from poetgen.dataset.encoded import encode_corpus
    from poetgen.lab.gradients import network_named
    from poetgen.lab.pictures import draw_costs
    from poetgen.lab.rtrl_costs import growth_of, measure_costs
    from poetgen.training.plots import format_of

    if output is not None:
        format_of(output)  # Complains now, not after the table.
    networks = [network_named(name) for name in cells.split(",")]
    encoded = encode_corpus(open_corpus(corpus))
    total = len(networks) * len(hidden_sizes) * len(lengths)
    found: list[Costs] = []
    for costs in measure_costs(networks, encoded, hidden_sizes, lengths, dtype=dtype, seed=seed):
        found.append(costs)
        if as_json:
            console.print_json(_record(costs))
        elif sys.stderr.isatty():
            click.echo(f"\r{len(found)} of {total} measured", nl=len(found) == total, err=True)
    if not as_json:
        _print_costs(found)
        _print_growth(growth_of(found))
    if output is not None:
        draw_costs(found, output)
        click.echo(console.clean(str(output)), err=as_json)


def _record(costs: Costs) -> dict[str, Any]:
    return {
        "network": costs.network.name,
        "hidden_size": costs.hidden_size,
        "steps": costs.steps,
        "parameters": costs.parameters,
        **{
            name: {
                "keeps_bytes": price.keeps,
                "peak_bytes": price.peak,
                "seconds": price.seconds,
            }
            for name, price in costs.prices.items()
        },
        "time_ratio": costs.time_ratio,
        "difference": costs.difference,
    }


def _print_costs(found: list[Costs]) -> None:
    sizes = ("H", "steps", "parameters")
    _print_table(
        "kB: what a method must keep by its formula, and what it held at most",
        ("network",),
        (*sizes, "RTRL", "held", "BPTT", "held"),
        [
            (
                *_size_of(costs),
                *(
                    f"{count / 1000:,.1f}"
                    for price in costs.prices.values()
                    for count in (price.keeps, price.peak)
                ),
            )
            for costs in found
        ],
    )
    _print_table(
        "\nms a gradient, and how far the two gradients are apart",
        ("network",),
        (*sizes, "RTRL", "BPTT", "ratio", "apart"),
        [
            (
                *_size_of(costs),
                *(f"{1000 * price.seconds:,.1f}" for price in costs.prices.values()),
                f"{costs.time_ratio:,.1f}",
                f"{costs.difference:.0e}",
            )
            for costs in found
        ],
    )


def _size_of(costs: Costs) -> tuple[str, ...]:
    name = costs.network.name
    return name, str(costs.hidden_size), str(costs.steps), f"{costs.parameters:,}"


def _print_growth(grown: list[Growth]) -> None:
    if grown:
        _print_table(
            "\nthe power of the size by which each grew",
            ("network", "method", "along"),
            ("keeps", "held", "time"),
            [
                (
                    growth.network.name,
                    growth.method.upper(),
                    f"{growth.along}, {growth.smaller} to {growth.larger}",
                    *(f"{power:.2f}" for power in (growth.keeps, growth.peak, growth.seconds)),
                )
                for growth in grown
            ],
        )


def _print_table(
    title: str, names: tuple[str, ...], figures: tuple[str, ...], rows: list[tuple[str, ...]]
) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, no_wrap=True)
    for figure in figures:
        table.add_column(figure, justify="right")
    for row in rows:
        table.add_row(*row)
    console.output().print(table)
