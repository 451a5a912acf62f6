"""The drafts on disk: written whole after every change, found again at the next start.

Each studio writes a file of its own, under a lock that the system frees when the process ends,
however it ends. A studio that starts takes over the files that nobody holds, so that drafts of a
killed studio come back, and those of one that is still open stay with it.

A file is written beside the old one and renamed over it (`poetgen.files`), by a thread of its own:
a slow disk delays no key. One that cannot be read is set aside, not overwritten.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from poetgen import files, folders
from poetgen.errors import PoetgenError
from poetgen.studio.drafts import Draft
from poetgen.studio.session import State

_VERSION = 1


@dataclass(frozen=True)
class Found:
    """What there was at the start.

    Attributes:
        drafts, current: As in `State`.
        theme: The colours that were used last; empty: nobody says.
        problems: What could not be read or cannot be kept, a line each.
    """

    drafts: tuple[Draft, ...] = ()
    current: int = 0
    theme: str = ""
    problems: tuple[str, ...] = ()


class Keeper:
    """Keeps the drafts of one studio in a folder.

    Args:
        folder: Where; `studio` in the data folder when None.
        told: Called, from another thread, with what went wrong when saving, or "" when it went
            well again.
    """

    def __init__(
        self, folder: Path | None = None, told: Callable[[str], None] = lambda _: None
    ) -> None:
        self.folder = folders.data_folder() / "studio" if folder is None else folder
        self.told = told
        self._lock: Any = None
        self._path: Path | None = None
        self._waiting: dict[str, Any] | None = None
        self._writing = False
        self._failed = ""
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None

    def open(self) -> Found:
        """Take over the drafts that no other studio holds.

        Never raises: what goes wrong is among the problems, and the studio works without.
        """
        problems: list[str] = []
        theirs: list[tuple[Path, dict[str, Any]]] = []
        spoiled: set[Path] = set()
        held: list[Any] = []
        paths = sorted(self.folder.glob("drafts-*.json"), key=_age) if self.folder.is_dir() else []
        for path in paths:
            lock = filelock.FileLock(path.with_suffix(".lock"))
            try:
                lock.acquire(blocking=False)
            except filelock.Timeout:
                continue
            except OSError:
                pass  # Nothing can be written here: said below. What is there can still be read.
            else:
                held.append(lock)
            try:
                theirs.append((path, _read(path)))
            except (OSError, ValueError) as error:
                problems.append(f"the drafts in {path} cannot be read ({error}): set aside")
                with contextlib.suppress(OSError):
                    path.replace(path.with_suffix(".damaged"))
        drafts: dict[str, Draft] = {}
        current = theme = ""
        for path, record in theirs:
            theme = str(record.get("theme", theme))
            for each in record.get("drafts", ()):
                try:
                    draft = Draft.from_json(each)
                except PoetgenError as error:
                    problems.append(f"{path}: {error.message}: set aside")
                    spoiled.add(path)
                    continue
                drafts[draft.id] = draft
            current = str(record.get("current", current))
        kept = tuple(draft for draft in drafts.values() if not draft.is_empty)
        problems += self._begin(kept, current, theme, [path for path, _ in theirs], spoiled)
        for lock in held:
            lock.release()
            with contextlib.suppress(OSError):
                Path(lock.lock_file).unlink()
        ids = [draft.id for draft in kept]
        at = ids.index(current) if current in ids else max(len(ids) - 1, 0)
        return Found(kept, at, theme, tuple(problems))

    def _begin(
        self,
        drafts: Sequence[Draft],
        current: str,
        theme: str,
        old: Sequence[Path],
        spoiled: Collection[Path],
    ) -> list[str]:
        """Begin a file of our own with what was found, and only then remove the old ones."""
        path = self.folder / f"drafts-{secrets.token_hex(4)}.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = filelock.FileLock(path.with_suffix(".lock"))
            self._lock.acquire(blocking=False)
            _write(path, _record(drafts, current, theme))
        except (OSError, filelock.Timeout) as error:
            return [f"drafts cannot be kept in {self.folder}: {_reason(error)}"]
        self._path = path
        for each in old:
            with contextlib.suppress(OSError):
                if each in spoiled:
                    each.replace(each.with_suffix(".damaged"))
                else:
                    each.unlink()
        self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)
        self._thread.start()
        return []

    def keep(self, state: State, theme: str) -> None:
        """Write a state, soon and in the background; only the newest of several waiting ones."""
        if self._path is None:
            return
        current = state.drafts[state.current].id
        with self._change:
            self._waiting = _record(state.drafts, current, theme)
            self._change.notify_all()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all is written. Gives whether it is."""
        with self._change:
            done = self._change.wait_for(
                lambda: self._waiting is None and not self._writing, timeout
            )
            return done and not self._failed

    def close(self) -> str:
        """Write what waits, and let go of the file.

        Returns:
            What went wrong, or "".
        """
        if self._thread is not None:
            self.flush()
            with self._change:
                self._path = None
                self._change.notify_all()
            self._thread.join(5)
            self._thread = None
        if self._lock is not None:
            self._lock.release()
            with contextlib.suppress(OSError):
                Path(self._lock.lock_file).unlink()
            self._lock = None
        return self._failed

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting is not None or self._path is None)
                if self._path is None or self._waiting is None:
                    return
                path, record = self._path, self._waiting
                self._waiting, self._writing = None, True
            failed = ""
            try:
                _write(path, record)
            except OSError as error:
                failed = f"drafts cannot be kept in {self.folder}: {_reason(error)}"
            with self._change:
                self._writing = False
                told, self._failed = self._failed != failed, failed
                self._change.notify_all()
            if told:
                self.told(failed)


def _record(drafts: Sequence[Draft], current: str, theme: str) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "current": current,
        "theme": theme,
        "drafts": [draft.to_json() for draft in drafts],
    }


def _write(path: Path, record: dict[str, Any]) -> None:
    files.write_text(path, json.dumps(record, ensure_ascii=False, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any]:
    record = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(record, dict) or not isinstance(record.get("drafts"), list):
        raise ValueError("it holds no drafts")
    if record.get("version") != _VERSION:
        raise ValueError(f"its version is {record.get('version')}, and not {_VERSION}")
    return record


def _age(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # Gone in the meantime, with the studio that took it over.
        return 0


def _reason(error: OSError | filelock.Timeout) -> str:
    return getattr(error, "strerror", None) or str(error)
