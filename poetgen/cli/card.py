"""`poetgen models card`: measure a model and write its card."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from poetgen.cli import console

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(short_help="Measure a model and write its card.")
@click.argument("model")
@click.option(
    "--corpus",
    metavar="NAME|PATH",
    help="Where the corpus is that it was trained on.  [default: where it was then]",
)
@click.option(
    "--acrostics",
    type=_FILE,
    metavar="FILE.json",
    help="Figures of the acrostic benchmark: python -m benchmarks.acrostics MODEL --output FILE.",
)
@click.option(
    "--themes",
    type=_FILE,
    metavar="FILE.json",
    help="Figures of what it is told: python -m benchmarks.themes MODEL --json FILE.",
)
@click.option(
    "--peers",
    type=_FILE,
    metavar="FILE.json",
    help="Figures of other models: python -m benchmarks.peers --output FILE.",
)
@click.option(
    "--notes", type=_FILE, metavar="FILE", help="What it does badly, in your words, as Markdown."
)
@click.option(
    "--poems",
    metavar="N",
    type=click.IntRange(1, 100_000),
    default=300,
    show_default=True,
    help="How many it writes, twice, to see what it borrows.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the card goes.  [default: stdout]",
)
@click.option("--quiet", "-q", is_flag=True, help="Do not say what is being done.")
def card(
    model: str,
    corpus: str | None,
    acrostics: Path | None,
    themes: Path | None,
    peers: Path | None,
    notes: Path | None,
    poems: int,
    output: Path | None,
    quiet: bool,
) -> None:
    """Measure a model and write its card, in Markdown.

    \b
    poetgen models card my-run                       read it
    poetgen models card my-run -o checkpoints/my-run/card.md
                                                     as card.md it goes with the model
    poetgen models my-run                            shows the card that is there

    What it costs the model to predict its test poems, by form and dynasty; ten poems that nobody
    chose; what it borrows from the poems that it was trained on. Takes some minutes for a large
    corpus.
    """  # noqa: D301
    from poetgen.checkpoint import load_checkpoint
    from poetgen.files import write_text
    from poetgen.shipping.card import WEAKNESSES, render
    from poetgen.shipping.findings import find_out, read_acrostics, read_peers, read_themes
    from poetgen.shipping.measuring import corpus_of

    def say(what: str) -> None:
        if not quiet:
            click.echo(what, err=True)

    # Whatever may be wrong with a file comes to light before anything is measured.
    weaknesses = notes.read_text(encoding="utf-8", errors="replace") if notes else WEAKNESSES
    acrostic_figures = read_acrostics(acrostics) if acrostics else None
    theme_figures = read_themes(themes) if themes else None
    peer_figures = read_peers(peers) if peers else []
    checkpoint = load_checkpoint(model)
    source = corpus_of(checkpoint, corpus)
    findings = find_out(
        checkpoint, source, poems, say, acrostic_figures, theme_figures, peer_figures
    )
    files = {"acrostics": acrostics, "themes": themes, "peers": peers, "notes": notes}
    given = {"corpus": corpus, **files}
    flags = [f"--{name}={value}" for name, value in given.items() if value is not None]
    command = shlex.join(
        [
            "poetgen",
            "models",
            "card",
            model,
            *flags,
            *([f"--poems={poems}"] if poems != 300 else []),
        ]
    )
    text = render(checkpoint, findings, command, weaknesses)
    if output is None:
        for line in text.splitlines():
            click.echo(console.clean(line))
    else:
        write_text(output, text)
        click.echo(console.clean(str(output)))
