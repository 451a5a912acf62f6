import io
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from poetgen.book.card import INK, PAPER, RED, Glyph, card_png, card_svg, date_of, layout, title_of
from poetgen.book.store import BookEntry
from poetgen.errors import PoetgenError
from tests.book.entries import LINES, entry
from tests.book.made_fonts import write_font

CARD = "七绝藏头诗四时印之王小明〇一二三四五六七八九十年月日，。"


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_font(
        tmp_path_factory.mktemp("fonts") / "squares.ttf", "回" + CARD + "".join(LINES)
    )


def glyphs(poem: BookEntry, vertical: bool, seal: str | None = None) -> list[Glyph]:
    return [shape for shape in layout(poem, vertical, seal).shapes if isinstance(shape, Glyph)]


def verse(poem: BookEntry, vertical: bool) -> list[list[Glyph]]:
    """The lines as they are laid out: the only characters of their size."""
    large = [glyph for glyph in glyphs(poem, vertical) if glyph.size == 64]
    length = len(poem.lines[0])
    return [large[i : i + length] for i in range(0, len(large), length)]


def seal_of(poem: BookEntry, seal: str | None = None) -> list[Glyph]:
    return [glyph for glyph in glyphs(poem, True, seal) if glyph.colour == PAPER]


def test_columns_stand_from_right_to_left_and_characters_from_top_to_bottom() -> None:
    columns = verse(entry(), vertical=True)
    assert ["".join(glyph.character for glyph in column) for column in columns] == list(LINES)
    assert all(len({glyph.x for glyph in column}) == 1 for column in columns)
    assert all(right[0].x > left[0].x for right, left in pairwise(columns))
    assert all(above.y < below.y for column in columns for above, below in pairwise(column))


def test_a_vertical_card_has_no_marks_and_a_horizontal_one_has_all() -> None:
    shown = {v: [glyph.character for glyph in glyphs(entry(), v)] for v in (True, False)}
    assert not {"，", "。"} & set(shown[True])
    assert (shown[False].count("，"), shown[False].count("。")) == (2, 2)


def test_rows_stand_from_top_to_bottom_and_characters_from_left_to_right() -> None:
    rows = verse(entry(), vertical=False)
    assert all(len({glyph.y for glyph in row}) == 1 for row in rows)
    assert all(above[0].y < below[0].y for above, below in pairwise(rows))
    assert all(left.x < right.x for row in rows for left, right in pairwise(row))


@pytest.mark.parametrize("vertical", [True, False])
def test_the_heads_are_red_and_nothing_else_of_the_verse(vertical: bool) -> None:
    lines = verse(entry(), vertical)
    assert all(line[0].colour == RED for line in lines)
    assert {glyph.colour for line in lines for glyph in line[1:]} == {INK}


@pytest.mark.parametrize("vertical", [True, False])
@pytest.mark.parametrize(
    "poem",
    [
        entry(),
        entry(lines=("春夏",), marks="。", heads="春"),
        entry(lines=LINES * 25, marks="。" * 100, heads=""),
        entry(title="四" * 60),
        entry(lines=("春" * 30, "夏"), marks="，。"),
    ],
    ids=["usual", "short", "long", "long title", "uneven"],
)
def test_nothing_stands_outside_the_card_or_on_another_thing(
    poem: BookEntry, vertical: bool
) -> None:
    card = layout(poem, vertical)
    all_glyphs = glyphs(poem, vertical)
    for glyph in all_glyphs:
        half = glyph.size / 2
        assert 40 < glyph.x - half < glyph.x + half < card.width - 40
        assert 40 < glyph.y - half < glyph.y + half < card.height - 40
    for i, one in enumerate(all_glyphs[:300]):
        for other in all_glyphs[:i]:
            # A mark is narrow: its square may reach into that of the character before it.
            apart = (one.size + other.size) / 2 * (0.8 if one.character in "，。" else 0.999)
            assert abs(one.x - other.x) > apart or abs(one.y - other.y) > apart


@pytest.mark.parametrize(
    ("seal", "shown"),
    [
        ("春", "春"),
        ("王明", "王明之印"),
        ("王小明", "王小明印"),
        ("春夏秋冬", "春夏秋冬"),
        ("一二三四五", "一二三四五印"),
        (" 王 小 明 ", "王小明印"),
    ],
)
def test_a_name_is_filled_up_as_seals_are(seal: str, shown: str) -> None:
    glyphs_of_seal = seal_of(entry(), seal)
    assert "".join(glyph.character for glyph in glyphs_of_seal) == shown
    if len(shown) > 1:  # It is read from the right column to the left one.
        assert glyphs_of_seal[0].x > glyphs_of_seal[-1].x
        assert glyphs_of_seal[0].y == glyphs_of_seal[len(shown) // 2].y


@pytest.mark.parametrize("seal", ["", " ", "一二三四五六七八九"])
def test_a_seal_that_cannot_be_cut_is_one_clear_error(seal: str) -> None:
    with pytest.raises(PoetgenError, match="a seal cannot hold"):
        layout(entry(), True, seal)


@pytest.mark.parametrize(("heads", "shown"), [("王小明", "王小明印"), ("", "诗"), ("一" * 9, "诗")])
def test_the_heads_are_the_seal_where_they_fit(heads: str, shown: str) -> None:
    assert "".join(glyph.character for glyph in seal_of(entry(heads=heads))) == shown


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({"title": " 四\n时 "}, "四 时"),
        ({}, "藏头诗"),
        ({"settings": {"at": "tail"}}, "藏尾诗"),
        ({"settings": {"at": 3}}, "嵌字诗"),
        ({"heads": ""}, "七绝"),
    ],
)
def test_a_card_without_a_title_says_what_kind_of_poem_it_is(
    change: dict[str, Any], title: str
) -> None:
    assert title_of(entry(**change)) == title


@pytest.mark.parametrize(
    ("day", "written"),
    [
        ("2026-11-01", "二〇二六年十一月一日"),
        ("2030-01-10", "二〇三〇年一月十日"),
        ("1999-10-20", "一九九九年十月二十日"),
        ("2000-12-31", "二〇〇〇年十二月三十一日"),
    ],
)
def test_the_date_is_written_out(day: str, written: str) -> None:
    assert date_of(entry(saved_at=f"{day}T23:59:59+08:00")) == written


@pytest.mark.parametrize("vertical", [True, False])
def test_an_svg_holds_outlines_and_no_text_that_needs_a_font(font: Path, vertical: bool) -> None:
    root = ET.fromstring(card_svg(entry(title="四 时"), vertical, font=font))
    tags = [element.tag.rpartition("}")[2] for element in root]
    drawn = glyphs(entry(title="四时"), vertical)
    assert tags.count("path") == len(drawn)
    assert set(tags) == {"title", "desc", "rect", "path"}
    assert root[0].text == "四 时"
    assert root[1].text == entry().text


def test_markup_in_a_title_does_no_harm(font: Path, tmp_path: Path) -> None:
    other = write_font(tmp_path / "a.ttf", "</>&title" + CARD + "".join(LINES))
    root = ET.fromstring(card_svg(entry(title="</title>&"), False, font=other))
    assert root[0].text == "</title>&"


@pytest.mark.parametrize("vertical", [True, False])
def test_a_png_shows_what_the_layout_says(font: Path, vertical: bool) -> None:
    poem = entry()
    card = layout(poem, vertical)
    image = Image.open(io.BytesIO(card_png(poem, vertical, font=font)))
    assert image.format == "PNG"
    assert image.size == pytest.approx((2 * card.width, 2 * card.height), abs=1)
    assert image.text["Description"] == poem.text  # type: ignore[attr-defined]

    def colour(x: float, y: float) -> str:
        pixel: Any = image.getpixel((round(2 * x), round(2 * y)))
        return "#" + "".join(f"{value:02x}" for value in pixel)

    for glyph in glyphs(poem, vertical):
        # The squares of this font are 0.8 em wide.
        for dx, dy in ((0, 0), (-0.36, -0.36), (0.36, 0.36)):
            assert colour(glyph.x + dx * glyph.size, glyph.y + dy * glyph.size) == glyph.colour
        if glyph.size == 64:
            assert colour(glyph.x + 0.44 * glyph.size, glyph.y) == PAPER


def test_a_very_long_poem_makes_a_picture_of_bounded_size(font: Path) -> None:
    poem = entry(lines=LINES * 25, marks="。" * 100, heads="")
    picture = card_png(poem, True, font=font, seal="王")
    image = Image.open(io.BytesIO(picture))
    assert image.width * image.height < 20_000_000


def test_a_character_that_no_font_has_is_named(font: Path) -> None:
    with pytest.raises(PoetgenError, match="U\\+10FFFD"):
        card_svg(entry(title="\U0010fffd"), True, font=font)
