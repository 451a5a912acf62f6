from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from poetgen.errors import CheckpointError
from poetgen.quantization import SCALE, STORAGES, restored, stored

PATH = Path("model.safetensors")
Arrays = dict[str, npt.NDArray[Any]]


def weights() -> Arrays:
    draw = np.random.default_rng(0)
    rows = 10.0 ** draw.uniform(-3, 1, (50, 1))
    return {
        "x.weight": (rows * draw.standard_normal((50, 30))).astype(np.float32),
        "x.bias": draw.standard_normal(50).astype(np.float32),
    }


def test_float32_is_kept_as_it_is() -> None:
    given_arrays = weights()
    back = restored(PATH, stored(given_arrays, "float32"))
    assert back["x.weight"] is given_arrays["x.weight"]


@pytest.mark.parametrize("storage", STORAGES)
def test_what_comes_back_is_float32_under_the_old_names(storage: str) -> None:
    back = restored(PATH, stored(weights(), storage))
    assert {name: array.shape for name, array in back.items()} == {
        "x.weight": (50, 30),
        "x.bias": (50,),
    }
    assert {array.dtype.name for array in back.values()} == {"float32"}


def test_int8_takes_a_byte_a_number_and_a_scale_a_row() -> None:
    small = stored(weights(), "int8")
    assert small["x.weight"].dtype == np.int8
    assert small["x.weight" + SCALE].shape == (50,)
    assert sum(array.nbytes for array in small.values()) == 50 * 30 + 4 * 50 + 4 * 50


@settings(deadline=None)
@given(
    arrays_of.arrays(
        np.float32,
        arrays_of.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=8),
        elements=st.floats(-(2.0**99), 2.0**99, width=32),
    )
)
def test_no_number_is_off_by_more_than_half_a_step_of_its_row(
    matrix: npt.NDArray[np.float32],
) -> None:
    back = restored(PATH, stored({"w": matrix}, "int8"))["w"]
    most = np.abs(matrix).max(axis=1, initial=0, keepdims=True)
    # Below the smallest normal number, float32 itself has too few digits to divide in 127.
    assert (np.abs(back - matrix) <= most / 127 * 0.501 + 1e-37).all()


def test_a_row_of_zeros_stays_one() -> None:
    assert not restored(PATH, stored({"w": np.zeros((2, 3), np.float32)}, "int8"))["w"].any()


def _with(**changed: Any) -> Arrays:
    small = stored(weights(), "int8")
    for name, array in changed.items():
        name = {"weight": "x.weight", "scale": "x.weight.scale", "bias": "x.bias"}[name]
        if array is None:
            del small[name]
        else:
            small[name] = array
    return small


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (_with(scale=None), "no 'x.weight.scale' beside it"),
        (_with(scale=np.ones(49, np.float32)), "not one number for each row"),
        (_with(scale=np.ones((50, 1), np.float32)), "not one number for each row"),
        (_with(scale=np.ones(50, np.float16)), "is of float16, not float32"),
        (_with(scale=np.zeros(50, np.float32)), "not above 0"),
        (_with(scale=np.full(50, np.nan, np.float32)), "not finite"),
        (_with(scale=np.full(50, np.inf, np.float32)), "not finite"),
        (_with(bias=np.zeros(50, np.int8)), "no 'x.bias.scale' beside it"),
        (_with(weight=np.array(3, np.int8)), "not one number for each row of a matrix"),
        (_with(weight=np.zeros((50, 30), np.uint8)), "is of uint8, not float32, float16 or int8"),
        (_with(weight=np.zeros((50, 30))), "is of float64"),
    ],
)
def test_every_flaw_is_one_clear_error(arrays: Arrays, said: str) -> None:
    with pytest.raises(CheckpointError, match=said) as caught:
        restored(PATH, arrays)
    assert caught.value.message.startswith("model.safetensors: ")


def test_a_scale_without_its_matrix_is_an_array_like_any_other() -> None:
    # So that whoever knows the names that there may be finds it.
    assert "x.weight.scale" in restored(PATH, _with(weight=None))


def test_a_scale_that_makes_a_number_infinite_is_left_to_be_found() -> None:
    back = restored(PATH, _with(scale=np.full(50, 3e38, np.float32)))
    assert np.isinf(back["x.weight"]).any()
