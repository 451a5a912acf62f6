"""What poems borrow from the training poems: whole lines, and runs of five characters.

Compared with what held-out human poems borrow, since poets repeat each other: a model that knows
lines by heart borrows more than they do. Lines are compared as they are. Runs are compared by keys
of 64 bits, all of the training text's, so that one in a thousand million million is found by
mistake; the filter that travels with a checkpoint (`poetgen.dataset.runs`) errs in one of 120.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from poetgen.dataset.runs import RUN, code_points, keys_of, windows
from poetgen.verse.poem import MARKS

_BLOCK = 1 << 14  # Training poems at a time: about a million characters.
_BREAK = re.compile(f"[{MARKS}\n]+")
_BREAKS = code_points(MARKS + "\n")


@dataclass(frozen=True, slots=True)
class Borrowed:
    """What poems share with the training poems.

    Attributes:
        poems: How many were looked at.
        lines: Their lines of at least five characters.
        borrowed_lines: Those of them that are lines of the training poems.
        runs: The runs of five characters within their lines.
        borrowed_runs: Those of them that stand within a line of the training poems.
    """

    poems: int
    lines: int
    borrowed_lines: int
    runs: int
    borrowed_runs: int

    @property
    def line_share(self) -> float:
        """The share of the lines that are borrowed."""
        return self.borrowed_lines / self.lines if self.lines else 0.0

    @property
    def run_share(self) -> float:
        """The share of the runs that are borrowed."""
        return self.borrowed_runs / self.runs if self.runs else 0.0


def borrowed(groups: Sequence[Sequence[str]], training: Sequence[str]) -> list[Borrowed]:
    """Measure what some groups of poems borrow, in one reading of the training poems.

    Args:
        groups: Groups of poems, each text with its marks.
        training: The training poems, likewise.
    """
    lines = [[line for line in _lines(poems) if len(line) >= RUN] for poems in groups]
    runs = [_runs(poems) for poems in groups]
    wanted_lines = {line for some in lines for line in some}
    wanted_runs = np.unique(np.concatenate([np.empty(0, np.uint64), *runs]))
    found_lines: set[str] = set()
    found_runs = np.zeros(len(wanted_runs), np.bool_)
    for start in range(0, len(training), _BLOCK):
        block = training[start : start + _BLOCK]
        found_lines |= wanted_lines.intersection(_lines(block))
        found_runs |= np.isin(wanted_runs, _runs(block))
    known = wanted_runs[found_runs]
    return [
        Borrowed(
            poems=len(poems),
            lines=len(some),
            borrowed_lines=sum(line in found_lines for line in some),
            runs=len(keys),
            borrowed_runs=int(np.isin(keys, known).sum()),
        )
        for poems, some, keys in zip(groups, lines, runs, strict=True)
    ]


def _lines(poems: Iterable[str]) -> list[str]:
    return _BREAK.split("\n".join(poems))


def _runs(poems: Iterable[str]) -> npt.NDArray[np.uint64]:
    codes = code_points("\n".join(poems)).copy()
    codes[np.isin(codes, _BREAKS)] = 0
    return keys_of(windows(codes, RUN))
