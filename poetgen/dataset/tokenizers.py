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

    Without is better, on the validation poems of the chinese-poetry collection, by an interpolated
    Kneser-Ney bigram over the tokens (`python benchmarks/tokenizers.py`), --min-count 10 and 50:

        tokenizer       vocabulary    tokens a poem    bigram, nats per character
        char                  7507             63.1    6.664
        word            33743, 16037     53.8, 55.1    6.500, 6.533
        word with HMM   71944, 21704     49.6, 53.0    6.505, 6.527

    Its guesses double the vocabulary and predict no better; they are made for 1990s prose.
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
        tokens: list[str] = _jieba_tokenizer().lcut(text, HMM=self._hmm)
        return tokens


@functools.cache
def _jieba_tokenizer() -> jieba.Tokenizer:
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
