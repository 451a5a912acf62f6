import json
import random
import re
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.errors import TemplateError
from poetgen.verse.phonology import rhyme_book
from poetgen.verse.poem import Poem
from poetgen.verse.prosody import ProsodyReport, check, is_candidate

# The fewest real poems that the rules can be checked on; everything else below is made of tones.
STORK_TOWER = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"
QUIET_NIGHT = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"
QINGMING = "清明时节雨纷纷，路上行人欲断魂。借问酒家何处有，牧童遥指杏花村。"
WEICHENG = "渭城朝雨浥轻尘，客舍青青柳色新。劝君更尽一杯酒，西出阳关无故人。"
BAIDI = "朝辞白帝彩云间，千里江陵一日还。两岸猿声啼不住，轻舟已过万重山。"
CRANE_TOWER = (
    "昔人已乘黄鹤去，此地空余黄鹤楼。黄鹤一去不复返，白云千载空悠悠。"
    "晴川历历汉阳树，芳草萋萋鹦鹉洲。日暮乡关何处是，烟波江上使人愁。"
)
SPRING_VIEW = (
    "国破山河在，城春草木深。感时花溅泪，恨别鸟惊心。"
    "烽火连三月，家书抵万金。白头搔更短，浑欲不胜簪。"
)
XIANSHAN = (
    "人事有代谢，往来成古今。江山留胜迹，我辈复登临。"
    "水落鱼梁浅，天寒梦泽深。羊公碑尚在，读罢泪沾襟。"
)
PHOENIX_TERRACE = (
    "凤凰台上凤凰游，凤去台空江自流。吴宫花草埋幽径，晋代衣冠成古丘。"
    "三山半落青天外，二水中分白鹭洲。总为浮云能蔽日，长安不见使人愁。"
)
BROKEN_HILL_TEMPLE = (
    "清晨入古寺，初日照高林。曲径通幽处，禅房花木深。"
    "山光悦鸟性，潭影空人心。万籁此俱寂，但余钟磬音。"
)
SPRING_DAWN = "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。"

# Characters of one tone and, for feet, of one group: poems made of them break one rule at a time.
LEVEL, OBLIQUE = "天", "月"


def judge(text: str, style: str = "loose", book: str = "平水韵") -> ProsodyReport:
    return check(Poem.from_text(text).lines, rhyme_book(book), style)


def made(tones: str) -> ProsodyReport:
    """Judge a quatrain of these tones; level even feet, and first ones, rhyme."""
    lines = []
    for number, line in enumerate(tones.split()):
        text = line.replace("平", LEVEL).replace("仄", OBLIQUE)
        if line.endswith("平") and number != 2:
            text = text[:-1] + "东风红中"[number]
        lines.append(text)
    return check(lines)


def names(report: ProsodyReport) -> list[tuple[str, int, int]]:
    return [(fault.name, fault.line, fault.position) for fault in report.faults]


@pytest.mark.parametrize(
    ("text", "form", "pattern", "group"),
    [
        (STORK_TOWER, "五绝", "仄起首句不入韵", "尤"),
        (QINGMING, "七绝", "平起首句入韵", "元"),
        (BAIDI, "七绝", "平起首句入韵", "删"),
        (SPRING_VIEW, "五律", "仄起首句不入韵", "侵"),
        (XIANSHAN, "五律", "仄起首句不入韵", "侵"),
    ],
)
def test_famous_regulated_poems_are_accepted(
    text: str, form: str, pattern: str, group: str
) -> None:
    report = judge(text)
    assert (report.regulated, report.rhymed, report.faults) == (True, True, ())
    assert report.pattern is not None
    assert report.rhyme_group is not None
    assert (report.form, report.pattern.name, report.rhyme_group.name) == (form, pattern, group)


def test_the_quiet_night_is_rejected_for_its_joins() -> None:
    report = judge(QUIET_NIGHT)
    assert (report.regulated, report.rhymed) == (False, True)
    assert names(report) == [("平仄", 2, 4), ("失粘", 3, 2), ("失对", 3, 2)]
    assert report.faults[1].character == "头"


def test_the_crane_tower_is_rejected_for_its_six_obliques_and_its_three_levels() -> None:
    report = judge(CRANE_TOWER)
    assert (report.form, report.regulated, report.rhymed) == ("七律", False, True)
    # 一去不复返 and 空悠悠; the first couplet is 拗救, and the second half is regular.
    assert names(report) == [("平仄", 3, 4), ("三平尾", 4, 5)]
    assert [(found.name, found.line) for found in report.licences] == [("对句救", 2)]


def test_weicheng_is_rejected_for_one_lost_join() -> None:
    report = judge(WEICHENG)
    assert (report.regulated, report.rhymed) == (False, True)
    assert names(report) == [("失粘", 3, 2)]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (PHOENIX_TERRACE, [("失粘", 3, 2), ("失粘", 5, 2)]),
        (BROKEN_HILL_TEMPLE, [("三平尾", 6, 3)]),
    ],
)
def test_famous_octaves_that_break_one_rule_are_rejected_for_it_alone(
    text: str, faults: list[tuple[str, int, int]]
) -> None:
    report = judge(text)
    assert (report.regulated, report.rhymed) == (False, True)
    assert names(report) == faults


def test_a_poem_that_rhymes_oblique_is_out_of_rhyme_and_no_candidate() -> None:
    report = judge(SPRING_DAWN)
    assert (report.regulated, report.rhymed) == (False, False)
    assert {fault.name for fault in report.faults} >= {"出韵", "白脚"}
    assert not is_candidate(report.lines)
    assert is_candidate(Poem.from_text(QUIET_NIGHT).lines)
    # Both feet can be level, in two groups, but they rhyme oblique, in one: 醒 and 并 are 迥.
    assert not is_candidate(("月月天天月", "天天月月醒", "天天天月月", "月月月天并"))
    assert is_candidate(("月月天天月", "天天月月东", "天天天月月", "月月月天冬"))


def test_both_scripts_are_judged_alike() -> None:
    simplified = judge(STORK_TOWER)
    traditional = judge("白日依山盡，黃河入海流。欲窮千里目，更上一層樓。")
    assert simplified.tones == traditional.tones
    assert simplified.rhyme_group == traditional.rhyme_group


@pytest.mark.parametrize(
    ("tones", "faults"),
    [
        ("仄仄平平仄 平平仄仄平 平平平仄仄 仄仄仄平平", []),
        ("仄仄仄平平 平平仄仄平 平平平仄仄 仄仄仄平平", []),
        ("平仄仄平仄 平平平仄平 仄平仄仄仄 平仄仄平平", []),  # 一三五不论
        ("仄仄平平仄 仄平仄仄平 平平平仄仄 仄仄仄平平", [("孤平", 2, 1)]),
        ("仄仄平平仄 平平仄仄平 平平平仄仄 仄仄平平平", [("三平尾", 4, 3)]),
        ("仄仄平仄仄 平平仄仄平 平平平仄仄 仄仄仄平平", [("平仄", 1, 4)]),  # 失救
        ("仄仄平平仄 平平仄平平 平平平仄仄 仄仄仄平平", [("平仄", 2, 4)]),
        ("仄仄平平仄 平平仄仄平 仄平仄平仄 仄仄仄平平", [("平仄", 3, 4)]),
        ("仄平平平仄 平平仄仄平 平平平仄仄 仄仄仄平平", [("失对", 1, 2)]),
        ("仄仄平平仄 平平仄仄平 仄仄平平仄 平平仄仄平", [("失粘", 3, 2)]),
        ("仄仄平平仄 平平仄仄平 平平平仄仄 平平仄仄平", [("失对", 4, 2)]),
        ("仄仄平平仄 平平仄仄平 平平仄仄平 仄仄仄平平", [("白脚", 3, 5)]),
        ("仄仄平平仄 平平仄仄仄 平平平仄仄 仄仄仄平平", [("出韵", 2, 5)]),
        ("平平仄仄平平仄 仄仄仄平仄仄平 仄仄平平平仄仄 平平仄仄仄平平", [("孤平", 2, 3)]),
        ("平平仄仄平平仄 仄仄平平仄仄平 仄仄平平平仄仄 平平仄仄平平平", [("三平尾", 4, 5)]),
    ],
)
def test_each_fault_is_named_at_its_place(tones: str, faults: list[tuple[str, int, int]]) -> None:
    report = made(tones)
    assert names(report) == faults
    assert report.regulated == (not faults)
    assert report.rhymed == ("出韵" not in [name for name, _, _ in faults])


@pytest.mark.parametrize(
    ("tones", "licences"),
    [
        ("仄仄平平仄 仄平平仄平 平平平仄仄 仄仄仄平平", [("本句救", 2, 3)]),
        ("仄仄平平仄 平平仄仄平 平平仄平仄 仄仄仄平平", [("本句救", 3, 3)]),
        ("仄仄平仄仄 平平平仄平 平平平仄仄 仄仄仄平平", [("对句救", 2, 3)]),
        (
            "仄仄仄仄仄 仄平平仄平 平平平仄仄 仄仄仄平平",
            [("本句救", 2, 3), ("对句救", 2, 3)],
        ),
    ],
)
def test_a_departure_that_is_made_good_is_a_licence(
    tones: str, licences: list[tuple[str, int, int]]
) -> None:
    report = made(tones)
    assert report.regulated
    assert [(found.name, found.line, found.position) for found in report.licences] == licences


def test_strict_allows_no_free_third_character() -> None:
    lines = ("月月月天月", "天天月月东", "天天天月月", "月月月天中")
    assert check(lines).regulated
    report = check(lines, style="strict")
    assert not report.regulated
    assert names(report) == [("平仄", 1, 3)]
    rescued = ("月月月天月", "天天天月东", "天天天月月", "月月月天中")
    assert check(rescued, style="strict").regulated


def test_a_foot_of_another_group_is_out_of_rhyme() -> None:
    report = judge("白日依山尽，黄河入海东。欲穷千里目，更上一层楼。")
    assert (report.regulated, report.rhymed) == (True, False)
    assert [fault.name for fault in report.faults] == ["出韵"]
    octave = judge(SPRING_VIEW.replace("簪", "楼"))
    assert names(octave) == [("出韵", 8, 5)]


def test_a_first_line_may_borrow_its_rhyme_and_no_other_line_may() -> None:
    assert [found.name for found in judge(QINGMING).licences] == ["首句借韵"]
    far = judge(QINGMING.replace("纷纷", "纷楼"))
    assert names(far) == [("白脚", 1, 7)]
    other = judge(QINGMING.replace("断魂", "断云"))
    assert not other.rhymed


def test_blemishes_are_named_but_break_nothing() -> None:
    repeated = judge("白日依山尽，黄河入海楼。欲穷千里目，更上一层楼。")
    assert names(repeated) == [("重韵", 4, 5)]
    assert (repeated.regulated, repeated.rhymed) == (True, True)
    alike = judge("白日依山尽，黄河入海流。欲穷千里柳，更上一层楼。")
    assert names(alike) == [("撞韵", 3, 5)]
    assert (alike.regulated, alike.rhymed) == (True, True)


def test_a_poem_is_judged_by_the_book_asked_for() -> None:
    # 白 and 国 are oblique in 平水韵 and level in 新韵; 东 and 灯 rhyme in 新韵 alone.
    lines = ("月月天天月", "天天月月东", "天天天月月", "月月月天灯")
    assert not check(lines, rhyme_book("平水韵")).rhymed
    assert check(lines, rhyme_book("新韵")).rhymed
    assert not check(lines, rhyme_book("通韵")).rhymed
    assert judge(STORK_TOWER, book="新韵").regulated is False


def test_an_unknown_character_is_never_accused() -> None:
    report = judge("白日□山尽，黄□入海□。欲穷千里目，更上一层□。")
    assert (report.regulated, report.rhymed, report.faults) == (True, True, ())


def test_other_forms_are_not_judged_by_tone() -> None:
    report = check(("平仄", "平仄平"))
    assert (report.form, report.pattern, report.regulated, report.rhymed) == (
        "其他", None, None, None,
    )  # fmt: skip
    six = check(("月月天天月", "天天月月东") * 3)
    assert (six.form, six.regulated, six.rhymed) == ("其他", None, True)
    assert check(()).form == "其他"


def test_a_style_that_is_not_there_is_one_clear_error() -> None:
    with pytest.raises(TemplateError, match="no tonal style"):
        judge(STORK_TOWER, style="free")


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from([(4, 5), (4, 7), (8, 5), (8, 7), (2, 5), (6, 7), (1, 3)]),
    st.randoms(use_true_random=False),
)
def test_any_poem_is_judged_and_its_verdict_follows_from_its_faults(
    shape: tuple[int, int], chance: random.Random
) -> None:
    letters = "东风月天看思不流楼花一□𠇗A"
    lines = ["".join(chance.choices(letters, k=shape[1])) for _ in range(shape[0])]
    report = check(lines)
    found = {fault.name for fault in report.faults}
    tonal = found & {"平仄", "孤平", "三平尾", "失对", "失粘", "白脚"}
    if report.regulated:
        assert not tonal
    elif report.regulated is False:
        assert tonal or "出韵" in found
    if report.rhymed is not None:
        assert report.rhymed == ("出韵" not in found)
    for fault in (*report.faults, *report.licences):
        assert lines[fault.line - 1][fault.position - 1] == fault.character
        assert "\n" not in fault.message


def test_the_judge_agrees_with_real_verse(real_corpus: Path) -> None:
    poems = []
    with zipfile.ZipFile(real_corpus) as archive:
        for info in archive.infolist():
            # One file in four of the Tang part. The digits of a name survive any code page.
            if not re.search(r"poet\.tang\.\d*[05]000\.json$", info.filename):
                continue
            for record in json.loads(archive.read(info)):
                lines = Poem.from_text("".join(record["paragraphs"])).lines
                if is_candidate(lines):
                    poems.append(lines)
    assert len(poems) > 5000
    start = time.perf_counter()
    reports = [check(lines) for lines in poems]
    assert len(poems) / (time.perf_counter() - start) > 500  # 8,000 alone on a quiet core.
    assert sum(bool(report.regulated) for report in reports) / len(reports) > 0.83
    assert sum(bool(report.rhymed) for report in reports) / len(reports) > 0.96
    swapped = [
        (report.lines[1], report.lines[0], *report.lines[2:])
        for report in reports
        if report.regulated and report.rhymed
    ]
    assert sum(bool(check(p).regulated) for p in swapped) / len(swapped) < 0.01
