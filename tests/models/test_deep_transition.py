"""Several cells in a step: the textbooks' cells one after the other, equal to torch's for one."""

import pytest
import torch
from torch import Tensor, nn

from poetgen.models.cells import cell_named
from poetgen.models.config import ModelConfig
from poetgen.models.deep_transition import DeepTransition
from poetgen.models.dropout import drop_recurrent_weights
from poetgen.models.language_model import LanguageModel
from poetgen.models.reference_cells import LayerParameters, LayerState, step_of

B, T, E, H = 3, 7, 5, 6

KINDS = (("rnn", "tanh"), ("rnn", "relu"), ("lstm", "tanh"), ("gru", "tanh"))


def made(cell: str, nonlinearity: str, depth: int) -> tuple[ModelConfig, DeepTransition]:
    config = ModelConfig(cell, 9, E, H, nonlinearity=nonlinearity, transition_depth=depth)
    torch.manual_seed(1)
    layer = DeepTransition(config, E).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return config, layer


def state_of(cell: str) -> tuple[Tensor, ...]:
    return tuple(torch.randn(1, B, H, dtype=torch.float64) for _ in range(cell_named(cell).states))


def packed(state: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
    return state[0] if len(state) == 1 else state


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize(("cell", "nonlinearity"), KINDS)
def test_a_step_is_cells_one_after_the_other_of_which_one_reads(
    cell: str, nonlinearity: str, depth: int
) -> None:
    config, layer = made(cell, nonlinearity, depth)
    inputs, before = torch.randn(B, T, E, dtype=torch.float64), state_of(cell)
    outputs, after = layer(inputs, packed(before))

    step = step_of(config)
    of = dict(layer.named_parameters())
    nothing = torch.zeros(len(of["bias_ih_l0"]), 0, dtype=torch.float64)
    carried: LayerState = tuple(array[0] for array in before)
    expected = []
    for x in inputs.unbind(1):
        for d in range(depth):
            parameters = LayerParameters(
                of["weight_ih_l0"] if d == 0 else nothing,
                of[f"weight_hh_l{d}"],
                of[f"bias_ih_l{d}"],
                of[f"bias_hh_l{d}"],
            )
            carried, _ = step(x if d == 0 else x[:, :0], carried, parameters)
        expected.append(carried[0])
    wanted = torch.stack(expected, dim=1)
    torch.testing.assert_close(outputs, wanted)
    for mine, theirs in zip(after if isinstance(after, tuple) else (after,), carried, strict=True):
        torch.testing.assert_close(mine[0], theirs)

    towards = torch.randn(B, T, H, dtype=torch.float64)
    leaves = list(layer.parameters())
    found = torch.autograd.grad((outputs * towards).sum(), leaves)
    for mine, theirs in zip(
        found, torch.autograd.grad((wanted * towards).sum(), leaves), strict=True
    ):
        assert theirs.abs().max() > 1e-3
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_of_depth_one_it_is_torchs_layer(cell: str) -> None:
    _, layer = made(cell, "tanh", 1)
    kernel = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell](E, H, batch_first=True).double()
    kernel.load_state_dict(layer.state_dict())
    inputs, before = torch.randn(B, T, E, dtype=torch.float64), packed(state_of(cell))
    torch.testing.assert_close(layer(inputs, before)[0], kernel(inputs, before)[0])
    torch.testing.assert_close(layer(inputs)[0], kernel(inputs)[0])


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_weight_drop_takes_numbers_of_every_matrix_in_the_step(cell: str) -> None:
    config = ModelConfig(
        cell, 9, E, H, num_layers=2, transition_depth=2, weight_drop=0.5, residual=True
    )
    model = LanguageModel(config)
    model.initialise(seed=1)
    torch.manual_seed(3)
    gone = {name: w == 0 for name, w in drop_recurrent_weights(model.recurrent, 0.5).items()}
    assert sorted(gone) == [f"{layer}.weight_hh_l{d}" for layer in (0, 1) for d in (0, 1)]
    torch.manual_seed(3)
    model.train()(torch.randint(9, (3, 8), generator=torch.Generator().manual_seed(0)))[
        0
    ].square().sum().backward()
    for name, mask in gone.items():
        gradient = model.recurrent.get_parameter(name).grad
        assert gradient is not None
        assert (gradient[mask] == 0).all()
        assert (gradient[~mask] != 0).any()


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_under_autocast_states_are_not_of_bf16(cell: str) -> None:
    _, double = made(cell, "tanh", 2)
    layer, inputs = double.float(), torch.randn(B, T, E)
    exact, _ = layer(inputs)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, _ = layer(inputs)
    assert outputs.dtype == torch.float32
    assert (outputs - exact).abs().max() < 0.05
    assert not torch.equal(outputs, exact)


def test_every_forget_gate_of_a_step_starts_at_its_bias() -> None:
    model = LanguageModel(ModelConfig("lstm", 9, E, 2, transition_depth=2, forget_bias=1.5))
    model.initialise(seed=1)
    weights = model.state_dict()
    for d in (0, 1):
        total = weights[f"recurrent.0.bias_ih_l{d}"] + weights[f"recurrent.0.bias_hh_l{d}"]
        assert total.tolist() == [0, 0, 1.5, 1.5, 0, 0, 0, 0]
