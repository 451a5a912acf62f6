import json

import pytest

from poetgen.book.export import as_json, as_markdown, as_text, head_places
from poetgen.book.store import BookEntry
from tests.book.entries import LINES, entry


def test_text_is_the_verse_a_line_on_a_row_under_its_title() -> None:
    verse = f"{LINES[0]}，\n{LINES[1]}。\n{LINES[2]}，\n{LINES[3]}。\n"
    assert as_text(entry()) == verse
    assert as_text(entry(title="四\n季")) == "四 季\n\n" + verse


def test_markdown_has_the_heads_in_bold_and_says_how_the_poem_was_made() -> None:
    rows = as_markdown(entry(title="四季")).splitlines()
    assert rows[:3] == ["## 四季", "", f"**春**{LINES[0][1:]}，  "]
    assert rows[5] == f"**冬**{LINES[3][1:]}。"
    assert rows[7] == "*七绝 · 春夏秋冬 · lstm · seed 7 · 2026-11-01*"


def test_markdown_in_a_title_or_a_note_is_text() -> None:
    text = as_markdown(entry(title="*a* <b>", note="[x](y)\n# z"))
    assert text.startswith("## \\*a\\* \\<b\\>\n")
    assert text.endswith("\n\\[x\\](y) \\# z\n")


def test_json_is_the_whole_entry_on_one_line_with_its_text() -> None:
    text = as_json(entry(note="a\nb"))
    assert text.count("\n") == 1
    record = json.loads(text)
    assert record["text"] == "，".join(LINES[:2]) + "。" + "，".join(LINES[2:]) + "。"
    assert BookEntry.from_json(record, "here") == entry(note="a\nb")


@pytest.mark.parametrize(
    ("at", "places"),
    [("head", [0, 0, 0, 0]), ("tail", [6, 6, 6, 6]), (3, [2, 2, 2, 2]), ("diagonal", [0, 1, 2, 3])],
)
def test_heads_are_where_they_were_asked_for(at: str | int, places: list[int]) -> None:
    heads = "".join(line[place] for line, place in zip(LINES, places, strict=True))
    assert head_places(entry({"at": at}, heads=heads)) == set(enumerate(places))


def test_four_heads_of_eight_lines_are_on_the_odd_ones() -> None:
    poem = entry(lines=(*LINES, *LINES), marks="，。，。，。，。", heads="春秋春秋")
    assert head_places(poem) == {(0, 0), (2, 0), (4, 0), (6, 0)}


def test_a_head_that_was_edited_away_is_no_head() -> None:
    assert head_places(entry(lines=("东" + LINES[0][1:], *LINES[1:]))) == {(1, 0), (2, 0), (3, 0)}


def test_heads_that_do_not_fit_the_lines_are_nowhere() -> None:
    assert not head_places(entry(heads="春夏"))
    assert not head_places(entry({"at": [1]}))
    assert not head_places(entry({"at": 9}))
    assert not head_places(entry(heads=""))
