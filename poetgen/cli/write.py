"""`poetgen write`: poems for which no form is asked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from poetgen.cli import console
from poetgen.cli.poems import first_seed, load_poet
from poetgen.cli.showing import INDENT
from poetgen.verse.poem import Poem

if TYPE_CHECKING:
    from poetgen.writing.freely import FreePoem

_TOGETHER = 32


@click.command(short_help="Write poems of whatever form the model likes.")
@click.option(
    "--theme",
    metavar="TEXT",
    help="What the poem is to be about: 秋思, or a sentence to take the words from.",
)
@click.option("--style", metavar="唐|宋", help="Write in the manner of 唐 (tang) or 宋 (song).")
@click.option(
    "-n",
    "--count",
    metavar="N",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    help="How many poems.",
)
@click.option(
    "--temperature",
    metavar="T",
    type=click.FloatRange(0.01, 100),
    default=0.9,
    show_default=True,
    help="Under 1 keeps closer to what is usual; above dares more.",
)
@click.option(
    "--top-k",
    metavar="K",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Choose each character from the K likeliest; 0 from all.",
)
@click.option(
    "--top-p",
    metavar="P",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Choose each from the fewest that share this much probability.",
)
@click.option(
    "--seed",
    metavar="S",
    type=click.IntRange(0),
    help="The same seed gives the same poem; those of a run have S, S + 1 and so on.",
)
@click.option(
    "--model", metavar="NAME|FOLDER", help="A trained model; poetgen models lists those there are."
)
@click.option("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a poem.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing but the poems.")
def write(
    theme: str | None,
    style: str | None,
    count: int,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int | None,
    model: str | None,
    device: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Write poems by no rule but the model's own: it chooses the form, and where to end.

    Nothing is forced and the first draft is shown, so this is what a model has learned by itself.

    \b
    poetgen write
    poetgen write --theme 秋思 --style 宋 -n 3
    poetgen write --model my-run --temperature 1 -n 100 --json > poems.jsonl
    """  # noqa: D301
    poet = load_poet(model, device)
    from poetgen.writing.options import SamplingOptions

    options = SamplingOptions(temperature=temperature, top_k=top_k, top_p=top_p, decoding="plain")
    first = first_seed(seed)
    for start in range(0, count, _TOGETHER):
        seeds = range(first + start, first + min(start + _TOGETHER, count))
        for poem in poet.write_freely(seeds, options, theme=theme, style=style):
            if as_json:
                console.print_json(_record(poem, poet.name))
            else:
                _show(poem, poet.name, quiet=quiet, begins=poem.seed == first)
    return 0


def _show(poem: FreePoem, model: str, *, quiet: bool, begins: bool) -> None:
    on_screen = sys.stdout.isatty()
    indent = INDENT if on_screen else ""
    if not begins:
        click.echo()
    written = Poem.from_text(poem.text)
    for line, mark in zip(written.lines, written.marks, strict=True):
        click.echo(indent + line + mark)
    if on_screen and not quiet:
        form = poem.form.name if poem.form else "自由"
        caption = " · ".join((form, console.clean(model), f"seed {poem.seed}"))
        click.echo("\n" + INDENT + console.styled(caption, dim=True))
    if not poem.ended and not quiet:
        console.print_warning(f"the poem of seed {poem.seed} found no end and was cut")


def _record(poem: FreePoem, model: str) -> dict[str, object]:
    return {
        "form": poem.form.name if poem.form else "",
        "lines": list(poem.lines),
        "text": poem.text,
        "ended": poem.ended,
        "seed": poem.seed,
        "model": model,
    }
