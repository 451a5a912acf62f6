"""The arithmetic of choosing, where no chance is involved."""

import numpy as np

from poetgen.writing.choice import draw_tokens, resample


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
