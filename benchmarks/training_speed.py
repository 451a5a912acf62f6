"""How fast networks are trained, against plain PyTorch measured in the same run.

1. `Trainer` against a bare hand-written loop: the same network, the same batches, torch's own
   layers, AdamW at its fastest. Real tokens a second; validation and snapshots are left out.
2. `Trainer` against the common recipe: every poem padded or cut to 125, padding in the loss.
   In 1 and 2 all products are of fp32.
3. `Trainer` in bf16 against itself in fp32, where the CPU has bf16.
4. The layers alone, forward and backward, against a matrix product on this machine, in both.

Both sides take turns in one process, so that they meet the same machine; ratios are medians over
the rounds. The poems are made up, with the lengths of the collected 诗 and 词 of Tang and Song.

    python benchmarks/training_speed.py            some ten minutes on two cores
    python benchmarks/training_speed.py --quick    a small network, to see that it runs
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, islice, product
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional

from poetgen.dataset.batches import Batches
from poetgen.dataset.encoded import EncodedCorpus, EncodedSplit
from poetgen.dataset.vocabulary import BOS, EOS, PAD, SPECIALS, Vocabulary
from poetgen.models.config import ModelConfig
from poetgen.models.cpu_layers import GRU, LSTM, RNN
from poetgen.training.devices import precision_named
from poetgen.training.options import TrainingOptions, preset_named
from poetgen.training.trainer import Trainer

VOCABULARY = 8_000
RECIPE_LENGTH, RECIPE_BATCH = 125, 128
HAS_BF16 = precision_named("auto", torch.device("cpu")) == torch.bfloat16
TORCHS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}

PRODUCTS = (torch.float32, torch.bfloat16) if HAS_BF16 else (torch.float32,)
Steps = Callable[[EncodedCorpus, ModelConfig], Iterator[int]]
"""Makes a side: trains, and gives the real tokens of each step."""

# Tokens to predict in a poem, and the share of poems that have so many. The others of the real
# corpus are spread widely: a twentieth has under 17 and a twentieth over 250, half under 85.
LENGTHS = {25: 0.04, 33: 0.25, 49: 0.20, 65: 0.22}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small network, few rounds")
    parser.add_argument("--rounds", type=int, help="of each comparison")
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--cell", choices=list(TORCHS), help="this one only")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    rounds = arguments.rounds or (2 if arguments.quick else 9)
    size = dict(preset_named("tiny" if arguments.quick else "small").model)
    size["dropout"] = 0.0
    console = Console()

    corpus = made_up_corpus(poems=4_000 if arguments.quick else 40_000)
    table = Table(
        "cell", "Trainer in", "tokens/s", "against", "tokens/s", "ratio", "middle half", "aim"
    )
    for cell in [arguments.cell] if arguments.cell else TORCHS:
        config = ModelConfig(cell=cell, vocabulary_size=VOCABULARY, **size)
        # Against the bare loop and itself step by step, so that each pair of steps is of one batch;
        # a batch of the common recipe is worth eight or so of ours.
        sides: list[tuple[str, str, Steps, int, int, str]] = [
            ("fp32", "bare loop", bare_loop, 1, 10 * rounds, "≥ 0.97"),
            ("fp32", "padded to 125", common_recipe, 8, rounds, "≥ 2.5"),
        ]
        if HAS_BF16:
            sides.append(("bf16", "itself in fp32", trainer_steps, 1, 10 * rounds, "≥ 1.6"))
        for precision, name, theirs, steps, pairs, aim in sides:
            ours = trainer_steps(corpus, config, precision)
            ratios, fast, slow = alternate(ours, theirs(corpus, config), steps, pairs)
            ratio, low, high = np.percentile(ratios, [50, 25, 75])
            table.add_row(
                cell,
                precision,
                f"{fast:,.0f}",
                name,
                f"{slow:,.0f}",
                f"{ratio:.3f}",
                f"{low:.2f} – {high:.2f}",
                aim,
            )
    console.print(table)
    console.print(layers_table(size["embedding_size"], size["hidden_size"], rounds))
    console.print(
        f"embedding {size['embedding_size']}, hidden {size['hidden_size']}, "
        f"vocabulary {VOCABULARY}; torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"{len(os.sched_getaffinity(0))} cores"
    )


def made_up_corpus(poems: int) -> EncodedCorpus:
    """Poems of random characters, the common ones more often, with lengths as of real poems."""
    rng = np.random.default_rng(0)
    rest = 1.0 - sum(LENGTHS.values())
    chosen = rng.choice([*LENGTHS, 0], size=poems, p=[*LENGTHS.values(), rest])
    spread = np.exp(rng.normal(np.log(85), 0.7, poems)).astype(np.int64).clip(10, 600)
    lengths = np.where(chosen, chosen, spread)  # EOS counts, BOS does not.
    offsets = np.concatenate(([0], np.cumsum(lengths + 1)))
    ids = len(SPECIALS) + np.minimum(rng.zipf(1.2, offsets[-1]), VOCABULARY - len(SPECIALS)) - 1
    ids[offsets[:-1]], ids[offsets[1:] - 1] = BOS, EOS
    train = EncodedSplit(
        name="train",
        ids=ids.astype(np.uint16),
        offsets=offsets,
        characters=lengths.astype(np.int32),
        forms=np.zeros(poems, np.int8),
        form_names=("其他",),
        unknown=0,
    )
    first = ord("一")
    characters = map(chr, range(first, first + VOCABULARY - len(SPECIALS)))
    none = EncodedSplit(
        "validation",
        np.zeros(0, np.uint16),
        np.zeros(1, np.int64),
        np.zeros(0, np.int32),
        np.zeros(0, np.int8),
        (),
        0,
    )
    return EncodedCorpus(
        name="made-up",
        content_hash="",
        script="simplified",
        vocabulary=Vocabulary((*SPECIALS, *characters)),
        tokenizer="char",
        splits={"train": train, "validation": none, "test": none},
    )


def options(precision: str = "fp32") -> TrainingOptions:
    training = {**preset_named("small").training, "minutes": None, "steps": 10**6}
    training["precision"] = precision
    return TrainingOptions(**training, validate_every=10**9, snapshot_every=10**9)


def trainer_steps(
    corpus: EncodedCorpus, config: ModelConfig, precision: str = "fp32"
) -> Iterator[int]:
    """The trainer, a step at a time; gives the real tokens of each."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Trainer(corpus, config, options(precision), Path(folder) / "run", source={}) as trainer,
    ):
        budget = trainer.options.token_budget
        batches = Batches(corpus.split("train"), budget, trainer.options.seed, max_length=200)
        tokens = (batch.real_tokens for epoch in count() for batch in batches.epoch(epoch))
        for _ in trainer.run():
            yield next(tokens)


class PlainModel(nn.Module):
    """The same network as one would write it down, with torch's own layers."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size)
        self.recurrent = TORCHS[config.cell](
            config.embedding_size, config.hidden_size, config.num_layers, batch_first=True
        )
        self.projection = nn.Linear(config.hidden_size, config.embedding_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary_size))
        nn.init.normal_(self.embedding.weight, std=0.05)

    def forward(self, ids: Tensor) -> Tensor:
        hidden, _ = self.recurrent(self.embedding(ids))
        if self.projection.in_features != self.projection.out_features:
            hidden = self.projection(hidden)
        return functional.linear(hidden, self.embedding.weight, self.bias)


def train_step(model: PlainModel, optimizer: torch.optim.Optimizer, ids: Tensor, pad: int) -> None:
    logits = model(ids[:, :-1])
    loss = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=pad)
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def bare_loop(corpus: EncodedCorpus, config: ModelConfig) -> Iterator[int]:
    """The trainer's own batches through a plain loop, with the fastest AdamW that torch has."""
    chosen = options()
    model = PlainModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    batches = Batches(corpus.split("train"), chosen.token_budget, chosen.seed, max_length=200)
    for epoch in count():
        for batch in batches.epoch(epoch):
            train_step(model, optimizer, torch.from_numpy(batch.ids), PAD)
            yield batch.real_tokens


def common_recipe(corpus: EncodedCorpus, config: ModelConfig) -> Iterator[int]:
    """Every poem 125 long, 128 of them in a batch, and padding predicted like everything else."""
    train = corpus.split("train")
    model = PlainModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    rng = np.random.default_rng(0)
    while True:
        ids = np.full((RECIPE_BATCH, RECIPE_LENGTH), PAD, np.int64)
        for row, poem in zip(ids, rng.integers(len(train), size=RECIPE_BATCH), strict=True):
            some = train[int(poem)][:RECIPE_LENGTH]
            row[: len(some)] = some
        train_step(model, optimizer, torch.from_numpy(ids), -100)
        yield int((ids[:, 1:] != PAD).sum())


def alternate(
    ours: Iterator[int], theirs: Iterator[int], steps: int, rounds: int
) -> tuple[list[float], float, float]:
    """Take turns, `steps` of ours and one of theirs; the ratio of each turn, the median speeds."""
    for side in (ours, theirs):
        next(side), next(side)  # To warm up.
    turns = [(speed(ours, steps), speed(theirs, 1)) for _ in range(rounds)]
    ratios = [a / b for a, b in turns]
    return ratios, statistics.median(a for a, _ in turns), statistics.median(b for _, b in turns)


def speed(side: Iterator[int], steps: int) -> float:
    """Real tokens a second over some steps."""
    start = time.perf_counter()
    tokens = sum(islice(side, steps))
    return tokens / (time.perf_counter() - start)


def layers_table(embedding: int, hidden: int, rounds: int) -> Table:
    """GFLOP/s of one layer, forward and backward, by batch and precision."""
    layers: dict[str, tuple[nn.RNNBase, int]] = {
        "nn.LSTM": (nn.LSTM(embedding, hidden, batch_first=True), 4),
        "our LSTM": (LSTM(embedding, hidden, batch_first=True), 4),
        "nn.GRU": (nn.GRU(embedding, hidden, batch_first=True), 3),
        "our GRU": (GRU(embedding, hidden, batch_first=True), 3),
        "nn.RNN": (nn.RNN(embedding, hidden, batch_first=True), 1),
        "our RNN": (RNN(embedding, hidden, batch_first=True), 1),
    }
    table = Table("GFLOP/s, B x T", *layers, "matrix product")
    for (B, T), dtype in product(((16, 64), (20, 49), (30, 33), (40, 25)), PRODUCTS):
        inputs = torch.randn(B, T, embedding, requires_grad=True)
        left = torch.randn(B * T, embedding + hidden).to(dtype)
        right = torch.randn(embedding + hidden, 4 * hidden).to(dtype)
        jobs: dict[str, tuple[Callable[[], object], float]] = {
            # Two operations a weight and token, and twice as much again on the way back.
            name: (run_layer(layer, inputs, dtype), 6.0 * B * T * gates * hidden * right.shape[0])
            for name, (layer, gates) in layers.items()
        }
        jobs["matrix product"] = (partial(torch.mm, left, right), 2.0 * left.numel() * 4 * hidden)
        times: dict[str, list[float]] = {name: [] for name in jobs}
        for _ in range(rounds + 1):
            for name, (job, _) in jobs.items():
                start = time.perf_counter()
                job()
                times[name].append(time.perf_counter() - start)
        table.add_row(
            f"{B} x {T}, {'bf16' if dtype == torch.bfloat16 else 'fp32'}",
            *(
                f"{work / statistics.median(times[name][1:]) / 1e9:.0f}"
                for name, (_, work) in jobs.items()
            ),
        )
    return table


def run_layer(layer: nn.RNNBase, inputs: Tensor, dtype: torch.dtype) -> Callable[[], object]:
    def job() -> None:
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            outputs = layer(inputs)[0]
        torch.autograd.backward(outputs.float().sum())

    return job


if __name__ == "__main__":
    main()
