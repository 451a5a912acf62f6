"""The drafts in columns, with who wrote them and what the judge says: for choosing one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import HorizontalScroll, Vertical
from textual.events import Click
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Label, Static

from poetgen.studio.drafts import Draft
from poetgen.studio.widgets.grid import Page
from poetgen.writing.request import FREE


@dataclass(frozen=True, slots=True)
class Column:
    """A draft as a column shows it.

    Attributes:
        draft: The draft.
        page: What stands in it now, though it be half drawn.
        model: Who wrote it or is to write it.
        summary: What the judge says.
    """

    draft: Draft
    page: Page
    model: str
    summary: str


class SideBySide(Screen[int]):
    """The drafts side by side; gives the number of the one that was chosen.

    Args:
        columns: Gives the columns as they are now.
        current: The one to begin at.
        draw: Draws all of them again.
    """

    DEFAULT_CSS = """
    SideBySide HorizontalScroll { height: 1fr; }
    SideBySide DraftColumn { width: 26; height: 100%; padding: 0 1; overflow-y: auto; }
    SideBySide DraftColumn.-chosen { background: $boost; border-left: thick $accent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "choose(-1)", "left"),
        Binding("right", "choose(1)", "right"),
        Binding("enter", "take", "work on it"),
        Binding("d", "draw", "draw all with one seed"),
        Binding("escape,v,f6,q", "leave", "back", key_display="esc"),
    ]

    def __init__(
        self, columns: Callable[[], Sequence[Column]], current: int, draw: Callable[[], None]
    ) -> None:
        super().__init__()
        self._columns, self._chosen, self._draw = columns, current, draw

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label("Drafts side by side", classes="title")
            with HorizontalScroll(can_focus=False):
                for number, _ in enumerate(self._columns()):
                    yield DraftColumn(number)
        yield Footer()

    def on_mount(self) -> None:
        self.show()

    def show(self) -> None:
        """Show the columns as they are now."""
        for widget, column in zip(self.query(DraftColumn), self._columns(), strict=False):
            widget.show(column, widget.number == self._chosen)

    def action_choose(self, step: int) -> None:
        """Go to another column."""
        columns = self.query(DraftColumn)
        self._chosen = (self._chosen + step) % len(columns)
        columns[self._chosen].scroll_visible(animate=False)
        self.show()

    def action_take(self) -> None:
        """Go back, to the chosen draft."""
        self.dismiss(self._chosen)

    def action_leave(self) -> None:
        """Go back, to the draft that one came from."""
        self.dismiss(None)

    def action_draw(self) -> None:
        """Draw all of them again, with one seed."""
        self._draw()

    def on_draft_column_picked(self, event: DraftColumn.Picked) -> None:
        self._chosen = event.number
        self.show()
        if event.twice:
            self.action_take()


class DraftColumn(Static):
    """A draft in a column."""

    class Picked(Message):
        """The column was clicked, once or twice."""

        def __init__(self, number: int, twice: bool) -> None:
            super().__init__()
            self.number, self.twice = number, twice

    def __init__(self, number: int) -> None:
        super().__init__("", markup=False)
        self.number = number

    def show(self, column: Column, chosen: bool) -> None:
        """Show a draft."""
        self.set_class(chosen, "-chosen")
        draft, page = column.draft, column.page
        text = Text()
        sign = ">" if chosen else " "
        text.append(f"{sign}{self.number + 1} {column.model}\n", "bold")
        text.append(f" {draft.form.name} {draft.title or draft.heads}\n\n")
        for number, (row, mark) in enumerate(zip(page.rows, page.marks, strict=True)):
            text.append(" ")
            for place, character in enumerate(row):
                here = (number, place)
                style = "bold underline" if here in page.heads else ""
                style = "bold reverse" if here in page.faults else style
                text.append("＿" if character == FREE else character, style)
            text.append(f"{mark}\n")
        text.append(f"\n{column.summary}\n")
        if draft.nats is not None:
            text.append(f"{draft.nats:.2f} nats a character\n", "dim")
        if draft.seed is not None:
            text.append(f"seed {draft.seed}\n", "dim")
        self.update(text)

    def on_click(self, event: Click) -> None:
        self.post_message(self.Picked(self.number, event.chain == 2))
