import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.errors import TemplateError
from poetgen.verse.metre import read
from poetgen.verse.patterns import STYLES, Walk, couplet, fits, patterns_of, variants

SHAPES = [(4, 5), (4, 7), (8, 5), (8, 7)]


def test_the_patterns_are_the_textbooks() -> None:
    names = [pattern.name for pattern in patterns_of(4, 5)]
    assert names == ["仄起首句不入韵", "仄起首句入韵", "平起首句不入韵", "平起首句入韵"]
    assert [pattern.opening for pattern in patterns_of(4, 7)] == ["平起", "平起", "仄起", "仄起"]
    assert patterns_of(4, 7)[1].textbook == (
        "平平仄仄仄平平",
        "仄仄平平仄仄平",
        "仄仄平平平仄仄",
        "平平仄仄仄平平",
    )
    assert [p.types for p in patterns_of(8, 5)] == ["aBbAaBbA", "ABbAaBbA", "bAaBbAaB", "BAaBbAaB"]


def test_other_shapes_have_no_pattern() -> None:
    assert patterns_of(6, 5) == patterns_of(4, 6) == patterns_of(0, 0) == ()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("style", STYLES)
def test_the_textbook_fits_its_own_pattern(shape: tuple[int, int], style: str) -> None:
    for pattern in patterns_of(*shape):
        lines = pattern.textbook
        for number, couplets in enumerate(pattern.couplets(style)):
            tones = lines[2 * number] + lines[2 * number + 1]
            assert any(all(map(fits, tones, wanted)) for wanted in couplets)


@pytest.mark.parametrize("length", [5, 7])
def test_strict_admits_nothing_that_loose_does_not(length: int) -> None:
    for first, second in ("aB", "AB", "bA", "BA"):
        loose = couplet(first, second, length, "loose")
        for strict in couplet(first, second, length, "strict"):
            options = ["平仄" if tone == "中" else tone for tone in strict]
            for tones in product(*options):
                assert any(all(map(fits, tones, wanted)) for wanted in loose)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("length", [5, 7])
def test_no_variant_has_a_lone_level_or_three_levels_at_the_end(length: int, style: str) -> None:
    for line_type in "AB":
        for variant in variants(line_type, length, style):
            assert "平" in (variant.tones[-5], variant.tones[-3]) or line_type == "A"
            assert not variant.tones.endswith("平平平")


@st.composite
def _walks(draw: st.DrawFn) -> tuple[Walk, list[str]]:
    """A poem of tones that a walk admitted, each tone drawn from what was admissible."""
    shape = draw(st.sampled_from(SHAPES))
    walk = Walk(patterns_of(*shape), draw(st.sampled_from(STYLES)))
    tones = ""
    for _ in range(shape[0] * shape[1]):
        admitted = walk.admissible()
        assert admitted, "a walk came to a dead end"
        tone = draw(st.sampled_from("平仄中")) if admitted == "中" else admitted
        tones += tone
        after = walk.step(tone)
        assert after is not None
        walk = after
    return walk, [tones[i : i + shape[1]] for i in range(0, len(tones), shape[1])]


@settings(deadline=None, max_examples=200)
@given(_walks())
def test_what_a_walk_admits_never_ends_dead_and_costs_nothing(
    walked: tuple[Walk, list[str]],
) -> None:
    walk, lines = walked
    assert walk.alive()
    path = read(lines, may_rhyme=True, rhymes=True, style=walk.style)
    assert not any(reading.wrong for reading in path)
    types = "".join(reading.line_type for reading in path)
    assert types in [pattern.types for pattern in walk.patterns]


@pytest.mark.parametrize("style", STYLES)
def test_a_walk_refuses_what_no_pattern_has_and_the_judge_agrees(style: str) -> None:
    # Every couplet of two lines of five, 1,024 of them, closed by a second couplet that fits.
    chance = random.Random(0)
    patterns = patterns_of(4, 5)
    admitted = 0
    for tones in product("平仄", repeat=10):
        rest = patterns[chance.randrange(4)].textbook[2:]
        text = "".join((*tones, *rest))
        walk: Walk | None = Walk(patterns, style)
        for tone in text:
            walk = walk.step(tone) if walk else None
        lines = [text[i : i + 5] for i in range(0, 20, 5)]
        path = read(lines, may_rhyme=True, rhymes=False, style=style)
        types = "".join(reading.line_type for reading in path)
        clean = not any(r.wrong for r in path) and types in [p.types for p in patterns]
        answered = not (path[0].variant.asks and not path[1].variant.answers)
        needed = not path[1].variant.only_answers or path[0].variant.asks
        assert (walk is not None) == (
            clean and answered and needed and not path[0].variant.only_answers
        )
        admitted += walk is not None
    assert 0 < admitted < 200


def test_a_walk_tells_what_may_come_next() -> None:
    walk = Walk(patterns_of(4, 5))
    for tone in "仄仄仄仄":  # 仄仄仄仄仄 asks the next line for a level third.
        assert walk.admissible() in (tone, "中")
        after = walk.step(tone)
        assert after is not None
        walk = after
    assert walk.admissible() == "仄"
    assert walk.step("平") is None
    assert [pattern.types for pattern in walk.alive()] == ["aBbA"]
    for tone in "仄仄平":
        after = walk.step(tone)
        assert after is not None
        walk = after
    assert walk.admissible() == "平"


def test_a_style_or_length_that_is_not_there_is_an_error_that_lists_those_that_are() -> None:
    with pytest.raises(TemplateError, match="free") as caught:
        variants("a", 5, "free")
    assert "loose" in caught.value.hint
    with pytest.raises(TemplateError, match="6 characters"):
        variants("a", 6, "loose")
