"""The two streams: results go to stdout, everything else to stderr.

`output()` and `messages()` give rich consoles; rich is imported when the first is asked for.
What came from a user or a file goes through `clean` (and into rich as `Text`, never as markup):
a file name may hold `[/x]`, which rich would read as markup, or escape sequences, which rich
would pass on to the terminal.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console


def use_utf8() -> None:
    """Make stdout and stderr able to carry Chinese, whatever the locale says.

    A stream whose encoding has Chinese (UTF-8, GB18030, Big5) is left as it is; any other becomes
    UTF-8. What an encoding lacks is replaced rather than a reason to crash.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:  # Replaced by a test or a host program; theirs to set up.
            continue
        try:
            "春".encode(stream.encoding)
        except (UnicodeEncodeError, LookupError):
            reconfigure(encoding="utf-8", errors="replace")
        else:
            reconfigure(errors="replace")


def clean(text: str) -> str:
    """`text` on one line without control characters, safe to show on a terminal."""
    return "".join(
        " " if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") else character
        for character in text
    )


@functools.cache
def output() -> Console:
    """The console on stdout, for results."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


@functools.cache
def messages() -> Console:
    """The console on stderr, for progress, warnings and errors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def styled(text: str, **style: Any) -> str:
    """`text` in a style of `click.style`, for `click.echo`, which drops it in a pipe.

    Colours are left out where the environment has a `NO_COLOR` (https://no-color.org); bold and
    dim stay. A dumb terminal gets none of it.
    """
    if os.environ.get("TERM") == "dumb":
        return text
    if os.environ.get("NO_COLOR"):
        style = {name: value for name, value in style.items() if name not in ("fg", "bg")}
    return click.style(text, **style)


def print_json(record: Any) -> None:
    """Print one JSON object on one line of stdout, Chinese as Chinese."""
    click.echo(json.dumps(record, ensure_ascii=False))


def print_error(message: str, hint: str = "") -> None:
    """Print `error: …` in red on stderr and, under it, the hint."""
    click.echo(styled("error: ", fg="red", bold=True) + clean(message), err=True)
    if hint:
        click.echo(styled("hint: ", fg="cyan") + clean(hint), err=True)


def print_warning(message: str) -> None:
    """Print `warning: …` in yellow on stderr."""
    click.echo(styled("warning: ", fg="yellow", bold=True) + clean(message), err=True)
