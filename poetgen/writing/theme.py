"""From what a user says a poem is to be about, to the few characters that a model is told."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from poetgen.dataset.context import THEME_LENGTH
from poetgen.dataset.tokenizers import jieba_tokenizer
from poetgen.errors import TemplateError
from poetgen.verse.poem import is_han

_NAMES, _DEEDS = "nts", "vaiz"
"""The first letters of jieba's parts of speech that can be a theme: nouns, times and places; and
where these leave room, verbs, adjectives and idioms."""

_EMPTY = frozenset("是有要去来想说让给写在我你他她它们请把被为一首诗关于时候这那里个")


def theme_characters(text: str) -> str:
    """Choose the characters of a theme: at most `THEME_LENGTH`, in the order of the text.

    So short a text is its own theme: 秋思. Of a longer one, such as 我想念远方的朋友, jieba finds
    the words, and those that name things come first, whole words as far as there is room.

    Raises:
        TemplateError: There is no Chinese character in it, or no word that could be a theme.
    """
    text = text.strip()
    characters = "".join(filter(is_han, text))
    if not characters:
        raise TemplateError(
            f"--theme '{text}' has no Chinese character", hint="say it in Chinese: --theme 秋思"
        )
    if len(characters) <= THEME_LENGTH:
        return characters
    words = [(word, flag) for word, flag in _words(text) if not set(word) <= _EMPTY]
    chosen: set[int] = set()
    room = THEME_LENGTH
    for kinds in (_NAMES, _DEEDS):
        for place, (word, flag) in enumerate(words):
            if flag[0] in kinds and len(word) <= room and place not in chosen:
                chosen.add(place)
                room -= len(word)
    theme = "".join(words[place][0] for place in sorted(chosen))
    if not theme:
        raise TemplateError(
            f"--theme '{text}' has no word that a poem could be about",
            hint=f"give up to {THEME_LENGTH} characters: --theme 秋思",
        )
    return theme


def _words(text: str) -> Iterator[tuple[str, str]]:
    """The Chinese words of a text with their parts of speech, as jieba's letters for them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # As for `jieba_tokenizer`.
        from jieba import posseg
    from poetgen.corpus.script import to_simplified

    tokenizer = posseg.POSTokenizer(jieba_tokenizer())
    for pair in tokenizer.cut(to_simplified(text)):
        if all(map(is_han, pair.word)):
            yield pair.word, pair.flag or "x"
