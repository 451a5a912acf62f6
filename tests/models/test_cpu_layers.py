import pytest
import torch
from torch import Tensor, nn

from poetgen.models.cells import CELLS
from poetgen.models.config import ModelConfig
from poetgen.models.cpu_layers import GRU, RNN

Layers = tuple[nn.RNNBase, nn.RNNBase]

KINDS = ("gru", "rnn-tanh", "rnn-relu")


def _pair(kind: str, num_layers: int = 2, dropout: float = 0.0) -> Layers:
    """torch's layers and ours, with the same parameters."""
    torch.manual_seed(1)
    torchs: nn.RNNBase
    ours: nn.RNNBase
    if kind == "gru":
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


def _results(layers: nn.RNNBase, inputs: Tensor, state: Tensor | None) -> list[Tensor]:
    """Outputs, last state, and the gradients of inputs, state and parameters."""
    inputs = inputs.clone().requires_grad_()
    state = None if state is None else state.clone().requires_grad_()
    outputs, last = layers(inputs, state)
    generator = torch.Generator().manual_seed(3)
    weights = torch.randn(outputs.shape, generator=generator)
    ((outputs * weights).sum() + (last**2).sum()).backward()
    leaves = [inputs, *([] if state is None else [state]), *layers.parameters()]
    gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
    assert len(gradients) == len(leaves)
    return [outputs.detach(), last.detach(), *gradients]


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


@pytest.mark.parametrize(("cell", "layers"), [("gru", GRU), ("rnn", RNN)])
def test_the_registry_builds_these_layers(cell: str, layers: type[nn.RNNBase]) -> None:
    config = ModelConfig(cell=cell, vocabulary_size=9, embedding_size=4, hidden_size=6)
    assert isinstance(CELLS[cell].build(config), layers)
