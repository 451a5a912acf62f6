"""How each of the peers is made and measured, all from the same poems and on the same scale."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.peers.kneser_ney import KneserNey
from benchmarks.peers.networks import CommonLSTM, Transformer, TransformerShape
from poetgen.checkpoint import load_checkpoint
from poetgen.corpus.store import CorpusInfo
from poetgen.dataset.batches import Batches
from poetgen.dataset.context import CONTROLS
from poetgen.dataset.encoded import EncodedCorpus, EncodedSplit
from poetgen.dataset.vocabulary import BOS, PAD, UNK, UNKNOWN_NATS, Vocabulary
from poetgen.models.config import ModelConfig
from poetgen.models.network import from_checkpoint
from poetgen.training.evaluation import Perplexity, Tally, perplexity
from poetgen.training.options import TrainingOptions
from poetgen.training.recipe import Recipe
from poetgen.training.selection import select_poems
from poetgen.training.trainer import Trainer

COMMON_LENGTH, COMMON_BATCH, COMMON_LEARNING_RATE = 125, 32, 1e-3

# The Transformer's recipe: the best of what was tried, see README.md.
LEARNING_RATE, TOKEN_BUDGET, BETAS = 2e-3, 1024, (0.9, 0.95)

OnShare = Callable[[float], None]
"""Called with the share of its work, 0 to 1, that a peer has done."""


@dataclass(frozen=True)
class Task:
    """What every peer is given.

    Attributes:
        corpus: The poems, encoded.
        info: Where they came from.
        forms: The forms to train on and to be measured on.
        preset, cell: Of poetgen's own recipe.
        parameters, width, learning_rate: Of the Transformer.
        minutes: Of training.
        threads: Of torch.
        precision: fp32 or bf16, of the Transformer and poetgen.
        seed: Of weights and order.
    """

    corpus: EncodedCorpus
    info: CorpusInfo
    forms: tuple[str, ...]
    preset: str
    cell: str
    parameters: int
    width: int
    learning_rate: float
    minutes: float
    threads: int
    precision: str
    seed: int

    def split(self, name: str) -> EncodedSplit:
        """The poems of a split that have one of the forms, and nothing that is told of them."""
        return replace(select_poems(self.corpus.split(name), self.forms), contexts=None)

    @property
    def vocabulary(self) -> int:
        """The tokens there are."""
        return len(self.corpus.vocabulary)


@dataclass(frozen=True)
class Outcome:
    """What became of a peer.

    Attributes:
        measured: Of the test poems.
        parameters: Numbers that it learned.
        seconds: That it took to learn them.
        tokens: Real tokens, padding not counted, that it learned from, each as often as it was
            seen.
    """

    measured: Perplexity
    parameters: int
    seconds: float
    tokens: int


def kneser_ney(task: Task, on_share: OnShare) -> Outcome:
    """A 5-gram with modified Kneser-Ney smoothing: all poems, once."""
    train = task.split("train")
    start = time.perf_counter()
    model = KneserNey(
        train.ids,
        task.vocabulary,
        impossible=never_written(task.corpus.vocabulary),
        on_progress=lambda done, total: on_share(done / total),
    )
    seconds = time.perf_counter() - start
    test = task.split("test")
    measured = tally_of(test, model.nats(test.ids))
    return Outcome(measured, model.parameters, seconds, train.real_tokens)


def never_written(vocabulary: Vocabulary) -> tuple[int, ...]:
    """The tokens that no poem holds but as its beginning or around it."""
    return (PAD, BOS, *(vocabulary.id_of(token) for token in CONTROLS if token in vocabulary))


def tally_of(split: EncodedSplit, nats: np.ndarray) -> Perplexity:
    """Count what each token of a split cost as `poetgen.training.evaluation` does."""
    unknown = np.asarray(split.ids) == UNK
    begin = split.offsets[:-1]
    costs = np.add.reduceat(nats + unknown * UNKNOWN_NATS, begin)
    hidden = np.add.reduceat(unknown, begin, dtype=np.int64)

    def tally(chosen: np.ndarray) -> Tally:
        return Tally(
            nats=math.fsum(costs[chosen]),
            characters=int(split.characters[chosen].sum(dtype=np.int64)),
            tokens=int(np.diff(split.offsets)[chosen].sum() - chosen.sum()),
            poems=int(chosen.sum()),
            unknown_characters=int(hidden[chosen].sum()),
        )

    whole = tally(np.ones(len(split), bool))
    return Perplexity(
        whole.nats,
        whole.characters,
        whole.tokens,
        whole.poems,
        whole.unknown_characters,
        by_form={
            name: tally(split.forms == code)
            for code, name in enumerate(split.form_names)
            if (split.forms == code).any()
        },
    )


def common(task: Task, on_share: OnShare) -> Outcome:
    """The common recipe: poems padded to 125, and the padding predicted like everything else."""
    torch.manual_seed(task.seed)
    train = task.split("train")
    model = CommonLSTM(task.vocabulary)
    optimizer = torch.optim.Adam(model.parameters(), lr=COMMON_LEARNING_RATE)
    generator = np.random.default_rng(task.seed)

    def batches() -> Iterator[np.ndarray]:
        while True:
            order = generator.permutation(len(train))
            for start in range(0, len(train), COMMON_BATCH):
                ids = np.full((len(order[start : start + COMMON_BATCH]), COMMON_LENGTH), PAD)
                for row, poem in zip(ids, order[start : start + COMMON_BATCH], strict=True):
                    some = train[int(poem)][:COMMON_LENGTH]
                    row[: len(some)] = some
                yield ids

    rows = batches()

    def step(_: float) -> int:
        ids = next(rows)
        tensor = torch.from_numpy(ids)
        logits, _state = model(tensor[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), tensor[:, 1:].flatten())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        return int((ids[:, 1:] != PAD).sum())

    seconds, tokens = train_for(task.minutes, step, on_share)
    return Outcome(perplexity(model, task.split("test")), count(model), seconds, tokens)


def transformer(task: Task, on_share: OnShare) -> Outcome:
    """A Transformer as large as poetgen's network, with poetgen's batches and schedule."""
    train = task.split("train")
    batches = Batches(train, TOKEN_BUDGET, task.seed)
    longest = int(max(np.diff(part.offsets).max() for part in (train, task.split("test"))))
    shape = TransformerShape.with_parameters(task.parameters, task.vocabulary, longest, task.width)
    counts = np.bincount(train.ids, minlength=task.vocabulary)
    model = Transformer(shape, torch.from_numpy(counts), task.seed)
    matrices = [p for p in model.parameters() if p.dim() == 2 and p is not model.embedding.weight]
    others = [p for p in model.parameters() if all(p is not matrix for matrix in matrices)]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}],
        betas=BETAS,
        fused=True,
    )
    schedule = TrainingOptions(minutes=task.minutes, learning_rate=task.learning_rate)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=task.precision == "bf16")
    order = (batch for epoch in range(10**6) for batch in batches.epoch(epoch))
    steps = 0

    def step(share: float) -> int:
        nonlocal steps
        batch = next(order)
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate_at(steps, share)
        real = torch.from_numpy(np.flatnonzero(batch.mask))
        targets = torch.from_numpy(batch.targets.reshape(-1))[real]
        with autocast:
            hidden = model.hidden(torch.from_numpy(batch.inputs)).flatten(0, 1)[real]
            loss = functional.cross_entropy(model.logits(hidden).float(), targets)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps += 1
        return batch.real_tokens

    seconds, tokens = train_for(task.minutes, step, on_share)
    return Outcome(perplexity(model, task.split("test")), count(model), seconds, tokens)


def poetgen(task: Task, on_share: OnShare) -> Outcome:
    """`poetgen train`, with what validation and saving take of its minutes."""
    recipe = recipe_of(task)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        source = {"name": task.info.name, "content_hash": task.info.content_hash}
        with Trainer(
            task.corpus, model_of(task, recipe), recipe.training, folder, source=source
        ) as trainer:
            for progress in trainer.run():
                on_share(progress.share)
            seconds = trainer.position.seconds
        log = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        tokens = sum(json.loads(line)["tokens"] for line in log)
        model = from_checkpoint(load_checkpoint(folder))
    return Outcome(perplexity(model, task.split("test")), count(model), seconds, tokens)


def recipe_of(task: Task) -> Recipe:
    """What `poetgen train` would be asked to do."""
    return Recipe.of_flags(
        task.info.name,
        task.preset,
        {
            "cell": task.cell,
            "forms": task.forms,
            "minutes": task.minutes,
            "threads": task.threads,
            "device": "cpu",
            "precision": task.precision,
            "seed": task.seed,
        },
    )


def model_of(task: Task, recipe: Recipe) -> ModelConfig:
    """The shape of poetgen's network."""
    return ModelConfig(vocabulary_size=task.vocabulary, **recipe.model)


def train_for(minutes: float, step: Callable[[float], int], on_share: OnShare) -> tuple[float, int]:
    """Make steps until the time is up.

    Args:
        minutes: The time.
        step: Makes one, given the share of the time that is used; returns its real tokens.
        on_share: Called after each.

    Returns:
        The seconds it took, and all real tokens.
    """
    start = time.perf_counter()
    seconds, tokens = 0.0, 0
    while seconds < 60 * minutes:
        tokens += step(seconds / (60 * minutes))
        seconds = time.perf_counter() - start
        on_share(min(1.0, seconds / (60 * minutes)))
    return seconds, tokens


def count(model: nn.Module) -> int:
    """The number of trained numbers."""
    return sum(parameter.numel() for parameter in model.parameters())
