"""What came twice, whole or nearly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.corpus.cleaning import clean_batch
from poetgen.corpus.duplicates import exact_duplicates, near_duplicates
from poetgen.verse.poem import Poem

FIRST = "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。"


def _exact(texts: list[str]) -> list[bool]:
    found: list[bool] = exact_duplicates(clean_batch(texts, [False] * len(texts)).lines).tolist()
    return found


def _near(texts: list[str]) -> list[bool]:
    lines = clean_batch(texts, [False] * len(texts)).lines
    found: list[bool] = near_duplicates(lines, lambda i: texts[i]).tolist()
    return found


def test_the_same_characters_with_other_marks_are_a_duplicate() -> None:
    assert _exact([FIRST, FIRST.replace("。", "！"), FIRST[::-1][1:] + "。"]) == [
        False,
        True,
        False,
    ]


def test_the_same_characters_in_other_lines_are_no_duplicate() -> None:
    assert _exact([FIRST, "春眠不觉，晓处处闻啼鸟。夜来风雨声，花落知多少。"]) == [False, False]


@pytest.mark.parametrize(
    ("second", "is_near"),
    [
        ("春眠不觉晓，处处闻啼鸟。北国冰雪夜，孤灯照客愁。", True),  # Half of the lines.
        ("春眠不觉晓，处处闻黄鸟！夜半风雨声，花落有多少。", True),  # 3 of 20 characters.
        ("春眠不觉晓，处处闻黄雀。夜半风雪声，花落有几何。", False),  # 7 of 20.
        ("春眠不觉晓，北国千山雪。孤灯照客愁，独坐夜沉沉。", False),  # A line.
        ("北国千山雪，春眠不觉晓。孤灯照客愁，处处闻啼鸟。", False),  # Lines at other places.
        ("春眠不觉晓，处处闻啼鸟。", False),  # Of another shape.
    ],
)
def test_near_is_half_of_the_lines_or_four_fifths_of_the_characters(
    second: str, is_near: bool
) -> None:
    assert _near([FIRST, second]) == [False, is_near]


def test_marks_do_not_count_as_characters() -> None:
    # 4 of 20 characters differ, and every mark.
    second = "春眠不觉晓！处处闻黄雀？夜半风雨声！花落有多少！"
    assert _near([FIRST, second]) == [False, True]


def test_only_poems_that_stay_have_near_duplicates() -> None:
    second = "春眠不觉晓，处处闻啼鸟。北国冰雪夜，孤灯照客愁。"
    third = "青山横北郭，白水绕东城。北国冰雪夜，孤灯照客愁。"
    assert _near([FIRST, second, third]) == [False, True, False]


def test_a_refrain_in_a_crowd_is_compared_without_a_square_of_comparisons() -> None:
    refrain = "南无阿弥陀佛，"
    texts = [f"{refrain}{chr(0x4E00 + i) * 6}，{chr(0x5E00 + i) * 6}。" for i in range(2000)]
    compared = 0

    def text_of(i: int) -> str:
        nonlocal compared
        compared += 1
        return texts[i]

    lines = clean_batch(texts, [False] * len(texts), "traditional").lines
    assert not near_duplicates(lines, text_of).any()
    assert compared < 2 * 20 * 2000


_line = st.text("春夏秋", min_size=1, max_size=3)
_poems = st.lists(
    st.lists(_line, min_size=2, max_size=4).map(lambda lines: "，".join(lines) + "。"), max_size=12
)


@given(_poems)
@settings(deadline=None, max_examples=150)
def test_exact_duplicates_are_those_that_a_set_finds(texts: list[str]) -> None:
    seen: set[tuple[str, ...]] = set()
    expected = []
    for text in texts:
        lines = Poem.from_text(text).lines
        expected.append(lines in seen)
        seen.add(lines)
    assert _exact(texts) == expected


@given(_poems)
@settings(deadline=None, max_examples=150)
def test_near_duplicates_are_those_that_comparing_all_finds(texts: list[str]) -> None:
    texts = [text for text, twice in zip(texts, _exact(texts), strict=True) if not twice]
    kept: list[tuple[str, ...]] = []
    expected = []
    for text in texts:
        lines = Poem.from_text(text).lines
        near = any(_is_near(earlier, lines) for earlier in kept)
        expected.append(near)
        if not near:
            kept.append(lines)
    assert _near(texts) == expected


def _is_near(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    if [len(line) for line in a] != [len(line) for line in b]:
        return False
    same = sum(x == y for x, y in zip(a, b, strict=True))
    first, second = (np.array(list("".join(lines))) for lines in (a, b))
    few = (first != second).sum() <= 0.2 * len(first)
    return same > 0 and (same >= len(b) / 2 or bool(few))
