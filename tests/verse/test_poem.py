import pytest
from hypothesis import given
from hypothesis import strategies as st

from poetgen.verse.poem import MARKS, Poem, count_han, default_marks, is_han


def test_text_is_split_at_marks_and_line_ends() -> None:
    poem = Poem.from_text("春眠不觉晓, 处处闻啼鸟.\n夜来风雨声\n花落知多少")
    assert poem.lines == ("春眠不觉晓", "处处闻啼鸟", "夜来风雨声", "花落知多少")
    assert poem.marks == "，。，。"
    assert poem.text == "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。"


def test_a_poem_keeps_the_marks_that_it_came_with() -> None:
    assert Poem.from_text("谁？我！").marks == "？！"
    assert str(Poem(("一", "二", "三"))) == "一，二。三。"


def test_default_marks_end_with_a_full_stop() -> None:
    assert [default_marks(n) for n in range(5)] == ["", "。", "，。", "，。。", "，。，。"]


def test_marks_must_be_one_a_line() -> None:
    with pytest.raises(ValueError, match="1 marks for 2 lines"):
        Poem(("一", "二"), "，")


def test_ideographs_of_every_plane_are_chinese_and_nothing_else_is() -> None:
    assert all(map(is_han, "一龥〇㐀𠀀𪛖𫝀𰀀豈"))
    assert not any(map(is_han, ["", "，", "A", "あ", "一一", "ㄅ", "　", "⼀", "\ud800"]))
    assert count_han("春A，𠀀〇") == 3


@given(st.lists(st.text(alphabet="春夏秋冬𠀀", min_size=1, max_size=9), max_size=9))
def test_text_and_back_gives_the_same_poem(lines: list[str]) -> None:
    poem = Poem(tuple(lines))
    assert Poem.from_text(poem.text) == poem


@given(st.text(max_size=50))
def test_no_line_of_any_text_holds_a_mark(text: str) -> None:
    poem = Poem.from_text(text)
    assert len(poem.lines) == len(poem.marks)
    assert all(line and not set(line) & set(MARKS + "\n") for line in poem.lines)
