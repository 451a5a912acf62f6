"""Tiny fonts: every character is a square, so that tests know what is drawn."""

from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection
from fontTools.ttLib.tables.TupleVariation import TupleVariation

UNITS_PER_EM = 500


def font_builder(characters: str, family: str = "Squares", side: int = 400) -> FontBuilder:
    """A font of squares of `side` units, their middle 200 above the baseline."""
    builder = FontBuilder(UNITS_PER_EM, isTTF=True)
    names = {ord(character): f"u{ord(character):X}" for character in dict.fromkeys(characters)}
    order = [".notdef", *names.values()]
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(names)
    pen = TTGlyphPen(None)
    left, right = 250 - side // 2, 250 + side // 2
    bottom, top = 200 - side // 2, 200 + side // 2
    pen.moveTo((left, bottom))
    for point in ((left, top), (right, top), (right, bottom)):
        pen.lineTo(point)
    pen.closePath()
    square = pen.glyph()
    builder.setupGlyf(dict.fromkeys(order, square))
    builder.setupHorizontalMetrics(dict.fromkeys(order, (UNITS_PER_EM, left)))
    builder.setupHorizontalHeader(ascent=440, descent=-60)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    return builder


def write_font(path: Path, characters: str, side: int = 400) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A family of its own: matplotlib keeps what it was given once, and goes by the name.
    family = f"Made of {' '.join(f'{ord(character):x}' for character in characters)}"
    font_builder(characters, family, side=side).save(path)
    return path


def write_collection(path: Path, *faces: tuple[str, str]) -> Path:
    """A collection of faces, each by its family and its characters."""
    collection = TTCollection()
    collection.fonts = [font_builder(characters, family).font for family, characters in faces]
    collection.save(path)
    return path


def write_variable_font(path: Path, characters: str) -> Path:
    """A font whose squares grow with its weight, from 100 units at 100 to 400 at 700."""
    builder = font_builder(characters, side=100)
    builder.setupFvar([("wght", 100, 100, 700, "Weight")], [])
    grown = [(-150, -150), (-150, 150), (150, 150), (150, -150)] + [(0, 0)] * 4
    growth = TupleVariation({"wght": (0, 1, 1)}, grown)
    builder.setupGvar({name: [growth] for name in builder.font.getGlyphOrder()})
    builder.save(path)
    return path
