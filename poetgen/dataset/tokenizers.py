"""From running text to tokens: a character each, or a word each.

A tokenizer only cuts: the tokens joined are the text again, and a mark is always a token of its
own, so no token reaches across the end of a line. It knows no ids; `poetgen.dataset.vocabulary`
does. jieba is imported only when words are asked for.
"""

from __future__ import annotations

import functools
import importlib.metadata
import warnings
from typing import TYPE_CHECKING, Protocol

from poetgen.errors import VocabularyError

if TYPE_CHECKING:
    import jieba


class Tokenizer(Protocol):
    """Cuts text into tokens."""

    @property
    def name(self) -> str:
        """What `--tokenizer` calls it, and what a checkpoint keeps."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the same text might be cut differently; part of a cache's key."""
        ...

    def tokenize(self, text: str) -> list[str]:
        """Cut `text`; the tokens joined are `text` again."""
        ...


class CharTokenizer:
    """Every character is a token."""

    name = "char"
    version = "char"

    def tokenize(self, text: str) -> list[str]:
        """Cut `text` into its characters."""
        return list(text)


class WordTokenizer:
    """Words as jieba finds them in its dictionary.

    Args:
        hmm: Whether jieba also guesses words that its dictionary lacks, with a hidden Markov
            model that was trained on modern newspapers.

    Without is better on the chinese-poetry collection: by the nats per character that a bigram over
    the tokens takes for the validation poems (`python benchmarks/tokenizers.py`), at any size of
    vocabulary. The guesses are for modern prose, and make far more words that are seen once.

        tokenizer    min_count    vocabulary    tokens a poem    nats
        char                10          7012             63.5    6.659
        word                10         33170             54.2    6.502
        word                20         24592             54.6    6.509
        with HMM            20         42073             51.2    6.510
        with HMM            50         21384             53.3    6.529
    """

    name = "word"

    def __init__(self, hmm: bool = False) -> None:
        self._hmm = hmm

    @property
    def version(self) -> str:
        """The version of jieba and how it is used."""
        return f"word:jieba-{importlib.metadata.version('jieba')}:hmm={int(self._hmm)}"

    def tokenize(self, text: str) -> list[str]:
        """Cut `text` into words; what is in no word stays a character."""
        tokens: list[str] = jieba_tokenizer().lcut(text, HMM=self._hmm)
        return tokens


@functools.cache
def jieba_tokenizer() -> jieba.Tokenizer:
    """The tokenizer of jieba with its own dictionary, read once."""
    # jieba 0.42 is of 2020: its source has escapes that newer Pythons warn of, and it tries
    # pkg_resources, which warns too. Neither is anything that our user could mend.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba

        # What initialize() does, without the marshal file that it would leave in, and load from,
        # the temporary folder, and without its log. Reading the dictionary takes 0.53 s and
        # loading that file 0.57 s, so nothing is lost.
        tokenizer = jieba.Tokenizer()
        tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
        tokenizer.initialized = True
    return tokenizer


TOKENIZERS: dict[str, type[CharTokenizer] | type[WordTokenizer]] = {
    "char": CharTokenizer,
    "word": WordTokenizer,
}


def tokenizer_named(name: str) -> Tokenizer:
    """Find a tokenizer.

    Raises:
        VocabularyError: There is no such tokenizer; the hint lists those there are.
    """
    try:
        return TOKENIZERS[name]()
    except KeyError:
        raise VocabularyError(
            f"no tokenizer is called '{name}'", hint=f"the tokenizers are {', '.join(TOKENIZERS)}"
        ) from None
