"""The chinese-poetry collection as its users have it: the zip, or the folder unpacked.

The zip's names are UTF-8 without the flag that says so; nothing is ever unpacked to the disk. Only
the files of the parts that are asked for are read, so what else lies in the archive is of no
matter, and the anthologies (唐诗三百首, 水墨唐诗, …) that repeat poems of the parts stay out.

One bad file leaves the others readable, and so does one bad record in a file. A zip that is cut
off has lost its list of contents, which stands at its end: nothing of it can be kept.
"""

import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import Any

from poetgen.corpus.batch import Batch, Problem
from poetgen.errors import CorpusError

NAME = "chinese-poetry"
LICENCE = "MIT"
DEFAULT_PARTS = ("tang", "song", "ci")

LARGEST_FILE = 256 << 20
LARGEST_ARCHIVE = 2 << 30
"""Bytes that a file, and the chosen files together, may unpack to: 20 times what they do."""

_COMPONENTS = "全唐诗/表面结构字.json"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the collection.

    Attributes:
        files: A pattern for the end of the path of its files.
        dynasty: When its poems were written; empty when the files say.
        genre: 诗, 词 or 曲.
        title: What it is, for help texts.
    """

    files: str
    dynasty: str
    genre: str
    title: str


PARTS = {
    "tang": Part(r"(全唐诗|json)/poet\.tang\.\d+\.json", "唐", "诗", "Tang shi"),
    "song": Part(r"(全唐诗|json)/poet\.song\.\d+\.json", "宋", "诗", "Song shi"),
    "ci": Part(r"(宋词|ci)/ci\.song\.\w+\.json", "宋", "词", "Song ci"),
    "wudai": Part(
        r"(huajianji/huajianji-[1-9x]-juan|nantang/poetrys)\.json", "五代", "词", "Five Dynasties"
    ),
    "yuanqu": Part(r"(元曲|yuanqu)/yuanqu\.json", "元", "曲", "Yuan qu"),
    "shijing": Part(r"(诗经|shijing)/shijing\.json", "先秦", "诗", "Book of Songs"),
    "chuci": Part(r"(楚辞|chuci)/chuci\.json", "先秦", "诗", "Songs of Chu"),
    "caocao": Part(r"caocao\.json", "汉", "诗", "Cao Cao"),
    "nalan": Part(r"纳兰性德诗集\.json", "清", "词", "Nalan Xingde"),
}

_TEXT_FIELDS = ("paragraphs", "content", "para")


class Archive:
    """The files of a zip or a folder, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        self._entries: dict[str, zipfile.ZipInfo] = {}
        if path.is_dir():
            self.names = [
                file.relative_to(path.parent).as_posix() for file in sorted(path.rglob("*.json"))
            ]
            return
        try:
            self._zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise CorpusError(
                f"{path} is no whole zip file: {error}", hint="fetch or copy it again"
            ) from None
        self._entries = {_name(info): info for info in self._zip.infolist() if not info.is_dir()}
        self.names = list(self._entries)
        for name in self.names:
            pure = PurePosixPath(name.replace("\\", "/"))
            if pure.is_absolute() or ".." in pure.parts or re.match("[A-Za-z]:", name):
                raise CorpusError(
                    f"{path}: the entry {name!r} points outside the archive",
                    hint="this zip was not made in good faith; get it from its source",
                )

    def check_size(self, names: Sequence[str]) -> None:
        """Refuse a zip whose chosen files unpack to more than any collection has.

        Raises:
            CorpusError: A zip bomb.
        """
        sizes = {name: self._entries[name].file_size for name in names if name in self._entries}
        for name, size in sizes.items():
            if size > LARGEST_FILE:
                raise CorpusError(f"{self.path}: {name} unpacks to {size:,} bytes: too many")
        if sum(sizes.values()) > LARGEST_ARCHIVE:
            raise CorpusError(f"{self.path} unpacks to {sum(sizes.values()):,} bytes: too many")

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            CorpusError: It is damaged.
        """
        if self._zip is None:
            return (self.path.parent / name).read_bytes()
        try:
            return self._zip.read(self._entries[name])
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise CorpusError(f"{self.path}: {name} is damaged: {error}") from None
        except (RuntimeError, NotImplementedError) as error:
            raise CorpusError(f"{self.path}: {name} cannot be unpacked: {error}") from None

    def close(self) -> None:
        """Close the zip."""
        if self._zip is not None:
            self._zip.close()


def _name(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x800:
        return info.filename
    raw = info.filename.encode("cp437", "replace")
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return info.filename


def find_files(names: Sequence[str], parts: Sequence[str]) -> list[tuple[str, Part]]:
    """The files of `parts`, part by part, by number."""
    found: list[tuple[str, Part]] = []
    for key in parts:
        pattern = re.compile(f"(.*/)?{PARTS[key].files}")
        matching = [name for name in names if pattern.fullmatch(name)]
        found.extend((name, PARTS[key]) for name in sorted(matching, key=_natural))
    return found


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts 2 before 10."""
    return [(int(number or 0), text) for text, number in re.findall(r"(\D*)(\d*)", name)]


def is_collection(path: Path) -> bool:
    """Whether files of the collection lie in the zip or folder at `path`."""
    archive = Archive(path)
    archive.close()
    return bool(find_files(archive.names, tuple(PARTS)))


def read_collection(path: Path, parts: Sequence[str], problem: Problem) -> Iterator[Batch]:
    """Read the chosen parts, a batch a file.

    Args:
        path: The zip or the folder.
        parts: Keys of `PARTS`.
        problem: Told of each file and record that cannot be read.

    Raises:
        CorpusError: The zip is damaged, or none of the parts is in it.
    """
    archive = Archive(path)
    try:
        chosen = find_files(archive.names, parts)
        if not chosen:
            raise CorpusError(
                f"{path} has no file of {', '.join(parts)}",
                hint=f"the parts of {NAME} are {', '.join(PARTS)}",
            )
        archive.check_size([name for name, _ in chosen])
        # The next file is unpacked while this one is parsed: zlib works without the interpreter.
        with ThreadPoolExecutor(1) as unpacker:
            unpacked = unpacker.submit(archive.read, chosen[0][0])
            for (name, part), following in zip_longest(chosen, chosen[1:]):
                current = unpacked
                if following is not None:
                    unpacked = unpacker.submit(archive.read, following[0])
                try:
                    records = load_records(current.result(), f"{path}: {name}")
                except CorpusError as error:
                    problem(error)
                    continue
                yield _batch(records, f"{path}: {name}", part, problem)
    finally:
        archive.close()


def read_components(path: Path) -> dict[str, str]:
    """The characters that the collection describes by their parts, as `{上休下鳥}`."""
    archive = Archive(path)
    try:
        for name in archive.names:
            if name.endswith(_COMPONENTS):
                table = json.loads(archive.read(name))
                return {parts: fonts[0]["font"] for parts, fonts in table.items() if fonts}
    except (CorpusError, ValueError, LookupError, TypeError, AttributeError):
        return {}  # Without the table those poems count as unreadable; no reason to stop.
    finally:
        archive.close()
    return {}


def load_records(data: bytes, place: str) -> list[Any]:
    """The list that a JSON file holds.

    Raises:
        CorpusError: It is not UTF-8, not JSON, or not a list.
    """
    try:
        records = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise CorpusError(f"{place}, byte {error.start}: not UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"{place}, line {error.lineno}, column {error.colno}"
        raise CorpusError(f"{where}: not JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise CorpusError(f"{place}: not JSON that a collection of poems would have") from None
    if not isinstance(records, list):
        kind = type(records).__name__
        raise CorpusError(f"{place}: holds one {kind}, not a list of poems")
    return records


def _batch(records: list[Any], place: str, part: Part, problem: Problem) -> Batch:
    good = []
    texts = []
    for number, record in enumerate(records, 1):
        try:
            lines = record.get("paragraphs")
            if lines is None:
                lines = next(record[key] for key in _TEXT_FIELDS if key in record)
            texts.append("\n".join(lines) if isinstance(lines, list) else "".join(lines))
            good.append(record)
        except (AttributeError, TypeError, KeyError, StopIteration):
            problem(CorpusError(f"{place}, record {number}: no poem with paragraphs of text"))
    return Batch(
        place=place,
        texts=texts,
        titles=[_string(record.get("title") or record.get("rhythmic")) for record in good],
        authors=[_string(record.get("author")) for record in good],
        dynasties=[part.dynasty] * len(good),
        genres=[part.genre] * len(good),
    )


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
