"""`poetgen write`, and what ends a poem and tells it its theme, through the real commands."""

import json
from pathlib import Path

from tests.cli.random_model import write_random_model
from tests.conftest import RunCli

TINY = ("--preset", "tiny", "--hidden-size", "12", "--embedding-size", "8", "--threads", "1")


def test_a_poem_of_whatever_form_is_the_same_for_the_same_seed(
    run_cli: RunCli, tmp_path: Path
) -> None:
    model = str(write_random_model(tmp_path / "model"))
    once, again, other = (run_cli("write", "--model", model, "--seed", seed) for seed in "778")
    assert once.returncode == 0, once.stderr
    assert once.stdout == again.stdout != other.stdout
    result = run_cli("write", "--model", model, "--seed", "7", "-n", "3", "--json")
    poems = [json.loads(line) for line in result.stdout.splitlines()]
    assert [poem["seed"] for poem in poems] == [7, 8, 9]
    assert poems[0]["lines"][0] in once.stdout
    assert {"form", "lines", "text", "ended", "seed", "model"} == set(poems[0])


def test_a_model_that_was_told_nothing_cannot_be_told_a_theme(
    run_cli: RunCli, tmp_path: Path
) -> None:
    model = str(write_random_model(tmp_path / "model"))
    result = run_cli("write", "--model", model, "--theme", "秋思")
    assert result.returncode == 1
    assert result.stderr.startswith("error: --theme 秋思")


def test_a_model_trains_resumes_evaluates_packs_and_writes(run_cli: RunCli) -> None:
    flags = ("--stop", "length", "--condition", "both", "--output-depth", "2")
    begun = (*TINY, "-q", "--output", "run", *flags, "--teacher-forcing", "linear")
    assert run_cli("train", *begun, "--steps", "2", "--seed", "1").returncode == 0
    resumed = run_cli("train", "-q", "--output", "run", "--resume", "--steps", "4", "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["steps"] == 4

    wishes = ("--context", "given", "--free-poems", "3", "--json", "-q")
    measured = run_cli("evaluate", "run", *wishes)
    assert measured.returncode == 0, measured.stderr
    record = json.loads(measured.stdout)
    assert 1 < record["perplexity_per_character"] < 1e5
    assert record["free"]["poems"] == 3
    assert record["free"]["mean_length"] <= 200

    asked = ("--theme", "秋思", "--style", "tang", "--seed", "3", "--particles", "4")
    packed = run_cli("models", "pack", "run", "--output", "small")
    assert packed.returncode == 0, packed.stderr
    written = run_cli("acrostic", "春夏秋冬", *asked, "--model", "small")
    assert written.returncode == 0, written.stderr
    assert [line[0] for line in written.stdout.splitlines()] == list("春夏秋冬")
