"""What each dropout takes away, for how long, and that it is the right kind of noise."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from poetgen.models.config import ModelConfig
from poetgen.models.cpu_layers import GRU, LSTM, RNN
from poetgen.models.dropout import drop_recurrent_weights, embed_with_dropout, locked_dropout
from poetgen.models.language_model import LanguageModel
from poetgen.training.devices import precision_named

BF16 = precision_named("auto", torch.device("cpu")) == torch.bfloat16

LAYERS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}

every_cell = pytest.mark.parametrize("cell", LAYERS)
every_precision = pytest.mark.parametrize(
    "bf16",
    [False, pytest.param(True, marks=pytest.mark.skipif(not BF16, reason="no bf16 here"))],
)


def network(cell: str, **shares: float) -> LanguageModel:
    config = ModelConfig(cell, 50, 6, 8, num_layers=2)
    model = LanguageModel(dataclasses.replace(config, **shares))  # type: ignore[arg-type]
    model.initialise(seed=3)
    return model


@pytest.fixture(autouse=True)
def a_seed() -> None:
    torch.manual_seed(1)


@pytest.mark.parametrize("time", [0, 1])
def test_a_locked_mask_is_the_same_at_every_step_and_another_for_each_poem(time: int) -> None:
    shape = (4, 7, 100) if time else (7, 4, 100)
    masks = locked_dropout(torch.ones(shape), 0.3, time).unbind(time)
    assert all(torch.equal(mask, masks[0]) for mask in masks)
    assert not torch.equal(masks[0][0], masks[0][1])
    assert torch.unique(masks[0]).tolist() == [0.0, pytest.approx(1 / 0.7)]
    # Of 400 numbers 120 are expected to go; 6 standard deviations are 55.
    assert 65 < (masks[0] == 0).sum() < 175


def test_a_dropped_token_is_gone_wherever_it_occurs() -> None:
    embedding = nn.Embedding(200, 3)
    ids = torch.randint(200, (20, 40))
    given, expected = embed_with_dropout(embedding, ids, 0.25), embedding(ids) / 0.75
    gone = (given == 0).all(-1)
    torch.testing.assert_close(given[~gone], expected[~gone])
    for token in set(ids.flatten().tolist()):
        assert len(set(gone[ids == token].tolist())) == 1
    # 6 standard deviations of 200 draws are 37.
    assert 13 < len(set(ids[gone].tolist())) < 87


@every_cell
def test_only_recurrent_matrices_lose_weights(cell: str) -> None:
    layers = LAYERS[cell](6, 8, 2, batch_first=True)
    dropped = drop_recurrent_weights(layers, 0.5)
    assert set(dropped) == {"weight_hh_l0", "weight_hh_l1"}
    for name, weight in dropped.items():
        whole = getattr(layers, name)
        gone = weight == 0
        assert 0 < gone.sum() < gone.numel()
        torch.testing.assert_close(weight[~gone], 2 * whole[~gone])


@every_cell
@every_precision
def test_layers_with_dropout_between_are_single_layers_with_one_locked_mask(
    cell: str, bf16: bool
) -> None:
    layers = LAYERS[cell](5, 8, 3, batch_first=True, dropout=0.4)
    singles = [LAYERS[cell](5 if not i else 8, 8, 1, batch_first=True) for i in range(3)]
    for i, single in enumerate(singles):
        for name, _ in list(single.named_parameters()):
            setattr(single, name, layers.get_parameter(name.replace("_l0", f"_l{i}")))
    inputs = torch.randn(4, 9, 5)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        torch.manual_seed(5)
        outputs, last = layers(inputs)
        torch.manual_seed(5)
        expected, end = inputs, None
        for i, single in enumerate(singles):
            expected, end = single(expected if not i else locked_dropout(expected, 0.4))
    torch.testing.assert_close(outputs, expected)
    for got, of_top in zip(as_tuple(last), as_tuple(end), strict=True):
        assert got.shape == (3, 4, 8)
        torch.testing.assert_close(got[2:], of_top)


def as_tuple(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


@every_cell
def test_gradients_through_dropout_between_layers_are_right_without_our_own_layers(
    cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = LAYERS[cell](5, 8, 2, batch_first=True, dropout=0.4)
    inputs = torch.randn(4, 6, 5)

    def gradients() -> list[Tensor]:
        torch.manual_seed(5)
        loss = layers(inputs)[0].square().sum()
        return list(torch.autograd.grad(loss, list(layers.parameters())))

    ours = gradients()
    monkeypatch.setattr("poetgen.models.cpu_layers._product_type", lambda _: None)
    for one, two in zip(ours, gradients(), strict=True):
        torch.testing.assert_close(one, two)


@every_cell
@every_precision
@pytest.mark.parametrize("share", ["dropout", "embedding_dropout", "weight_drop"])
def test_a_network_drops_in_training_by_the_seed_and_predicts_whole(
    cell: str, bf16: bool, share: str
) -> None:
    model, whole = network(cell, **{share: 0.5}), network(cell)
    ids = torch.randint(4, 50, (3, 8))

    def scores(of: LanguageModel, seed: int) -> Tensor:
        torch.manual_seed(seed)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits: Tensor = of(ids)[0]
        return logits.detach()

    model.train()
    assert torch.equal(scores(model, 1), scores(model, 1))
    assert not torch.equal(scores(model, 1), scores(model, 2))
    assert torch.equal(scores(model.eval(), 1), scores(whole.eval(), 2))


@every_cell
@every_precision
def test_a_dropped_weight_gets_no_gradient_and_is_there_again_afterwards(
    cell: str, bf16: bool
) -> None:
    model = network(cell, weight_drop=0.5)
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    torch.manual_seed(7)
    gone = {k: w == 0 for k, w in drop_recurrent_weights(model.recurrent, 0.5).items()}
    torch.manual_seed(7)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits, _ = model(torch.randint(4, 50, (3, 8), generator=torch.Generator().manual_seed(0)))
    torch.autograd.backward(logits.square().sum())
    for name, mask in gone.items():
        gradient = model.recurrent.get_parameter(name).grad
        assert gradient is not None
        assert (gradient[mask] == 0).all()
        assert (gradient[~mask] != 0).any()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, weights[name])


def test_what_is_kept_makes_up_for_what_is_dropped() -> None:
    ones = torch.ones(1, 1, 100_000)
    assert locked_dropout(ones, 0.4).mean().item() == pytest.approx(1, abs=0.02)
