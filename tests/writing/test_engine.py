"""The engines: the same numbers as torch's own layers, and states that are values."""

import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.dataset.vocabulary import SPECIALS, Vocabulary
from poetgen.errors import PoetgenError
from poetgen.models.cells import CELLS
from poetgen.models.config import ModelConfig
from poetgen.models.language_model import LanguageModel
from poetgen.models.network import load_arrays
from poetgen.writing.engine import NumpyEngine, StepModel, engine_for
from poetgen.writing.poet import Poet
from poetgen.writing.torch_engine import TorchEngine

if TYPE_CHECKING:
    from poetgen.checkpoint import Checkpoint

Arrays = dict[str, npt.NDArray[np.float32]]

# What the engines promise: logits of one network agree to this, absolute and relative.
TOLERANCE = 1e-5


def random_arrays(config: ModelConfig, seed: int = 0, scale: float = 0.5) -> Arrays:
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, scale if len(shape) == 1 else scale / shape[1] ** 0.5, shape).astype(
            np.float32
        )
        for name, shape in config.parameter_shapes().items()
    }


def checkpoint_of(config: ModelConfig, arrays: Arrays) -> "Checkpoint":
    # All that an engine reads of a checkpoint.
    return cast("Checkpoint", SimpleNamespace(model=config, arrays=arrays))


def torch_logits(
    config: ModelConfig, arrays: Arrays, ids: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """The logits of whole sequences (B, T) at once, (B, T, V), by torch's own layers."""
    network = LanguageModel(config)
    load_arrays(network, arrays)
    with torch.inference_mode():
        logits, _ = network.eval()(torch.from_numpy(ids))
    return cast("npt.NDArray[np.float32]", logits.numpy())


def logits_along(model: StepModel, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    state = model.start(len(ids))
    steps = []
    for column in ids.T:
        logits, state = model.step(column, state)
        steps.append(logits)
    return np.stack(steps, axis=1)


@st.composite
def configs(draw: st.DrawFn) -> ModelConfig:
    cell = draw(st.sampled_from(sorted(CELLS)))
    num_layers = draw(st.integers(1, 3))
    return ModelConfig(
        cell=cell,
        vocabulary_size=draw(st.integers(5, 60)),
        embedding_size=draw(st.integers(1, 40)),
        hidden_size=draw(st.integers(1, 40)),
        num_layers=num_layers,
        tie_embeddings=draw(st.booleans()),
        nonlinearity=draw(st.sampled_from(["tanh", "relu"])) if cell == "rnn" else "tanh",
        residual=num_layers > 1 and draw(st.booleans()),
    )


@given(config=configs(), rows=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=100)
def test_numpy_and_torch_agree_on_every_logit_of_any_network(
    config: ModelConfig, rows: int, seed: int
) -> None:
    arrays = random_arrays(config, seed)
    ids = np.random.default_rng(seed).integers(0, config.vocabulary_size, (rows, 12))
    stepped = logits_along(NumpyEngine(config, arrays), ids)
    np.testing.assert_allclose(
        stepped, torch_logits(config, arrays, ids), rtol=TOLERANCE, atol=TOLERANCE
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tied", [True, False])
def test_a_network_of_real_width_agrees_through_a_whole_regulated_poem(
    cell: str, tied: bool
) -> None:
    config = ModelConfig(
        cell=cell,
        vocabulary_size=900,
        embedding_size=128,
        hidden_size=256,
        num_layers=2,
        tie_embeddings=tied,
    )
    arrays = random_arrays(config, scale=1.0)
    ids = np.random.default_rng(1).integers(0, 900, (4, 65))
    np.testing.assert_allclose(
        logits_along(NumpyEngine(config, arrays, threads=2), ids),
        torch_logits(config, arrays, ids),
        rtol=TOLERANCE,
        atol=TOLERANCE,
    )


def test_large_weights_saturate_the_gates_without_a_warning() -> None:
    # Warnings are errors here: an overflow in a gate would fail.
    for cell in CELLS:
        config = ModelConfig(cell=cell, vocabulary_size=9, embedding_size=8, hidden_size=8)
        ids = np.arange(9)[np.newaxis]
        arrays = random_arrays(config, scale=1e4)
        assert np.isfinite(logits_along(NumpyEngine(config, arrays), ids)).all()


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("residual", [False, True])
def test_a_deepened_step_is_left_to_torch_which_gives_the_same_step_by_step(
    cell: str, residual: bool
) -> None:
    config = ModelConfig(cell=cell, transition_depth=3, residual=residual, **cast(Any, SMALL))
    arrays = random_arrays(config)
    assert not NumpyEngine.runs(config)
    engine = engine_for(checkpoint_of(config, arrays))
    assert isinstance(engine, TorchEngine)
    ids = np.random.default_rng(1).integers(0, 30, (3, 12))
    np.testing.assert_allclose(
        logits_along(engine, ids),
        torch_logits(config, arrays, ids),
        rtol=TOLERANCE,
        atol=TOLERANCE,
    )


def engines(config: ModelConfig) -> list[StepModel]:
    checkpoint = checkpoint_of(config, random_arrays(config))
    return [engine_for(checkpoint), TorchEngine(checkpoint, "cpu")]


SMALL = {"vocabulary_size": 30, "embedding_size": 12, "hidden_size": 16, "num_layers": 2}


@pytest.mark.parametrize("cell", CELLS)
def test_rows_that_part_after_a_shared_past_are_as_if_they_had_walked_alone(cell: str) -> None:
    config = ModelConfig(cell=cell, **cast(Any, SMALL))
    ids = np.array(
        [
            [1, 7, 7, 3, 9],
            [1, 7, 7, 3, 9],
            [1, 7, 8, 3, 9],
            [1, 7, 7, 4, 9],
            [1, 5, 7, 4, 9],
        ]
    )
    for model in engines(config):
        together = logits_along(model, ids)
        for row, alone in enumerate(ids):
            np.testing.assert_allclose(
                together[row], logits_along(model, alone[np.newaxis])[0], rtol=1e-5, atol=1e-5
            )


@pytest.mark.parametrize("cell", CELLS)
def test_select_moves_drops_and_repeats_rows(cell: str) -> None:
    config = ModelConfig(cell=cell, **cast(Any, SMALL))
    rows = np.array([2, 0, 2, 2])
    for model in engines(config):
        _, state = model.step(np.array([4, 5, 6]), model.start(3))
        expected, _ = model.step(np.array([7, 7, 7]), state)
        logits, state = model.step(np.array([7, 7, 7, 7]), model.select(state, rows))
        np.testing.assert_allclose(logits, expected[rows], rtol=1e-5, atol=1e-6)
        assert logits.dtype == np.float32
        assert logits.shape == (4, 30)
        # And they part again when fed different tokens.
        logits, _ = model.step(np.array([1, 2, 3, 3]), state)
        assert not np.allclose(logits[0], logits[2])
        np.testing.assert_allclose(logits[2], logits[3], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_selecting_from_a_fresh_state_gives_a_fresh_state(cell: str) -> None:
    config = ModelConfig(cell=cell, **cast(Any, SMALL))
    for model in engines(config):
        fresh, _ = model.step(np.array([4]), model.start(1))
        chosen, _ = model.step(np.array([4, 4]), model.select(model.start(5), np.array([3, 3])))
        np.testing.assert_allclose(chosen, fresh[[0, 0]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_joined_states_keep_every_row_in_order(cell: str) -> None:
    config = ModelConfig(cell=cell, **cast(Any, SMALL))
    for model in engines(config):
        fresh = model.start(2)
        _, state = model.step(np.array([4, 5, 6]), model.start(3))
        ids = np.array([7, 8, 9, 7, 8, 9, 7])
        joined = model.join([model.select(state, np.array([2, 2])), fresh, state])
        logits, _ = model.step(ids, joined)
        alone = np.concatenate(
            [
                model.step(ids[:2], model.select(state, np.array([2, 2])))[0],
                model.step(ids[2:4], fresh)[0],
                model.step(ids[4:], state)[0],
            ]
        )
        np.testing.assert_allclose(logits, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_is_a_value_that_stepping_leaves_as_it_was(cell: str) -> None:
    config = ModelConfig(cell=cell, **cast(Any, SMALL))
    for model in engines(config):
        start = model.start(2)
        first, state = model.step(np.array([4, 5]), start)
        kept = first.copy()
        once, _ = model.step(np.array([6, 7]), state)
        model.step(np.array([8, 9]), state)
        again, _ = model.step(np.array([6, 7]), state)
        np.testing.assert_array_equal(once, again)
        np.testing.assert_array_equal(first, kept)
        np.testing.assert_array_equal(model.step(np.array([4, 5]), start)[0], first)


@pytest.mark.parametrize("cell", CELLS)
def test_both_engines_write_the_same_poem_from_the_same_seed(cell: str) -> None:
    # A draw could differ where a rounding error of 1e-6 meets its threshold: about once in 5,000
    # poems. The seeds are fixed, so a machine either passes always or never.
    vocabulary = Vocabulary((*SPECIALS, *"，。？！", *map(chr, range(ord("一"), ord("一") + 200))))
    config = ModelConfig(
        cell=cell,
        vocabulary_size=len(vocabulary),
        embedding_size=16,
        hidden_size=24,
        num_layers=2,
    )
    texts = [
        [
            poem.text
            for poem in Poet(model, vocabulary, "random").acrostic(
                "一丁七万", n=5, seed=1, particles=8
            )
        ]
        for model in engines(config)
    ]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 5


def test_the_number_of_threads_changes_no_logit_beyond_rounding() -> None:
    # Wide enough that every product is shared, with edges that do not divide evenly.
    config = ModelConfig(
        cell="gru", vocabulary_size=5001, embedding_size=301, hidden_size=403, num_layers=1
    )
    arrays = random_arrays(config)
    ids = np.random.default_rng(3).integers(0, 5001, (32, 3))
    alone = logits_along(NumpyEngine(config, arrays, threads=1), ids)
    for threads in (2, 3, 4):
        shared = logits_along(NumpyEngine(config, arrays, threads=threads), ids)
        np.testing.assert_allclose(shared, alone, rtol=1e-5, atol=1e-5)


def test_read_only_arrays_of_a_mapped_file_serve_as_they_are() -> None:
    config = ModelConfig(cell="lstm", **cast(Any, SMALL))
    arrays = random_arrays(config)
    for array in arrays.values():
        array.flags.writeable = False
    ids = np.array([[1, 2, 3]])
    assert np.isfinite(logits_along(NumpyEngine(config, arrays), ids)).all()


def test_a_device_that_is_not_here_is_one_clear_error() -> None:
    config = ModelConfig(cell="lstm", **cast(Any, SMALL))
    checkpoint = checkpoint_of(config, random_arrays(config))
    for device in ("abacus", "cuda:99"):
        with pytest.raises(PoetgenError, match=f"--device {device}") as caught:
            engine_for(checkpoint, device)
        assert "\n" not in caught.value.message
        assert caught.value.hint


def test_stepping_on_a_cpu_imports_no_torch() -> None:
    code = """
import sys
import numpy as np
from types import SimpleNamespace
from poetgen.models.cells import CELLS
from poetgen.models.config import ModelConfig
from poetgen.writing.engine import engine_for
config = ModelConfig(cell="gru", vocabulary_size=9)
arrays = {n: np.zeros(s, np.float32) for n, s in config.parameter_shapes().items()}
for device in ("auto", "cpu"):
    engine = engine_for(SimpleNamespace(model=config, arrays=arrays), device)
    engine.step(np.array([1, 2]), engine.start(2))
loaded = {"torch", "jieba", "rich", "matplotlib"} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
