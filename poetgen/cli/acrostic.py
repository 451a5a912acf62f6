"""`poetgen acrostic`: poems whose lines hold the characters that were asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from poetgen.cli.poems import (
    ASKED,
    FORM_NAMES,
    Wish,
    place_of_head,
    write_and_show,
    writing_options,
)
from poetgen.errors import PoetgenError

if TYPE_CHECKING:
    from poetgen.writing.request import Request


@click.command(context_settings={"show_default": True})
@click.argument("heads", required=False)
@click.option(
    "--heads-file",
    metavar="FILE|-",
    help="Read heads from a file, or from stdin (-): one poem's heads a line.",
)
@click.option(
    "--form",
    default="七绝",
    metavar="FORM",
    help=f"{FORM_NAMES}, or free: as many lines as heads.",
)
@click.option(
    "--line-length",
    metavar="N",
    type=click.IntRange(1),
    help="How many characters in a line of --form free.",
)
@click.option(
    "--at",
    metavar="head|tail|N|diagonal",
    callback=place_of_head,
    default="head",
    help="Where in its line a head stands: first, last, N-th; or each one place further on.",
)
@writing_options
def acrostic(
    heads: str | None,
    heads_file: str | None,
    form: str,
    line_length: int | None,
    at: str | int,
    **options: Any,
) -> int:
    """Write acrostic poems (藏头诗): every line holds one of HEADS, and tone and rhyme are kept.

    Without HEADS it asks for them, on a terminal, and writes until you have enough.

    Where the heads leave no poem without a fault, the nearest is written and the fault told;
    --tones strict refuses instead, and says which head clashes with what.

    \b
    poetgen acrostic 春夏秋冬
    poetgen acrostic 春夏秋冬 --form 五绝 --at tail -n 3
    poetgen acrostic 平安喜乐 --form qilv               on the odd lines of eight
    poetgen acrostic 梅兰竹菊 --tones strict --rhyme 东 --first-line-rhymes yes
    poetgen acrostic 平安喜乐 --rhyme-book 新韵 --pattern zeqi
    poetgen acrostic 春夏秋冬 -n 5 --cite               each line's nearest in the corpus
    poetgen acrostic 生日快乐呀 --form free --line-length 5
    poetgen acrostic --heads-file names.txt --json > poems.jsonl
    """  # noqa: D301
    asked: Any = {name: options.pop(name) for name in ASKED}
    if heads is heads_file is None and _can_ask(**options):
        from poetgen.cli.asking import Wanted, write_by_asking

        del options["count"], options["as_json"]
        return write_by_asking(Wanted("", form, at, line_length, asked), **options)
    if (heads is None) == (heads_file is None):
        raise click.UsageError(
            "Give four characters, or a file of them: poetgen acrostic 春夏秋冬"
            if heads is None
            else "Give HEADS or --heads-file, not both."
        )
    from poetgen.writing.request import acrostic_request

    def ask(heads: str) -> Request:
        return acrostic_request(heads, form, at=at, line_length=line_length, **asked)

    ask("春")  # A form that is not there is no fault of any line of a file: say so at once.
    if heads_file is None:
        wishes = [Wish(ask(heads or ""))]
        if not options["as_json"]:  # Which gets its refusal as an object, when its turn comes.
            wishes[0].request.layout()  # Say what is wrong before a model is loaded.
    else:
        wishes = [Wish(ask(text), where) for where, text in read_heads(heads_file)]
    return write_and_show(wishes, **options)


def _can_ask(*, count: int, as_json: bool, **_: Any) -> bool:
    """Whether somebody is there to be asked, and wants poems one at a time."""
    return count == 1 and not as_json and sys.stdin.isatty() and sys.stdout.isatty()


def read_heads(name: str) -> list[tuple[str, str]]:
    """Read heads, one poem's a line, leaving out empty lines.

    Args:
        name: A file in UTF-8, with or without a byte order mark, or `-` for stdin.

    Returns:
        Where each was found, for messages, and the heads.

    Raises:
        PoetgenError: A line is not UTF-8, or there are no heads at all.
        OSError: The file cannot be read.
    """
    shown = "stdin" if name == "-" else name
    content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    found = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise PoetgenError(
                f"{shown}, line {number}, byte {error.start + 1} is not UTF-8 text",
                hint="save the file as UTF-8",
            ) from None
        if text:
            found.append((f"{shown}, line {number}", text))
    if not found:
        raise PoetgenError(f"{shown} holds no heads", hint="write one poem's heads on each line")
    return found
