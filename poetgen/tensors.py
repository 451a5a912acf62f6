"""Named arrays in one file: safetensors, written whole or not at all, and verified when read.

There is no code in a safetensors file that could run when it is read, as there is in a pickle.
The library checks that the file is as long as its header says and that no two arrays overlap; a
flipped bit it takes as it comes. So the metadata written here holds a SHA-256 over everything else
in the file. What the arrays mean is not known here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from poetgen import files
from poetgen.errors import CheckpointError

Arrays = dict[str, npt.NDArray[Any]]

DTYPES = ("uint8", "int8", "int64", "float16", "float32", "float64")
"""The kinds of array that a file of ours holds."""

_COMES_FROM = "copy it again from where it came, or use another checkpoint"


def write_tensors(
    path: Path, arrays: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write `arrays` and `metadata` in place of `path`, whole or not at all.

    Args:
        path: The file; its folder is made when it is not there.
        arrays: Arrays of the kinds in `DTYPES`.
        metadata: Any text by name; the name `sha256` is taken.

    Raises:
        OSError: The disk is full or the folder cannot be written; `path` is untouched.
        TypeError: An array of another dtype.
    """
    from safetensors.numpy import save

    # The library writes memory as it lies; ascontiguousarray would turn a number into a list.
    ordered = {name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}
    for name, array in ordered.items():
        if array.dtype.name not in DTYPES:
            raise TypeError(f"'{name}' is of {array.dtype}; known are {', '.join(DTYPES)}")
    content = save(ordered, {**metadata, "sha256": _hash(ordered, metadata)})
    with files.replacing(path) as file:
        file.write(content)


def read_tensors(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Read what `write_tensors` wrote.

    Returns:
        The arrays, which are the caller's to change, and the metadata without `sha256`.

    Raises:
        CheckpointError: The file is not there, is no safetensors file, is cut short or too long,
            or its bytes are not those that were written.
    """
    file = _open(path)
    metadata = _metadata(path, file)
    try:
        arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
    # What the library makes of a kind or a shape that NumPy has none for.
    except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
        raise _unreadable(path, error) from None
    written = metadata.pop("sha256", None)
    if written is None:
        raise CheckpointError(
            f"{path} has no checksum", hint="it was not written by poetgen, or it was changed since"
        )
    if written != _hash(arrays, metadata):
        raise CheckpointError(
            f"{path} is damaged: its checksum does not match its content", hint=_COMES_FROM
        )
    return arrays, metadata


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata alone, at once and unverified: for a list, not for use.

    Raises:
        CheckpointError: The file is not there or its header cannot be read.
    """
    metadata = _metadata(path, _open(path))
    metadata.pop("sha256", None)
    return metadata


def _open(path: Path) -> Any:  # The library has no types for what it opens.
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="numpy")
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from None


def _metadata(path: Path, file: Any) -> dict[str, str]:
    try:
        return dict(file.metadata() or {})
    except UnicodeError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} is no safetensors file, or is cut short or damaged ({error})", hint=_COMES_FROM
    )


def _hash(arrays: Arrays, metadata: Mapping[str, str]) -> str:
    """A SHA-256, in hex, of all that a file holds, in the order of the arrays' names."""
    described = [[name, array.dtype.name, array.shape] for name, array in arrays.items()]
    digest = hashlib.sha256(json.dumps([described, dict(metadata)], sort_keys=True).encode("ascii"))
    for array in arrays.values():
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
