"""The lines of many poems as arrays: lengths, hashes, forms. Text in, numbers out."""

import functools
from dataclasses import dataclass

import numpy as np

from poetgen.verse.forms import FORMS

OTHER = "其他"
"""The form of 诗 that has none of the regular shapes: 古体 and the rest."""


@dataclass(frozen=True)
class LineTable:
    """The lines of N poems, M in all.

    Attributes:
        counts: (N,) int64, lines in each poem; none is 0.
        lengths: (M,) int64, characters in each line.
        hashes: (M,) uint64, equal for equal lines. Two different lines of a corpus of 3 million
            have the same with odds below 1 in a million.
    """

    counts: np.ndarray
    lengths: np.ndarray
    hashes: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """(N,) the first line of each poem."""
        starts: np.ndarray = np.cumsum(self.counts) - self.counts
        return starts

    def characters(self) -> np.ndarray:
        """(N,) the characters in each poem."""
        return self._sum(self.lengths)

    def select(self, poems: np.ndarray) -> "LineTable":
        """The lines of the poems at `poems`, ascending places."""
        wanted = np.zeros(len(self.counts), dtype=bool)
        wanted[poems] = True
        of_line = np.repeat(wanted, self.counts)
        return LineTable(self.counts[poems], self.lengths[of_line], self.hashes[of_line])

    def broken(self, longest: int, regular: np.ndarray) -> np.ndarray:
        """(N,) bool: no line structure that verse has.

        Broken is a poem of one line; one with a line of more than `longest` characters; and 诗
        (`regular`, (N,) bool) of four lines or more in fives or sevens where one line, and only
        one, has a character too many or too few: one was lost or an editor's note stayed.
        """
        broken = (self.counts < 2) | (self._sum(self.lengths > longest) > 0)
        for length in (5, 7):
            off = self._sum(np.abs(self.lengths - length))
            broken |= regular & (self.counts >= 4) & (off == 1)
        return broken

    def forms(self) -> np.ndarray:
        """(N,) int64: the place in `FORMS` of each poem's form, or len(FORMS) where none fits."""
        forms = np.full(len(self.counts), len(FORMS))
        for code, form in enumerate(FORMS):
            even = self._sum(self.lengths != form.line_length) == 0
            forms[even & (self.counts == form.line_count)] = code
        return forms

    def _sum(self, of_lines: np.ndarray) -> np.ndarray:
        """(N,) the sum over each poem's lines."""
        if not len(self.counts):
            return np.zeros(0, dtype=np.int64)
        return np.add.reduceat(of_lines.astype(np.int64), self.starts)


def concatenate(tables: list[LineTable]) -> LineTable:
    """The poems of several tables, one after the other."""
    if not tables:
        return LineTable(*(np.zeros(0, dtype=t) for t in (np.int64, np.int64, np.uint64)))
    return LineTable(
        np.concatenate([table.counts for table in tables]),
        np.concatenate([table.lengths for table in tables]),
        np.concatenate([table.hashes for table in tables]),
    )


def line_table(code_points: np.ndarray, is_mark: np.ndarray, poem_end: int) -> LineTable:
    """Find the lines in clean text.

    Args:
        code_points: (L,) uint32. Every poem is lines, each closed by one mark, and then
            `poem_end`.
        is_mark: (L,) bool, where the marks are.
        poem_end: The code point that closes a poem.
    """
    marks = np.flatnonzero(is_mark)
    is_end = code_points == poem_end
    ends = np.flatnonzero(is_end)
    counts = np.diff(np.searchsorted(marks, ends), prepend=0)
    # Between two marks lie a line's characters, and the end of a poem if one ends there.
    lengths = np.diff(marks, prepend=-1) - 1
    firsts = np.cumsum(counts) - counts
    lengths[firsts[1:]] -= 1
    characters = code_points[~(is_mark | is_end)]
    starts = np.cumsum(lengths) - lengths
    places = np.arange(len(characters)) - np.repeat(starts, lengths)
    of_character, of_place = _hash_tables()
    # Beyond the table's end places repeat; such lines are too long to be verse anyway.
    products = of_character[characters] * of_place[places % len(of_place)]
    hashes = np.add.reduceat(products, starts) if len(marks) else np.zeros(0, dtype=np.uint64)
    return LineTable(counts, lengths, hashes)


def mix(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: uint64 to uint64, one to one, every bit depending on every other.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed


@functools.cache
def _hash_tables() -> tuple[np.ndarray, np.ndarray]:
    """A number for each code point, and an odd number for each place in a line."""
    of_character = mix(np.arange(0x110000, dtype=np.uint64))
    of_place = mix(np.arange(0x200000, 0x200000 + 64, dtype=np.uint64)) | np.uint64(1)
    return of_character, of_place
