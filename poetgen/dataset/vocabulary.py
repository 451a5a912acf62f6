"""The tokens that a model knows, and their ids.

A vocabulary is a list of tokens whose place is their id; the first four are special. It travels
with the weights as `vocab.txt`, one token a line. It knows nothing of how text is cut into
tokens, but it knows what to do with a word it lacks: spell it, character by character.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from poetgen import files
from poetgen.errors import VocabularyError
from poetgen.verse.poem import MARKS

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
"""Padding, the start and the end of a poem, and a character that the vocabulary lacks."""

UNKNOWN_NATS = math.log(30_000)
"""What `<unk>` costs beyond its own prediction, wherever text is measured: it hides one of so many
characters, equally likely. A convention: changing it makes every figure measured before
incomparable."""


class Vocabulary:
    """Tokens and their ids; never changes once made.

    Args:
        tokens: The tokens in the order of their ids, the specials first.
        source: What to call this vocabulary in an error, such as a file's name.

    Raises:
        VocabularyError: The specials are not first, or a token is empty, stands twice or holds
            white space.
    """

    def __init__(self, tokens: Sequence[str], source: str = "the vocabulary") -> None:
        self.tokens = tuple(tokens)
        if self.tokens[: len(SPECIALS)] != SPECIALS:
            raise VocabularyError(
                f"{source} does not begin with {' '.join(SPECIALS)}, one a line",
                hint="it was not made by poetgen, or it was changed since",
            )
        self._ids = {token: i for i, token in enumerate(self.tokens)}
        for i, token in enumerate(self.tokens):
            if self._ids[token] != i:
                raise VocabularyError(
                    f"{source}: line {self._ids[token] + 1} repeats line {i + 1}, '{token}'"
                )
            if not _can_be_a_line(token):
                raise VocabularyError(f"{source}: line {i + 1} is {token!r}, which is no token")

    @classmethod
    def build(cls, counts: Mapping[str, int], min_count: int, controls: Sequence[str] = ()) -> Self:
        """Make the vocabulary of a training text.

        Every token that is seen `min_count` times gets in, and every character that is, alone or
        inside longer tokens, so that a rare word can be spelled with characters.

        Args:
            counts: How often the tokenizer cut each token.
            min_count: How often a token or a character must be seen.
            controls: Tokens that are read and never written; they come after the specials.

        Raises:
            VocabularyError: Nothing is seen so often.
        """
        characters: Counter[str] = Counter()
        for token, count in counts.items():
            for character in token:
                characters[character] += count
        tokens = {token for token, count in counts.items() if count >= min_count}
        tokens |= {character for character, count in characters.items() if count >= min_count}
        known = sorted(
            (token for token in tokens if _can_be_a_line(token) and not _is_control(token)),
            key=lambda token: (-counts.get(token, 0), token),
        )
        if not known:
            raise VocabularyError(
                f"no character is seen {min_count} times in the training poems",
                hint="lower --min-count, or take a larger corpus",
            )
        return cls((*SPECIALS, *controls, *known))

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.tokens == other.tokens

    def __hash__(self) -> int:
        return hash(self.tokens)

    def __repr__(self) -> str:
        return f"<Vocabulary of {len(self)} tokens>"

    def id_of(self, token: str) -> int:
        """The id of `token`, or UNK."""
        return self._ids.get(token, UNK)

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """The ids of `tokens`.

        An unknown token of several characters becomes its characters; an unknown character, UNK.
        """
        ids: list[int] = []
        for token in tokens:
            known = self._ids.get(token)
            if known is not None:
                ids.append(known)
            else:
                ids.extend(self._ids.get(character, UNK) for character in token)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; specials and control tokens give nothing."""
        return "".join(self.tokens[i] for i in ids if not _is_control(self.tokens[i]))

    @property
    def line_ends(self) -> tuple[int, ...]:
        """The ids of the marks that end a line of verse, as far as they are known."""
        return tuple(sorted(self._ids[mark] for mark in MARKS if mark in self._ids))

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file that `save` writes, in hex."""
        return hashlib.sha256(self._as_bytes()).hexdigest()

    def _as_bytes(self) -> bytes:
        return "".join(f"{token}\n" for token in self.tokens).encode("utf-8")

    def save(self, path: Path) -> None:
        """Write one token a line as UTF-8, whole or not at all."""
        with files.replacing(path) as file:
            file.write(self._as_bytes())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            VocabularyError: The file is not there, is not UTF-8, or holds no vocabulary.
        """
        try:
            text = path.read_bytes().decode("utf-8")
        except FileNotFoundError:
            raise VocabularyError(f"{path} is missing") from None
        except UnicodeDecodeError as error:
            raise VocabularyError(f"{path} is not UTF-8 at byte {error.start}") from None
        # A checkout on Windows may have given the lines \r\n; str.splitlines would also split at
        # characters that are no line ends in a file.
        return cls(text.replace("\r\n", "\n").removesuffix("\n").split("\n"), source=str(path))


def _is_control(token: str) -> bool:
    """Whether a token stands for no text: `<bos>`, `<form:qijue>`."""
    return len(token) > 2 and token[0] == "<" and token[-1] == ">"


def _can_be_a_line(token: str) -> bool:
    # No white space (the empty token splits to nothing), and no lone surrogate, such as the JSON
    # string "\ud800" gives: no UTF-8 file can hold it.
    return token.split() == [token] and not any("\ud800" <= c <= "\udfff" for c in token)
