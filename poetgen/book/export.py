"""A poem of the book as text, as Markdown and as JSON."""

from __future__ import annotations

import json
import re

from poetgen.book.store import BookEntry
from poetgen.errors import TemplateError
from poetgen.verse.forms import free_form
from poetgen.writing.request import Request

_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~&])")


def as_text(entry: BookEntry) -> str:
    """The poem, a line on a row, under its title if it has one. Ends in a line end."""
    verse = "".join(f"{line}{mark}\n" for line, mark in zip(entry.lines, entry.marks, strict=True))
    return f"{_one_line(entry.title)}\n\n{verse}" if entry.title else verse


def as_markdown(entry: BookEntry) -> str:
    """The poem with its heads in bold, its title as a heading, and what it is in italics."""
    places = head_places(entry)
    rows = []
    for i, (line, mark) in enumerate(zip(entry.lines, entry.marks, strict=True)):
        row = "".join(
            f"**{character}**" if (i, j) in places else _escaped(character)
            for j, character in enumerate(line)
        )
        rows.append(row + mark)
    heading = f"## {_escaped(_one_line(entry.title))}\n\n" if entry.title else ""
    facts = [entry.form, entry.heads, entry.model, f"seed {entry.seed}", entry.saved_at[:10]]
    caption = " · ".join(_escaped(_one_line(fact)) for fact in facts if fact)
    note = f"\n{_escaped(_one_line(entry.note))}\n" if entry.note else ""
    # Two spaces at its end keep a row from being joined to the next.
    return heading + "  \n".join(rows) + f"\n\n*{caption}*\n" + note


def as_json(entry: BookEntry) -> str:
    """The whole entry as one JSON object on one line, the poem's text beside its lines."""
    return json.dumps({**entry.to_json(), "text": entry.text}, ensure_ascii=False) + "\n"


def head_places(entry: BookEntry) -> frozenset[tuple[int, int]]:
    """The line and the place, both from 0, of each head that still stands where it was asked for.

    Empty for a poem without heads, and for one whose lines were changed so that the heads no
    longer fit it.
    """
    at = entry.settings.get("at", "head")
    if not isinstance(at, str | int):
        return frozenset()
    form = free_form(len(entry.lines), max(map(len, entry.lines)))
    try:
        layout = Request(entry.heads, form, at).layout()
    except TemplateError:
        return frozenset()
    return frozenset(
        (i, j)
        for i, asked in enumerate(layout)
        for j, glyph in enumerate(asked.glyphs)
        if glyph is not None and entry.lines[i][j : j + 1] == glyph
    )


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _one_line(text: str) -> str:
    return " ".join(text.split())
