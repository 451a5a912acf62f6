"""A corpus that is a list, for tests of what is made of corpora."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from poetgen.corpus.store import Corpus, CorpusInfo, Details
from poetgen.dataset.encoded import EncodedSplit, encode_with
from poetgen.dataset.vocabulary import Vocabulary
from poetgen.verse.poem import count_han


class ListCorpus(Corpus):
    """Poems in memory. Counts how often its texts are asked for."""

    def __init__(
        self,
        texts: Sequence[str],
        forms: Sequence[str] | None = None,
        script: Literal["simplified", "traditional"] = "simplified",
        details: Sequence[Details] | None = None,
    ) -> None:
        self._list = list(texts)
        self._names = list(forms) if forms is not None else ["其他"] * len(texts)
        self._details = list(details) if details is not None else [Details()] * len(texts)
        self.times_read = 0
        info = CorpusInfo(
            name="list",
            folder=Path(),
            source="",
            source_sha256="",
            licence="",
            script=script,
            poems=len(texts),
            characters=sum(map(count_han, texts)),
            content_hash=hashlib.sha256("\n".join(self._list).encode()).hexdigest(),
        )
        super().__init__(info, {})

    def texts(self) -> Sequence[str]:
        self.times_read += 1
        return self._list

    def forms(self) -> Sequence[str]:
        return self._names

    def details(self) -> Sequence[Details]:
        return self._details


def split_of_lengths(lengths: Sequence[int]) -> EncodedSplit:
    """Poems of these many ids, BOS and EOS included, all of them different."""
    texts = [
        "".join(chr(0x4E00 + (31 * i + 7 * j) % 2000) for j in range(length - 2))
        for i, length in enumerate(lengths)
    ]
    vocabulary = Vocabulary.build({chr(0x4E00 + i): 1 for i in range(2000)}, 1)
    return encode_with(ListCorpus(texts), vocabulary, "char", "simplified")
