"""`poetgen lab attention`: where the decoder of a seq2seq model looks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from poetgen.cli import console
from poetgen.cli.lab.heat_map import print_heat_map
from poetgen.cli.lab.pictures import picture_option

if TYPE_CHECKING:
    from poetgen.lab.attention import AttentionTrace, LineAttention


@click.command(short_help="Show where a seq2seq model looks while it writes.")
@click.argument("model")
@click.argument("text")
@click.option("--line", type=click.IntRange(1), help="Which line.  [default: every line]")
@click.option("--form", metavar="FORM", default="", help="A form that the model is told.")
@click.option("--theme", metavar="TEXT", default="", help="A theme that it is told.")
@picture_option
@click.option(
    "--font",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A font with the poem's characters, for the picture.  [default: one of the system's]",
)
@click.option("--json", "as_json", is_flag=True, help="The weights as one JSON object.")
def attention(
    model: str,
    text: str,
    line: int | None,
    form: str,
    theme: str,
    output: Path | None,
    font: Path | None,
    as_json: bool,
) -> None:
    """Show where a model's decoder looks while it writes a poem, line by line.

    \b
    poetgen lab attention my-seq2seq 白日依山尽，黄河入海流。
    poetgen lab attention my-seq2seq 白日依山尽，黄河入海流。 --line 2 -o attention.png
    poetgen lab attention my-seq2seq 白日依山尽，黄河入海流。 --theme 登楼 --json

    MODEL is a model that was trained with --architecture seq2seq. A row is a character of the poem,
    a column a token of its source: what the model is told before it writes (· where it is told
    nothing), ▷, and the lines before. The numbers are hundredths, and a row's add up to 1.
    """  # noqa: D301
    from poetgen.checkpoint import load_checkpoint
    from poetgen.lab.attention import trace_attention
    from poetgen.lab.attention_picture import draw_attention
    from poetgen.training.plots import format_of

    if output is not None:
        format_of(output)  # Complains now, not after the table.
    checkpoint = load_checkpoint(model)
    trace = trace_attention(checkpoint, text, line=line, form=form, theme=theme)
    for token in trace.unknown:
        console.print_warning(f"{checkpoint.name} does not know '{token}': it reads <unk>")
    if as_json:
        _print_json(checkpoint.name, trace)
    else:
        click.echo(console.clean(checkpoint.name))
        for each in trace.lines:
            _print_line(each)
    if output is not None:
        undrawn = draw_attention(trace, output, title=checkpoint.name, font=font)
        if undrawn:
            missing = " ".join(sorted(undrawn))
            console.print_warning(f"no font here has {missing}; --font names a font")
        click.echo(console.clean(str(output)), err=as_json)


def _print_json(model: str, trace: AttentionTrace) -> None:
    console.print_json(
        {
            "model": model,
            "lines": [
                {
                    "line": line.number,
                    "written": line.written,
                    "source": line.source,
                    "weights": line.weights.tolist(),
                    "by_part": line.by_part.tolist(),
                }
                for line in trace.lines
            ],
        }
    )


def _print_line(line: LineAttention) -> None:
    """A heat map of the weights, and what each token looked at most."""
    from rich.table import Table
    from rich.text import Text

    click.echo(f"\nline {line.number}, in hundredths")
    rows = list(zip(line.written, line.weights.tolist(), strict=True))
    print_heat_map(line.source, rows, parts=100, brightest=float(line.weights.max()))

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("written")
    for heading in ("told", *(f"line {n}" for n in range(1, line.number))):
        table.add_column(heading, justify="right")
    table.add_column("looked at most")
    for t, (token, shares) in enumerate(zip(line.written, line.by_part.tolist(), strict=True)):
        most = "  ".join(f"{console.clean(name)} {share:.2f}" for name, share in line.most(t))
        table.add_row(Text(console.clean(token)), *(f"{share:.2f}" for share in shares), Text(most))
    console.output().print(table)
