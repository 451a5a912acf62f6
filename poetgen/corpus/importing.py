"""The whole way of a corpus: read, clean, drop what came twice, count, store."""

import contextlib
import gc
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import filelock
import numpy as np

from poetgen import folders
from poetgen.corpus import chinese_poetry, readers, store
from poetgen.corpus.batch import Batch
from poetgen.corpus.cleaning import Reason, clean_batch
from poetgen.corpus.duplicates import exact_duplicates, near_duplicates
from poetgen.corpus.lines import OTHER, LineTable, concatenate
from poetgen.errors import CorpusError
from poetgen.verse.forms import FORMS

CLEANING_VERSION = 1
"""Goes up when the same file would give other poems, so that the cache forgets the old ones."""

FORM_NAMES = (*(form.name for form in FORMS), OTHER, "词", "曲")
"""Every form that a stored poem can have, in the order of reports."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a corpus is to be imported.

    Attributes:
        parts: For the chinese-poetry collection, which parts; none is its default.
        forms: The forms to keep, of `FORM_NAMES`; none is all.
        script: `"simplified"` or `"traditional"`.
        column: For CSV, the column that holds the poem.
        strict: Refuse a corpus with a part that cannot be read, instead of keeping the rest.
        deduplicate: Drop what came twice.
    """

    parts: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    script: store.Script = "simplified"
    column: str | None = None
    strict: bool = False
    deduplicate: bool = True


@dataclass(slots=True)
class Report:
    """What an import counted.

    Attributes:
        came_in: Poems that were read.
        stayed: Poems that were kept.
        dropped: Poems that were not, by reason.
        forms: Poems that were kept, by form.
        problems: What could not be read at all, a line each.
    """

    came_in: int = 0
    stayed: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    forms: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


Dropped = Callable[[Reason, str], None]
"""Told of each poem that is dropped, as it came: for looking at what an import throws away."""


def default_name(path: Path) -> str:
    """What a corpus is called when the user does not say."""
    is_archive = path.is_dir() or path.suffix.lower() == ".zip"
    if is_archive and chinese_poetry.is_collection(path):
        return chinese_poetry.NAME
    return path.resolve().stem


def check_name(name: str) -> None:
    """Refuse a name that is no plain folder name.

    Raises:
        CorpusError: It is built in, or would lead out of the folder of corpora.
    """
    if name == store.SAMPLE:
        raise CorpusError(f"'{name}' is the built-in corpus", hint="choose another --name")
    if not re.fullmatch(r"\w[\w.+ -]{0,99}", name):
        raise CorpusError(
            f"'{name}' cannot be the name of a corpus",
            hint="use letters, digits, - and _; --name says it",
        )


def import_corpus(
    path: Path,
    name: str,
    options: ImportOptions | None = None,
    *,
    on_progress: Callable[[int], None] | None = None,
    on_dropped: Dropped | None = None,
) -> store.CorpusInfo:
    """Clean the poems at `path` and store them under `name`, in place of what was there.

    Whatever happens before the last rename leaves the corpus of that name as it was.

    Args:
        path: A file or folder that `readers.read_poems` takes.
        name: What to call the corpus.
        options: How to import it.
        on_progress: Told how many poems have been read.
        on_dropped: Told of each poem that is dropped.

    Raises:
        CorpusError: Nothing can be read or nothing is left; `strict`, and a part cannot be read;
            or another import of that name is running.
    """
    check_name(name)
    root = store.corpora_folder()
    root.mkdir(parents=True, exist_ok=True)
    with _only_one(root / f".{name}.lock", name):
        return _import(path, name, root / name, options or ImportOptions(), on_progress, on_dropped)


def open_path(
    path: Path,
    *,
    name: str | None = None,
    licence: str | None = None,
    script: store.Script = "simplified",
    deduplicate: bool = True,
) -> store.Corpus:
    """Clean what lies at a path, or take it from the cache when its content is known.

    Raises:
        CorpusError: As `import_corpus`.
    """
    options = ImportOptions(script=script, deduplicate=deduplicate)
    name = name or default_name(path)
    what = f"{CLEANING_VERSION} {store.FORMAT_VERSION} {name} {_fingerprint(path)} {options}"
    key = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()
    folder = folders.cache_folder() / "corpora" / key[:32]
    with contextlib.suppress(FileNotFoundError, CorpusError):
        return store.read_corpus(folder)
    _import(path, name, folder, options, licence=licence)
    return store.read_corpus(folder)


@contextlib.contextmanager
def _only_one(lock: Path, name: str) -> Iterator[None]:
    try:
        with filelock.FileLock(lock, timeout=0):
            yield
    except filelock.Timeout:
        raise CorpusError(
            f"another import of '{name}' is running", hint="wait for it, or choose another --name"
        ) from None


def _import(
    path: Path,
    name: str,
    folder: Path,
    options: ImportOptions,
    on_progress: Callable[[int], None] | None = None,
    on_dropped: Dropped | None = None,
    licence: str | None = None,
) -> store.CorpusInfo:
    for leftover in folder.glob(".*.tmp"):  # Of an import that was killed.
        leftover.unlink(missing_ok=True)
    report = Report()
    with _without_gc():
        poems = _read_clean(path, options, report, on_progress, on_dropped)
    if not poems.texts:
        reasons = ", ".join(f"{count} {reason}" for reason, count in report.dropped.items())
        raise CorpusError(f"no poem is left of {path}" + (f": {reasons}" if reasons else ""))
    if licence is None:
        licence = chinese_poetry.LICENCE if name == chinese_poetry.NAME else ""
    info = store.CorpusInfo(
        name=name,
        folder=folder,
        source=path.name,
        source_sha256=_fingerprint(path) if path.is_file() else "",
        licence=licence,
        script=options.script,
        poems=len(poems.texts),
        characters=int(poems.lines.characters().sum()),
        content_hash="",
        report=asdict(report),
    )
    return store.write_corpus(folder, info, poems.texts, poems.forms, poems.details)


@contextlib.contextmanager
def _without_gc() -> Iterator[None]:
    """Hold the garbage collector, which would look at a million new objects time and again.

    Worth 10 % of the time; nothing here makes cycles.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(slots=True)
class _Poems:
    texts: list[str]
    forms: list[str]
    details: list[str]
    lines: LineTable


def _read_clean(
    path: Path,
    options: ImportOptions,
    report: Report,
    on_progress: Callable[[int], None] | None,
    on_dropped: Dropped | None,
) -> _Poems:
    problems: list[CorpusError] = []

    def problem(error: CorpusError) -> None:
        if options.strict:
            raise error
        problems.append(error)

    dropped: Counter[str] = Counter()

    def drop(reason: Reason, text: str) -> None:
        dropped[reason.value] += 1
        if on_dropped is not None:
            on_dropped(reason, text)

    texts: list[str] = []
    forms: list[str] = []
    details: list[str] = []
    tables: list[LineTable] = []
    components: dict[str, str] | None = None
    for batch in readers.read_poems(path, problem, parts=options.parts, column=options.column):
        if components is None:
            is_text = path.is_file() and path.suffix.lower() != ".zip"
            components = {} if is_text else chinese_poetry.read_components(path)
        report.came_in += len(batch.texts)
        regular = [genre == "诗" for genre in batch.genres]
        clean = clean_batch(batch.texts, regular, options.script, components)
        for place, reason in clean.dropped:
            drop(reason, batch.texts[place])
        names = [*(form.name for form in FORMS), OTHER]
        of_shape = clean.lines.forms().tolist()
        batch_forms = [
            names[shape] if regular[place] else batch.genres[place]
            for shape, place in zip(of_shape, clean.kept.tolist(), strict=True)
        ]
        texts += clean.texts
        forms += batch_forms
        details += _details(batch, clean.kept.tolist())
        tables.append(clean.lines)
        if on_progress is not None:
            on_progress(report.came_in)
    if problems and not report.came_in:
        first = problems[0]
        raise CorpusError(f"no poem can be read: {first.message}", hint=first.hint)
    report.problems = [error.message for error in problems]
    lines = concatenate(tables)
    keep = np.ones(len(texts), dtype=bool)
    if options.forms:
        wanted = set(options.forms)
        other = np.array([form not in wanted for form in forms], dtype=bool)
        _drop_all(other, keep, Reason.FORM, texts, drop)
    if options.deduplicate:
        twice = _spread(keep, exact_duplicates(lines.select(np.flatnonzero(keep))))
        _drop_all(twice, keep, Reason.DUPLICATE, texts, drop)
        places = np.flatnonzero(keep)
        near = near_duplicates(lines.select(places), lambda i: texts[places[i]])
        _drop_all(_spread(keep, near), keep, Reason.NEAR_DUPLICATE, texts, drop)
    kept = np.flatnonzero(keep).tolist()
    poems = _Poems(
        [texts[i] for i in kept],
        [forms[i] for i in kept],
        [details[i] for i in kept],
        lines.select(np.flatnonzero(keep)),
    )
    by_form = Counter(poems.forms)
    report.stayed = len(kept)
    report.dropped = {r.value: dropped[r.value] for r in Reason if dropped[r.value]}
    report.forms = {name: by_form[name] for name in FORM_NAMES if by_form[name]}
    return poems


def _spread(keep: np.ndarray, of_kept: np.ndarray) -> np.ndarray:
    """A mask over all poems from one over those kept."""
    spread = np.zeros(len(keep), dtype=bool)
    spread[np.flatnonzero(keep)[of_kept]] = True
    return spread


def _drop_all(
    mask: np.ndarray, keep: np.ndarray, reason: Reason, texts: list[str], drop: Dropped
) -> None:
    for i in np.flatnonzero(mask & keep).tolist():
        drop(reason, texts[i])
    keep &= ~mask


_NOT_TEXT = re.compile("[\x00-\x08\n-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _details(batch: Batch, kept: list[int]) -> list[str]:
    """Title, author, dynasty and genre of the kept poems, a line each."""
    columns = [batch.titles, batch.authors, batch.dynasties, batch.genres]
    lines = ["\t".join(row) for row in zip(*columns, strict=True)]
    # Tabs and line ends inside a title would break the table, half a surrogate pair the file.
    joined = "".join(lines)
    if joined.count("\t") != 3 * len(lines) or _NOT_TEXT.search(joined):
        lines = [
            "\t".join([" ".join(_NOT_TEXT.sub(" ", value).split()) for value in row])
            for row in zip(*columns, strict=True)
        ]
    return [lines[i] for i in kept]


def _fingerprint(path: Path) -> str:
    """A hash of a file's content; of a folder, of its files' names, sizes and times."""
    if path.is_dir():
        entries = [
            f"{file.relative_to(path)} {file.stat().st_size} {file.stat().st_mtime_ns}"
            for file in sorted(path.rglob("*.json"))
        ]
        return hashlib.sha256("\n".join(entries).encode("utf-8", "surrogateescape")).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
