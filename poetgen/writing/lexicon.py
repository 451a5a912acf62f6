"""What the tokens of a vocabulary are made of, as arrays: which of them fit where in a line.

One lexicon serves every template of its vocabulary. It knows tokens and their characters; nothing
of forms, requests or models.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from poetgen.dataset.vocabulary import UNK, Vocabulary
from poetgen.verse.poem import is_han

Mask: TypeAlias = npt.NDArray[np.bool_]
Ids: TypeAlias = npt.NDArray[np.int64]

_NONE: Ids = np.empty(0, np.int64)


class Lexicon:
    """The tokens of a vocabulary, by their characters.

    Attributes:
        vocabulary: The V tokens and their ids.
        words: Those that can stand in a line, by their ids.
        longest: The characters of the longest of them.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        words = {id: token for id, token in enumerate(vocabulary.tokens) if all(map(is_han, token))}
        self.words = words
        self.longest = max((len(word) for word in words.values()), default=0)
        # (V, longest): code points, 0 where the token has no such character. A token that is no
        # word (a special, a mark) has length 0 and stands in no line.
        self._characters = np.zeros((len(vocabulary), self.longest), np.uint32)
        self._lengths = np.zeros(len(vocabulary), np.int64)
        having: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
        for id, word in words.items():
            self._lengths[id] = len(word)
            for offset, character in enumerate(word):
                self._characters[id, offset] = ord(character)
                having[character, offset].append(id)
        self._having = {key: np.array(ids) for key, ids in having.items()}
        self.repeating: Ids = np.array(
            [id for id, word in words.items() if len(word) > 2 and _repeats(word)], np.int64
        )
        """The tokens that by themselves repeat a character other than side by side."""
        # Few beginnings differ, and a row is a byte a token: equal rows are one array.
        self.fitting = lru_cache(maxsize=4096)(self._fitting)

    def having(self, character: str, offset: int) -> Ids:
        """The tokens whose character number `offset` (from 0) is `character`."""
        return self._having.get((character, offset), _NONE)

    def _fitting(self, places: tuple[str | None, ...]) -> Mask:
        """Which tokens can stand at the beginning of `places`, the rest of a line.

        Args:
            places: For each place the character that must stand there, or None.

        Returns:
            (V,) bool, to be left unchanged: a token of k characters is in if k places are left
            and its characters are those that must stand there. Where no token is the first
            character that must stand there, `<unk>` stands for it.
        """
        fits = (self._lengths > 0) & (self._lengths <= len(places))
        for offset, character in enumerate(places[: self.longest]):
            if character is not None:
                found = self._characters[:, offset]
                fits &= (found == ord(character)) | (found == 0)
        if places[0] is not None and places[0] not in self.vocabulary:
            fits[UNK] = True
        fits.flags.writeable = False
        return fits


def _repeats(word: Sequence[str]) -> bool:
    """Whether a character stands in `word` twice apart, or three times."""
    return any(
        count > 2 or (count == 2 and character * 2 not in "".join(word))
        for character, count in Counter(word).items()
    )
