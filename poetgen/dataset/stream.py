"""All poems in a row, cut into pieces: what truncated backpropagation through time reads.

Where a text has no end, nobody can go back through the whole of it. Truncated BPTT (Williams &
Peng 1990, https://doi.org/10.1162/neco.1990.2.4.490; Mikolov et al. 2010 for language) reads N
tokens, goes back through these N and no further, and reads on from the state that it has:

    an epoch    c c c c c c <bos> 白 日 依 山 尽 … <eos> c c c c c c <bos> 床 前 …
    row 0       |---- N ----|---- N ----|---- N ----|       the state goes on from piece to piece,
    row 1       |---- N ----|---- N ----|---- N ----|       its gradient does not
       ⋮          step 0      step 1      step 2

An epoch's poems, in an order drawn anew, each after what is told of it (the cs; see
`poetgen.dataset.context`), are cut into as many rows as the budget of tokens has room for; step i
has the i-th piece of each row. A poem does not begin with an empty state but with what the ones
before it left, and the network must learn that `<bos>` ends all that; only an epoch begins anew.
What is told is read and not predicted, and so is `<bos>`.

Every token is read and none is padding, but in the last row's end. Poems are never cut short:
`max_length` is for what must fit in memory at once. Like `Batches`, an epoch is a function of
(seed, epoch), and any step of it can be the first, given the state that was carried there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from poetgen.dataset.batches import told_contexts
from poetgen.dataset.encoded import EncodedSplit
from poetgen.dataset.vocabulary import PAD


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """The i-th piece of every row.

    Attributes:
        ids: (B, T + 1) int64; the last of each row is the first of its next piece.
        mask: (B, T) which targets are to be predicted: text and EOS.
        first: Whether an epoch begins here, and so every row with an empty state.
    """

    ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.bool_]
    first: bool

    @property
    def context(self) -> npt.NDArray[np.int64]:
        """(B, 0): what is told of the poems stands between them."""
        return self.ids[:, :0]

    @property
    def inputs(self) -> npt.NDArray[np.int64]:
        """(B, T) what the network reads."""
        return self.ids[:, :-1]

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """(B, T) what comes next."""
        return self.ids[:, 1:]

    @property
    def given(self) -> int:
        """1: a piece goes on from what was read before it."""
        return 1

    @property
    def real_tokens(self) -> int:
        """How many targets are to be predicted."""
        return int(self.mask.sum())

    def rows(self, chosen: slice) -> Piece:
        """The pieces of some of the rows."""
        return Piece(self.ids[chosen], self.mask[chosen], self.first)


class Stream:
    """The pieces of a split, epoch after epoch.

    Args:
        split: The poems.
        token_budget: B × T is at most this.
        length: T, at most; so much less that the pieces of an epoch are of one length, give or
            take a token.
        seed: Decides every epoch's order, and what is told of each poem.

    Raises:
        ValueError: A length below 1, or a budget below it.
    """

    def __init__(self, split: EncodedSplit, token_budget: int, length: int, seed: int) -> None:
        if not 1 <= length <= token_budget:
            raise ValueError(f"pieces of {length} tokens under a budget of {token_budget}")
        self._split = split
        self._seed = seed
        self._width = 0 if split.contexts is None else split.contexts.shape[1]
        self._lengths = np.diff(split.offsets) + self._width
        self._total = int(self._lengths.sum())
        inputs = max(self._total - 1, 0)  # The last token is a target only.
        self._rows = max(1, min(token_budget // length, inputs // length))
        self._row = -(-inputs // self._rows)  # Inputs of a row, rounded up.
        self._steps = -(-self._row // length)

    def __len__(self) -> int:
        """Steps in an epoch, which are as many in each."""
        return self._steps

    @property
    def rows(self) -> int:
        """B."""
        return self._rows

    def epoch(self, number: int, start: int = 0) -> Iterator[Piece]:
        """The steps of an epoch.

        Args:
            number: Which epoch; with the seed, it decides the order.
            start: How many steps to leave out at the start; they are not made.
        """
        order = np.arange(len(self._lengths))
        np.random.default_rng((self._seed, number)).shuffle(order)
        contexts = told_contexts(self._split, "drawn", self._seed, number)
        ends = np.cumsum(self._lengths[order])
        rows = np.arange(self._rows)[:, np.newaxis] * self._row
        for i in range(start, self._steps):
            first, last = (at * self._row // self._steps for at in (i, i + 1))
            places = rows + np.arange(first, last + 1)  # (B, T + 1) in the epoch.
            yield self._piece(places, order, ends, contexts, first=i == 0)

    def _piece(
        self,
        places: npt.NDArray[np.int64],
        order: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        contexts: npt.NDArray[np.generic],
        *,
        first: bool,
    ) -> Piece:
        split, width = self._split, self._width
        there = places < self._total
        nth = np.minimum(np.searchsorted(ends, places, side="right"), len(order) - 1)
        poems = order[nth]
        # Where in its poem a token stands, BOS at 0, and what is told of it before that.
        offsets = places - ends[nth] + self._lengths[poems] - width
        ids = np.full(places.shape, PAD, np.int64)
        text, told = there & (offsets >= 0), there & (offsets < 0)
        ids[text] = split.ids[split.offsets[poems[text]] + offsets[text]]
        if width:
            ids[told] = contexts[poems[told], offsets[told] + width]
        # A row's last target is also the next row's first: of the whole, none comes twice.
        return Piece(ids, (there & (offsets > 0))[:, 1:], first)
