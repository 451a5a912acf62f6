"""Keeps a poem off the poems that its model was trained on.

At the last free place of a line, what would complete a line of the corpus is taken out of what may
be written; the particles whose lines lead nowhere else lose their weight by that, as by any rule.
Runs are looked up in the filter that travels with the checkpoint; see `poetgen.dataset.runs` for
what it mistakes: at most 0.8 % of the characters that would make a new line of five.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from poetgen.dataset.runs import RUN, RunFilter, code_points, mixed, terms_of
from poetgen.dataset.vocabulary import Vocabulary
from poetgen.verse.poem import is_han

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Novelty:
    """Which tokens would complete a borrowed line.

    Args:
        runs: The runs of the training poems.
        vocabulary: The V tokens.
    """

    def __init__(self, runs: RunFilter, vocabulary: Vocabulary) -> None:
        by_length: defaultdict[int, list[int]] = defaultdict(list)
        for id, token in enumerate(vocabulary.tokens):
            if all(map(is_han, token)):
                by_length[len(token)].append(id)
        self._runs = runs
        self._size = len(vocabulary)
        self._ids = {length: np.array(ids) for length, ids in by_length.items()}
        # Of each length of token: its characters' terms in a key, (characters, RUN, tokens).
        self._terms = {
            length: np.stack(
                [
                    np.stack([terms_of(column, place) for place in range(RUN)])
                    for column in code_points("".join(vocabulary.tokens[id] for id in ids))
                    .reshape(-1, length)
                    .T
                ]
            )
            for length, ids in by_length.items()
        }

    def completions(
        self, before: str, rest: Sequence[str | None], among: Mask | None = None
    ) -> Mask:
        """Which tokens would complete a line that stands in the corpus.

        Args:
            before: The line's characters so far.
            rest: Its other places: the character that must stand there, or None.
            among: (V,) the tokens to look at; None: all.

        Returns:
            (V,) bool: true for a token after which no place is free, if the line is borrowed
            then. It is not said whether the token fits what must stand under it.
        """
        mask = np.zeros(self._size, np.bool_)
        if len(before) + len(rest) < RUN:
            return mask
        free = max((place for place, said in enumerate(rest) if said is None), default=-1) + 1
        for length, ids in self._ids.items():
            if max(free, 1) <= length <= len(rest):
                after = "".join(said for said in rest[length:] if said)
                mask[ids[self._borrowed(before, length, after, among)]] = True
        return mask

    def _borrowed(self, before: str, length: int, after: str, among: Mask | None) -> Ids:
        """The tokens of a length, by their place in `_ids`, that make `before … after` borrowed."""
        first, end = len(before), len(before) + length
        starts = range(first + length + len(after) - RUN + 1)
        # What the token is no part of is looked up once; mostly that settles it.
        around = [before[s : s + RUN] for s in starts if s + RUN <= first]
        around += [after[s - end : s - end + RUN] for s in starts if s >= end]
        if not all(self._runs.contains_run(run) for run in around):
            return np.empty(0, np.int64)
        left = np.arange(len(self._ids[length]))
        if among is not None:
            left = left[among[self._ids[length]]]
        line = code_points(before + "\0" * length + after)
        for start in starts:
            if start + RUN <= first or start >= end:
                continue
            fixed = sum(int(terms_of(line[start + i : start + i + 1], i)[0]) for i in range(RUN))
            sums = np.full(len(left), fixed % 2**64, np.uint64)
            for place in range(max(first, start), min(end, start + RUN)):
                sums += self._terms[length][place - first, place - start].take(left)
            left = left[self._runs.contains(mixed(sums))]
        return left
