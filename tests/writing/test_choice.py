"""The arithmetic of choosing, where no chance is involved."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.writing.choice import (
    Floats,
    draw_tokens,
    keep_likeliest,
    nth_largest,
    resample,
)


def a_row(seed: int, size: int, spread: float, allowed: float) -> Floats:
    """Masses as they come: steep or flat, many of them 0, some of them equal."""
    random = np.random.default_rng(seed)
    row = np.exp(np.round(random.normal(0, spread, size), 1)).astype(np.float32)
    row[random.random(size) >= allowed] = 0
    return row


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([5, 64, 65, 3000]),
    st.sampled_from([0.1, 2.5, 8.0]),
    st.sampled_from([0.0, 0.01, 0.5, 1.0]),
    st.sampled_from([0, 1, 3, 40, 2999]),
    st.sampled_from([1e-9, 0.1, 0.5, 0.9, 0.999, 1.0]),
)
def test_the_likeliest_are_kept_and_no_others(
    seed: int, size: int, spread: float, allowed: float, top_k: int, top_p: float
) -> None:
    row = a_row(seed, size, spread, allowed)
    kept = row[np.newaxis].copy()
    keep_likeliest(kept, top_k, top_p)
    # The definition: so many of the largest, then the fewest that hold the share; ties stay.
    descending = np.sort(row)[::-1].astype(np.float64)
    if 0 < top_k < size:
        descending = descending[descending >= descending[top_k - 1]]
    held = np.cumsum(descending)
    count = int((held < top_p * held[-1] * (1 - 1e-12)).sum()) + 1
    least = descending[min(count, size) - 1] if top_p < 1 else descending[-1]
    expected = np.where(row >= least, row, 0)
    assert kept[0].tolist() == expected.tolist()


@pytest.mark.parametrize("size", [1, 63, 64, 65, 1000, 5000])
def test_the_nth_largest_is_that_of_all_when_sorted(size: int) -> None:
    for seed, allowed in ((1, 1.0), (2, 0.3), (3, 0.0)):
        values = np.log(np.maximum(a_row(seed, size, 2.0, allowed), 1e-30))
        values[values < -60] = -np.inf
        for n in {1, min(2, size), min(40, size), size}:
            assert nth_largest(values, n) == np.sort(values)[-n]


def test_a_token_is_drawn_as_often_as_its_share_in_a_large_vocabulary() -> None:
    # 200 tokens are more than one block of the two-step draw. One uniform a draw, evenly spread:
    # then counts are the shares to within one, with no chance involved.
    random = np.random.default_rng(0)
    mass = random.random((2, 200)).astype(np.float32)
    mass[:, random.random(200) < 0.4] = 0
    mass[1, :130] = 0
    uniforms = (np.arange(20_000) + 0.5) / 20_000
    for row in (0, 1):
        tokens = draw_tokens(mass, np.full(20_000, row), uniforms)
        shares = mass[row] / mass[row].sum(dtype=np.float64)
        assert np.abs(np.bincount(tokens, minlength=200) - 20_000 * shares).max() < 1.1
    extremes = draw_tokens(mass, np.array([1, 1]), np.array([0.0, 1 - 2**-53]))
    assert list(extremes) == list(np.flatnonzero(mass[1])[[0, -1]])


def test_resampling_keeps_each_particle_as_often_as_its_weight_to_within_one() -> None:
    log_weights = np.log([0.5, 0.3, 0.15, 0.05]) - 700
    for uniform in (0.0, 0.3, 0.999999):
        chosen = resample(log_weights, 10, uniform)
        counts = np.bincount(chosen, minlength=4)
        assert np.abs(counts - 10 * np.exp(log_weights + 700)).max() < 1
