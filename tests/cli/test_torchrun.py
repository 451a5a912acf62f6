"""`torchrun … -m poetgen train …` as its users meet it: two real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from poetgen.checkpoint import load_checkpoint
from poetgen.cli.train import _encode, _trainer
from poetgen.training.distributed import ALONE
from poetgen.training.recipe import Recipe
from poetgen.training.resume import read_snapshot

# bf16, which `auto` takes on some CPUs, would round the two halves of a batch by themselves.
RECIPE = {
    "embedding_size": 16,
    "hidden_size": 16,
    "dropout": 0.0,
    "steps": 240,
    "patience": 0,
    "snapshot_every": 10,
    "validate_every": 60,
    "precision": "fp32",
    "device": "cpu",
    "threads": 1,
}
FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in RECIPE.items()]


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def train_alone(folder: Path, until: int = 1000) -> None:
    """Go on in this process, which has imported torch already."""
    recipe = Recipe.load(folder) or Recipe.of_flags("sample", "tiny", RECIPE)
    source, encoded = _encode(recipe)
    with _trainer(recipe, source, encoded, folder, True, ALONE) as trainer:
        for progress in trainer.run():
            if progress.step >= until:
                trainer.stop()


def start_two(folder: Path, *flags: str) -> "subprocess.Popen[str]":
    launcher = ("torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "poetgen")
    return subprocess.Popen(
        [sys.executable, "-m", *launcher, "train", "-q", "--output", folder.name, *flags],
        cwd=folder.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def wait_for_step(folder: Path, step: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 100
    log = folder / "metrics.jsonl"
    while not log.exists() or log.read_bytes().count(b"\n") < step:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def worker(rank: int, launcher: int) -> int:
    """The pid of the process of that rank that the launcher started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            environment = (folder / "environ").read_bytes() if parent == launcher else b""
        except OSError:  # It has ended meanwhile, or is another user's.
            continue
        if f"RANK={rank}".encode() in environment.split(b"\0"):
            return int(folder.name)
    raise AssertionError(f"no process of rank {rank}")


@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
def test_two_processes_train_as_one_does_whatever_happens_on_the_way(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_alone(whole)

    # Two processes, one of which is killed outright.
    process = start_two(parts, "--preset=tiny", *FLAGS)
    wait_for_step(parts, 15, process)
    os.kill(worker(1, process.pid), signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert out == ""
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert errors == ["error: another process of this run has died"]
    assert "--resume" in err
    snapshot = read_snapshot(parts)
    assert snapshot is not None
    assert 10 <= snapshot.position.step < 240

    # One process goes on, then two, which are told to stop; and one ends it.
    train_alone(parts, until=snapshot.position.step + 20)
    begun = len(log_of(parts))
    process = start_two(parts, "--resume")
    wait_for_step(parts, begun + 15, process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert err.count(f"go on with: poetgen train --output {parts.name} --resume") == 1
    assert "error: " not in err
    stopped = len(log_of(parts))
    assert begun + 15 <= stopped < 240
    assert out.splitlines()[0] == parts.name
    assert out.count(f"{stopped} steps in ") == 1
    train_alone(parts)

    one, two = log_of(whole), log_of(parts)
    assert [line["step"] for line in two] == list(range(1, 241))
    for name in ("epoch", "tokens", "learning_rate"):
        assert [line[name] for line in two] == [line[name] for line in one]
    for name in ("loss", "gradient_norm"):
        assert [line[name] for line in two] == pytest.approx([line[name] for line in one], rel=1e-3)
    weights, others = load_checkpoint(whole).arrays, load_checkpoint(parts).arrays
    assert all(np.allclose(weights[name], others[name], atol=1e-3) for name in weights)
