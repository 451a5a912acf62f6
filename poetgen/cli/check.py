"""`poetgen check`: whether a poem keeps the rules, and by what name it breaks them."""

from __future__ import annotations

import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from poetgen.cli import console
from poetgen.errors import PoetgenError
from poetgen.verse.poem import Poem, is_han

if TYPE_CHECKING:
    from poetgen.verse.prosody import Finding, ProsodyReport

_COLOURS = {"平": "green", "仄": "yellow", "中": "cyan"}
_INDENT = "  "
_WIDE_SPACE = "\u3000"

# Text without marks is parted into lines where its length says how.
_LENGTH_OF_LINES = {20: 5, 28: 7, 40: 5, 56: 7}


@click.command()
@click.argument("poem", metavar="TEXT|FILE|-")
@click.option(
    "--rhyme-book",
    metavar="BOOK",
    default="平水韵",
    show_default=True,
    help="Judge by 平水韵 (pingshui), 新韵 (xinyun) or 通韵 (tongyun).",
)
@click.option(
    "--tones",
    "style",
    type=click.Choice(["loose", "strict"]),
    default="loose",
    show_default=True,
    help="loose: 一三五不论 within the rules' limits; strict: the textbook's free places only.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a poem.")
@click.option("-q", "--quiet", is_flag=True, help="No count at the end of a file.")
def check(poem: str, rhyme_book: str, style: str, as_json: bool, quiet: bool) -> None:
    """Judge a poem by the rules of regular verse: form, tones, rhyme, every fault by name.

    Reads a poem, a file of poems (text, JSON, JSONL, CSV) or, with -, standard input. In text, a
    poem stands on a line of its own or between blank lines.

    \b
    poetgen check 白日依山尽，黄河入海流。欲穷千里目，更上一层楼。
    poetgen check poems.txt --json
    poetgen acrostic 春夏秋冬 | poetgen check -

    平 is level and 仄 oblique; 中 can be read either way, or is not in the book. 韵 marks a line
    that rhymes. Faults: 平仄 孤平 三平尾 失对 失粘 白脚 出韵, and the blemishes 重韵 and 撞韵.
    """  # noqa: D301
    from poetgen.verse.phonology import rhyme_book as open_book
    from poetgen.verse.prosody import check as judge

    book = open_book(rhyme_book)
    count = regulated = rhymed = 0
    for found in _poems(poem):
        report = judge(found.lines, book, style)
        if as_json:
            console.print_json(_record(found, report))
        else:
            if count:
                click.echo()
            _show(found, report)
        count += 1
        regulated += bool(report.regulated)
        rhymed += bool(report.rhymed)
    if not count:
        raise PoetgenError(f"there is no Chinese verse in {_named(poem)}")
    if count > 1 and not quiet:
        click.echo(f"{count:,} poems: {regulated:,} regulated, {rhymed:,} rhymed", err=True)


def _poems(source: str) -> Iterator[Poem]:
    """The poems of the argument: a file's, standard input's, or itself."""
    if source == "-":
        data = sys.stdin.buffer.read()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "stdin"
            path.write_bytes(data)
            if data.strip():
                yield from _read(path, "standard input")
        return
    if _is_file(source):
        yield from _read(Path(source), source)
        return
    if not any(map(is_han, source)):
        raise PoetgenError(
            f"there is no file '{source}', and no Chinese verse in that",
            hint="give a poem, a file of poems, or - for standard input",
        )
    yield from _poem(source)


def _is_file(source: str) -> bool:
    try:
        return bool(source) and Path(source).exists()
    except (OSError, ValueError):  # Too long for a name, or with a NUL.
        return False


def _read(path: Path, name: str) -> Iterator[Poem]:
    from poetgen.corpus.readers import read_poems

    def problem(error: PoetgenError) -> None:
        console.print_warning(error.message.replace(str(path), name))

    for batch in read_poems(path, problem):
        for text, title, author in zip(batch.texts, batch.titles, batch.authors, strict=True):
            yield from _poem(text, title, author)


def _poem(text: str, title: str = "", author: str = "") -> Iterator[Poem]:
    """The poem in a text; none where no Chinese character stands in it."""
    poem = Poem.from_text(text, title=title, author=author)
    lines = poem.lines
    if len(lines) == 1:
        lines = tuple(text.split())  # No marks: white space parts the lines.
    # Quotation marks and the like have no tone. A sign for a lost character has a place.
    lines = tuple(
        "".join(c for c in line if unicodedata.category(c)[0] not in "PZC") for line in lines
    )
    lines = tuple(line for line in lines if line)
    if len(lines) == 1:
        line = lines[0]
        length = _LENGTH_OF_LINES.get(len(line), len(line))
        lines = tuple(line[i : i + length] for i in range(0, len(line), length))
    if any(is_han(character) for line in lines for character in line):
        marks = poem.marks if len(poem.lines) == len(lines) else ""
        yield Poem(lines, marks, title=title, author=author)


def _named(source: str) -> str:
    return "standard input" if source == "-" else source


def _record(poem: Poem, report: ProsodyReport) -> dict[str, Any]:
    return {
        **({"title": poem.title} if poem.title else {}),
        **({"author": poem.author} if poem.author else {}),
        "text": poem.text,
        "form": report.form,
        "pattern": report.pattern.name if report.pattern else None,
        "rhyme_book": report.rhyme_book,
        "rhyme_group": report.rhyme_group.name if report.rhyme_group else None,
        "regulated": report.regulated,
        "rhymed": report.rhymed,
        "tones": list(report.tones),
        "faults": [asdict(fault) for fault in report.faults],
        "licences": [asdict(licence) for licence in report.licences],
    }


def _show(poem: Poem, report: ProsodyReport) -> None:
    group = report.rhyme_group.title if report.rhyme_group else "no level rhyme"
    parts = [report.form, *([report.pattern.name] if report.pattern else [])]
    if report.feet:
        parts.append(f"{report.rhyme_book} {group}")
    heading = console.clean(" ".join(filter(None, (poem.title, poem.author))))
    if heading:
        click.echo(console.styled(heading, bold=True))
    click.echo(console.styled(" · ".join(parts), dim=True))
    width = max(map(len, report.lines))
    for number, (line, tones) in enumerate(zip(report.lines, report.tones, strict=True), 1):
        faults = [fault for fault in report.faults if fault.line == number]
        marked = {fault.position for fault in faults}
        shown = "".join(
            console.styled(
                console.clean(character),
                fg=_COLOURS[tone],
                underline=place in marked,
                bold=number in report.feet and place == len(line),
            )
            for place, (character, tone) in enumerate(zip(line, tones, strict=True), 1)
        )
        padding = _WIDE_SPACE * (width - len(line))
        coloured = "".join(console.styled(tone, fg=_COLOURS[tone]) for tone in tones)
        rhyme = " 韵" if number in report.feet else ""
        click.echo(f"{_INDENT}{shown}{padding}  {coloured}{rhyme}")
        for fault in faults:
            _show_finding(fault, fg="red")
        for licence in report.licences:
            if licence.line == number:
                _show_finding(licence, dim=True)
    click.echo(_verdict(report))


def _show_finding(finding: Finding, **style: Any) -> None:
    place = _WIDE_SPACE * (finding.position - 1)
    text = f"{finding.name}: {console.clean(finding.message)}"
    click.echo(f"{_INDENT}{place}{console.styled('＾ ' + text, **style)}")


def _verdict(report: ProsodyReport) -> str:
    if report.regulated is None:
        rhymed = {None: "", True: "; it rhymes", False: "; it does not rhyme level"}[report.rhymed]
        return f"not of a regular form, so its tones are not judged{rhymed}"
    if report.regulated and report.rhymed:
        kept = "with a blemish" if report.faults else "keeps every rule"
        return console.styled("✓ regulated and rhymed", fg="green") + f": {kept}"
    tones = "regulated" if report.regulated else "not regulated"
    rhyme = "rhymed" if report.rhymed else "not rhymed"
    names = " ".join(dict.fromkeys(fault.name for fault in report.faults))
    return console.styled(f"✗ {tones}, {rhyme}", fg="red") + f": {names}"
