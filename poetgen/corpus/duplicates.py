"""Which poems of a corpus came before, whole or nearly. Sees numbers, and text only to compare.

Two poems are duplicates when they have the same characters in lines of the same lengths; the
marks do not count. A poem is a near duplicate of an earlier one when both have the same line
lengths, share at least one line at the same place, and
    at least half of the lines are the same at the same place, or
    at most a fifth of the characters differ at the same place.
The first stays. Two versions in which every single line differs are not found: finding them needs
a comparison of everything with everything, and 集句 and 次韵 would be caught with them.
"""

from collections.abc import Callable
from operator import ne

import numpy as np

from poetgen.corpus.lines import LineTable, mix
from poetgen.verse.poem import MARKS

SAME_LINES = 0.5
DIFFERENT_CHARACTERS = 0.2

# A refrain such as 南无阿弥陀佛 opens thousands of poems. Beyond this many that share a line, a
# poem is compared with the first and with the last before it.
_CROWD = 12


def exact_duplicates(lines: LineTable) -> np.ndarray:
    """(N,) bool: an earlier poem has the same characters in the same lines."""
    keys = _poem_keys(lines, lines.hashes, _places(lines))
    _, first = np.unique(keys, return_index=True)
    duplicate = np.ones(len(keys), dtype=bool)
    duplicate[first] = False
    return duplicate


def near_duplicates(lines: LineTable, text_of: Callable[[int], str]) -> np.ndarray:
    """(N,) bool: an earlier poem that stays is nearly the same.

    Args:
        lines: N poems without exact duplicates.
        text_of: The text of poem i, a mark after each line.
    """
    near = np.zeros(len(lines.counts), dtype=bool)
    earlier, later, shared = _pairs(lines)
    half = shared >= SAME_LINES * lines.counts[later]
    for a, b, is_half in zip(earlier.tolist(), later.tolist(), half.tolist(), strict=True):
        if near[a] or near[b]:
            continue
        near[b] = is_half or _few_differ(text_of(a), text_of(b), int(lines.counts[b]))
    return near


def _few_differ(a: str, b: str, lines: int) -> bool:
    """Whether two texts of the same line lengths differ in at most a fifth of the characters."""
    different: int = sum(map(ne, a, b))
    limit = DIFFERENT_CHARACTERS * (len(b) - lines)
    if different <= limit or different > limit + lines:
        return different <= limit
    # It depends on the marks, which do not count.
    return sum(x != y and y not in MARKS for x, y in zip(a, b, strict=True)) <= limit


def _poem_keys(lines: LineTable, values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N,) uint64: one number for the sequence of (M,) uint64 values that a poem's lines have."""
    if not len(lines.counts):
        return np.zeros(0, dtype=np.uint64)
    keys: np.ndarray = np.add.reduceat(values * _of_place(places), lines.starts)
    return keys


def _places(lines: LineTable) -> np.ndarray:
    """(M,) the place of each line in its poem."""
    places: np.ndarray = np.arange(len(lines.hashes)) - np.repeat(lines.starts, lines.counts)
    return places


def _of_place(places: np.ndarray) -> np.ndarray:
    """(M,) uint64: an odd random number for each place."""
    table = mix(np.arange(places.max(initial=0) + 1, dtype=np.uint64)) | np.uint64(1)
    numbers: np.ndarray = table[places]
    return numbers


def _pairs(lines: LineTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poems that share a line: (P,) the earlier, (P,) the later, (P,) how many lines they share.

    Ordered by the later poem, then the earlier.
    """
    places = _places(lines)
    shapes = mix(_poem_keys(lines, lines.lengths.astype(np.uint64), places))
    poems = np.repeat(np.arange(len(lines.counts)), lines.counts)
    # Equal where line, place and the shape of the poem are.
    keys = lines.hashes * _of_place(places) + shapes[poems]
    order = np.argsort(keys)
    ordered = keys[order]
    same = ordered[1:] == ordered[:-1]
    # Only lines that are there twice go on: a few per cent.
    repeated = np.zeros(len(keys), dtype=bool)
    repeated[1:] |= same
    repeated[:-1] |= same
    order = order[repeated]
    order = order[np.lexsort((order, keys[order]))]
    ordered, of_poem = keys[order], poems[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    rank = np.arange(len(ordered)) - np.repeat(starts, np.diff(np.append(starts, len(ordered))))
    first = np.arange(len(ordered)) - rank
    found = []
    for back in range(1, _CROWD + 1):
        i = np.flatnonzero(rank >= back)
        found.append((of_poem[i - back], of_poem[i]))
    crowded = np.flatnonzero(rank > _CROWD)
    found.append((of_poem[first[crowded]], of_poem[crowded]))
    pairs = np.stack([np.concatenate(side) for side in zip(*found, strict=True)])
    code = pairs[1] * np.int64(len(lines.counts)) + pairs[0]
    unique, shared = np.unique(code, return_counts=True)
    return unique % len(lines.counts), unique // len(lines.counts), shared
