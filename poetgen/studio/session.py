"""The drafts side by side, and every state that they were in: what undo and redo walk along.

A state is a tuple of drafts and which of them is looked at. States share what they have in common,
so that hundreds of poems weigh little. It knows nothing of screens or files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from poetgen.studio.drafts import Draft


@dataclass(frozen=True)
class State:
    """All drafts at one moment; there is always one.

    Attributes:
        drafts: In the order of the bar.
        current: Which one is looked at.
        what: What was done to come here, for the message of undo.
        topic: Changes in a row on one topic, like the letters of a word, are one step of undo;
            empty: a step of its own.
    """

    drafts: tuple[Draft, ...] = (Draft(),)
    current: int = 0
    what: str = ""
    topic: str = ""


class Session:
    """What a person does with drafts, and the way back.

    Args:
        drafts: To begin with; a new one if there are none.
        current: Which is looked at.
        changed: Called after every change, to show and to keep it.
    """

    def __init__(
        self,
        drafts: Sequence[Draft] = (),
        current: int = 0,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        drafts = tuple(drafts) or (Draft(),)
        self.state = State(drafts, min(max(current, 0), len(drafts) - 1))
        self.changed = changed
        self._past: list[State] = []
        self._future: list[State] = []

    @property
    def drafts(self) -> tuple[Draft, ...]:
        """All drafts."""
        return self.state.drafts

    @property
    def draft(self) -> Draft:
        """The one that is looked at."""
        return self.state.drafts[self.state.current]

    @property
    def steps(self) -> tuple[int, int]:
        """How often one can undo, and redo."""
        return len(self._past), len(self._future)

    def find(self, id: str) -> Draft | None:
        """The draft of this id, if it is still there."""
        return next((draft for draft in self.drafts if draft.id == id), None)

    def change(self, draft: Draft, what: str, topic: str = "") -> None:
        """Put a changed draft in the place of the one with its id; none there: do nothing."""
        drafts = tuple(draft if each.id == draft.id else each for each in self.drafts)
        if drafts != self.drafts:
            topic = f"{topic} {draft.id}" if topic else ""
            self._go(replace(self.state, drafts=drafts, what=what, topic=topic))

    def add(self, drafts: Sequence[Draft], what: str) -> None:
        """Add drafts after the current one, and look at the first of them."""
        at = self.state.current + 1
        # A draft in which nothing was ever written makes room.
        first = self.state.current if self.draft.is_empty else at
        everything = (*self.drafts[:first], *drafts, *self.drafts[at:])
        self._go(State(everything, first, what))

    def close(self) -> None:
        """Close the current draft; closing the last one leaves a new one."""
        at = self.state.current
        drafts = (*self.drafts[:at], *self.drafts[at + 1 :]) or (
            Draft(settings=self.draft.settings),
        )
        self._go(State(drafts, min(at, len(drafts) - 1), "close"))

    def look_at(self, number: int) -> None:
        """Look at another draft, counted around. It is no step of undo."""
        self.state = replace(self.state, current=number % len(self.drafts), topic="")
        self.changed()

    def undo(self) -> str | None:
        """Take back what was done last.

        Returns:
            What that was; None if there is nothing.
        """
        if not self._past:
            return None
        self._future.append(self.state)
        what = self.state.what
        self.state = self._past.pop()
        self.changed()
        return what

    def redo(self) -> str | None:
        """Do again what was taken back last.

        Returns:
            What that was; None if there is nothing.
        """
        if not self._future:
            return None
        self._past.append(self.state)
        self.state = self._future.pop()
        self.changed()
        return self.state.what

    def _go(self, state: State) -> None:
        if not state.topic or state.topic != self.state.topic:
            self._past.append(self.state)
        self._future.clear()
        self.state = state
        self.changed()
