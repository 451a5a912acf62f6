"""minGRU and minLSTM: the paper's equations, whole texts and single steps alike."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from poetgen.models.min_cells import MinGRU, MinLSTM

B, T, E, H = 3, 200, 5, 12

BF16 = torch.bfloat16


def mingru_step(x: Tensor, h: Tensor, W: Tensor, b: Tensor) -> Tensor:
    z, candidate = (x @ W.t() + b).chunk(2, dim=1)
    z = torch.sigmoid(z)
    return (1 - z) * h + z * candidate


def minlstm_step(x: Tensor, h: Tensor, W: Tensor, b: Tensor) -> Tensor:
    f, i, candidate = (x @ W.t() + b).chunk(3, dim=1)
    f, i = torch.sigmoid(f), torch.sigmoid(i)
    return f / (f + i) * h + i / (f + i) * candidate


Layer = MinGRU | MinLSTM
Step = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

every_cell = pytest.mark.parametrize(
    ("kind", "step"), [(MinGRU, mingru_step), (MinLSTM, minlstm_step)]
)


def made(kind: type[Layer]) -> Layer:
    torch.manual_seed(2)
    layer = kind(E, H)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.8)
    return layer


@every_cell
def test_a_text_at_once_is_the_equations_step_by_step_in_values_and_gradients(
    kind: type[Layer], step: Step
) -> None:
    layer = made(kind)
    inputs, state = torch.randn(B, T, E, requires_grad=True), torch.randn(1, B, H)
    state.requires_grad_()
    outputs, after = layer(inputs, state)
    leaves = [inputs, state, *layer.parameters()]
    doubles = [leaf.detach().double().requires_grad_() for leaf in leaves]

    x, h, W, b = doubles
    h, expected = h[0], []
    for x_t in x.unbind(1):
        h = step(x_t, h, W, b)
        expected.append(h)
    wanted = torch.stack(expected, dim=1)
    torch.testing.assert_close(outputs.double(), wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(after[0].double(), h, rtol=1e-5, atol=1e-5)

    towards = torch.randn(B, T, H, dtype=torch.float64) / T
    found = torch.autograd.grad((outputs * towards.float()).sum(), leaves)
    for mine, theirs in zip(
        found, torch.autograd.grad((wanted * towards).sum(), doubles), strict=True
    ):
        assert theirs.abs().max() > 1e-3
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-5, atol=1e-5)


@every_cell
def test_one_token_at_a_time_gives_what_all_at_once_do(kind: type[Layer], step: Step) -> None:
    layer, inputs = made(kind), torch.randn(B, 9, E)
    whole, end = layer(inputs)
    state, outputs = None, []
    for x in torch.split(inputs, 1, dim=1):
        output, state = layer(x, state)
        assert state.shape == (1, B, H)
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs, dim=1), whole, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(state, end, rtol=1e-6, atol=1e-6)


@every_cell
def test_under_autocast_only_the_product_is_of_bf16(kind: type[Layer], step: Step) -> None:
    layer, inputs = made(kind), torch.randn(B, T, E)
    exact, _ = layer(inputs)
    with torch.autocast("cpu", BF16):
        outputs, state = layer(inputs)
    assert outputs.dtype == state.dtype == torch.float32
    # The product's rounding, 1 in 256, at every step anew: it does not grow with the steps.
    assert (outputs - exact).abs().max() < 0.02 * exact.abs().max()
    assert not torch.equal(outputs, exact)
    gradients = []
    for enabled in (True, False):
        with torch.autocast("cpu", BF16, enabled=enabled):
            loss = layer(inputs)[0].square().mean()
        gradients.append(torch.autograd.grad(loss, list(layer.parameters())))
    for rounded, right in zip(*gradients, strict=True):
        assert (rounded - right).norm() < 0.01 * right.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_gates_that_are_shut_at_once_divide_nothing_by_nothing(dtype: torch.dtype) -> None:
    # Both are σ(-500), which is 0 in either type: f / (f + i) as written would be 0 / 0.
    layer = MinLSTM(1, 1).to(dtype)
    with torch.no_grad():
        layer.bias_ih_l0.copy_(torch.tensor([-500.0, -500.0, 2.0]))
    outputs, _ = layer(torch.zeros(1, 2, 1, dtype=dtype), torch.ones(1, 1, 1, dtype=dtype))
    torch.testing.assert_close(outputs.flatten(), torch.tensor([1.5, 1.75], dtype=dtype))
    outputs.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())
