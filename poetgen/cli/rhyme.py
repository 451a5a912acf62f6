"""`poetgen rhyme`: what a character rhymes with, and whether two rhyme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from poetgen.cli import console
from poetgen.errors import TemplateError
from poetgen.verse.poem import is_han

if TYPE_CHECKING:
    from poetgen.verse.phonology import RhymeBook, RhymeGroup

_PER_ROW = 32


@click.command()
@click.argument("character")
@click.option("--like", metavar="OTHER", help="Say whether CHARACTER rhymes with this one.")
@click.option(
    "--rhyme-book",
    metavar="BOOK",
    help="平水韵 (pingshui), 新韵 (xinyun) or 通韵 (tongyun). Default: 平水韵; all with --like.",
)
@click.option("--all", "show_all", is_flag=True, help="List rare characters and variants too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rhyme(
    character: str, like: str | None, rhyme_book: str | None, show_all: bool, as_json: bool
) -> None:
    """List what rhymes with a character, or say whether two characters rhyme.

    \b
    poetgen rhyme 东
    poetgen rhyme 东 --like 风
    poetgen rhyme 儿 --rhyme-book 通韵 --json
    """  # noqa: D301
    from poetgen.verse.phonology import PINGSHUI, RHYME_BOOKS
    from poetgen.verse.phonology import rhyme_book as open_book

    _check(character)
    if like is None:
        _list(character, open_book(rhyme_book or PINGSHUI), show_all, as_json)
        return
    _check(like)
    names = RHYME_BOOKS if rhyme_book is None else (rhyme_book,)
    _compare(character, like, [open_book(name) for name in names], as_json)


def _check(character: str) -> None:
    if not is_han(character):
        raise TemplateError(
            f"'{character}' is not one Chinese character", hint="give one: poetgen rhyme 东"
        )


def _list(character: str, book: RhymeBook, show_all: bool, as_json: bool) -> None:
    groups = book.readings(character)
    if not groups:
        raise TemplateError(
            f"{book.name} does not rhyme {character}",
            hint="ask for another book with --rhyme-book, or for the character's usual form",
        )
    if as_json:
        readings = [_group(g) | {"characters": "".join(_sorted(book, g))} for g in groups]
        console.print_json({"character": character, "rhyme_book": book.name, "readings": readings})
        return
    for number, group in enumerate(groups):
        if number:
            click.echo()
        members = _sorted(book, group)
        shown = members if show_all else [c for c in members if _rarity(c) < 2]
        title = console.styled(f"{book.name} {group.title}", bold=True)
        click.echo(f"{title}  {len(members)} characters")
        for i in range(0, len(shown), _PER_ROW):
            click.echo("  " + "".join(shown[i : i + _PER_ROW]))
        if len(shown) < len(members):
            click.echo(f"  and {len(members) - len(shown)} rare or variant ones (--all)")
        near = [g.name for g in book.group_masks(book.near(group)) if g != group]
        if group.is_level and near:
            click.echo(f"  a first line may borrow from {' '.join(near)} (首句借韵)")


def _compare(one: str, other: str, books: list[RhymeBook], as_json: bool) -> None:
    if as_json:
        record = {book.name: [_group(group) for group in book.rhymes(one, other)] for book in books}
        console.print_json({"character": one, "like": other, "rhymes": record})
        return
    for book in books:
        shared = book.rhymes(one, other)
        if shared:
            answer = console.styled("yes", fg="green", bold=True)
            text = " ".join(group.title for group in shared)
        else:
            answer = console.styled("no ", fg="red", bold=True)
            text = ", ".join(f"{c} {_readings(book, c)}" for c in (one, other))
        click.echo(f"{book.name:\u3000<3}  {answer}  {text}")


def _readings(book: RhymeBook, character: str) -> str:
    return " ".join(group.title for group in book.readings(character)) or "is not in it"


def _group(group: RhymeGroup) -> dict[str, Any]:
    return {"group": group.name, "tone": group.tone, "title": group.title}


def _sorted(book: RhymeBook, group: RhymeGroup) -> list[str]:
    """The characters of a group, common ones first."""
    return sorted(book.members(group), key=lambda character: (_rarity(character), character))


def _rarity(character: str) -> int:
    """0 for the commonest, 1 for common ones, 2 for the rest: the two levels of GB 2312."""
    try:
        row = character.encode("gb2312")[0]
    except UnicodeEncodeError:
        return 2
    return 0 if row <= 0xD7 else 1
