"""Having models write: which one, what of the poem, and what they know of a place."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.timer import Timer

from poetgen.errors import PoetgenError
from poetgen.studio.drafts import Draft, Scope
from poetgen.studio.screens.desk_base import DeskBase
from poetgen.studio.screens.dialogs import CompareDialog, ModelDialog
from poetgen.studio.screens.side_by_side import Column, SideBySide
from poetgen.studio.session import Session
from poetgen.studio.widgets.bars import outlook_text
from poetgen.studio.widgets.panels import CandidateList
from poetgen.studio.workers import (
    Answered,
    Drawing,
    Drawn,
    Loaded,
    ModelInfo,
    Question,
    Shelf,
    Written,
)
from poetgen.writing.request import FREE, Request

if TYPE_CHECKING:
    from poetgen.book.store import Book
    from poetgen.writing.aims import Outlook

_PAUSE = 0.12
"""Seconds without a key before the model is asked who may stand at the cursor."""

_SEEDS = 1_000_000
"""How many seeds are drawn from: enough to differ, short enough to read."""


class DrawingActions(DeskBase):
    """The actions that have models write."""

    def __init__(
        self, session: Session, shelf: Shelf, book: Book, keep: Callable[[], None]
    ) -> None:
        super().__init__(session, shelf, book, keep)
        self.troubles: dict[str, str] = {}
        """For each model that cannot be had, why, in a word."""
        self._loading: set[str] = set()
        self._drawn_from: dict[str, Draft] = {}  # What each was when its drawing began.
        self._question: Question | None = None
        self._pause: Timer | None = None

    # Models.

    def load(self, model: str, again: bool = False) -> None:
        """Load a model in the background, unless it is there or is known not to be."""
        known = self.shelf.ready(model) or model in self._loading
        if not known and (again or model not in self.troubles):
            self.troubles.pop(model, None)
            self._loading.add(model)
            self.workshop.load(model)

    def on_loaded(self, message: Loaded) -> None:
        self._loading.discard(message.model)
        if message.error is not None:
            self.troubles[message.model] = "not there"
            self.complain(message.error)
        self.show_title()
        self.ask_soon()

    def action_model(self) -> None:
        """Choose another model for this draft."""

        def take(name: str | None) -> None:
            if name is not None:
                self.load(name, again=True)
                self.set(model=name)

        self.app.push_screen(ModelDialog(self._models(), self._model_name()), take)

    def action_compare(self) -> None:
        """Have several models write this draft, and see the poems side by side."""
        models = self._models()
        cells: dict[str, str] = {}  # One model of each cell, the current one first.
        for each in sorted(models, key=lambda model: model.name != self._model_name()):
            if each.usable:
                cells.setdefault(each.about, each.name)

        def take(names: list[str] | None) -> None:
            if names:
                draft = self.draft
                copies = [
                    draft.with_settings(model=name).copy(seed=None, nats=None, written_by="")
                    for name in names
                ]
                self.session.add(copies, "compare")
                self._draw(copies, "all")
                self.action_side_by_side()

        self.app.push_screen(CompareDialog(models, list(cells.values())), take)

    def _models(self) -> list[ModelInfo]:
        try:
            return self.shelf.there_are()
        except (PoetgenError, OSError) as error:
            self.say(f"the models cannot be listed: {error}", bad=True)
            return []

    def _model_name(self) -> str:
        return self.shelf.name_of(self.draft.settings.model)

    # Drawing.

    def action_draw(self, scope: Scope) -> None:
        """Draw what is not locked: of the whole poem, of the line, or from the cursor on."""
        self._draw([self.draft], scope)

    def action_again(self) -> None:
        """Draw with the seed and what was kept as they were the last time."""
        draft = self.draft
        if draft.seed is None:
            self.say("it was not drawn yet")
        else:
            self._draw([draft], "all", Draft.again, draft.seed)

    def draw_all(self) -> None:
        """Draw all drafts, with one seed."""
        self._draw(self.session.drafts, "all")

    def _draw(
        self,
        drafts: Sequence[Draft],
        scope: Scope,
        ask: Callable[[Draft], Request] | None = None,
        seed: int | None = None,
    ) -> None:
        """Draw drafts, all with the same seed."""
        fresh = secrets.randbelow(_SEEDS) if seed is None else seed
        drawings = []
        for draft in drafts:
            settings = draft.settings
            try:
                request = ask(draft) if ask else draft.drawing(scope, self.grid.cursor)
            except PoetgenError as error:
                self.complain(error)
                continue
            fixed = settings.seed is not None and seed is None
            drawings.append(
                Drawing(
                    draft.id,
                    request,
                    settings,
                    settings.seed if fixed and settings.seed is not None else fresh,
                )
            )
        if not drawings:
            return
        self._drawn_from = {
            draft.id: draft for draft in drafts if any(d.draft == draft.id for d in drawings)
        }
        self.so_far = {drawing.draft: (drawing.request, "") for drawing in drawings}
        self.say("writing … esc stops")
        self.workshop.draw(drawings)
        self.show_title()
        self.show_poem()

    def on_written(self, message: Written) -> None:
        if self._is_current(message.drawing):
            request, text = self.so_far[message.drawing.draft]
            self.so_far[message.drawing.draft] = (request, text + message.text)
            self.show_poem()

    def on_drawn(self, message: Drawn) -> None:
        drawing = message.drawing
        if not self._is_current(drawing):
            return
        del self.so_far[drawing.draft]
        draft = self._drawn_from.pop(drawing.draft)
        if message.error is not None:
            self.complain(message.error)
        elif message.poem is None:
            self.say("stopped; nothing was changed")
        elif self.session.find(draft.id) is draft:
            poem = message.poem
            drawn = draft.drawn(
                drawing.request,
                poem.lines,
                poem.marks,
                poem.seed,
                poem.model,
                poem.nats_per_character,
            )
            self.say(f"seed {poem.seed}, {poem.nats_per_character:.2f} nats a character")
            if drawn == draft:
                self.say(f"seed {poem.seed} gives the same poem again; s changes the seed")
            self.session.change(drawn, "draw")
        self.show_title()
        self.show_poem()
        self.ask_soon()

    def _is_current(self, drawing: Drawing) -> bool:
        """Whether this is what is being drawn, and not something that was stopped for it."""
        return self.so_far.get(drawing.draft, (None,))[0] is drawing.request

    def stop_what_is_stale(self) -> None:
        """Stop drawing what was changed in the meantime: it was for what stood there before."""
        if any(self.session.find(id) is not before for id, before in self._drawn_from.items()):
            self.workshop.stop()

    def action_stop(self) -> None:
        """Stop drawing, or go back to the poem."""
        self.workshop.stop()
        self.grid.focus()

    # Asking the model.

    def ask_soon(self) -> None:
        """Ask the model about the draft and the place, once no key has been pressed for a while."""
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(_PAUSE, self._ask)

    def _ask(self) -> None:
        draft, place = self.draft, self.grid.cursor
        if draft.id in self.so_far:
            return
        asked = slot = None
        warning, note = "", ""
        try:
            draft.request.layout() if FREE not in draft.request.heads else None
            asked = draft.drawing("all") if not self._all_fixed(draft) else draft.request
        except PoetgenError as error:
            warning = error.message
        before = "".join(draft.rows)[: place[0] * draft.form.line_length + place[1]]
        if not self.shelf.ready(draft.settings.model):
            note = "the model is not there yet"
        elif FREE in before:
            note = "found once all before it is written"
        elif not warning:
            try:
                slot = draft.open_at(place)
            except PoetgenError as error:
                note = error.message
        self._question = Question(draft.settings.model, asked, slot, place)
        self._show_outlook(None, warning)
        if slot is None:
            self.query_one(CandidateList).show((), place, _named(draft.character(place)), note)
        if asked is not None and self.shelf.ready(draft.settings.model):
            self.workshop.ask(self._question)

    @staticmethod
    def _all_fixed(draft: Draft) -> bool:
        places = (p for number in range(draft.form.line_count) for p in draft.line_places(number))
        return all(draft.is_fixed(place) for place in places)

    def on_answered(self, message: Answered) -> None:
        if message.question is not self._question:
            return
        self._show_outlook(message.outlook, message.warning)
        if message.question.slot is not None:
            place = message.question.place
            self.query_one(CandidateList).show(
                message.candidates, place, _named(self.draft.character(place)), message.problem
            )

    def _show_outlook(self, outlook: Outlook | None, warning: str) -> None:
        self.tell("#outlook", outlook_text(self.draft, outlook, warning))

    def columns(self) -> list[Column]:
        """The drafts as columns."""
        raise NotImplementedError

    def action_side_by_side(self) -> None:
        """See all drafts side by side."""

        def back(number: int | None) -> None:
            self.side = None
            if number is not None:
                self.session.look_at(number)

        self.side = SideBySide(self.columns, self.session.state.current, self.draw_all)
        self.app.push_screen(self.side, back)


def _named(character: str) -> str:
    return "free" if character == FREE else character
