"""Where a poem ends: one distribution over the vocabulary, whatever decides."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from poetgen.dataset.lengths import FIRST, length_id, lengths_known
from poetgen.dataset.vocabulary import BOS, EOS, PAD
from poetgen.models.config import ModelConfig
from poetgen.models.language_model import LanguageModel
from poetgen.models.stopping import BernoulliStop
from poetgen.training.cross_entropy import output_loss

V = 24


def small(stop: str, vocabulary_size: int = V, **changes: object) -> LanguageModel:
    values: dict[str, object] = {
        "vocabulary_size": vocabulary_size,
        "embedding_size": 6,
        "hidden_size": 8,
        "stop": stop,
    }
    model = LanguageModel(ModelConfig.from_dict({**values, **changes}))
    model.initialise(seed=3)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(5))
    return model.eval()


def probabilities(model: LanguageModel, ids: list[int]) -> Tensor:
    """(T, V)."""
    logits, _ = model(torch.tensor([ids]))
    assert torch.allclose(logits.logsumexp(-1), torch.zeros(1, len(ids)), atol=1e-5)
    return logits[0].detach().exp()  # type: ignore[no-any-return]


@pytest.mark.parametrize("tied", [True, False])
def test_the_unit_s_chance_and_the_others_shares_of_the_rest(tied: bool) -> None:
    model = small("bernoulli", tie_embeddings=tied)
    ids = torch.tensor([[BOS, 5, 6, 7]])
    found = probabilities(model, ids[0].tolist())
    assert torch.allclose(found.sum(1), torch.ones(4))
    hidden, _ = model.hidden(ids)
    features = model.features(hidden)[0]
    assert isinstance(model.stop, BernoulliStop)
    ends = torch.sigmoid(model.stop.unit(features))[:, 0]
    torch.testing.assert_close(found[:, EOS], ends)
    others = model.output(features, model.embedding.weight)[:, EOS + 1 :].softmax(1)
    torch.testing.assert_close(found[:, EOS + 1 :], (1 - ends).unsqueeze(1) * others)
    assert not found[:, [PAD, BOS]].any()


def test_the_unit_starts_at_how_often_poems_end() -> None:
    model = LanguageModel(ModelConfig(vocabulary_size=V, stop="bernoulli", hidden_size=8))
    counts = np.full(V, 10)
    counts[EOS] = 30
    model.initialise(counts, seed=0)
    assert isinstance(model.stop, BernoulliStop)
    chance = torch.sigmoid(model.stop.unit.bias).item()
    assert chance == pytest.approx(30 / counts.sum(), rel=0.05)


@pytest.mark.parametrize("n", [1, 4, lengths_known(V) - 1])
def test_a_poem_ends_when_nothing_is_left_and_never_before(n: int) -> None:
    text = [5 + i % 9 for i in range(n)]
    found = probabilities(small("length"), [BOS, length_id(n, V), *text])
    assert found[0, FIRST:].sum() == pytest.approx(1)
    assert found[1 : n + 1, EOS].tolist() == [0.0] * n
    assert found[n + 1].tolist() == [float(id == EOS) for id in range(V)]


def test_all_lengths_of_a_small_vocabulary_together_have_the_probability_1() -> None:
    # Two tokens, <unk> and 4; lengths 1 and "2 or more". Every text of up to 6 tokens, and what
    # is left of it: the probability of all texts that are longer.
    model = small("length", vocabulary_size=6)
    total, known = 0.0, lengths_known(6)

    def add(said: int, text: list[int], probability: float) -> None:
        nonlocal total
        if len(text) == 5 or probability == 0.0:
            total += probability
            return
        after = probabilities(model, [BOS, said, *text])[-1]
        total += probability * after[EOS].item()
        for token in range(EOS + 1, 6):
            add(said, [*text, token], probability * after[token].item())

    lengths = probabilities(model, [BOS])[0]
    for said in range(FIRST, FIRST + known):
        add(said, [], lengths[said].item())
    assert total == pytest.approx(1, abs=1e-4)


def test_a_poem_as_long_as_the_longest_or_longer_may_end_from_there_on() -> None:
    known = lengths_known(V)
    text = [5 + i % 9 for i in range(known + 3)]
    found = probabilities(small("length"), [BOS, length_id(10_000, V), *text])
    assert not found[: known + 1, EOS].any()
    assert found[known + 1 :, EOS].tolist() == pytest.approx([1 / (known + 1)] * 4)


def test_what_is_left_changes_what_comes() -> None:
    model = small("length")
    short, long = (probabilities(model, [BOS, length_id(n, V), 5]) for n in (3, 9))
    assert (short[2] - long[2]).abs().max() > 1e-4


def test_the_count_begins_anew_at_each_beginning() -> None:
    model = small("length")
    ids = [BOS, length_id(2, V), 5, 6, EOS, BOS, length_id(1, V), 7]
    found = probabilities(model, ids)
    assert found[[3, 7], EOS].tolist() == [1.0, 1.0]
    assert found[[2, 6], EOS].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("stop", ["bernoulli", "length"])
def test_the_loss_in_parts_is_that_of_the_whole_distribution(stop: str, tied: bool) -> None:
    model = small(stop, tie_embeddings=tied, output_depth=2)
    ids = torch.tensor([[BOS, length_id(3, V), 5, 6, 7, EOS], [BOS, length_id(3, V), 8, 9, 5, EOS]])
    hidden, _ = model.hidden(ids[:, :-1])
    hidden, targets = hidden.flatten(0, 1), ids[:, 1:].flatten()
    whole = functional.cross_entropy(model.logits(hidden), targets)
    parts = output_loss(model, hidden, targets)
    assert parts.item() == pytest.approx(whole.item(), rel=1e-5)
    with torch.no_grad():
        assert output_loss(model, hidden, targets).item() == pytest.approx(whole.item(), rel=1e-5)
    parameters = list(model.parameters())
    one = torch.autograd.grad(whole, parameters, retain_graph=True)
    other = torch.autograd.grad(parts, parameters)
    for a, b in zip(one, other, strict=True):
        assert (a - b).norm() <= 1e-5 * a.norm() + 1e-6


def test_the_length_s_own_token_has_no_vector() -> None:
    model = small("length")
    before = probabilities(model, [BOS, length_id(4, V)])[1]
    with torch.no_grad():
        model.embedding.weight[length_id(4, V)] += 1.0
    after = probabilities(model, [BOS, length_id(4, V)])[1]
    others = [id for id in range(EOS + 1, V) if id != length_id(4, V)]
    torch.testing.assert_close(
        after[others] / after[others].sum(), before[others] / before[others].sum()
    )


def test_probabilities_are_exact_where_they_are_tiny() -> None:
    model = small("bernoulli")
    assert isinstance(model.stop, BernoulliStop)
    with torch.no_grad():
        model.stop.unit.bias.fill_(-60.0)
    logits, _ = model(torch.tensor([[BOS]]))
    assert logits[0, 0, EOS].item() == pytest.approx(-60.0, abs=5)
    assert math.isfinite(logits.min().item())
