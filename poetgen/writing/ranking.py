"""Which of several drafts of a poem is shown first, and which are the same poem over again.

What a draft costs, in nats per character: the model's own surprise at it, without any mask, and
something for each fault that likely text is prone to: characters that come again, clichés, and
runs of the corpus. Drafts with more than a set share of such runs come after all others.

Measured with an LSTM of 1 × 768 at 5.21 nats a character on the heads of 78 held-out poems, 32
particles each, without rules of tone (七绝 / 五绝; faults a hundred characters; the last row is of
892 held-out poems). `benchmarks/ranking.py` makes such a table:

                        nats a character    repeated      clichés
    drawn by weight     4.76 / 5.23         4.4 / 2.6     1.2 / 1.8
    the likeliest       4.18 / 4.52         6.3 / 3.8     3.3 / 3.1
    the least cost      4.22 / 4.57         2.9 / 2.1     2.0 / 2.3
    the poets'          -                   2.2 / 2.1     1.6 / 1.6

The weights below cost 0.05 nats and bring the faults of likely text near the poets' own; heavier
ones go on to remove what is no fault in the poets.

It knows poems as text and a filter of runs; nothing of models, tokens or templates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from poetgen.dataset.runs import CLICHE, RUN, RunFilter, code_points

Forced: TypeAlias = Sequence[Sequence[bool]]
"""For each line, for each of its characters, whether the request fixed it."""

REPEATED, CLICHES, BORROWED = 2.0, 1.0, 1.0
"""What a fault costs, in nats."""

MANNER = 0.3
"""What a nat of log odds that the style is the one asked for is worth, in nats a character. Of
eight drafts of 80 poems, a judge of another cell than the one that chose gave 68 % to Tang in place
of 38 %, at 0.12 nats a character; a weight of 0.1 brought 54 % at 0.03 (docs/training-log.md)."""

MOST_BORROWED = 0.2
"""The share of a poem's runs of five that may stand in the corpus. Of the poets' own lines, 4 % of
the runs in 七绝 stand in another poem, and 11 % in 五绝."""

_TWINS = 0.5
"""Poems that agree in more than this share of what the model chose are the same one."""


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What is to be said of a draft. What the request fixed is no fault of it.

    Attributes:
        nats_per_character: The model's own surprise.
        repeated: Characters that stand earlier in the poem, other than side by side.
        cliches: Runs of three that are among the commonest of the corpus.
        borrowed_share: The share of the runs of five that stand in the corpus; None where no
            filter says so, or there is no such run.
        characters: All characters of the poem.
        borrowed: Runs of five that stand in the corpus.
        manner: The log odds, by a judge, that it is in the style asked for; 0 without a judge.
        faults: Rules that it breaks, of those that were asked for.
    """

    nats_per_character: float
    repeated: int
    cliches: int
    borrowed: int
    borrowed_share: float | None
    characters: int
    manner: float = 0.0
    faults: int = 0

    @property
    def cost(self) -> float:
        """Nats per character; less is better."""
        faults = REPEATED * self.repeated + CLICHES * self.cliches + BORROWED * self.borrowed
        return self.nats_per_character + faults / self.characters - MANNER * self.manner

    @property
    def order(self) -> tuple[int, bool, float]:
        """What to sort by, the best first."""
        return order(self.faults, self.borrowed_share, self.cost)


def order(faults: int, borrowed_share: float | None, cost: float) -> tuple[int, bool, float]:
    """What to sort poems by, the best first.

    First those with the fewest faults, and of these those that do not borrow too much.
    """
    return faults, (borrowed_share or 0.0) > MOST_BORROWED, cost


def appraise(
    lines: Sequence[str],
    forced: Forced,
    nats_per_character: float,
    runs: RunFilter | None,
    manner: float = 0.0,
    faults: int = 0,
) -> Appraisal:
    """Say what a draft costs.

    Args:
        lines: Its lines, without marks.
        forced: What of them the request fixed.
        nats_per_character: The model's surprise at it.
        runs: The runs of the training poems, where the checkpoint has them.
        manner: The log odds that it is in the style asked for, where a judge says so.
        faults: Rules that it breaks, of those that were asked for.
    """
    borrowed = cliches = free_runs = 0
    if runs is not None:
        # All lines are looked up as one text, for speed; what goes over their ends is passed over.
        text = "".join(lines)
        threes = runs.contains_cliches(text).tolist()
        fives = runs.contains_runs(text)
        start = 0
        for line, fixed in zip(lines, forced, strict=True):
            for i in range(len(line) - CLICHE + 1):
                cliches += threes[start + i] and not all(fixed[i : i + CLICHE])
            for i in range(len(line) - RUN + 1):
                if not all(fixed[i : i + RUN]):
                    borrowed += fives[start + i]
                    free_runs += 1
            start += len(line)
    return Appraisal(
        nats_per_character=nats_per_character,
        repeated=_repeated(lines, forced),
        cliches=cliches,
        borrowed=borrowed,
        borrowed_share=borrowed / free_runs if free_runs else None,
        characters=sum(map(len, lines)),
        manner=manner,
        faults=faults,
    )


class Variety:
    """Poems for one request, no two of them the same but for a little.

    Args:
        most: How many it can hold.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._rows: npt.NDArray[np.uint32] | None = None

    def adds(self, lines: Sequence[str], forced: Forced) -> bool:
        """Whether a poem is no twin of any before it; if so it is one of them now.

        Args:
            lines: Its lines, of the same lengths as those of the others.
            forced: What of them the request fixed, which says nothing.
        """
        free = ~np.array([fixed for line in forced for fixed in line])
        row = code_points("".join(lines))[free]
        if self._rows is None:
            self._rows = np.empty((self._most, len(row)), np.uint32)
        same = (self._rows[: self._count] == row).sum(axis=1)
        if (same > _TWINS * len(row)).any():
            return False
        self._rows[self._count] = row
        self._count += 1
        return True


def _repeated(lines: Sequence[str], forced: Forced) -> int:
    """The characters, chosen by the model, that stand earlier in the poem and not just before."""
    seen: set[str] = {
        character
        for line, fixed in zip(lines, forced, strict=True)
        for character, asked in zip(line, fixed, strict=True)
        if asked
    }
    count = 0
    for line, fixed in zip(lines, forced, strict=True):
        before = ""
        for character, asked in zip(line, fixed, strict=True):
            count += not asked and character in seen and character != before
            seen.add(character)
            before = character
    return count
