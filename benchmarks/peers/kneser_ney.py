"""An n-gram model with interpolated modified Kneser-Ney smoothing, in NumPy.

Chen & Goodman, An empirical study of smoothing techniques for language modeling (TR-10-98, 1998),
equations 25 to 27: three discounts for each order, taken from the counts of counts. As in KenLM
(Heafield et al. 2013), what begins with `<bos>` keeps its plain count at every order, since nothing
can stand before it, and the shortest model is mixed with equal chances for all tokens.

An n-gram is a number: the place of its context, the first n - 1 tokens, among all contexts, times
the size of the vocabulary, plus its last token. Sorted, these are all that is kept. So an n-gram of
a text is found from the shorter one that ends a token before it, by one binary search, for all of
the text at once; and what it is smoothed with are the shorter ones that end at the same token.

Ten million tokens take half a minute and 2 GB of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from poetgen.dataset.vocabulary import BOS, PAD

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ORDER = 5
_FALLBACK = (0.5, 1.0, 1.5)
# KenLM's discounts where the counts of counts give none, as those of a text too small.


@dataclass(frozen=True, slots=True)
class _Level:
    """The n-grams of one order.

    Attributes:
        keys: (N,) the n-grams, sorted.
        kept: (N,) an n-gram's count, discounted, as a share of its context's.
        left: (contexts,) the share that the discounts leave to the next shorter context.
    """

    keys: Ints
    kept: Floats
    left: Floats


class KneserNey:
    """An n-gram model of a text.

    Args:
        ids: The training poems in a row, each from BOS to EOS.
        size: Tokens in the vocabulary.
        order: The longest n-gram.
        impossible: Tokens that are never predicted.
        on_progress: Called with the orders counted and all orders.
    """

    def __init__(
        self,
        ids: npt.NDArray[Any],
        size: int,
        order: int = ORDER,
        impossible: tuple[int, ...] = (PAD, BOS),
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._size = size
        self._uniform = 1.0 / (size - len(impossible))
        text = np.asarray(ids, np.int64)
        counted = []
        for found in _count(text, size, order):
            counted.append(found)
            if on_progress is not None:
                on_progress(len(counted), order)
        self._levels: list[_Level] = []
        contexts = 1
        for n, here in enumerate(counted, start=1):
            counts = here.counts
            if n < len(counted):
                # Not how often, but after how many different tokens: the longer n-grams it ends.
                after = np.bincount(here.places[counted[n].ends], minlength=len(here.keys))
                begins = text[here.ends - (n - 1)] == BOS
                counts = np.where(begins, counts, after)
            if n == 1:
                counts = np.where(np.isin(here.keys, impossible), 0, counts)
            self._levels.append(_discount(here.keys, counts, size, contexts))
            contexts = len(here.keys)

    @property
    def parameters(self) -> int:
        """The numbers stored: a probability for each n-gram, a weight for each context."""
        return sum(len(level.kept) + len(level.left) for level in self._levels)

    def nats(self, ids: npt.NDArray[Any]) -> Floats:
        """What each token of some poems costs.

        Args:
            ids: (N,) poems in a row, each from BOS to EOS.

        Returns:
            (N,) nats; 0 for BOS, which is given.
        """
        text = np.asarray(ids, np.int64)
        chance = np.full(len(text), self._uniform)
        places = np.zeros_like(text)
        for n, level in enumerate(self._levels, start=1):
            contexts = _contexts(places, text, n)
            keys = contexts * self._size + text
            near = np.minimum(np.searchsorted(level.keys, keys), len(level.keys) - 1)
            seen = (contexts >= 0) & (level.keys[near] == keys)
            kept = np.where(seen, level.kept[near], 0.0)
            chance = np.where(contexts >= 0, kept + level.left[contexts] * chance, chance)
            places = np.where(seen, near, -1)
        nats: Floats = np.where(text == BOS, 0.0, -np.log(chance))
        return nats


@dataclass(frozen=True, slots=True)
class _Counted:
    """The n-grams of one order in a text.

    Attributes:
        keys: (N,) the n-grams, sorted.
        counts: (N,) how often each occurs.
        ends: (N,) the place in the text where each first ends.
        places: (T,) the place in `keys` of the one that ends at each token; -1 for none.
    """

    keys: Ints
    counts: Ints
    ends: Ints
    places: Ints


def _count(text: Ints, size: int, order: int) -> Iterator[_Counted]:
    places = np.zeros_like(text)  # All at the empty n-gram, the context of single tokens.
    for n in range(1, order + 1):
        contexts = _contexts(places, text, n)
        whole = np.flatnonzero(contexts >= 0)
        if not len(whole):
            return  # No poem is so long.
        keys, first, inverse, counts = np.unique(
            contexts[whole] * size + text[whole],
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        places = np.full_like(text, -1)
        places[whole] = inverse
        yield _Counted(keys, counts.astype(np.int64), whole[first], places)


def _contexts(places: Ints, text: Ints, n: int) -> Ints:
    """(T,) the context of each token, n - 1 tokens of the same poem; -1 where there is none."""
    if n == 1:
        return places
    return np.where(text == BOS, -1, np.concatenate(([-1], places[:-1])))


def _discount(keys: Ints, counts: Ints, size: int, contexts: int) -> _Level:
    """Turn counts into shares, discounted."""
    discounts = np.array((0.0, *discounts_of(counts)))
    kind = np.minimum(counts, 3)
    parents = keys // size
    total = np.bincount(parents, weights=counts, minlength=contexts)
    taken = np.bincount(parents, weights=discounts[kind], minlength=contexts)
    kept = (counts - discounts[kind]) / np.maximum(total, 1)[parents]
    left = np.divide(taken, total, out=np.ones(contexts), where=total > 0)
    return _Level(keys, kept, left)


def discounts_of(counts: Ints) -> tuple[float, float, float]:
    """What is taken from counts of 1, of 2, and of 3 or more."""
    n1, n2, n3, n4 = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    if not (n1 and n2 and n3 and n4):
        return _FALLBACK
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    # Counts of counts that do not fall off steeply, as the single tokens', give values that are
    # no discounts: below 0, they would make shares that do not add up to 1.
    return found if all(0 <= d <= k for k, d in enumerate(found, 1)) else _FALLBACK
