"""Runs that die at any moment and go on as if they had not: real processes, real SIGKILLs."""

import json
import multiprocessing
import random
import shutil
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

from poetgen.checkpoint import load_checkpoint
from poetgen.errors import CheckpointError
from tests.training.victim import STEPS, train

KILLS = 12


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    # A new process is a fork of one that has imported torch already, and what torch imports when
    # the first optimiser is made: 0.05 s instead of 3.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["poetgen.training.trainer", "torch._dynamo"])
    return context


def start(
    processes: multiprocessing.context.ForkServerContext, folder: Path, cell: str
) -> BaseProcess:
    process = processes.Process(target=train, args=(folder, cell))
    process.start()
    return process


def figures(folder: Path) -> list[tuple[int, str, str]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [(line["step"], line["loss"].hex(), line["gradient_norm"].hex()) for line in records]


def steps_logged(folder: Path) -> int:
    log = folder / "metrics.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def half_files(folder: Path) -> list[Path]:
    return [*folder.glob(".*.tmp"), *folder.glob("training_state/.*.tmp")]


@pytest.mark.skipif(not hasattr(__import__("signal"), "SIGKILL"), reason="POSIX")
def test_a_run_killed_anywhere_and_resumed_makes_the_losses_of_one_never_stopped(
    processes: multiprocessing.context.ForkServerContext, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    reference = start(processes, whole, "lstm")
    reference.join(60)
    assert reference.exitcode == 0
    assert len(figures(whole)) == STEPS

    generator = random.Random(7)
    inside_a_save = 0
    for kill in range(KILLS):
        process = start(processes, parts, "lstm")
        target = steps_logged(parts) + generator.randrange(1, 4)
        while steps_logged(parts) < target and process.is_alive():
            time.sleep(0.0005)
        if kill % 2:  # Every other time, in the middle of writing a snapshot.
            while process.is_alive() and not half_files(parts):
                pass
        else:
            time.sleep(generator.uniform(0, 0.01))
        process.kill()
        process.join()
        assert process.exitcode == -9, "the run was over before it could be killed"
        inside_a_save += bool(half_files(parts))
        # Whatever the moment, the best checkpoint is whole or not there yet.
        if (parts / "model.safetensors").exists():
            load_checkpoint(parts)
    assert inside_a_save >= 1

    last = start(processes, parts, "lstm")
    last.join(60)
    assert last.exitcode == 0
    assert figures(parts) == figures(whole)
    assert half_files(parts) == []
    one, two = load_checkpoint(whole), load_checkpoint(parts)
    assert one.figures["step"] == two.figures["step"]
    assert all(np.array_equal(one.arrays[name], two.arrays[name]) for name in one.arrays)


def test_a_damaged_snapshot_is_made_good_by_the_one_before(tmp_path: Path) -> None:
    train(tmp_path / "run", "rnn")
    expected = figures(tmp_path / "run")
    last = tmp_path / "run" / "training_state" / "last.safetensors"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    train(tmp_path / "run", "rnn")
    assert figures(tmp_path / "run") == expected


def test_when_every_snapshot_is_damaged_the_error_names_the_file(tmp_path: Path) -> None:
    train(tmp_path / "run", "rnn")
    state = tmp_path / "run" / "training_state"
    for name in ("last.safetensors", "previous.safetensors"):
        (state / name).write_bytes((state / name).read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"last\.safetensors"):
        train(tmp_path / "run", "rnn")


def test_a_run_moves_to_another_folder(tmp_path: Path) -> None:
    train(tmp_path / "run", "rnn")
    shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    train(tmp_path / "elsewhere", "rnn")
    assert len(figures(tmp_path / "elsewhere")) == STEPS
