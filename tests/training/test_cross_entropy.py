import pytest
import torch
from torch import Tensor
from torch.nn import functional

from poetgen.models.config import ModelConfig
from poetgen.models.language_model import LanguageModel
from poetgen.training.cross_entropy import output_loss
from poetgen.training.devices import precision_named

N = 71  # Not a multiple of the rows that are scored at a time.


def _case(tied: bool) -> tuple[LanguageModel, Tensor, Tensor]:
    config = ModelConfig(vocabulary_size=50, embedding_size=12, hidden_size=20, tie_embeddings=tied)
    torch.manual_seed(2)
    model = LanguageModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model, torch.randn(N, 20), torch.randint(0, 50, (N,))


def _gradients(model: LanguageModel, hidden: Tensor, loss: Tensor) -> list[Tensor]:
    model.zero_grad()
    hidden.grad = None
    torch.autograd.backward(3.0 * loss)
    leaves = [hidden, *(p for p in model.parameters() if p.grad is not None)]
    return [leaf.grad.clone() for leaf in leaves if leaf.grad is not None]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("bf16", [False, True])
def test_loss_and_gradients_are_those_of_torch(tied: bool, smoothing: float, bf16: bool) -> None:
    if bf16 and precision_named("auto", torch.device("cpu")) != torch.bfloat16:
        pytest.skip("this CPU has no bf16 instructions, so that poetgen does not train in bf16")
    model, hidden, targets = _case(tied)
    hidden.requires_grad_()
    expected = functional.cross_entropy(model.logits(hidden), targets, label_smoothing=smoothing)
    gradients = _gradients(model, hidden, expected)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        loss = output_loss(model, hidden, targets, smoothing)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=5e-3 if bf16 else 1e-6)
    got = _gradients(model, hidden, loss)
    assert len(got) == len(gradients)
    for a, b in zip(got, gradients, strict=True):
        assert (a - b).norm() <= (0.02 if bf16 else 1e-5) * b.norm()


def test_a_token_that_seemed_impossible_has_a_finite_loss() -> None:
    model, hidden, targets = _case(tied=True)
    with torch.no_grad():
        model.output.bias[targets[0]] = -500.0
    loss = output_loss(model, hidden.requires_grad_(), targets[:1].expand(N))
    assert 400 < loss.item() < 600


def test_without_gradients_the_loss_is_torchs_own() -> None:
    model, hidden, targets = _case(tied=True)
    with torch.no_grad():
        loss = output_loss(model, hidden, targets)
        assert torch.equal(loss, functional.cross_entropy(model.logits(hidden), targets))
