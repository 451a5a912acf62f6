"""Ways to write an acrostic: ours, and three simpler ones.

The simpler ways are given more than their users have: the same form masks and habits of verse as
ours (what `--tones off` keeps), so that every line has its length and every head its place for
nothing. What they lack is the rules of tone and rhyme, the filter that keeps ours off the training
poems, and drafts that compete.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from poetgen.errors import TemplateError
from poetgen.writing.asked import OFF, Rules
from poetgen.writing.options import SamplingOptions
from poetgen.writing.poet import Poet
from poetgen.writing.request import Request
from poetgen.writing.written import WrittenPoem

_REJECTION_BATCH = 16
"""Drafts at a time: enough for the network to be fast, few enough to use the time up."""

_WITHOUT_RULES, _SIMPLE = 0.3, 0.1
"""The shares of a long list that ours without rules, and the simpler ways, write for. They are
measured well enough so: to ± 0.015 nats in what the rules cost, and ± 5 % in what they keep."""


class Way(Protocol):
    """A way to write one poem."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    @property
    def share(self) -> float:
        """For what share of a long list it writes."""

    def write(self, request: Request, seed: int, seconds: float) -> WrittenPoem:
        """Write a poem.

        Args:
            request: Heads and form; its rules are what ours was asked for.
            seed: What it is drawn with.
            seconds: How long our own way took for the same request.

        Raises:
            TemplateError: There is no such poem.
        """


@dataclass(frozen=True)
class OneDraw:
    """One call of the sampler.

    Attributes:
        name: What the table calls it.
        poet: The model.
        rules: What it keeps; None: what is asked for.
        options: How it chooses characters.
        share: As in `Way`.
    """

    name: str
    poet: Poet
    rules: Rules | None
    options: SamplingOptions
    share: float = 1.0

    def write(self, request: Request, seed: int, seconds: float) -> WrittenPoem:
        (poem,) = self.write_together([request], [seed])
        if isinstance(poem, TemplateError):
            raise poem
        return poem

    def write_together(
        self, requests: Sequence[Request], seeds: Sequence[int]
    ) -> list[WrittenPoem | TemplateError]:
        """Write what `write` would for each, in one batch: it takes half the time."""
        if self.rules is not None:
            requests = [replace(request, rules=self.rules) for request in requests]
        return self.poet.write(requests, seeds, self.options)


@dataclass(frozen=True)
class Rejection:
    """Plain drafts without rules, a batch at a time, until one keeps them.

    It gives up, with the best so far, when not even half of another batch fits into the time that
    ours took: so it takes about as long as ours where it finds nothing.

    Attributes:
        name: What the table calls it.
        poet: The model.
        options: How it chooses characters: "plain".
        batch: Drafts at a time.
        faults: How many faults a poem has by what the request asks for.
        share: As in `Way`.
    """

    name: str
    poet: Poet
    options: SamplingOptions
    batch: int
    faults: Callable[[Request, WrittenPoem], int]
    share: float = 1.0

    def write(self, request: Request, seed: int, seconds: float) -> WrittenPoem:
        start = time.perf_counter()
        free = replace(request, rules=Rules(tones=OFF))
        best: tuple[int, WrittenPoem] | None = None
        # Seeds far from those of the next request: they would give it these drafts again.
        first = seed << 20
        batch_seconds = 0.0
        while best is None or (
            best[0] and time.perf_counter() - start + batch_seconds / 2 < seconds
        ):
            batch_start = time.perf_counter()
            seeds = range(first, first + self.batch)
            for poem in self.poet.write([free] * self.batch, seeds, self.options):
                if isinstance(poem, TemplateError):
                    raise poem
                faults = self.faults(request, poem)
                if best is None or faults < best[0]:
                    best = faults, poem
            first += self.batch
            batch_seconds = time.perf_counter() - batch_start
        return best[1]


def ways_to_write(
    poet: Poet,
    simple: Poet,
    tones: str,
    options: SamplingOptions,
    faults: Callable[[Request, WrittenPoem], int],
) -> list[Way]:
    """All ways, ours first.

    Args:
        poet: The model.
        simple: The same without the filter of its training poems, for the simpler ways.
        tones: What ours is asked for: it comes again without rules, unless there are none.
        options: How ours chooses characters. The others take temperature, top-k and top-p from it.
        faults: As in `Rejection`.
    """
    off = Rules(tones=OFF)
    plain = replace(options, decoding="plain")
    ways: list[Way] = [OneDraw(f"ours, {tones}", poet, None, options)]
    if tones != OFF:
        ways.append(OneDraw("ours, off", poet, off, options, _WITHOUT_RULES))
    return [
        *ways,
        OneDraw("plain", simple, off, plain, _SIMPLE),
        OneDraw("argmax", simple, off, replace(plain, top_k=1), _SIMPLE),
        Rejection("rejection", simple, plain, _REJECTION_BATCH, faults, _SIMPLE),
    ]
