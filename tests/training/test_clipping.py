"""Clipping by norm and by value, against the arithmetic done by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from poetgen.training.clipping import clip_gradients


def clip(norm: float, value: float) -> tuple[Tensor, float, bool]:
    """The gradient (3, -4, 0, 12), of norm 13, of two parameters; its norm, and what was done."""
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))]
    for parameter, gradient in zip(parameters, ([3.0, -4.0], [0.0, 12.0]), strict=True):
        parameter.grad = torch.tensor(gradient)
    # One that took no part in the loss, as of a layer that a batch does not reach.
    before, clipped = clip_gradients([*parameters, nn.Parameter(torch.zeros(3))], norm, value)
    gradients = [p.grad for p in parameters if p.grad is not None]
    return torch.cat(gradients), before.item(), bool(clipped.item())


@pytest.mark.parametrize(
    ("norm", "value", "expected", "clipped"),
    [
        (0.0, 0.0, [3, -4, 0, 12], False),
        (13.5, 0.0, [3, -4, 0, 12], False),
        (6.5, 0.0, [1.5, -2, 0, 6], True),
        (0.0, 4.0, [3, -4, 0, 4], True),
        (0.0, 12.0, [3, -4, 0, 12], False),
        # By value first, (3, -4, 0, 4) of norm √41; then by norm.
        (math.sqrt(41) / 2, 4.0, [1.5, -2, 0, 2], True),
        (7.0, 4.0, [3, -4, 0, 4], True),
        (6.5, 20.0, [1.5, -2, 0, 6], True),
    ],
)
def test_a_gradient_is_cut_as_the_textbook_has_it(
    norm: float, value: float, expected: list[float], clipped: bool
) -> None:
    gradient, before, said = clip(norm, value)
    torch.testing.assert_close(gradient, torch.tensor(expected, dtype=torch.float32))
    assert before == pytest.approx(13.0)
    assert said == clipped


def test_clipping_by_norm_alone_is_torchs_own_bit_for_bit() -> None:
    generator = torch.Generator().manual_seed(1)
    ours, theirs = nn.Parameter(torch.zeros(1000)), nn.Parameter(torch.zeros(1000))
    gradient = torch.randn(1000, generator=generator)
    ours.grad, theirs.grad = gradient.clone(), gradient.clone()
    norm, _ = clip_gradients([ours], 0.7, 0.0)
    assert torch.equal(norm, torch.nn.utils.clip_grad_norm_([theirs], 0.7))
    assert torch.equal(ours.grad, theirs.grad)
