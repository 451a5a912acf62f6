"""Ctrl-C and SIGTERM as a request to end well."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def stopping_at_signals(stop: Callable[[], None], *, alone: bool = True) -> Iterator[list[int]]:
    """Call `stop` at the first Ctrl-C or SIGTERM; a second one ends all at once if `alone`.

    One process of several may get a second one that nobody meant: from torchrun, which passes on
    what it gets itself. And when another process dies, torchrun ends this one so, which has yet to
    say why the run ends; so there signals stay harmless to the end.

    Args:
        stop: What asks for the end.
        alone: Whether this is the only process that works at it.

    Yields:
        The signals that came.
    """
    received: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        if received and alone:
            raise KeyboardInterrupt
        received.append(number)
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        if alone:
            for number, handler in before.items():
                signal.signal(number, handler)
