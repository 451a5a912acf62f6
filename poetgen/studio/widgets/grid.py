"""The poem, a character a cell, with a cursor; under each character its tone and what it is.

    1 [春] 风  又  绿  江  南  岸 ，
      =平  平  仄 *仄  平  平  仄

Everything is told twice, by style and by a sign: a head is bold and underlined and has `=`, a
locked character `*`, a fault `!`, the cursor stands in brackets. The signs are ASCII or Chinese,
since a terminal may take others for one cell or for two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from poetgen.studio.drafts import Place
from poetgen.verse.poem import is_han
from poetgen.writing.request import FREE

_CELL = 4
_GUTTER = 4
_OPEN = "＿"


@dataclass(frozen=True, slots=True)
class Page:
    """What the grid shows.

    Attributes:
        rows: The lines, `FREE` where nothing stands.
        marks: The mark after each.
        tones: The tone of each place.
        feet: The lines that rhyme, from 0.
        heads, locked, faults: The places that are so.
    """

    rows: tuple[str, ...] = ()
    marks: str = ""
    tones: tuple[str, ...] = ()
    feet: tuple[int, ...] = ()
    heads: frozenset[Place] = frozenset()
    locked: frozenset[Place] = frozenset()
    faults: frozenset[Place] = frozenset()


class PoemGrid(Widget, can_focus=True):
    """A poem that one can walk about in and write into."""

    DEFAULT_CSS = """
    PoemGrid { width: auto; height: auto; }
    PoemGrid > .grid--head { text-style: bold underline; color: $text-accent; }
    PoemGrid > .grid--locked { text-style: bold; color: $text-primary; }
    PoemGrid > .grid--fault { text-style: bold; color: $text-error; }
    PoemGrid > .grid--level { color: $text-success; }
    PoemGrid > .grid--oblique { color: $text-warning; }
    PoemGrid > .grid--faint { color: $text-muted; }
    PoemGrid > .grid--cursor { text-style: bold reverse; }
    PoemGrid > .grid--here { text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "grid--head",
        "grid--locked",
        "grid--fault",
        "grid--level",
        "grid--oblique",
        "grid--faint",
        "grid--cursor",
        "grid--here",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(0, -1)", show=False),
        Binding("right", "move(0, 1)", show=False),
        Binding("up", "move(-1, 0)", show=False),
        Binding("down", "move(1, 0)", show=False),
        Binding("home", "edge(0)", show=False),
        Binding("end", "edge(-1)", show=False),
        Binding("ctrl+home", "corner(0)", show=False),
        Binding("ctrl+end", "corner(-1)", show=False),
    ]

    page: reactive[Page] = reactive(Page())
    cursor: reactive[Place] = reactive((0, 0))

    def __init__(self, id: str | None = None) -> None:
        self._looks: dict[tuple[str, ...], Style] = {}
        super().__init__(id=id)

    class Moved(Message):
        """The cursor moved."""

    class Typed(Message):
        """Chinese characters were typed or pasted at the cursor."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Locked(Message):
        """The character at the cursor is to be locked, or let go."""

    def get_content_width(self, container: Size, viewport: Size) -> int:
        longest = max((len(row) for row in self.page.rows), default=0)
        return _GUTTER + _CELL * longest + 3

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return 2 * len(self.page.rows)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._looks.clear()

    def _look(self, *parts: str) -> Style:
        """The style of some parts, each over those before it.

        Textual works a style out anew at every question, which for each cell of a poem would take
        longer than all else that a key brings about.
        """
        if parts not in self._looks:
            look = self.rich_style
            for part in parts:
                look += self.get_component_rich_style(f"grid--{part}", partial=True)
            self._looks[parts] = look
        return self._looks[parts]

    def render_line(self, y: int) -> Strip:
        number = y // 2
        if number >= len(self.page.rows):
            return Strip.blank(self.size.width, self._look())
        segments = self._tones(number) if y % 2 else self._characters(number)
        return Strip(segments).adjust_cell_length(self.size.width, self._look())

    def _characters(self, number: int) -> list[Segment]:
        page = self.page
        here = self.cursor[0] == number
        segments = [Segment(f"{number + 1:>3} ", self._look(*([] if here else ["faint"])))]
        for place, character in enumerate(page.rows[number]):
            is_cursor = (number, place) == self.cursor
            parts = self._parts((number, place), character)
            if is_cursor and self.has_focus:
                parts.append("cursor")
            left, right = "[]" if is_cursor else "  "
            bracket = self._look("here") if is_cursor else self._look()
            shown = _OPEN if character == FREE else character
            segments += [
                Segment(left, bracket),
                Segment(shown, self._look(*parts)),
                Segment(right, bracket),
            ]
        return [*segments, Segment(page.marks[number], self._look("faint"))]

    def _tones(self, number: int) -> list[Segment]:
        page = self.page
        segments = [Segment(" " * _GUTTER, self._look())]
        for place in range(len(page.rows[number])):
            here = (number, place)
            tone = page.tones[number][place] if number < len(page.tones) else " "
            sign = "=" if here in page.heads else "*" if here in page.locked else " "
            segments += [
                Segment(sign, self._look("here")),
                Segment(
                    "  " if tone == " " else tone,
                    self._look({"平": "level", "仄": "oblique"}.get(tone, "faint")),
                ),
                Segment("!" if here in page.faults else " ", self._look("fault")),
            ]
        rhymes = "韵" if number in page.feet else "  "
        return [*segments, Segment(rhymes, self._look("level"))]

    def _parts(self, place: Place, character: str) -> list[str]:
        if character == FREE:
            return ["faint"]
        parts = []
        if place in self.page.faults:
            parts.append("fault")
        elif place in self.page.locked:
            parts.append("locked")
        if place in self.page.heads:
            parts.append("head")
        return parts

    # Moving.

    def validate_cursor(self, cursor: Place) -> Place:
        rows = self.page.rows
        if not rows:
            return (0, 0)
        line = min(max(cursor[0], 0), len(rows) - 1)
        return line, min(max(cursor[1], 0), len(rows[line]) - 1)

    def watch_page(self, before: Page, page: Page) -> None:
        self.cursor = self.validate_cursor(self.cursor)
        if [*map(len, before.rows)] != [*map(len, page.rows)]:
            self.refresh(layout=True)

    def watch_cursor(self) -> None:
        self.post_message(self.Moved())
        self.call_after_refresh(self.show_cursor)

    def show_cursor(self) -> None:
        """Scroll to the cursor."""
        if self.parent is not None and isinstance(self.parent, Widget):
            line, place = self.cursor
            cell = Region(_GUTTER + _CELL * place, 2 * line, _CELL + 3, 2)
            self.parent.scroll_to_region(cell, animate=False)

    def action_move(self, lines: int, places: int) -> None:
        """Move the cursor; past the end of a line it goes on in the next."""
        line, place = self.cursor[0] + lines, self.cursor[1] + places
        rows = self.page.rows
        if rows and place >= len(rows[self.cursor[0]]) and line < len(rows) - 1:
            line, place = line + 1, 0
        elif place < 0 < line:
            line, place = line - 1, len(rows[line - 1]) - 1
        self.cursor = (line, place)

    def action_edge(self, place: int) -> None:
        """Move to the first or the last character of the line."""
        line = self.cursor[0]
        self.cursor = (line, 0 if place == 0 else len(self.page.rows[line]) - 1)

    def action_corner(self, place: int) -> None:
        """Move to the first or the last character of the poem."""
        last = len(self.page.rows) - 1
        self.cursor = (0, 0) if place == 0 else (last, len(self.page.rows[last]) - 1)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or not self.page.rows:
            return
        self.cursor = (offset.y // 2, (offset.x - _GUTTER) // _CELL)
        if event.chain == 2:
            self.post_message(self.Locked())

    # Writing.

    def on_key(self, event: events.Key) -> None:
        if event.character and is_han(event.character):
            event.stop()
            self.post_message(self.Typed(event.character))

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        text = chinese(event.text)
        if text:
            self.post_message(self.Typed(text))

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()


def chinese(text: Iterable[str]) -> str:
    """The Chinese characters of a text."""
    return "".join(filter(is_han, text))
