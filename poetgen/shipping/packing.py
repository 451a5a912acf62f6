"""From a training run to a folder that ships: final weights in fewer bits, nothing of the training.

The run is only read. The folder is made beside its place and renamed into it, so it is never there
by half. Knows what files a checkpoint has; nothing of how good its weights are.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from poetgen import __version__, files
from poetgen.checkpoint import (
    CARD,
    CONFIG,
    TRAINING_STATE,
    VOCABULARY,
    WEIGHTS,
    Checkpoint,
    load_checkpoint,
    save_weights,
    summary_of,
)
from poetgen.dataset.runs import FILE as RUNS
from poetgen.dataset.runs import RunFilter
from poetgen.errors import CheckpointError

MOST_BYTES = 16_000_000
"""What a folder that ships with poetgen may take in all."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What packing made.

    Attributes:
        folder: Where.
        sizes: For each file of it, its bytes in the run and in the folder.
        relative_error: The root of the mean square that the matrices are off by, as a share of
            that of the matrices themselves.
    """

    folder: Path
    sizes: dict[str, tuple[int, int]]
    relative_error: float

    @property
    def total(self) -> int:
        """The bytes of the whole folder."""
        return sum(after for _, after in self.sizes.values())


def pack(
    run: Checkpoint,
    output: Path,
    storage: str = "int8",
    *,
    force: bool = False,
    measured: Mapping[str, Any] | None = None,
) -> Packed:
    """Make a folder that ships.

    Args:
        run: The trained model.
        output: The folder to make.
        storage: How the weights are kept; one of `poetgen.quantization.STORAGES`.
        force: Whether it may take the place of a packed model that is there; of anything else
            it never does.
        measured: What is known of the packed weights; goes into the figures.

    Raises:
        CheckpointError: `output` is there and may not be replaced, or the run's filter of runs is
            damaged.
        OSError: The folder cannot be written; what was there is untouched.
    """
    # "..", or a link to the run, must be seen for what it is.
    output = output.expanduser().resolve()
    _check_place(run, output, force)
    RunFilter.load(run.folder / RUNS, run.config["corpus"])  # Complains of a damaged one.
    temporary = output.with_name(f".{output.name}.{secrets.token_hex(4)}.tmp")
    temporary.mkdir(parents=True)
    try:
        for name in (CONFIG, VOCABULARY, RUNS, CARD):
            if (run.folder / name).is_file():
                with files.replacing(temporary / name) as file:
                    file.write((run.folder / name).read_bytes())
        figures = {
            **run.figures,
            "packed": {
                "from": run.name,
                "from_sha256": hashlib.sha256((run.folder / WEIGHTS).read_bytes()).hexdigest(),
                "storage": storage,
                "by": f"poetgen {__version__}",
                **(measured or {}),
            },
        }
        save_weights(temporary, run.arrays, figures, storage)
        error = relative_error(run.arrays, load_checkpoint(temporary).arrays)
        _put(temporary, output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sizes = {
        path.name: (_size(run.folder / path.name), _size(path)) for path in sorted(output.iterdir())
    }
    return Packed(output, sizes, error)


def relative_error(
    arrays: Mapping[str, npt.NDArray[Any]], others: Mapping[str, npt.NDArray[Any]]
) -> float:
    """How far the matrices of `others` are from those of `arrays`, as a share of their size."""
    wrong = whole = 0.0
    for name, array in arrays.items():
        if array.ndim > 1:
            wrong += float(np.square(others[name] - array, dtype=np.float64).sum())
            whole += float(np.square(array, dtype=np.float64).sum())
    return math.sqrt(wrong / whole) if whole else 0.0


def _check_place(run: Checkpoint, output: Path, force: bool) -> None:
    """Refuse to destroy anything but a folder that was packed before, and that only with force."""
    if not output.exists():
        return
    hint = "name another folder with --output"
    if not output.is_dir():
        raise CheckpointError(f"{output} is a file", hint=hint)
    if output == run.folder.resolve():
        raise CheckpointError(f"{output} is what is to be packed", hint=hint)
    names = {path.name for path in output.iterdir()}
    if not names:
        return
    if TRAINING_STATE in names or "packed" not in summary_of(output).figures:
        raise CheckpointError(f"{output} is there already, and was not packed", hint=hint)
    if not force:
        raise CheckpointError(f"{output} is there already", hint="replace it with --force")


def _put(new: Path, place: Path) -> None:
    """Rename `new` to `place`; what is there goes once the new folder is in its place."""
    old = new.with_name(new.name + ".old")
    if place.exists():
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise
    files.sync_folder(place.parent)
    shutil.rmtree(old, ignore_errors=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
