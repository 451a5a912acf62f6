import dataclasses
import json
from typing import Any

import pytest

from poetgen.errors import TrainingError
from poetgen.models.cells import CELLS
from poetgen.models.config import ModelConfig


@pytest.mark.parametrize("cell", CELLS)
def test_a_config_comes_back_from_json_as_it_was(cell: str) -> None:
    config = ModelConfig(cell=cell, vocabulary_size=100, dropout=0.5, num_layers=3)
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"cell": "transformer"}, "--cell is 'transformer'"),
        ({"vocabulary_size": 4}, "vocabulary of 4"),
        ({"hidden_size": 0}, "--hidden-size is 0"),
        ({"embedding_size": -1}, "--embedding-size is -1"),
        ({"num_layers": 0}, "--num-layers is 0"),
        ({"dropout": 1.0}, "--dropout is 1.0"),
        ({"dropout": float("nan")}, "--dropout is nan"),
        ({"embedding_dropout": 1.5}, "--embedding-dropout is 1.5"),
        ({"weight_drop": -0.1}, "--weight-drop is -0.1"),
        ({"cell": "rnn", "nonlinearity": "gelu"}, "--nonlinearity is 'gelu'"),
        ({"cell": "lstm", "nonlinearity": "relu"}, "--nonlinearity relu .* --cell lstm"),
        ({"recurrent_init": "zero"}, "--recurrent-init is 'zero'"),
        ({"cell": "output", "nonlinearity": "relu"}, "--nonlinearity relu .* --cell output"),
        ({"residual": True}, "--residual .* --num-layers 1"),
        ({"transition_depth": 0}, "--transition-depth is 0"),
        ({"cell": "mingru", "transition_depth": 2}, "--transition-depth 2 .* --cell mingru"),
        ({"cell": "output", "transition_depth": 2}, "--transition-depth 2 .* --cell output"),
        ({"cell": "minlstm", "weight_drop": 0.5}, "--weight-drop 0.5 .* --cell minlstm"),
        ({"cell": "output", "weight_drop": 0.5}, "--weight-drop 0.5 .* --cell output"),
    ],
)
def test_a_value_out_of_range_is_an_error_that_names_its_flag(
    values: dict[str, Any], said: str
) -> None:
    with pytest.raises(TrainingError, match=said):
        ModelConfig(**{"vocabulary_size": 100, **values})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attention_heads", 8),
        ("hidden_size", "512"),
        ("hidden_size", 512.0),
        ("hidden_size", True),
        ("hidden_size", None),
        ("tie_embeddings", 1),
        ("dropout", "0.1"),
        ("dropout", False),
        ("cell", 3),
    ],
)
def test_a_field_that_is_unknown_or_of_the_wrong_type_is_an_error_that_names_it(
    name: str, value: object
) -> None:
    with pytest.raises(TrainingError, match=f"'{name}'"):
        ModelConfig.from_dict({"vocabulary_size": 100, name: value})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "lstm, 2 × 16, embedding 8"),
        (
            {"cell": "gru", "residual": True, "transition_depth": 3},
            "gru, 2 × 16, residual, transition depth 3, embedding 8",
        ),
        ({"cell": "output", "condition": "input"}, "output, 2 × 16, condition input, embedding 8"),
    ],
)
def test_a_config_says_in_a_line_what_it_is(changes: dict[str, Any], said: str) -> None:
    config = ModelConfig(vocabulary_size=9, embedding_size=8, hidden_size=16, num_layers=2)
    assert dataclasses.replace(config, **changes).described() == said


def test_a_cell_that_carries_nothing_forgets_what_it_read_before_a_poem() -> None:
    forgetful = ModelConfig("output", 9)
    assert forgetful.forgets_context
    assert not dataclasses.replace(forgetful, condition="input").forgets_context
    assert not dataclasses.replace(forgetful, cell="mingru").forgets_context


def test_a_whole_number_will_do_for_a_share() -> None:
    assert ModelConfig.from_dict({"vocabulary_size": 100, "dropout": 0}).dropout == 0


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("lstm", 4), ("gru", 3)])
def test_the_parameter_count_is_that_of_the_formula(cell: str, gates: int) -> None:
    V, E, H = 100, 8, 16
    config = ModelConfig(cell, V, E, H, num_layers=2, tie_embeddings=False)
    layers = gates * H * (E + H + 2) + gates * H * (H + H + 2)
    assert config.parameter_count() == V * E + layers + V * H + V


def test_a_tied_output_has_no_matrix_and_a_projection_only_where_widths_differ() -> None:
    same = ModelConfig(vocabulary_size=100, embedding_size=16, hidden_size=16).parameter_shapes()
    other = ModelConfig(vocabulary_size=100, embedding_size=8, hidden_size=16).parameter_shapes()
    assert "output.weight" not in same
    assert "projection.weight" not in same
    assert other["projection.weight"] == (8, 16)
    assert "output.weight" not in other
