"""The poem book: a file of JSON lines that is only ever appended to.

A line is a poem, or says that one was removed. A line is written whole, under a lock and to the
disk, so that processes that write at once lose nothing; a line that a crash cut off is passed over
and told of, and costs no other poem. Nothing is ever rewritten, so nothing can be lost by it.

This module knows nothing of how poems are shown.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import filelock

from poetgen import files, folders
from poetgen.corpus.script import to_simplified
from poetgen.errors import PoetgenError
from poetgen.verse.poem import MARKS, default_marks

if TYPE_CHECKING:
    from poetgen.writing.written import WrittenPoem

_PATIENCE = 10.0
"""Seconds to wait for another process that is writing: it takes milliseconds."""

_REMOVED = "removed"
"""The field of a line that takes a poem out of the book: its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookEntry:
    """A poem in the book, and what it takes to write it again.

    Attributes:
        id: Its name in the book: ten hexadecimal digits.
        saved_at: When it was kept: ISO 8601, to the second, with the offset from UTC.
        lines, marks: As in `poetgen.verse.poem.Poem`.
        heads: The heads that were asked for; empty in a continuation.
        form: The form's name: 七绝.
        model: The model's name.
        seed: What it was drawn with.
        settings: All else that it was written with: at, tones, rhyme_book, temperature, ….
        title, note: The keeper's own words; empty when there are none.
    """

    id: str
    saved_at: str
    lines: tuple[str, ...]
    marks: str
    heads: str
    form: str
    model: str
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    note: str = ""

    @classmethod
    def of(
        cls, poem: WrittenPoem, settings: Mapping[str, Any], title: str = "", note: str = ""
    ) -> Self:
        """An entry for a poem just written, with an id of its own, kept now.

        Args:
            poem: The poem.
            settings: What it was written with, as JSON can hold it.
            title: A title; the poem's own when empty.
            note: Anything that the keeper wants to say of it.
        """
        return cls(
            id=secrets.token_hex(5),
            saved_at=datetime.now().astimezone().isoformat(timespec="seconds"),
            lines=poem.lines,
            marks=poem.marks,
            heads=poem.heads,
            form=poem.form.name,
            model=poem.model,
            seed=poem.seed,
            settings=dict(settings),
            title=title or poem.title,
            note=note,
        )

    @property
    def text(self) -> str:
        """The poem as running text: every line with its mark."""
        return "".join(line + mark for line, mark in zip(self.lines, self.marks, strict=True))

    def to_json(self) -> dict[str, Any]:
        """The entry as an object of JSON."""
        return {**asdict(self), "lines": list(self.lines)}

    @classmethod
    def from_json(cls, record: Any, where: str) -> Self:
        """The entry that an object of JSON holds; fields that it does not know are left out.

        Args:
            record: The object.
            where: The file and the line, for messages.

        Raises:
            PoetgenError: A field is missing or of the wrong kind; the message names it.
        """
        if not isinstance(record, dict):
            raise PoetgenError(f"{where} is not a JSON object")
        record = {"settings": {}, "title": "", "note": "", **record}
        for name, kind in _KINDS.items():
            if name not in record:
                raise PoetgenError(f"{where} has no field '{name}'")
            value = record[name]
            if not isinstance(value, kind) or isinstance(value, bool):
                raise PoetgenError(f"{where}: field '{name}' is not {_KIND_NAMES[kind]}")
        lines = record["lines"]
        if not lines or not all(isinstance(line, str) and line for line in lines):
            raise PoetgenError(f"{where}: field 'lines' is not a list of lines of verse")
        if not record["id"]:
            raise PoetgenError(f"{where}: field 'id' is empty")
        marks = record["marks"] or default_marks(len(lines))
        if len(marks) != len(lines) or not set(marks) <= set(MARKS):
            raise PoetgenError(f"{where}: field 'marks' is not one of {MARKS} for each line")
        try:
            datetime.fromisoformat(record["saved_at"])
        except ValueError:
            raise PoetgenError(f"{where}: field 'saved_at' is not a time in ISO 8601") from None
        known = {each.name: record[each.name] for each in fields(cls)}
        return cls(**{**known, "lines": tuple(lines), "marks": marks})


_KINDS: dict[str, type] = {
    "id": str,
    "saved_at": str,
    "lines": list,
    "marks": str,
    "heads": str,
    "form": str,
    "model": str,
    "seed": int,
    "settings": dict,
    "title": str,
    "note": str,
}
_KIND_NAMES = {str: "text", list: "a list", int: "a whole number", dict: "an object"}


class Contents(NamedTuple):
    """What a book holds.

    Attributes:
        entries: Its poems, the newest last.
        problems: For each line that could not be read, where it is and what is wrong with it.
    """

    entries: list[BookEntry]
    problems: list[str]


class Book:
    """The poems that a user kept.

    Args:
        path: The file; `book.jsonl` in the data folder when None. It need not exist.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = folders.data_folder() / "book.jsonl" if path is None else path

    def append(self, entry: BookEntry) -> None:
        """Add a poem. When this returns, it is on the disk.

        A poem with the id of one that is there takes its place: so titles and notes are changed.

        Raises:
            PoetgenError: The book cannot be written; it is then as it was.
        """
        self._write(entry.to_json())

    def entries(self) -> list[BookEntry]:
        """The poems, the newest last. Lines that cannot be read are passed over; see `read`.

        Raises:
            PoetgenError: There is a book, but it cannot be read.
        """
        return self.read().entries

    def read(self) -> Contents:
        """The poems, and what is wrong with lines that hold none.

        Raises:
            PoetgenError: There is a book, but it cannot be read.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return Contents([], [])
        except OSError as error:
            raise PoetgenError(
                f"the poem book {self.path} cannot be read: {error.strerror}"
            ) from error
        kept: dict[str, BookEntry] = {}
        problems = []
        for number, line in enumerate(content.split(b"\n"), 1):
            if not line.strip():
                continue
            where = f"{self.path}, line {number}"
            try:
                record = _parsed(line, where)
                if isinstance(record, dict) and _REMOVED in record:
                    kept.pop(str(record[_REMOVED]), None)
                else:
                    entry = BookEntry.from_json(record, where)
                    kept[entry.id] = entry
            except PoetgenError as error:
                problems.append(error.message)
        return Contents(list(kept.values()), problems)

    def search(self, text: str) -> list[BookEntry]:
        """The poems with `text` in heads, verse, title, note, model or form, the newest last.

        Simplified finds Traditional and the other way round; capitals do not matter.

        Raises:
            PoetgenError: There is a book, but it cannot be read.
        """
        wanted = text.strip().casefold()
        folded = to_simplified(wanted)
        # What a character is in Simplified can depend on its neighbours (乾坤 keeps its 乾), so
        # that a part folded by itself need not be in the whole folded: look in both.
        return [
            entry
            for entry in self.entries()
            for whole in (_searched(entry),)
            if wanted in whole or folded in to_simplified(whole)
        ]

    def find(self, id_or_start: str) -> BookEntry:
        """The poem with this id, or with the only id that begins so.

        Raises:
            PoetgenError: There is no such poem, or there are several; or the book cannot be read.
        """
        entries = self.entries()
        found = [entry for entry in entries if entry.id == id_or_start] or [
            entry for entry in entries if id_or_start and entry.id.startswith(id_or_start)
        ]
        if not found:
            raise PoetgenError(
                f"no poem '{id_or_start}' in the poem book", hint="poetgen book list shows them"
            )
        if len(found) > 1:
            raise PoetgenError(
                f"{len(found)} poems have an id that begins with '{id_or_start}'",
                hint="give more of it: " + ", ".join(entry.id for entry in found[:5]),
            )
        return found[0]

    def remove(self, id: str) -> None:
        """Take a poem out of the book. Its line stays in the file; a later line says it is gone.

        Args:
            id: The whole id.

        Raises:
            PoetgenError: There is no such poem, or the book cannot be written.
        """
        if all(entry.id != id for entry in self.entries()):
            raise PoetgenError(
                f"no poem '{id}' in the poem book", hint="poetgen book list shows them"
            )
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        self._write({_REMOVED: id, "removed_at": now})

    def _write(self, record: dict[str, Any]) -> None:
        """Append one line, whole or not at all."""
        text = json.dumps(record, ensure_ascii=False)
        try:
            line = text.encode("utf-8") + b"\n"
        except UnicodeEncodeError as error:
            raise PoetgenError(
                f"U+{ord(text[error.start]):04X} is half a surrogate pair, not a character"
            ) from None
        try:
            with self._locked():
                _append(self.path, line)
        except filelock.Timeout:
            raise PoetgenError(
                f"another process has been writing to the poem book {self.path} for "
                f"{_PATIENCE:.0f} seconds",
                hint="end it and save again; nothing was lost",
            ) from None
        except OSError as error:
            raise PoetgenError(
                f"the poem book {self.path} cannot be written: {error.strerror or error}",
                hint="nothing in it was lost; make room or set POETGEN_HOME to another folder",
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # The file itself, where the path is a link: or two names would have two locks.
        path = self.path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path.with_name(f".{path.name}.lock"), timeout=_PATIENCE):
            yield


def _append(path: Path, line: bytes) -> None:
    """Append a line to a file that no other process writes to, and wait until it is on the disk.

    Raises:
        OSError: It could not be written; the file is as it was, or ends in a part of the line.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        if size:
            os.lseek(descriptor, -1, os.SEEK_END)
            if os.read(descriptor, 1) != b"\n":  # A crash cut the last line off: end it.
                line = b"\n" + line
        try:
            rest = memoryview(line)
            while rest:  # A disk that is nearly full takes a part, and then refuses the rest.
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except BaseException:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    if not size:
        files.sync_folder(path.resolve().parent)


def _parsed(line: bytes, where: str) -> Any:
    try:
        record = json.loads(line.decode("utf-8"))
        # JSON can spell half a surrogate pair, which no text can hold.
        json.dumps(record, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise PoetgenError(f"{where} is cut off or damaged") from None
    return record


def _searched(entry: BookEntry) -> str:
    """What a search looks in; the verse with its marks, and without."""
    parts = (entry.heads, entry.text, "".join(entry.lines), entry.title, entry.note)
    return "\n".join((*parts, entry.model, entry.form)).casefold()
