"""What a model was trained on, in a few megabytes: enough to tell a borrowed line from a new one.

A run is five Chinese characters in a row within a line. A `RunFilter` holds the runs of the
training poems as a Bloom filter (Bloom 1970, https://doi.org/10.1145/362686.362692) and travels
with the checkpoint, so that writing can keep off the corpus without having it. What stands in the
corpus is always found; of what does not, a share is found by mistake: `FALSE_POSITIVES`.

With it go the commonest runs of three characters, the clichés, exactly.

The whole chinese-poetry collection has 4.98 million different runs in its training part: 6.2 MB,
made in about 4 s of one core. Ten bits a run: an xor filter would make half the mistakes with as
many, but takes a peeling that NumPy cannot do at speed; sorted 64-bit hashes would take 40 MB.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from poetgen.dataset.encoded import EncodedSplit
from poetgen.dataset.vocabulary import Vocabulary
from poetgen.errors import CheckpointError
from poetgen.tensors import read_tensors, write_tensors
from poetgen.verse.poem import is_han

Codes = npt.NDArray[np.uint32]
Keys = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

RUN = 5
"""Characters in a run."""

CLICHE = 3
"""Characters in a cliché."""

FILE = "runs.safetensors"
"""The name of the filter in a checkpoint's folder."""

_BITS_A_RUN = 10
_PROBES = 7
FALSE_POSITIVES = (1 - math.exp(-_PROBES / _BITS_A_RUN)) ** _PROBES
"""The share of the runs that are not in the corpus and are found all the same: 0.8 %."""

_CLICHES = 2000
_LEAST_COUNT = 5
"""The commonest runs of three that are kept, and how often each must stand in the corpus."""

_BLOCK = 1 << 13  # Poems at a time: half a million characters, some 30 MB of arrays on the way.

# A run's key is Σ a[i]·c[i] over its code points, mod 2**64, then mixed. A sum has the use that
# a line can be hashed but for one place, and all the characters that may fill it be added after.
_FACTORS = np.array(
    [
        0x9E3779B97F4A7C15,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0xD6E8FEB86659FD93,
        0xA0761D6478BD642F,
    ],
    np.uint64,
)
_SHIFT = 0x9E3779B97F4A7C15
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_PLAIN_FACTORS: list[int] = _FACTORS.tolist()
_ALL = 0xFFFFFFFFFFFFFFFF
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_BIT = (1 << np.arange(8)).astype(np.uint8)


class RunFilter:
    """The runs of the training poems.

    Args:
        bits: (M / 8,) uint8: the Bloom filter's M bits.
        cliches: (K,) int64, ascending: the commonest runs of three, as `packed` has them.
        runs: How many different runs went in.
    """

    def __init__(self, bits: npt.NDArray[np.uint8], cliches: npt.NDArray[np.int64], runs: int):
        self.runs = runs
        self._bits = bits
        self._size = 8 * len(bits)
        self._cliches = cliches

    @classmethod
    def build(cls, split: EncodedSplit, vocabulary: Vocabulary) -> Self:
        """Gather the runs of some poems, of characters that `vocabulary` has.

        Args:
            split: The poems.
            vocabulary: Their tokens. A character that it lacks ends a run: it cannot be written.
        """
        keys, threes = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        table = _Spelling(vocabulary)
        for first in range(0, len(split), _BLOCK):
            last = min(first + _BLOCK, len(split))
            codes = table.spell(split.ids[split.offsets[first] : split.offsets[last]])
            keys.append(keys_of(windows(codes, RUN)))
            threes.append(packed(windows(codes, CLICHE)))
        distinct, _ = _counted(np.concatenate(keys))
        size = max(64, -(-_BITS_A_RUN * len(distinct) // 8) * 8)
        there = np.zeros(size, np.bool_)
        for probe in range(_PROBES):
            there[_place(distinct, probe, np.uint64(size))] = True
        found, counts = _counted(np.concatenate(threes))
        common = np.flatnonzero(counts >= _LEAST_COUNT)
        common = common[np.argsort(-counts[common], kind="stable")[:_CLICHES]]
        return cls(np.packbits(there, bitorder="little"), np.sort(found[common]), len(distinct))

    def contains(self, keys: Keys) -> Bools:
        """Which runs, by their keys, are in the filter."""
        found = np.zeros(len(keys), np.bool_)
        left = np.arange(len(keys))
        for probe in range(_PROBES):  # Half of what is not there is gone after each.
            places = _place(keys, probe, np.uint64(self._size))
            octets = self._bits.take((places >> np.uint64(3)).view(np.int64))
            there = np.flatnonzero(octets & _BIT.take((places & np.uint64(7)).view(np.int64)))
            keys, left = keys.take(there), left.take(there)
        found[left] = True
        return found

    def contains_run(self, run: str) -> bool:
        """Whether one run of five is in the filter.

        As `contains`, in plain integers: for one run, NumPy's calls alone take ten times as long.
        """
        key = sum(ord(c) * factor for c, factor in zip(run, _PLAIN_FACTORS, strict=True))
        key = (key + _SHIFT) & _ALL  # As in `mixed`.
        key = (key ^ (key >> 30)) * _MIX[0] & _ALL
        key = (key ^ (key >> 27)) * _MIX[1] & _ALL
        key ^= key >> 31
        low, step = key & 0xFFFFFFFF, (key >> 32) | 1
        for probe in range(_PROBES):  # As in `_place`.
            place = ((low + probe * step) & 0xFFFFFFFF) * self._size >> 32
            if not self._bits.item(place >> 3) >> (place & 7) & 1:
                return False
        return True

    def contains_runs(self, line: str) -> list[bool]:
        """Which runs of a line are in the filter: len(line) - 4, or none if it is shorter."""
        return [self.contains_run(line[i : i + RUN]) for i in range(len(line) - RUN + 1)]

    def borrowed_line(self, line: str) -> bool:
        """Whether a line stands in the training poems.

        A line of five characters is its own run. A longer one counts as borrowed when all its
        runs are there, be it from several lines; by mistake for a line of seven that is new, one
        in 1.8 million. A line of fewer than five is never borrowed.
        """
        runs = self.contains_runs(line)
        return bool(runs) and all(runs)

    def contains_cliches(self, line: str) -> Bools:
        """Which of a line's runs of three are among the commonest of the corpus."""
        keys = packed(windows(code_points(line), CLICHE, every=True))
        if not len(self._cliches):
            return np.zeros(len(keys), np.bool_)
        places = np.searchsorted(self._cliches, keys).clip(max=len(self._cliches) - 1)
        found: Bools = self._cliches[places] == keys
        return found

    def save(self, path: Path, corpus: Mapping[str, Any]) -> None:
        """Write the filter to a file, whole or not at all.

        Args:
            path: The file.
            corpus: What the checkpoint says of its corpus.

        Raises:
            OSError: The disk is full.
        """
        metadata = {
            "content": "runs of 5 Chinese characters within the lines of the training poems, as "
            "a Bloom filter, and their commonest runs of 3",
            "runs": str(self.runs),
            "false_positive_rate": f"{FALSE_POSITIVES:.4f}",
            "corpus": str(corpus.get("content_hash", "")),
        }
        write_tensors(path, {"bits": self._bits, "cliches": self._cliches}, metadata)

    @classmethod
    def load(cls, path: Path, corpus: Mapping[str, Any]) -> Self | None:
        """Read a filter, or None where there is none: a checkpoint works without.

        Args:
            path: The file.
            corpus: What the checkpoint says of its corpus.

        Raises:
            CheckpointError: The file is damaged, or of another corpus than the checkpoint.
        """
        if not path.is_file():
            return None
        arrays, metadata = read_tensors(path)
        hint = "copy it again, or delete it to write without it"
        if metadata.get("corpus") != str(corpus.get("content_hash", "")):
            raise CheckpointError(f"{path} is of another corpus than its checkpoint", hint=hint)
        bits, cliches = arrays.get("bits"), arrays.get("cliches")
        if (
            bits is None
            or cliches is None
            or bits.dtype != np.uint8
            or cliches.dtype != np.int64
            or (bits.ndim, cliches.ndim) != (1, 1)
            or not len(bits)
            or not metadata.get("runs", "").isdecimal()
        ):
            raise CheckpointError(f"{path} holds no filter of runs", hint=hint)
        return cls(bits, cliches, int(metadata["runs"]))


def windows(codes: Codes, length: int, *, every: bool = False) -> Codes:
    """The runs of `length` in a row of codes, (n, length); unless `every`, those without a 0."""
    if len(codes) < length:
        return np.empty((0, length), np.uint32)
    windows = np.lib.stride_tricks.sliding_window_view(codes, length)
    if every:
        return windows
    whole = np.ones(len(windows), np.bool_)
    for place in range(length):
        whole &= windows[:, place] != 0
    found: Codes = windows[whole]
    return found


def code_points(text: str) -> Codes:
    """The code points of `text`; a lone surrogate is a question mark."""
    return np.frombuffer(text.encode("utf-32-le", "replace"), "<u4").astype(np.uint32, copy=False)


def terms_of(codes: npt.NDArray[Any], place: int) -> Keys:
    """What characters add to a run's key (before `mixed`) at a place of it, from 0."""
    terms: Keys = codes.astype(np.uint64) * _FACTORS[place]
    return terms


def mixed(sums: Keys) -> Keys:
    """Keys of sums of terms: every bit depends on every bit (the finish of splitmix64)."""
    keys: Keys = sums + np.uint64(_SHIFT)  # Or nothing would become nothing.
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(_MIX[0])
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(_MIX[1])
    return keys ^ (keys >> np.uint64(31))


def keys_of(runs: Codes) -> Keys:
    """(n,) the keys of (n, RUN) code points."""
    sums = np.zeros(len(runs), np.uint64)
    for place in range(RUN):
        sums += terms_of(runs[:, place], place)
    return mixed(sums)


def packed(threes: Codes) -> npt.NDArray[np.int64]:
    """(n,) int64 for (n, CLICHE) code points: three of 21 bits each fit."""
    numbers = threes.astype(np.int64)
    found: npt.NDArray[np.int64] = numbers[:, 0] << 42 | numbers[:, 1] << 21 | numbers[:, 2]
    return found


def _place(keys: Keys, probe: int, size: np.uint64) -> Keys:
    """The bit that a probe looks at, of `size` < 2**32 (Kirsch & Mitzenmacher 2006)."""
    low, high = keys & _LOW, keys >> _HALF
    place: Keys = ((low + np.uint64(probe) * (high | np.uint64(1))) & _LOW) * size >> _HALF
    return place


def _counted(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """The different values in ascending order, and how often each is there.

    `np.unique` does the same by hashing, at a third of the speed.
    """
    values.sort()
    firsts = np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])
    return values[firsts], np.diff(firsts, append=len(values))


class _Spelling:
    """The way from ids to code points, 0 for whatever is no Chinese character."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        spelled = [
            code_points(token) if all(map(is_han, token)) else np.zeros(1, np.uint32)
            for token in vocabulary.tokens
        ]
        self._lengths = np.array([len(codes) for codes in spelled])
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._codes = np.concatenate(spelled)

    def spell(self, ids: npt.NDArray[Any]) -> Codes:
        lengths = self._lengths[ids]
        ends = np.cumsum(lengths)
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)
        codes: Codes = self._codes[np.repeat(self._starts[ids], lengths) + within]
        return codes
