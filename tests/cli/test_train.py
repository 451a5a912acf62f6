"""`poetgen train` as its users meet it."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from poetgen.checkpoint import load_checkpoint
from poetgen.cli.train import train
from tests.conftest import RunCli

TINY = ("--preset", "tiny", "--hidden-size", "16", "--embedding-size", "16", "--threads", "1")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def start(*arguments: str, cwd: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "poetgen", "train", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def wait_for_steps(folder: Path, steps: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    log = folder / "metrics.jsonl"
    while not log.exists() or log.read_bytes().count(b"\n") < steps:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_first_model_is_trained_from_the_sample(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("train", *TINY, "--cell", "gru", "--steps", "10", "--validate-every", "5")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == str(Path("checkpoints", "gru-sample"))
    assert "10 steps" in lines[1]
    checkpoint = load_checkpoint(tmp_path / "checkpoints" / "gru-sample")
    assert checkpoint.model.cell == "gru"
    # Where nobody watches, a line and a poem for each validation and no more.
    assert result.stderr.count("perplexity") == 2
    assert "step 10/10" in result.stderr
    poems = [line for line in result.stderr.splitlines() if line.startswith("春")]
    assert len(poems) == 2
    assert "\x1b" not in result.stderr


def test_quiet_json_gives_one_object_and_a_plot_no_word_more(
    run_cli: RunCli, tmp_path: Path
) -> None:
    wishes = ("--quiet", "--json", "--plot", "--output", "run")
    result = run_cli("train", *TINY, "--steps", "3", *wishes)
    assert (result.returncode, result.stderr) == (0, "")
    record = json.loads(result.stdout)
    assert record["checkpoint"] == "run"
    assert record["steps"] == 3
    assert record["finished"] is True
    assert record["validation_perplexity"] > 1
    assert (tmp_path / "run" / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_killed_outright_is_resumed_with_the_same_losses(
    run_cli: RunCli, tmp_path: Path
) -> None:
    options = (*TINY, "--steps", "80", "--quiet", "--snapshot-every", "5", "--patience", "0")
    assert run_cli("train", *options, "--output", "whole").returncode == 0
    process = start(*options, "--output", "parts", cwd=tmp_path)
    wait_for_steps(tmp_path / "parts", 12, process)
    process.kill()
    process.communicate()
    assert 12 <= len(log_of(tmp_path / "parts")) < 80
    result = run_cli("train", "--output", "parts", "--resume")
    assert result.returncode == 0, result.stderr
    assert "going on after step" in result.stderr
    one, two = log_of(tmp_path / "whole"), log_of(tmp_path / "parts")
    assert [line["loss"].hex() for line in one] == [line["loss"].hex() for line in two]

    again = run_cli("train", "--output", "parts", "--resume")
    assert again.returncode == 0
    assert "finished already" in again.stderr


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_the_run_after_its_step(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    process = start(*TINY, "--steps", "100000", "--output", "run", "--patience", "0", cwd=tmp_path)
    wait_for_steps(tmp_path / "run", 5, process)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == status
    assert "--output run --resume" in stderr
    assert "Traceback" not in stderr
    assert (tmp_path / "run" / "training_state" / "last.safetensors").exists()
    assert f"{log_of(tmp_path / 'run')[-1]['step']:,} steps" in stdout


def test_a_second_trainer_is_refused_while_the_first_lives(run_cli: RunCli, tmp_path: Path) -> None:
    process = start(*TINY, "--steps", "100000", "--output", "run", "--patience", "0", cwd=tmp_path)
    wait_for_steps(tmp_path / "run", 1, process)
    result = run_cli("train", "--output", "run", "--resume")
    assert result.returncode == 1
    assert "another process is training in run" in result.stderr
    process.kill()
    process.communicate()


def test_the_help_has_every_option_in_a_part(run_cli: RunCli) -> None:
    text = run_cli("train", "--help").stdout
    headings = [line for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings[0] == "Options:"
    assert "The network:" in headings
    for option in train.params:
        assert re.search(rf"^  .*{option.opts[0]}\b", text, re.MULTILINE)
    assert text.index("The network:") < text.index("--weight-drop") < text.index("The steps:")


def test_a_run_is_resumed_with_all_that_it_was_regularised_with(
    run_cli: RunCli, tmp_path: Path
) -> None:
    shares = ("--weight-drop", "0.2", "--embedding-dropout", "0.1", "--label-smoothing", "0.1")
    begun = (*TINY, "-q", "--output", "run", "--average", "0.9", *shares)
    assert run_cli("train", *begun, "--steps", "2").returncode == 0
    result = run_cli("train", "-q", "--output", "run", "--resume", "--steps", "4")
    assert (result.returncode, len(log_of(tmp_path / "run"))) == (0, 4)
    checkpoint = load_checkpoint(tmp_path / "run")
    assert (checkpoint.model.weight_drop, checkpoint.model.embedding_dropout) == (0.2, 0.1)
    training = checkpoint.config["training"]
    assert (training["label_smoothing"], training["average"]) == (0.1, 0.9)
    result = run_cli("train", "--output", "run", "--resume", "--average", "0.99")
    assert result.stderr.startswith("error: --average is 0.99")


def test_a_run_over_a_stream_that_feeds_back_is_resumed_with_its_options(
    run_cli: RunCli, tmp_path: Path
) -> None:
    forcing = ("--teacher-forcing", "inverse-sigmoid", "--teacher-forcing-end", "0.2")
    options = (*TINY, *forcing, "--bptt", "8", "--clip-value", "0.01", "--clip-norm", "0")
    begun = run_cli("train", *options, "--steps", "3", "--quiet", "--output", "run", "--json")
    assert begun.returncode == 0, begun.stderr
    assert (
        json.loads(begun.stdout)["clipped_share"] == log_of(tmp_path / "run")[-1]["clipped_share"]
    )
    result = run_cli("train", "--output", "run", "--resume", "--steps", "6", "--quiet")
    assert result.returncode == 0, result.stderr
    log = log_of(tmp_path / "run")
    assert len(log) == 6
    assert f"{log[-1]['clipped_share']:.0%} of steps clipped" in result.stdout
    assert log[-1]["teacher_forcing"] < 1
    training = load_checkpoint(tmp_path / "run").config["training"]
    assert (training["bptt"], training["teacher_forcing_end"]) == (8, 0.2)


def test_a_changed_recipe_is_refused_by_its_flag(run_cli: RunCli) -> None:
    assert run_cli("train", *TINY, "--steps", "2", "-q", "--output", "run").returncode == 0
    result = run_cli("train", "--output", "run", "--resume", "--hidden-size", "32")
    assert result.returncode == 1
    assert result.stderr.startswith("error: --hidden-size is 32")
    assert "hint: " in result.stderr
    result = run_cli("train", *TINY, "--steps", "2", "--output", "run")
    assert result.returncode == 1
    assert "--resume" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--steps", "2", "--minutes", "1"), "--steps and --minutes"),
        (("--device", "toaster"), "--device is 'toaster'"),
        (("--corpus", "nowhere.txt"), "nowhere.txt"),
        (("--form", "limerick"), "limerick"),
        (("--dropout", "1"), "--dropout"),
        (("--average", "1"), "--average"),
        (("--teacher-forcing-end", "2"), "--teacher-forcing-end is 2"),
        (("--bptt", "8", "--condition", "state"), "--bptt 8 does not go with --condition state"),
    ],
)
def test_a_wish_that_cannot_be_met_is_one_line_and_a_hint(
    arguments: tuple[str, ...], complaint: str, run_cli: RunCli, tmp_path: Path
) -> None:
    result = run_cli("train", "--quiet", *arguments)
    assert result.returncode == 1
    assert result.stdout == ""
    errors = result.stderr.splitlines()
    assert errors[0].startswith("error: ")
    assert complaint in errors[0]
    assert len(errors) == 2
    assert errors[1].startswith("hint: ")
    assert not (tmp_path / "checkpoints" / "lstm-sample" / "config.json").exists()


@pytest.mark.parametrize(
    ("flag", "value", "known"), [("--cell", "transformer", "lstm"), ("--preset", "huge", "small")]
)
def test_a_choice_that_is_not_there_is_wrong_usage_and_lists_those_that_are(
    flag: str, value: str, known: str, run_cli: RunCli
) -> None:
    result = run_cli("train", flag, value)
    assert result.returncode == 2
    complaint = result.stderr.splitlines()[0]
    assert all(word in complaint for word in (flag, value, known))


def test_a_diverging_run_says_what_to_lower(run_cli: RunCli) -> None:
    result = run_cli(
        "train", *TINY, "--steps", "50", "--learning-rate", "1e30", "-q", "--output", "run"
    )
    assert result.returncode == 1
    assert "step" in result.stderr
    assert "--learning-rate" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_terminal_gets_a_live_display(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-m", "poetgen", "train", *TINY, "--steps", "20", "--output", "run"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # What Linux says at the end of a terminal.
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    assert process.wait(30) == 0
    text = shown.decode("utf-8", "replace")
    assert "\x1b[" in text
    assert "step 20/20" in text
    assert "100%" in text
    assert "perplexity" in text
    assert "春" in text
