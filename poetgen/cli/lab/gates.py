"""`poetgen lab gates`: the gates of a network over a poem."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from poetgen.cli import console
from poetgen.cli.lab.heat_map import print_heat_map
from poetgen.cli.lab.pictures import picture_option

if TYPE_CHECKING:
    from poetgen.lab.gates import GateTrace

_MEASURES = {
    "mean": "the mean over its units",
    "open": "the share of its units above 0.9",
    "shut": "the share of its units below 0.1",
}


@click.command(short_help="Show the gates of a model over a poem.")
@click.argument("model")
@click.argument("text")
@click.option(
    "--unit-summary",
    type=click.Choice(tuple(_MEASURES)),
    default="mean",
    show_default=True,
    help="What is shown of a gate's units: their mean, or the share that is open (above 0.9) or "
    "shut (below 0.1).",
)
@click.option("--layer", type=click.IntRange(1), help="Which layer.  [default: the last]")
@click.option(
    "--after",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    metavar="N",
    help="Rank the characters by what is retained N steps later.",
)
@picture_option
@click.option(
    "--font",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A font with the poem's characters, for the picture.  [default: one of the system's]",
)
@click.option("--json", "as_json", is_flag=True, help="The figures as one JSON object.")
def gates(
    model: str,
    text: str,
    unit_summary: str,
    layer: int | None,
    after: int,
    output: Path | None,
    font: Path | None,
    as_json: bool,
) -> None:
    """Show how a model's gates open and shut over a poem, and which characters it keeps longest.

    \b
    poetgen lab gates my-lstm 白日依山尽，黄河入海流。
    poetgen lab gates my-gru 白日依山尽，黄河入海流。 -o gates.png
    poetgen lab gates my-lstm 白日依山尽 --unit-summary open --json

    MODEL is a model of an lstm or gru cell. What a cell wrote at a character is retained later as
    far as the product of the gates in between lets it: the forget gate of an lstm, the update gate
    of a gru. The table has the share retained after some steps, the steps until half is left, and
    the share at the end; it does not count what lives on through the output alone.
    """  # noqa: D301
    from poetgen.checkpoint import load_checkpoint
    from poetgen.lab.gates import trace_gates
    from poetgen.lab.pictures import draw_gates
    from poetgen.training.plots import format_of

    if output is not None:
        format_of(output)  # Complains now, not after the table.
    checkpoint = load_checkpoint(model)
    trace = trace_gates(checkpoint, text, layer)
    title = f"{checkpoint.name}: {checkpoint.model.cell}, layer {trace.layer}"
    for token in trace.unknown:
        console.print_warning(f"{checkpoint.name} does not know '{token}': it reads <unk>")
    if as_json:
        _print_json(checkpoint.name, checkpoint.model.cell, trace, unit_summary, after)
    else:
        _print_map(title, trace, unit_summary)
        _print_table(trace, unit_summary, after)
    if output is not None:
        undrawn = draw_gates(trace, output, summary=unit_summary, title=title, font=font)
        if undrawn:
            missing = " ".join(sorted(undrawn))
            console.print_warning(f"no font here has {missing}; --font names a font")
        click.echo(console.clean(str(output)), err=as_json)


def _print_json(model: str, cell: str, trace: GateTrace, summary: str, after: int) -> None:
    from poetgen.lab.gates import SUMMARIES

    console.print_json(
        {
            "model": model,
            "cell": cell,
            "layer": trace.layer,
            "tokens": trace.tokens,
            "unit_summary": summary,
            "gates": {
                name: SUMMARIES[summary](gate).tolist() for name, gate in trace.gates.items()
            },
            "after": after,
            "retained_after": trace.after(after),
            "half_life": trace.half_lives(),
            "retained_at_end": trace.retained[:, -1].tolist(),
        }
    )


def _print_map(title: str, trace: GateTrace, summary: str) -> None:
    """A row a gate, a column a token, in tenths: a digit and, where there are any, a colour."""
    from poetgen.lab.gates import SUMMARIES

    click.echo(console.clean(title))
    click.echo(f"each gate in tenths (9 is 0.9 to 1): {_MEASURES[summary]}")
    rows = [(name, SUMMARIES[summary](gate).tolist()) for name, gate in trace.gates.items()]
    print_heat_map(trace.tokens, rows)


def _print_table(trace: GateTrace, summary: str, after: int) -> None:
    from rich.table import Table
    from rich.text import Text

    from poetgen.lab.gates import SUMMARIES

    later = trace.after(after)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "token"):
        table.add_column(heading)
    for heading in (*trace.gates, f"kept after {after}", "half-life", "kept to the end"):
        table.add_column(heading, justify="right")
    values = [SUMMARIES[summary](gate).tolist() for gate in trace.gates.values()]
    for t, (token, life) in enumerate(zip(trace.tokens, trace.half_lives(), strict=True)):
        share, rest = later[t], len(trace.tokens) - 1 - t
        table.add_row(
            str(t),
            Text(console.clean(token)),
            *(f"{row[t]:.2f}" for row in values),
            "" if share is None else f"{share:.2f}",
            f"> {rest}" if life is None else f"{life:.1f}",
            f"{trace.retained[t, -1]:.2f}",
        )
    console.output().print(table)
    ranked = sorted(
        ((share, t) for t, share in enumerate(later) if share is not None), reverse=True
    )
    if ranked:
        best = "  ".join(f"{console.clean(trace.tokens[t])} {share:.2f}" for share, t in ranked[:5])
        click.echo(f"kept longest (retained after {after} steps): {best}")
    else:
        click.echo(f"the poem has no {after} steps after any character: lower --after")
