"""The network that remembers its last output: nothing else reaches a score, and no state."""

import torch

from poetgen.models.config import ModelConfig
from poetgen.models.language_model import LanguageModel


def network(num_layers: int = 2) -> LanguageModel:
    model = LanguageModel(ModelConfig("output", 11, 6, 8, num_layers=num_layers))
    model.initialise(seed=3)
    return model.eval()


def test_what_is_scored_next_depends_on_the_last_token_and_no_other() -> None:
    model = network()
    generator = torch.Generator().manual_seed(0)
    one, two = torch.randint(4, 11, (2, 5, 9), generator=generator)
    same = one == two
    assert 0 < same.sum() < same.numel()
    first, second = model(one)[0], model(two)[0]
    assert torch.equal(first[same], second[same])
    assert not any(torch.equal(a, b) for a, b in zip(first[~same], second[~same], strict=True))


def test_it_carries_nothing() -> None:
    model = network()
    assert model.start(7) == ()
    ids = torch.arange(4, 10).reshape(2, 3)
    whole, state = model(ids)
    assert state == ()
    steps = [model(column, state)[0] for column in torch.split(ids, 1, dim=1)]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole)


def test_it_is_the_equation() -> None:
    model = network(num_layers=1)
    weights = model.state_dict()
    x = weights["embedding.weight"][[4, 7]]
    W, b = weights["recurrent.0.weight_ih_l0"], weights["recurrent.0.bias_ih_l0"]
    hidden, _ = model.hidden(torch.tensor([[4, 7]]))
    torch.testing.assert_close(hidden[0], torch.tanh(x @ W.t() + b))


def test_under_autocast_the_state_is_not_of_bf16() -> None:
    model = network()
    with torch.autocast("cpu", torch.bfloat16):
        hidden, _ = model.hidden(torch.tensor([[4, 7]]))
    assert hidden.dtype == torch.float32
