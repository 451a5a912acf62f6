"""Cells on equal terms: the same poems, as many parameters, the same time, one after the other.

Each cell is trained by the ordinary trainer in a folder of its own, and what is there at the end is
an ordinary checkpoint. So that none is favoured, every network has the same depth and the same
width of token vectors; its hidden size is solved for, so that all have as nearly as possible the
same number of parameters. The recipe is the preset's, with the share of its learning rate that a
cell bears.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poetgen import files
from poetgen.checkpoint import load_checkpoint
from poetgen.corpus.store import open_corpus
from poetgen.dataset.encoded import EncodedCorpus, encode_corpus
from poetgen.errors import TemplateError, TrainingError
from poetgen.lab.terms import RECORD, Terms, fit_hidden_size, refuse_other
from poetgen.models.config import ModelConfig
from poetgen.models.network import from_checkpoint
from poetgen.training.evaluation import perplexity
from poetgen.training.plots import METRICS
from poetgen.training.progress import TrainingProgress
from poetgen.training.recipe import Recipe
from poetgen.training.selection import select_poems
from poetgen.training.trainer import Trainer
from poetgen.writing.engine import engine_for
from poetgen.writing.poet import Poet


@dataclass(frozen=True, slots=True)
class Contestant:
    """A network that takes part.

    Attributes:
        name: As it was asked for.
        config: Its shape.
        recipe: How it is trained.
        folder: Where.
    """

    name: str
    config: ModelConfig
    recipe: Recipe
    folder: Path


@dataclass(frozen=True, slots=True)
class Turn:
    """A step of a network's training."""

    contestant: Contestant
    trainer: Trainer
    progress: TrainingProgress


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a network.

    Attributes:
        name: As it was asked for.
        checkpoint: Its folder.
        hidden_size: Its units.
        parameters: The numbers that it has.
        steps: Steps of its training.
        seconds: The time that it had, validations included.
        tokens_per_second: Real tokens; the median over its steps, validations not included.
        validated: Seconds at which it was validated, and the nats per character found there.
        perplexity: Per character, the best of these; None where there was no poem to validate on.
        test_perplexity: Per character on the test poems; None where there are none.
        gradient_norm: The median of its steps, before clipping.
        largest_gradient_norm: The largest.
        clipped: The share of its steps whose gradient was scaled down.
        poem: Its acrostic.
    """

    name: str
    checkpoint: str
    hidden_size: int
    parameters: int
    steps: int
    seconds: float
    tokens_per_second: float
    validated: tuple[tuple[float, float], ...]
    perplexity: float | None
    test_perplexity: float | None
    gradient_norm: float
    largest_gradient_norm: float
    clipped: float
    poem: str

    def seconds_to(self, nats: float) -> float | None:
        """When it was first as good as this many nats per character; None for never.

        Between two validations on a straight line; before the first nothing is known.
        """
        before: tuple[float, float] | None = None
        for seconds, measured in self.validated:
            if measured <= nats:
                if before is None:
                    return seconds
                share = (before[1] - nats) / (before[1] - measured)
                return before[0] + share * (seconds - before[0])
            before = seconds, measured
        return None


def losers_best(outcomes: Sequence[Outcome]) -> float | None:
    """The nats per character of that network's best validation that is worst at its best."""
    bests = [min(nats for _, nats in o.validated) for o in outcomes if o.validated]
    return max(bests) if bests else None


class Comparison:
    """Trains networks on equal terms, in turn, in the folders of a folder.

    Args:
        terms: What takes part, and what they have in common.
        folder: Where all is kept.
        resume: Whether to go on with the comparison that is there, if one is: what is finished is
            not trained again.

    Raises:
        TrainingError: There is no such network, none has so few or many parameters, or the folder
            holds something that is not to be resumed, or that had other terms.
        CorpusError: There is no such corpus.
        TemplateError: The heads are no heads.

    Attributes:
        contestants: The networks.
        outcomes: Of those that are finished, in order.
        stopping: Whether it was asked to stop.
    """

    def __init__(self, terms: Terms, folder: Path, *, resume: bool) -> None:
        if len(set(terms.cells)) < len(terms.cells):
            raise TrainingError("--cells names a network twice", hint="name each once")
        refuse_other(folder, terms, resume=resume)
        self._form = terms.form()
        for name in terms.cells:
            terms.recipe(name, 1)  # Complains now, not after the corpus is read.
        source = open_corpus(terms.corpus)
        self._encoded: EncodedCorpus = encode_corpus(source)
        info = source.info
        self._source = {
            "name": info.name,
            "content_hash": info.content_hash,
            "licence": info.licence,
            "poems": info.poems,
        }
        size = len(self._encoded.vocabulary)
        target = terms.target(size)
        self.terms = dataclasses.replace(terms, parameters=target)
        self.folder = folder
        self.contestants = [self._contestant(name, size, target) for name in terms.cells]
        self.outcomes: list[Outcome] = []
        self.stopping = False
        self._resume = resume
        self._trainer: Trainer | None = None

    def _contestant(self, name: str, vocabulary_size: int, parameters: int) -> Contestant:
        fields = dict(self.terms.recipe(name, 1).model)
        hidden_size = fit_hidden_size(fields, vocabulary_size, parameters)
        recipe = self.terms.recipe(name, hidden_size)
        config = recipe.network(self._encoded.vocabulary)
        return Contestant(name, config, recipe, self.folder / name.replace(":", "-"))

    def stop(self) -> None:
        """Ask for an end after the step in hand, with a snapshot. Safe in a signal handler."""
        self.stopping = True
        if self._trainer is not None:
            self._trainer.stop()

    def run(self) -> Iterator[Turn | Outcome]:
        """Train what is not finished, and measure each network when it is.

        Yields:
            A record of each step, and the outcome of each network.

        Raises:
            TrainingError: A network's loss is no number any more, memory is out, or saving failed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._save()
        for contestant in self.contestants:
            if self.stopping:
                return
            trainer = self._trainer = Trainer(
                self._encoded,
                contestant.config,
                contestant.recipe.training,
                contestant.folder,
                source=self._source,
                resume=self._resume,
            )
            with trainer:
                contestant.recipe.save(contestant.folder)
                for progress in trainer.run():
                    yield Turn(contestant, trainer, progress)
            if not trainer.finished:
                return
            self.outcomes.append(self._outcome(contestant))
            self._save()
            yield self.outcomes[-1]

    def _save(self) -> None:
        record = {"terms": dataclasses.asdict(self.terms), "cells": records(self.outcomes)}
        text = json.dumps(record, ensure_ascii=False, indent=2)
        files.write_text(self.folder / RECORD, text + "\n")

    def _outcome(self, contestant: Contestant) -> Outcome:
        log = _read_log(contestant.folder)
        norms = [record["gradient_norm"] for record in log]
        validated = tuple(
            (record["seconds"], record["validation_nats_per_character"])
            for record in log
            if "validation_nats_per_character" in record
        )
        test_perplexity, poem = self._measure(contestant)
        return Outcome(
            name=contestant.name,
            checkpoint=str(contestant.folder),
            hidden_size=contestant.config.hidden_size,
            parameters=contestant.config.parameter_count(),
            steps=len(log),
            seconds=log[-1]["seconds"],
            tokens_per_second=_speed(log),
            validated=validated,
            perplexity=math.exp(min(nats for _, nats in validated)) if validated else None,
            test_perplexity=test_perplexity,
            gradient_norm=statistics.median(norms),
            largest_gradient_norm=max(norms),
            clipped=sum(record["clipped"] for record in log) / len(log),
            poem=poem,
        )

    def _measure(self, contestant: Contestant) -> tuple[float | None, str]:
        """The perplexity on the test poems of the best weights, and their acrostic."""
        checkpoint = load_checkpoint(contestant.folder)
        test = select_poems(self._encoded.split("test"), self.terms.forms)
        measured = None
        if len(test):
            assert self._trainer is not None
            device = self._trainer.device
            measured = perplexity(from_checkpoint(checkpoint, device), test, device=device)
        poet = Poet.of(checkpoint, engine_for(checkpoint, "cpu"))
        try:
            poem = poet.acrostic(self.terms.heads, self._form, seed=self.terms.seed)[0].text
        except TemplateError as error:  # A vocabulary may be too small for the rules.
            poem = f"({error.message})"
        return (None if measured is None else measured.per_character), poem


def records(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The outcomes as JSON can hold them, each with its seconds to the loser's best."""
    nats = losers_best(outcomes)
    return [
        {
            **dataclasses.asdict(outcome),
            "seconds_to_losers_best": None if nats is None else outcome.seconds_to(nats),
        }
        for outcome in outcomes
    ]


def _read_log(folder: Path) -> list[dict[str, Any]]:
    text = (folder / METRICS).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _speed(log: Sequence[Mapping[str, Any]]) -> float:
    # A median, since a step after a validation or a snapshot has its time in it too.
    before, speeds = 0.0, []
    for record in log:
        if record["seconds"] > before:
            speeds.append(record["tokens"] / (record["seconds"] - before))
        before = record["seconds"]
    return statistics.median(speeds) if speeds else 0.0
