import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poetgen.checkpoint import load_checkpoint, save_weights, write_description
from poetgen.corpus.store import open_corpus
from poetgen.dataset.encoded import encode_corpus
from poetgen.dataset.vocabulary import Vocabulary
from poetgen.models.config import ModelConfig
from tests.conftest import RunCli

QUATRAINS = [
    "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。",
    "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。",
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。",
]


def _write_model(folder: Path, vocabulary: Vocabulary, **corpus: Any) -> Path:
    """A network that gives every token the same probability."""
    config = ModelConfig(
        cell="gru", vocabulary_size=len(vocabulary), embedding_size=4, hidden_size=4
    )
    write_description(
        folder,
        model=config,
        tokenizer="char",
        script="simplified",
        vocabulary=vocabulary,
        corpus={"name": "lost", "content_hash": "", "licence": "CC0", "poems": 0, **corpus},
        training={},
    )
    arrays = {name: np.zeros(shape) for name, shape in config.parameter_shapes().items()}
    save_weights(folder, {name: array.astype(np.float32) for name, array in arrays.items()}, {})
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An untrained model of the sample corpus."""
    source = open_corpus("sample")
    vocabulary = encode_corpus(source).vocabulary
    return _write_model(
        tmp_path / "even", vocabulary, name="sample", content_hash=source.content_hash
    )


def _figures(run_cli: RunCli, *arguments: str) -> dict[str, Any]:
    result = run_cli("evaluate", *arguments, "--json")
    assert result.returncode == 0, result.stderr
    (line,) = result.stdout.splitlines()
    record = json.loads(line)
    assert isinstance(record, dict)
    return record


def test_an_even_model_has_the_perplexity_that_follows_from_its_vocabulary(
    run_cli: RunCli, model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "poems.txt"
    file.write_text("\n".join(QUATRAINS), encoding="utf-8")
    record = _figures(run_cli, str(model), "--corpus", str(file))
    vocabulary = load_checkpoint(model).vocabulary
    unknown = sum(
        character not in vocabulary
        for poem in QUATRAINS
        for character in poem
        if character not in "，。"
    )
    nats = 3 * 25 * math.log(len(vocabulary)) + unknown * math.log(30_000)
    assert record["nats"] == pytest.approx(nats, rel=1e-6)
    assert (record["characters"], record["tokens"], record["poems"]) == (60, 75, 3)
    assert record["unknown_characters"] == unknown > 0
    assert record["perplexity_per_character"] == pytest.approx(math.exp(nats / 60), rel=1e-6)
    assert record["split"] == "all"
    assert list(record["by_form"]) == ["五绝"]
    assert record["by_form"]["五绝"]["nats"] == record["nats"]
    assert record["dropped"] == {}
    assert "writing" not in record


def test_the_default_is_the_test_part_of_the_models_own_corpus(
    run_cli: RunCli, model: Path
) -> None:
    record = _figures(run_cli, str(model))
    assert (record["corpus"], record["split"]) == ("sample", "test")
    parts = encode_corpus(open_corpus("sample"))
    assert record["poems"] == len(parts.split("test")) < len(parts.split("train"))
    assert record["tokens"] == parts.split("test").real_tokens


def test_a_poem_that_is_twice_in_a_file_counts_twice(
    run_cli: RunCli, model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "poems.txt"
    file.write_text("\n".join(QUATRAINS[:1] * 3 + QUATRAINS), encoding="utf-8")
    assert _figures(run_cli, str(model), "--corpus", str(file))["poems"] == 6


def test_traditional_text_measures_as_its_simplified_twin(
    run_cli: RunCli, model: Path, tmp_path: Path
) -> None:
    for name, poem in (
        ("s.txt", QUATRAINS[0]),
        ("t.txt", "春眠不覺曉，處處聞啼鳥。夜來風雨聲，花落知多少。"),
    ):
        (tmp_path / name).write_text(poem + "\n", encoding="utf-8")
    first, second = (
        _figures(run_cli, str(model), "--corpus", str(tmp_path / name))
        for name in ("s.txt", "t.txt")
    )
    assert first["nats"] == second["nats"]


def test_what_cannot_be_read_is_counted_and_said(
    run_cli: RunCli, model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "poems.txt"
    lines = [*QUATRAINS * 7, "床前□月光，疑是地上霜。举头望明月，低头思故乡。", "hello, world."]
    file.write_text("\n".join(lines), encoding="utf-8")
    result = run_cli("evaluate", str(model), "--corpus", str(file), "--json")
    assert result.returncode == 0
    record = json.loads(result.stdout)
    assert record["poems"] == 21
    assert sum(record["dropped"].values()) == 2
    assert "2 of 23 poems are not counted" in result.stderr


def test_one_fragment_does_not_make_one_poem_of_a_whole_file(
    run_cli: RunCli, model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "poems.txt"
    file.write_text("\n".join([*QUATRAINS * 7, "春眠不觉晓，"]), encoding="utf-8")
    record = _figures(run_cli, str(model), "--corpus", str(file))
    assert record["poems"] == 21
    assert sum(record["dropped"].values()) == 1


def test_written_poems_are_measured_against_the_training_corpus(
    run_cli: RunCli, model: Path
) -> None:
    writing = _figures(run_cli, str(model), "--poems", "5")["writing"]
    assert writing["poems"] == 5
    assert (writing["head_exactness"], writing["form_exactness"]) == (1.0, 1.0)
    assert 0 < writing["distinct_1"] <= writing["distinct_2"] <= 1
    assert writing["repeated_lines"] == 0
    assert writing["longest_copied_run"] == len(writing["copied_run"]) > 0


def test_a_missing_training_corpus_leaves_the_copied_run_unknown_and_says_so(
    run_cli: RunCli, tmp_path: Path
) -> None:
    model = _write_model(tmp_path / "m", encode_corpus(open_corpus("sample")).vocabulary)
    result = run_cli("evaluate", str(model), "--corpus", "sample", "--poems", "2", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["writing"]["longest_copied_run"] is None
    assert "no longest copied run: there is no corpus or file 'lost'" in result.stderr


def test_a_corpus_that_changed_since_training_is_said_and_not_compared_with(
    run_cli: RunCli, tmp_path: Path
) -> None:
    vocabulary = encode_corpus(open_corpus("sample")).vocabulary
    model = _write_model(tmp_path / "m", vocabulary, name="sample", content_hash="another")
    result = run_cli("evaluate", str(model), "--poems", "2", "--json")
    assert result.returncode == 0, result.stderr
    assert "sample has changed since m was trained on it" in result.stderr
    assert json.loads(result.stdout)["writing"]["longest_copied_run"] is None


def test_without_its_own_corpus_a_model_asks_for_another(run_cli: RunCli, tmp_path: Path) -> None:
    model = _write_model(tmp_path / "m", encode_corpus(open_corpus("sample")).vocabulary)
    result = run_cli("evaluate", str(model))
    assert result.returncode == 1
    assert "the corpus that m was trained on is not here" in result.stderr
    assert "--corpus" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("width", ["40", "100"])
def test_people_get_a_table_by_form(run_cli: RunCli, model: Path, width: str) -> None:
    result = run_cli("evaluate", str(model), "--poems", "2", env={"COLUMNS": width})
    assert result.returncode == 0, result.stderr
    assert "五绝" in result.stdout
    assert "七绝" in result.stdout
    assert "distinct-2" in result.stdout
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["no-such-model"], 1, "no-such-model"),
        (["{model}", "--corpus", "no-such-corpus"], 1, "no-such-corpus"),
        (["{model}", "--device", "tpu"], 1, "--device is 'tpu'"),
        (["{model}", "--split", "half"], 2, "half"),
        (["{model}", "--poems", "-1"], 2, "--poems"),
    ],
)
def test_a_wrong_request_is_one_clear_error(
    run_cli: RunCli, model: Path, arguments: list[str], status: int, message: str
) -> None:
    result = run_cli("evaluate", *(argument.format(model=model) for argument in arguments))
    assert result.returncode == status
    assert message in result.stderr
    assert "Traceback" not in result.stderr
