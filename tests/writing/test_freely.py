"""Poems for which no form is asked: what may be written, where they end, and what is counted."""

from collections.abc import Sequence

import numpy as np
import pytest

from poetgen.dataset.context import CONTROLS, WIDTH
from poetgen.dataset.lengths import length_id
from poetgen.dataset.vocabulary import BOS, EOS, PAD, SPECIALS, UNK, Vocabulary
from poetgen.writing.freely import FreePoem, measure_freely, write_freely

VOCABULARY = Vocabulary((*SPECIALS, *CONTROLS, *"春江花月夜，。"))


class Counting:
    """A network that writes some ids in turn after `<bos>`; heeds its context."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.vocabulary_size = len(VOCABULARY)
        self.fed: list[int] = []
        self._next = [*ids, EOS]

    def start(self, n: int) -> np.ndarray:
        return np.zeros(n, np.int64)

    def step(self, ids: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.fed.append(int(ids[0]))
        logits = np.full((len(ids), self.vocabulary_size), -100.0, np.float32)
        # What must never be drawn is what it likes most. (In a length's place, these are lengths.)
        logits[:, [PAD, BOS, UNK]] = 100.0
        logits[state > 0, VOCABULARY.id_of(CONTROLS[-1])] = 100.0
        if ids[0] != PAD:
            logits[np.arange(len(ids)), np.array(self._next)[state]] = 50.0
            state = state + 1
        return logits, state

    def select(self, state: np.ndarray, rows: np.ndarray) -> np.ndarray:
        chosen: np.ndarray = state[rows]
        return chosen

    def join(self, states: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate(states)


def test_poems_are_what_the_network_says_after_an_empty_context() -> None:
    model = Counting(VOCABULARY.encode("春江花月夜。"))
    said: list[int] = []
    poems = write_freely(model, VOCABULARY, range(3), on_progress=said.append)
    assert [poem.text for poem in poems] == ["春江花月夜。"] * 3
    assert all(poem.ended for poem in poems)
    assert [poem.seed for poem in poems] == [0, 1, 2]
    assert model.fed[: WIDTH + 1] == [PAD] * WIDTH + [BOS]
    assert sum(said) == 3


def test_a_poem_without_an_end_is_cut() -> None:
    (poem,) = write_freely(Counting(VOCABULARY.encode("春" * 500)), VOCABULARY, [0])
    assert (poem.text, poem.ended) == ("春" * 200, False)


def test_a_length_is_written_first_and_is_no_text() -> None:
    size = len(VOCABULARY)
    model = Counting([length_id(3, size), *VOCABULARY.encode("春月。")])
    (poem,) = write_freely(model, VOCABULARY, [0], says_length=True)
    assert (poem.text, poem.ended) == ("春月。", True)
    assert length_id(3, size) in model.fed


def test_a_poem_is_at_least_a_character() -> None:
    (poem,) = write_freely(Counting([EOS]), VOCABULARY, [0])
    assert len(poem.text) == 1


def test_the_figures_are_shares_of_all_poems() -> None:
    quatrain = "春江花月夜，夜月花江春。春江花月夜，夜月花江春。"
    figures = measure_freely(
        [
            FreePoem(quatrain, True, 0),
            FreePoem(quatrain, False, 1),
            FreePoem("春江，", True, 2),
            FreePoem("春江花月，夜。", True, 3),
        ]
    )
    assert (figures.poems, figures.ended, figures.whole) == (4, 0.75, 0.5)
    assert (figures.of_a_form, figures.forms) == (0.25, {"五绝": 1})
    assert figures.mean_length == pytest.approx((24 + 24 + 3 + 7) / 4)
