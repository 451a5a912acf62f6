"""Named arrays in one file: safetensors, written whole or not at all, and verified when read.

A safetensors file is the length of its header (8 bytes, little-endian), the header (JSON: name to
dtype, shape and place), and the arrays one after the other. There is no code in it that could run
when it is read, as there is in a pickle.

The safetensors library reads what is written here and checks that the places add up, but it takes
a flipped bit, a NaN or a header of any size for granted. So the header's metadata holds a SHA-256
over everything else in the file, and this module reads the format itself, with nothing but NumPy.
It does not know what the arrays mean.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from poetgen import files
from poetgen.errors import CheckpointError

Arrays = dict[str, npt.NDArray[Any]]

_DTYPES: dict[str, np.dtype[Any]] = {
    "U8": np.dtype(np.uint8),
    "I64": np.dtype(np.int64),
    "F16": np.dtype(np.float16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_MAX_HEADER = 16 << 20  # A header of a thousand arrays is 0.1 MB; this is no honest one.
_ALIGNMENT = 64  # Of each array's first byte in the file, so that a reader need not copy.
_COMES_FROM = "copy it again from where it came, or use another checkpoint"


def write_tensors(
    path: Path, arrays: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write `arrays` and `metadata` in place of `path`, whole or not at all.

    Args:
        path: The file; its folder is made when it is not there.
        arrays: Arrays of uint8, int64, float16, float32 or float64.
        metadata: Any text by name; the name `sha256` is taken.

    Raises:
        OSError: The disk is full or the folder cannot be written; `path` is untouched.
        TypeError: An array of another dtype.
    """
    entries: dict[str, Any] = {}
    ordered: list[npt.NDArray[Any]] = []
    end = 0
    # The widest dtype first, which keeps every array aligned to its own item size.
    for name in sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name)):
        # ascontiguousarray would turn a single number into an array of one.
        array = np.asarray(arrays[name], order="C")
        if array.dtype not in _NAMES:
            raise TypeError(
                f"'{name}' is of {array.dtype}; known are {', '.join(map(str, _NAMES))}"
            )
        entries[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [end, end + array.nbytes],
        }
        end += array.nbytes
        ordered.append(array)
    digest = _hash_of_header(entries, metadata)
    for array in ordered:
        digest.update(_bytes_of(array))
    header = json.dumps(
        {"__metadata__": {**metadata, "sha256": digest.hexdigest()}, **entries}, ensure_ascii=False
    ).encode("utf-8")
    header += b" " * (-(len(header) + 8) % _ALIGNMENT)
    with files.replacing(path) as file:
        file.write(len(header).to_bytes(8, "little"))
        file.write(header)
        for array in ordered:
            file.write(_bytes_of(array))


def read_tensors(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Read what `write_tensors` wrote.

    Returns:
        The arrays, which are the caller's to change, and the metadata without `sha256`.

    Raises:
        CheckpointError: The file is not there, is no safetensors file, is cut short or too long,
            or its bytes are not those that were written.
    """
    entries, metadata, start = _read_header(path)
    data = np.fromfile(path, dtype=np.uint8, offset=start)
    arrays: Arrays = {}
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
        begin, before = entry["data_offsets"][0], end
        end = entry["data_offsets"][1]
        if begin != before or end - begin != math.prod(shape) * dtype.itemsize:
            raise CheckpointError(f"{path}: the place of '{name}' does not fit its shape")
        if end > data.size:
            break
        # The copy is for files from elsewhere, which may place a float32 at an odd byte.
        array = data[begin:end] if begin % dtype.itemsize == 0 else data[begin:end].copy()
        try:
            arrays[name] = array.view(dtype).reshape(shape)
        except (ValueError, OverflowError):  # Nothing, times a side beyond NumPy's limits.
            raise CheckpointError(f"{path}: '{name}' cannot have the shape {shape}") from None
    total = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    if total != data.size:
        problem = "is cut short" if data.size < total else "has more bytes than it should"
        raise CheckpointError(
            f"{path} {problem}: {data.size:,} bytes of arrays, where its header says {total:,}",
            hint=_COMES_FROM,
        )
    written = metadata.pop("sha256", None)
    if written is None:
        raise CheckpointError(
            f"{path} has no checksum", hint="it was not written by poetgen, or it was changed since"
        )
    digest = _hash_of_header(entries, metadata)
    digest.update(data.data)
    if digest.hexdigest() != written:
        raise CheckpointError(
            f"{path} is damaged: its checksum does not match its content", hint=_COMES_FROM
        )
    return arrays, metadata


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata alone, at once and unverified: for a list, not for use.

    Raises:
        CheckpointError: The file is not there or its header cannot be read.
    """
    metadata = _read_header(path)[1]
    metadata.pop("sha256", None)
    return metadata


def _read_header(path: Path) -> tuple[dict[str, Any], dict[str, str], int]:
    """The entries of the arrays, the metadata, and where the first array begins."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size - 8
            length = int.from_bytes(file.read(8), "little")
            if size < 0 or length > size or length > _MAX_HEADER:
                raise CheckpointError(
                    f"{path} is no safetensors file, or is cut short: it claims a header of "
                    f"{length:,} bytes in a file of {size + 8:,}",
                    hint=_COMES_FROM,
                )
            text = file.read(length)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    try:
        entries = json.loads(text.decode("utf-8"))
        metadata = entries.pop("__metadata__", {})
        sound = all(isinstance(v, str) for v in metadata.values()) and all(
            entry["dtype"] in _DTYPES
            and all(type(n) is int and n >= 0 for n in (*entry["shape"], *entry["data_offsets"]))
            and len(entry["data_offsets"]) == 2
            for entry in entries.values()
        )
    # What JSON from anywhere can do: be no JSON, nest 10,000 deep, be a list where a record is due.
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise CheckpointError(
            f"{path}: its header cannot be read, or holds an array that is none of "
            f"{', '.join(_DTYPES)}",
            hint=_COMES_FROM,
        )
    return entries, metadata, 8 + length


def _hash_of_header(entries: Mapping[str, Any], metadata: Mapping[str, str]) -> hashlib._Hash:
    """A SHA-256 begun with all that the header says, the hash itself left out."""
    return hashlib.sha256(json.dumps([entries, dict(metadata)], sort_keys=True).encode("ascii"))


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
