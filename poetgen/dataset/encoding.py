"""From texts to ids by whole arrays: no step here takes a character at a time in Python.

Text is numbered first (a character by its code point, a word by the order in which words were
met), since counting needs numbers and the vocabulary needs the counts. A `Table` then leads from
numbers to ids. For characters both steps are NumPy's alone: 18.7 million in about a second.

It does not know where texts come from, nor where ids go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from poetgen.dataset.tokenizers import CharTokenizer, Tokenizer
from poetgen.dataset.vocabulary import BOS, EOS, UNK, Vocabulary
from poetgen.verse.poem import count_han

Numbers = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int64]


class Numbering(Protocol):
    """Gives every token a number."""

    def number(self, texts: Sequence[str]) -> tuple[Numbers, Ints]:
        """The numbers of all tokens of all texts in a row, and how many each text has."""
        ...

    @property
    def size(self) -> int:
        """One more than the largest number that `number` has given or may give."""
        ...

    def token(self, number: int) -> str:
        """The token that has this number."""
        ...


class _CodePoints:
    """Characters, numbered as Unicode numbers them."""

    size = 0x110000

    def number(self, texts: Sequence[str]) -> tuple[Numbers, Ints]:
        # A lone surrogate becomes a ?, which keeps the lengths.
        joined = "".join(texts).encode("utf-32-le", "replace")
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        return np.frombuffer(joined, "<u4").astype(np.uint32, copy=False), lengths

    def token(self, number: int) -> str:
        return chr(number)


class _Words:
    """Any tokenizer's tokens, numbered as they come."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._numbers: dict[str, int] = {}
        self._tokens: list[str] = []

    @property
    def size(self) -> int:
        return len(self._tokens)

    def number(self, texts: Sequence[str]) -> tuple[Numbers, Ints]:
        numbers: list[int] = []
        lengths = np.empty(len(texts), np.int64)
        for i, text in enumerate(texts):
            tokens = self._tokenizer.tokenize(text)
            lengths[i] = len(tokens)
            for token in tokens:
                number = self._numbers.setdefault(token, len(self._tokens))
                if number == len(self._tokens):
                    self._tokens.append(token)
                numbers.append(number)
        return np.array(numbers, np.uint32), lengths

    def token(self, number: int) -> str:
        return self._tokens[number]


def numbering_of(tokenizer: Tokenizer) -> Numbering:
    """The fastest numbering of this tokenizer's tokens."""
    return _CodePoints() if isinstance(tokenizer, CharTokenizer) else _Words(tokenizer)


class Table:
    """The way from numbers to ids.

    Args:
        numbering: What gave the numbers.
        seen: (K,) every number that will be asked for.
        vocabulary: What gives the ids.
    """

    def __init__(self, numbering: Numbering, seen: Ints, vocabulary: Vocabulary) -> None:
        tokens = [numbering.token(number) for number in seen.tolist()]
        pieces = [vocabulary.encode([token]) for token in tokens]
        size = int(seen.max(initial=-1)) + 1
        self._pieces = np.zeros(size, np.int64)  # How many ids a number becomes …
        self._pieces[seen] = [len(piece) for piece in pieces]
        self._starts = np.zeros(size, np.int64)  # … and where in `_ids` they begin.
        self._starts[seen] = np.cumsum([0, *map(len, pieces)])[:-1]
        dtype = np.uint16 if len(vocabulary) <= 1 << 16 else np.uint32
        self._ids = np.array([i for piece in pieces for i in piece], dtype)
        self._han = np.zeros(size, np.int64)  # Chinese characters in the token.
        self._han[seen] = [count_han(token) for token in tokens]
        self._spells = any(len(piece) != 1 for piece in pieces)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The narrowest dtype that holds every id of the vocabulary."""
        return self._ids.dtype

    def encode(self, numbers: Numbers, lengths: Ints) -> tuple[npt.NDArray[Any], Ints, Ints]:
        """Encode poems that lie in a row.

        Args:
            numbers: The numbers of all poems.
            lengths: (N,) how many each has.

        Returns:
            The ids of all poems in a row, each between BOS and EOS; (N,) how many each has; and
            (N,) Chinese characters in each.
        """
        poems = len(lengths)
        starts = self._starts[numbers]
        if self._spells:
            pieces = self._pieces[numbers]
            ends = np.cumsum(pieces)
            # Each number's start, then start + 1, … as often as it has pieces.
            within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - pieces, pieces)
            starts = np.repeat(starts, pieces) + within
            inner = _segment_sums(pieces, lengths)
        else:
            inner = lengths
        offsets = np.zeros(poems + 1, np.int64)
        np.cumsum(inner + 2, out=offsets[1:])
        ids = np.empty(offsets[-1], self._ids.dtype)
        inside = np.ones(len(ids), np.bool_)
        inside[offsets[:-1]] = False
        inside[offsets[1:] - 1] = False
        ids[inside] = self._ids[starts]
        ids[offsets[:-1]] = BOS
        ids[offsets[1:] - 1] = EOS
        return ids, inner + 2, _segment_sums(self._han[numbers], lengths)


def count_unknown(ids: npt.NDArray[Any]) -> int:
    """How many of `ids` are UNK."""
    return int(np.count_nonzero(ids == UNK))


def _segment_sums(values: Ints, lengths: Ints) -> Ints:
    """The sum of each of the segments of `values` that have these lengths."""
    # np.add.reduceat gives an empty segment the value after it.
    totals = np.concatenate(([0], np.cumsum(values)))
    ends = np.cumsum(lengths)
    sums: Ints = totals[ends] - totals[ends - lengths]
    return sums
