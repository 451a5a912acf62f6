"""The training loop: from an encoded corpus to a checkpoint, yielding a record at each step.

It never prints and knows no terminal, no signal and no flag's text; `poetgen.cli.train` turns its
records into a display and a Ctrl-C into `Trainer.stop`.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import torch

from poetgen.checkpoint import Checkpoint
from poetgen.dataset.batches import Batches, Sequences
from poetgen.dataset.context import reads_context
from poetgen.dataset.encoded import EncodedCorpus, EncodedSplit
from poetgen.dataset.stream import Stream
from poetgen.errors import TrainingError
from poetgen.models.config import ModelConfig
from poetgen.models.network import build_network, to_arrays
from poetgen.training.combinations import check_combination
from poetgen.training.devices import device_named, precision_named
from poetgen.training.distributed import ALONE, Processes
from poetgen.training.evaluation import Perplexity, perplexity
from poetgen.training.learner import Learner
from poetgen.training.optimization import is_out_of_memory
from poetgen.training.options import TrainingOptions
from poetgen.training.progress import Step, TrainingProgress
from poetgen.training.resume import Position, read_snapshot
from poetgen.training.run_folder import RunFolder
from poetgen.training.selection import select_poems

VALIDATION_POEMS = 500
"""Validation while training measures at most so many poems: twenty times all 3,000 of the large
corpus would take a fifth of the time at `small`. `poetgen evaluate` measures a whole split."""

_VALIDATIONS = 20
_SNAPSHOT_SECONDS = 60.0
_STEPS_BETWEEN_READS = 10
# Reading a loss from a GPU waits until the GPU has caught up, so there it is done now and then.


class Trainer:
    """Trains one network in one folder.

    Used as a context: `with Trainer(...) as trainer: for progress in trainer.run(): ...`. On
    entering, it takes the folder for itself and finds where a run that is resumed stands.

    Args:
        corpus: The poems, encoded.
        model: The shape of the network.
        options: The recipe.
        folder: Where the checkpoint goes.
        source: What the checkpoint says of its corpus: name, content_hash, licence, poems.
        resume: Whether to go on with the run in `folder`; when none is there, it begins.
        processes: Those that train together, each with a trainer of its own. Only the first uses
            `folder`, `resume` and the clock; the others are told.

    Raises:
        TrainingError: The network cannot be trained so. (On entering:) the folder is in use or
            not empty, the device is not there, no training poem has one of the forms asked for,
            or processes have unlike corpora.
        CheckpointError: (On entering.) Every snapshot of the run is damaged.

    Attributes:
        position: How far the run has come.
        stopping: Whether it was asked to stop before its end; once it has stopped, in every
            process.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        model: ModelConfig,
        options: TrainingOptions,
        folder: Path,
        *,
        source: Mapping[str, Any],
        resume: bool = False,
        processes: Processes = ALONE,
    ) -> None:
        check_combination(model, options)
        self.corpus = corpus
        self.config = model
        self.options = options
        self.folder = folder
        self.position = Position()
        self.stopping = False
        self._source = source
        self._resume = resume
        self._processes = processes
        self._pending: list[Step] = []
        self._kept: RunFolder | None = None  # In the first process.

    def __enter__(self) -> Self:
        if self._processes.first:
            self._kept = RunFolder(self.folder, resume=self._resume)
        try:
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self._kept is not None:
            self._kept.close()

    def _prepare(self) -> None:
        options, processes = self.options, self._processes
        threads = options.threads or processes.threads
        if threads:
            torch.set_num_threads(threads)
        # Of unlike machines, the first decides what "auto" is.
        device = processes.from_first(lambda: device_named(options.device).type)
        self.device = device_named(device)
        processes.take(self.device)
        precision = processes.from_first(lambda: precision_named(options.precision, self.device))

        train = select_poems(self.corpus.split("train"), options.forms)
        if not len(train):
            raise TrainingError(
                f"{self.corpus.name} has no training poem of the form {' or '.join(options.forms)}",
                hint=f"see what it has: poetgen corpus stats {self.corpus.name}",
            )
        self._validation = select_poems(
            self.corpus.split("validation"), options.forms, VALIDATION_POEMS
        )
        self._batches = self._sequences(train)

        if self.config.condition != "prefix" and not reads_context(self.corpus.vocabulary):
            raise TrainingError(
                f"--condition {self.config.condition}: this vocabulary has no tokens for forms and "
                "dynasties",
                hint="give --condition prefix, which tells nothing to such a model",
            )
        model = build_network(self.config)
        model.initialise(self.corpus.token_counts(), options.seed)
        self.model = model.to(self.device)
        self._learner = Learner(self.model, options, precision, processes)
        self._check_same_text()
        found = processes.from_first(lambda: read_snapshot(self.folder) if self._resume else None)
        self._learner.begin(found)
        if found is not None:
            self.position = found.position
        # A run with a budget of time whose process died goes on by the clock of that process:
        # the steps that it logged after its last snapshot are made again at the times, and so at
        # the learning rates, that the log has for them.
        self._logged_seconds: dict[int, float] = {}
        if self._kept is not None:
            self._logged_seconds = self._kept.begin(
                self.corpus, self.config, options, self._source, found.position if found else None
            )

    def _sequences(self, train: EncodedSplit) -> Batches | Stream:
        options = self.options
        if options.bptt:
            return Stream(train, options.token_budget, options.bptt, options.seed)
        return Batches(
            train,
            options.token_budget,
            options.seed,
            max_length=options.max_length,
            context="drawn",
            lengths_in=self.config.lengths_in,
        )

    def _check_same_text(self) -> None:
        mine = self.corpus.content_hash, self.corpus.vocabulary.sha256
        if self._processes.from_first(lambda: mine) != mine:
            raise TrainingError(
                f"--corpus {self.corpus.name} is not the same text for process "
                f"{self._processes.rank} as for the first",
                hint="import the same corpus on every machine",
            )

    @property
    def share(self) -> float:
        """The share of the budget that is used, 0 to 1."""
        position = self.position
        return self.options.share(position.step, position.seconds, len(self._batches))

    @property
    def clipped_share(self) -> float:
        """Of all steps so far, those whose gradient was clipped."""
        return self.position.clipped / max(self.position.step, 1)

    @property
    def finished(self) -> bool:
        """Whether the budget is used up or validation stopped getting better."""
        patience = self.options.patience
        return self.share >= 1.0 or (patience > 0 and self.position.stale >= patience)

    def stop(self) -> None:
        """Ask the run to end after the step in hand, with a snapshot. Safe in a signal handler."""
        self.stopping = True

    def run(self) -> Iterator[TrainingProgress]:
        """Train until the run is finished or told to stop.

        Yields:
            A record of each step (on a GPU, of every tenth), of every validation, and of the last
            step. By then whatever had to be saved is saved.

        Raises:
            TrainingError: The loss is no longer a number, memory is out, or saving failed. The
                checkpoint and the snapshots that were there are still there.
        """
        self.model.train()
        self._zero = time.perf_counter() - self.position.seconds
        self._saved_at = self.position.seconds
        self._read_at = time.perf_counter()
        while not self.finished:
            stopped = yield from self._run_epoch()
            if stopped:
                return

    def _run_epoch(self) -> Generator[TrainingProgress, None, bool]:
        """Make the steps that are left of an epoch; returns whether it was told to stop."""
        for batch in self._batches.epoch(self.position.epoch, start=self.position.batch):
            before = self.share
            stopping = self._step(batch, before)
            after = self.share
            validate = after >= 1.0 or self._is_validation_due(before, after)
            snapshot = validate or stopping or self._is_snapshot_due()
            if validate or snapshot or self._are_figures_due():
                yield self._report(validate, snapshot)
            if self.finished or stopping:
                self.stopping = stopping
                return stopping
        return False

    def checkpoint(self) -> Checkpoint:
        """The network as it is now, as if it had been saved and loaded."""
        return Checkpoint(
            folder=self.folder,
            name=self.folder.name,
            model=self.config,
            tokenizer=self.options.tokenizer,
            script=self.corpus.script,
            vocabulary=self.corpus.vocabulary,
            arrays=to_arrays(self._learner.measured),
            figures={"step": self.position.step},
            config={},
        )

    def _step(self, batch: Sequences, share: float) -> bool:
        """Make a step; returns whether any process has been asked to stop by then."""
        position = self.position
        try:
            learned = self._learner.step(batch, position.step, share)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise TrainingError(
                f"out of memory on {self.device.type} at step {position.step + 1}",
                hint=f"lower --token-budget (it is {self.options.token_budget}) or --hidden-size",
            ) from error
        epoch = position.epoch
        position.step += 1
        position.batch += 1
        if position.batch == len(self._batches):
            position.epoch, position.batch = epoch + 1, 0
        position.seconds, stopping = self._processes.agree(self._read_clock(), self.stopping)
        self._pending.append(
            Step(position.step, epoch + 1, position.seconds, batch.real_tokens, learned)
        )
        return stopping

    def _read_clock(self) -> float:
        logged = self._logged_seconds.get(self.position.step)
        if logged is not None:
            self._zero = time.perf_counter() - logged
            return logged
        return time.perf_counter() - self._zero

    def _is_validation_due(self, before: float, after: float) -> bool:
        every = self.options.validate_every
        if every:
            return self.position.step % every == 0
        # One in a minute at most: at `small` it takes 4 s of a core, so twenty would take a sixth
        # of eight minutes.
        minutes = self.options.minutes
        times = _VALIDATIONS if minutes is None else min(_VALIDATIONS, max(1, int(minutes)))
        return int(after * times) > int(before * times)

    def _is_snapshot_due(self) -> bool:
        every = self.options.snapshot_every
        if every:
            return self.position.step % every == 0
        return self.position.seconds - self._saved_at >= _SNAPSHOT_SECONDS

    def _are_figures_due(self) -> bool:
        return self.device.type == "cpu" or len(self._pending) >= _STEPS_BETWEEN_READS

    def _report(self, validate: bool, snapshot: bool) -> TrainingProgress:
        steps, self._pending = self._pending, []
        records = [self._record_of(step) for step in steps]
        last = records[-1]
        seconds = steps[-1].seconds
        speed = sum(step.tokens for step in steps) / max(time.perf_counter() - self._read_at, 1e-9)
        for record in records:
            record["tokens_per_second"] = round(speed, 1)
        validation, is_best = self._validate(last) if validate else (None, False)
        carried = self._learner.carried() if snapshot else ()
        if self._kept is not None:
            self._kept.log(records)
            if snapshot:
                learner = self._learner
                self.position.scaler = learner.scaler.state_dict()
                self._kept.save_snapshot(
                    self.position, self.model, learner.optimizer, learner.average, carried
                )
        if snapshot:
            self._saved_at = self.position.seconds
        # What came after the step, a validation or a snapshot, is not the step's time.
        self._read_at = time.perf_counter()
        share = self.share
        return TrainingProgress(
            step=last["step"],
            total_steps=self.options.total_steps(len(self._batches)),
            share=share,
            epoch=last["epoch"],
            loss=last["loss"],
            learning_rate=last["learning_rate"],
            teacher_forcing=last["teacher_forcing"],
            gradient_norm=last["gradient_norm"],
            clipped_share=last["clipped_share"],
            tokens_per_second=speed,
            seconds=seconds,
            seconds_left=seconds * (1.0 - share) / max(share, 1e-9),
            validation=validation,
            is_best=is_best,
        )

    def _record_of(self, step: Step) -> dict[str, Any]:
        record = step.record(may_overflow=self._learner.scaler.is_enabled())
        self.position.clipped += record["clipped"]
        return {**record, "clipped_share": self.position.clipped / step.step}

    def _validate(self, record: dict[str, Any]) -> tuple[Perplexity | None, bool]:
        position = self.position
        if not len(self._validation):  # A handful of poems: the newest weights are the best.
            self._save_weights(record)
            return None, True
        measured = self._processes.from_first(
            lambda: perplexity(self._learner.measured, self._validation, device=self.device)
        )
        nats = measured.nats_per_character
        record["validation_nats_per_character"] = nats
        record["validation_perplexity"] = measured.per_character
        is_best = position.best is None or nats < position.best
        if is_best:
            position.best, position.best_step, position.stale = nats, position.step, 0
            self._save_weights({**record, "validation_poems": measured.poems})
        else:
            position.stale += 1
        return measured, is_best

    def _save_weights(self, figures: Mapping[str, Any]) -> None:
        if self._kept is not None:
            self._kept.save_weights(self._learner.measured, figures)
