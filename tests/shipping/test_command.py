import shlex
from typing import Any

import pytest
from click.testing import CliRunner

from poetgen.cli.train import train
from poetgen.models.config import ModelConfig
from poetgen.shipping.command import training_command
from poetgen.training.recipe import Recipe


def described(corpus: str, preset: str, **given: Any) -> dict[str, Any]:
    """config.json of a run, as far as it matters here, and what it was asked for."""
    recipe = Recipe.of_flags(corpus, preset, given)
    return {
        "model": ModelConfig(vocabulary_size=100, **recipe.model).to_dict(),
        "corpus": {"name": corpus},
        "training": recipe.training.to_dict(),
    }


@pytest.mark.parametrize(
    ("preset", "given"),
    [
        ("tiny", {}),
        ("small", {"cell": "gru", "minutes": 55.5, "forms": ("五绝", "七律")}),
        ("small", {"epochs": 3, "tie_embeddings": False, "threads": 1, "device": "cpu"}),
        ("base", {"cell": "rnn", "hidden_size": 100, "nonlinearity": "relu", "min_count": 3}),
        ("small", {"architecture": "seq2seq"}),
        ("small", {"architecture": "seq2seq", "bidirectional": False}),
        ("small", {"steps": 10, "learning_rate": 0.00123, "dropout": 0.0, "seed": 7}),
    ],
)
def test_the_command_asks_for_what_was_asked_for(
    preset: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = described("my poems", preset, **given)
    words = shlex.split(training_command(config))
    assert words[:4] == ["poetgen", "train", "--corpus", "my poems"]
    assert "--threads" not in words
    asked: list[Recipe] = []

    def remember(recipe: Recipe) -> None:
        asked.append(recipe)
        raise KeyboardInterrupt

    monkeypatch.setattr("poetgen.cli.train._encode", remember)
    CliRunner().invoke(train, words[2:])
    (recipe,) = asked
    training = {**recipe.training.to_dict(), "threads": 0, "device": "auto"}
    assert training == {**config["training"], "threads": 0, "device": "auto"}
    assert ModelConfig(vocabulary_size=100, **recipe.model).to_dict() == config["model"]


def test_a_recipe_that_cannot_be_read_gives_no_command() -> None:
    config = described("poems", "tiny")
    assert training_command({**config, "training": {"steps": 5, "magic": True}}) == ""
    assert training_command({**config, "training": {}}) == ""
