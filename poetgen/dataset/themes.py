"""What poems are about, from their titles.

A title says more of an occasion than of a theme: 次韵王定国秋日见寄二首其一. What is kept of it are
words of verse: two characters side by side that stand side by side in the poems again and again
(秋日), or, where the title has none, its first characters that are no number and no word of
occasion. So names and numbers fall away by themselves, with no list of them.

jieba, which cuts a theme that a user gives as a sentence, was tried on the titles and dropped: its
dictionary is of modern words, and it takes 6 s for the large corpus where this takes 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from poetgen.corpus.script import simplified
from poetgen.dataset.context import THEME_LENGTH
from poetgen.dataset.vocabulary import PAD, UNK, Vocabulary
from poetgen.verse.poem import is_han

_COUNTS = "其一二三四五六七八九十百○首韵韻次和题題之作并並序"
_OCCASIONS = "寄送赠贈酬答呈因见見以同用得示戏戲偶奉复復再又有所及与與为為爲者也而于於此诗詩书書"
_BLOCK = 1 << 16
_CODE_POINTS = 0x110000

Ids = npt.NDArray[Any]


def themes_of(
    titles: Sequence[str], texts: Sequence[str], vocabulary: Vocabulary, script: str
) -> Ids:
    """The themes of poems as ids.

    Args:
        titles: N titles, in any script.
        texts: The poems that say what a word of verse is: those of the training part.
        vocabulary: Its characters are the ids; a character that it lacks is no part of a theme.
        script: The script of `texts` and the vocabulary.

    Returns:
        (N, THEME_LENGTH), PAD where a theme is shorter; uint16, or uint32 for a large vocabulary.
    """
    dtype = np.uint16 if len(vocabulary) <= 1 << 16 else np.uint32
    known = np.zeros(_CODE_POINTS, np.int64)
    for character in filter(is_han, vocabulary.tokens):
        if character not in _COUNTS:
            known[ord(character)] = vocabulary.id_of(character)
    words = _words_of_verse(texts, known, len(vocabulary))
    themes = np.full((len(titles), THEME_LENGTH), PAD, dtype)
    for start in range(0, len(titles), _BLOCK):
        block = titles[start : start + _BLOCK]
        _fill(themes[start : start + _BLOCK], block, known, words, vocabulary, script)
    return themes


def _words_of_verse(
    texts: Sequence[str], known: npt.NDArray[np.int64], size: int
) -> npt.NDArray[np.int64]:
    """The pairs a·size + b of ids that stand side by side often, sorted."""
    pairs = [np.zeros(0, np.int64)]
    characters = 0
    for start in range(0, len(texts), _BLOCK):
        ids = known[_code_points("\n".join(texts[start : start + _BLOCK]))]
        characters += len(ids)
        side_by_side = (ids[:-1] > UNK) & (ids[1:] > UNK)
        pairs.append((ids[:-1] * size + ids[1:])[side_by_side])
    row = np.concatenate(pairs)
    if size < 1 << 16:
        row = row.astype(np.uint32)  # Sorts three times as fast.
    found, counts = np.unique(row, return_counts=True)
    return found[counts >= max(3, characters // 500_000)].astype(np.int64)


def _fill(
    themes: Ids,
    titles: Sequence[str],
    known: npt.NDArray[np.int64],
    words: npt.NDArray[np.int64],
    vocabulary: Vocabulary,
    script: str,
) -> None:
    """Write the themes of `titles` to the rows of `themes`."""
    code_points = _code_points("".join(title.replace("\n", " ") + "\n" for title in titles))
    if script == "simplified":
        code_points = simplified(code_points.astype(np.uint32), code_points == ord("\n"))
    ids = known[code_points]
    of_title = np.cumsum(code_points == ord("\n")) - (code_points == ord("\n"))
    pairs = ids[:-1] * len(vocabulary) + ids[1:]
    is_word = (ids[:-1] > UNK) & (ids[1:] > UNK)
    if len(words):
        is_word &= words[np.searchsorted(words[:-1], pairs)] == pairs
    else:
        is_word[:] = False
    filled = np.zeros(len(titles), np.int64)
    last_title, end = -1, 0
    places = np.flatnonzero(is_word)
    for place, title in zip(places.tolist(), of_title[places].tolist(), strict=True):
        if title != last_title:
            last_title, end = title, place
        if place >= end and filled[title] < THEME_LENGTH - 1:
            themes[title, filled[title] : filled[title] + 2] = ids[place : place + 2]
            filled[title] += 2
            end = place + 2

    alone = ids > UNK
    alone &= ~np.isin(code_points, _code_points(_OCCASIONS))
    alone &= filled[np.minimum(of_title, len(titles) - 1)] == 0
    places = np.flatnonzero(alone)
    titles_of = of_title[places]
    first = np.searchsorted(titles_of, titles_of, side="left")
    rank = np.arange(len(places)) - first
    short = rank < 2
    themes[titles_of[short], rank[short]] = ids[places[short]]


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "replace"), "<u4")
