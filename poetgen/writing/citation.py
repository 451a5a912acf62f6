"""For each line of a poem, the line of a corpus that comes nearest to it, and whose it is.

A line shares with another the pairs of neighbouring characters that stand in both. The index says
for each pair where it stands in the corpus; of the lines that share most pairs with the one asked
about, the nearest is the one with the fewest changes (edit distance), then the one that comes
first. It is made once for a corpus and kept in the cache.

The whole chinese-poetry collection has 13.7 million pairs in 2.7 million lines: made in
some 8 s into 90 MB, opened again in 1 s; then a line takes 5 to 25 ms.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from poetgen import files, folders
from poetgen.corpus.store import SAMPLE, corpora_folder, open_corpus
from poetgen.dataset.runs import Codes, code_points
from poetgen.errors import CorpusError
from poetgen.verse.poem import MARKS

if TYPE_CHECKING:
    from poetgen.corpus.store import Corpus
    from poetgen.writing.poet import Poet

_FORMAT = 1  # Raise it when the same corpus comes to another index.
_BREAK = re.compile(f"[{MARKS}]")
_COMPARED = 200
"""Lines that are compared by edit distance, of those that share most pairs."""


@dataclass(frozen=True, slots=True)
class Citation:
    """The nearest line to one that was written.

    Attributes:
        line: What was written.
        nearest: The line of the corpus; empty where none shares two neighbours with it.
        title: Its poem's; empty where the corpus does not say.
        author: Its poem's, likewise.
        shared: The characters of `line` that can be kept when it is changed to `nearest`.
    """

    line: str
    nearest: str = ""
    title: str = ""
    author: str = ""
    shared: int = 0


def corpus_of(poet: Poet) -> Corpus:
    """The corpus that a poet was trained on.

    Raises:
        CorpusError: It is not imported here.
    """
    name = poet.corpus
    # An imported corpus and the sample are looked for by name; a path has none.
    if name == SAMPLE or (name and (corpora_folder() / name).is_dir()):
        return open_corpus(name)
    raise CorpusError(
        f"the corpus '{name}', which {poet.name} was trained on, is not imported here",
        hint=f"--cite needs it: poetgen corpus import PATH --name {name}",
    )


class Citations:
    """Finds lines of a corpus.

    Args:
        corpus: The corpus.

    Raises:
        CorpusError: The corpus is damaged.
        OSError: The cache cannot be written.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._texts = corpus.texts()
        self._details = corpus.details()
        key = hashlib.sha256(f"{_FORMAT} {corpus.content_hash}".encode()).hexdigest()[:20]
        path = folders.cache_folder() / "citations" / f"{key}.npz"
        index = _opened(path)
        if index is None:
            index = _made(self._texts)
            with files.replacing(path) as file:
                np.savez(file, allow_pickle=False, **index)
        self._index = index

    def nearest(self, line: str) -> Citation:
        """The nearest line of the corpus to one without marks."""
        pairs = np.unique(_pairs(code_points(line)))
        found = [np.empty(0, np.int32), *map(self._having, pairs.tolist())]
        numbers, shared = np.unique(np.concatenate(found), return_counts=True)
        if not len(numbers):
            return Citation(line)
        best = numbers[np.argsort(-shared, kind="stable")[:_COMPARED]].tolist()
        distances = [edit_distance(line, self._text(number)) for number in best]
        number = best[distances.index(min(distances))]
        text, details = self._text(number), self._details[self._poem(number)]
        kept = max(len(line), len(text)) - min(distances)
        return Citation(line, text, details.title, details.author, kept)

    def _having(self, pair: int) -> npt.NDArray[np.int32]:
        """The lines that hold a pair, each once."""
        pairs, starts = self._index["pairs"], self._index["starts"]
        place = int(np.searchsorted(pairs, pair))
        if place == len(pairs) or pairs[place] != pair:
            return np.empty(0, np.int32)
        lines: npt.NDArray[np.int32] = self._index["lines"][starts[place] : starts[place + 1]]
        return np.unique(lines)

    def _poem(self, line: int) -> int:
        return int(np.searchsorted(self._index["firsts"], line, side="right")) - 1

    def _text(self, line: int) -> str:
        poem = self._poem(line)
        return _BREAK.split(self._texts[poem])[line - int(self._index["firsts"][poem])]


def edit_distance(one: str, other: str) -> int:
    """How many characters must be put in, taken out or replaced to make one text the other."""
    above = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            row.append(min(row[-1] + 1, above[j] + 1, above[j - 1] + (a != b)))
        above = row
    return above[-1]


def _made(texts: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """The index of the lines of some poems, which are numbered through.

    Returns:
        pairs: (P,) int64, ascending: the different pairs.
        starts: (P + 1,) int64: where in `lines` each pair begins.
        lines: int32: for each pair after the other, the lines that it stands in.
        firsts: (N,) int64: the first line of each poem.
    """
    codes = code_points("".join(text + "\n" for text in texts))
    closing = np.isin(codes, code_points(MARKS + "\n"))
    line_of = np.cumsum(closing, dtype=np.int32)
    ends = np.flatnonzero(codes == ord("\n"))
    within = np.flatnonzero(~(closing[:-1] | closing[1:]))
    keys = _pairs(codes)[within]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    beginnings = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    return {
        "pairs": keys[beginnings],
        "starts": np.append(beginnings, len(keys)),
        "lines": line_of[within[order]],
        "firsts": np.append(0, line_of[ends])[:-1].astype(np.int64),
    }


def _opened(path: Path) -> dict[str, npt.NDArray[Any]] | None:
    """An index that was kept, or None where there is none that can be read."""
    try:
        # Opened here: of a file that is no archive, np.load would leave its own open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return {name: kept[name] for name in ("pairs", "starts", "lines", "firsts")}
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):
        return None


def _pairs(codes: Codes) -> npt.NDArray[np.int64]:
    """A number for each two neighbours of a row of code points, which have 21 bits each."""
    pairs: npt.NDArray[np.int64] = codes[:-1].astype(np.int64) << 21 | codes[1:]
    return pairs
