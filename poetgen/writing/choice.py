"""The arithmetic of choosing a token: masses, filters, draws and resampling, on whole arrays.

It knows rows of numbers; nothing of particles, constraints or networks. k is the rows, one a
particle, and V the tokens.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

LEAST_LOG_PROBABILITY = -1e4
"""What counts as impossible to the model is only this unlikely, so that sums stay finite and a
constraint can always be met."""

_UNDERFLOW = 1e-30
"""A sum of float32 exponentials under this has lost its precision."""

_BLOCK = 64
"""Tokens that are summed together before one of them is drawn."""


def log_normalised(logits: Floats) -> Floats:
    """Log probabilities of logits, (k, V) both."""
    with np.errstate(over="ignore"):
        log_probability: Floats = logits - logits.max(axis=1, keepdims=True)
    log_probability -= np.log(np.exp(log_probability).sum(axis=1, keepdims=True))
    return log_probability


def allowed_mass(
    log_probability: Floats, allowed: Mask, temperature: float
) -> tuple[Floats, Doubles]:
    """What the model gives to what is allowed.

    Args:
        log_probability: (k, V).
        allowed: (k, V).
        temperature: What the log probabilities are divided by.

    Returns:
        For each row, weights in proportion to the tokens' probabilities, 0 where not allowed,
        (k, V); and the log of the probability of all that is allowed, (k,), -inf for nothing.
    """
    with np.errstate(over="ignore"):
        mass = log_probability - log_probability.max(axis=1, keepdims=True)
        mass /= np.float32(temperature)
    np.exp(mass, out=mass)
    total = mass.sum(axis=1)
    mass *= allowed
    kept = mass.sum(axis=1)
    with np.errstate(divide="ignore"):
        log_kept: Doubles = np.log(kept, dtype=np.float64)
    for row in np.flatnonzero(kept < _UNDERFLOW):
        # All that is allowed is so unlikely that float32 has lost it: measure from its likeliest.
        if allowed[row].any():
            least = log_probability[row, allowed[row]] - log_probability[row].max()
            least = np.maximum(least, LEAST_LOG_PROBABILITY) / temperature
            mass[row, allowed[row]] = np.exp(least - least.max())
            log_kept[row] = least.max() + np.log(mass[row].sum())
    return mass, log_kept - np.log(total)


def draw_tokens(mass: Floats, rows: Integers, uniforms: Doubles) -> Integers:
    """Draw a token for each of `rows` of `mass`, (k, V), by the inverse of its distribution.

    In two steps, first a block of tokens and then the token: a running sum over all of a large
    vocabulary takes longer than all else here together.
    """
    edges = np.arange(0, mass.shape[1], _BLOCK)
    below = np.cumsum(np.add.reduceat(mass, edges, axis=1), axis=1, dtype=np.float64)
    tokens = np.empty(len(rows), np.int64)
    for i, (row, uniform) in enumerate(zip(rows, uniforms, strict=True)):
        ends = below[row]  # (V / _BLOCK,)
        point = uniform * ends[-1]
        block = ends.searchsorted(point, side="right")
        start = ends[block - 1] if block else 0.0
        inside = mass[row, block * _BLOCK : (block + 1) * _BLOCK].cumsum(dtype=np.float64)
        # Where in the block, as a share: the two sums of a block may differ in the last bit.
        share = (point - start) / (ends[block] - start)
        tokens[i] = block * _BLOCK + inside.searchsorted(share * inside[-1], side="right")
    return tokens


def keep_likeliest(mass: Floats, top_k: int, top_p: float) -> None:
    """Set to 0 what top-k and then top-p leave out of each row of `mass`, (k, V), in place."""
    if 0 < top_k < mass.shape[1] or top_p < 1:
        least = np.array([_least_kept(row, top_k, top_p) for row in mass], mass.dtype)
        mass *= mass >= least[:, np.newaxis]


def _least_kept(row: Floats, top_k: int, top_p: float) -> float:
    """The least of a row, (V,), that top-k and then top-p keep."""
    least = nth_largest(row, top_k) if 0 < top_k < len(row) else np.float32(0)
    if top_p == 1:
        return float(least)
    total = row.sum(where=row >= least, dtype=np.float64)
    # To sort a row takes ten times longer than to sort those of it that matter.
    for share in (1e-3, 1e-6, 0.0):
        descending = np.sort(row[row >= max(least, row.max() * np.float32(share))])[::-1]
        below = np.cumsum(descending, dtype=np.float64)
        if below[-1] >= top_p * total:
            return float(descending[below.searchsorted(top_p * total)])
    return float(least)


def nth_largest(values: Floats, n: int) -> np.float32:
    """The n-th largest of some values, (N,).

    In two steps, first the blocks that it can be in: `np.partition` over all of them is slow when
    most are equal, as those that are not allowed are.
    """
    if n * _BLOCK < len(values):
        highest = np.maximum.reduceat(values, np.arange(0, len(values), _BLOCK))
        values = values[values >= np.partition(highest, -n)[-n]]
    least: np.float32 = np.partition(values, -n)[-n]
    return least


def resample(log_weights: Doubles, count: int, uniform: float) -> Integers:
    """Choose `count` of the weighted, each as often as its share of the weight to within one.

    Systematic resampling: `uniform` in [0, 1) decides for all.
    """
    below = np.cumsum(np.exp(log_weights - log_weights.max()))
    points = (uniform + np.arange(count)) / count * below[-1]
    last = len(below) - 1  # Where rounding carries the last point past the end.
    chosen: Integers = np.searchsorted(below, points, side="right").clip(max=last)
    return chosen


def effective_size(log_weights: Doubles) -> float:
    """How many equally weighted particles these are worth: (Σw)² / Σw² (Kong 1992)."""
    if not len(log_weights):
        return 0.0
    weights = np.exp(log_weights - log_weights.max())
    return float(weights.sum() ** 2 / (weights**2).sum())


def log_sum(log_weights: Doubles) -> float:
    """The logarithm of Σw."""
    return float(log_weights.max() + np.log(np.exp(log_weights - log_weights.max()).sum()))
