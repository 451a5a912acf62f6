"""The log of a run: one JSON object a line, rewound when the run is resumed.

It knows no meaning of what it keeps but `step`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class MetricsLog:
    """A file of JSON lines that is only ever added to, but for a rewind when it is opened.

    Each line is handed to the system when it is written, so that it can be followed while
    training goes on; only `sync` waits for the disk.

    Args:
        path: The file; it is made when it is not there.
        length: Bytes of it that count. What comes after them was logged by a run that died
            before its next snapshot; it is cut off, and readable in `cut`.

    Attributes:
        length: Bytes in the file.
        cut: The records that were cut off, in order.
    """

    def __init__(self, path: Path, length: int) -> None:
        # Unbuffered, or a full disk would raise once more, from close().
        self._file = path.open("ab+", buffering=0)
        self._file.seek(length)
        self.cut = _complete_records(self._file.read())
        self._file.truncate(min(length, self._file.seek(0, os.SEEK_END)))
        self.length = self._file.seek(0, os.SEEK_END)

    def append(self, record: dict[str, Any]) -> None:
        """Add one record."""
        self.length += self._file.write(json.dumps(record).encode("utf-8") + b"\n")

    def sync(self) -> None:
        """Wait until every line is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _complete_records(text: bytes) -> list[dict[str, Any]]:
    # The process may have died in the middle of a line.
    records = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            break
        if not isinstance(record, dict):
            break
        records.append(record)
    return records
