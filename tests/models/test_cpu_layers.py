from typing import Any

import pytest
import torch
from torch import Tensor, nn

from poetgen.models import cpu_layers
from poetgen.models.cells import CELLS
from poetgen.models.config import ModelConfig
from poetgen.models.cpu_layers import GRU, LSTM, RNN
from poetgen.training.devices import precision_named

Layers = tuple[nn.RNNBase, nn.RNNBase]

KINDS = ("gru", "rnn-tanh", "rnn-relu")


needs_bf16 = pytest.mark.skipif(
    precision_named("auto", torch.device("cpu")) != torch.bfloat16,
    reason="this CPU has no bf16 instructions, so that poetgen does not train in bf16 on it",
)


def _pair(kind: str, num_layers: int = 2, dropout: float = 0.0) -> Layers:
    """torch's layers and ours, with the same parameters."""
    torch.manual_seed(1)
    torchs: nn.RNNBase
    ours: nn.RNNBase
    if kind == "lstm":
        torchs = nn.LSTM(12, 20, num_layers, batch_first=True, dropout=dropout)
        ours = LSTM(12, 20, num_layers, batch_first=True, dropout=dropout)
    elif kind == "gru":
        torchs = nn.GRU(12, 20, num_layers, batch_first=True, dropout=dropout)
        ours = GRU(12, 20, num_layers, batch_first=True, dropout=dropout)
    else:
        nonlinearity = kind.removeprefix("rnn-")
        torchs = nn.RNN(12, 20, num_layers, nonlinearity, batch_first=True, dropout=dropout)
        ours = RNN(12, 20, num_layers, nonlinearity, batch_first=True, dropout=dropout)
    for parameter in torchs.parameters():
        nn.init.normal_(parameter, std=0.15)
    ours.load_state_dict(torchs.state_dict())
    return torchs, ours


def _results(
    layers: nn.RNNBase, inputs: Tensor, state: Tensor | None, bf16: bool = False
) -> list[Tensor]:
    """Outputs, last states, and the gradients of inputs, states and parameters."""
    leaves = [inputs.clone().requires_grad_()]
    packed: Any = None
    if state is not None:
        leaves.append(state.clone().requires_grad_())
        packed = leaves[-1]
        if isinstance(layers, nn.LSTM):
            leaves.append(state.flip(0).requires_grad_())
            packed = tuple(leaves[-2:])
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        outputs, last = layers(leaves[0], packed)
    lasts = last if isinstance(last, tuple) else (last,)
    generator = torch.Generator().manual_seed(3)
    weights = torch.randn(outputs.shape, generator=generator)
    loss = (outputs * weights).sum() + sum((part**2).sum() for part in lasts)
    torch.autograd.backward(loss)
    leaves.extend(layers.parameters())
    gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
    assert len(gradients) == len(leaves)
    return [outputs.detach(), *(part.detach() for part in lasts), *gradients]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("B", "T"), [(1, 1), (1, 9), (5, 1), (7, 13)])
@pytest.mark.parametrize("with_state", [False, True])
def test_values_and_gradients_are_those_of_torch(
    kind: str, B: int, T: int, with_state: bool
) -> None:
    torchs, ours = _pair(kind)
    inputs = torch.randn(B, T, 12)
    state = torch.randn(2, B, 20) if with_state else None
    for expected, got in zip(
        _results(torchs, inputs, state), _results(ours, inputs, state), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@needs_bf16
@pytest.mark.parametrize("kind", ["lstm", *KINDS])
@pytest.mark.parametrize(("B", "T"), [(1, 1), (5, 1), (7, 13)])
@pytest.mark.parametrize("with_state", [False, True])
def test_with_products_in_bf16_values_and_gradients_are_close_and_in_fp32(
    kind: str, B: int, T: int, with_state: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_layers, "LSTM_FROM", 1)
    torchs, ours = _pair(kind)
    inputs = torch.randn(B, T, 12)
    state = torch.randn(2, B, 20) if with_state else None
    expected = _results(torchs, inputs, state)
    got = _results(ours, inputs, state, bf16=True)
    assert not torch.equal(got[0], expected[0])
    # What lies near a relu's kink may fall on its other side, and has then another gradient.
    tolerance = 0.1 if kind == "rnn-relu" else 0.02
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() <= tolerance * b.norm()


@needs_bf16
@pytest.mark.parametrize("kind", ["lstm", *KINDS])
def test_the_bf16_layers_make_their_sums_and_memories_in_fp32(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_layers, "LSTM_FROM", 1)
    _, ours = _pair(kind, num_layers=1)
    inputs = torch.randn(9, 30, 12)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, _ = ours(inputs)
    # A state that is kept in bf16 has seven bits after its first.
    assert not torch.equal(outputs, outputs.bfloat16().float())


def test_the_lstm_of_fp32_is_torchs_own() -> None:
    torchs, ours = _pair("lstm")
    inputs = torch.randn(3, 5, 12)
    assert all(
        torch.equal(got, expected)
        for got, expected in zip(
            _results(ours, inputs, None), _results(torchs, inputs, None), strict=True
        )
    )


def test_where_torch_has_no_onednn_the_layers_still_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_layers, "_packs", False)
    torchs, ours = _pair("gru")
    inputs = torch.randn(4, 6, 12)
    for expected, got in zip(
        _results(torchs, inputs, None), _results(ours, inputs, None), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["gru", "rnn-tanh"])
def test_gradients_are_right_by_finite_differences(kind: str) -> None:
    _, ours = _pair(kind)
    ours.double()
    inputs = torch.randn(2, 4, 12, dtype=torch.double, requires_grad=True)
    state = torch.randn(2, 2, 20, dtype=torch.double, requires_grad=True)
    parameters = list(ours.parameters())
    assert torch.autograd.gradcheck(
        lambda inputs, state, *_: ours(inputs, state), (inputs, state, *parameters), fast_mode=True
    )


@pytest.mark.parametrize("kind", KINDS)
def test_without_gradients_the_values_are_torchs_own(kind: str) -> None:
    torchs, ours = _pair(kind)
    inputs = torch.randn(3, 5, 12)
    with torch.no_grad():
        for expected, got in zip(torchs(inputs), ours(inputs), strict=True):
            assert torch.equal(got, expected)


def test_a_frozen_input_gets_no_gradient_and_the_weights_do() -> None:
    _, ours = _pair("gru")
    ours(torch.randn(3, 5, 12))[0].sum().backward()
    assert all(parameter.grad is not None for parameter in ours.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_falls_between_layers_in_training_only(kind: str) -> None:
    _, ours = _pair(kind, dropout=0.5)
    inputs = torch.randn(3, 5, 12)
    assert not torch.equal(ours(inputs)[0], ours(inputs)[0])
    ours.eval()
    assert torch.equal(ours(inputs)[0], ours(inputs)[0])


def test_an_output_changed_in_place_is_refused_by_the_backward_pass() -> None:
    _, ours = _pair("gru", num_layers=1)
    outputs = ours(torch.randn(3, 5, 12))[0]
    outputs.detach().mul_(2)
    with pytest.raises(RuntimeError, match="modified inplace"):
        outputs.sum().backward()


@pytest.mark.parametrize(("cell", "layers"), [("lstm", LSTM), ("gru", GRU), ("rnn", RNN)])
def test_the_registry_builds_these_layers(cell: str, layers: type[nn.RNNBase]) -> None:
    config = ModelConfig(cell=cell, vocabulary_size=9, embedding_size=4, hidden_size=6)
    assert isinstance(CELLS[cell].build(config), layers)
