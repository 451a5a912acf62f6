"""What the sampler asks of whoever says what a sequence must be: two protocols, no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from poetgen.writing.choice import Mask


class Cursor(Protocol):
    """Where a particle stands under its constraint. A value: it never changes."""

    @property
    def position(self) -> int:
        """How far it has come; particles at equal positions can be compared."""

    @property
    def finished(self) -> bool:
        """Whether nothing may follow."""


class Constraint(Protocol):
    """What a sequence must be, token by token. Each works with cursors of its own type."""

    @property
    def prompt(self) -> tuple[int, ...]:
        """What the network reads before the sequence; at least one token."""

    def start(self) -> Any:
        """The cursor of an empty sequence."""

    def allowed(self, cursors: Sequence[Any]) -> Mask:
        """Which tokens may come next for each of n cursors: (n, V) bool.

        A particle whose row is empty dies.
        """

    def advance(self, cursor: Any, token: int) -> Any:
        """The cursor after an allowed token; its position is higher."""
