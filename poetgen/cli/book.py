"""`poetgen book`: the poems that were kept."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from poetgen.cli import console
from poetgen.errors import PoetgenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from poetgen.book.store import Book, BookEntry
    from poetgen.writing.options import SamplingOptions
    from poetgen.writing.request import Request
    from poetgen.writing.written import WrittenPoem

_FORMATS = {"text": ".txt", "markdown": ".md", "json": ".json", "svg": ".svg", "png": ".png"}
_INDENT = "  "

_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a poem.")


@click.group(short_help="List, show, search, export the poems you saved.")
def book() -> None:
    """The poem book: the poems that were saved, with all it takes to write them again.

    A poem is named by its id, or by the beginning of it; left out, the newest is meant.

    \b
    poetgen acrostic 春夏秋冬 --save
    poetgen book list
    poetgen book show 3f9a
    poetgen book search 秋
    poetgen book export -o card.png --vertical
    """  # noqa: D301


@book.command("list")
@_as_json
def list_(as_json: bool) -> None:
    """List the saved poems, the newest last.

    \b
    poetgen book list
    poetgen book list --json > poems.jsonl
    """  # noqa: D301
    entries = _read(_book())
    if not entries and not as_json:
        click.echo("The book is empty. Save a poem: poetgen acrostic 春夏秋冬 --save", err=True)
    _print_list(entries, as_json=as_json)


@book.command()
@click.argument("text")
@_as_json
def search(text: str, as_json: bool) -> int:
    """List the saved poems with TEXT in heads, verse, title, note, model or form.

    Simplified and Traditional find each other. Exit status 1 when there is none.

    \b
    poetgen book search 秋
    poetgen book search 七律 --json
    """  # noqa: D301
    found = _book().search(text)
    _print_list(found, as_json=as_json)
    return 0 if found else 1


@book.command()
@click.argument("id", required=False)
@click.option("--json", "as_json", is_flag=True, help="The whole entry as one JSON object.")
def show(id: str | None, as_json: bool) -> None:
    """Show a saved poem.

    \b
    poetgen book show              the newest
    poetgen book show 3f9a --json
    """  # noqa: D301
    from poetgen.book.export import as_json as entry_as_json
    from poetgen.book.export import as_text, head_places

    entry = _chosen(id)
    if as_json:
        click.echo(entry_as_json(entry), nl=False)
        return
    if not sys.stdout.isatty():
        click.echo(as_text(entry), nl=False)
        return
    places = head_places(entry)
    if entry.title:
        click.echo(_INDENT + console.styled(console.clean(entry.title), bold=True) + "\n")
    for i, (line, mark) in enumerate(zip(entry.lines, entry.marks, strict=True)):
        row = (
            console.styled(character, fg="red", bold=True) if (i, j) in places else character
            for j, character in enumerate(console.clean(line))
        )
        click.echo(_INDENT + "".join(row) + mark)
    facts = (entry.form, entry.model, f"seed {entry.seed}", entry.saved_at[:10], entry.id)
    told = [entry.note, " · ".join(facts)] if entry.note else [" · ".join(facts)]
    click.echo()
    for text in told:
        click.echo(_INDENT + console.styled(console.clean(text), dim=True))


@book.command()
@click.argument("id", required=False)
@click.option("--title", metavar="TEXT", help="Its title; '' takes it away.")
@click.option("--note", metavar="TEXT", help="A note; '' takes it away.")
def edit(id: str | None, title: str | None, note: str | None) -> None:
    """Give a saved poem a title or a note.

    \b
    poetgen book edit --title 四时
    poetgen book edit 3f9a --note 给母亲的生日
    """  # noqa: D301
    if title is None and note is None:
        raise click.UsageError("Give --title or --note.")
    entry = _chosen(id)
    given = {"title": title, "note": note}
    changes: dict[str, Any] = {
        name: value.strip() for name, value in given.items() if value is not None
    }
    _book().append(replace(entry, **changes))
    _print_list([replace(entry, **changes)], as_json=False)


@book.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def remove(ids: tuple[str, ...]) -> None:
    """Take poems out of the book.

    \b
    poetgen book remove 3f9a
    """  # noqa: D301
    kept = _book()
    # All are found before any is removed, and one that is named twice is removed once.
    entries = {entry.id: entry for entry in map(kept.find, ids)}
    for entry in entries.values():
        kept.remove(entry.id)
        click.echo(f"removed {_row(entry)}", err=True)


@book.command()
@click.argument("id", required=False)
@click.option(
    "--format",
    "kind",
    type=click.Choice(list(_FORMATS)),
    help="What to make; left out, the ending of the file says it, or it is text.",
)
@click.option("--vertical", is_flag=True, help="A card in columns, from right to left.")
@click.option(
    "--seal", metavar="NAME", help="The name in the card's seal, 1 to 8 characters; else the heads."
)
@click.option(
    "--font",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A font file for the card.  [default: one of the system's]",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write it.  [default: stdout]",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def export(
    id: str | None,
    kind: str | None,
    vertical: bool,
    seal: str | None,
    font: Path | None,
    output: Path | None,
    force: bool,
) -> None:
    """Write a saved poem as text, Markdown or JSON, or as a card: a picture, SVG or PNG.

    \b
    poetgen book export                                  the newest, as text
    poetgen book export 3f9a --format markdown
    poetgen book export -o card.png --vertical
    poetgen book export -o card.svg --seal 王小明 --font LXGWWenKai-Regular.ttf
    """  # noqa: D301
    if kind is None:
        endings = {ending: name for name, ending in _FORMATS.items()}
        kind = endings.get(output.suffix.lower(), "text") if output else "text"
    if kind not in ("svg", "png") and (vertical or seal is not None or font):
        raise click.UsageError(
            "--vertical, --seal and --font are for cards: --format svg, --format png."
        )
    if output is None and kind == "png" and sys.stdout.isatty():
        raise click.UsageError("A picture is nothing to show here: name a file, -o card.png.")
    if output is not None and output.exists() and not force:
        raise PoetgenError(f"{output} is there already", hint="--force replaces it")
    content = _made(_chosen(id), kind, vertical=vertical, seal=seal, font=font)
    if output is not None:
        from poetgen import files

        with files.replacing(output) as file:
            file.write(content)
        click.echo(console.clean(str(output)))
    elif kind in ("svg", "png"):
        sys.stdout.buffer.write(content)
    else:
        click.echo(content.decode("utf-8"), nl=False)


def save_poem(
    poem: WrittenPoem, request: Request, options: SamplingOptions, *, rank: bool, model: str | None
) -> str:
    """Save a poem just written.

    Returns:
        Its id.

    Raises:
        PoetgenError: The book cannot be written.
    """
    from poetgen.book.settings import settings_of
    from poetgen.book.store import BookEntry

    # A folder by its whole path: what is here now may be elsewhere then.
    asked = str(Path(model).resolve()) if model and Path(model).is_dir() else model or ""
    entry = BookEntry.of(poem, settings_of(request, options, rank=rank, model=asked))
    _book().append(entry)
    return entry.id


def _made(
    entry: BookEntry, kind: str, *, vertical: bool, seal: str | None, font: Path | None
) -> bytes:
    if kind == "svg":
        from poetgen.book.card import card_svg

        return card_svg(entry, vertical, seal=seal, font=font).encode("utf-8")
    if kind == "png":
        from poetgen.book.card import card_png

        return card_png(entry, vertical, seal=seal, font=font)
    from poetgen.book import export as exports

    made: dict[str, Callable[[BookEntry], str]] = {
        "text": exports.as_text,
        "markdown": exports.as_markdown,
        "json": exports.as_json,
    }
    return made[kind](entry).encode("utf-8")


def _book() -> Book:
    from poetgen.book.store import Book

    return Book()


def _read(kept: Book) -> list[BookEntry]:
    """The poems of a book, with a warning for each line of it that holds none."""
    contents = kept.read()
    for problem in contents.problems:
        console.print_warning(problem)
    return contents.entries


def _chosen(id: str | None) -> BookEntry:
    """The poem with this id, or the newest.

    Raises:
        PoetgenError: There is none.
    """
    if id is not None:
        return _book().find(id)
    entries = _read(_book())
    if not entries:
        raise PoetgenError(
            "the poem book is empty", hint="save a poem: poetgen acrostic 春夏秋冬 --save"
        )
    return entries[-1]


def _print_list(entries: list[BookEntry], *, as_json: bool) -> None:
    for entry in entries:
        if as_json:
            console.print_json({**entry.to_json(), "text": entry.text})
        else:
            click.echo(_row(entry))


def _row(entry: BookEntry) -> str:
    """An entry on one line; what is always of one width comes first."""
    first = entry.lines[0] + entry.marks[0]
    title = f"《{entry.title}》" if entry.title else ""
    parts = (entry.id, entry.saved_at[:10], entry.form, title, entry.heads, first, entry.model)
    return console.clean("  ".join(part for part in parts if part))
