"""What is written by the rules keeps them, whatever the model says and whatever the heads are."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.dataset.vocabulary import SPECIALS, Vocabulary
from poetgen.errors import TemplateError
from poetgen.verse.forms import FORMS, PoemForm, form_named
from poetgen.verse.phonology import RHYME_BOOKS, rhyme_book
from poetgen.verse.prosody import check
from poetgen.writing.asked import Rules, RulesAsked
from poetgen.writing.lexicon import Lexicon
from poetgen.writing.options import SamplingOptions
from poetgen.writing.poet import Poet
from poetgen.writing.request import Request, acrostic_request, continuation_request
from poetgen.writing.rules import Regulation
from poetgen.writing.sounds import sounds_of
from poetgen.writing.written import WrittenPoem
from tests.writing.fakes import MarkovModel, RandomTable

MARKS = "，。？！；"
LEVEL = (
    "东风空中红公功宫弓虹同通翁终" "年天先前边泉烟船仙田眠千川悬" "阳光香霜凉黄乡长忘王章狂床堂"
    "流楼秋舟愁游浮头州休牛忧求留" "时知思诗奇离枝迟池悲眉移为期"
)  # fmt: skip
OBLIQUE = "月日白雪客绝木竹落石独一不有处路去暮树语雨古土草老晓鸟道好见面远晚水美里喜是事动梦送重"
EITHER = "看过听论教望醒叹胜应更那令思难行吹风正分相间冠观中重量翻判旋荷"
"""Characters that verse reads level and oblique."""

CHARACTERS = tuple(dict.fromkeys(LEVEL + OBLIQUE + EITHER + "鹓囗"))
_random = random.Random(0)
_WORDS = {"".join(_random.choices(CHARACTERS, k=k)) for k in (2, 3, 4) for _ in range(80)}
SMALL = Vocabulary((*SPECIALS, *MARKS, *CHARACTERS))
WORDS = Vocabulary((*SMALL.tokens, *sorted(_WORDS)))

STRANGE = "龘𠮷東風㐀看"


def random_poet(vocabulary: Vocabulary, seed: int, scale: float = 2.0, holes: float = 0.0) -> Poet:
    size = len(vocabulary)
    return Poet(MarkovModel(size, RandomTable(size, seed, scale, holes)), vocabulary, "random")


rules = st.builds(
    Rules,
    tones=st.sampled_from(["loose", "strict"]),
    rhyme_book=st.sampled_from(RHYME_BOOKS),
    rhyme=st.sampled_from(["auto", "auto", "天", "时"]),
    first_line_rhymes=st.sampled_from(["auto", "auto", "yes", "no"]),
    pattern=st.sampled_from(["auto", "auto", "平起", "仄起"]),
)
options = st.builds(
    SamplingOptions,
    temperature=st.sampled_from([0.01, 1.0, 100.0]),
    top_k=st.sampled_from([0, 1]),
    top_p=st.sampled_from([1.0, 1e-9]),
    particles=st.sampled_from([1, 5]),
    decoding=st.sampled_from(["particles", "plain", "beam"]),
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    form = draw(st.sampled_from(FORMS))
    length = form.line_length
    glyphs = st.sampled_from(draw(st.sampled_from(["".join(CHARACTERS), EITHER + STRANGE])))
    if draw(st.integers(0, 3)) == 0:
        lines = [
            draw(st.text(glyphs, min_size=length, max_size=length))
            for _ in range(draw(st.integers(0, form.line_count - 1)))
        ]
        lines.append(draw(st.text(glyphs, min_size=1, max_size=length - 1)))
        return Request("", form, first_lines=tuple(lines), rules=draw(rules))
    number = draw(st.sampled_from([4, form.line_count]))
    heads = draw(st.text(glyphs, min_size=number, max_size=number))
    ats: list[str | int] = ["head", "tail", draw(st.integers(1, length))]
    if number <= length:
        ats.append("diagonal")
    return Request(heads, form, draw(st.sampled_from(ats)), rules=draw(rules))


@settings(deadline=None, max_examples=120)
@given(
    request=requests(),
    seed=st.integers(0, 2**40),
    options=options,
    vocabulary=st.sampled_from([SMALL, WORDS]),
    logits=st.tuples(
        st.integers(0, 9), st.sampled_from([0.1, 5.0, 1e4]), st.sampled_from([0, 0.9])
    ),
)
def test_the_judge_finds_no_fault_whatever_the_model_says_and_whatever_the_heads(
    request: Request,
    seed: int,
    options: SamplingOptions,
    vocabulary: Vocabulary,
    logits: tuple[int, float, float],
) -> None:
    poet = random_poet(vocabulary, *logits)
    [poem] = poet.write([request], [seed], options)
    strict = request.rules.tones == "strict"
    if isinstance(poem, TemplateError):
        # It names what clashes, or says that the vocabulary cannot rhyme.
        assert poem.hint
        assert "no poem keeps every rule" in poem.message if strict else "too few" in poem.message
        return
    book = rhyme_book(request.rules.rhyme_book)
    report = check(poem.lines, book, request.rules.tones)
    assert poem.faults == report.faults
    if poem.faults:
        # Only where what is fixed leaves no poem without one, and never under strict.
        assert Regulation(request, sounds_of(Lexicon(vocabulary), book.name)).clashes
        assert not strict
    else:
        assert report.regulated
        assert report.rhymed
        asked = request.rules.first_line_rhymes
        if asked != "auto" and request.layout()[0].glyphs[-1] is None:
            assert ("不入韵" in poem.pattern) == (asked == "no")
    assert "".join(c for c, _ in poet.stream(request, seed, options)) == poem.text


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("tones", ["loose", "strict"])
def test_an_octaves_middle_couplets_have_no_character_in_both_lines(
    form: PoemForm, tones: str
) -> None:
    # Words that the model likes best come in every line where nothing forbids it.
    poet = random_poet(WORDS, 3, scale=30.0)
    for poem in poet.acrostic("天日东月", str(form)[:2], tones=tones, n=5, seed=0):
        assert poem.faults == ()
        for first in (2, 4):
            couplet = poem.lines[first : first + 2]
            if len(poem.lines) == 8:
                assert not set(couplet[0]) & set(couplet[1])


def test_a_first_foot_that_can_be_read_either_way_binds_the_rhyme() -> None:
    # 看 closes 中仄仄平平 as much as 中仄仄平仄, until a second line that rescues nothing.
    request = continuation_request("日月月天看", tones="strict")
    for poem in random_poet(SMALL, 1).write([request] * 20, range(20)):
        assert isinstance(poem, WrittenPoem)
        assert poem.faults == ()


def test_feet_of_two_groups_leave_the_judge_no_other_rhyme() -> None:
    # 星 may stand beside 庚 but not beside 阳; 行, and what else this vocabulary has of 庚 in
    # plenty, is in both. The judge takes the first that the feet share.
    book = rhyme_book()
    yang, geng = book.group_named("阳"), book.group_named("庚")
    both = [c for c in book.members(geng) if yang in book.readings(c)]
    assert len(both) > 5
    vocabulary = Vocabulary((*SPECIALS, *MARKS, *dict.fromkeys((*CHARACTERS, *both, *"声名生城"))))
    request = continuation_request("天天月月星，月月月天行。")
    for poem in random_poet(vocabulary, 1).write([request] * 40, range(40)):
        assert isinstance(poem, WrittenPoem)
        assert (poem.rhyme_group, poem.faults) == ("庚", ())


@pytest.mark.parametrize(
    ("asked", "pattern", "group"),
    [
        ({"rhyme": "东"}, "", "东"),
        ({"rhyme": "船"}, "", "先"),
        ({"pattern": "pingqi"}, "平起", ""),
        ({"pattern": "仄起", "first_line_rhymes": "yes"}, "仄起首句入韵", ""),
        ({"pattern": "zeqi", "first_line_rhymes": "no", "tones": "strict"}, "仄起首句不入韵", ""),
        ({"rhyme_book": "xinyun", "rhyme": "长"}, "", "唐"),
    ],
)
def test_pattern_and_rhyme_are_those_asked_for(asked: RulesAsked, pattern: str, group: str) -> None:
    poet = random_poet(SMALL, 1)
    for poem in poet.acrostic("月日一老", n=4, seed=0, **asked):
        assert poem.faults == ()
        assert pattern in poem.pattern
        assert group in poem.rhyme_group
    assert poem.rhyme_book == ("新韵" if "rhyme_book" in asked else "平水韵")


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        # The second characters of four lines are 平仄仄平 or 仄平平仄.
        (
            acrostic_request("天月东日", at=2, tones="strict"),
            ["line 3, character 2: 东 is 平 where 平起", "has 仄"],
        ),
        (
            acrostic_request("月东日天", "五绝", at="tail", tones="strict"),
            ["line 4, character 5: 天 is of 先 and does not rhyme in 东"],
        ),
        (
            acrostic_request("月天日天", "五绝", at="tail", tones="strict"),
            ["line 4, character 5: 天 is the foot of line 2 already"],
        ),
        (  # 中 could be read as a rhyme in line 1, pattern or no.
            acrostic_request("中风月中", "五绝", at="tail", tones="strict", first_line_rhymes="no"),
            ["line 4, character 5: 中 is the foot of line 1 already"],
        ),
        (
            acrostic_request("月日雪天", "五绝", at="tail", tones="strict"),
            ["line 2, character 5: 日 is 仄 where"],
        ),
        (
            acrostic_request("春天月年", "五绝", at="tail", tones="strict"),
            ["line 1, character 5: 春 is"],
        ),
        (
            acrostic_request("远天日年", "五绝", at="tail", tones="strict", rhyme="东"),
            ["天 is of 先 and does not rhyme in 东"],
        ),
        (
            acrostic_request("月东送空", "五绝", at="tail", tones="strict"),
            ["line 3, character 5: 送 sounds like the rhyme 东"],
        ),
        (
            continuation_request("春眠不觉晓，处处闻啼鸟。", tones="strict"),
            ["line 2, character 5: 鸟 is 仄 where"],
        ),
        (  # One fault in either pattern: the lighter one is told, as the judge would.
            continuation_request("白云千载空悠悠，", "七绝", tones="strict"),
            ["line 1, character 5: 空 is 平 where 平起首句入韵 has 仄"],
        ),
    ],
)
def test_strict_refuses_and_names_the_head_and_what_it_clashes_with(
    request_: Request, told: list[str]
) -> None:
    [error] = random_poet(SMALL, 1).write([request_], [0])
    assert isinstance(error, TemplateError)
    assert all(part in error.message for part in told), error.message
    assert "--tones loose" in error.hint


def test_a_flag_that_stands_in_the_way_is_named() -> None:
    # Heads that are the second characters of 平起 alone.
    request = acrostic_request("天月日东", at=2, tones="strict", pattern="仄起")
    [error] = random_poet(SMALL, 1).write([request], [0])
    assert isinstance(error, TemplateError)
    assert "仄起" in error.message
    assert "leave --pattern to auto" in error.hint
    assert isinstance(
        random_poet(SMALL, 1).write([acrostic_request("天月日东", at=2, tones="strict")], [0])[0],
        WrittenPoem,
    )


def test_loose_writes_the_nearest_poem_and_only_the_clashing_heads_are_at_fault() -> None:
    poet = random_poet(SMALL, 1)
    for poem in poet.acrostic("月东日天", "五绝", at="tail", n=5, seed=0):
        assert [(fault.name, fault.line) for fault in poem.faults] == [("出韵", 4)]
    for poem in poet.acrostic("天月东日", "七律", at=4, n=5, seed=0):
        assert poem.faults == ()
    for poem in poet.acrostic("天天天天", at=2, n=5, seed=0):
        assert {(fault.line, fault.position) for fault in poem.faults} <= {
            (n, 2) for n in range(1, 5)
        }
        assert poem.faults


def test_around_forced_faults_no_tone_is_wrong() -> None:
    # Oblique feet where it rhymes: a 拗 in the line before could not be made good in theirs.
    poet = random_poet(SMALL, 1)
    for form in ("五绝", "七绝"):
        for poem in poet.acrostic("月雪日客", form, at="tail", n=20, seed=0, particles=2):
            assert {(fault.name, fault.line) for fault in poem.faults} == {("出韵", 2), ("出韵", 4)}


def test_of_several_drafts_the_one_with_the_fewest_faults_is_shown() -> None:
    # A level foot in the third line, which may make the last three level.
    poet = random_poet(SMALL, 1, scale=0.3)

    def faults(rank: bool) -> list[int]:
        return [
            len(poem.faults)
            for poem in poet.acrostic("月雪东客", "五绝", at="tail", n=40, seed=0, rank=rank)
        ]

    assert set(faults(rank=True)) == {3}
    assert set(faults(rank=False)) == {3, 4}


@pytest.mark.parametrize("at", ["head", "tail"])
def test_heads_that_no_model_has_seen_count_with_their_own_readings(at: str) -> None:
    # None is in the vocabulary. 風 and 虹 are level, 鶴 and 髮 entering tones.
    poet = random_poet(SMALL, 2)
    for poem in poet.acrostic("鶴風髮鴻", at=at, tones="strict", n=5, seed=0):
        assert poem.faults == ()
        assert poem.rhyme_group == "东" or at == "head"


def test_a_vocabulary_that_cannot_rhyme_says_so() -> None:
    few = Vocabulary((*SPECIALS, *MARKS, *"东风月日雪客绝天年"))
    for poem in random_poet(few, 1).write(
        [acrostic_request("春夏秋冬"), acrostic_request("春夏秋冬", tones="off")], [0, 0]
    ):
        if isinstance(poem, TemplateError):
            assert "knows too few characters that rhyme" in poem.message
            assert "--tones off" in poem.hint
        else:
            assert poem.form == form_named("七绝")
    [error] = random_poet(SMALL, 1).write([acrostic_request("春夏秋冬", rhyme="江")], [0])
    assert isinstance(error, TemplateError)
    assert "江" in error.message


def test_every_pattern_and_several_rhymes_come_up() -> None:
    poems = random_poet(SMALL, 1).acrostic("看不一重", n=60, seed=0, particles=1)
    assert len({poem.pattern for poem in poems}) == 4
    assert len({poem.rhyme_group for poem in poems}) >= 3


def test_without_rules_a_poem_is_judged_all_the_same() -> None:
    poet = random_poet(SMALL, 1)
    [poem] = poet.acrostic("天天天天", at=2, tones="off", seed=1)
    assert poem.pattern
    assert poem.faults == check(poem.lines).faults != ()
    [poem] = poet.acrostic("天天天天", "free", seed=1)
    assert (poem.pattern, poem.rhyme_group, poem.faults) == ("", "", ())


def test_a_first_line_that_must_rhyme_ends_on_a_character_that_is_only_level() -> None:
    # 应 rhymes too, but has an oblique reading: the judge would say that the line does not rhyme.
    rules = Rules(tones="loose", rhyme_book="新韵", first_line_rhymes="yes")
    request = Request("", form_named("五绝"), first_lines=("一不不不",), rules=rules)
    poet = random_poet(SMALL, 0, 0.1, 0)
    poems = poet.write([request] * 30, range(30), SamplingOptions(particles=1))
    assert all(isinstance(p, WrittenPoem) and p.pattern.endswith("首句入韵") for p in poems)
