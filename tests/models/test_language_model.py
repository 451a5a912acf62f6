"""The network: its names, its start, and that nothing it says looks ahead."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.models.cells import CELLS
from poetgen.models.config import ModelConfig
from poetgen.models.language_model import LanguageModel
from poetgen.models.network import load_arrays, to_arrays

every_cell = pytest.mark.parametrize("cell", CELLS)
every_recurrent_cell = pytest.mark.parametrize(
    "cell", [cell.name for cell in CELLS.values() if cell.is_recurrent]
)


@st.composite
def drawn_configs(draw: st.DrawFn) -> ModelConfig:
    """Any shape that there is; what does not go together is left out."""
    cell = CELLS[draw(st.sampled_from(sorted(CELLS)))]
    num_layers = draw(st.integers(1, 3))
    return ModelConfig(
        cell=cell.name,
        vocabulary_size=draw(st.integers(5, 30)),
        embedding_size=draw(st.integers(1, 9)),
        hidden_size=draw(st.integers(1, 9)),
        num_layers=num_layers,
        dropout=draw(st.sampled_from([0.0, 0.5])),
        weight_drop=draw(st.sampled_from([0.0, 0.5])) if cell.is_recurrent else 0.0,
        tie_embeddings=draw(st.booleans()),
        residual=num_layers > 1 and draw(st.booleans()),
        transition_depth=draw(st.integers(1, 3)) if cell.deepens else 1,
    )


def small(cell: str = "lstm", **changes: object) -> LanguageModel:
    values: dict[str, object] = {
        "cell": cell,
        "vocabulary_size": 11,
        "embedding_size": 6,
        "hidden_size": 8,
        "num_layers": 2,
    }
    model = LanguageModel(ModelConfig.from_dict({**values, **changes}))
    model.initialise(seed=3)
    return model


@given(drawn_configs())
@settings(deadline=None, max_examples=60)
def test_the_weights_have_the_names_and_shapes_that_the_config_promises(
    config: ModelConfig,
) -> None:
    model = LanguageModel(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert shapes == config.parameter_shapes()
    assert sum(p.numel() for p in model.parameters()) == config.parameter_count()
    model.initialise(np.ones(config.vocabulary_size), seed=1)
    assert all(torch.isfinite(p).all() for p in model.parameters())


@given(drawn_configs(), st.integers(1, 4), st.integers(2, 9))
@settings(deadline=None, max_examples=60)
def test_any_network_scores_a_text_in_pieces_as_it_does_whole(
    config: ModelConfig, rows: int, length: int
) -> None:
    model = LanguageModel(config)
    model.initialise(seed=1)
    ids = torch.randint(config.vocabulary_size, (rows, length), generator=torch.manual_seed(0))
    whole, end = model.eval()(ids)
    first, state = model(ids[:, :1], model.start(rows))
    second, after = model(ids[:, 1:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=1e-5, atol=1e-5)
    assert all(array.shape[1] == rows for array in state)
    torch.testing.assert_close(after, end, rtol=1e-5, atol=1e-5)
    model.train()(ids)[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@every_cell
def test_a_score_depends_on_no_later_token(cell: str) -> None:
    model = small(cell).eval()
    ids = torch.randint(4, 11, (3, 9), generator=torch.Generator().manual_seed(0))
    logits, _ = model(ids)
    for t in range(8):
        changed = ids.clone()
        changed[:, t + 1 :] = (changed[:, t + 1 :] - 3) % 7 + 4
        other, _ = model(changed)
        assert torch.equal(other[:, : t + 1], logits[:, : t + 1])
        assert not torch.equal(other[:, t + 1], logits[:, t + 1])


@every_cell
def test_a_sequence_in_two_pieces_scores_as_in_one(cell: str) -> None:
    model = small(cell).eval()
    ids = torch.arange(10).reshape(1, 10) % 7 + 4
    whole, end = model(ids)
    first, state = model(ids[:, :4])
    second, after = model(ids[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    assert len(state) == CELLS[cell].states
    for ours, theirs in zip(after, end, strict=True):
        assert ours.shape == (2, 1, 8)
        torch.testing.assert_close(ours, theirs)


@every_cell
def test_no_state_means_zeros(cell: str) -> None:
    model = small(cell).eval()
    ids = torch.tensor([[1, 5, 6]])
    zeros = tuple(torch.zeros(2, 1, 8) for _ in range(CELLS[cell].states))
    torch.testing.assert_close(model(ids, zeros)[0], model(ids)[0])


def test_tied_weights_are_one_tensor_that_both_ends_train() -> None:
    model = small(embedding_size=8, tie_embeddings=True)
    assert model.projection is None
    assert model.output.weight is None
    model(torch.tensor([[1, 5]]))[0].sum().backward()
    gradient = model.embedding.weight.grad
    assert gradient is not None
    # Token 9 never went in, so what trains its vector came from the output.
    assert gradient[9].abs().sum() > 0


def test_untied_weights_are_two() -> None:
    model = small(tie_embeddings=False)
    model(torch.tensor([[1, 5]]))[0].sum().backward()
    gradient = model.embedding.weight.grad
    assert gradient is not None
    assert gradient[9].abs().sum() == 0


def test_the_first_prediction_is_the_plain_frequency() -> None:
    counts = np.array([0, 0, 50, 3, 400, 200, 100, 100, 50, 50, 46])
    model = small()
    model.initialise(counts, seed=0)
    logits, _ = model.eval()(torch.tensor([[1, 4, 5, 6, 7]]))
    expected = (counts + 1) / (counts + 1).sum()
    torch.testing.assert_close(
        logits.softmax(-1).mean((0, 1)),
        torch.tensor(expected, dtype=torch.float32),
        atol=0.02,
        rtol=0.2,
    )


@every_recurrent_cell
def test_each_gate_of_a_recurrent_matrix_starts_orthogonal(cell: str) -> None:
    matrix = small(cell).state_dict()["recurrent.weight_hh_l1"]
    gates = matrix.chunk(CELLS[cell].gates)
    for gate in gates:
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)
    assert all(not torch.equal(gates[0], gate) for gate in gates[1:])


def test_an_identity_start_is_the_identity() -> None:
    matrix = small("rnn", recurrent_init="identity", nonlinearity="relu").state_dict()
    assert torch.equal(matrix["recurrent.weight_hh_l0"], torch.eye(8))


def test_the_forget_gate_starts_at_its_bias_and_nothing_else_does() -> None:
    weights = small(forget_bias=1.5).state_dict()
    total = weights["recurrent.bias_ih_l0"] + weights["recurrent.bias_hh_l0"]
    assert total.tolist() == [0.0] * 8 + [1.5] * 8 + [0.0] * 16


def test_the_same_seed_starts_the_same_weights_and_leaves_the_global_one_alone() -> None:
    one, two = to_arrays(small()), to_arrays(small())
    assert all(np.array_equal(one[name], two[name]) for name in one)
    model = small()
    before = torch.random.get_rng_state()
    model.initialise(seed=4)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not np.array_equal(one["embedding.weight"], to_arrays(model)["embedding.weight"])


def test_arrays_go_there_and_back() -> None:
    model, other = small("gru"), small("gru")
    other.initialise(seed=8)
    load_arrays(other, to_arrays(model))
    ids = torch.tensor([[1, 4, 5]])
    assert torch.equal(model.eval()(ids)[0], other.eval()(ids)[0])


@every_cell
def test_dropout_works_in_training_only(cell: str) -> None:
    model = small(cell, dropout=0.5)
    ids = torch.tensor([[1, 4, 5, 6]])
    assert not torch.equal(model.train()(ids)[0], model(ids)[0])
    assert torch.equal(model.eval()(ids)[0], model(ids)[0])


def test_the_log_frequencies_are_logarithms() -> None:
    model = small()
    model.initialise(np.array([0, 0, 0, 0, 9, 1, 0, 0, 0, 0, 0]), seed=0)
    assert model.output.bias[4].item() == pytest.approx(math.log(10 / 21))
