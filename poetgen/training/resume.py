"""The exact way back: everything that a training run needs to go on as if it had never stopped.

A run's folder has, beside the checkpoint that it makes, a folder `training_state`:

    recipe.json              what the run was asked to do (poetgen.training.recipe)
    last.safetensors         the newest snapshot: weights, their average if one is kept,
                             AdamW's moments, the position, and of a run over a stream the
                             state that its next piece begins with
    previous.safetensors     the one before, should the last be damaged
    lock                     held while a process trains here; free again when it dies

A snapshot is one file that replaces another in one step, so its parts cannot disagree. The order
of the poems follows from (seed, epoch) and dropout from (seed, step), so a position stands for
every random number that is still to come and no generator's state has to be kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch
from torch import nn

from poetgen.errors import CheckpointError, TrainingError
from poetgen.models.network import load_arrays, to_arrays
from poetgen.tensors import read_tensors, write_tensors
from poetgen.training.recipe import STATE_FOLDER

_OPTIMIZER_STATE = ("step", "exp_avg", "exp_avg_sq")
_CARRIED = "carried."


@dataclass(slots=True)
class Position:
    """How far a run has come.

    Attributes:
        step: Optimiser steps made.
        epoch, batch: The next batch.
        seconds: Spent on training so far, over all processes.
        best: The best validation so far, in nats per character; None before the first.
        best_step: Where it was.
        stale: Validations since.
        clipped: Steps so far whose gradient was clipped.
        log_length: Bytes of metrics.jsonl that belong to these steps.
        scaler: State of the loss scaler; empty unless in fp16.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    clipped: int = 0
    log_length: int = 0
    scaler: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a run stood: how far it had come, and its weights and AdamW's moments by name."""

    position: Position
    arrays: dict[str, np.ndarray]

    @property
    def carried(self) -> list[np.ndarray]:
        """The state that the next piece of a stream begins with; empty where there is none."""
        return [self.arrays[name] for name in sorted(self.arrays) if name.startswith(_CARRIED)]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other trainer out of `folder`.

    Raises:
        TrainingError: Another process trains there.
    """
    (folder / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / STATE_FOLDER / "lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise TrainingError(
            f"another process is training in {folder}",
            hint="wait for it, stop it, or give another --output",
        ) from None
    try:
        yield
    finally:
        lock.release()


def refuse_used_folder(folder: Path) -> None:
    """Make sure that a new run destroys nothing.

    Raises:
        TrainingError: `folder` is there and is not an empty folder.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if (folder / STATE_FOLDER).is_dir():
        raise TrainingError(
            f"{folder} has a training run already",
            hint="go on with it: --resume; or give another --output",
        )
    raise TrainingError(f"{folder} is not an empty folder", hint="give another --output")


@contextlib.contextmanager
def saving_to(folder: Path) -> Iterator[None]:
    """Say in one line what it means for a run when its folder cannot be written to.

    Raises:
        TrainingError: In the place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"cannot save to {folder}: {error.strerror or error}",
            hint="what was saved before is intact; make room and go on with --resume",
        ) from error


def save_snapshot(
    folder: Path,
    position: Position,
    model: nn.Module,
    optimizer: torch.optim.AdamW,
    average: nn.Module | None = None,
    carried: Sequence[torch.Tensor] = (),
) -> None:
    """Write where a run stands, keeping the snapshot before it.

    Args:
        folder: The run's folder.
        position: How far the run has come.
        model: The network.
        optimizer: With a state for each of its parameters.
        average: Where one is kept, the average of the network's weights.
        carried: The state that the next piece of a stream begins with.

    Raises:
        OSError: The disk is full, say; a snapshot that was there is still there.
    """
    arrays = {f"model.{name}": array for name, array in to_arrays(model).items()}
    for name, parameter in model.named_parameters():
        for part in _OPTIMIZER_STATE:
            arrays[f"{part}.{name}"] = optimizer.state[parameter][part].detach().cpu().numpy()
    if average is not None:
        arrays |= {f"average.{name}": array for name, array in to_arrays(average).items()}
    for i, tensor in enumerate(carried):
        arrays[f"{_CARRIED}{i:03}"] = tensor.detach().cpu().numpy()
    last, previous = _snapshots(folder)
    if last.exists():
        last.replace(previous)
    write_tensors(last, arrays, {"position": json.dumps(dataclasses.asdict(position))})


def read_snapshot(folder: Path) -> Snapshot | None:
    """Read the newest snapshot that is whole.

    Returns:
        The snapshot, or None when none was ever made.

    Raises:
        CheckpointError: Every snapshot is damaged.
    """
    _remove_half_files(folder)
    damage: CheckpointError | None = None
    for path in _snapshots(folder):
        if not path.exists():
            continue
        try:
            arrays, metadata = read_tensors(path)
        except CheckpointError as error:
            damage = damage or error
            continue
        return Snapshot(Position(**json.loads(metadata["position"])), arrays)
    if damage is not None:
        raise damage
    return None


def restore(
    snapshot: Snapshot,
    model: nn.Module,
    optimizer: torch.optim.AdamW,
    average: nn.Module | None = None,
) -> None:
    """Fill the networks and the optimiser that `save_snapshot` was given from a snapshot."""
    arrays = snapshot.arrays
    for part, network in (("model.", model), ("average.", average)):
        if network is not None:
            weights = {k.removeprefix(part): a for k, a in arrays.items() if k.startswith(part)}
            load_arrays(network, weights)
    for name, parameter in model.named_parameters():
        # The fused optimiser wants all of it, its count of steps too, beside the parameter.
        optimizer.state[parameter] = {
            part: torch.from_numpy(arrays[f"{part}.{name}"]).to(parameter.device)
            for part in _OPTIMIZER_STATE
        }


def _snapshots(folder: Path) -> tuple[Path, Path]:
    return (
        folder / STATE_FOLDER / "last.safetensors",
        folder / STATE_FOLDER / "previous.safetensors",
    )


def _remove_half_files(folder: Path) -> None:
    # What a process left that was killed in the middle of a save.
    for place in (folder, folder / STATE_FOLDER):
        for path in place.glob(".*.tmp"):
            path.unlink(missing_ok=True)
