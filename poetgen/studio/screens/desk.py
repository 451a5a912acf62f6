"""The main screen: one draft, all that one can do with it, and what there is to know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, ScrollableContainer, Vertical
from textual.widgets import Footer, Input, Static

from poetgen.studio.drafts import Draft
from poetgen.studio.judging import Judgement, judge_draft, not_yet_judged
from poetgen.studio.screens.desk_drawing import DrawingActions
from poetgen.studio.screens.desk_editing import EditingActions
from poetgen.studio.screens.desk_keeping import KeepingActions
from poetgen.studio.screens.dialogs import HelpDialog
from poetgen.studio.screens.side_by_side import Column
from poetgen.studio.session import Session
from poetgen.studio.text import ACTIONS, LEGEND, shown_key
from poetgen.studio.widgets.bars import DraftsBar, HeadsInput, SettingsLine
from poetgen.studio.widgets.grid import Page, PoemGrid
from poetgen.studio.widgets.panels import CandidateList, CheckPanel
from poetgen.studio.workers import Shelf
from poetgen.writing.request import FREE

if TYPE_CHECKING:
    from poetgen.book.store import Book


def _bindings() -> Iterator[BindingType]:
    for action in ACTIONS:
        yield Binding(
            ",".join(action.keys),
            action.name,
            action.brief or action.title,
            show=bool(action.brief),
            key_display=shown_key(action.keys[0]),
        )
    for number in range(1, 10):
        yield Binding(str(number), f"take({number})", show=False)


class Desk(DrawingActions, EditingActions, KeepingActions):
    """The main screen."""

    CSS_PATH = "desk.tcss"
    BINDINGS: ClassVar[list[BindingType]] = list(_bindings())

    def __init__(
        self, session: Session, shelf: Shelf, book: Book, keep: Callable[[], None]
    ) -> None:
        super().__init__(session, shelf, book, keep)
        self._shown: Draft | None = None

    def compose(self) -> ComposeResult:
        yield Static("", id="title", markup=False)
        yield DraftsBar()
        with Horizontal(id="asked"):
            yield Static("heads ", classes="title", markup=False)
            yield HeadsInput(
                placeholder="春夏秋冬", id="heads", compact=True, select_on_focus=False
            )
            yield SettingsLine()
        yield Static("", id="outlook", markup=False)
        with Horizontal(id="work"):
            with Vertical(id="page"):
                with ScrollableContainer(id="scroll", can_focus=False):
                    yield PoemGrid(id="poem")
                yield Static(LEGEND, id="legend", markup=False)
            with Vertical(id="side"):
                yield CandidateList()
                yield CheckPanel()
        yield Static("", id="status", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.session.changed = self.show
        self.query_one("#heads" if self.draft.is_empty else "#poem").focus()
        self.show()

    def on_resize(self) -> None:
        for grid in self.query(PoemGrid):
            grid.call_after_refresh(grid.show_cursor)
        for bar in self.query(DraftsBar):
            bar.show(self.session.state, self.size.width)

    # Showing.

    def show(self) -> None:
        """Show the current draft as it is now, and keep all of them."""
        draft = self.draft
        self.stop_what_is_stale()
        self.keep()
        self.load(draft.settings.model)
        self.show_title()
        self.query_one(DraftsBar).show(self.session.state, self.size.width)
        heads = self.query_one(HeadsInput)
        if "".join(heads.value.split()) != draft.heads:
            with heads.prevent(Input.Changed):
                heads.value = draft.heads
        self.query_one(SettingsLine).show(draft.settings)
        self.show_poem()
        if draft is not self._shown:
            self._shown = draft
            self.ask_soon()

    def show_poem(self) -> None:
        judgement = self._judged(self.draft)
        self.grid.page = self.page_of(self.draft, judgement)
        self.query_one(CheckPanel).show(judgement)
        if self.side is not None:
            self.side.show()

    def _as_shown(self, draft: Draft) -> Draft:
        """The draft with what is drawn of it so far."""
        if draft.id not in self.so_far:
            return draft
        request, text = self.so_far[draft.id]
        rows = ["".join(glyph or FREE for glyph in line.glyphs) for line in request.layout()]
        step = request.form.line_length + 1
        for number, row in enumerate(rows):
            written = text[number * step : (number + 1) * step - 1]
            rows[number] = written + row[len(written) :]
        return replace(draft, lines=tuple(rows))

    def _judged(self, draft: Draft) -> Judgement:
        if draft.id in self.so_far:
            return not_yet_judged(self._as_shown(draft))
        return judge_draft(draft)

    def page_of(self, draft: Draft, judgement: Judgement) -> Page:
        """A draft as the grid shows it."""
        draft = self._as_shown(draft)
        return Page(
            draft.rows,
            draft.shown_marks,
            judgement.tones,
            judgement.feet,
            frozenset(draft.head_places),
            draft.locked,
            judgement.faults,
        )

    def columns(self) -> list[Column]:
        """The drafts as columns."""
        found = []
        for draft in self.session.drafts:
            judgement = self._judged(draft)
            model = draft.written_by or self.shelf.name_of(draft.settings.model) or "model"
            found.append(Column(draft, self.page_of(draft, judgement), model, judgement.summary))
        return found

    def show_title(self) -> None:
        model = self.draft.settings.model
        name = self.shelf.name_of(model) or "the model"
        if self.shelf.ready(model):
            state = f"{name}: {'writing …' if self.so_far else 'ready'}"
        else:
            state = f"{name}: {self.troubles.get(model, 'loading …')}"
        text = Text("poetgen studio 藏头诗   ", "bold")
        text.append(state, "")
        if self.trouble:
            text.append(f"   ! {self.trouble}", "bold")
        self.tell("#title", text)

    # The studio.

    def action_help(self) -> None:
        """Show every action and its keys."""

        async def do(name: str | None) -> None:
            if name is not None:
                await self.run_action(name)

        self.app.push_screen(HelpDialog(), do)

    def action_dark(self) -> None:
        """Dark or light."""
        self.app.theme = "textual-light" if self.app.current_theme.dark else "textual-dark"

    async def action_leave(self) -> None:
        """Leave."""
        await self.app.action_quit()
