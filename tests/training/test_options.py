"""The recipe of a run: its ranges, its budget, its learning rate."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.errors import TrainingError
from poetgen.models.cells import CELLS
from poetgen.models.config import ModelConfig
from poetgen.training.options import PRESETS, TrainingOptions, preset_named


@pytest.mark.parametrize(
    ("flag", "values"),
    [
        ("--steps", {"steps": 0}),
        ("--minutes", {"minutes": float("nan")}),
        ("--token-budget", {"steps": 1, "token_budget": 0}),
        ("--learning-rate", {"steps": 1, "learning_rate": -1.0}),
        ("--clip-norm", {"steps": 1, "clip_norm": -1.0}),
        ("--weight-decay", {"steps": 1, "weight_decay": -0.1}),
        ("--max-length", {"steps": 1, "max_length": 1}),
        ("--patience", {"steps": 1, "patience": -1}),
        ("--label-smoothing", {"steps": 1, "label_smoothing": 1.0}),
        ("--average", {"steps": 1, "average": float("nan")}),
        ("--clip-value", {"steps": 1, "clip_value": -0.5}),
        ("--bptt", {"steps": 1, "bptt": -1}),
        ("--teacher-forcing is 'always'", {"steps": 1, "teacher_forcing": "always"}),
        ("--teacher-forcing-end", {"steps": 1, "teacher_forcing_end": 1.5}),
    ],
)
def test_a_value_out_of_range_names_its_flag(flag: str, values: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=flag):
        TrainingOptions(**values)


def test_exactly_one_budget_is_given() -> None:
    with pytest.raises(TrainingError, match="no budget"):
        TrainingOptions()
    with pytest.raises(TrainingError, match="--steps and --minutes"):
        TrainingOptions(steps=3, minutes=1)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_preset_fits_every_cell(name: str, cell: str) -> None:
    preset = preset_named(name)
    ModelConfig(cell=cell, vocabulary_size=9, **preset.model)
    TrainingOptions(**preset.training)


def test_an_unknown_preset_lists_those_there_are() -> None:
    with pytest.raises(TrainingError) as caught:
        preset_named("huge")
    assert "tiny, small, base" in caught.value.hint


def test_options_go_to_json_and_back() -> None:
    options = TrainingOptions(epochs=2, forms=("七绝", "五绝"))
    assert TrainingOptions.from_dict(options.to_dict()) == options


def test_each_budget_has_its_share() -> None:
    assert TrainingOptions(steps=10).share(5, 99.0, epoch_steps=3) == 0.5
    assert TrainingOptions(epochs=2).share(3, 99.0, epoch_steps=3) == 0.5
    assert TrainingOptions(minutes=1).share(3, 45.0, epoch_steps=3) == 0.75
    assert TrainingOptions(steps=10).share(11, 0.0, epoch_steps=3) == 1.0


@given(st.integers(1, 3000), st.integers(0, 500))
@settings(deadline=None, max_examples=50)
def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing(total: int, warmup: int) -> None:
    options = TrainingOptions(steps=total, warmup_steps=warmup, learning_rate=1.0)
    rates = [options.learning_rate_at(step, step / total) for step in range(total)]
    top = max(range(total), key=rates.__getitem__)
    assert all(0 < rate <= 1.0 for rate in rates)
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert top <= 0.1 * total + 1
    if total > 100:
        assert rates[top] > 0.9
        assert rates[-1] < 0.001
