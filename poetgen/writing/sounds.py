"""How the tokens of a vocabulary sound by a rhyme book, as arrays: their tones and their rhymes.

Free characters are taken by the readings that verse uses (`RhymeBook.for_writing`); all that the
judge knows (`RhymeBook.for_judging`) count where a rare one could make it find a fault. It knows
tokens and rhyme books; nothing of forms, requests or models.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from poetgen.dataset.vocabulary import UNK
from poetgen.verse.phonology import EITHER, LEVEL, OBLIQUE, RhymeBook, rhyme_book
from poetgen.writing.lexicon import Lexicon

Groups = npt.NDArray[np.uint64]
"""Rhyme groups as bits: those of a level tone, which come first in every book."""


class Sounds:
    """The sounds of a lexicon's V tokens. Rhymes are those of a token's last character.

    Attributes:
        lexicon: The tokens.
        book: The rhyme book, with the readings that the judge knows.
        tones: The different strings of tones that tokens have.
        tones_of: (V,) for each token, the index of its tones in `tones`.
        rhymes: (V,) the groups that verse uses the character in.
        readings: (V,) the groups that it has any reading in.
        borrows: (V,) the groups that it may rhyme with at the end of a first line.
        jars: (V,) the groups that it sounds like: at the end of a line that does not rhyme it
            would be 撞韵.
        plenty: For each group, how many characters have a reading in it and in no other.
        quiet: The groups that some oblique character does not sound like.
    """

    def __init__(self, lexicon: Lexicon, book: RhymeBook) -> None:
        self.lexicon = lexicon
        self.book = book = book.for_judging
        self._level = {group.name: 1 << i for i, group in enumerate(book.groups) if group.is_level}
        self.plenty = dict.fromkeys(self._level.values(), 0)
        self.quiet = 0
        size = len(lexicon.vocabulary)
        self.rhymes, self.readings, self.borrows, self.jars = np.zeros((4, size), np.uint64)
        self.tones_of = np.zeros(size, np.int64)
        index = {"": 0, EITHER: 1}
        self.tones_of[UNK] = 1  # It stands for one fixed character.
        for id, word in lexicon.words.items():
            tones = book.for_writing.tones(word)
            self.tones_of[id] = index.setdefault(tones, len(index))
            rhymes, readings, borrows, jars = self._ending(word[-1])
            self.rhymes[id], self.readings[id] = rhymes, readings
            self.borrows[id], self.jars[id] = borrows, jars
            if len(word) == 1:
                if rhymes == readings in self.plenty:
                    self.plenty[rhymes] += 1
                if tones != LEVEL:
                    self.quiet |= book.level_mask & ~jars
        self.tones = tuple(index)

    def _ending(self, character: str) -> tuple[int, int, int, int]:
        """What a character rhymes with, can be read as, borrows from and jars with."""
        book = self.book
        used = book.for_writing.mask(character)
        return self._of_groups(used, book.mask(character), book.tones(character) == LEVEL)

    @functools.cache  # noqa: B019 - there is one of it for a lexicon.
    def _of_groups(self, used: int, known: int, is_level: bool) -> tuple[int, int, int, int]:
        # Thousands of characters stand in a few hundred sets of groups.
        rhymes = used & self.book.level_mask
        readings = known & self.book.level_mask
        # One that could be read oblique would not be taken for a borrowed rhyme.
        borrows = self.near(rhymes) if is_level else rhymes
        jars = readings
        for group in self._families(used):
            jars |= group
        return rhymes, readings, borrows, jars

    def judged(self, foot: str) -> int:
        """The groups that the judge lets the foot of an even line stand in: all, if unknown."""
        if not self.book.mask(foot) and self.book.tones(foot) != OBLIQUE:
            return self.book.level_mask
        return self.book.mask(foot) & self.book.level_mask

    def near(self, groups: int) -> int:
        """The groups that a first line may borrow its rhyme from when the poem's is in `groups`.

        Being near is mutual.
        """
        found = 0
        for group in self.book.group_masks(groups):
            found |= self.book.near(group)
        return found

    def sounds_like(self, foot: str) -> int:
        """The group that the judge finds a foot jar with (撞韵): in all its readings; or 0."""
        families = self._families(self.book.mask(foot))
        if len(families) < len(self.book.readings(foot)) or len(set(families)) != 1:
            return 0
        return families[0]

    def _families(self, groups: int) -> list[int]:
        """The level groups that the oblique ones of some groups answer to, 0 for none.

        An entering tone is left out: it ends in a stop in the classical book, and sounds like none.
        """
        return [
            self._level.get(group.family, 0)
            for group in self.book.group_masks(groups)
            if group.tone in "上去仄"
        ]


@functools.lru_cache(maxsize=8)
def sounds_of(lexicon: Lexicon, book: str) -> Sounds:
    """How the tokens of a lexicon sound by a book, worked out once."""
    return Sounds(lexicon, rhyme_book(book))
