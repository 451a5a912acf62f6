import json
import time
from pathlib import Path

import pytest

from tests.conftest import RunCli

REGULATED = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"
IRREGULAR = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"
FIELDS = ["form", "pattern", "rhyme_book", "rhyme_group", "regulated", "rhymed", "faults"]


def test_a_regulated_poem_is_shown_with_its_form_pattern_and_tones(run_cli: RunCli) -> None:
    done = run_cli("check", REGULATED)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "五绝 · 仄起首句不入韵 · 平水韵 下平声十一尤" in done.stdout
    assert "  黄河入海流  平平仄仄平 韵\n" in done.stdout
    assert "regulated and rhymed" in done.stdout
    assert "\x1b" not in done.stdout


def test_each_fault_has_its_line_under_its_character(run_cli: RunCli) -> None:
    rows = run_cli("check", IRREGULAR).stdout.splitlines()
    line = next(i for i, row in enumerate(rows) if "举头望明月" in row)
    assert rows[line + 1].startswith("  \u3000＾ 失粘: 头 ")
    assert rows[line + 2].startswith("  \u3000＾ 失对: 头 ")
    assert rows[-1] == "✗ not regulated, rhymed: 平仄 失粘 失对"


def test_json_is_one_object_with_the_fields_that_programs_read(run_cli: RunCli) -> None:
    record = json.loads(run_cli("check", IRREGULAR, "--json").stdout)
    assert {field: record[field] for field in FIELDS[:-1]} == {
        "form": "五绝",
        "pattern": "平起首句入韵",
        "rhyme_book": "平水韵",
        "rhyme_group": "阳",
        "regulated": False,
        "rhymed": True,
    }
    assert list(record["faults"][0]) == ["name", "line", "position", "character", "message"]
    assert [fault["name"] for fault in record["faults"]] == ["平仄", "失粘", "失对"]
    assert record["text"] == IRREGULAR


@pytest.mark.parametrize(
    "content",
    [
        f"{REGULATED}\n{IRREGULAR}\n",
        f"{REGULATED[:12]}\n{REGULATED[12:]}\n\n{IRREGULAR[:12]}\n{IRREGULAR[12:]}\n",
    ],
    ids=["a poem a line", "blocks"],
)
def test_a_file_and_standard_input_are_read_alike(
    run_cli: RunCli, tmp_path: Path, content: str
) -> None:
    (tmp_path / "poems.txt").write_text(content, encoding="utf-8")
    by_file = run_cli("check", "poems.txt", "--json")
    by_input = run_cli("check", "-", "--json", input=content)
    assert by_file.stdout == by_input.stdout
    assert [json.loads(row)["regulated"] for row in by_file.stdout.splitlines()] == [True, False]
    assert by_file.stderr == by_input.stderr == "2 poems: 1 regulated, 2 rhymed\n"


def test_jsonl_keeps_its_titles(run_cli: RunCli, tmp_path: Path) -> None:
    row = json.dumps({"title": "登楼", "author": "某", "lines": ["白日依山尽", "黄河入海流"] * 2})
    (tmp_path / "poems.jsonl").write_text(row + "\n", encoding="utf-8")
    record = json.loads(run_cli("check", "poems.jsonl", "--json").stdout)
    assert (record["title"], record["author"], record["form"]) == ("登楼", "某", "五绝")
    assert run_cli("check", "poems.jsonl").stdout.startswith("登楼 某\n")


@pytest.mark.parametrize(
    "text",
    [
        REGULATED.replace("，", " ").replace("。", " "),
        REGULATED.replace("，", "").replace("。", ""),
    ],
)
def test_a_poem_without_marks_is_parted_into_lines(run_cli: RunCli, text: str) -> None:
    record = json.loads(run_cli("check", text, "--json").stdout)
    assert record["text"] == REGULATED


def test_quotation_marks_are_no_characters_of_a_line(run_cli: RunCli) -> None:
    record = json.loads(run_cli("check", f"“{REGULATED}”", "--json").stdout)
    assert record["form"] == "五绝"


def test_a_poem_is_judged_by_the_book_and_style_asked_for(run_cli: RunCli) -> None:
    record = json.loads(run_cli("check", REGULATED, "--rhyme-book", "xinyun", "--json").stdout)
    assert (record["rhyme_book"], record["regulated"]) == ("新韵", False)
    done = run_cli("check", REGULATED, "--tones", "strict", "--json")
    assert json.loads(done.stdout)["regulated"] is True
    done = run_cli("check", REGULATED, "--rhyme-book", "唐韵")
    assert done.returncode == 1
    assert "no rhyme book is called '唐韵'" in done.stderr


def test_other_forms_are_shown_without_a_verdict_on_tones(run_cli: RunCli) -> None:
    done = run_cli("check", "明月几时有？把酒问青天。不知天上宫阙，今夕是何年。")
    assert done.returncode == 0
    assert done.stdout.startswith("其他\n")
    assert "not judged" in done.stdout


@pytest.mark.parametrize("text", ["nowhere.txt", "", "，。", "[/x]\x1b[31m"])
def test_what_holds_no_verse_is_one_clear_error(run_cli: RunCli, text: str) -> None:
    done = run_cli("check", text)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert "\x1b[31m" not in done.stderr


def test_empty_input_is_one_clear_error(run_cli: RunCli) -> None:
    done = run_cli("check", "-", input=" \n")
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no Chinese verse in standard input")


def test_a_whole_file_is_judged_at_speed(run_cli: RunCli, tmp_path: Path) -> None:
    # Feet and seconds vary, so that no look-up makes it easy. 2,000 a second on a quiet core.
    lines = [REGULATED.replace("河", c).replace("目", d) for c in "山川天云" for d in "月日木水石"]
    (tmp_path / "poems.txt").write_text("\n".join(lines * 200) + "\n", encoding="utf-8")
    start = time.perf_counter()
    done = run_cli("check", "poems.txt", "--json")
    seconds = time.perf_counter() - start
    assert len(done.stdout.splitlines()) == 4000
    assert seconds < 20


def test_the_examples_in_the_help_stand_on_lines_of_their_own(run_cli: RunCli) -> None:
    assert "\n  poetgen check poems.txt --json\n" in run_cli("check", "--help").stdout


def test_an_empty_text_is_one_clear_error(run_cli: RunCli) -> None:
    done = run_cli("check", "")
    assert done.returncode == 1
    assert "no Chinese verse" in done.stderr.splitlines()[0]
