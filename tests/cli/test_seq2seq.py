"""The encoder-decoder through the real command: it trains, resumes, is measured, and writes."""

import json
from pathlib import Path

from poetgen.checkpoint import load_checkpoint
from tests.conftest import RunCli

TRAIN = (
    *("train", "-q", "--output", "run", "--preset", "tiny", "--architecture", "seq2seq"),
    *("--hidden-size", "16", "--embedding-size", "12", "--device", "cpu"),
)


def test_it_trains_resumes_is_measured_and_writes_acrostics(
    run_cli: RunCli, tmp_path: Path
) -> None:
    result = run_cli(*TRAIN, "--steps", "3")
    assert result.returncode == 0, result.stderr
    result = run_cli("train", "-q", "--output", "run", "--resume", "--steps", "5", "--json")
    assert json.loads(result.stdout)["steps"] == 5

    checkpoint = load_checkpoint(tmp_path / "run")
    ends = checkpoint.model.line_ends
    assert {checkpoint.vocabulary.tokens[i] for i in ends} >= {"，", "。"}
    assert checkpoint.model.bidirectional

    result = run_cli("evaluate", "run", "--split", "validation", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["perplexity"]["characters"] > 0

    result = run_cli("acrostic", "春江花月", "--model", "run", "--form", "七绝", "--json")
    assert result.returncode == 0, result.stderr
    lines = json.loads(result.stdout)["lines"]
    assert [line[0] for line in lines] == [*"春江花月"]
    assert [len(line) for line in lines] == [7] * 4


def test_asking_a_language_model_to_read_backwards_is_one_clear_error(run_cli: RunCli) -> None:
    result = run_cli("train", "--bidirectional")
    assert (result.returncode, result.stdout) == (1, "")
    assert "--bidirectional does not go with --architecture lm" in result.stderr
    assert "what it is to predict" in result.stderr
