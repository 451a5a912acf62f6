"""How fast poems are written on a CPU, against the common way, measured in the same run.

The common way is one `nn.LSTM` step a character at batch 1 with torch as its users get it, drawing
each character by itself: one draft, no rules. Ours is a poem that keeps its form and heads, the
best-led of 32 drafts; and, as the common way does it, a single draft with nothing but form and
heads kept. Weights are random, which is the slow case: drafts of a trained model share more of
their past.

    python benchmarks/writing_speed.py                 about two minutes
    python benchmarks/writing_speed.py --model lstm    a trained model instead
    python benchmarks/writing_speed.py --quick         a small network, to see that it runs
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

# As the command does, before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from poetgen import Poet
from poetgen.checkpoint import load_checkpoint, save_weights, write_description
from poetgen.dataset.vocabulary import BOS, SPECIALS, Vocabulary
from poetgen.models.config import ModelConfig
from poetgen.models.network import Network, from_checkpoint
from poetgen.writing.options import SamplingOptions
from poetgen.writing.request import acrostic_request

HEADS = "春夏秋冬"
STEPS = 4 * 8 + 1  # Of a 七绝: 28 characters, 4 marks, the end.


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cell", default="lstm", choices=["rnn", "lstm", "gru"])
    parser.add_argument("--model", help="a checkpoint; without it, random weights of `base` size")
    parser.add_argument("--quick", action="store_true", help="a small network, few repetitions")
    arguments = parser.parse_args()
    repeats = 3 if arguments.quick else 7
    batch = 10 if arguments.quick else 100

    table = Table("what", "seconds", "against", "seconds", "ratio", "aim")
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or write_model(
            Path(folder) / "model", arguments.cell, arguments.quick
        )
        network = from_checkpoint(load_checkpoint(model))
        poet = Poet.load(model)
        request = acrostic_request(HEADS)

        common, one = alternating(
            lambda: write_the_common_way(network), lambda: poet.write([request], [1]), repeats
        )
        add(table, "a 七绝, 32 particles", one, "the common way", common, "≤ 1.00")
        several = timed(lambda: poet.write([request] * batch, range(batch))) / batch
        add(table, f"a 七绝 of {batch} in a batch", several, "the common way", common, "")
        bare, plain = acrostic_request(HEADS, tones="off"), SamplingOptions(decoding="plain")
        job = partial(poet.write, [bare] * batch, range(batch), plain, rank=False)
        job()
        single = statistics.median(timed(job) for _ in range(repeats)) / batch
        add(table, "the same, one draft, no rules", single, "the common way", common, "≤ 0.05")

        command = [sys.executable, "-m", "poetgen", "acrostic", HEADS, "--model", str(model)]
        cold, importing = alternating(
            lambda: run(command), lambda: run([sys.executable, "-c", "import torch"]), repeats
        )
        add(table, "the command, from cold", cold, "import torch", importing, "≤ 0.60")
        helping, nothing = alternating(
            lambda: run([sys.executable, "-m", "poetgen", "--help"]),
            lambda: run([sys.executable, "-c", "pass"]),
            repeats,
        )
        add(table, "poetgen --help", helping, "python alone", nothing, "< 0.2 s")
    console = Console()
    console.print(table)
    console.print(
        f"{describe(network.config)}; medians of {repeats}; "
        f"{1 / several:.2f} poems/s in the batch, {1 / single:.1f} of one draft without rules, "
        f"against {1 / common:.2f}; "
        f"{len(os.sched_getaffinity(0))} cores, {torch.get_num_threads()} threads in torch"
    )


def write_model(folder: Path, cell: str, quick: bool) -> Path:
    """A checkpoint of `base` size with random weights."""
    size = 1_000 if quick else 8_000
    first = ord("一")
    characters = dict.fromkeys(HEADS + "".join(map(chr, range(first, first + size))))
    vocabulary = Vocabulary((*SPECIALS, *"，。！？；：、", *characters)[:size])
    config = ModelConfig(
        cell=cell,
        vocabulary_size=len(vocabulary),
        embedding_size=64 if quick else 512,
        hidden_size=128 if quick else 1024,
        num_layers=2,
    )
    rng = np.random.default_rng(0)
    arrays = {
        name: 0.05 * rng.standard_normal(shape, dtype=np.float32)
        for name, shape in config.parameter_shapes().items()
    }
    write_description(
        folder,
        model=config,
        tokenizer="char",
        script="simplified",
        vocabulary=vocabulary,
        corpus={},
        training={},
    )
    save_weights(folder, arrays, {})
    return folder


@torch.no_grad()
def write_the_common_way(network: Network) -> None:
    """As many characters as a 七绝 has, one step and one draw each."""
    token, state = torch.tensor([[BOS]]), None
    for _ in range(STEPS):
        logits, state = network(token, state)
        token = torch.multinomial(logits[:, -1].softmax(dim=-1), 1)


def alternating(
    one: Callable[[], object], other: Callable[[], object], repeats: int
) -> tuple[float, float]:
    """The median seconds of two jobs, taken in turn so that both meet the same machine."""
    one(), other()
    pairs = [(timed(one), timed(other)) for _ in range(repeats)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def timed(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def run(command: list[str]) -> None:
    # An installed package is compiled once; so is this one, unless that is forbidden.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)


def describe(config: ModelConfig) -> str:
    return (
        f"{config.cell}, {config.num_layers} x {config.hidden_size}, "
        f"embedding {config.embedding_size}, vocabulary {config.vocabulary_size}"
    )


def add(table: Table, what: str, ours: float, against: str, theirs: float, aim: str) -> None:
    table.add_row(what, f"{ours:.3f}", against, f"{theirs:.3f}", f"{ours / theirs:.2f}", aim)


if __name__ == "__main__":
    main()
