"""Train a network to tell poems apart, measure how well it does, and ask it about a text.

The loop is that of any trainer here: batches of poems of like length, AdamW, the learning rate up
and then down over the budget, the gradient clipped; the weights that were best on the validation
poems are kept. It stops after any step and goes on exactly from there. It never prints.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from poetgen.corpus.script import to_simplified
from poetgen.dataset.batches import Batch, Batches
from poetgen.dataset.encoded import EncodedCorpus
from poetgen.dataset.labelled import LabelledPoems, Target, labelled_parts, read_ids
from poetgen.errors import TrainingError
from poetgen.lab.classifier_files import (
    Description,
    TrainedClassifier,
    save_weights,
    write_description,
)
from poetgen.lab.confusion import Confusion
from poetgen.models.classifier import Classifier
from poetgen.training.devices import device_named
from poetgen.training.optimization import is_out_of_memory, make_optimizer
from poetgen.training.resume import (
    Position,
    locked,
    read_snapshot,
    refuse_used_folder,
    restore,
    save_snapshot,
    saving_to,
)

_VALIDATIONS = 20
_SNAPSHOT_SECONDS = 60.0
_MEASURING_BUDGET = 1 << 14  # Tokens in a batch where no gradients are kept.


@dataclass(frozen=True, slots=True)
class ClassifyProgress:
    """Where a training stands after a step.

    Attributes:
        step: Steps made.
        total_steps: Steps in the budget; None when the budget is time.
        share: The share of the budget used, 0 to 1.
        loss: Of this step's batch, in nats a poem.
        gradient_norm: Before clipping.
        seconds: Spent so far, over all processes.
        validation_nats, validation_accuracy: What the validation after this step measured; None
            when there was none.
        is_best: Whether that is the best so far, so that its weights were kept.
    """

    step: int
    total_steps: int | None
    share: float
    loss: float
    gradient_norm: float
    seconds: float
    validation_nats: float | None = None
    validation_accuracy: float | None = None
    is_best: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a classifier says of a text.

    Attributes:
        read: The characters that it read.
        unknown: Those among them that it does not know.
        probabilities: Of each class.
        attention: What each character counted, 1 in the sum; None where no attention says so.
    """

    read: str
    unknown: tuple[str, ...]
    probabilities: dict[str, float]
    attention: tuple[float, ...] | None

    @property
    def best(self) -> str:
        """The likeliest class."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])


class ClassifierTrainer:
    """Trains one classifier in one folder.

    Used as a context: `with ClassifierTrainer(...) as trainer: for progress in trainer.run(): …`.

    Args:
        corpus: The poems, encoded character by character.
        description: What is trained, and how; its sizes are those of the corpus.
        folder: Where the classifier goes.
        resume: Whether to go on with the run in `folder`; when none is there, it begins.

    Raises:
        TrainingError: (On entering.) The folder is in use or not empty, or the device is not there.
        CorpusError: (On entering.) The corpus has no poems of some class.
        CheckpointError: (On entering.) Every snapshot of the run is damaged.

    Attributes:
        position: How far the run has come.
        parts: The poems of each part.
        stopping: Whether it was asked to stop before its end.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        description: Description,
        folder: Path,
        *,
        resume: bool = False,
    ) -> None:
        self.description = description
        self.folder = folder
        self.position = Position()
        self.stopping = False
        self._corpus = corpus
        self._options = description.training
        self._resume = resume
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if not self._resume:
            refuse_used_folder(self.folder)
        self.parts = labelled_parts(self._corpus, self.description.target)
        self.device = device_named(self._options.device)
        with contextlib.ExitStack() as opened:
            opened.enter_context(locked(self.folder))
            self._prepare()
            self._open = opened.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def _prepare(self) -> None:
        options = self._options
        if options.threads:
            torch.set_num_threads(options.threads)
        train = self.parts["train"]
        self._batches = Batches(train.poems, options.token_budget, options.seed)
        model = Classifier(self.description.model)
        model.initialise(options.seed)
        self.model = model.to(self.device)
        self._optimizer = make_optimizer(self.model, options)
        found = read_snapshot(self.folder) if self._resume else None
        if found is not None:
            restore(found, self.model, self._optimizer)
            self.position = found.position
        with saving_to(self.folder):
            write_description(self.folder, self.description, self._corpus.vocabulary)

    @property
    def share(self) -> float:
        """The share of the budget that is used, 0 to 1."""
        position = self.position
        return self._options.share(position.step, position.seconds, len(self._batches))

    @property
    def finished(self) -> bool:
        """Whether the budget is used up."""
        return self.share >= 1.0

    def stop(self) -> None:
        """Ask the run to end after the step in hand, with a snapshot. Safe in a signal handler."""
        self.stopping = True

    def run(self) -> Iterator[ClassifyProgress]:
        """Train until the budget is used up or the run is told to stop.

        Yields:
            A record of each step. By then whatever had to be saved is saved.

        Raises:
            TrainingError: The loss is no longer a number, memory is out, or saving failed. What
                was saved before is still there.
        """
        self.model.train()
        self._zero = time.perf_counter() - self.position.seconds
        saved_at = self.position.seconds
        while not self.finished:
            epoch, start = self.position.epoch, self.position.batch
            for batch in self._batches.epoch(epoch, start=start):
                before = self.share
                loss, norm = self._step(batch, before)
                due = int(self.share * _VALIDATIONS) > int(before * _VALIDATIONS)
                nats, accuracy, is_best = self._validate() if due else (None, None, False)
                stopping = self.stopping
                if due or stopping or self.position.seconds - saved_at > _SNAPSHOT_SECONDS:
                    with saving_to(self.folder):
                        save_snapshot(self.folder, self.position, self.model, self._optimizer)
                    saved_at = self.position.seconds
                yield ClassifyProgress(
                    step=self.position.step,
                    total_steps=self._options.total_steps(len(self._batches)),
                    share=self.share,
                    loss=loss,
                    gradient_norm=norm,
                    seconds=self.position.seconds,
                    validation_nats=nats,
                    validation_accuracy=accuracy,
                    is_best=is_best,
                )
                if stopping or self.finished:
                    return

    def _step(self, batch: Batch, share: float) -> tuple[float, float]:
        """Make a step; returns its loss and the norm of its gradient."""
        position, options = self.position, self._options
        for group in self._optimizer.param_groups:
            group["lr"] = options.learning_rate_at(position.step, share)
        # Dropout draws from torch's global generator. Seeded by the step, it needs no keeping.
        torch.manual_seed(options.seed * 1_000_003 + position.step)
        labels = torch.from_numpy(self.parts["train"].labels[batch.poems]).to(self.device)
        try:
            loss = functional.cross_entropy(self.model(*_inputs(batch, self.device)), labels)
            self._optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), options.clip_norm)
            self._optimizer.step()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise TrainingError(
                f"out of memory on {self.device.type} at step {position.step + 1}",
                hint=f"lower --token-budget (it is {options.token_budget}) or --hidden-size",
            ) from error
        if not math.isfinite(loss.item() + norm.item()):
            raise TrainingError(
                f"the loss is {loss.item()} and the gradient's norm {norm.item()} at step "
                f"{position.step + 1}",
                hint=f"lower --learning-rate (it is {options.learning_rate})",
            )
        position.step += 1
        position.batch += 1
        if position.batch == len(self._batches):
            position.epoch, position.batch = position.epoch + 1, 0
        position.seconds = time.perf_counter() - self._zero
        return loss.item(), norm.item()

    def _validate(self) -> tuple[float, float, bool]:
        position = self.position
        self.model.eval()
        nats, confusion = measure(
            self.model, self.parts["validation"], self.description.target, self.device
        )
        self.model.train()
        is_best = position.best is None or nats < position.best
        if is_best:
            position.best, position.best_step = nats, position.step
            figures = {
                "step": position.step,
                "seconds": position.seconds,
                "validation_nats": nats,
                "validation_accuracy": confusion.accuracy,
                "validation_poems": confusion.poems,
            }
            with saving_to(self.folder):
                save_weights(self.folder, self.description, self.model, figures)
        return nats, confusion.accuracy, is_best


@torch.no_grad()
def measure(
    model: Classifier, poems: LabelledPoems, target: Target, device: torch.device
) -> tuple[float, Confusion]:
    """The mean cross entropy of poems, in nats a poem, and what they are taken for."""
    judged = np.zeros(len(poems), np.int64)
    nats = 0.0
    for batch in Batches(poems.poems, _MEASURING_BUDGET, 0, shuffle=False).epoch(0):
        scores = model(*_inputs(batch, device))
        labels = torch.from_numpy(poems.labels[batch.poems]).to(device)
        nats += functional.cross_entropy(scores, labels, reduction="sum").item()
        judged[batch.poems] = scores.argmax(dim=1).cpu().numpy()
    return nats / len(poems), Confusion.of(target.classes, poems.labels, judged)


@torch.no_grad()
def judge(classifier: TrainedClassifier, texts: Sequence[str]) -> list[Judgement]:
    """What a classifier says of texts, one by one.

    Raises:
        TrainingError: A text has no Chinese character.
    """
    description, found = classifier.description, []
    device = next(classifier.model.parameters()).device
    for text in texts:
        text = to_simplified(text) if description.script == "simplified" else text
        read, ids = read_ids(description.target, classifier.vocabulary, text)
        lengths = torch.tensor([len(ids)], device=device)
        scores, weights = classifier.model.attend(torch.tensor([ids], device=device), lengths)
        probabilities = scores[0].double().softmax(dim=0).tolist()
        unknown = [c for c in read if c not in classifier.vocabulary]
        found.append(
            Judgement(
                read=read,
                unknown=tuple(dict.fromkeys(unknown)),
                probabilities=dict(zip(description.target.classes, probabilities, strict=True)),
                attention=None if weights is None else tuple(weights[0].tolist()),
            )
        )
    return found


def _inputs(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """What is read of a batch, all but BOS: ids (B, S) and lengths (B,)."""
    return (
        torch.from_numpy(np.ascontiguousarray(batch.ids[:, 1:])).to(device),
        torch.from_numpy(batch.lengths - 1).to(device),
    )
