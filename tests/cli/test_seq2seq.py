"""The encoder-decoder through the real command: it trains, resumes, is measured, and writes."""

import json
from pathlib import Path

from poetgen.checkpoint import load_checkpoint
from tests.cli.random_model import write_random_model
from tests.conftest import RunCli

SLOW = 110  # Seconds, where others want the processor too.


def test_it_trains_and_goes_on(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli(
        *("train", "-q", "--output", "run", "--preset", "tiny", "--architecture", "seq2seq"),
        *("--hidden-size", "16", "--embedding-size", "12", "--device", "cpu", "--steps", "3"),
        timeout=SLOW,
    )
    assert result.returncode == 0, result.stderr
    result = run_cli(
        "train", "-q", "--output", "run", "--resume", "--steps", "4", "--json", timeout=SLOW
    )
    assert json.loads(result.stdout)["steps"] == 4

    checkpoint = load_checkpoint(tmp_path / "run")
    ends = checkpoint.model.line_ends
    assert {checkpoint.vocabulary.tokens[i] for i in ends} >= {"，", "。"}
    assert checkpoint.model.bidirectional


def test_it_writes_acrostics_that_keep_the_rules(run_cli: RunCli, tmp_path: Path) -> None:
    model = write_random_model(tmp_path / "model", architecture="seq2seq")
    result = run_cli(
        *("acrostic", "春江花月", "--model", str(model), "--form", "五绝", "--json"),
        *("--rhyme-book", "pingshui", "--seed", "1"),
        timeout=SLOW,
    )
    assert result.returncode == 0, result.stderr
    poem = json.loads(result.stdout)
    assert [line[0] for line in poem["lines"]] == [*"春江花月"]
    assert [len(line) for line in poem["lines"]] == [5] * 4
    assert poem["faults"] == []


def test_it_is_measured_as_other_models_are(run_cli: RunCli, tmp_path: Path) -> None:
    model = write_random_model(tmp_path / "model", architecture="seq2seq")
    result = run_cli(
        "evaluate", str(model), "--corpus", "sample", "--poems", "0", "--json", timeout=SLOW
    )
    assert result.returncode == 0, result.stderr
    record = json.loads(result.stdout)
    assert record["nats"] > record["characters"] > 0


def test_asking_a_language_model_to_read_backwards_is_one_clear_error(run_cli: RunCli) -> None:
    result = run_cli("train", "--bidirectional")
    assert (result.returncode, result.stdout) == (1, "")
    assert "--bidirectional does not go with --architecture lm" in result.stderr
    assert "what it is to predict" in result.stderr
