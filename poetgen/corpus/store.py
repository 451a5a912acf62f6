"""Clean corpora on disk: one file each, opened by name.

A stored corpus is `poems.txt` in a folder of its name. It is text, so that it can be looked at:
the first line is a JSON header, then come three blocks of as many lines as there are poems: the
texts, the names of their forms, and title, author, dynasty and genre between tabs. One file is
replaced by one rename, so a crash while importing leaves the old corpus or the new one, whole.

Knows nothing of how poems are cleaned, except that a path is handed to `importing`.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from poetgen import files, folders
from poetgen.errors import CorpusError
from poetgen.verse.poem import MARKS, Poem, is_han

FORMAT_VERSION = 1
SAMPLE = "sample"
Script = Literal["simplified", "traditional"]

_FILE = "poems.txt"


@dataclass(frozen=True, slots=True)
class CorpusInfo:
    """What is known of a stored corpus without reading its poems.

    Attributes:
        name: What the user calls it.
        folder: Where it lies.
        source: The name of the file or folder that it was imported from.
        source_sha256: The hash of that file; empty for a folder.
        licence: What the source says, where it says it.
        script: `"simplified"` or `"traditional"`.
        poems: The number of poems.
        characters: The number of Chinese characters.
        content_hash: SHA-256 over the texts and forms. The same poems have the same hash,
            whatever options they were imported with.
        report: What the import counted; see `importing.Report`.
    """

    name: str
    folder: Path
    source: str
    source_sha256: str
    licence: str
    script: str
    poems: int
    characters: int
    content_hash: str
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Details:
    """What is known of a poem beside its text."""

    title: str = ""
    author: str = ""
    dynasty: str = ""
    genre: str = "诗"


class Corpus:
    """The poems of a stored corpus, read when they are first asked for."""

    def __init__(self, info: CorpusInfo, header: dict[str, Any]) -> None:
        self.info = info
        self._header = header

    @property
    def name(self) -> str:
        """What the user calls the corpus."""
        return self.info.name

    @property
    def content_hash(self) -> str:
        """SHA-256 over the texts and forms."""
        return self.info.content_hash

    def __len__(self) -> int:
        return self.info.poems

    def __iter__(self) -> Iterator[Poem]:
        """All poems, in stored order."""
        for text, details in zip(self.texts(), self.details(), strict=True):
            yield Poem.from_text(
                text,
                title=details.title,
                author=details.author,
                dynasty=details.dynasty,
                genre=details.genre,
            )

    def texts(self) -> Sequence[str]:
        """The text of every poem, in stored order: the fast road for encoding.

        Raises:
            CorpusError: The stored file is damaged.
        """
        return self._texts

    def forms(self) -> Sequence[str]:
        """The form of every poem: 五绝 七绝 五律 七律, 其他 for other 诗, 词, 曲."""
        return self._forms

    def commonest(self, count: int = 50) -> list[tuple[str, int]]:
        """The commonest Chinese characters, with how often each stands in the corpus."""
        code_points = np.frombuffer("".join(self.texts()).encode("utf-32-le"), dtype="<u4")
        counts = np.bincount(code_points)
        order = np.argsort(-counts, kind="stable")[: count + len(MARKS)]
        ranked = [(chr(code), int(counts[code])) for code in order if counts[code]]
        return [(character, n) for character, n in ranked if is_han(character)][:count]

    def details(self) -> Sequence[Details]:
        """Title, author, dynasty and genre of every poem, in stored order."""
        return [Details(*line.split("\t")) for line in self._block("details")]

    @cached_property
    def _texts(self) -> list[str]:
        return self._block("texts")

    @cached_property
    def _forms(self) -> list[str]:
        return self._block("forms")

    def _block(self, name: str) -> list[str]:
        start, size = self._header["blocks"][name]
        path = self.info.folder / _FILE
        with path.open("rb") as file:
            # The blocks are counted from the end of the header's own line.
            file.readline()
            file.seek(start, 1)
            data = file.read(size)
        if hashlib.sha256(data).hexdigest() != self._header["sha256"][name]:
            raise CorpusError(
                f"the corpus {self.name} is damaged: {path}",
                hint=f"import it again from {self.info.source}",
            )
        return data.decode("utf-8").split("\n")[:-1]


def write_corpus(
    folder: Path,
    info: CorpusInfo,
    texts: Sequence[str],
    forms: Sequence[str],
    details: Sequence[str],
) -> CorpusInfo:
    """Store a corpus in `folder`, in place of what is there.

    Args:
        folder: Where the corpus is to lie.
        info: Its description; `folder`, `poems` and `content_hash` are filled in here.
        texts: One line a poem.
        forms: One name a poem.
        details: One line a poem: title, author, dynasty, genre between tabs.
    """
    blocks = {
        name: ("\n".join(lines) + "\n").encode("utf-8") if lines else b""
        for name, lines in (("texts", texts), ("forms", forms), ("details", details))
    }
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in blocks.items()}
    record = asdict(info)
    record.pop("folder")
    record["poems"] = len(texts)
    record["content_hash"] = hashlib.sha256(
        f"{hashes['texts']} {hashes['forms']} {info.script}".encode()
    ).hexdigest()
    starts, start = {}, 0
    for name, data in blocks.items():
        starts[name] = (start, len(data))
        start += len(data)
    header = {
        "format_version": FORMAT_VERSION,
        "corpus": record,
        "blocks": starts,
        "sha256": hashes,
    }
    with files.replacing(folder / _FILE) as file:
        file.write(json.dumps(header, ensure_ascii=False).encode("utf-8") + b"\n")
        for data in blocks.values():
            file.write(data)
    return CorpusInfo(folder=folder, **record)


def read_corpus(folder: Path) -> Corpus:
    """Open the corpus that is stored in `folder`.

    Raises:
        CorpusError: It is damaged, or a newer poetgen wrote it.
        FileNotFoundError: There is none.
    """
    path = folder / _FILE
    with path.open("rb") as file:
        try:
            header = json.loads(file.readline())
            version = header["format_version"]
            record = header["corpus"] if version == FORMAT_VERSION else {}
            size = file.tell() + sum(size for _, size in header["blocks"].values())
            info = CorpusInfo(folder=folder, **record) if record else None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _damaged(path) from None
    if info is None:
        raise CorpusError(
            f"{path} has format {version}; this poetgen reads format {FORMAT_VERSION}",
            hint="import the corpus again",
        )
    if path.stat().st_size != size:
        raise _damaged(path)
    return Corpus(info, header)


def _damaged(path: Path) -> CorpusError:
    return CorpusError(f"{path} is damaged", hint="import the corpus again")


def corpora_folder() -> Path:
    """Where imported corpora lie, a folder each."""
    return folders.data_folder() / "corpora"


def open_corpus(
    name_or_path: str | Path, *, script: Script = "simplified", deduplicate: bool = True
) -> Corpus:
    """Open a corpus by name, or clean the one that lies at a path.

    Args:
        name_or_path: The name of an imported corpus; `"sample"`, the built-in one; or the path of
            a file or folder that `poetgen corpus import` would take. What is cleaned on the way
            is kept in the cache, by the hash of its content.
        script: What a path and the sample are converted to. An imported corpus has its own.
        deduplicate: Whether poems that came twice are dropped from a path. An evaluation says
            no: it owes a figure for every poem of its file.

    Raises:
        CorpusError: There is no such corpus; the hint says which there are. Or the file at the
            path cannot be read.
    """
    text = str(name_or_path)
    if text != SAMPLE and "/" not in text:
        try:
            return read_corpus(corpora_folder() / text)
        except FileNotFoundError:
            pass
    from poetgen.corpus import importing

    if text == SAMPLE:
        shipped = folders.shipped_folder("corpora") / SAMPLE / "poems.jsonl"
        return importing.open_path(shipped, name=SAMPLE, licence="CC0-1.0", script=script)
    path = Path(text).expanduser()
    if path.exists():
        return importing.open_path(path, script=script, deduplicate=deduplicate)
    known = ", ".join([SAMPLE, *(info.name for info in list_corpora() if info.name != SAMPLE)])
    raise CorpusError(
        f"there is no corpus or file '{text}'",
        hint=f"the corpora are {known}; `poetgen corpus import PATH` adds one",
    )


def list_corpora() -> list[CorpusInfo]:
    """The imported corpora by name; damaged ones are left out."""
    found = []
    for path in sorted(corpora_folder().glob(f"*/{_FILE}")):
        try:
            found.append(read_corpus(path.parent).info)
        except CorpusError:
            continue
    return found
