import json
from pathlib import Path
from typing import Any

import pytest

from poetgen.errors import TemplateError, TrainingError
from poetgen.lab.terms import RECORD, Terms, fit_hidden_size, read_terms, refuse_other
from poetgen.models.cells import CELLS
from poetgen.models.config import ModelConfig

V, E = 300, 24


def _count(fields: dict[str, Any], hidden_size: int) -> int:
    return ModelConfig(vocabulary_size=V, hidden_size=hidden_size, **fields).parameter_count()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("parameters", [9_000, 15_000, 30_000])
def test_no_other_hidden_size_comes_nearer_to_the_target(
    cell: str, num_layers: int, parameters: int
) -> None:
    """15,000 is where a network as wide as its tokens' vectors needs no projection."""
    fields = {"cell": cell, "embedding_size": E, "num_layers": num_layers}
    found = fit_hidden_size(fields, V, parameters)
    best = min(abs(_count(fields, H) - parameters) for H in range(1, 700))
    assert abs(_count(fields, found) - parameters) == best


@pytest.mark.parametrize("parameters", [V * E, 10**13])
def test_a_target_out_of_reach_is_one_clear_error(parameters: int) -> None:
    with pytest.raises(TrainingError, match="--parameters is"):
        fit_hidden_size({"cell": "gru", "embedding_size": E}, V, parameters)


def test_all_get_the_same_recipe_but_for_the_rate_that_a_cell_bears() -> None:
    terms = Terms(steps=10, forms=("五绝",), seed=3)
    lstm, rnn = (terms.recipe(name, 8) for name in ("lstm", "rnn:relu:identity"))
    assert lstm.training.steps == 10
    assert lstm.training.forms == ("五绝",)
    assert lstm.training.patience == 0
    assert rnn.model["nonlinearity"] == "relu"
    assert rnn.model["recurrent_init"] == "identity"
    assert terms.recipe("lstm:forget3", 8).model["forget_bias"] == 3
    share = CELLS["rnn"].learning_rate_share
    assert rnn.training.learning_rate == pytest.approx(share * lstm.training.learning_rate)


def test_a_budget_of_time_is_validated_often_enough_to_see_who_overtakes_whom() -> None:
    assert Terms(minutes=2).recipe("lstm", 8).training.validate_every == 50
    assert Terms(minutes=0.1).recipe("lstm", 8).training.validate_every == 10
    assert Terms(minutes=2, validate_every=7).recipe("lstm", 8).training.validate_every == 7
    assert Terms(steps=40).recipe("lstm", 8).training.validate_every == 0


def test_a_network_that_cannot_take_part_is_one_clear_error() -> None:
    for name in ("qrnn", "rnn:x2", "lstm:relu"):
        with pytest.raises(TrainingError):
            Terms(steps=1).recipe(name, 8)


def test_the_acrostics_have_the_first_form_that_is_learned_and_fits_the_heads() -> None:
    assert Terms().form() == "五绝"
    assert Terms(forms=("七绝",)).form() == "七绝"
    assert Terms(forms=("七律",)).form() == "五绝"
    assert Terms(heads="春夏秋冬风花雪月", forms=("七律",)).form() == "七律"
    assert Terms(heads="平安喜乐呀").form() == "free"
    with pytest.raises(TemplateError):
        Terms(heads="abcd").form()


def _record(folder: Path, terms: dict[str, Any]) -> None:
    folder.mkdir()
    (folder / RECORD).write_text(json.dumps({"terms": terms, "cells": []}), encoding="utf-8")


def test_terms_are_read_as_they_were_and_none_where_there_are_none(tmp_path: Path) -> None:
    assert read_terms(tmp_path / "none") is None
    _record(tmp_path / "some", {"cells": ["gru"], "forms": ["五绝"], "steps": 3})
    assert read_terms(tmp_path / "some") == Terms(cells=("gru",), forms=("五绝",), steps=3)
    _record(tmp_path / "bad", {"cells": ["gru"], "forms": ["五绝"], "speed": 3})
    with pytest.raises(TrainingError, match="damaged"):
        read_terms(tmp_path / "bad")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    _record(tmp_path / "some", {"cells": ["gru"], "forms": [], "steps": 3})
    before = Terms(cells=("gru",), steps=3)
    refuse_other(tmp_path / "none", before, resume=False)
    refuse_other(tmp_path / "some", Terms(cells=("rnn",), steps=30), resume=True)
    with pytest.raises(TrainingError, match="has a comparison"):
        refuse_other(tmp_path / "some", before, resume=False)
    with pytest.raises(TrainingError, match="not an empty folder"):
        refuse_other(tmp_path, before, resume=True)
    with pytest.raises(TrainingError, match="--form is not as it was"):
        refuse_other(tmp_path / "some", Terms(forms=("五绝",)), resume=True)
    with pytest.raises(TrainingError, match="--seed is not as it was"):
        refuse_other(tmp_path / "some", Terms(seed=1), resume=True)
