"""The poem book: what was kept, searched while one types, and one poem in full beside the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from poetgen.errors import PoetgenError
from poetgen.studio.screens.dialogs import Dialog

if TYPE_CHECKING:
    from poetgen.book.store import Book, BookEntry


class BookDialog(Dialog["BookEntry"]):
    """Looks for a poem of the book: enter or a click reopens it."""

    DEFAULT_CSS = """
    BookDialog > Vertical { width: 100%; height: 100%; }
    BookDialog #shelf { height: 1fr; }
    BookDialog OptionList { width: 1fr; height: 100%; max-height: 100%; }
    BookDialog #page { width: 34; height: 100%; padding: 0 1; overflow-y: auto; }
    """

    def __init__(self, book: Book) -> None:
        super().__init__()
        self._book = book
        self._found: list[BookEntry] = []

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label("The poem book: type to search, enter reopens, esc leaves", classes="title")
            yield Input(placeholder="heads, verse, title, model …", compact=True)
            with Horizontal(id="shelf"):
                yield OptionList(markup=False)
                yield Static("", id="page", markup=False)
            yield Static("", classes="problem", markup=False)

    def on_mount(self) -> None:
        self._search("")
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._search(event.value)

    def on_input_submitted(self) -> None:
        listing = self.query_one(OptionList)
        if listing.highlighted is not None:
            listing.action_select()

    def on_key(self, event: object) -> None:
        key = getattr(event, "key", "")
        if key in ("down", "up") and isinstance(self.focused, Input):
            listing = self.query_one(OptionList)
            listing.focus()
            if key == "down":
                listing.action_cursor_down()
            else:
                listing.action_cursor_up()

    def _search(self, text: str) -> None:
        problem = ""
        try:
            if text.strip():
                self._found = self._book.search(text)[::-1]
            else:
                contents = self._book.read()
                self._found = contents.entries[::-1]
                problem = "; ".join(contents.problems[:2])
        except PoetgenError as error:
            self._found, problem = [], error.message
        self.refuse(problem)
        listing = self.query_one(OptionList)
        listing.set_options(
            Option(Text(_row(entry), no_wrap=True, overflow="ellipsis"), id=entry.id)
            for entry in self._found
        )
        if self._found:
            listing.highlighted = 0
            self._show(self._found[0])
        else:
            self.query_one("#page", Static).update(
                Text("nothing is found" if text.strip() else "nothing is kept yet")
            )

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_index < len(self._found):
            self._show(self._found[event.option_index])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._found[event.option_index])

    def _show(self, entry: BookEntry) -> None:
        text = Text()
        if entry.title:
            text.append(entry.title + "\n", "bold")
        for line, mark in zip(entry.lines, entry.marks, strict=True):
            text.append(f"{line}{mark}\n")
        facts = (entry.form, entry.model, f"seed {entry.seed}", entry.saved_at[:16], entry.note)
        text.append("\n" + "\n".join(fact for fact in facts if fact), "dim")
        self.query_one("#page", Static).update(text)


def _row(entry: BookEntry) -> str:
    name = entry.title or entry.heads or entry.lines[0]
    return f"{entry.saved_at[:10]} {entry.form} {name}  {entry.lines[0]}"
