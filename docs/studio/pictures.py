"""Draws the pictures of the studio that the README shows: `python docs/studio/pictures.py`.

The studio runs without a terminal and what stands on its screen is written as SVG, every wide
character in its own two cells: Textual's own `export_screenshot` gives Chinese half its width.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from rich.cells import cell_len
from rich.segment import Segment
from textual.app import App
from textual.pilot import Pilot

from poetgen.book.store import Book
from poetgen.studio.app import Studio

CELL, ROW, SIZE = 8, 19, 15
FONTS = "'Sarasa Mono SC','Noto Sans Mono CJK SC','Source Han Mono SC',monospace"


def as_svg(app: App[None], title: str) -> str:
    """What stands on an app's screen."""
    width, height = app.size.width * CELL, app.size.height * ROW
    shapes: list[str] = []
    texts: list[str] = []
    for y, strip in enumerate(app.screen._compositor.render_strips()):
        x = 0
        for segment in strip:
            cells = cell_len(segment.text)
            front, back, style = _look(segment)
            if back != _BACK:
                shapes.append(
                    f'<rect x="{x * CELL}" y="{y * ROW}" width="{cells * CELL}" '
                    f'height="{ROW}" fill="{back}"/>'
                )
            texts += _texts(segment.text, x, y, front, style)
            x += cells
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" xml:space="preserve">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{width}" height="{height}" rx="6" fill="{_BACK}"/>\n'
        + "".join(shapes)
        + f'\n<g font-family="{FONTS}" font-size="{SIZE}">\n'
        + "\n".join(texts)
        + "\n</g>\n</svg>\n"
    )


_BACK = "#121212"


def _look(segment: Segment) -> tuple[str, str, str]:
    """The colours of a segment, and what else there is to its style."""
    style = segment.style
    front, back, rest = "#e0e0e0", _BACK, ""
    if style is None:
        return front, back, rest
    if style.color and style.color.triplet:
        front = style.color.triplet.hex
    if style.bgcolor and style.bgcolor.triplet:
        back = style.bgcolor.triplet.hex
    if style.reverse:
        front, back = back, front
    rest += ' font-weight="bold"' if style.bold else ""
    rest += ' text-decoration="underline"' if style.underline else ""
    return front, back, rest


def _texts(text: str, x: int, y: int, front: str, style: str) -> Iterator[str]:
    """A segment as text elements: each word where it begins, each wide character in its place."""
    run, start = "", x
    for character in (*text, " "):
        wide = cell_len(character) == 2
        if run and (wide or character == " "):
            yield _text(run, start, y, front, style)
            run = ""
        if wide:
            yield _text(character, x, y, front, style)
        elif character != " ":
            start = start if run else x
            run += character
        x += cell_len(character)


def _text(text: str, x: int, y: int, front: str, style: str) -> str:
    length = cell_len(text) * CELL
    return (
        f'<text x="{x * CELL}" y="{y * ROW + 14}" fill="{front}"{style} '
        f'textLength="{length}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
    )


async def _take(folder: Path, model: str) -> None:
    with tempfile.TemporaryDirectory() as home:
        book = Book(Path(home) / "book.jsonl")
        app = Studio(model, drafts=Path(home) / "studio", book=book)
        async with app.run_test(size=(96, 26)) as pilot:

            async def picture(name: str, title: str) -> None:
                await pilot.pause(0.6)
                (folder / f"{name}.svg").write_text(as_svg(app, title), encoding="utf-8")

            await _ready(app, pilot)
            await pilot.press("escape", "s")
            app.screen.query_one("#seed").value = "1"  # type: ignore[attr-defined]
            await pilot.press("ctrl+s", "f3", *"春夏秋冬", "enter")
            await _drawn(app, pilot)
            await pilot.press("down", "right", "right", "space", "right", "right")
            await picture("poem", "A poem, its tones, and the candidates for one character")
            await pilot.press("s")
            await picture("settings", "The settings of a draft")
            await pilot.press("escape", "M", "enter")
            await pilot.pause(0.2)
            await _drawn(app, pilot)
            await picture("side-by-side", "The same heads from several models")
            await pilot.press("escape", "ctrl+s", "enter", "b")
            await picture("book", "The poem book")
            await pilot.press("escape", "question_mark")
            await picture("help", "Help")
        app.end()


async def _ready(app: Studio, pilot: Pilot[None]) -> None:
    while app.desk is None or not app.desk.shelf.ready(app.desk.draft.settings.model):
        await pilot.pause(0.05)


async def _drawn(app: Studio, pilot: Pilot[None]) -> None:
    assert app.desk is not None
    await pilot.pause(0.1)
    while app.desk.so_far:
        await pilot.pause(0.05)


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="", help="the model that writes")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    for name in ("NO_COLOR", "TEXTUAL_COLOR_SYSTEM"):
        os.environ.pop(name, None)
    asyncio.run(_take(arguments.output, arguments.model))


if __name__ == "__main__":
    main()
