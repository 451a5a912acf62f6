"""The laboratory's recurrences through the real commands: trained, packed, shown, and writing."""

import json
from pathlib import Path

import pytest

from poetgen.checkpoint import load_checkpoint
from tests.conftest import RunCli

TINY = ("--preset", "tiny", "--hidden-size", "16", "--embedding-size", "16", "--threads", "1")


@pytest.mark.parametrize(
    ("wishes", "network"),
    [
        (("--cell", "output"), "output, 1 × 16, embedding 16"),
        (
            ("--cell", "gru", "--num-layers", "2", "--residual", "--transition-depth", "2"),
            "gru, 2 × 16, residual, transition depth 2, embedding 16",
        ),
    ],
)
def test_it_trains_ships_and_writes(
    wishes: tuple[str, ...], network: str, run_cli: RunCli, tmp_path: Path
) -> None:
    trained = run_cli("train", *TINY, *wishes, "--steps", "2", "--output", "run", "--quiet")
    assert trained.returncode == 0, trained.stderr
    packed = run_cli("models", "pack", "run", "--output", "small")
    assert packed.returncode == 0, packed.stderr
    original, small = load_checkpoint(tmp_path / "run"), load_checkpoint(tmp_path / "small")
    assert small.model == original.model
    assert small.arrays.keys() == original.arrays.keys()
    assert network in run_cli("models", "./small").stdout
    written = run_cli("acrostic", "春夏秋冬", "--model", "./small", "--json", "--seed", "1")
    assert written.returncode == 0, written.stderr
    lines = json.loads(written.stdout)["lines"]
    assert [line[0] for line in lines] == list("春夏秋冬")


@pytest.mark.parametrize(
    ("wishes", "flags"),
    [
        (("--cell", "mingru", "--transition-depth", "2"), ("--cell", "--transition-depth")),
        (("--cell", "output", "--weight-drop", "0.3"), ("--cell", "--weight-drop")),
        (("--residual", "--num-layers", "1"), ("--residual", "--num-layers")),
    ],
)
def test_what_does_not_go_together_is_one_line_that_names_both_flags(
    wishes: tuple[str, ...], flags: tuple[str, str], run_cli: RunCli
) -> None:
    done = run_cli("train", *wishes)
    assert done.returncode != 0
    said = done.stderr.splitlines()[0]
    assert all(flag in said for flag in flags)
    assert "Traceback" not in done.stderr
