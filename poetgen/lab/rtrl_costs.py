"""What real-time recurrent learning costs beside backpropagation through time, as networks and
sequences grow: bytes by the formulas and as measured, seconds, both methods in the same run.

Both go through the same steps of the reference cells, one token at a time, and what comes after the
recurrence is left out: the slopes of the losses are given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from poetgen.dataset.encoded import EncodedCorpus
from poetgen.errors import TrainingError
from poetgen.lab.gradients import Network, Settings, config_of, draw_sequences, make_model
from poetgen.lab.memory import peak_bytes
from poetgen.lab.rtrl import Method, Recurrence, bptt, loss_gradients, rtrl
from poetgen.models.reference_cells import step_of

RTRL, BPTT = "rtrl", "bptt"
METHODS: dict[str, Method] = {RTRL: rtrl, BPTT: bptt}

_TIMES, _ENOUGH = 7, 1.0
# A method is timed so often, or until it has taken so many seconds, but at least twice.


@dataclass(frozen=True, slots=True)
class Price:
    """What a method takes for the gradient of one sequence.

    Attributes:
        keeps: Bytes that it must have at once, by its formula; the gradient itself, which comes
            out of both, is not counted.
        peak: Bytes of tensors that it held at most, measured; all counted but what it was given.
        seconds: The fastest of several runs.
    """

    keeps: int
    peak: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Costs:
    """Both methods at one size.

    Attributes:
        network: Which.
        hidden_size: H, and the width of a token's vector too.
        steps: T.
        parameters: N.
        prices: By the names in `METHODS`.
        difference: Between the two gradients of a poem's loss, the largest of all parameters'
            greatest difference over their greatest number.
    """

    network: Network
    hidden_size: int
    steps: int
    parameters: int
    prices: dict[str, Price]
    difference: float

    @property
    def time_ratio(self) -> float:
        """The time of RTRL over that of BPTT."""
        return self.prices[RTRL].seconds / self.prices[BPTT].seconds


@dataclass(frozen=True, slots=True)
class Growth:
    """By which power of a size a method's price grows, between the two largest sizes measured.

    Attributes:
        network: Which.
        method: A name in `METHODS`.
        along: "hidden size" at the longest sequence, or "steps" at the largest hidden size.
        smaller, larger: The two sizes.
        keeps, peak, seconds: The exponents: 1 where twice the size costs twice as much, 0 where it
            costs the same.
    """

    network: Network
    method: str
    along: str
    smaller: int
    larger: int
    keeps: float
    peak: float
    seconds: float


def measure_costs(
    networks: Sequence[Network],
    corpus: EncodedCorpus,
    hidden_sizes: Sequence[int],
    lengths: Sequence[int],
    *,
    dtype: str = "float32",
    seed: int = 0,
) -> Iterator[Costs]:
    """Measure both methods at every hidden size and every length, on pieces of a corpus.

    Args:
        networks: What to measure.
        corpus: Where the pieces come from.
        hidden_sizes: Of the networks' states.
        lengths: Of the pieces, in tokens.
        dtype: Of all numbers: float32 or float64.
        seed: Of the weights and the pieces.

    Raises:
        TrainingError: The corpus is shorter than a sequence, or a cell cannot be seen step by step.
    """
    precision: torch.dtype = getattr(torch, dtype)
    ids = corpus.split("train").ids
    if len(ids) <= max(lengths):
        raise TrainingError(
            f"--lengths has {max(lengths)}, but {corpus.name} has {len(ids):,} tokens",
            hint="take shorter sequences or a larger corpus",
        )
    counts = corpus.token_counts()
    for network in networks:
        step_of(config_of(network, len(counts), Settings()))  # Complains now.
    for network in networks:
        for H in hidden_sizes:
            for T in lengths:
                settings = Settings(steps=T, hidden_size=H, seed=seed)
                model = make_model(network, len(counts), settings, counts).to(precision)
                (piece,) = draw_sequences(ids, T, 1, np.random.default_rng(seed))
                found = [
                    loss_gradients(model, piece, method)[1].values() for method in METHODS.values()
                ]
                least = torch.finfo(precision).tiny
                difference = max(
                    float((a - b).abs().max() / b.abs().max().clamp(min=least))
                    for a, b in zip(*found, strict=True)
                )
                f = Recurrence.of(model)
                yield Costs(network, H, T, len(f.theta), _prices(f, piece[:-1], seed), difference)


def _prices(f: Recurrence, tokens: Tensor, seed: int) -> dict[str, Price]:
    generator = torch.Generator().manual_seed(seed)
    slopes = torch.randn(len(tokens), f.hidden_size, generator=generator).to(f.theta)
    keeps = kept_numbers(f, len(tokens))
    prices: dict[str, Price] = {}
    for name, method in METHODS.items():
        run = partial(method, f, tokens, lambda t, _: slopes[t])
        peak = peak_bytes(run, (f.theta, f.given_vectors, slopes, tokens))
        prices[name] = Price(keeps[name] * f.theta.itemsize, peak, _fastest(run))
    return prices


def _fastest(run: Callable[[], object]) -> float:
    times: list[float] = []
    while len(times) < 2 or (len(times) < _TIMES and sum(times) < _ENOUGH):
        before = time.perf_counter()
        run()
        times.append(time.perf_counter() - before)
    return min(times)


def kept_numbers(f: Recurrence, T: int) -> dict[str, int]:
    """How many numbers each method must have at once, by its formula.

    RTRL has P and the state. BPTT has of each step what the way back needs: the input, the gates,
    the state; and the state before the first.
    """
    N, state = len(f.theta), len(f.start())
    x = f.given_vectors[0]
    _, gates = f.step(x, f.start().chunk(f.states), f.layer(f.named(f.theta)))
    return {
        RTRL: state * N + state,
        BPTT: T * (len(x) + len(gates) * f.hidden_size + state) + state,
    }


def growth_of(found: Sequence[Costs]) -> list[Growth]:
    """The exponents of what was measured; none along a size of which there was only one."""
    grown: list[Growth] = []
    for network in dict.fromkeys(costs.network for costs in found):
        mine = {(c.hidden_size, c.steps): c for c in found if c.network == network}
        sizes, lengths = (sorted(set(axis)) for axis in zip(*mine, strict=True))
        along_sizes = [(H, lengths[-1]) for H in sizes[-2:]]
        along_steps = [(sizes[-1], T) for T in lengths[-2:]]
        for along, axis, ends in (
            ("hidden size", sizes, along_sizes),
            ("steps", lengths, along_steps),
        ):
            if len(axis) < 2:
                continue
            low, high = axis[-2:]
            for method in METHODS:
                first, last = (mine[end].prices[method] for end in ends)
                powers = {
                    name: math.log(getattr(last, name) / getattr(first, name), high / low)
                    for name in ("keeps", "peak", "seconds")
                }
                grown.append(Growth(network, method, along, low, high, **powers))
    return grown
