"""What cleaning makes of the oddities of real files."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.corpus.cleaning import Reason, clean_batch
from poetgen.verse.forms import FORMS, form_of
from poetgen.verse.poem import MARKS, Poem, is_han

SPRING = "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。"


def clean(text: str, *, script: str = "simplified", regular: bool = True) -> str | Reason:
    batch = clean_batch([text], [regular], script, {"{上休下鳥}": "𪀪"})
    return batch.dropped[0][1] if batch.dropped else batch.texts[0]


@pytest.mark.parametrize(
    "text",
    [
        "春眠不覺曉，處處聞啼鳥。\n夜來風雨聲，花落知多少。",
        "春眠不覺曉,處處聞啼鳥.夜來風雨聲,花落知多少.",
        "「春眠不覺曉，處處聞啼鳥。」\n　夜來 風雨聲，花落知多少。。",
        "春眠不覺[曉]（暁），處處聞啼鳥（一作「鳴（鳥）」）。夜來風雨聲，花落知多少12。",
        "〔黃鍾〕春眠不覺曉，處處聞啼鳥。〖1〗夜來風雨聲，花落知多少。（見《全唐詩》。）。",
        "春眠不覺曉\n處處聞啼鳥\n夜來風雨聲\n花落知多少",
        "春眠不覺曉，處處聞啼鳥\n夜來風雨聲，花落知多少",
        "，春眠不覺曉，，處處聞啼鳥。！夜來風雨聲，\n花落知多少",
    ],
)
def test_marks_notes_and_quotes_leave_the_verse(text: str) -> None:
    assert clean(text) == SPRING


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Reason.EMPTY),
        ("。\n，", Reason.EMPTY),
        ("（缺詞文）。", Reason.NOTE),
        (SPRING.replace("晓", "□"), Reason.UNREADABLE),
        (SPRING.replace("晓", "囗"), Reason.UNREADABLE),
        (SPRING.replace("晓", "\ue829"), Reason.UNREADABLE),
        (SPRING.replace("晓", "{氵肖}"), Reason.UNREADABLE),
        (SPRING.replace("，处", "（注，处"), Reason.UNREADABLE),
        (SPRING.replace("晓", "け"), Reason.SCRIPT),
        (SPRING.replace("晓", "x"), Reason.SCRIPT),
        (SPRING.replace("晓", "\ud800"), Reason.SCRIPT),
        (SPRING.replace("晓", ""), Reason.BROKEN),
        ("春眠不觉晓。", Reason.BROKEN),
        ("春" * 17 + "，" + "秋" * 17 + "。", Reason.BROKEN),
    ],
)
def test_what_is_no_poem_is_dropped_for_its_reason(text: str, reason: Reason) -> None:
    assert clean(text) is reason


def test_a_rare_character_survives() -> None:
    rare = SPRING.replace("晓", "𠮷")
    assert clean(rare) == rare


def test_a_character_described_by_its_parts_is_looked_up() -> None:
    found = clean(SPRING.replace("晓", "{上休下鳥}"))
    assert isinstance(found, str)
    assert "{" not in found
    assert len(found) == len(SPRING)


def test_ci_lines_may_have_any_lengths() -> None:
    uneven = "山一程，水一程，身向榆关那畔行，夜深千帐灯。风一更，雪一更。"
    assert clean(uneven, regular=False) == uneven


def test_a_poem_of_uneven_lines_by_design_stays() -> None:
    assert isinstance(clean("君不见，黄河之水天上来，奔流到海不复回。君不见。"), str)


def test_traditional_text_stays_traditional_when_asked_and_simplified_is_converted() -> None:
    traditional = "春眠不覺曉，處處聞啼鳥。夜來風雨聲，花落知多少。"
    assert clean(traditional, script="traditional") == traditional
    assert clean(SPRING, script="traditional") == traditional


def test_a_separator_inside_a_text_does_not_shift_the_others() -> None:
    batch = clean_batch([SPRING[:12] + "\x1d" + SPRING[12:], SPRING, ""], [True] * 3)
    assert len(batch.kept) + len(batch.dropped) == 3
    assert dict(zip(batch.kept.tolist(), batch.texts, strict=True))[1] == SPRING
    assert (2, Reason.EMPTY) in batch.dropped


_character = st.sampled_from(
    "春夏秋冬風雨𠮷乾坤，。！、？「」（）[]{}《》□1a け\n\r\x1d,.\ud800\u3000"
)
_texts = st.lists(st.text(_character, max_size=60), max_size=6)


@given(_texts, st.booleans(), st.sampled_from(["simplified", "traditional"]))
@settings(deadline=None, max_examples=150)
def test_every_poem_is_kept_as_pure_verse_or_dropped_once(
    texts: list[str], regular: bool, script: str
) -> None:
    batch = clean_batch(texts, [regular] * len(texts), script)
    places = sorted([*batch.kept.tolist(), *(place for place, _ in batch.dropped)])
    assert places == list(range(len(texts)))
    for text in batch.texts:
        poem = Poem.from_text(text)
        assert poem.text == text
        assert text[-1] in MARKS
        assert all(is_han(character) for line in poem.lines for character in line)


@given(_texts)
@settings(deadline=None, max_examples=100)
def test_a_poem_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    together = clean_batch(texts, [True] * len(texts))
    for place, text in zip(together.kept.tolist(), together.texts, strict=True):
        assert clean_batch([texts[place]], [True]).texts == [text]


@given(_texts)
@settings(deadline=None, max_examples=100)
def test_the_forms_by_arrays_are_the_forms_by_lines(texts: list[str]) -> None:
    regular = ["春" * form.line_length + "，" for form in FORMS for _ in range(form.line_count)]
    batch = clean_batch([*texts, SPRING, "".join(regular)], [False] * (len(texts) + 2))
    for text, code in zip(batch.texts, batch.lines.forms().tolist(), strict=True):
        form = form_of(Poem.from_text(text).lines)
        assert (FORMS[code] if code < len(FORMS) else None) == form
