"""Which poems a model is trained on, validated on and tested on.

A poem's place follows from a hash of its own text, so it stays where it is when the corpus is
imported again, in another order, or with more poems or fewer: a test poem of the whole collection
is in no training set that is a part of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

PARTS = ("train", "validation", "test")
SHARES = (98, 1, 1)
"""Percent of the poems in each part."""

_HELD_OUT = 16


def hash_poems(texts: Iterable[str]) -> npt.NDArray[np.uint64]:
    """A number for each poem, which depends on its text alone and falls anywhere alike."""
    hashes = b"".join(
        [hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest() for text in texts]
    )
    return np.frombuffer(hashes, "<u8").astype(np.uint64)


def assign_parts(
    hashes: npt.NDArray[np.uint64], shares: tuple[int, int, int] = SHARES
) -> npt.NDArray[np.uint8]:
    """The part of each poem, as its place in `PARTS`.

    The parts are ranges of the hash: the lowest values are validation, the next test, the rest
    training. A corpus so small that a held-out part would come out with fewer than 16 poems (or a
    tenth of the corpus, if that is less; but one at least of three poems) gets that many of the
    lowest instead: a hundredth of 150 poems is no measure of anything.

    Args:
        hashes: (N,) of `hash_poems`.
        shares: The parts' shares of the poems, in the order of `PARTS`, summing to any total.
    """
    unit = hashes.astype(np.float64) * (sum(shares) / 2.0**64)
    parts = np.zeros(len(hashes), np.uint8)
    parts[unit < shares[1] + shares[2]] = PARTS.index("test")
    parts[unit < shares[1]] = PARTS.index("validation")
    least = min(_HELD_OUT, max(len(hashes) // 10, int(len(hashes) >= 3)))
    counts = np.bincount(parts, minlength=len(PARTS))
    if all(counts[i] >= least or not shares[i] for i in (1, 2)):
        return parts
    order = np.argsort(hashes, kind="stable")
    parts[:] = 0
    start = 0
    for i in (1, 2):
        end = start + (max(least, len(hashes) * shares[i] // sum(shares)) if shares[i] else 0)
        parts[order[start:end]] = i
        start = end
    return parts
