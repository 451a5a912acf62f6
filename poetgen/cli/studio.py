"""`poetgen studio`: writing with the machine, line by line, in the whole terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from poetgen.cli import console
from poetgen.errors import PoetgenError

if TYPE_CHECKING:
    from poetgen.writing.poet import Poet


@click.command()
@click.option(
    "--model",
    metavar="NAME|FOLDER",
    default="",
    help="The model to begin with; poetgen models lists those there are.",
)
@click.option("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.")
def studio(model: str, device: str) -> int:
    """Write in the studio: see a poem grow, change what you like, have the rest drawn again.

    Type heads, press enter. Then move about in the poem: candidates for the character stand beside
    it with their probabilities, space locks it, d draws what is not locked again, u takes anything
    back, ^s saves it to the poem book. ? is help. Drafts are kept and come back at the next start.

    \b
    poetgen studio
    poetgen studio --model gru
    poetgen                       the same, on a terminal
    """  # noqa: D301
    return start(model, device)


def start(model: str = "", device: str = "auto") -> int:
    """Run the studio on this terminal.

    Returns:
        The exit status: 1 where drafts could not be kept.

    Raises:
        PoetgenError: There is no terminal, or none that can show it.
    """
    _check_terminal()
    from poetgen.cli.poems import load_poet
    from poetgen.studio.app import Studio
    from poetgen.studio.workers import Shelf

    def load(name: str | None) -> Poet:
        return load_poet(name, device)

    app = Studio(model, shelf=Shelf(load))
    try:
        app.run()
    finally:
        trouble = app.end()
    if trouble:
        console.print_error(trouble)
        return 1
    return app.return_code or 0


def _check_terminal() -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise PoetgenError(
            "the studio needs a terminal", hint="without one, poetgen acrostic 春夏秋冬 writes too"
        )
    if os.environ.get("TERM") == "dumb":
        raise PoetgenError(
            "the studio cannot draw on a dumb terminal",
            hint="set TERM, or use poetgen acrostic 春夏秋冬",
        )
    if sys.stdin.encoding.lower().replace("-", "") != "utf8":
        raise PoetgenError(
            f"the studio needs a UTF-8 terminal, and this one is {sys.stdin.encoding}",
            hint="set LC_ALL=C.UTF-8 and the terminal to UTF-8, or use poetgen acrostic 春夏秋冬",
        )
