"""A made-up language whose entropy is known, as a corpus to train on.

A poem has two lines of seven characters out of eight. In a line the first two are drawn freely,
and each later one is one of two that follow from the character two places back. So

    with memory       (4 ln 8 + 10 ln 2) / 17 = 0.897 nats a token (14 characters, 2 marks, <eos>)
    without memory    at least 14 ln 8 / 17 = 1.71, since the character before says nothing

and a loss under 1.71 is out of reach for a network whose recurrence does not work.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from poetgen.corpus.store import Details
from poetgen.dataset.encoded import EncodedCorpus, encode_corpus

CHARACTERS = "春夏秋冬风花雪月"
WITH_MEMORY = 0.897
WITHOUT_MEMORY = 1.71


def poem(generator: random.Random) -> str:
    text = ""
    for mark in "，。":
        line = [generator.randrange(8), generator.randrange(8)]
        while len(line) < 7:
            line.append((line[-2] + generator.choice((1, 4))) % 8)
        text += "".join(CHARACTERS[i] for i in line) + mark
    return text


@dataclass
class _Info:
    name: str = "grammar"
    folder: Path = Path()
    script: str = "simplified"
    licence: str = "CC0"
    poems: int = 0
    content_hash: str = ""
    report: dict[str, Any] = field(default_factory=dict)


class GrammarCorpus:
    """What `encode_corpus` needs of a corpus."""

    def __init__(self, poems: int = 400, seed: int = 0) -> None:
        generator = random.Random(seed)
        self._texts = [poem(generator) for _ in range(poems)]
        self.name = "grammar"
        self.content_hash = f"grammar-{poems}-{seed}"
        self.info = _Info(poems=poems, content_hash=self.content_hash)

    def __len__(self) -> int:
        return len(self._texts)

    def texts(self) -> list[str]:
        return self._texts

    def forms(self) -> list[str]:
        return ["其他" if i % 4 else "七绝" for i in range(len(self._texts))]

    def details(self) -> list[Details]:
        return [Details()] * len(self._texts)


def encoded(poems: int = 400, seed: int = 0) -> EncodedCorpus:
    corpus: Any = GrammarCorpus(poems, seed)
    return encode_corpus(corpus, tokenizer="char", min_count=1)
