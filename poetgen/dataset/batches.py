"""Poems of like length in one array, under a budget of tokens, with next to no padding.

A batch of B poems costs B × T steps of the network whether or not a poem is as long as the batch,
so poems are sorted by length and cut into batches in that order. The cuts depend on the lengths
alone; an epoch deals poems of equal length anew among their places and shuffles the batches. So
the order is a function of (seed, epoch), and any batch of it can be the first.

It knows ids, not what they stand for, and needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from poetgen.dataset.context import withhold
from poetgen.dataset.encoded import EncodedSplit
from poetgen.dataset.lengths import length_id
from poetgen.dataset.vocabulary import PAD

_MAX_PADDING = 0.02
# What a batch alone may pad. The first of these that keeps the whole under _MAX_PADDING is taken;
# the last keeps any corpus under it, at the price of small batches, which make noisier steps (the
# whole of chinese-poetry at 65,536 tokens: 298 batches with the first and 345 with the last).
_LIMITS = (1.0, 0.1, _MAX_PADDING)


class Sequences(Protocol):
    """What a step of training reads and is to predict; B rows of T ids."""

    @property
    def context(self) -> npt.NDArray[np.int64]:
        """(B, W) what is read before the inputs and not predicted."""
        ...

    @property
    def inputs(self) -> npt.NDArray[np.int64]:
        """(B, T) what the network reads."""
        ...

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """(B, T) what it is to predict."""
        ...

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(B, T) which targets it is to predict; the others are given, or padding."""
        ...

    @property
    def real_tokens(self) -> int:
        """How many targets it is to predict."""
        ...

    @property
    def first(self) -> bool:
        """Whether the rows begin here, and do not go on from the step before."""
        ...

    @property
    def given(self) -> int:
        """How many of the first inputs, BOS among them, nobody but the poem can say."""
        ...

    def rows(self, chosen: slice) -> Self:
        """Some of the rows."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some poems in one array.

    Attributes:
        ids: (B, T + 1) int64, each row a poem from BOS to EOS and then PAD.
        lengths: (B,) int64, ids of each poem, BOS and EOS included.
        poems: (B,) int64, which poems of the split these are.
        context: (B, W) int64, what is read before them; W is 0 where nothing is.
        given: 1, of BOS; 2 where the poem's length comes after it (`poetgen.dataset.lengths`).
    """

    ids: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    poems: npt.NDArray[np.int64]
    context: npt.NDArray[np.int64]
    given: int = 1

    @property
    def inputs(self) -> npt.NDArray[np.int64]:
        """(B, T) what the network reads."""
        return self.ids[:, :-1]

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """(B, T) what it is to predict: the same, a place on."""
        return self.ids[:, 1:]

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(B, T) which targets are real tokens, not padding."""
        real: npt.NDArray[np.bool_] = (
            np.arange(self.ids.shape[1] - 1) < (self.lengths - 1)[:, np.newaxis]
        )
        return real

    @property
    def real_tokens(self) -> int:
        """How many targets are real tokens."""
        return int(self.lengths.sum()) - len(self.lengths)

    @property
    def first(self) -> bool:
        """True: poems begin with their batch."""
        return True

    def rows(self, chosen: slice) -> Batch:
        """Some of the poems, as wide as all of them are."""
        return Batch(
            self.ids[chosen],
            self.lengths[chosen],
            self.poems[chosen],
            self.context[chosen],
            self.given,
        )


class Batches:
    """The batches of a split, epoch after epoch.

    Args:
        split: The poems.
        token_budget: B × T is at most this, but for a longer poem, which is a batch of its own.
        seed: Decides every epoch's order.
        shuffle: Whether to shuffle; without, the order is from the shortest poem to the longest.
        max_length: A poem of more ids than this, BOS included, is cut there and so has no EOS.
        context: What of the poems' contexts is told, where the split has any: "none", "given" (all
            of it), or "drawn" (each part with its chance; see `poetgen.dataset.context`). It is
            not counted in the budget.
        lengths_in: The size of a vocabulary of whose ids one, after BOS, says how long each poem is
            (`poetgen.dataset.lengths`), before it is cut; None where it is not said. It is not
            counted in the budget either.

    Raises:
        ValueError: A budget below 1 or a max_length below 2.
    """

    def __init__(
        self,
        split: EncodedSplit,
        token_budget: int,
        seed: int,
        *,
        shuffle: bool = True,
        max_length: int | None = None,
        context: Literal["none", "given", "drawn"] = "none",
        lengths_in: int | None = None,
    ) -> None:
        if token_budget < 1:
            raise ValueError(f"a token budget of {token_budget}")
        if max_length is not None and max_length < 2:
            raise ValueError(f"a max_length of {max_length}: BOS alone predicts nothing")
        self._split = split
        self._seed = seed
        self._shuffle = shuffle
        self._context = context
        self._lengths_in = lengths_in
        lengths = np.diff(split.offsets)
        if max_length is not None:
            lengths = np.minimum(lengths, max_length)
        longest = int(lengths.max(initial=0))
        # As narrow as the lengths allow: this and the order are all that is kept for each poem.
        self._lengths = lengths.astype(np.min_scalar_type(longest))
        counts = np.bincount(lengths, minlength=longest + 1)
        real = int(lengths.sum()) - len(lengths)
        for limit in _LIMITS:
            self._starts, computed = _cut(counts, token_budget, limit)
            self._padding = 1.0 - real / computed if computed else 0.0
            if self._padding < _MAX_PADDING:
                break

    def __len__(self) -> int:
        """Batches in an epoch, which are as many in each."""
        return len(self._starts) - 1

    @property
    def padding_share(self) -> float:
        """The share of an epoch's computed tokens that is padding."""
        return self._padding

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch.

        Args:
            number: Which epoch; with the seed, it decides the order.
            start: How many batches to leave out at the start; they are not made.
        """
        poems = np.arange(len(self._lengths), dtype=np.min_scalar_type(len(self._lengths)))
        order = np.arange(len(self))
        if self._shuffle:
            generator = np.random.default_rng((self._seed, number))
            generator.shuffle(poems)
            generator.shuffle(order)
        contexts = told_contexts(self._split, self._context, self._seed, number)
        # A stable sort of small integers is a radix sort, and leaves equal lengths shuffled.
        poems = poems[np.argsort(self._lengths[poems], kind="stable")]
        for i in order[start:]:
            chosen = poems[self._starts[i] : self._starts[i + 1]].astype(np.int64)
            yield self._batch(chosen, contexts[chosen].astype(np.int64))

    def _batch(self, poems: npt.NDArray[np.int64], context: npt.NDArray[np.int64]) -> Batch:
        lengths = self._lengths[poems].astype(np.int64)
        places = np.arange(lengths.max())  # (T + 1,)
        real = places < lengths[:, np.newaxis]  # (B, T + 1)
        ids = np.full(real.shape, PAD, np.int64)
        ids[real] = self._split.ids[(self._split.offsets[poems][:, np.newaxis] + places)[real]]
        if self._lengths_in is None:
            return Batch(ids, lengths, poems, context)
        whole = self._split.offsets[poems + 1] - self._split.offsets[poems]  # (B,)
        said = [length_id(length - 2, self._lengths_in) for length in whole.tolist()]
        return Batch(np.insert(ids, 1, said, axis=1), lengths + 1, poems, context, given=2)


def told_contexts(
    split: EncodedSplit, told: Literal["none", "given", "drawn"], seed: int, epoch: int
) -> npt.NDArray[Any]:
    """(N, W) what is told of each poem of a split in an epoch; see `Batches`."""
    contexts = split.contexts
    if contexts is None:
        return np.zeros((len(split), 0), np.uint16)
    if told == "none":
        return np.full_like(contexts, PAD)
    if told == "given":
        return contexts
    kept = withhold(contexts, np.random.default_rng((seed, epoch, 1)))
    return np.where(kept, contexts, contexts.dtype.type(PAD))


def _cut(
    counts: npt.NDArray[Any], token_budget: int, limit: float
) -> tuple[npt.NDArray[np.int64], int]:
    """Cut poems in the order of their length into batches.

    Args:
        counts: How many poems have each length; the place is the length in ids.
        token_budget: As for `Batches`.
        limit: The share of a batch that may be padding.

    Returns:
        Where in that order each batch starts, and after these the number of poems; and the tokens
        that are computed in all.
    """
    starts, computed = [0], 0
    size = width = tokens = 0  # Of the open batch: poems, T, real tokens.
    for length in np.flatnonzero(counts).tolist():
        left = int(counts[length])
        while left:
            room = max(token_budget // (length - 1) - size, 0 if size else 1)
            more = min(left, room)
            padded = size * (length - 1) - tokens
            if not more or padded >= limit * (size + more) * (length - 1):
                starts.append(starts[-1] + size)
                computed += size * width
                size = width = tokens = 0
                continue
            width = length - 1
            size += more
            tokens += more * width
            left -= more
    if size:
        starts.append(starts[-1] + size)
        computed += size * width
    return np.array(starts), computed
