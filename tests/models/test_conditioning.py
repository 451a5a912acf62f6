"""What a network is told: that it counts, that leaving it out is to say nothing, and that nobody
else need know how."""

import pytest
import torch
from torch import Tensor

from poetgen.dataset.context import WIDTH
from poetgen.dataset.vocabulary import BOS, PAD
from poetgen.errors import TrainingError
from poetgen.models.cells import CELLS
from poetgen.models.config import CONDITIONS, ModelConfig
from poetgen.models.language_model import LanguageModel

TOLD = ("input", "state", "both")
NOTHING = [PAD] * WIDTH
TEXT = [BOS, 20, 21, 22, 23]


def small(condition: str, cell: str = "gru", stop: str = "eos") -> LanguageModel:
    config = ModelConfig(
        cell=cell,
        vocabulary_size=30,
        embedding_size=6,
        hidden_size=8,
        num_layers=2,
        condition=condition,
        stop=stop,
    )
    model = LanguageModel(config)
    model.initialise(seed=3)
    return model.eval()


def scores(model: LanguageModel, context: list[int], text: list[int] = TEXT) -> Tensor:
    return model(torch.tensor([[*context, *text]]))[0][:, WIDTH:]  # type: ignore[no-any-return]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("stop", ["eos", "bernoulli", "length"])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_one_token_at_a_time_is_as_all_at_once(condition: str, stop: str, cell: str) -> None:
    if condition in ("state", "both") and not CELLS[cell].states:
        pytest.skip("a cell without a state")
    model = small(condition, cell, stop)
    ids = torch.tensor(
        [[4, 13, 20, 21, 0, 0, *TEXT, 2], [0, 12, 22, 0, 0, 0, BOS, 7, 9, 25, 26, 2]]
    )
    whole, end = model(ids)
    for pieces in ([1] * 12, [6, 6], [3, 5, 4], [7, 5]):
        found, state = [], model.start(2)
        for part in torch.split(ids, pieces, dim=1):
            logits, state = model(part, state)
            found.append(logits)
        torch.testing.assert_close(torch.cat(found, 1)[:, WIDTH:], whole[:, WIDTH:])
        for one, other in zip(state, end, strict=True):
            assert one.shape[1] == 2
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("place", range(WIDTH))
@pytest.mark.parametrize("condition", TOLD)
def test_each_part_that_is_told_changes_what_comes(condition: str, place: int) -> None:
    model = small(condition)
    context = list(NOTHING)
    context[place] = 12 + place
    assert (scores(model, context) - scores(model, NOTHING)).abs().max() > 1e-6


@pytest.mark.parametrize("condition", TOLD)
def test_what_is_left_out_says_nothing(condition: str) -> None:
    model, deaf = small(condition), small("none")
    deaf.load_state_dict(model.state_dict(), strict=False)
    torch.testing.assert_close(scores(model, NOTHING), scores(deaf, NOTHING))


def test_none_reads_over_what_it_is_told() -> None:
    model = small("none")
    assert torch.equal(scores(model, [4, 13, 20, 21, 0, 0]), scores(model, NOTHING))
    plain = small("prefix")
    plain.load_state_dict(model.state_dict())
    alone, _ = plain(torch.tensor([TEXT]))
    assert torch.equal(scores(model, NOTHING), alone)


def test_a_theme_is_the_mean_of_its_characters_in_whatever_order() -> None:
    model = small("input")
    one = scores(model, [0, 0, 20, 21, 0, 0])
    torch.testing.assert_close(scores(model, [0, 0, 21, 20, 0, 0]), one)
    torch.testing.assert_close(scores(model, [0, 0, 20, 21, 20, 21]), one)


def test_the_initial_state_is_within_a_cell_s_bounds_and_that_of_nothing_is_zeros() -> None:
    model = small("state", "lstm")
    _, nothing = model.hidden(torch.tensor([NOTHING]))
    assert all(not tensor.any() for tensor in nothing[:2])
    _, told = model.hidden(torch.tensor([[4, 13, 20, 21, 0, 0]]))
    for tensor in told[:2]:
        assert tensor.shape == (2, 1, 8)
        assert 0 < tensor.abs().max() < 1


@pytest.mark.parametrize("condition", TOLD)
def test_rows_may_be_at_different_places_of_their_contexts(condition: str) -> None:
    model = small(condition)
    whole = torch.tensor([[4, 13, 20, 21, 0, 0, *TEXT], [0, 0, 22, 0, 0, 0, *TEXT]])
    expected, _ = model(whole)
    _, early = model(whole[:1, :2], model.start(1))
    _, late = model(whole[1:, :5], model.start(1))
    joined = tuple(torch.cat(pair, dim=1) for pair in zip(early, late, strict=True))
    _, joined = model(torch.stack((whole[0, 2:6], whole[1, 5:9])), joined)
    logits, _ = model(torch.stack((whole[0, 6:8], whole[1, 9:11])), joined)
    torch.testing.assert_close(logits[0], expected[0, 6:8])
    torch.testing.assert_close(logits[1], expected[1, 9:11])


def test_every_parameter_learns() -> None:
    model = small("both", stop="length").train()
    hidden, _ = model.hidden(torch.tensor([[4, 13, 20, 21, 0, 0, BOS, 6, 20, 21, 22]]))
    scored = model.scored(hidden[0, WIDTH:], torch.tensor([6, 20, 21, 22, 2]))
    assert scored.nats is not None
    total = (scored.features @ scored.weight.T + scored.bias).logsumexp(1).sum() + scored.nats
    torch.autograd.backward(total)
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("condition", ["state", "both"])
def test_a_cell_without_a_state_cannot_start_from_one(condition: str) -> None:
    with pytest.raises(TrainingError, match=f"--condition {condition} .* --cell output"):
        ModelConfig(vocabulary_size=30, cell="output", condition=condition)
