"""`poetgen corpus`: what there is to learn from, and getting more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from poetgen.cli.console import clean, messages, output, print_json, print_warning
from poetgen.errors import CorpusError, TemplateError
from poetgen.verse.forms import form_named

if TYPE_CHECKING:
    from poetgen.corpus.store import Corpus, CorpusInfo

_SHOWN_PROBLEMS = 5

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
_quiet = click.option("--quiet", is_flag=True, help="No progress, no table.")


@click.group()
def corpus() -> None:
    """List, fetch, import and look at corpora of poems.

    \b
    poetgen corpus list                        what is here
    poetgen corpus fetch chinese-poetry        get and import 300,000 poems
    poetgen corpus import poems.jsonl          import your own
    poetgen corpus stats sample                what is in a corpus
    """  # noqa: D301


@corpus.command("list")
@_json
def list_(as_json: bool) -> None:
    """List the corpora that are here and those that can be fetched.

    \b
    poetgen corpus list
    poetgen corpus list --json
    """  # noqa: D301
    from rich.table import Table
    from rich.text import Text

    from poetgen.corpus.catalog import CATALOG
    from poetgen.corpus.store import SAMPLE, list_corpora, open_corpus

    here: list[CorpusInfo] = []
    with contextlib.suppress(CorpusError):
        here.append(open_corpus(SAMPLE).info)
    here.extend(list_corpora())
    names = {info.name for info in here}
    absent = [entry for entry in CATALOG.values() if entry.name not in names]
    if as_json:
        for info in here:
            print_json(
                {**_record(info), "state": "built in" if info.name == SAMPLE else "imported"}
            )
        for entry in absent:
            print_json({"name": entry.name, "licence": entry.licence, "state": "can be fetched"})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "poems", "characters", "script", "licence", "from"):
        justify: Any = "right" if heading in ("poems", "characters") else "left"
        table.add_column(heading, justify=justify)
    for info in here:
        table.add_row(
            Text(clean(info.name), style="bold"),
            f"{info.poems:,}",
            f"{info.characters:,}",
            info.script,
            info.licence,
            Text("built in" if info.name == SAMPLE else clean(info.source)),
        )
    for entry in absent:
        table.add_row(entry.name, "", "", "", entry.licence, f"poetgen corpus fetch {entry.name}")
    output().print(table)


def _form_names(value: str | None) -> tuple[str, ...]:
    """The Chinese names of the forms of `--form`, separated by commas."""
    others = {"其他": "其他", "古体": "其他", "other": "其他", "词": "词", "ci": "词"}
    others |= {"曲": "曲", "qu": "曲"}
    names = []
    for name in _split(value):
        try:
            names.append(others.get(name) or form_named(name).name)
        except TemplateError as error:
            raise click.BadParameter(f"{error.message}; {error.hint}, 其他, 词, 曲") from None
    return tuple(names)


def _part_names(value: str | None) -> tuple[str, ...]:
    """The parts of `--only`, separated by commas."""
    from poetgen.corpus.chinese_poetry import PARTS

    for name in _split(value):
        if name not in PARTS:
            raise click.BadParameter(f"no part '{name}'; the parts are {', '.join(PARTS)}")
    return tuple(_split(value))


def _split(value: str | None) -> list[str]:
    return [name.strip() for name in (value or "").replace("，", ",").split(",") if name.strip()]


def _import_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that `fetch` and `import` share."""
    for option in reversed(
        (
            click.option("--name", help="What to call the corpus."),
            click.option(
                "--only",
                metavar="PARTS",
                callback=lambda _ctx, _parameter, value: _part_names(value),
                help="Parts of chinese-poetry: tang,song,ci (these by default), wudai, yuanqu, "
                "shijing, chuci, caocao, nalan.",
            ),
            click.option(
                "--form",
                "forms",
                metavar="FORMS",
                callback=lambda _ctx, _parameter, value: _form_names(value),
                help="Keep only these forms, as 七绝,五绝 or qijue,wujue.",
            ),
            click.option(
                "--script",
                type=click.Choice(["simplified", "traditional"]),
                default="simplified",
                show_default=True,
                help="The characters to store the poems in.",
            ),
            click.option(
                "--strict", is_flag=True, help="Refuse a corpus that has a part nobody can read."
            ),
            _quiet,
            _json,
        )
    ):
        command = option(command)
    return command


@corpus.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--column", metavar="NAME", help="For CSV: the column that holds the poem.")
@_import_options
def import_(path: Path, **options: Any) -> None:
    """Clean the poems of a file or folder and keep them as a corpus.

    \b
    poetgen corpus import chinese-poetry.zip                  as it was downloaded
    poetgen corpus import chinese-poetry.zip --only tang --form 五绝,七绝
    poetgen corpus import poems.jsonl --name mine             {"text": …} or {"lines": […]} a line
    poetgen corpus import poems.csv --column 内容             or a column named text, content, …
    poetgen corpus import poems.txt --script traditional      a poem a line, or blocks

    Notes and numbers are removed, unreadable poems and poems that came twice are dropped, and
    what was dropped is counted. A part that cannot be read is named and the rest is kept.
    """  # noqa: D301
    _import(path, **options)


@corpus.command()
@click.argument("entry_name", metavar="NAME")
@click.option("--url", help="Another address of the same file, as that of a mirror.")
@click.option("--sha256", metavar="HEX", help="The SHA-256 that the file must have.")
@click.option("--no-import", is_flag=True, help="Only download it.")
@_import_options
def fetch(
    entry_name: str, url: str | None, sha256: str | None, no_import: bool, **options: Any
) -> None:
    """Download a corpus of the catalogue and import it.

    \b
    poetgen corpus fetch chinese-poetry
    poetgen corpus fetch chinese-poetry --only tang --form 七绝 --name tang-qijue
    poetgen corpus fetch chinese-poetry --url https://mirror.example/chinese-poetry.zip

    What was downloaded stays in the cache: fetching again with other options downloads nothing.
    """  # noqa: D301
    import dataclasses

    from poetgen.corpus.catalog import download, find_entry

    entry = find_entry(entry_name)
    if url is not None:
        entry = dataclasses.replace(entry, url=url, sha256=None)
    if sha256 is not None:
        entry = dataclasses.replace(entry, sha256=sha256.lower())
    quiet = options["quiet"]
    with _progress(f"fetching {entry.name}", quiet) as advance:
        path, found = download(entry, advance)
    if entry.sha256 is None and not quiet:
        click.echo(f"no SHA-256 is known to check against; what came has {found}", err=True)
    if no_import:
        click.echo(str(path))
        return
    options["name"] = options["name"] or entry.name
    _import(path, column=None, **options)


@corpus.command()
@click.argument("name")
@_json
def stats(name: str, as_json: bool) -> None:
    """Say what is in a corpus, and what its import dropped and why.

    \b
    poetgen corpus stats sample
    poetgen corpus stats chinese-poetry --json
    poetgen corpus stats poems.txt               a file that is not imported
    """  # noqa: D301
    from poetgen.corpus.store import open_corpus

    found = open_corpus(name)
    if as_json:
        print_json({**_record(found.info), "commonest": found.commonest()})
    else:
        _print_report(found)


def _import(
    path: Path,
    *,
    name: str | None,
    only: tuple[str, ...],
    forms: tuple[str, ...],
    script: Any,
    strict: bool,
    column: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    from poetgen.corpus.importing import ImportOptions, default_name, import_corpus
    from poetgen.corpus.store import read_corpus

    if not path.exists():
        raise CorpusError(f"there is no file or folder {path}")
    options = ImportOptions(only, forms, script, column, strict)
    with _progress(f"importing {path.name}", quiet, unit="poems") as advance:
        info = import_corpus(
            path,
            name or default_name(path),
            options,
            on_progress=None if advance is None else lambda poems: advance(poems, 0),
        )
    problems = info.report["problems"]
    for problem in problems[:_SHOWN_PROBLEMS]:
        print_warning(problem)
    if len(problems) > _SHOWN_PROBLEMS:
        print_warning(f"and {len(problems) - _SHOWN_PROBLEMS:,} more; the rest was kept")
    imported = read_corpus(info.folder)
    if as_json:
        print_json({**_record(info), "commonest": imported.commonest()})
    elif not quiet:
        _print_report(imported)
        messages().print(f"kept in {clean(str(info.folder))}", markup=False, soft_wrap=True)


@contextlib.contextmanager
def _progress(
    task: str, quiet: bool, unit: str = "bytes"
) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on stderr where somebody looks at it: told what is done and of how much, 0 unknown."""
    if quiet or not messages().is_terminal:
        yield None
        return
    from rich import progress

    columns: list[progress.ProgressColumn] = [
        progress.SpinnerColumn(),
        progress.TextColumn("{task.description}", markup=False),
    ]
    if unit == "bytes":
        columns += [
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
        ]
    else:
        columns += [progress.TextColumn("{task.completed:,} " + unit, markup=False)]
    with progress.Progress(*columns, console=messages(), transient=True) as bar:
        bar_task = bar.add_task(clean(task), total=None)

        def advance(done: int, total: int) -> None:
            bar.update(bar_task, completed=done, total=total or None)

        yield advance


def _record(info: CorpusInfo) -> dict[str, Any]:
    """What `--json` prints of a corpus."""
    return {
        "name": info.name,
        "poems": info.poems,
        "characters": info.characters,
        "script": info.script,
        "licence": info.licence,
        "source": info.source,
        "source_sha256": info.source_sha256,
        "content_hash": info.content_hash,
        "folder": str(info.folder),
        **{key: value for key, value in info.report.items() if key != "stayed"},
    }


def _print_report(found: Corpus) -> None:
    """The counts of an import: what came in and stayed, by form, and why the rest did not."""
    from rich.table import Table
    from rich.text import Text

    info = found.info
    report = info.report

    def table(heading: str, rows: dict[str, int], whole: int) -> None:
        shown = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
        shown.add_column(heading, min_width=24)
        shown.add_column("poems", justify="right", min_width=9)
        shown.add_column("share", justify="right", min_width=7)
        for name, count in rows.items():
            shown.add_row(name, f"{count:,}", f"{count / whole:.1%}")
        output().print(shown)
        output().print()

    name = Text(clean(info.name), style="bold")
    poems = "1 poem" if info.poems == 1 else f"{info.poems:,} poems"
    facts = f": {poems}, {info.characters:,} characters, {info.script}"
    output().print(name + Text(facts))
    output().print()
    came_in = report["came_in"]
    dropped = {f"dropped: {reason}": count for reason, count in report["dropped"].items()}
    table("", {"came in": came_in, "stayed": info.poems, **dropped}, came_in)
    forms = {("古体/其他" if form == "其他" else form): n for form, n in report["forms"].items()}
    table("form", forms, info.poems)
    commonest = " ".join(character for character, _ in found.commonest())
    output().print(Text("commonest characters: ", style="bold") + Text(commonest))
