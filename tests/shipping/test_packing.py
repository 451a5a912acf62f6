import json
from pathlib import Path

import numpy as np
import pytest

from poetgen.checkpoint import load_checkpoint, save_weights
from poetgen.corpus.store import open_corpus
from poetgen.dataset.encoded import encode_corpus
from poetgen.dataset.runs import FILE as RUNS
from poetgen.dataset.runs import RunFilter
from poetgen.errors import CheckpointError
from poetgen.shipping import packing
from poetgen.shipping.packing import pack, relative_error
from tests.cli.random_model import write_random_model
from tests.conftest import RunCli


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run as training leaves it."""
    folder = write_random_model(tmp_path / "run")
    save_weights(folder, load_checkpoint(folder).arrays, {"step": 7, "validation_perplexity": 9.0})
    encoded = encode_corpus(open_corpus("sample"))
    runs = RunFilter.build(encoded.split("train"), encoded.vocabulary)
    runs.save(folder / RUNS, {"content_hash": ""})
    (folder / "training_state").mkdir()
    (folder / "training_state" / "last.safetensors").write_bytes(b"x" * 1000)
    (folder / "metrics.jsonl").write_text("{}\n", encoding="utf-8")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("storage", ["int8", "float16", "float32"])
def test_a_packed_model_is_the_same_model(run: Path, tmp_path: Path, storage: str) -> None:
    original = load_checkpoint(run)
    packed = pack(original, tmp_path / "small", storage)
    loaded = load_checkpoint(tmp_path / "small")
    assert loaded.name == "small"
    assert loaded.vocabulary == original.vocabulary
    assert loaded.config == original.config
    assert packed.relative_error == relative_error(original.arrays, loaded.arrays)
    assert packed.relative_error < {"int8": 0.02, "float16": 1e-3, "float32": 1e-12}[storage]
    for name, array in original.arrays.items():
        np.testing.assert_allclose(loaded.arrays[name], array, atol=0.02)


def test_nothing_of_the_training_ships_and_the_run_is_left_alone(run: Path, tmp_path: Path) -> None:
    before = contents(run)
    packed = pack(load_checkpoint(run), tmp_path / "small")
    assert contents(run) == before
    files = contents(tmp_path / "small")
    assert sorted(files) == ["config.json", "model.safetensors", "runs.safetensors", "vocab.txt"]
    assert files["runs.safetensors"] == before["runs.safetensors"]
    assert packed.total == sum(map(len, files.values()))
    assert {name: after for name, (_, after) in packed.sizes.items()} == {
        name: len(content) for name, content in files.items()
    }
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] == ".") == []


def test_the_figures_say_what_was_packed_and_what_was_measured(run: Path, tmp_path: Path) -> None:
    pack(load_checkpoint(run), tmp_path / "small", measured={"perplexity_loss": 0.001})
    figures = load_checkpoint(tmp_path / "small").figures
    assert (figures["step"], figures["validation_perplexity"]) == (7, 9.0)
    packed = figures["packed"]
    assert (packed["from"], packed["storage"], packed["perplexity_loss"]) == ("run", "int8", 0.001)


def test_a_packed_model_is_replaced_only_by_force(run: Path, tmp_path: Path) -> None:
    pack(load_checkpoint(run), tmp_path / "small")
    before = contents(tmp_path / "small")
    with pytest.raises(CheckpointError, match="is there already") as caught:
        pack(load_checkpoint(run), tmp_path / "small", "float16")
    assert "--force" in caught.value.hint
    assert contents(tmp_path / "small") == before
    pack(load_checkpoint(run), tmp_path / "small", "float16", force=True)
    assert load_checkpoint(tmp_path / "small").figures["packed"]["storage"] == "float16"


def test_force_destroys_nothing_that_was_not_packed(run: Path, tmp_path: Path) -> None:
    finished = write_random_model(tmp_path / "finished")
    (tmp_path / "poems").mkdir()
    (tmp_path / "poems" / "mine.txt").write_text("诗", encoding="utf-8")
    (tmp_path / "link").symlink_to(run)
    for place in (
        run,
        finished,
        tmp_path / "poems",
        tmp_path / "link",
        tmp_path / "poems/mine.txt",
    ):
        before = contents(tmp_path)
        with pytest.raises(CheckpointError):
            pack(load_checkpoint(run), place, force=True)
        assert contents(tmp_path) == before
    pack(load_checkpoint(run), tmp_path / "small")
    with pytest.raises(CheckpointError, match="is what is to be packed"):
        pack(load_checkpoint(tmp_path / "small"), tmp_path / "small", force=True)


def test_a_failure_at_any_moment_leaves_what_was_there(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(load_checkpoint(run), tmp_path / "small")
    before = contents(tmp_path)
    checkpoint = load_checkpoint(run)
    for name in ("save_weights", "relative_error", "_put"):

        def fail(*arguments: object) -> None:
            raise OSError("the disk is full")

        with monkeypatch.context() as patched:
            patched.setattr(packing, name, fail)
            with pytest.raises(OSError, match="full"):
                pack(checkpoint, tmp_path / "small", force=True)
        assert contents(tmp_path) == before


def test_a_damaged_filter_is_not_packed(run: Path, tmp_path: Path) -> None:
    (run / RUNS).write_bytes(b"no filter")
    with pytest.raises(CheckpointError, match=r"runs\.safetensors"):
        pack(load_checkpoint(run), tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_the_command_says_what_it_made(run: Path, run_cli: RunCli, tmp_path: Path) -> None:
    done = run_cli("models", "pack", "run", "--output", "checkpoints/small")
    assert done.returncode == 0, done.stderr
    assert "in int8" in done.stdout
    weights = tmp_path / "checkpoints" / "small" / "model.safetensors"
    assert f"{weights.stat().st_size:,}" in done.stdout
    again = run_cli("models", "pack", "run", "--output", "checkpoints/small")
    assert (again.returncode, again.stdout) == (1, "")
    forced = run_cli("models", "pack", "run", "--output", "checkpoints/small", "--force", "--json")
    record = json.loads(forced.stdout)
    assert record["bytes"] == sum(map(len, contents(tmp_path / "checkpoints/small").values()))
    assert record["files"]["vocab.txt"]["before"] == record["files"]["vocab.txt"]["after"]
    poem = run_cli("acrostic", "春夏秋冬", "--model", "small", "--seed", "1")
    assert [line[0] for line in poem.stdout.split()] == list("春夏秋冬")
