"""A draft: what was asked for, what stands in each place, and what may not be redrawn.

Drafts are values: a change gives another draft, so that to take it back is to show the old one.
This module knows nothing of models, screens or files.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, Self, TypeAlias

from poetgen.errors import PoetgenError, TemplateError
from poetgen.verse.forms import PoemForm
from poetgen.verse.phonology import PINGSHUI
from poetgen.verse.poem import MARKS, default_marks, is_han
from poetgen.writing.asked import AUTO, is_regular
from poetgen.writing.request import FREE, Request, acrostic_request

Place: TypeAlias = tuple[int, int]
"""A line and a place in it, both from 0."""

Scope: TypeAlias = Literal["all", "line", "rest"]
"""What is drawn again: all that is not locked, that of one line, or that from one place on."""

_RULES = ("tones", "rhyme_book", "rhyme", "first_line_rhymes", "pattern")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a draft is to be written; the fields have the names and the values of the flags.

    Attributes:
        model: A model's name; empty: the one that `Poet.load` takes by itself.
        seed: What to draw with; None: another each time.
    """

    form: str = "七绝"
    at: str = "head"
    line_length: int = 7
    tones: str = "loose"
    rhyme_book: str = PINGSHUI
    rhyme: str = AUTO
    first_line_rhymes: str = AUTO
    pattern: str = AUTO
    theme: str = ""
    style: str = ""
    temperature: float = 0.9
    top_k: int = 0
    top_p: float = 1.0
    particles: int = 32
    decoding: str = "particles"
    rank: bool = True
    model: str = ""
    seed: int | None = None

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Settings from what `asdict` made of them; what is missing or strange is the default."""
        known: dict[str, Any] = {}
        for each in fields(cls):
            value = record.get(each.name, each.default)
            default = each.default
            if isinstance(default, float) and isinstance(value, int | float):
                known[each.name] = float(value)
            elif default is None:
                known[each.name] = value if isinstance(value, int) and value >= 0 else None
            elif isinstance(default, str) and each.name == "at":
                known[each.name] = str(value)
            else:
                known[each.name] = value if type(value) is type(default) else default
        return cls(**known)


@dataclass(frozen=True)
class Draft:
    """A poem in the making.

    Attributes:
        id: Its name, never shown.
        heads: The heads as far as they are typed; `FREE` for a line without one.
        settings: How it is to be written.
        lines: What stands there, `FREE` where nothing does; empty before anything does.
        marks: The mark after each line.
        locked: The places that are not drawn again.
        kept: What was kept when it was drawn last; empty when all but the heads was drawn.
        seed: What it was drawn with last; None before it is drawn.
        written_by: The model that it was drawn with last.
        nats: That model's surprise at it, in nats a character; None once it was changed by hand.
        title: The title; empty: none.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(6))
    heads: str = ""
    settings: Settings = field(default_factory=Settings)
    lines: tuple[str, ...] = ()
    marks: str = ""
    locked: frozenset[Place] = frozenset()
    kept: tuple[str, ...] = ()
    seed: int | None = None
    written_by: str = ""
    nats: float | None = None
    title: str = ""

    @cached_property
    def request(self) -> Request:
        """What is asked for by heads and settings, without what is locked.

        Heads that are not typed yet are free places. More heads than lines are left as they are,
        for the request to complain of.

        Raises:
            TemplateError: A setting is none that there is.
        """
        asked: dict[str, Any] = {}
        if self.settings.form != "free":
            asked = {name: getattr(self.settings, name) for name in _RULES}
        request = acrostic_request(
            self.heads or FREE,
            self.settings.form,
            at=self.settings.at,
            line_length=self.settings.line_length if self.settings.form == "free" else None,
            theme=self.settings.theme or None,
            style=self.settings.style or None,
            **asked,
        )
        count = request.form.line_count
        # Four heads can stand in the odd lines of eight.
        wanted = 4 if count == 8 and len(request.heads) <= 4 else count
        return replace(request, heads=request.heads.ljust(wanted, FREE))

    @property
    def form(self) -> PoemForm:
        """The form."""
        return self.request.form

    @cached_property
    def head_places(self) -> dict[Place, int]:
        """Where the heads stand, and which of them: none while they cannot stand anywhere."""
        try:
            layout = self.request.layout()
        except TemplateError:
            return {}
        places = [
            (number, place)
            for number, line in enumerate(layout)
            for place, glyph in enumerate(line.glyphs)
            if glyph is not None
        ]
        typed = [number for number, head in enumerate(self.request.heads) if head != FREE]
        return dict(zip(places, typed, strict=True))

    @cached_property
    def rows(self) -> tuple[str, ...]:
        """What stands in each line, the heads among it; `FREE` where nothing does."""
        count, length = self.form.line_count, self.form.line_length
        rows = [list(line) for line in self.lines]
        if len(rows) != count or any(len(row) != length for row in rows):
            rows = [[FREE] * length for _ in range(count)]
        for (number, place), head in self.head_places.items():
            rows[number][place] = self.request.heads[head]
        return tuple(map("".join, rows))

    @property
    def shown_marks(self) -> str:
        """A mark for each row."""
        count = self.form.line_count
        return self.marks if len(self.marks) == count else default_marks(count)

    @property
    def is_whole(self) -> bool:
        """Whether no place is free."""
        return not any(FREE in row for row in self.rows)

    @property
    def is_empty(self) -> bool:
        """Whether nobody wrote anything yet."""
        return not self.heads and all(set(row) <= {FREE} for row in self.rows)

    def character(self, place: Place) -> str:
        """What stands at a place, `FREE` if nothing does."""
        return self.rows[place[0]][place[1]]

    def is_fixed(self, place: Place) -> bool:
        """Whether a place is not drawn again: a head, or locked."""
        return place in self.head_places or place in self.locked

    def drawing(self, scope: Scope = "all", place: Place = (0, 0)) -> Request:
        """What to ask of a model, to draw `scope` again and keep the rest.

        Raises:
            TemplateError: The heads cannot stand so, or nothing is left to draw.
        """
        kept = []
        for number, (row, mark) in enumerate(zip(self.rows, self.shown_marks, strict=True)):
            line = "".join(
                character if self._stays((number, i), scope, place) else FREE
                for i, character in enumerate(row)
            )
            kept.append(line + mark if FREE not in line and set(line) else line)
        if not any(set(line) - {FREE, *MARKS} for line in kept):
            kept = []
        return self._asking(tuple(kept))

    def open_at(self, place: Place) -> Request:
        """What to ask a model to find candidates for a place: all is kept but what stands there.

        Raises:
            TemplateError: The heads cannot stand so.
        """
        rows = [list(row) for row in self.rows]
        rows[place[0]][place[1]] = FREE
        kept = (
            "".join(row) + (mark if FREE not in row else "")
            for row, mark in zip(rows, self.shown_marks, strict=True)
        )
        request = replace(self.request, kept=tuple(kept))
        if place in self.head_places:
            heads = list(request.heads)
            heads[self.head_places[place]] = FREE
            request = replace(request, heads="".join(heads))
        request.layout()
        return request

    def again(self) -> Request:
        """What to ask of a model for the poem as it was drawn last.

        Raises:
            TemplateError: The heads cannot stand so.
        """
        return self._asking(self.kept)

    def _asking(self, kept: tuple[str, ...]) -> Request:
        request = replace(self.request, kept=kept)
        request.layout()
        return request

    def _stays(self, place: Place, scope: Scope, start: Place) -> bool:
        if self.is_fixed(place):
            return True
        if scope == "line":
            return place[0] != start[0]
        return scope == "rest" and place < start

    # Changes. Each gives another draft.

    def with_heads(self, heads: str) -> Draft:
        """With other heads; the rest of the poem stays where its shape does."""
        return self._reshaped(replace(self, heads="".join(heads.split())))

    def with_settings(self, **changes: Any) -> Draft:
        """With other settings; the poem stays where its shape does.

        Raises:
            TemplateError: A setting is none that there is; no draft can be so.
        """
        draft = replace(self, settings=replace(self.settings, **changes))
        draft.request  # noqa: B018 - to find what is wrong with it.
        return self._reshaped(draft)

    def _reshaped(self, draft: Draft) -> Draft:
        """A draft of other heads or settings, with what stood in this where it still can."""
        stands = self.lines or any(self.head_places)
        same = stands and (draft.form.line_count, draft.form.line_length) == (
            self.form.line_count,
            self.form.line_length,
        )
        if not same:
            return replace(draft, lines=(), marks="", locked=frozenset(), kept=(), nats=None)
        # A head that moved away takes its character along.
        rows = [list(row) for row in self.rows]
        for number, place in self.head_places:
            if (number, place) not in self.locked:
                rows[number][place] = FREE
        lines = tuple(map("".join, rows))
        changed = replace(draft, lines=lines)
        return changed if changed.rows == self.rows else replace(changed, nats=None)

    def after(self, place: Place, steps: int = 1) -> Place:
        """The place some steps further on, or back, through all lines; the last or the first."""
        length = self.form.line_length
        index = place[0] * length + place[1] + steps
        return divmod(min(max(index, 0), self.form.line_count * length - 1), length)

    def put(self, place: Place, text: str) -> Draft:
        """With Chinese characters of one's own, from a place on, locked there.

        In the place of a head they change the head. What finds no room is left out.

        Raises:
            PoetgenError: Something in the text is not Chinese.
        """
        for character in text:
            if not is_han(character):
                raise PoetgenError(f"{character} is not a Chinese character")
        length = self.form.line_length
        start = place[0] * length + place[1]
        poem = list("".join(self.rows))
        text = text[: len(poem) - start]
        poem[start : start + len(text)] = text
        places = [self.after(place, i) for i in range(len(text))]
        heads = list(self.request.heads)
        for here, character in zip(places, text, strict=True):
            if here in self.head_places:
                heads[self.head_places[here]] = character
        rows = ["".join(poem[i : i + length]) for i in range(0, len(poem), length)]
        changed_heads = "".join(heads).rstrip(FREE) if self.heads else ""
        return replace(
            self,
            heads=changed_heads,
            lines=tuple(rows),
            marks=self.shown_marks,
            locked=self.locked | {here for here in places if here not in self.head_places},
            nats=None,
        )

    def cleared(self, places: Iterable[Place]) -> Draft:
        """With nothing in these places but the heads."""
        rows = [list(row) for row in self.rows]
        gone = {place for place in places if place not in self.head_places}
        for number, place in gone:
            rows[number][place] = FREE
        return replace(self, lines=tuple(map("".join, rows)), locked=self.locked - gone, nats=None)

    def with_lock(self, places: Iterable[Place]) -> Draft:
        """With these places locked; unlocked, if they all were. Heads and free ones are passed."""
        here = {
            place
            for place in places
            if place not in self.head_places and self.character(place) != FREE
        }
        return replace(
            self, locked=self.locked - here if here <= self.locked else self.locked | here
        )

    def with_title(self, title: str) -> Draft:
        """With another title."""
        return replace(self, title=title)

    def line_places(self, number: int) -> list[Place]:
        """All places of a line."""
        return [(number, place) for place in range(self.form.line_length)]

    def drawn(
        self, request: Request, lines: tuple[str, ...], marks: str, seed: int, by: str, nats: float
    ) -> Draft:
        """With the poem that a model wrote for a request."""
        return replace(
            self,
            lines=lines,
            marks=marks,
            kept=request.kept,
            seed=seed,
            written_by=by,
            nats=nats,
        )

    def copy(self, **changes: Any) -> Draft:
        """Another draft that begins as this one."""
        return replace(self, id=secrets.token_hex(6), **changes)

    # On disk.

    def to_json(self) -> dict[str, Any]:
        """The draft as an object of JSON."""
        return {
            **{each.name: getattr(self, each.name) for each in fields(self)},
            "settings": asdict(self.settings),
            "lines": list(self.lines),
            "kept": list(self.kept),
            "locked": sorted(map(list, self.locked)),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The draft that an object of JSON holds.

        Raises:
            PoetgenError: It holds none.
        """
        try:
            draft = cls(
                id=str(record["id"]),
                heads=str(record["heads"]),
                settings=Settings.from_json(record["settings"]),
                lines=tuple(map(str, record["lines"])),
                marks=str(record["marks"]),
                locked=frozenset((int(line), int(place)) for line, place in record["locked"]),
                kept=tuple(map(str, record.get("kept", ()))),
                seed=record.get("seed"),
                written_by=str(record.get("written_by", "")),
                nats=record.get("nats"),
                title=str(record.get("title", "")),
            )
            for place in draft.locked:
                draft.character(place)  # Is there such a place?
            draft.rows  # noqa: B018 - to find what is wrong with it.
        except (LookupError, TypeError, ValueError, AttributeError, PoetgenError) as error:
            raise PoetgenError(f"a draft on disk is damaged: {error}") from error
        return draft


def judged(draft: Draft) -> bool:
    """Whether the rules of regular verse are for a draft's form."""
    return is_regular(draft.form)
