"""The studio as an application: begins with the drafts of the last time, ends with all kept."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult, SystemCommand
from textual.containers import Center, Middle
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from poetgen.studio.keeping import Found, Keeper
from poetgen.studio.screens.desk import Desk
from poetgen.studio.session import Session
from poetgen.studio.text import ACTIONS, TOO_SMALL
from poetgen.studio.workers import Shelf

if TYPE_CHECKING:
    from poetgen.book.store import Book

LEAST_WIDTH, LEAST_HEIGHT = 60, 18
"""The smallest terminal in which everything has its place."""

DARK, LIGHT = "textual-dark", "textual-light"


class TooSmall(ModalScreen[None]):
    """Stands over everything while the terminal is too small."""

    DEFAULT_CSS = "TooSmall { background: $surface; } TooSmall Static { text-align: center; }"

    def compose(self) -> ComposeResult:
        with Middle(), Center():
            yield Static("", markup=False)

    def on_mount(self) -> None:
        self.on_resize()

    def on_resize(self) -> None:
        width, height = self.app.size
        text = TOO_SMALL.format(
            width=width, height=height, least_width=LEAST_WIDTH, least_height=LEAST_HEIGHT
        )
        self.query_one(Static).update(Text(text))


class Studio(App[None]):
    """The studio.

    Args:
        model: The model to begin with; empty: the one that `Poet.load` takes by itself.
        shelf: The models; None: those of this machine.
        drafts: The folder that drafts are kept in; None: the one of the data folder.
        book: The poem book; None: the one of the data folder.
    """

    TITLE = "poetgen studio"
    HORIZONTAL_BREAKPOINTS = [(0, "-small"), (80, "-usual"), (110, "-wide")]  # noqa: RUF012

    def __init__(
        self,
        model: str = "",
        *,
        shelf: Shelf | None = None,
        drafts: Path | None = None,
        book: Book | None = None,
    ) -> None:
        super().__init__()
        self._model = model
        self._shelf = shelf or Shelf()
        self._book = book
        self._keeper = Keeper(drafts, self._keeping_told)
        self._found = Found()
        self.desk: Desk | None = None

    def on_mount(self) -> None:
        from poetgen.book.store import Book

        # The drawing thread lets this one have its turn sooner than after Python's 5 ms: the
        # median from a key to the screen falls from 36 ms to 29 while a poem is being drawn.
        sys.setswitchinterval(0.001)
        self._found = self._keeper.open()
        if self._found.theme in (DARK, LIGHT):
            self.theme = self._found.theme
        session = Session(self._found.drafts, self._found.current)
        if self._model:
            draft = session.draft
            session = Session(
                [
                    each.with_settings(model=self._model) if each is draft else each
                    for each in session.drafts
                ],
                session.state.current,
            )
        self.desk = Desk(session, self._shelf, self._book or Book(), self._keep)
        self.desk.trouble = "; ".join(self._found.problems)
        self.push_screen(self.desk)
        self.theme_changed_signal.subscribe(self, lambda _: self._keep())

    def _keep(self) -> None:
        if self.desk is not None:
            self._keeper.keep(self.desk.session.state, self.theme)

    def _keeping_told(self, trouble: str) -> None:
        """Called by the keeper's thread."""
        self.call_later(partial(self._show_trouble, trouble))

    def _show_trouble(self, trouble: str) -> None:
        if self.desk is not None:
            self.desk.trouble = trouble
            if self.desk.is_mounted:
                self.desk.show_title()

    def on_resize(self, event: events.Resize) -> None:
        small = event.size.width < LEAST_WIDTH or event.size.height < LEAST_HEIGHT
        if small and not isinstance(self.screen, TooSmall):
            self.push_screen(TooSmall())
        elif not small and isinstance(self.screen, TooSmall):
            self.pop_screen()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        if self.desk is not None and screen is self.desk:
            for action in ACTIONS:
                do = partial(self.desk.run_action, action.name)
                yield SystemCommand(action.title, f"{action.group}: {action.keys[0]}", do)

    async def action_quit(self) -> None:
        """Leave, once everything is kept."""
        if self.desk is not None:
            self.desk.workshop.stop()
        self._keep()
        self.exit()

    def end(self) -> str:
        """Keep what waits to be kept and let go of the file; to be called when it has run.

        Returns:
            What could not be kept, or "".
        """
        return self._keeper.close()
