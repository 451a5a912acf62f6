"""The recurrence over all steps at once: equal to one step after the other, wherever it runs."""

import pytest
import torch
from torch import Tensor

from poetgen.models import scan
from poetgen.models.scan import linear_scan, scan_by_rounds, scan_by_steps

B, H = 3, 16


def drawn(length: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Shares to keep from nothing to almost all, what is added, and a state to begin with."""
    generator = torch.Generator().manual_seed(length)
    decay = torch.sigmoid(3 * torch.randn(length, B, H, generator=generator, dtype=torch.float64))
    new = torch.randn(length, B, H, generator=generator, dtype=torch.float64)
    h0 = torch.randn(B, H, generator=generator, dtype=torch.float64)
    return decay.to(dtype), new.to(dtype), h0.to(dtype)


def one_after_the_other(decay: Tensor, new: Tensor, h0: Tensor) -> Tensor:
    states = []
    h = h0
    for a, b in zip(decay, new, strict=True):
        h = a * h + b
        states.append(h)
    return torch.stack(states)


@pytest.fixture(params=["by steps", "by rounds"])
def _both_roads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_goes_by_steps", lambda _: request.param == "by steps")


@pytest.mark.usefixtures("_both_roads")
@pytest.mark.parametrize("length", [1, 2, 3, 64, 200])
def test_values_and_gradients_in_fp32_are_those_of_single_steps_in_fp64(length: int) -> None:
    towards = torch.randn(length, B, H, dtype=torch.float64)
    found = [tensor.requires_grad_() for tensor in drawn(length, torch.float32)]
    wanted = [tensor.detach().double().requires_grad_() for tensor in found]
    states, expected = linear_scan(*found), one_after_the_other(*wanted)
    torch.testing.assert_close(states.double(), expected, rtol=1e-5, atol=1e-5)
    gradients = torch.autograd.grad((states * towards.float()).sum(), found)
    for mine, theirs in zip(
        gradients, torch.autograd.grad((expected * towards).sum(), wanted), strict=True
    ):
        assert theirs.abs().max() > 0.1
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("_both_roads")
def test_gradients_are_those_of_finite_differences() -> None:
    arguments = tuple(tensor.requires_grad_() for tensor in drawn(5, torch.float64))
    assert torch.autograd.gradcheck(linear_scan, arguments)


def test_both_roads_leave_what_they_are_given_as_it_was() -> None:
    arguments = drawn(9, torch.float64)
    kept = [tensor.clone() for tensor in arguments]
    torch.testing.assert_close(scan_by_steps(*arguments), scan_by_rounds(*arguments))
    assert all(torch.equal(*pair) for pair in zip(arguments, kept, strict=True))


def test_a_state_that_is_kept_whole_is_still_there_after_a_long_text() -> None:
    decay, new = torch.ones(1000, 1, 4), torch.zeros(1000, 1, 4)
    h0 = torch.tensor([[1.0, -2.0, 0.5, 3.0]])
    for road in (scan_by_steps, scan_by_rounds):
        assert torch.equal(road(decay, new, h0)[-1], h0)
