"""Changing drafts by hand: heads, settings, characters, locks; and going from one to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from textual import events
from textual.widgets import Input

from poetgen.errors import PoetgenError
from poetgen.studio.drafts import Draft, Place, Settings
from poetgen.studio.screens.desk_base import DeskBase
from poetgen.studio.screens.settings import SettingsDialog
from poetgen.studio.widgets.bars import DraftsBar, HeadsInput
from poetgen.studio.widgets.grid import PoemGrid, chinese
from poetgen.studio.widgets.panels import CandidateList, CheckPanel
from poetgen.verse.forms import FORMS

_FORM_NAMES = [form.name for form in FORMS]
_ATS = ["head", "tail", "diagonal"]


class EditingActions(DeskBase):
    """The actions that change drafts by hand."""

    # Heads and settings.

    def action_heads(self) -> None:
        """Go to the heads."""
        self.query_one(HeadsInput).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        # What stands there now: when more was typed since, the older text would be put back.
        self.change(self.draft.with_heads(event.input.value), "heads", "heads")

    def on_input_submitted(self) -> None:
        self.grid.focus()
        self.action_draw("all")

    def action_settings(self) -> None:
        """Open the settings."""

        def take(settings: Settings | None) -> None:
            if settings is not None:
                self.set(**asdict(settings))

        self.app.push_screen(SettingsDialog(self.draft), take)

    def on_settings_line_opened(self) -> None:
        self.action_settings()

    def action_next_form(self) -> None:
        """The next form."""
        self.set(form=_after(_FORM_NAMES, self.draft.settings.form))

    def action_next_at(self) -> None:
        """The next place for the heads."""
        self.set(at=_after(_ATS, self.draft.settings.at))

    def set(self, **changes: Any) -> None:
        """Change settings."""
        try:
            self.change(self.draft.with_settings(**changes), "settings")
        except PoetgenError as error:
            self.complain(error)

    # Working on characters.

    def on_poem_grid_moved(self) -> None:
        self.ask_soon()

    def on_poem_grid_typed(self, event: PoemGrid.Typed) -> None:
        self._put(event.text)

    def on_candidate_list_taken(self, event: CandidateList.Taken) -> None:
        self._put(event.character, step=0)

    def on_poem_grid_locked(self) -> None:
        self.action_lock()

    def on_check_panel_chosen(self, event: CheckPanel.Chosen) -> None:
        self.grid.focus()
        self.grid.cursor = event.place

    def _put(self, text: str, step: int = 1) -> None:
        place, draft = self.grid.cursor, self.session.draft
        self.change(draft.put(place, text), "write")
        if step:
            self.grid.cursor = draft.after(place, len(text))

    def action_take(self, number: int) -> None:
        """Take a candidate."""
        if not self.query_one(CandidateList).take(number):
            self.say(f"there is no candidate {number} here")

    def action_candidates(self) -> None:
        """Go to the candidates."""
        self.query_one("#candidates").focus()

    def action_lock(self) -> None:
        """Lock the character, or let it go."""
        self._lock([self.grid.cursor])

    def action_lock_line(self) -> None:
        """Lock the line, or let it go."""
        self._lock(self.draft.line_places(self.grid.cursor[0]))

    def _lock(self, places: Sequence[Place]) -> None:
        draft = self.draft.with_lock(places)
        if draft.locked == self.draft.locked:
            self.say("there is nothing to lock: heads always stay, and free places are free")
        self.change(draft, "lock")

    def action_clear(self) -> None:
        """Clear the character."""
        if self.grid.cursor in self.draft.head_places:
            self.say("this is a head: h changes the heads")
        else:
            self.change(self.draft.cleared([self.grid.cursor]), "clear")

    def action_clear_line(self) -> None:
        """Clear the line but for its head."""
        draft = self.draft
        self.change(draft.cleared(draft.line_places(self.grid.cursor[0])), "clear the line")

    def action_undo(self) -> None:
        """Take back what was done last."""
        what = self.session.undo()
        self.say(f"undone: {what}" if what else "there is nothing to undo")

    def action_redo(self) -> None:
        """Do again what was taken back last."""
        what = self.session.redo()
        self.say(f"done again: {what}" if what else "there is nothing to do again")

    def on_paste(self, event: events.Paste) -> None:
        text = chinese(event.text)
        if text:
            self._put(text)

    # Drafts.

    def action_new(self) -> None:
        """Begin a new draft with the same settings."""
        self.session.add([Draft(settings=self.draft.settings)], "new draft")
        self.action_heads()

    def action_copy(self) -> None:
        """Copy this draft."""
        self.session.add([self.draft.copy()], "copy")

    def action_close_draft(self) -> None:
        """Close this draft; undo brings it back."""
        self.session.close()
        self.say("closed; u brings it back")

    def action_next_draft(self) -> None:
        """Look at the next draft."""
        self.session.look_at(self.session.state.current + 1)

    def action_last_draft(self) -> None:
        """Look at the draft before."""
        self.session.look_at(self.session.state.current - 1)

    def on_drafts_bar_picked(self, event: DraftsBar.Picked) -> None:
        self.session.look_at(event.number)


def _after(values: Sequence[str], value: str) -> str:
    return values[(values.index(value) + 1) % len(values)] if value in values else values[0]
