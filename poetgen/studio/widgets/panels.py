"""The lists beside the poem: who may stand at the cursor, and what the judge says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from poetgen.studio.drafts import Place
from poetgen.studio.judging import Judgement

if TYPE_CHECKING:
    from poetgen.writing.candidates import Candidate

_BAR = 12


class CandidateList(Vertical):
    """Candidates with their probabilities; 1 to 9, enter or a click takes one."""

    DEFAULT_CSS = """
    CandidateList { height: 2fr; max-height: 11; }
    CandidateList OptionList { height: 1fr; padding: 0; }
    CandidateList OptionList, CandidateList OptionList:focus { border: none; }
    CandidateList Static { height: 1; }
    """

    class Taken(Message):
        """A candidate was taken."""

        def __init__(self, character: str) -> None:
            super().__init__()
            self.character = character

    def compose(self) -> ComposeResult:
        yield Static("candidates", id="candidates-title", classes="title", markup=False)
        yield OptionList(id="candidates", markup=False)

    def show(self, candidates: Sequence[Candidate], place: Place, standing: str, note: str) -> None:
        """Show candidates for a place where `standing` stands, or a note why there are none."""
        listing = self.query_one(OptionList)
        same = [option.id for option in listing.options] == [c.character for c in candidates]
        kept = listing.highlighted if same else 0
        options: list[Option | None] = [
            Option(_row(number, each, standing, candidates[0].probability), id=each.character)
            for number, each in enumerate(candidates, 1)
        ]
        listing.set_options(options or [Option(Text(note), disabled=True)])
        if options:
            listing.highlighted = min(kept or 0, len(options) - 1)
        where = f"line {place[0] + 1}, no. {place[1] + 1}: {standing}"
        self.query_one(Static).update(f"candidates for {where}", layout=False)

    def take(self, number: int) -> bool:
        """Take candidate `number`, counted from 1. Gives whether there is one."""
        options = self.query_one(OptionList).options
        if number > len(options) or options[number - 1].disabled:
            return False
        self.post_message(self.Taken(options[number - 1].id or ""))
        return True

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option.id:
            self.post_message(self.Taken(event.option.id))


def _row(number: int, candidate: Candidate, standing: str, most: float) -> Text:
    sign = "<" if candidate.character == standing else " "
    share = candidate.probability
    percent = f"{share:6.1%}" if share >= 0.001 else " <0.1%"
    key = f"{number}" if number < 10 else " "
    bar = "#" * round(share / most * _BAR)
    return Text(f"{key} {candidate.character}{sign} {percent} {bar}")


class CheckPanel(Vertical):
    """What the judge says, a remark a row; enter or a click goes to its place."""

    DEFAULT_CSS = """
    CheckPanel { height: 1fr; min-height: 4; }
    CheckPanel OptionList { height: 1fr; padding: 0; }
    CheckPanel OptionList, CheckPanel OptionList:focus { border: none; }
    CheckPanel Static { height: auto; }
    """

    class Chosen(Message):
        """A remark was chosen that has a place."""

        def __init__(self, place: Place) -> None:
            super().__init__()
            self.place = place

    def __init__(self) -> None:
        super().__init__()
        self._judgement: Judgement | None = None

    def compose(self) -> ComposeResult:
        yield Static("check", id="check-title", classes="title", markup=False)
        yield OptionList(id="check", markup=False)

    def show(self, judgement: Judgement) -> None:
        """Show what the judge says."""
        if judgement == self._judgement:
            return
        self._judgement = judgement
        self.query_one(Static).update(f"check: {judgement.summary}")
        listing = self.query_one(OptionList)
        listing.set_options(
            Option(
                Text(("! " if remark.is_fault else "  ") + remark.text),
                disabled=remark.place is None,
            )
            for remark in judgement.remarks
        )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        remarks = self._judgement.remarks if self._judgement else ()
        place = remarks[event.option_index].place
        if place is not None:
            self.post_message(self.Chosen(place))
