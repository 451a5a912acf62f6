"""A poem as a picture: a card on letter paper, with its title, the date, and a red seal.

`layout` says what stands where; `card_svg` and `card_png` draw the same layout. Characters are
drawn as outlines, so that an SVG shows anywhere as it does here. A vertical card is set as books
were: columns from right to left, the title first, no punctuation.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path

from PIL import Image, ImageDraw, PngImagePlugin

from poetgen.book.export import head_places
from poetgen.book.fonts import UNITS, Faces
from poetgen.book.store import BookEntry
from poetgen.errors import PoetgenError
from poetgen.writing.request import FREE

PAPER = "#f8f2e4"
INK = "#2a2521"
RED = "#a8322a"
FADED = "#8a7c6a"
RULE = "#e0bfae"

EM = 64.0
"""The size of the verse; the unit of all lengths is the pixel of a card shown at its own size."""

_MARGIN = 1.35 * EM
_FRAME = 0.42 * EM
_STEP = 1.22 * EM
"""From one character of a line to the next."""
_LEAD = 1.75 * EM
"""From one line to the next."""
_OVER = 0.3 * EM
"""How far the rules between columns go beyond them."""
_SMALL = 0.36 * EM
_TITLE = 0.72 * EM
_SEAL = 0.54 * EM
"""The side of one character's square in the seal."""

_SHARPNESS = 2
"""Pixels of a PNG to a unit."""
_FINENESS = 2
"""How many times finer it is drawn, for smooth edges."""
_MOST_PIXELS = 60_000_000

MOST_IN_SEAL = 8


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle with round corners."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    radius: float = 0.0


@dataclass(frozen=True, slots=True)
class Glyph:
    """A character by the middle of its square."""

    character: str
    x: float
    y: float
    size: float
    colour: str = INK


@dataclass(frozen=True, slots=True)
class Layout:
    """What stands where on a card, from the bottom up."""

    width: float
    height: float
    shapes: tuple[Box | Glyph, ...]


def card_svg(
    entry: BookEntry, vertical: bool, *, font: Path | None = None, seal: str | None = None
) -> str:
    """The poem as an SVG that needs no font to be shown.

    Args:
        entry: The poem.
        vertical: Columns from right to left, rather than rows.
        font: A font file to draw with; None: the best of this system.
        seal: The name in the seal, of 1 to 8 characters; None: the heads.

    Raises:
        PoetgenError: There is no Chinese font, or none has a character; or the seal is too long.
    """
    faces = Faces(font)
    card = layout(entry, vertical, seal)
    width, height = f"{card.width:.0f}", f"{card.height:.0f}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        f"<title>{escape(title_of(entry))}</title>",
        f"<desc>{escape(entry.text)}</desc>",
    ]
    for shape in card.shapes:
        if isinstance(shape, Box):
            parts.append(
                f'<rect x="{shape.x:.2f}" y="{shape.y:.2f}" width="{shape.width:.2f}" '
                f'height="{shape.height:.2f}" rx="{shape.radius:.2f}" fill="{shape.colour}"/>'
            )
            continue
        face = faces.of(shape.character)
        x = shape.x - face.advance(shape.character) * shape.size / 2
        y = shape.y + face.middle * shape.size
        parts.append(
            f'<path fill="{shape.colour}" transform="translate({x:.2f} {y:.2f}) '
            f'scale({shape.size / UNITS:.5f})" d="{face.outline(shape.character)}"/>'
        )
    return "\n".join((*parts, "</svg>", ""))


def card_png(
    entry: BookEntry, vertical: bool, *, font: Path | None = None, seal: str | None = None
) -> bytes:
    """The poem as a PNG, two pixels to a unit; fewer for very long poems.

    Takes and raises what `card_svg` does.
    """
    faces = Faces(font)
    card = layout(entry, vertical, seal)
    scale: float = _SHARPNESS * _FINENESS
    scale = min(scale, (_MOST_PIXELS / (card.width * card.height)) ** 0.5)
    image = Image.new("RGB", (round(card.width * scale), round(card.height * scale)), PAPER)
    draw = ImageDraw.Draw(image)
    for shape in card.shapes:
        if isinstance(shape, Box):
            corners = (
                round(shape.x * scale),
                round(shape.y * scale),
                round((shape.x + shape.width) * scale) - 1,
                round((shape.y + shape.height) * scale) - 1,
            )
            draw.rounded_rectangle(corners, shape.radius * scale, shape.colour)
            continue
        face = faces.of(shape.character)
        x = shape.x - face.advance(shape.character) * shape.size / 2
        y = shape.y + face.middle * shape.size
        pen = face.in_pixels(round(shape.size * scale))
        draw.text((x * scale, y * scale), shape.character, shape.colour, pen, anchor="ls")
    about = PngImagePlugin.PngInfo()
    about.add_itxt("Title", title_of(entry))
    about.add_itxt("Description", entry.text)
    file = io.BytesIO()
    image.reduce(_FINENESS).save(file, "PNG", pnginfo=about, optimize=True)
    return file.getvalue()


def layout(entry: BookEntry, vertical: bool, seal: str | None = None) -> Layout:
    """What stands where.

    Raises:
        PoetgenError: The seal has no characters, or too many.
    """
    columns = _seal_columns(_seal_of(entry) if seal is None else seal)
    return _vertical(entry, columns) if vertical else _horizontal(entry, columns)


def _vertical(entry: BookEntry, seal: list[str]) -> Layout:
    title, date = title_of(entry), date_of(entry)
    seal_width, seal_height = _seal_size(seal)
    length = max(map(len, entry.lines))
    height = max(
        length * _STEP,
        len(date) * _SMALL * 1.15 + 0.4 * EM + seal_height,
        min(len(title), 12) * _TITLE * 1.25,
    )
    # From the right: the title, the verse, the date over the seal.
    width = _LEAD * len(entry.lines) + 2 * max(_LEAD, seal_width + 0.5 * EM)
    side = (width - _LEAD * len(entry.lines)) / 2
    card_width, card_height = width + 2 * _MARGIN, height + 2 * _MARGIN
    shapes: list[Box | Glyph] = [*_paper(card_width, card_height)]
    right = _MARGIN + width
    rules = [right - side - _LEAD * i for i in range(len(entry.lines) + 1)]
    shapes += [Box(x - 0.6, _MARGIN - _OVER, 1.2, height + 2 * _OVER, RULE) for x in rules]
    shapes += _column(title, right - side / 2, _MARGIN + 0.14 * EM, height, _TITLE, 1.25)
    places = head_places(entry)
    # A little lower where the date needs the room; lines that are short hang from the top.
    top = _MARGIN + min((height - length * _STEP) / 2, EM / 2)
    for i, line in enumerate(entry.lines):
        x = right - side - _LEAD * (i + 0.5)
        for j, character in enumerate(line):
            colour = RED if (i, j) in places else INK
            shapes.append(Glyph(character, x, top + (j + 0.5) * _STEP, EM, colour))
    x, bottom = _MARGIN + side / 2, _MARGIN + height
    top = bottom - seal_height - 0.4 * EM - len(date) * _SMALL * 1.15
    shapes += _column(date, x, top, height, _SMALL, 1.15, FADED)
    shapes += _sealed(seal, x - seal_width / 2, bottom - seal_height)
    return Layout(card_width, card_height, tuple(shapes))


def _horizontal(entry: BookEntry, seal: list[str]) -> Layout:
    title, date = title_of(entry), date_of(entry)
    seal_width, seal_height = _seal_size(seal)
    length = max(map(len, entry.lines))
    foot = len(date) * _SMALL * 1.05 + 0.35 * EM + seal_width
    # A mark hangs in the margin, so that the characters stand in the middle.
    width = max(length * _STEP + 2 * 0.6 * EM, foot, min(len(title), 12) * _TITLE * 1.3)
    head_height = _TITLE + 0.95 * EM
    verse_height = len(entry.lines) * _LEAD - (_LEAD - EM)
    height = head_height + verse_height + 0.85 * EM + seal_height
    card_width, card_height = width + 2 * _MARGIN, height + 2 * _MARGIN
    shapes: list[Box | Glyph] = [*_paper(card_width, card_height)]
    middle = card_width / 2
    shapes += _row(title, middle, _MARGIN + _TITLE / 2, width, _TITLE, 1.3)
    shapes.append(Box(middle - 0.5 * EM, _MARGIN + _TITLE + 0.36 * EM, EM, 1.6, RED))
    places = head_places(entry)
    for i, (line, mark) in enumerate(zip(entry.lines, entry.marks, strict=True)):
        y = _MARGIN + head_height + EM / 2 + i * _LEAD
        left = middle - length * _STEP / 2
        for j, character in enumerate(line):
            colour = RED if (i, j) in places else INK
            shapes.append(Glyph(character, left + (j + 0.5) * _STEP, y, EM, colour))
        shapes.append(Glyph(mark, left + len(line) * _STEP + 0.44 * EM, y, 0.85 * EM, INK))
    right, bottom = _MARGIN + width, _MARGIN + height
    date_width = len(date) * _SMALL * 1.05
    date_middle = right - seal_width - 0.35 * EM - date_width / 2
    shapes += _row(date, date_middle, bottom - _SMALL / 2, width, _SMALL, 1.05, FADED)
    shapes += _sealed(seal, right - seal_width, bottom - seal_height)
    return Layout(card_width, card_height, tuple(shapes))


def _paper(width: float, height: float) -> list[Box]:
    """The paper in its double frame."""
    boxes = [Box(0, 0, width, height, PAPER)]
    for inset, thickness in ((_FRAME, 3.0), (_FRAME + 8, 1.2)):
        for colour, edge in ((RULE, inset), (PAPER, inset + thickness)):
            boxes.append(Box(edge, edge, width - 2 * edge, height - 2 * edge, colour))
    return boxes


def _column(
    text: str, x: float, top: float, room: float, size: float, step: float, colour: str = INK
) -> list[Glyph]:
    """Characters under each other, made smaller where there is not the room."""
    size = min(size, room / (len(text) * step))
    return [
        Glyph(character, x, top + (i + 0.5) * size * step, size, colour)
        for i, character in enumerate(text)
        if not character.isspace()
    ]


def _row(
    text: str, middle: float, y: float, room: float, size: float, step: float, colour: str = INK
) -> list[Glyph]:
    """Characters beside each other, made smaller where there is not the room."""
    size = min(size, room / (len(text) * step))
    left = middle - len(text) * size * step / 2
    return [
        Glyph(character, left + (i + 0.5) * size * step, y, size, colour)
        for i, character in enumerate(text)
        if not character.isspace()
    ]


def _seal_columns(name: str) -> list[str]:
    """The name in columns, the right one first, filled up with what seals are filled up with."""
    name = "".join(name.split())
    if not 1 <= len(name) <= MOST_IN_SEAL:
        raise PoetgenError(
            f"a seal cannot hold {len(name)} characters", hint=f"give it 1 to {MOST_IN_SEAL}"
        )
    if len(name) == 2:
        name += "之"
    if len(name) % 2 and len(name) > 1:
        name += "印"
    half = (len(name) + 1) // 2
    return [name[:half], name[half:]] if len(name) > 1 else [name]


def _seal_size(columns: list[str]) -> tuple[float, float]:
    padding = 0.3 * _SEAL
    return len(columns) * _SEAL + padding, len(columns[0]) * _SEAL + padding


def _sealed(columns: list[str], x: float, y: float) -> list[Box | Glyph]:
    width, height = _seal_size(columns)
    shapes: list[Box | Glyph] = [Box(x, y, width, height, RED, 0.12 * _SEAL)]
    for i, column in enumerate(columns):
        for j, character in enumerate(column):
            centre = x + width - 0.15 * _SEAL - (i + 0.5) * _SEAL
            middle = y + 0.15 * _SEAL + (j + 0.5) * _SEAL
            shapes.append(Glyph(character, centre, middle, 0.92 * _SEAL, PAPER))
    return shapes


def title_of(entry: BookEntry) -> str:
    """The title on the card: the keeper's, or what kind of poem it is."""
    if entry.title.strip():
        return " ".join(entry.title.split())
    if not entry.heads:
        return entry.form
    kinds = {"head": "藏头诗", "tail": "藏尾诗"}
    return kinds.get(str(entry.settings.get("at", "head")), "嵌字诗")


def _seal_of(entry: BookEntry) -> str:
    heads = entry.heads.replace(FREE, "")
    return heads if 1 <= len(heads) <= MOST_IN_SEAL else "诗"


def date_of(entry: BookEntry) -> str:
    """The day that the poem was kept, as it is written out: 二〇二六年十一月一日."""
    day = datetime.fromisoformat(entry.saved_at)
    year = "".join("〇一二三四五六七八九"[int(digit)] for digit in f"{day.year}")
    return f"{year}年{_number(day.month)}月{_number(day.day)}日"


def _number(value: int) -> str:
    """A number from 1 to 99 in characters."""
    tens, ones = divmod(value, 10)
    digits = " 一二三四五六七八九"
    return ((digits[tens] if tens > 1 else "") + ("十" if tens else "") + digits[ones]).strip()
