"""Models whose every probability is known, and vocabularies to go with them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from poetgen.dataset.vocabulary import BOS, EOS, SPECIALS, Vocabulary

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

HAN = "春夏秋冬山水风月花鸟云雨雪江天地人心日夜东西南北一不无有来去千万里年中上下生老时"
"""Forty characters."""

CHARACTERS = Vocabulary((*SPECIALS, *HAN, *"，。？！；"))
_WORDS = "春风 秋月 江山 山水 花鸟 悠悠 年年 天下 月月 人不见 来来去 心中有 山中山 春夏秋冬 ，。"
WORDS = Vocabulary((*CHARACTERS.tokens, *"悠见", *_WORDS.split()))
"""The same and words of two to four characters, some of which repeat one."""


class MarkovModel:
    """A `StepModel` whose next token depends on those before it by a table that a test gives.

    A state is the tokens that each row has seen: nothing can be confused with another row's.
    """

    def __init__(self, vocabulary_size: int, table: "Table", context: int = 0) -> None:
        self.vocabulary_size = vocabulary_size
        self._table = table
        self._context = context  # How many tokens it is fed before BOS.
        self.steps = 0

    def start(self, n: int) -> list[tuple[int, ...]]:
        return [()] * n

    def step(
        self, ids: Integers, state: list[tuple[int, ...]]
    ) -> tuple[Floats, list[tuple[int, ...]]]:
        assert len(ids) == len(state)
        self.steps += 1
        seen = [(*row, int(id)) for row, id in zip(state, ids, strict=True)]
        assert all(row[self._context : self._context + 1] in ((), (BOS,)) for row in seen)
        assert all(EOS not in row for row in seen)
        return np.stack([self._table.logits(row) for row in seen]), seen

    def select(self, state: list[tuple[int, ...]], rows: Integers) -> list[tuple[int, ...]]:
        return [state[row] for row in rows]

    def join(self, states: Sequence[list[tuple[int, ...]]]) -> list[tuple[int, ...]]:
        return [row for state in states for row in state]


class Table:
    """Logits by history."""

    def logits(self, seen: tuple[int, ...]) -> Floats:
        raise NotImplementedError

    def log_probabilities(self, seen: tuple[int, ...], temperature: float = 1) -> Doubles:
        """What a model at this temperature gives to each token after `seen`."""
        scaled = self.logits(seen).astype(np.float64) / temperature
        scaled -= scaled.max()
        scaled -= math.log(np.exp(scaled).sum())
        return scaled

    def log_probability(self, tokens: Sequence[int], temperature: float = 1) -> float:
        """What the model gives to a whole sequence."""
        seen: tuple[int, ...] = (BOS,)
        total = 0.0
        for token in tokens:
            total += float(self.log_probabilities(seen, temperature)[token])
            seen = (*seen, token)
        return total


class MarkovTable(Table):
    """Logits that depend on the last two tokens: a row of each of two random matrices, (V, V).

    On two, so that a state that went to the wrong row is found out.
    """

    def __init__(self, size: int, seed: int, scale: float) -> None:
        random = np.random.default_rng(seed)
        self.last, self.before = random.standard_normal((2, size, size)).astype(np.float32) * scale

    def logits(self, seen: tuple[int, ...]) -> Floats:
        row: Floats = self.last[seen[-1]] + self.before[seen[-2:][0]]
        return row


@dataclass
class RandomTable(Table):
    """Random logits of a seed, another row for each pair of last tokens.

    Attributes:
        scale: Their standard deviation.
        holes: The share of them that is replaced by a hugely negative number or -inf.
    """

    size: int
    seed: int
    scale: float = 1.0
    holes: float = 0.0

    def logits(self, seen: tuple[int, ...]) -> Floats:
        random = np.random.default_rng((self.seed, *seen[-2:]))
        logits = (random.standard_normal(self.size) * self.scale).astype(np.float32)
        hole = random.random(self.size) < self.holes
        logits[hole] = random.choice([-1e30, -3e38, -np.inf], hole.sum())
        logits[random.integers(self.size)] = 0  # One at least is possible.
        return logits
