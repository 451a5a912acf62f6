"""The encoder-decoder: its names, that it looks at nothing that is to come, and that reading one
token at a time, in rows that are at different places, is reading all at once."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from poetgen.errors import TrainingError
from poetgen.models.cells import CELLS
from poetgen.models.config import ModelConfig
from poetgen.models.network import Network, State, build_network, joined
from poetgen.models.seq2seq import Seq2Seq
from tests.models.test_language_model import drawn_configs

BOS, COMMA, STOP = 1, 7, 8
V = 20
every_cell = pytest.mark.parametrize("cell", CELLS)


def small(cell: str = "lstm", **changes: object) -> Seq2Seq:
    values: dict[str, object] = {
        "architecture": "seq2seq",
        "cell": cell,
        "vocabulary_size": V,
        "embedding_size": 6,
        "hidden_size": 5,
        "line_ends": [COMMA, STOP],
    }
    model = build_network(ModelConfig.from_dict({**values, **changes}))
    assert isinstance(model, Seq2Seq)
    model.initialise(seed=3)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():  # Biases that are not zero, or a mistake with them could not be seen.
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def texts(rows: int = 4, length: int = 30, seed: int = 0) -> Tensor:
    """Contexts, `<bos>`, and tokens some of which end lines, at different places in each row."""
    ids = torch.randint(3, V, (rows, length), generator=torch.Generator().manual_seed(seed))
    ids[:, :6] = torch.randint(9, V, (rows, 6), generator=torch.Generator().manual_seed(seed + 1))
    ids[:, 6] = BOS
    return ids


def step_through(model: Network, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
    state = model.start(len(ids)) if state is None else state
    found = []
    for token in torch.split(ids, 1, dim=1):
        hidden, state = model.hidden(token, state)
        found.append(hidden)
    return torch.cat(found, dim=1), state


@given(drawn_configs(), st.booleans())
@settings(deadline=None, max_examples=40)
def test_the_weights_have_the_names_and_shapes_that_the_config_promises(
    config: ModelConfig, bidirectional: bool
) -> None:
    config = dataclasses.replace(
        config,
        architecture="seq2seq",
        bidirectional=bidirectional,
        condition="prefix",
        stop="eos",
        output_depth=1,
    )
    model = build_network(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert shapes == config.parameter_shapes()


@every_cell
@torch.no_grad()
def test_nothing_that_it_says_depends_on_what_comes_later(cell: str) -> None:
    model, ids = small(cell), texts()
    whole = model.hidden(ids)[0]
    for place in (9, 17, 23):
        other = ids.clone()
        other[:, place:] = texts(seed=5)[:, place:]
        torch.testing.assert_close(
            model.hidden(other)[0][:, :place], whole[:, :place], rtol=0, atol=1e-6
        )
        assert not torch.allclose(model.hidden(other)[0][:, place:], whole[:, place:], atol=1e-3)


@every_cell
@pytest.mark.parametrize("num_layers", [1, 2])
@torch.no_grad()
def test_one_token_at_a_time_is_all_at_once(cell: str, num_layers: int) -> None:
    model, ids = small(cell, num_layers=num_layers, residual=num_layers > 1), texts()
    whole, after = model.hidden(ids)
    found, state = step_through(model, ids)
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-5)
    for mine, theirs in zip(state[4:], after[4:], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)
    # And both can go on from what the other left.
    more = texts(seed=9)[:, 7:20]
    expected = model.hidden(torch.cat((ids, more), dim=1))[0][:, 30:]
    torch.testing.assert_close(model.hidden(more, state)[0], expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(step_through(model, more, after)[0], expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_poem_in_stretches_is_the_whole_poem() -> None:
    model, ids = small(), texts()
    whole = model.hidden(ids)[0]
    for cuts in ((6,), (6, 8, 29), (3, 6, 15), (10, 20)):
        state, parts = None, []
        for part in torch.tensor_split(ids, cuts, dim=1):
            hidden, state = model.hidden(part, state)
            parts.append(hidden)
        torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-5)


@every_cell
@torch.no_grad()
def test_rows_at_different_places_are_selected_and_joined(cell: str) -> None:
    model, ids = small(cell), texts()
    whole = model.hidden(ids)[0]
    lengths = [9, 14, 20, 25]
    states = [step_through(model, ids[i : i + 1, :n])[1] for i, n in enumerate(lengths)]
    state = joined(states)
    order = torch.tensor([2, 0, 3, 1, 0])
    state = tuple(tensor.index_select(1, order) for tensor in state)
    for ahead in range(5):
        now = torch.tensor([lengths[i] + ahead for i in order])
        hidden, state = model.hidden(ids[order, now].unsqueeze(1), state)
        torch.testing.assert_close(hidden[:, 0], whole[order, now], rtol=0, atol=1e-5)
    # And many tokens at once, from places that differ.
    long = joined([step_through(model, ids[i : i + 1, :n])[1] for i, n in ((0, 9), (1, 20))])
    found, _ = model.hidden(torch.stack((ids[0, 9:19], ids[1, 20:])), long)
    expected = torch.stack((whole[0, 9:19], whole[1, 20:]))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_before_a_first_line_it_says_nothing_and_then_knows_what_it_was_told() -> None:
    model, ids = small(), texts()
    hidden = model.hidden(ids)[0]
    assert (hidden[:, :6] == 0).all()
    told = ids.clone()
    told[:, 2] = 9 + (ids[:, 2] - 8) % 11
    for place in (6, 29):
        assert not torch.allclose(model.hidden(told)[0][:, place], hidden[:, place], atol=1e-4)


@torch.no_grad()
def test_the_decoder_sees_the_lines_before_its_own_through_the_encoder_alone() -> None:
    model = small()
    ids = texts()[:1]
    ids[0, 7:] = torch.tensor([9, 10, 11, COMMA, 12, 13, 14, STOP, *[9, 10, 11] * 5])
    weights, sizes = model.look(ids)
    assert sizes[0, 6].item() == 7  # The context and <bos>.
    assert sizes[0, 10].item() == 11  # And a line with its mark.
    for t, size in enumerate(sizes[0].tolist()):
        assert weights[0, t, size:].abs().sum() == 0
        assert weights[0, t].sum().item() == pytest.approx(float(size > 0), abs=1e-6)
    # Without the bridge and attention, one line is as if there were no other.
    assert model.bridge is not None
    model.bridge.weight.zero_()
    model.combination.weight[:, 5:] = 0
    logits = model(ids)[0]
    alone = torch.cat((ids[:, :6], torch.tensor([[BOS, COMMA, 12, 13]])), dim=1)
    torch.testing.assert_close(model(alone)[0][:, 7:], logits[:, 10:13], rtol=0, atol=1e-5)


def test_a_network_starts_at_the_tokens_frequencies() -> None:
    model = build_network(small().config)
    model.initialise(np.arange(V), seed=1)
    log = (torch.arange(V) + 1.0).log()
    torch.testing.assert_close(model.output.bias.detach(), log - log.exp().sum().log())
    model.eval()
    nats = -torch.log_softmax(model(texts())[0], dim=2).mean()
    assert 0.5 * math.log(V) < nats.item() < 2 * math.log(V)


def test_every_parameter_is_learned() -> None:
    model = small(num_layers=2, tie_embeddings=False, dropout=0.2, weight_drop=0.2).train()
    model(texts())[0].logsumexp(dim=2).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_language_model_cannot_read_backwards_and_the_error_says_why() -> None:
    with pytest.raises(TrainingError, match=r"--bidirectional .* --architecture lm") as error:
        ModelConfig(vocabulary_size=V, bidirectional=True)
    assert "what it is to predict" in (error.value.hint or "")


@pytest.mark.parametrize(
    ("field", "value"), [("condition", "input"), ("stop", "bernoulli"), ("output_depth", 2)]
)
def test_what_does_not_go_with_it_is_an_error_that_names_both_flags(
    field: str, value: object
) -> None:
    flag = field.replace("_", "-")
    with pytest.raises(TrainingError, match=f"--architecture seq2seq .* --{flag} {value}"):
        ModelConfig(vocabulary_size=V, architecture="seq2seq", **{field: value})  # type: ignore[arg-type]


def test_its_config_comes_back_from_json_and_line_ends_are_tokens() -> None:
    config = small().config
    assert ModelConfig.from_dict(config.to_dict()) == config
    assert config.bidirectional
    assert not small(bidirectional=False).config.bidirectional
    for wrong in ([V], [0], [True], ["，"], 3):
        with pytest.raises(TrainingError):
            small(line_ends=wrong)
