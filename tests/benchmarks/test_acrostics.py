"""The acrostic benchmark: its list keeps what it promises, and its figures are right."""

import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.acrostics import __main__ as program
from benchmarks.acrostics.entries import KINDS, TAILS, Entry, evenly_spread, read_entries
from benchmarks.acrostics.figures import (
    Attempt,
    cost_of_rules,
    figures_of,
    judged,
    lines_in,
    reading_nats,
)
from benchmarks.acrostics.ways import OneDraw, Rejection, Way, ways_to_write
from benchmarks.acrostics.writing import Asked, Kept, attempt, is_feasible, parts, write_all
from poetgen import Poet
from poetgen.checkpoint import load_checkpoint
from poetgen.corpus.script import to_simplified
from poetgen.dataset.vocabulary import UNK, UNKNOWN_NATS
from poetgen.errors import PoetgenError, TemplateError
from poetgen.verse.forms import FORMS, form_named
from poetgen.verse.phonology import rhyme_book
from poetgen.verse.poem import is_han
from poetgen.writing.asked import Rules
from poetgen.writing.engine import engine_for
from poetgen.writing.options import SamplingOptions
from poetgen.writing.request import Request
from poetgen.writing.written import WrittenPoem
from tests.cli.random_model import write_random_model

ENTRIES = read_entries()
STRICT = Rules(tones="strict")
SEASONS = Asked(
    Entry(0, "春夏秋冬", "idiom"), Request("春夏秋冬", form_named("五绝"), rules=STRICT), True
)

# 王之涣《登鹳雀楼》: regulated by the strict rules, and rhymed.
TOWER = ("白日依山尽", "黄河入海流", "欲穷千里目", "更上一层楼")
# 李白《静夜思》: neither joined nor opposed as the rules want.
NIGHT = ("床前明月光", "疑是地上霜", "举头望明月", "低头思故乡")


def a_poem(lines: tuple[str, ...], form: str = "五绝") -> WrittenPoem:
    return WrittenPoem(
        lines=lines,
        heads="".join(line[0] for line in lines),
        form=form_named(form),
        seed=0,
        model="hand",
        nats_per_character=0.0,
        forced=tuple((True, *[False] * (len(line) - 1)) for line in lines),
    )


def an_attempt(
    lines: tuple[str, ...] | None, heads: str = "白黄欲更", *, feasible: bool = True, **others: Any
) -> Attempt:
    request = Request(heads, form_named("五绝"), rules=STRICT)
    poem = None if lines is None else a_poem(lines)
    return Attempt(request, "idiom", feasible, poem, 0.25, **others)


# The list


def test_there_are_a_thousand_different_entries() -> None:
    assert len(ENTRIES) == 1000
    assert len({entry.heads for entry in ENTRIES}) == 1000


def test_every_entry_is_four_or_eight_chinese_characters_of_a_known_kind() -> None:
    for entry in ENTRIES:
        assert len(entry.heads) in (4, 8), entry
        assert all(map(is_han, entry.heads)), entry
        assert entry.kind in KINDS, entry


def test_every_kind_has_its_share_and_both_lengths() -> None:
    counts = Counter((entry.kind, len(entry.heads)) for entry in ENTRIES)
    for kind in KINDS:
        assert counts[kind, 4] >= 50
        assert counts[kind, 8] >= 10


def test_traditional_heads_are_traditional_and_common_ones_are_not() -> None:
    for entry in ENTRIES:
        if entry.kind == "traditional":
            assert to_simplified(entry.heads) != entry.heads, entry
        elif entry.kind in ("name", "idiom", "greeting", "modern", "repeated"):
            assert to_simplified(entry.heads) == entry.heads, entry


def test_repeated_heads_repeat() -> None:
    for entry in ENTRIES:
        if entry.kind == "repeated":
            assert len(set(entry.heads)) < len(entry.heads), entry


def test_unseen_heads_have_a_character_outside_the_common_block() -> None:
    for entry in ENTRIES:
        if entry.kind == "unseen":
            assert any(not "\u4e00" <= character <= "\u9fff" for character in entry.heads), entry


def test_the_mixture_gives_every_form_its_heads() -> None:
    counts = Counter(entry.form.name for entry in ENTRIES)
    assert set(counts) == {form.name for form in FORMS}
    fours, eights = (sum(len(e.heads) == n for e in ENTRIES) for n in (4, 8))
    assert 0.6 < counts["七绝"] / fours < 0.73
    assert 0.55 < counts["七律"] / eights < 0.78
    assert all(e.form.line_count == len(e.heads) for e in ENTRIES)


@pytest.mark.parametrize("count", [1, 7, 30, 100, 999, 1000, 5000])
def test_a_part_of_the_list_is_spread_evenly(count: int) -> None:
    some = evenly_spread(ENTRIES, count)
    assert len({entry.number for entry in some}) == len(some) == min(count, 1000)
    whole = Counter(entry.kind for entry in ENTRIES)
    part = Counter(entry.kind for entry in some)
    for kind in KINDS:
        assert abs(part[kind] - whole[kind] * len(some) / 1000) <= 1


def test_every_entry_for_the_tail_rhymes_there() -> None:
    book = rhyme_book().for_judging
    tails = read_entries(TAILS)
    assert len({entry.heads for entry in tails}) == len(tails) == 100
    for entry in tails:
        assert len(entry.heads) in (4, 8)
        assert all(map(is_han, entry.heads))
        feet = entry.heads[1::2]
        shared = book.level_mask
        for foot in feet:
            shared &= book.mask(foot)
        assert shared, entry
        assert len(set(feet)) == len(feet), entry
        assert "平" not in book.tones(entry.heads[2::2]), entry  # No 白脚.
    assert {entry.kind for entry in tails} == set(KINDS)


# Judging


def test_a_poem_that_keeps_everything_is_said_to() -> None:
    verdict = judged(Request("白黄欲更", form_named("五绝"), rules=STRICT), TOWER)
    assert verdict.everything
    assert not verdict.faults


def test_a_wrong_head_is_seen() -> None:
    verdict = judged(Request("白江欲更", form_named("五绝"), rules=STRICT), TOWER)
    assert not verdict.heads
    assert verdict.form
    assert not verdict.everything


def test_a_head_of_the_other_script_is_a_wrong_head() -> None:
    assert not judged(Request("白黃欲更", form_named("五绝")), TOWER).heads


def test_heads_at_the_tail_are_looked_for_there() -> None:
    assert judged(Request("尽流目楼", form_named("五绝"), at="tail"), TOWER).heads
    assert not judged(Request("白黄欲更", form_named("五绝"), at="tail"), TOWER).heads


@pytest.mark.parametrize(
    "lines",
    [TOWER[:3], (*TOWER[:3], "更上一层"), (*TOWER[:3], "更上一层A"), (*TOWER, "白日依山尽")],
)
def test_a_broken_form_is_seen(lines: tuple[str, ...]) -> None:
    verdict = judged(Request("白黄欲更", form_named("五绝")), lines)
    assert not verdict.form
    assert not verdict.everything


def test_irregular_verse_is_seen() -> None:
    verdict = judged(Request("床疑举低", form_named("五绝")), NIGHT)
    assert verdict.heads
    assert verdict.form
    assert not verdict.tones
    assert not verdict.everything


def test_a_blemish_is_no_fault_of_tones_but_not_everything_either() -> None:
    lines = (*TOWER[:3], "更上一层流")  # The foot of line 2 again: 重韵.
    verdict = judged(Request("白黄欲更", form_named("五绝"), rules=STRICT), lines)
    assert verdict.rhyme
    assert verdict.faults == ("重韵",)
    assert not verdict.everything


# Figures


def test_the_shares_are_of_what_had_to_be_written() -> None:
    attempts = [
        an_attempt(TOWER),
        an_attempt(NIGHT, "床疑举低"),
        an_attempt(None, crash="ValueError()"),
        an_attempt(None, refusal="no"),
        an_attempt(None, feasible=False, refusal="no poem can"),
        an_attempt(NIGHT, "床疑举低", feasible=False),
    ]
    figures = figures_of(attempts)
    assert (figures.asked, figures.infeasible, figures.crashes) == (6, 2, 1)
    assert (figures.refused, figures.refused_infeasible) == (1, 1)
    assert figures.heads == figures.form == 3 / 5  # The infeasible one that was refused is out.
    assert figures.tones == figures.all_rules == 1 / 4  # Of the four that are feasible.
    assert figures.rhyme == 2 / 4
    assert figures.milliseconds == figures.milliseconds_mean == 250


def test_distinct_and_borrowed_are_of_what_was_written() -> None:
    figures = figures_of([an_attempt(TOWER), an_attempt(TOWER)], TOWER[:1].__contains__)
    assert figures.distinct_1 == 20 / 40
    assert figures.distinct_2 == 16 / 32
    assert figures.borrowed_lines == 1 / 4


def test_nats_are_of_the_poems_that_are_compared() -> None:
    attempts = [an_attempt(TOWER), an_attempt(TOWER), an_attempt(None, refusal="no")]
    assert figures_of(attempts, nats=[60.0, None, None]).nats_per_character == 3.0
    assert figures_of(attempts, nats=[60.0, 80.0, None]).nats_per_character == 3.5


def test_nothing_written_is_no_figure_and_no_crash() -> None:
    figures = figures_of([an_attempt(None, crash="ValueError()")], lambda _: False, [None])
    assert figures.heads == figures.all_rules == 0
    assert figures.distinct_1 is figures.borrowed_lines is figures.nats_per_character is None


def test_the_cost_of_rules_is_the_difference_of_the_nats() -> None:
    attempts = [an_attempt(TOWER)] * 3
    cost = cost_of_rules(attempts, [60.0, 70.0, None], [58.0, 66.0, 50.0])
    assert cost is not None
    mean, error = cost
    assert mean == pytest.approx(3 / 20)
    assert error == pytest.approx(math.sqrt(2) / 20 / math.sqrt(2))
    assert cost_of_rules(attempts[:1], [60.0], [50.0]) is None


def test_borrowed_lines_are_whole_lines() -> None:
    corpus = ["白日依山尽，黄河入海流。欲穷千里目，更上一层楼。", "床前明月光，疑是地上霜。"]
    wanted = {"黄河入海流", "床前明月光", "河入海流", "白日依山尽黄河入海流", "春眠不觉晓"}
    assert lines_in(corpus, wanted) == {"黄河入海流", "床前明月光"}


def test_without_the_corpus_the_filter_says_what_is_borrowed(model: Path) -> None:
    class Runs:
        def borrowed_line(self, line: str) -> bool:
            return line in TOWER[1:2]

    checkpoint = load_checkpoint(model)
    runs: Any = Runs()
    by_filter = program.borrowed_lines(None, runs, checkpoint, [[an_attempt(TOWER)]])
    assert by_filter is not None
    assert [by_filter(line) for line in TOWER] == [False, True, False, False]
    by_corpus = program.borrowed_lines(
        ("corpus", ["白日依山尽，"]), runs, checkpoint, [[an_attempt(TOWER)]]
    )
    assert by_corpus is not None
    assert [by_corpus(line) for line in TOWER] == [True, False, False, False]
    assert program.borrowed_lines(None, None, checkpoint, []) is None


def test_a_glyph_of_the_other_script_is_read_as_the_one_that_the_model_knows(model: Path) -> None:
    said = program.said_by(load_checkpoint(model).vocabulary, "simplified")
    assert said("雲龍") == "云龍"  # The model knows 云, and neither 龍 nor 龙.


# Reading and writing with a model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("acrostics") / "random")


def test_reading_a_poem_costs_what_writing_it_was_said_to(model: Path) -> None:
    # Two independent sums: step by step under a mask while writing, and at once without one.
    poems = Poet.load(model).acrostic("春夏秋龘", "五绝", n=3, seed=1, tones="off")
    poems += Poet.load(model).acrostic("春夏秋冬", "七绝", n=2, seed=1, tones="off")
    checkpoint = load_checkpoint(model)
    nats = reading_nats(
        engine_for(checkpoint), [checkpoint.vocabulary.encode(poem.text) for poem in poems]
    )
    for poem, spent in zip(poems, nats, strict=True):
        assert spent / sum(map(len, poem.lines)) == pytest.approx(poem.nats_per_character, rel=1e-4)


def test_an_unknown_character_costs_its_charge(model: Path) -> None:
    checkpoint = load_checkpoint(model)
    bare = engine_for(checkpoint)
    logits, _ = bare.step(np.array([1]), bare.start(1))
    chance = np.exp(logits[0].astype(np.float64))
    with_unknown = reading_nats(bare, [[UNK]])[0]
    state = bare.step(np.array([1]), bare.start(1))[1]
    after = bare.step(np.array([UNK]), state)[0][0].astype(np.float64)
    expected = -math.log(chance[UNK] / chance.sum()) + UNKNOWN_NATS
    expected += -math.log(np.exp(after[2]) / np.exp(after).sum())  # 2: <eos>
    assert with_unknown == pytest.approx(expected, rel=1e-5)


def test_rejection_stops_at_the_first_poem_without_fault(model: Path) -> None:
    options = SamplingOptions(decoding="plain")
    request = Request("春夏秋冬", form_named("五绝"))
    poet = Poet.load(model)
    way = Rejection("rejection", poet, options, 4, lambda _, __: 0)
    first = way.write(request, 3, seconds=1e9)
    assert first.seed == 3 << 20
    counts = iter([3, 2, 1, 2, 5, 5, 5, 5])
    best = Rejection("rejection", poet, options, 4, lambda _, __: next(counts)).write(
        request, 3, seconds=0
    )
    assert best.seed == (3 << 20) + 2  # The best of one batch, since the time was over.


def test_a_crash_and_a_refusal_are_told_apart() -> None:
    class Way:
        name = "bad"
        share = 1.0

        def __init__(self, error: Exception) -> None:
            self.error = error

        def write(self, request: Request, seed: int, seconds: float) -> WrittenPoem:
            raise self.error

    made = attempt(Way(TemplateError("no")), SEASONS, 0, 0.0)
    assert (made.refusal, made.crash, made.poem) == ("no", "", None)
    made = attempt(Way(ValueError("oh")), SEASONS, 0, 0.0)
    assert (made.refusal, made.crash, made.poem) == ("", "ValueError('oh')", None)


def test_a_way_without_rules_is_judged_by_the_rules_asked_for(model: Path) -> None:
    way = OneDraw("free", Poet.load(model), Rules(tones="off"), SamplingOptions(decoding="plain"))
    made = attempt(way, SEASONS, 0, 0.0)
    assert made.poem is not None
    assert made.request.rules == STRICT


def test_only_heads_that_strict_rules_refuse_are_infeasible() -> None:
    class Refuses:
        def __init__(self, *tones: str) -> None:
            self.tones = tones

        def template(self, request: Request) -> None:
            if request.rules.tones in self.tones:
                raise TemplateError("no")

    request = Request("春夏秋冬", form_named("五绝"), rules=Rules())
    assert is_feasible(Refuses(), request)  # type: ignore[arg-type]
    assert not is_feasible(Refuses("strict"), request)  # type: ignore[arg-type]
    # Not the heads' fault: it counts against whoever refuses.
    assert is_feasible(Refuses("strict", "loose"), request)  # type: ignore[arg-type]


def test_a_form_takes_the_heads_that_fit_it() -> None:
    entries = [Entry(0, "春夏秋冬", "idiom"), Entry(1, "春夏秋冬东南西北", "idiom")]
    assert [e.number for e, _ in program.requests_for(entries, 9, "五绝", "head", STRICT)] == [0]
    assert len(program.requests_for(entries, 9, "五律", "head", STRICT)) == 2
    assert len(program.requests_for(entries, 9, None, "tail", STRICT)) == 2
    with pytest.raises(TemplateError):
        program.requests_for(entries, 9, None, "9", STRICT)


def a_way(model: Path, name: str = "plain", share: float = 1.0) -> OneDraw:
    options = SamplingOptions(decoding="plain")
    return OneDraw(name, Poet.load(model), Rules(tones="off"), options, share)


def some_asked(count: int) -> list[Asked]:
    entries = [entry for entry in ENTRIES if len(entry.heads) == 4][:count]
    return [Asked(e, Request(e.heads, form_named("五绝"), rules=STRICT), True) for e in entries]


def test_the_simpler_ways_write_for_even_parts_within_those_of_ours(model: Path) -> None:
    poet = Poet.load(model)
    ways = ways_to_write(poet, poet, "loose", SamplingOptions(), lambda _, __: 0)
    ours, off, *simple = parts(ENTRIES, ways)
    assert (len(ours), len(off), *map(len, simple)) == (1000, 300, 100, 100, 100)
    assert simple[0] == simple[1] == simple[2]
    assert set(simple[0]) < set(off) < set(ours)
    whole, part = (Counter(entry.kind for entry in some) for some in (ours, simple[0]))
    assert all(abs(part[kind] - 0.1 * whole[kind]) <= 2 for kind in KINDS)
    assert all(len(part) == 100 for part in parts(ENTRIES[:100], ways))


def test_a_poem_is_the_same_in_a_batch_and_alone(model: Path) -> None:
    asked = some_asked(120)
    many, few = a_way(model, "many"), a_way(model, "few", 0.5)
    steps: list[int] = []
    attempts = write_all([many, few], asked, 7, Kept(None, {}, False), steps.append)
    assert [len(some) for some in attempts] == [120, 100]
    assert sum(steps) == 220
    batched = [made for made in attempts[0] if made.seconds is None]
    assert len(batched) == 20
    assert all(made.seconds is not None for made in attempts[1])
    for made in batched:
        each = next(a for a in asked if a.entry.number == made.number)
        alone = attempt(many, each, 7 + made.number, 0.0)
        assert made.poem is not None
        assert alone.poem is not None
        assert made.poem.text == alone.poem.text


def test_a_crash_in_a_batch_is_charged_to_its_own_heads(model: Path) -> None:
    class Poet(OneDraw):
        def write_together(self, requests: Any, seeds: Any) -> Any:
            if any(request.heads == asked[103].request.heads for request in requests):
                raise ValueError("oh")
            return super().write_together(requests, seeds)

    asked = some_asked(110)
    bad = Poet("bad", a_way(model).poet, Rules(tones="off"), SamplingOptions(decoding="plain"))
    ways: list[Way] = [bad, a_way(model, "few", 0.1)]
    made = write_all(ways, asked, 7, Kept(None, {}, False), lambda _: None)[0]
    assert [m.number for m in made if m.crash] == [asked[103].entry.number]
    assert sum(m.poem is not None for m in made) == 109


def test_a_run_that_was_killed_goes_on_where_it_was(model: Path, tmp_path: Path) -> None:
    file, asked, about = tmp_path / "figures.json.partial", some_asked(6), {"model": "random"}
    whole = write_all([a_way(model)], asked, 7, Kept(file, about, False), lambda _: None)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 6
    file.write_text("\n".join([*lines[:4], lines[4][:20]]), encoding="utf-8")

    class Counting(OneDraw):
        def write_together(self, requests: Any, seeds: Any) -> Any:
            written.extend(seeds)
            return super().write_together(requests, seeds)

    written: list[int] = []
    way = Counting("plain", a_way(model).poet, Rules(tones="off"), a_way(model).options)
    again = write_all([way], asked, 7, Kept(file, about, True), lambda _: None)
    assert written[1:] == [7 + each.entry.number for each in asked[3:]]  # The first warms up.
    for before, after in zip(whole[0], again[0], strict=True):
        assert before.poem is not None
        assert after.poem is not None
        assert before.poem.text == after.poem.text
    with pytest.raises(PoetgenError, match="another run"):
        Kept(file, {"model": "other"}, True)


def test_the_program_prints_its_tables_and_saves_its_figures(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "figures.json"
    command = f"acrostics {model} --heads 8 --tones off --particles 2 --output {saved}"
    monkeypatch.setattr(sys, "argv", command.split())
    program.main()
    printed = capsys.readouterr().out
    assert "heads exact" in printed
    assert "THE MODEL THAT WROTE THEM" in printed
    record = json.loads(saved.read_text(encoding="utf-8"))
    assert [way["way"] for way in record["ways"]] == ["ours, off", "plain", "argmax", "rejection"]
    for way in record["ways"]:
        assert way["heads"] == way["form"] == 1
        assert way["crashes"] == 0
        assert len(way["poems"]) == 8
    ours = record["ways"][0]
    assert not program.partial(saved).exists()
    exact = sum(poem["all_rules"] for poem in ours["poems"] if poem["feasible"])
    assert exact == ours["all_rules"] * (8 - ours["infeasible"])
