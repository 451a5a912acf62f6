"""What can be asked for, and what is said when it cannot."""

import pytest

from poetgen.errors import TemplateError
from poetgen.verse.forms import FORMS, form_named, free_form
from poetgen.writing.asked import Rules, RulesAsked
from poetgen.writing.request import Request, acrostic_request, continuation_request


def rows(request: Request) -> list[str]:
    """The layout as text, · where it is free."""
    return ["".join(glyph or "·" for glyph in line.glyphs) for line in request.layout()]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("head", ["春····", "夏····", "秋····", "冬····"]),
        ("tail", ["····春", "····夏", "····秋", "····冬"]),
        ("diagonal", ["春····", "·夏···", "··秋··", "···冬·"]),
        (2, ["·春···", "·夏···", "·秋···", "·冬···"]),
        ("5", ["····春", "····夏", "····秋", "····冬"]),
    ],
)
def test_heads_stand_where_they_were_asked_for(at: str | int, expected: list[str]) -> None:
    assert rows(acrostic_request("春夏秋冬", "五绝", at=at)) == expected


def test_four_heads_on_eight_lines_stand_in_the_odd_ones() -> None:
    assert [row[:1] for row in rows(acrostic_request("春夏秋冬", "七律"))] == list("春·夏·秋·冬·")
    diagonal = rows(acrostic_request("春夏秋冬", "五律", at="diagonal"))
    assert diagonal[::2] == ["春····", "·夏···", "··秋··", "···冬·"]


def test_the_free_form_has_as_many_lines_as_heads() -> None:
    assert rows(acrostic_request("春夏秋", "free")) == ["春······", "夏······", "秋······"]
    assert rows(acrostic_request("春", "free", line_length=5)) == ["春····"]
    assert len(rows(acrostic_request("春" * 100, "free"))) == 100


def test_white_space_between_heads_is_dropped() -> None:
    request = acrostic_request(" 春\u3000夏\t秋 冬\n")
    assert request.heads == "春夏秋冬"
    assert request == acrostic_request("春夏秋冬")


@pytest.mark.parametrize(
    ("heads", "form", "said", "hint"),
    [
        ("春夏秋冬夜", "七绝", "5 heads cannot stand in 七绝 (qijue), which takes 4", "free"),
        (
            "春夏秋冬夜",
            "七律",
            "5 heads cannot stand in 七律 (qilv), which takes 8 or 4",
            "4 heads",
        ),
        ("春夏秋冬东西南北", "五绝", "8 heads", "五律 七律"),
        ("春", "五绝", "1 head cannot", "give 4 heads"),
        ("", "五绝", "there are no heads", "one Chinese character a line"),
        ("  ", "free", "there are no heads", "one Chinese character a line"),
        ("春A秋冬", "五绝", "head 2, 'A', is not a Chinese character", "nothing else"),
        ("春、秋冬", "五绝", "head 2, '、', is not a Chinese character", "nothing else"),
        ("春夏秋\ud800", "五绝", "head 4, U+D800, is not", "nothing else"),
        ("春夏秋\x1b", "五绝", "head 4, U+001B, is not", "nothing else"),
        ("春" * 101, "free", "101 lines", "at most 100"),
    ],
)
def test_heads_that_cannot_be_placed_are_told_what_would_fit(
    heads: str, form: str, said: str, hint: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        acrostic_request(heads, form).layout()
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (0, "--at 0 is outside a line of 5 characters"),
        (6, "--at 6 is outside a line of 5 characters"),
        ("-1", "--at -1 is outside"),
        ("middle", "heads cannot stand at 'middle'"),
    ],
)
def test_a_place_outside_the_line_is_an_error(at: str | int, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        acrostic_request("春夏秋冬", "五绝", at=at).layout()


def test_a_diagonal_that_leaves_the_line_names_the_first_head_outside() -> None:
    request = acrostic_request("春夏秋冬东西南北", "五律", at="diagonal")
    with pytest.raises(TemplateError, match="head 6, 西, would be character 6 of a line of 5"):
        request.layout()
    assert rows(acrostic_request("春夏秋冬东西南", "free", at="diagonal"))[6] == "······南"


@pytest.mark.parametrize("length", [-1, 0, 1, 31])
def test_a_line_is_neither_too_short_nor_too_long(length: int) -> None:
    with pytest.raises(TemplateError) as caught:
        acrostic_request("春夏秋", "free", line_length=length)
    assert "--line-length must be from 2 to 30" in caught.value.hint


def test_a_regular_form_keeps_its_line_length() -> None:
    assert acrostic_request("春夏秋冬", "五绝", line_length=5).form == form_named("五绝")
    with pytest.raises(TemplateError, match="have 5 characters, not 7"):
        acrostic_request("春夏秋冬", "五绝", line_length=7)


@pytest.mark.parametrize("form", FORMS)
def test_every_line_ends_with_the_mark_that_its_place_calls_for(form: object) -> None:
    marks = [line.marks for line in acrostic_request("春夏秋冬", str(form)[:2]).layout()]
    assert [each[0] for each in marks] == ["，", "。"] * (len(marks) // 2)
    assert "，" not in "".join(marks[1::2])


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("白日依山尽", "五绝"),
        ("白日依山尽，黄河入海流。", "五绝"),
        ("两个黄鹂鸣翠柳，", "七绝"),
        ("白日依山尽，黄河入海流。欲穷千里目，更上一层楼。", "五律"),
        ("白日依山尽\n黄河", "五绝"),
    ],
)
def test_the_lines_imply_the_form(text: str, form: str) -> None:
    assert continuation_request(text).form == form_named(form)


def test_a_text_is_continued_where_it_stops() -> None:
    request = continuation_request("白日依山盡？黃河")
    assert rows(request) == ["白日依山盡", "黃河···", "·····", "·····"]
    assert request.layout()[0].marks == "？"
    assert request.layout()[1].marks[0] == "。"


def test_a_mark_that_was_not_given_is_the_one_its_place_calls_for() -> None:
    # One line alone would end with 。 as a poem; here it is the first of four.
    assert continuation_request("白日依山尽").layout()[0].marks[0] == "，"
    assert continuation_request("白日依山尽!").layout()[0].marks == "！"


def test_the_free_form_goes_on_in_couplets() -> None:
    assert continuation_request("长亭外古道边", "free").form == free_form(4, 6)
    assert continuation_request("长亭外", line_length=5).form == free_form(4, 5)
    five = "一二三，" * 5
    assert continuation_request(five, "free").form == free_form(6, 3)


@pytest.mark.parametrize(
    ("text", "form", "said"),
    [
        ("", None, "no line to continue"),
        ("，。", None, "no line to continue"),
        ("白日依", None, "no form goes on from 1 line of 3 characters"),
        ("白日依山尽，" * 8, None, "no form goes on from 8 lines"),
        ("白日依山尽，" * 4, "五绝", "4 lines leave nothing to write in 五绝"),
        ("白日依山尽，黄河入海，更上一层楼。", None, "line 2 has 4 characters, and lines of 五绝"),
        ("白日依，", "五绝", "line 1 has 3 characters"),
        ("白日依山尽流", "五绝", "line 1 has 6 characters"),
        ("白日A山尽", None, "line 1, character 3, 'A', is not a Chinese character"),
        ("白日依山尽", "七绝哦", "no form is called"),
    ],
)
def test_a_text_that_cannot_be_continued_is_told_why(
    text: str, form: str | None, said: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        continuation_request(text, form).layout()
    assert said in caught.value.message


def test_heads_and_first_lines_do_not_mix() -> None:
    request = Request("春夏秋冬", form_named("五绝"), first_lines=("白日依山尽，",))
    with pytest.raises(TemplateError, match="both heads and first lines"):
        request.layout()


def test_regular_forms_have_loose_rules_and_the_free_form_has_none() -> None:
    assert acrostic_request("春夏秋冬").rules == Rules(tones="loose")
    assert acrostic_request("春夏秋冬", "free").rules == Rules(tones="off")
    assert acrostic_request("春夏秋冬", "free", tones="off", rhyme="auto").rules.tones == "off"
    assert continuation_request("白日依山尽", tones=None, pattern="zeqi").rules == Rules(
        pattern="仄起"
    )
    assert Request("春夏秋冬", form_named("五绝")).rules.tones == "off"


def test_a_rule_is_the_same_by_any_of_its_names() -> None:
    assert Rules(rhyme_book="PingShui") == Rules()
    assert Rules("strict", "中华新韵", " 光 ", "YES", "pingqi") == Rules(
        "strict", "新韵", "唐", "yes", "平起"
    )


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ({"tones": "free"}, "--tones is 'free'"),
        ({"first_line_rhymes": "maybe"}, "--first-line-rhymes is 'maybe'"),
        ({"pattern": "平"}, "--pattern is '平'"),
        ({"rhyme": "月"}, "--rhyme 月 is an oblique group"),
        ({"rhyme_book": "切韵"}, "切韵"),
        ({"tones": "off", "first_line_rhymes": "no"}, "--first-line-rhymes no .* --tones off"),
    ],
)
def test_a_rule_that_there_is_not_is_named(rules: RulesAsked, named: str) -> None:
    with pytest.raises(TemplateError, match=named) as caught:
        acrostic_request("春夏秋冬", **rules)
    assert caught.value.hint
