"""What a reader hands on: many poems as they came, and what was wrong with the rest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from poetgen.errors import CorpusError

GENRES = ("诗", "词", "曲")

Problem = Callable[[CorpusError], None]
"""Told of a part that cannot be read. It raises (`--strict`) or notes the error and returns."""


@dataclass
class Batch:
    """Poems of one file or of a stretch of it; one entry of every list for each poem.

    Attributes:
        place: The file, for messages.
        texts: Where the source ends a line there is a line feed.
        titles, authors, dynasties: Empty when unknown.
        genres: 诗, 词 or 曲.
    """

    place: str
    texts: list[str] = field(default_factory=list)
    titles: Sequence[str] = field(default_factory=list)
    authors: Sequence[str] = field(default_factory=list)
    dynasties: Sequence[str] = field(default_factory=list)
    genres: Sequence[str] = field(default_factory=list)
