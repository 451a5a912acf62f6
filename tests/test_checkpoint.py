import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file, save_file

from poetgen import folders
from poetgen.checkpoint import (
    find_checkpoint,
    list_checkpoints,
    load_checkpoint,
    save_weights,
    summary_of,
    write_description,
)
from poetgen.dataset.vocabulary import SPECIALS, Vocabulary
from poetgen.errors import CheckpointError
from poetgen.models.config import ModelConfig
from poetgen.tensors import read_metadata, read_tensors, write_tensors

VOCABULARY = Vocabulary((*SPECIALS, *"春江花月夜，。"))
MODEL = ModelConfig("gru", len(VOCABULARY), embedding_size=6, hidden_size=8, num_layers=2)
FIGURES = {"step": 30, "validation_perplexity": 123.5, "note": "好"}


def random_arrays(seed: int = 0) -> dict[str, npt.NDArray[np.float32]]:
    draw = np.random.default_rng(seed)
    return {
        name: draw.standard_normal(shape).astype(np.float32)
        for name, shape in MODEL.parameter_shapes().items()
    }


def make(folder: Path, *, weights: bool = True) -> Path:
    write_description(
        folder,
        model=MODEL,
        tokenizer="char",
        script="simplified",
        vocabulary=VOCABULARY,
        corpus={"name": "sample", "content_hash": "ab", "licence": "CC0-1.0", "poems": 190},
        training={"steps": 30},
    )
    if weights:
        save_weights(folder, random_arrays(), FIGURES)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "模型[b]")


def edit_config(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, **fields}), encoding="utf-8")


def test_a_checkpoint_comes_back_as_it_was_saved(folder: Path) -> None:
    loaded = load_checkpoint(folder)
    assert loaded.name == "模型[b]"
    assert loaded.model == MODEL
    assert (loaded.tokenizer, loaded.script) == ("char", "simplified")
    assert loaded.vocabulary == VOCABULARY
    assert loaded.figures == FIGURES
    assert loaded.config["corpus"]["licence"] == "CC0-1.0"
    for name, array in random_arrays().items():
        np.testing.assert_array_equal(loaded.arrays[name], array)


@pytest.mark.parametrize(("storage", "error"), [("float16", 2e-3), ("int8", 2e-2)])
def test_weights_in_fewer_bits_come_back_in_float32(
    folder: Path, storage: str, error: float
) -> None:
    whole = (folder / "model.safetensors").stat().st_size
    save_weights(folder, random_arrays(), FIGURES, storage=storage)
    assert (folder / "model.safetensors").stat().st_size < whole
    loaded = load_checkpoint(folder)
    assert loaded.figures == FIGURES
    for name, array in random_arrays().items():
        assert loaded.arrays[name].dtype == np.float32
        np.testing.assert_allclose(loaded.arrays[name], array, atol=error)


def test_weights_too_large_for_half_precision_are_not_saved(folder: Path) -> None:
    arrays = random_arrays()
    arrays["output.bias"][0] = 1e6
    with pytest.raises(CheckpointError, match=r"'output\.bias' holds"):
        save_weights(folder, arrays, {}, storage="float16")
    assert load_checkpoint(folder).figures == FIGURES


def test_other_programs_can_read_the_weights(folder: Path) -> None:
    for name, array in load_file(folder / "model.safetensors").items():
        np.testing.assert_array_equal(array, random_arrays()[name])


def test_loading_needs_no_torch(folder: Path) -> None:
    program = (
        "import sys\n"
        "from poetgen.checkpoint import load_checkpoint\n"
        "load_checkpoint(sys.argv[1])\n"
        "print(sorted({'torch', 'jieba', 'pickle5'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_better_weights_and_their_figures_replace_the_old_in_one_file(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    save_weights(folder, random_arrays(1), {"step": 60})
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"model.safetensors"}
    assert load_checkpoint(folder).figures == {"step": 60}


# Each damage, and what its error must say. All of them must be found before the model is used.


def _edit(**fields: Any) -> Callable[[Path], None]:
    return lambda folder: edit_config(folder, **fields)


def _write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _change_weights(change: Callable[[bytearray], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = bytearray((folder / "model.safetensors").read_bytes())
        change(data)
        (folder / "model.safetensors").write_bytes(data)

    return damage


def _change_array(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Weights that are written as they should be, checksum and all, but of other arrays."""

    def damage(folder: Path) -> None:
        path = folder / "model.safetensors"
        arrays, metadata = read_tensors(path)
        change(arrays)
        write_tensors(path, arrays, metadata)

    return damage


def _flip(data: bytearray, place: int) -> None:
    data[place] ^= 0x10


def _model(**fields: Any) -> Callable[[Path], None]:
    return _edit(model={**MODEL.to_dict(), **fields})


def _other_vocabulary(folder: Path) -> None:
    Vocabulary((*SPECIALS, *"夜月花江春，。")).save(folder / "vocab.txt")


def _weights_of_another_model(folder: Path) -> None:
    # The same shapes and sizes throughout: only the order of the tokens is another.
    vocabulary = Vocabulary((*SPECIALS, *"夜月花江春，。"))
    vocabulary.save(folder / "vocab.txt")
    edit_config(folder, vocabulary={"size": len(vocabulary), "sha256": vocabulary.sha256})


def _foreign_weights(folder: Path) -> None:
    save_file(random_arrays(), folder / "model.safetensors")


_HUGE = (1 << 40).to_bytes(8, "little")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_remove("config.json"), "has no config.json"),
        (_remove("vocab.txt"), "has no vocab.txt"),
        (_remove("model.safetensors"), "has no model.safetensors"),
        (_write("config.json", b"{"), "config.json is not JSON"),
        (_write("config.json", b"\xff\xfe"), "config.json is not JSON"),
        (_write("config.json", b"[" * 100_000), "config.json is not JSON"),
        (_write("config.json", b"[]"), "no format_version"),
        (_write("config.json", b"{}"), "no format_version"),
        (
            _edit(format_version=2, poetgen_version="9.1", model="?"),
            "made by poetgen 9.1 .format 2",
        ),
        (_edit(tokenizer=None), "field 'tokenizer' is None"),
        (_edit(tokenizer="bpe"), "field 'tokenizer' is 'bpe'"),
        (_edit(script="latin"), "field 'script' is 'latin'"),
        (_edit(model=[]), r"field 'model' is \[\]"),
        (_edit(vocabulary={}), "field 'vocabulary' has no size"),
        (_edit(vocabulary={"size": 9, "sha256": ""}), "11 tokens and the vocabulary 9"),
        (_model(attention=1), "no field 'attention'"),
        (_model(hidden_size="8"), "field 'hidden_size'"),
        (_model(cell="mamba"), "'mamba'"),
        (_model(cell="lstm"), "belongs to another config.json"),
        (_model(num_layers=10**12), "belongs to another config.json"),
        (_model(transition_depth=10**12), "belongs to another config.json"),
        (_write("vocab.txt", "<pad>\n<bos>\n<eos>\n<unk>\n春\n".encode()), "has 5 tokens.* 11"),
        (_write("vocab.txt", b""), "does not begin with"),
        (_other_vocabulary, "not the vocabulary of this model"),
        (_weights_of_another_model, "belongs to another config.json"),
        (_foreign_weights, "has no checksum"),
        (_write("model.safetensors", b""), "no safetensors file"),
        (_write("model.safetensors", b"1234567"), "no safetensors file"),
        (_write("model.safetensors", _HUGE), "no safetensors file"),
        (_write("model.safetensors", _HUGE + b"{}" * 99), "no safetensors file"),
        (_change_weights(lambda data: data.__delitem__(slice(-100, None))), "cut short"),
        (_change_weights(lambda data: data.__delitem__(slice(500, None))), "cut short"),
        (_change_weights(lambda data: data.extend(b"more")), "cut short or damaged"),
        (_change_weights(lambda data: _flip(data, -1)), "is damaged"),
        (_change_weights(lambda data: _flip(data, len(data) // 2)), "is damaged"),
        (_change_weights(lambda data: _flip(data, 8)), "cut short or damaged"),
        (_change_array(lambda a: a.update(extra=a["output.bias"])), "the model has no 'extra'"),
        (_change_array(lambda a: a.pop("output.bias")), "'output.bias' is missing"),
        (_change_array(dict.clear), "0 arrays for 2 layers"),
        (
            _change_array(lambda a: a.update({"output.bias": a["output.bias"][:-1]})),
            "'output.bias' is 10, where config.json asks for 11",
        ),
        (
            _change_array(lambda a: a.update({"output.bias": np.zeros(11, np.int64)})),
            "'output.bias' is of int64",
        ),
        (
            _change_array(lambda a: a.update({"output.bias.scale": a["output.bias"]})),
            "the model has no 'output.bias.scale'",
        ),
        (
            _change_array(
                lambda a: a.update({"projection.weight": a["projection.weight"].astype(np.int8)})
            ),
            "'projection.weight' is of int8, but there is no 'projection.weight.scale'",
        ),
        (
            _change_array(lambda a: a["projection.weight"].__setitem__((0, 0), np.nan)),
            "'projection.weight' holds a number that is not finite",
        ),
        (
            _change_array(lambda a: a["embedding.weight"].__setitem__((0, 0), -np.inf)),
            "'embedding.weight' holds a number that is not finite",
        ),
    ],
)
def test_every_damage_is_its_own_clear_error(
    folder: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(folder)
    with pytest.raises(CheckpointError, match=said) as caught:
        load_checkpoint(folder)
    assert "\n" not in caught.value.message


def test_a_bit_flipped_anywhere_in_the_weights_is_found(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    draw = np.random.default_rng(0)
    for place in draw.choice(len(whole), 150, replace=False).tolist():
        data = bytearray(whole)
        data[place] ^= 1 << int(draw.integers(8))
        path.write_bytes(data)
        try:
            loaded = load_checkpoint(folder)
        except CheckpointError:
            continue
        # What JSON allows to be written in two ways, such as a space as a tab: nothing changed.
        assert loaded.figures == FIGURES
        for name, array in random_arrays().items():
            np.testing.assert_array_equal(loaded.arrays[name], array)


def test_a_file_cut_anywhere_is_found(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            load_checkpoint(folder)


def test_a_training_that_has_no_weights_yet_says_how_to_go_on(tmp_path: Path) -> None:
    folder = make(tmp_path / "run", weights=False)
    (folder / "training_state").mkdir()
    with pytest.raises(CheckpointError, match="no finished weights yet") as caught:
        load_checkpoint(folder)
    assert "--resume" in caught.value.hint


def test_a_newer_format_says_to_upgrade(folder: Path) -> None:
    edit_config(folder, format_version=2)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    assert "upgrade" in caught.value.hint


def test_diverged_weights_are_not_saved_over_good_ones(folder: Path) -> None:
    arrays = random_arrays(1)
    arrays["output.bias"][0] = np.nan
    with pytest.raises(CheckpointError, match="not finite"):
        save_weights(folder, arrays, {})
    assert load_checkpoint(folder).figures == FIGURES


def test_weights_of_another_shape_are_not_saved(folder: Path) -> None:
    arrays = {**random_arrays(1), "output.bias": np.zeros(3, np.float32)}
    with pytest.raises(CheckpointError, match=r"output\.bias"):
        save_weights(folder, arrays, {})
    assert load_checkpoint(folder).figures == FIGURES


def test_a_later_training_budget_does_not_disown_the_weights(folder: Path) -> None:
    edit_config(folder, training={"steps": 60}, corpus={"name": "other"})
    assert load_checkpoint(folder).figures == FIGURES


# Finding


def test_a_name_is_looked_for_here_then_at_home_then_among_those_that_ship(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = tmp_path / "shipped"
    monkeypatch.setattr(folders, "shipped_folder", lambda kind: shipped)
    home = folders.data_folder() / "checkpoints"
    places = [shipped / "mine", home / "mine", Path("checkpoints/mine"), Path("mine")]
    for place in places:
        make(place)
        assert find_checkpoint("mine").resolve() == place.resolve()
    assert [summary.where for summary in list_checkpoints()] == ["./checkpoints", "home", "shipped"]


def test_a_folder_of_that_name_that_is_no_checkpoint_does_not_hide_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lyric").mkdir()
    made = make(folders.data_folder() / "checkpoints" / "lyric")
    assert find_checkpoint("lyric") == made


def test_without_a_name_the_shipped_one_is_meant_and_else_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = tmp_path / "shipped"
    monkeypatch.setattr(folders, "shipped_folder", lambda kind: shipped)
    old = make(tmp_path / "checkpoints" / "old")
    new = make(folders.data_folder() / "checkpoints" / "new")
    os.utime(old / "model.safetensors", (1, 1))
    unfinished = make(tmp_path / "checkpoints" / "unfinished", weights=False)
    (unfinished / "training_state").mkdir()
    assert find_checkpoint() == new
    os.utime(new / "model.safetensors", (0, 0))
    assert find_checkpoint().resolve() == old
    make(shipped / "lstm")
    assert find_checkpoint() == shipped / "lstm"


def test_a_folder_that_a_crash_left_half_made_is_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folders, "shipped_folder", lambda kind: tmp_path / "shipped")
    make(tmp_path / "checkpoints" / "mine")
    make(tmp_path / "checkpoints" / ".mine.1a2b3c4d.tmp")
    assert [summary.name for summary in list_checkpoints()] == ["mine"]
    assert find_checkpoint() == Path("checkpoints/mine")


def test_with_no_model_at_all_the_error_says_how_to_train_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folders, "shipped_folder", lambda kind: tmp_path / "shipped")
    with pytest.raises(CheckpointError, match="no trained model") as caught:
        load_checkpoint()
    assert "poetgen train --corpus sample" in caught.value.hint


def test_a_name_that_is_not_there_is_an_error_that_lists_those_that_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "checkpoints" / "mine")
    with pytest.raises(CheckpointError, match="no checkpoint 'nope'") as caught:
        load_checkpoint("nope")
    assert "mine" in caught.value.hint


def test_a_file_or_any_other_folder_is_no_checkpoint(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a file"):
        load_checkpoint(folder / "config.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="but no checkpoint"):
        load_checkpoint(tmp_path / "empty")


def test_a_summary_tells_what_is_wrong_instead_of_failing(folder: Path) -> None:
    assert summary_of(folder).problem == ""
    assert summary_of(folder).figures == FIGURES
    shutil.copytree(folder, folder.with_name("copy"))
    edit_config(folder, tokenizer="bpe")
    assert "'bpe'" in summary_of(folder).problem


# The file format


def test_arrays_of_every_kind_come_back_as_they_were(tmp_path: Path) -> None:
    arrays: dict[str, npt.NDArray[Any]] = {
        "bytes": np.arange(7, dtype=np.uint8),
        "signed": np.arange(-3, 3, dtype=np.int8).reshape(3, 2),
        "counts": np.arange(-3, 3, dtype=np.int64).reshape(2, 3),
        "half": np.array([1.5, np.inf], np.float16),
        "single": np.array([[np.nan]], np.float32),
        "double": np.linspace(0, 1, 5),
        "number": np.array(3.5),
        "empty": np.zeros((0, 4), np.float32),
        "strided": np.arange(12, dtype=np.float32).reshape(3, 4).T[::2],
    }
    path = tmp_path / "state.safetensors"
    write_tensors(path, arrays, {"诗": "春\n江", "json": "{}"})
    back, metadata = read_tensors(path)
    assert metadata == {"诗": "春\n江", "json": "{}"} == read_metadata(path)
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(back[name], array)
        assert back[name].flags.writeable
        assert back[name].flags.aligned


def test_an_array_of_objects_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'x' is of object"):
        write_tensors(tmp_path / "x", {"x": np.array([object()])}, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "header",
    [
        b"null",
        b"[]",
        b'{"x":1}',
        b'{"x":{"dtype":["F32"],"shape":[1],"data_offsets":[0,4]}}',
        b'{"x":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}',
        b'{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        b'{"x":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}',
        b'{"x":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}}',
        b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0]}}',
        b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}',
        b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        b'{"x":{"dtype":"F32","shape":[0,99999999999999999999999],"data_offsets":[0,0]}}',
        b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b'{"__metadata__":{"a":1}}',
        b'{"__metadata__":[]}',
        b'{"__metadata__":{"sha256":"\\ud800"}}',
        b"[" * 100_000,
        b"9" * 10_000,
    ],
)
def test_a_header_that_no_one_should_trust_is_one_clear_error(
    tmp_path: Path, header: bytes
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 8)
    with pytest.raises(CheckpointError):
        read_tensors(path)
