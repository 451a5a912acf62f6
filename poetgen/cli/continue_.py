"""`poetgen continue`: poems that go on from a first line."""

from __future__ import annotations

from typing import Any

import click

from poetgen.cli.poems import (
    ASKED,
    FORM_NAMES,
    Wish,
    write_and_show,
    writing_options,
)


@click.command("continue", context_settings={"show_default": True})
@click.argument("text", nargs=-1)
@click.option(
    "--form",
    metavar="FORM",
    help=f"{FORM_NAMES}, or free. Without it, the shortest that fits.",
)
@click.option(
    "--line-length",
    metavar="N",
    type=click.IntRange(1),
    help="How many characters in a line of --form free.",
)
@writing_options
def continue_(
    text: tuple[str, ...],
    form: str | None,
    line_length: int | None,
    **options: Any,
) -> int:
    """Write on from the first line or lines of a poem.

    Lines of five characters go on as 五绝, lines of seven as 七绝, unless --form says otherwise.
    Lines are divided by their marks or by spaces; the last may be only begun.

    \b
    poetgen continue 空山新雨后
    poetgen continue 一夜东风过小楼，满城桃李不知愁。 --form 七律
    poetgen continue 明月几时有 --tones off
    poetgen continue 江上 --form 五绝 -n 3
    """  # noqa: D301
    if not text:
        raise click.UsageError("Give a first line: poetgen continue 空山新雨后")
    from poetgen.writing.request import continuation_request

    rows = "\n".join(" ".join(text).split())
    asked: Any = {name: options.pop(name) for name in ASKED}
    wish = Wish(continuation_request(rows, form, line_length=line_length, **asked))
    if not options["as_json"]:
        wish.request.layout()  # Say what is wrong before a model is loaded.
    return write_and_show([wish], **options)
