"""Poems out of whatever a user has: a collection, JSON, JSONL, CSV or plain text.

To add a format, write a generator of `Batch` and give it its entry in `_READERS`. A reader never
judges verse. It tells `problem` of what it cannot read and goes on with the rest: a bad line of
JSONL, CSV or text costs that line, a bad file of a collection that file. A JSON file, and a CSV
without its column, is read whole or not at all.
"""

import csv
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from poetgen.corpus import chinese_poetry
from poetgen.corpus.batch import GENRES, Batch, Problem
from poetgen.errors import CorpusError
from poetgen.verse.poem import MARKS

LONGEST_LINE = 1 << 20
"""Bytes in a line of a text file. The longest poem has 20,000; what has more is no line."""

_BATCH = 2000

_TEXT_NAMES = (
    "text", "content", "poem", "paragraphs", "lines", "para",
    "诗", "詩", "诗歌", "内容", "內容", "正文", "诗句", "原文",
)  # fmt: skip
_TITLE_NAMES = ("title", "rhythmic", "题目", "標題", "标题", "诗名", "词牌")
_AUTHOR_NAMES = ("author", "作者", "诗人")
_DYNASTY_NAMES = ("dynasty", "朝代", "年代")
_GENRE_NAMES = ("genre", "体裁", "體裁")


def read_poems(
    path: Path, problem: Problem, *, parts: tuple[str, ...] = (), column: str | None = None
) -> Iterator[Batch]:
    """Read the poems at `path`, in batches.

    Args:
        path: A file or folder; its content, and for text its name, say what it is.
        problem: Told of each part that cannot be read.
        parts: For the chinese-poetry collection, which parts; none is `DEFAULT_PARTS`.
        column: For CSV, the column that holds the poem.

    Raises:
        CorpusError: Nothing can be read: no such file, an empty one, a damaged archive, a JSON
            file of the wrong shape, a CSV without the column.
    """
    if not path.exists():
        raise CorpusError(f"there is no file or folder {path}")
    kind = _kind(path)
    if kind == "collection":
        yield from chinese_poetry.read_collection(
            path, parts or chinese_poetry.DEFAULT_PARTS, problem
        )
        return
    if parts:
        raise CorpusError(
            f"{path} has no parts to choose from",
            hint="leave --only out; it is for the chinese-poetry collection",
        )
    if column is not None and kind != "csv":
        raise CorpusError(f"{path} has no columns", hint="leave --column out; it is for CSV")
    if kind == "json":
        yield from _read_json(path, problem)
    elif kind == "jsonl":
        yield from _read_jsonl(path, problem)
    elif kind == "csv":
        yield from _read_csv(path, problem, column)
    else:
        yield from _read_text(path, problem)


def _kind(path: Path) -> str:
    if path.is_dir() or zipfile.is_zipfile(path) or path.suffix.lower() == ".zip":
        return "collection"
    with path.open("rb") as file:
        start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        raise CorpusError(f"{path} is empty")
    if start.startswith(b"PK\x03\x04"):
        return "collection"
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return "csv"
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    if suffix == ".json":
        return "jsonl" if start.startswith(b"{") else "json"
    return "jsonl" if start.startswith(b"{") else "text"


def _lines(path: Path, problem: Problem) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file with their numbers, without those that cannot be read."""
    with path.open("rb") as file:
        number = offset = 0
        while data := file.readline(LONGEST_LINE + 1):
            number += 1
            start, offset = offset, offset + len(data)
            if len(data) > LONGEST_LINE:
                offset += _skip_line(file, data)
                problem(CorpusError(f"{path}, line {number}: longer than {LONGEST_LINE:,} bytes"))
                continue
            if number == 1:
                bom = len(data) - len(data.removeprefix(b"\xef\xbb\xbf"))
                start, data = start + bom, data[bom:]
            try:
                yield number, data.decode("utf-8")
            except UnicodeDecodeError as error:
                problem(
                    CorpusError(
                        f"{path}, line {number}, byte {start + error.start}: not UTF-8",
                        hint="convert it first: iconv -f GB18030 -t UTF-8",
                    )
                )


def _skip_line(file: BinaryIO, data: bytes) -> int:
    skipped = 0
    while data and not data.endswith(b"\n"):
        data = file.readline(LONGEST_LINE)
        skipped += len(data)
    return skipped


class _Gather:
    """Fills batches from records."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.rows: list[tuple[str, str, str, str, str]] = []

    def add(self, record: Mapping[str, Any], text: str) -> None:
        genre = _first(record, _GENRE_NAMES)
        self.rows.append(
            (
                text,
                _first(record, _TITLE_NAMES),
                _first(record, _AUTHOR_NAMES),
                _first(record, _DYNASTY_NAMES),
                genre if genre in GENRES else GENRES[0],
            )
        )

    def full(self) -> Iterator[Batch]:
        if len(self.rows) >= _BATCH:
            yield from self.rest()

    def rest(self) -> Iterator[Batch]:
        if self.rows:
            texts, titles, authors, dynasties, genres = map(list, zip(*self.rows, strict=True))
            yield Batch(self.place, texts, titles, authors, dynasties, genres)
            self.rows = []


def _first(record: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = record.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def _text_of(record: Any) -> str | None:
    """The text of a JSON record, or None where it has none."""
    if not isinstance(record, dict):
        return None
    for name in _TEXT_NAMES:
        value = record.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and all(isinstance(line, str) for line in value):
            return "\n".join(value)
    return None


_NO_TEXT = "no object with the poem under lines, text, content or paragraphs"


def _read_json(path: Path, problem: Problem) -> Iterator[Batch]:
    gather = _Gather(str(path))
    for number, record in enumerate(chinese_poetry.load_records(path.read_bytes(), str(path)), 1):
        text = _text_of(record)
        if text is None:
            problem(CorpusError(f"{path}, record {number}: {_NO_TEXT}"))
            continue
        gather.add(record, text)
        yield from gather.full()
    yield from gather.rest()


def _read_jsonl(path: Path, problem: Problem) -> Iterator[Batch]:
    gather = _Gather(str(path))
    for number, line in _lines(path, problem):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            place = f"{path}, line {number}, column {error.colno}"
            problem(CorpusError(f"{place}: not JSON: {error.msg}"))
            continue
        except (ValueError, RecursionError):
            problem(CorpusError(f"{path}, line {number}: not JSON that a poem would have"))
            continue
        text = _text_of(record)
        if text is None:
            problem(CorpusError(f"{path}, line {number}: {_NO_TEXT}"))
            continue
        gather.add(record, text)
        yield from gather.full()
    yield from gather.rest()


def _read_csv(path: Path, problem: Problem, column: str | None) -> Iterator[Batch]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    rows = csv.reader((line for _, line in _lines(path, problem)), delimiter=delimiter)
    header = [name.strip() for name in next(rows, [])]
    names = (column,) if column is not None else _TEXT_NAMES
    found = next((name for name in names if name in header), None)
    if found is None:
        wanted = f"column '{column}'" if column is not None else "column of poems"
        raise CorpusError(
            f"{path}, line 1: no {wanted} among {', '.join(header)}",
            hint="name the column that holds the poem with --column NAME",
        )
    gather = _Gather(str(path))
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            problem(CorpusError(f"{path}, line {rows.line_num}: {error}"))
            continue
        if row is None:
            break
        record = dict(zip(header, row, strict=False))
        if not row:
            continue
        if found not in record:
            problem(CorpusError(f"{path}, line {rows.line_num}: no field for column '{found}'"))
            continue
        gather.add(record, record[found])
        yield from gather.full()
    yield from gather.rest()


_VERSE_LINE = re.compile(f"[^{MARKS},.!?;:\\s]+[{MARKS},.!?;:]")


def _read_text(path: Path, problem: Problem) -> Iterator[Batch]:
    """A poem a line, or a poem a block between blank lines; see `_blocks`."""
    gather = _Gather(str(path))
    for block in _blocks([line.strip() for _, line in _lines(path, problem)]):
        title, author, lines = _heading(block)
        gather.add({"title": title, "author": author}, "\n".join(lines))
        yield from gather.full()
    yield from gather.rest()


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Group lines into poems.

    Every line is a poem where each has four lines of verse or more, closed by their marks, or
    where none is blank and each has two. Otherwise blank lines part the poems. One line in twenty
    may have fewer: a fragment among ten thousand poems must not make one poem of them all.
    """
    verses = sorted(len(_VERSE_LINE.findall(line)) for line in lines if line)
    fewest = verses[len(verses) // 20] if verses else 0
    if fewest >= 4 or (fewest >= 2 and "" not in lines):
        yield from ([line] for line in lines if line)
        return
    block: list[str] = []
    for line in chain(lines, [""]):
        if line:
            block.append(line)
        elif block:
            yield block
            block = []


def _heading(block: list[str]) -> tuple[str, str, list[str]]:
    """Title, author and the lines of verse: a heading has no marks where the verse has them."""
    unmarked = 0
    while unmarked < len(block) and not _VERSE_LINE.search(block[unmarked]):
        unmarked += 1
    if not 0 < unmarked <= 2 or unmarked == len(block):
        return "", "", block
    return block[0], block[1] if unmarked == 2 else "", block[unmarked:]
