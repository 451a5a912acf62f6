import pytest
import torch
from torch import Tensor, nn

from poetgen.models.cells import cell_named
from poetgen.models.config import ModelConfig
from poetgen.models.reference_cells import Unrolled, step_of, unroll

B, T, E, H = 3, 7, 5, 6

KINDS = (("rnn", "tanh"), ("rnn", "relu"), ("lstm", "tanh"), ("gru", "tanh"))


def _config(cell: str, nonlinearity: str, num_layers: int) -> ModelConfig:
    return ModelConfig(
        cell=cell,
        nonlinearity=nonlinearity,
        vocabulary_size=9,
        embedding_size=E,
        hidden_size=H,
        num_layers=num_layers,
    )


def _built(config: ModelConfig) -> nn.RNNBase:
    kernel = cell_named(config.cell).build(config)
    assert isinstance(kernel, nn.RNNBase)
    return kernel


def _drawn(dtype: torch.dtype, *shape: int) -> Tensor:
    # Set after the call that makes it a leaf: a gradient is wanted for it itself.
    return torch.randn(*shape, dtype=dtype).requires_grad_()


def _both(
    config: ModelConfig, dtype: torch.dtype
) -> tuple[tuple[Tensor, tuple[Tensor, ...]], Unrolled, list[Tensor]]:
    """The kernel's outputs and state, the reference's, and all they depend on."""
    torch.manual_seed(1)
    kernel = _built(config).to(dtype)
    for parameter in kernel.parameters():
        nn.init.normal_(parameter, std=0.5)
    inputs = _drawn(dtype, B, T, E)
    states = cell_named(config.cell).states
    state = tuple(_drawn(dtype, config.num_layers, B, H) for _ in range(states))
    outputs, after = kernel(inputs, state if states > 1 else state[0])
    reference = unroll(kernel, step_of(config), inputs, state)
    packed = after if isinstance(after, tuple) else (after,)
    return (outputs, packed), reference, [inputs, *state, *kernel.parameters()]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize(("cell", "nonlinearity"), KINDS)
def test_a_reference_cell_equals_its_kernel_in_values_and_gradients(
    cell: str, nonlinearity: str, num_layers: int, dtype: torch.dtype
) -> None:
    config = _config(cell, nonlinearity, num_layers)
    (outputs, state), reference, leaves = _both(config, dtype)
    torch.testing.assert_close(reference.outputs, outputs, rtol=1e-6, atol=1e-6)
    for mine, theirs in zip(reference.state, state, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)

    # A random direction, so that no gradient is zero by symmetry.
    towards = torch.randn(B, T, H, dtype=dtype)
    wanted = torch.autograd.grad((outputs * towards).mean() + state[-1].mean(), leaves)
    found = torch.autograd.grad(
        (reference.outputs * towards).mean() + reference.state[-1].mean(), leaves
    )
    assert all(gradient.abs().max() > 1e-4 for gradient in wanted)
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("rnn", set()),
        ("lstm", {"input", "forget", "candidate", "output"}),
        ("gru", {"reset", "update", "candidate"}),
    ],
)
def test_every_gate_of_every_layer_and_step_comes_out(cell: str, names: set[str]) -> None:
    _, reference, _ = _both(_config(cell, "tanh", 2), torch.float64)
    assert len(reference.gates) == 2
    for gates in reference.gates:
        assert set(gates) == names
        assert all(gate.shape == (B, T, H) for gate in gates.values())
        for name in names - {"candidate"}:
            assert 0 < gates[name].min() <= gates[name].max() < 1


def test_the_gates_that_come_out_are_those_that_made_the_state() -> None:
    config = _config("gru", "tanh", 1)
    _, reference, leaves = _both(config, torch.float64)
    update, candidate = reference.gates[0]["update"], reference.gates[0]["candidate"]
    before = torch.cat((leaves[1][0].unsqueeze(1), reference.outputs[:, :-1]), dim=1)
    torch.testing.assert_close((1 - update) * candidate + update * before, reference.outputs)


def test_a_sequence_in_two_pieces_gives_what_it_gives_whole() -> None:
    torch.manual_seed(0)
    config = _config("lstm", "tanh", 2)
    kernel, inputs = _built(config), torch.randn(B, T, E)
    whole = unroll(kernel, step_of(config), inputs)
    first = unroll(kernel, step_of(config), inputs[:, :3])
    second = unroll(kernel, step_of(config), inputs[:, 3:], first.state)
    torch.testing.assert_close(second.outputs, whole.outputs[:, 3:])
