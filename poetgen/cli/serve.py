"""`poetgen serve`: the studio in a browser."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from poetgen.cli import console
from poetgen.errors import PoetgenError

if TYPE_CHECKING:
    from poetgen.serving.visitors import Visitor


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="Where to listen.")
@click.option(
    "--port",
    default=8000,
    metavar="N",
    type=click.IntRange(0, 65535),
    help="The port; 0 takes any that is free.",
)
@click.option(
    "--public",
    is_flag=True,
    help="Let other machines come: anyone who reaches the port can write, without a password.",
)
@click.option(
    "--max-sessions",
    default=8,
    metavar="N",
    type=click.IntRange(1, 1000),
    help="How many can write at a time; each takes about 50 MB and its model's size.",
)
@click.option(
    "--idle-minutes",
    default=30.0,
    metavar="M",
    type=click.FloatRange(0, 7 * 24 * 60, min_open=True),
    help="End a session in which nothing was typed for so long; its drafts are kept.",
)
@click.option(
    "--model",
    metavar="NAME|FOLDER",
    default="",
    help="The model to begin with; poetgen models lists those there are.",
)
def serve(
    host: str, port: int, public: bool, max_sessions: int, idle_minutes: float, model: str
) -> int:
    """Show the studio in a browser, as `poetgen studio` does in a terminal.

    Only this machine can reach it. Each browser has drafts of its own, which come back when it
    does, until it stays away for 90 days; poems are saved to your poem book, which is so open to
    all who can log in on this machine. With --public, each browser has a poem book of its own too.
    Ctrl-C ends it, and every session; nothing is lost.

    \b
    poetgen serve
    poetgen serve --port 8080 --model gru
    poetgen serve --host 0.0.0.0 --public          for everybody who can reach this machine
    """  # noqa: D301
    from poetgen import folders
    from poetgen.checkpoint import find_checkpoint
    from poetgen.serving.server import Limits, StudioServer, is_loopback

    if not public and not is_loopback(host):
        raise PoetgenError(
            f"{host} can be reached from other machines",
            hint="--public allows it: anyone who reaches it can write there, without a password",
        )
    find_checkpoint(model or None)  # Where there is none, say so here and not to every browser.
    if public:
        console.print_warning(
            "anyone who reaches this address can write here, without a password and unencrypted"
        )

    def program(visitor: Visitor) -> list[str]:
        book = str(visitor.book) if public else ""
        module = "poetgen.serving.session"
        return [sys.executable, "-m", module, str(visitor.drafts), book, model]

    def announce(address: str) -> None:
        click.echo(address)
        sys.stdout.flush()
        console.messages().print(
            f"The studio is there for up to {max_sessions} browsers, until each is idle for "
            f"{idle_minutes:g} minutes. Ctrl-C ends it.",
            style="dim",
        )

    StudioServer(
        program,
        folders.data_folder() / "served",
        host=host,
        port=port,
        public=public,
        limits=Limits(max_sessions, idle_minutes),
        announce=announce,
    ).serve()
    return 0
