import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from poetgen.dataset.encoded import EncodedSplit
from poetgen.dataset.vocabulary import BOS, EOS, UNK
from poetgen.errors import TrainingError
from poetgen.models.config import ModelConfig
from poetgen.models.language_model import LanguageModel
from poetgen.training.evaluation import Tally, perplexity

A, B, WORD, MARK = 4, 5, 6, 7  # WORD is a token of two characters.
CHARACTERS = {A: 1, B: 1, WORD: 2, UNK: 1}
SIZE = 8


def _split(poems: Sequence[Sequence[int]], forms: Sequence[str] | None = None) -> EncodedSplit:
    names = tuple(dict.fromkeys(forms or ["其他"]))
    rows = [[BOS, *poem, EOS] for poem in poems]
    return EncodedSplit(
        name="test",
        ids=np.array([id for row in rows for id in row], np.uint16),
        offsets=np.cumsum([0, *map(len, rows)]),
        characters=np.array(
            [sum(CHARACTERS.get(id, 0) for id in poem) for poem in poems], np.int32
        ),
        forms=np.array([names.index(form) for form in forms or ["其他"] * len(poems)], np.int8),
        form_names=names,
        unknown=sum(id == UNK for row in rows for id in row),
    )


class BigramModel(nn.Module):
    """Gives the next token the probabilities of a table's row; counts its steps in its state."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.log_probabilities = torch.randn(SIZE, SIZE, generator=generator).log_softmax(-1)
        self.widest = 0

    def forward(self, ids: Tensor, state: tuple[Tensor] | None) -> tuple[Tensor, tuple[Tensor]]:
        self.widest = max(self.widest, ids.numel())
        assert not torch.is_grad_enabled()
        assert not self.training
        assert (state is None) == bool((ids[:, 0] == BOS).all())
        # Logits are log-probabilities up to a number of their own for each place.
        return self.log_probabilities[ids] + ids[..., None], (ids[:, -1],)

    def nats(self, poem: Sequence[int]) -> float:
        row = [BOS, *poem, EOS]
        return -sum(
            float(self.log_probabilities[before, after])
            for before, after in itertools.pairwise(row)
        )


POEMS = [[A, B, MARK], [WORD, MARK, A, B, UNK, MARK], [B, A, MARK], [A, UNK, MARK, WORD, B, MARK]]
FORMS = ["五绝", "词", "五绝", "五绝"]


def test_the_figures_are_those_computed_by_hand() -> None:
    model = BigramModel()
    measured = perplexity(model, _split(POEMS, FORMS))
    nats = [model.nats(poem) + poem.count(UNK) * math.log(30_000) for poem in POEMS]
    assert measured.nats == pytest.approx(sum(nats), rel=1e-6)
    assert (measured.characters, measured.tokens, measured.poems) == (14, 4 + 7 + 4 + 7, 4)
    assert measured.unknown_characters == 2
    assert measured.per_character == pytest.approx(math.exp(sum(nats) / 14), rel=1e-6)
    assert measured.nats_per_character == pytest.approx(sum(nats) / 14, rel=1e-6)
    assert measured.per_token == pytest.approx(math.exp(sum(nats) / 22), rel=1e-6)
    assert list(measured.by_form) == ["五绝", "词"]
    assert measured.by_form["词"].nats == pytest.approx(nats[1], rel=1e-6)
    assert measured.by_form["词"].unknown_characters == 1
    assert measured.by_form["五绝"].characters == 9
    assert measured.by_form["五绝"].nats == pytest.approx(sum(nats) - nats[1], rel=1e-6)


def test_a_uniform_model_without_marks_would_have_the_perplexity_of_its_choices() -> None:
    class Uniform(nn.Module):
        def forward(self, ids: Tensor, state: object) -> tuple[Tensor, object]:
            return torch.zeros(*ids.shape, SIZE), None

    measured = perplexity(Uniform(), _split([[A, B, A]]))
    assert measured.per_token == pytest.approx(SIZE)
    assert measured.per_character == pytest.approx(SIZE ** (4 / 3))  # <eos> is paid for too


def test_hiding_a_character_behind_unk_does_not_make_it_cheap() -> None:
    sure = BigramModel()
    sure.log_probabilities = torch.full((SIZE, SIZE), -100.0)
    sure.log_probabilities[:, UNK] = 0.0
    measured = perplexity(sure, _split([[UNK]]))
    assert measured.nats == pytest.approx(100.0 + math.log(30_000), rel=1e-6)


def test_the_order_of_poems_does_not_change_the_figure_by_one_bit() -> None:
    model = BigramModel()
    forward = perplexity(model, _split(POEMS), token_budget=7)
    backward = perplexity(model, _split(POEMS[::-1]), token_budget=7)
    assert forward.nats == backward.nats


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_real_network_measures_the_same_at_any_token_budget(cell: str) -> None:
    generator = np.random.default_rng(1)
    poems = [
        generator.choice([A, B, WORD, MARK, UNK], generator.integers(1, 40)).tolist()
        for _ in range(60)
    ]
    model = LanguageModel(
        ModelConfig(cell=cell, vocabulary_size=SIZE, embedding_size=8, hidden_size=12, dropout=0.5)
    )
    model.initialise(seed=4)
    figures = [
        perplexity(model, _split(poems), token_budget=budget).per_character
        for budget in (1, 7, 64, 1000, 100_000)
    ]
    assert figures == pytest.approx([figures[0]] * len(figures), rel=1e-6)


def test_a_poem_longer_than_the_budget_goes_through_in_stretches() -> None:
    model = BigramModel()
    long = [A, B, MARK] * 50
    measured = perplexity(model, _split([long]), token_budget=16)
    assert model.widest <= 16
    assert measured.nats == pytest.approx(model.nats(long), rel=1e-6)


def test_the_model_is_left_in_the_mode_it_was_in_and_no_random_number_is_drawn() -> None:
    model = BigramModel()
    before = torch.get_rng_state()
    for mode in (True, False):
        model.train(mode)
        perplexity(model, _split(POEMS))
        assert model.training is mode
    assert torch.equal(torch.get_rng_state(), before)


def test_progress_counts_every_poem_once() -> None:
    seen: list[int] = []
    perplexity(BigramModel(), _split(POEMS), token_budget=8, on_progress=seen.append)
    assert sum(seen) == len(POEMS)


def test_an_empty_split_is_an_error_and_not_a_division_by_zero() -> None:
    empty = EncodedSplit(
        "test",
        np.zeros(0, np.uint16),
        np.zeros(1, np.int64),
        np.zeros(0, np.int32),
        np.zeros(0, np.int8),
        (),
        0,
    )
    with pytest.raises(TrainingError, match="no poem in the test split"):
        perplexity(BigramModel(), empty)


def test_a_token_budget_below_one_is_refused() -> None:
    with pytest.raises(TrainingError, match="token budget of 0"):
        perplexity(BigramModel(), _split(POEMS), token_budget=0)


def test_a_hopeless_model_measures_infinite_and_does_not_crash() -> None:
    assert Tally(1e6, 10, 10, 1, 0).per_character == math.inf
    assert Tally(1.0, 0, 1, 1, 0).nats_per_character == math.inf
