"""What a run was asked to do, and what a resumed run may ask anew."""

import json
from pathlib import Path
from typing import Any

import pytest

from poetgen.errors import TrainingError
from poetgen.training.recipe import Recipe


def begun(**given: Any) -> Recipe:
    return Recipe.of_flags("sample", "tiny", {"hidden_size": 32, "steps": 10, **given})


def test_what_is_asked_for_goes_before_the_preset() -> None:
    recipe = Recipe.of_flags("sample", "small", {"hidden_size": 32, "steps": 10})
    assert recipe.model["hidden_size"] == 32
    assert recipe.model["embedding_size"] == 384
    assert (recipe.training.steps, recipe.training.minutes) == (10, None)


def test_a_preset_gives_each_cell_the_learning_rate_that_it_bears() -> None:
    rates = {
        cell: Recipe.of_flags("sample", "small", {"cell": cell}).training.learning_rate
        for cell in ("rnn", "lstm", "gru")
    }
    assert rates["lstm"] == rates["gru"] == 3e-3
    assert rates["rnn"] == pytest.approx(1e-3)
    asked = Recipe.of_flags("sample", "small", {"cell": "rnn", "learning_rate": 0.5})
    assert asked.training.learning_rate == 0.5


def test_a_run_of_another_cell_goes_on_with_its_preset(tmp_path: Path) -> None:
    run = Recipe.of_flags("sample", "small", {"cell": "rnn"})
    assert run.resumed_with(tmp_path, "sample", "small", {"cell": "rnn"}) == run


def test_two_budgets_are_refused() -> None:
    with pytest.raises(TrainingError, match="--steps and --epochs"):
        begun(epochs=3)


def test_a_recipe_goes_to_disk_and_back(tmp_path: Path) -> None:
    assert Recipe.load(tmp_path) is None
    recipe = begun(forms=("七绝",))
    recipe.save(tmp_path)
    assert Recipe.load(tmp_path) == recipe


def test_a_damaged_recipe_is_one_clear_error(tmp_path: Path) -> None:
    begun().save(tmp_path)
    path = tmp_path / "training_state" / "recipe.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(TrainingError, match=r"recipe\.json is damaged"):
        Recipe.load(tmp_path)


def test_a_recipe_that_is_older_than_an_option_goes_on_without_it(tmp_path: Path) -> None:
    begun().save(tmp_path)
    path = tmp_path / "training_state" / "recipe.json"
    record = json.loads(path.read_text())
    for name in ("bptt", "teacher_forcing", "teacher_forcing_end", "clip_value"):
        del record["training"][name]
    path.write_text(json.dumps(record))
    assert Recipe.load(tmp_path) == begun()


def test_a_run_goes_on_with_no_flag_at_all() -> None:
    assert begun().resumed_with(Path("out"), None, None, {}) == begun()


def test_a_run_goes_on_with_the_command_that_began_it() -> None:
    given = {"hidden_size": 32, "steps": 10}
    assert begun().resumed_with(Path("out"), "sample", "tiny", given) == begun()


def test_the_budget_may_grow_and_change_its_kind() -> None:
    assert begun().resumed_with(Path("out"), None, None, {"steps": 20}).training.steps == 20
    training = begun().resumed_with(Path("out"), None, None, {"minutes": 2.0}).training
    assert (training.steps, training.minutes) == (None, 2.0)
    # The preset's own budget is no wish: the run was given another.
    assert begun().resumed_with(Path("out"), None, "tiny", {"hidden_size": 32}) == begun()


def test_what_does_not_decide_the_outcome_may_change() -> None:
    changes = {"device": "cpu", "threads": 1, "patience": 0, "snapshot_every": 7}
    training = begun().resumed_with(Path("out"), None, None, changes).training
    assert all(getattr(training, name) == value for name, value in changes.items())


@pytest.mark.parametrize(
    ("flag", "change"),
    [
        ("--cell", {"cell": "gru"}),
        ("--hidden-size", {"hidden_size": 64}),
        ("--learning-rate", {"learning_rate": 1.0}),
        ("--form", {"forms": ("五绝",)}),
        ("--min-count", {"min_count": 9}),
        ("--seed", {"seed": 3}),
        ("--bptt", {"bptt": 16}),
        ("--teacher-forcing", {"teacher_forcing": "linear"}),
        ("--clip-value", {"clip_value": 0.5}),
        ("--tie-embeddings", {"tie_embeddings": False}),
    ],
)
def test_another_recipe_is_refused_by_the_flag(flag: str, change: dict[str, Any]) -> None:
    with pytest.raises(TrainingError) as caught:
        begun().resumed_with(Path("out"), None, None, change)
    assert caught.value.message.startswith(flag)
    assert "\n" not in caught.value.message


def test_another_preset_is_refused() -> None:
    with pytest.raises(TrainingError, match="began with"):
        begun().resumed_with(Path("out"), None, "base", {})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stop": "length", "tokenizer": "word"}, "--stop length .* --tokenizer word"),
        ({"stop": "length", "bptt": 16}, "--bptt 16 .* --stop length"),
        ({"condition": "input", "bptt": 16}, "--bptt 16 .* --condition input"),
        ({"condition": "state", "cell": "output"}, "--condition state .* --cell output"),
    ],
)
def test_a_network_that_cannot_be_trained_so_is_refused_by_both_flags(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        begun(**given)
