"""How `acrostic` and `continue` show a poem to a reader: its lines, what it is, and its faults.

What was asked for in it stands out. A poem on a terminal grows while it is being written.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from poetgen.cli import console
from poetgen.verse.poem import MARKS

if TYPE_CHECKING:
    from poetgen.writing.citation import Citations
    from poetgen.writing.options import SamplingOptions
    from poetgen.writing.poet import Poet
    from poetgen.writing.request import Request
    from poetgen.writing.written import WrittenPoem

INDENT = "  "
"""What stands before everything that is shown on a terminal."""


def write_on_screen(
    poet: Poet,
    request: Request,
    seed: int,
    options: SamplingOptions,
    *,
    rank: bool,
    captions: bool = True,
    cited: Citations | None = None,
) -> WrittenPoem:
    """Write one poem and show it while it is being written, with what it is under it.

    Args:
        poet: Who writes.
        request: What.
        seed: With which seed.
        options: How.
        rank: Whether the best draft is shown.
        captions: Whether the caption is.
        cited: Finds each line's nearest in the corpus, shown under the poem.

    Raises:
        TemplateError: No poem can be so.
    """
    done: list[WrittenPoem] = []
    show(_noted(poet.stream(request, seed, options, rank=rank), done), INDENT)
    poem = done[0]
    if cited:
        show_citations(cited, poem.lines, INDENT)
    if captions:
        show_caption(request, poem)
    return poem


def _noted(
    stream: Generator[tuple[str, bool], None, WrittenPoem], done: list[WrittenPoem]
) -> Iterator[tuple[str, bool]]:
    """What a stream yields; the poem that it gives in the end goes into `done`."""
    done.append((yield from stream))


def show_citations(citations: Citations, lines: Sequence[str], indent: str) -> None:
    """Print each line's nearest in the corpus, whose it is, and how much they share."""
    click.echo()
    for line in lines:
        found = citations.nearest(line)
        whose = console.clean(f"{found.author}《{found.title}》") if found.nearest else "—"
        told = f"{line}  {found.nearest}  {whose}  {found.shared}/{len(line)}"
        click.echo(indent + console.styled(told, dim=True))


def show(characters: Iterable[tuple[str, bool]], indent: str) -> None:
    """Print characters as they come, a line of verse on a row, what was asked for in red."""
    begins = True
    for character, asked_for in characters:
        shown = console.styled(character, fg="red", bold=True) if asked_for else character
        click.echo(indent + shown if begins else shown, nl=False)
        begins = character in MARKS
        if begins:
            click.echo()


def show_caption(request: Request, poem: WrittenPoem) -> None:
    """Print what a poem is and how to have it again, under the faults that it has to have."""
    parts = [request.form.name]
    if request.rules.tones != "off":
        parts += filter(None, (poem.pattern, poem.rhyme_group and f"{poem.rhyme_group}韵"))
    click.echo()
    for fault in forced_faults(request, poem):
        click.echo(INDENT + console.styled(fault, fg="yellow"))
    caption = " · ".join([*parts, console.clean(poem.model), f"seed {poem.seed}"])
    click.echo(INDENT + console.styled(caption, dim=True))


def forced_faults(request: Request, poem: WrittenPoem) -> list[str]:
    """The faults of a poem that was to have none: what was fixed in it leaves no other."""
    if request.rules.tones == "off":
        return []
    return [
        f"line {fault.line}, character {fault.position}: {fault.name}, {fault.message}"
        for fault in poem.faults
    ]


def spelled(poem: WrittenPoem) -> Iterator[tuple[str, bool]]:
    """A poem as `show` takes it: each character, and whether it was asked for."""
    for line, forced, mark in zip(poem.lines, poem.forced, poem.marks, strict=True):
        yield from zip(line, forced, strict=True)
        yield mark, False


def open_citations(poet: Poet, *, quiet: bool) -> Citations:
    """What finds lines of the poet's corpus, made now where it was not made before."""
    from poetgen.writing.citation import Citations, corpus_of

    corpus = corpus_of(poet)
    if quiet or not sys.stderr.isatty():
        return Citations(corpus)
    with console.messages().status("looking for lines"):
        return Citations(corpus)
