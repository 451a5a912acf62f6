"""The models that ship: those that pyproject.toml puts into the wheel."""

import math
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from poetgen.checkpoint import load_checkpoint
from poetgen.corpus.store import open_corpus
from poetgen.dataset.encoded import encode_with
from poetgen.shipping.packing import MOST_BYTES
from poetgen.training.selection import select_poems
from tests.conftest import RunCli

ROOT = Path(__file__).resolve().parents[1]
FILES = {"config.json", "vocab.txt", "model.safetensors", "runs.safetensors", "card.md"}


def _in_the_wheel() -> dict[str, str]:
    """What is put into the wheel of checkpoints/, and where to."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)
    included: dict[str, str] = project["tool"]["hatch"]["build"]["targets"]["wheel"][
        "force-include"
    ]
    return {
        source.removeprefix("checkpoints/"): target
        for source, target in included.items()
        if source.startswith("checkpoints/")
    }


SHIPPED = sorted(set(_in_the_wheel()) - {"README.md"})

each_that_ships = pytest.mark.parametrize(
    "name", SHIPPED or [pytest.param("", marks=pytest.mark.skip(reason="no model ships yet"))]
)


def test_the_wheel_takes_along_every_model_that_is_committed_and_no_other() -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a working copy of git")
    tracked = subprocess.run(
        ["git", "ls-files", "checkpoints"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    folders = {Path(line).parts[1] for line in tracked.splitlines()} - {"README.md"}
    assert folders == set(SHIPPED)


def test_in_the_wheel_a_model_lies_where_it_is_looked_for() -> None:
    assert _in_the_wheel() == {
        name: f"poetgen/shipped/checkpoints/{name}" for name in (*SHIPPED, "README.md")
    }


@each_that_ships
def test_a_model_that_ships_is_small_and_has_a_card_and_nothing_of_its_training(name: str) -> None:
    folder = ROOT / "checkpoints" / name
    assert {path.name for path in folder.iterdir()} == FILES
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MOST_BYTES
    card = (folder / "card.md").read_text(encoding="utf-8")
    for heading in ("perplexity", "How it was trained", "licence", "does badly", "by heart"):
        assert heading in card


@each_that_ships
def test_a_model_that_ships_predicts_verse_better_than_chance(name: str) -> None:
    from poetgen.models.network import from_checkpoint
    from poetgen.training.evaluation import perplexity

    model = load_checkpoint(ROOT / "checkpoints" / name)
    assert model.figures["packed"]["perplexity_loss"] <= 0.01
    poems = encode_with(open_corpus("sample"), model.vocabulary, model.tokenizer, model.script)
    measured = perplexity(from_checkpoint(model, "cpu"), select_poems(poems, limit=20))
    assert math.isfinite(measured.per_character)
    assert measured.per_character < len(model.vocabulary) / 4


@each_that_ships
def test_a_model_that_ships_writes_from_anywhere(name: str, run_cli: RunCli) -> None:
    done = run_cli("acrostic", "春夏秋冬", "--model", name, "--seed", "1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split()
    assert [line[0] for line in lines] == list("春夏秋冬")
    assert {len(line) for line in lines} == {8}
