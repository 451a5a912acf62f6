"""Layers on top of each other: torch's own stack where there is no residual, the sum where there
is."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from poetgen.models.cells import CELLS, cell_named
from poetgen.models.config import ModelConfig
from poetgen.models.dropout import locked_dropout
from poetgen.models.stack import Stack

B, T, E, H, L = 3, 7, 5, 6, 3

every_cell = pytest.mark.parametrize("cell", CELLS)


def config_of(cell: str, **changes: object) -> ModelConfig:
    config = ModelConfig(cell, 9, E, H, num_layers=L, residual=True)
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def built(config: ModelConfig) -> Any:
    torch.manual_seed(1)
    layers = cell_named(config.cell).build(config)
    for parameter in layers.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layers


def state_of(config: ModelConfig) -> Tensor | tuple[Tensor, ...]:
    drawn = tuple(torch.randn(L, B, H) for _ in range(cell_named(config.cell).states))
    return drawn[0] if len(drawn) == 1 else drawn


def parts(state: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (state,) if isinstance(state, Tensor) else state


@every_cell
def test_each_layer_above_the_first_adds_what_it_reads(cell: str) -> None:
    config = config_of(cell)
    stack, inputs = built(config), torch.randn(B, T, E)
    assert isinstance(stack, Stack)
    expected = stack[0](inputs)[0]
    for layer in (stack[1], stack[2]):
        expected = expected + layer(expected)[0]
    torch.testing.assert_close(stack(inputs)[0], expected)


@every_cell
def test_the_state_of_a_layer_is_its_own_and_goes_on_in_the_next_piece(cell: str) -> None:
    config = config_of(cell)
    stack, inputs, before = built(config), torch.randn(B, T, E), state_of(config)
    whole, end = stack(inputs, before)
    first, state = stack(inputs[:, :4], before)
    second, after = stack(inputs[:, 4:], state)
    torch.testing.assert_close(torch.cat((first, second), dim=1), whole)
    assert [array.shape for array in parts(end)] == [(L, B, H)] * CELLS[cell].states
    for mine, theirs in zip(parts(after), parts(end), strict=True):
        torch.testing.assert_close(mine, theirs)
    if CELLS[cell].states:  # The first layer's, since nothing is added to it, is its last output.
        torch.testing.assert_close(parts(end)[0][0], stack[0](inputs, _of_first(before))[0][:, -1])


def _of_first(state: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
    if isinstance(state, Tensor):
        return state[:1]
    return tuple(array[:1] for array in state)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_without_the_road_past_the_layers_it_is_torchs_own_stack(cell: str) -> None:
    config = config_of(cell, residual=False)
    kernel = built(config)
    stack = Stack(config, lambda width: cell_named(cell).layers(config, width, 1))
    for layer in range(L):
        for name, parameter in stack[layer].named_parameters():
            parameter.data = kernel.get_parameter(name.replace("_l0", f"_l{layer}")).data
    inputs, before = torch.randn(B, T, E), state_of(config)
    (mine, after), (theirs, end) = stack(inputs, before), kernel(inputs, before)
    torch.testing.assert_close(mine, theirs)
    for one, two in zip(parts(after), parts(end), strict=True):
        torch.testing.assert_close(one, two)


@every_cell
def test_dropout_between_is_locked_and_leaves_the_road_whole(cell: str) -> None:
    config = config_of(cell, dropout=0.4, num_layers=2)
    stack, inputs = built(config), torch.randn(B, T, E)
    torch.manual_seed(5)
    outputs = stack(inputs)[0]
    torch.manual_seed(5)
    below = stack[0](inputs)[0]
    torch.testing.assert_close(outputs, below + stack[1](locked_dropout(below, 0.4))[0])
    assert torch.equal(stack.eval()(inputs)[0], stack(inputs)[0])


def test_a_gradient_passes_layers_that_let_nothing_through() -> None:
    # All parameters of the upper layers are zero: without the road the loss would not know x.
    stack, inputs = built(config_of("gru")), torch.randn(B, T, E, requires_grad=True)
    with torch.no_grad():
        for layer in (stack[1], stack[2]):
            for parameter in layer.parameters():
                parameter.zero_()
    stack(inputs)[0].square().sum().backward()
    assert inputs.grad is not None
    assert (inputs.grad.abs().sum(dim=2) > 0).all()
