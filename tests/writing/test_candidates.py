"""What is kept stays; what may stand in a place is what the model says of it under the rules."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.dataset.vocabulary import BOS, SPECIALS, Vocabulary
from poetgen.errors import TemplateError
from poetgen.verse.forms import form_named, free_form
from poetgen.verse.prosody import check
from poetgen.writing.options import SamplingOptions
from poetgen.writing.poet import Poet
from poetgen.writing.request import FREE, Request, acrostic_request
from poetgen.writing.written import WrittenPoem
from tests.cli.random_model import CHARACTERS as RHYMING
from tests.writing.fakes import CHARACTERS, HAN, WORDS, MarkovModel, MarkovTable

FEW = SamplingOptions(particles=4)


def poet_of(vocabulary: Vocabulary, seed: int = 1) -> tuple[Poet, MarkovTable]:
    table = MarkovTable(len(vocabulary), seed, 1.0)
    return Poet(MarkovModel(len(vocabulary), table), vocabulary, "fake"), table


def written(poet: Poet, request: Request, seed: int = 0) -> WrittenPoem:
    poem = poet.write([request], [seed], FEW)[0]
    if isinstance(poem, TemplateError):
        raise poem
    return poem


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_whatever_is_kept_stands_where_it_stood(data: st.DataObject) -> None:
    count, length = data.draw(st.integers(1, 4)), data.draw(st.integers(2, 7))
    a_line = st.text(HAN + FREE, min_size=length, max_size=length)
    kept = data.draw(st.lists(a_line, min_size=count, max_size=count))
    if FREE not in "".join(kept):
        kept[0] = FREE + kept[0][1:]
    poet, _ = poet_of(data.draw(st.sampled_from([CHARACTERS, WORDS])))
    poem = written(poet, Request("", free_form(count, length), kept=tuple(kept)))
    for asked, line, forced in zip(kept, poem.lines, poem.forced, strict=True):
        assert all(a in (FREE, b) for a, b in zip(asked, line, strict=True))
        assert forced == tuple(character != FREE for character in asked)


def test_the_rest_keeps_the_rules_around_what_is_kept_and_the_heads() -> None:
    poet, _ = poet_of(Vocabulary((*SPECIALS, *RHYMING, *"，。！？；")))
    request = acrostic_request("春夏秋冬")
    first = written(poet, request)
    kept = (FREE * 7, f"{FREE * 6}{first.lines[1][6]}", first.lines[2] + "！", FREE * 7)
    again = written(poet, Request("春夏秋冬", request.form, rules=request.rules, kept=kept), 9)
    assert again.lines[2] == first.lines[2]
    assert again.marks[2] == "！"
    assert again.lines[1][6] == first.lines[1][6]
    assert [line[0] for line in again.lines] == [*"春夏秋冬"]
    assert again.lines != first.lines
    report = check(again.lines)
    assert report.regulated
    assert report.rhymed


@pytest.mark.parametrize(
    ("heads", "kept", "message"),
    [
        ("", ("春□□□□",) * 3, "3 lines kept of 五绝"),
        ("", ("春□□□□",) * 5, "5 lines leave nothing to write"),
        ("", ("春夏秋冬风",) * 4, "4 lines leave nothing to write"),
        ("", ("春□□□",) * 4, "line 1 has 4 characters"),
        ("", ("春□x□□",) * 4, "line 1, character 3, 'x', is not a Chinese character"),
        ("春夏秋冬", ("天□□□□",) * 4, "天 is kept where the head is 春"),
    ],
)
def test_what_cannot_be_kept_is_told(heads: str, kept: tuple[str, ...], message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        Request(heads, form_named("五绝"), kept=kept).layout()


def test_a_line_may_be_without_a_head() -> None:
    layout = Request("春□秋□", form_named("五绝")).layout()
    assert [line.glyphs[0] for line in layout] == ["春", None, "秋", None]


def test_candidates_have_the_models_own_probabilities_of_what_may_stand_there() -> None:
    poet, table = poet_of(CHARACTERS)
    kept = ("春夏□□□", FREE * 5)
    found = poet.candidates(Request("", free_form(2, 5), kept=kept), 0, 2, k=100)
    ids = [CHARACTERS.id_of(character) for character in "春夏"]
    shares = np.exp(table.log_probabilities((BOS, *ids)))
    # No character twice in a line but side by side: 夏 may come again, 春 not.
    allowed = {c: shares[CHARACTERS.id_of(c)] for c in HAN if c != "春"}
    total = sum(allowed.values())
    best = sorted(allowed, key=lambda c: -allowed[c])
    assert [each.character for each in found] == best
    for each in found:
        assert math.isclose(each.probability, allowed[each.character] / total, rel_tol=1e-4)


def test_candidates_keep_what_stands_after_them_by_the_rules() -> None:
    poet, _ = poet_of(Vocabulary((*SPECIALS, *RHYMING, *"，。！？；")))
    request = acrostic_request("春夏秋冬")
    poem = written(poet, request)
    line = poem.lines[1]
    kept = [*poem.lines]
    kept[1] = line[:6] + FREE
    asked = Request("春夏秋冬", request.form, rules=request.rules, kept=tuple(kept))
    found = poet.candidates(asked, 1, 6, k=99)
    assert line[6] in {each.character for each in found}
    for each in found:
        lines = [*poem.lines]
        lines[1] = line[:6] + each.character
        report = check(lines)
        assert report.regulated
        assert report.rhymed


def test_words_count_for_their_first_character() -> None:
    poet, table = poet_of(WORDS)
    found = poet.candidates(Request("", free_form(1, 4), kept=(FREE * 4,)), 0, 0, k=99)
    shares = np.exp(table.log_probabilities((BOS,)))
    # 春: by itself, in 春风, and in 春夏秋冬, which fills the line.
    wanted = sum(shares[WORDS.id_of(word)] for word in ("春", "春风", "春夏秋冬"))
    every = sum(each.probability for each in found)
    spring = next(each for each in found if each.character == "春")
    other = next(each for each in found if each.character == "夏")
    assert math.isclose(every, 1, rel_tol=1e-5)
    ratio = wanted / shares[WORDS.id_of("夏")]
    assert math.isclose(spring.probability / other.probability, ratio, rel_tol=1e-4)


@pytest.mark.parametrize(
    ("kept", "place", "message"),
    [
        (("春□□□",), (0, 2), "character 2 is still free"),
        (("春□□□",), (0, 0), "character 1 is not free"),
        (("春□□□",), (3, 0), "line 4, character 1 is not free"),
    ],
)
def test_a_place_without_candidates_says_why(
    kept: tuple[str, ...], place: tuple[int, int], message: str
) -> None:
    poet, _ = poet_of(CHARACTERS)
    with pytest.raises(TemplateError, match=message):
        poet.candidates(Request("", free_form(1, 4), kept=kept), *place)


@pytest.mark.parametrize("rank", [True, False])
def test_a_stream_ends_with_the_poem_that_it_spelled(rank: bool) -> None:
    poet, _ = poet_of(CHARACTERS)
    request = Request("春夏秋冬", form_named("五绝"))
    for particles in (1, 4):
        stream = poet.stream(request, 3, SamplingOptions(particles=particles), rank=rank)
        spelled = []
        while True:
            try:
                spelled.append(next(stream))
            except StopIteration as end:
                poem = end.value
                break
        assert "".join(character for character, _ in spelled) == poem.text
        options = SamplingOptions(particles=particles)
        assert poem == poet.write([request], [3], options, rank=rank)[0]


def test_the_outlook_tells_what_is_left_and_what_clashes() -> None:
    poet, _ = poet_of(Vocabulary((*SPECIALS, *RHYMING, *"，。！？；")))
    free = poet.outlook(acrostic_request("春夏秋冬"))
    assert len(free.patterns) == 4
    assert "阳" in free.groups
    assert not free.clashes
    tail = poet.outlook(acrostic_request("春夏秋冬", at="tail", tones="strict"))
    assert tail.clashes
    with pytest.raises(TemplateError, match="no poem keeps every rule"):
        poet.template(acrostic_request("春夏秋冬", at="tail", tones="strict"))
    assert poet.outlook(acrostic_request("春夏秋冬", tones="off")).patterns == ()
