"""`poetgen plot`: the curves of training runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from poetgen.cli.console import clean, print_warning

if TYPE_CHECKING:
    from poetgen.training.plots import XAxis


@click.command(short_help="Draw the loss curves of training runs.")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("loss.png"),
    show_default=True,
    metavar="FILE",
    help="The picture, .png or .svg.",
)
@click.option(
    "--x",
    type=click.Choice(("steps", "seconds", "tokens")),
    default="steps",
    show_default=True,
    help="What the curves run over.",
)
@click.option(
    "--font",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A font with the characters of the runs' names.  [default: one of the system's]",
)
def plot(runs: tuple[str, ...], output: Path, x: XAxis, font: Path | None) -> None:
    """Draw loss and validation perplexity of one or several training runs.

    \b
    poetgen plot my-run
    poetgen plot rnn-sample lstm-sample gru-sample --output cells.svg
    poetgen plot checkpoints/* --x seconds

    RUN is the folder that `poetgen train` wrote to, or its name in ./checkpoints. A run that is
    still going on is drawn as far as it has come.
    """  # noqa: D301
    from poetgen import folders
    from poetgen.training.plots import find_runs, plot_runs

    found = find_runs(runs, [Path("checkpoints"), folders.data_folder() / "checkpoints"])
    undrawn = plot_runs(found, output, x, font)
    for name, drawn in undrawn.items():
        print_warning(f"no font here has '{name}': it is drawn as '{drawn}'; --font names a font")
    click.echo(clean(str(output)))
