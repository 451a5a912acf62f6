"""What a file of weights must hold, whatever network they are of. Needs no torch.

Every array of the right shape and type, no number that is none, and figures that can be read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from poetgen.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

COPY_AGAIN = "copy the whole folder again, or use another checkpoint"


def figures_in(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The figures in a file's metadata.

    Raises:
        CheckpointError: There are none, or they are damaged.
    """
    try:
        figures = json.loads(metadata["figures"])
    except (KeyError, ValueError, RecursionError):
        figures = None
    if not isinstance(figures, dict):
        raise CheckpointError(f"{path}: its figures cannot be read", hint=COPY_AGAIN)
    return figures


def check_arrays(
    path: Path,
    arrays: Mapping[str, npt.NDArray[Any]],
    shapes: Mapping[str, tuple[int, ...]],
    description: str,
) -> None:
    """See that a file's arrays are those of a network.

    Args:
        path: The file, for the message.
        arrays: What it holds.
        shapes: What the network has.
        description: The file that says so.

    Raises:
        CheckpointError: One is missing, too many, or not what it should be.
    """
    for name in sorted(shapes.keys() | arrays.keys()):
        if name not in arrays:
            raise CheckpointError(f"{path}: '{name}' is missing", hint=COPY_AGAIN)
        if name not in shapes:
            raise CheckpointError(f"{path}: the model has no '{name}'", hint=COPY_AGAIN)
        array = arrays[name]
        if array.shape != shapes[name]:
            raise CheckpointError(
                f"{path}: '{name}' is {_times(array.shape)}, where {description} asks for "
                f"{_times(shapes[name])}",
                hint=COPY_AGAIN,
            )
        if array.dtype not in (np.float32, np.float16):
            raise CheckpointError(f"{path}: '{name}' is of {array.dtype}, not float32 or float16")
        # Minimum and maximum carry a NaN through and need no second array, as isfinite does.
        if not (np.isfinite(array.min()) and np.isfinite(array.max())):
            raise CheckpointError(
                f"{path}: '{name}' holds a number that is not finite",
                hint="the training has diverged; lower --learning-rate or --clip-norm",
            )


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a single number"
