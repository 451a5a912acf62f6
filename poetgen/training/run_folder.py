"""What a training run keeps on the disk, in the hands of the one process that may write it.

It knows what is kept and when that is safe, not when it is due.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from poetgen.checkpoint import save_weights, summary_of, write_description
from poetgen.dataset.encoded import EncodedCorpus
from poetgen.dataset.runs import FILE as RUNS
from poetgen.dataset.runs import RunFilter
from poetgen.errors import TrainingError
from poetgen.models.config import ModelConfig
from poetgen.models.network import Network, to_arrays
from poetgen.training.metrics import MetricsLog
from poetgen.training.options import TrainingOptions
from poetgen.training.resume import (
    Position,
    locked,
    refuse_used_folder,
    save_snapshot,
    saving_to,
)


class RunFolder:
    """The folder of a run, locked until `close`.

    Every method that saves raises a TrainingError when the disk does not take it; what was saved
    before is intact then.

    Args:
        path: The folder.
        resume: Whether a run may be in it already.

    Raises:
        TrainingError: It is in use, or not empty though nothing is to be resumed.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        if not resume:
            refuse_used_folder(path)
        self.path = path
        self._open = contextlib.ExitStack()
        self._open.enter_context(locked(path))

    def begin(
        self,
        corpus: EncodedCorpus,
        model: ModelConfig,
        options: TrainingOptions,
        source: Mapping[str, Any],
        position: Position | None,
    ) -> dict[int, float]:
        """Say in the folder what the run makes, or see that it is the same; then open the log.

        Args:
            corpus: What it is trained on.
            model: What is trained.
            options: How.
            source: What the checkpoint says of its corpus.
            position: Where the run is resumed from; None when it begins.

        Returns:
            The seconds at which steps were made that were logged after that position, by step.

        Raises:
            TrainingError: The run in the folder had another corpus.
        """
        with saving_to(self.path):
            if position is None:
                write_description(
                    self.path,
                    model=model,
                    tokenizer=options.tokenizer,
                    script=corpus.script,
                    vocabulary=corpus.vocabulary,
                    corpus=source,
                    training=options.to_dict(),
                )
            else:
                self._check_same_corpus(corpus, source)
            if not (self.path / RUNS).is_file():
                runs = RunFilter.build(corpus.split("train"), corpus.vocabulary)
                runs.save(self.path / RUNS, source)
            length = position.log_length if position else 0
            self._log = MetricsLog(self.path / "metrics.jsonl", length)
        self._open.callback(self._log.close)
        return {int(record["step"]): float(record["seconds"]) for record in self._log.cut}

    def _check_same_corpus(self, corpus: EncodedCorpus, source: Mapping[str, Any]) -> None:
        begun = summary_of(self.path).config
        hashes = begun["corpus"].get("content_hash"), begun["vocabulary"]["sha256"]
        if hashes != (source["content_hash"], corpus.vocabulary.sha256):
            raise TrainingError(
                f"--corpus {corpus.name} is not the text that {self.path} was trained on, "
                f"{begun['corpus'].get('name')}",
                hint="give that corpus, as it was then, or train anew with another --output",
            )

    def log(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add records of steps to the log."""
        with saving_to(self.path):
            for record in records:
                self._log.append(dict(record))

    def save_weights(self, model: Network, figures: Mapping[str, Any]) -> None:
        """Make these weights the checkpoint's."""
        with saving_to(self.path):
            save_weights(self.path, to_arrays(model), figures)

    def save_snapshot(
        self,
        position: Position,
        model: Network,
        optimizer: torch.optim.AdamW,
        average: Network | None,
        carried: Sequence[torch.Tensor] = (),
    ) -> None:
        """Keep what it takes to go on from here, the log so far included."""
        with saving_to(self.path):
            self._log.sync()
            position.log_length = self._log.length
            save_snapshot(self.path, position, model, optimizer, average, carried)

    def close(self) -> None:
        """Let go of the folder."""
        self._open.close()
