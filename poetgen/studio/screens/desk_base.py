"""What the parts of the main screen have in common: the draft at hand, and how to say something.

The main screen is one class in four rooms, by what a person does: `desk_drawing` has models write,
`desk_editing` changes drafts by hand, `desk_keeping` saves and exports, and `desk` shows it all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.screen import Screen
from textual.widgets import Static

from poetgen.errors import PoetgenError
from poetgen.studio.drafts import Draft, Scope
from poetgen.studio.session import Session
from poetgen.studio.widgets.grid import PoemGrid
from poetgen.studio.workers import Shelf, Workshop
from poetgen.writing.request import Request

if TYPE_CHECKING:
    from poetgen.book.store import Book
    from poetgen.studio.screens.side_by_side import SideBySide


class DeskBase(Screen[None]):
    """What every part of the main screen knows.

    Args:
        session: The drafts.
        shelf: The models.
        book: The poem book.
        keep: Called after every change, to keep the drafts.
    """

    def __init__(
        self, session: Session, shelf: Shelf, book: Book, keep: Callable[[], None]
    ) -> None:
        super().__init__()
        self.session = session
        self.shelf = shelf
        self.book = book
        self.keep = keep
        self.workshop = Workshop(shelf, self)
        self._told: dict[str, Text] = {}
        self.trouble = ""
        """What stays wrong until it is mended: drafts that cannot be kept."""
        self.so_far: dict[str, tuple[Request, str]] = {}
        """For each draft that is being drawn, what was asked, and what is written so far."""
        self.side: SideBySide | None = None
        """The drafts side by side, while they are over this screen."""

    @property
    def draft(self) -> Draft:
        """The draft that is looked at."""
        return self.session.draft

    @property
    def grid(self) -> PoemGrid:
        """The poem."""
        return self.query_one(PoemGrid)

    def say(self, message: str, bad: bool = False) -> None:
        """Say something at the foot of the screen, until something else is said."""
        text = f"! {message}" if bad else message
        self.tell("#status", Text(text, "bold" if bad else ""), layout=True)

    def tell(self, selector: str, text: Text, layout: bool = False) -> None:
        """Show a text in a part of the screen. `layout`: its size may change with it."""
        if self._told.get(selector) != text:
            self._told[selector] = text
            self.query_one(selector, Static).update(text, layout=layout)

    def complain(self, error: PoetgenError) -> None:
        """Say what went wrong, and what to do about it."""
        self.say(f"{error.message}. {error.hint}" if error.hint else error.message, bad=True)

    def change(self, draft: Draft, what: str, topic: str = "") -> None:
        """Put a changed draft in its place, where undo can take it back."""
        self.session.change(draft, what, topic)

    def show(self) -> None:
        """Show everything as it is now."""
        raise NotImplementedError

    def show_poem(self) -> None:
        """Show the poem, and what the judge says of it, as they are now."""
        raise NotImplementedError

    def show_title(self) -> None:
        """Show the state of the model, and what is wrong."""
        raise NotImplementedError

    def action_draw(self, scope: Scope) -> None:
        """Draw what is not locked: of the whole poem, of the line, or from the cursor on."""
        raise NotImplementedError

    def ask_soon(self) -> None:
        """Ask the model about the draft and the place, once no key has been pressed for a while."""
        raise NotImplementedError

    def set(self, **changes: Any) -> None:
        """Change settings of the draft."""
        raise NotImplementedError
