import json

import pytest

from tests.conftest import RunCli


def test_a_character_lists_its_group_with_common_characters_first(run_cli: RunCli) -> None:
    done = run_cli("rhyme", "东")
    assert done.returncode == 0
    assert done.stdout.startswith("平水韵 上平声一东  ")
    assert "风" in done.stdout
    assert "風" not in done.stdout
    assert "風" in run_cli("rhyme", "东", "--all").stdout
    assert "borrow from 冬" in done.stdout


def test_a_polyphone_lists_each_of_its_groups(run_cli: RunCli) -> None:
    record = json.loads(run_cli("rhyme", "看", "--json").stdout)
    assert [reading["title"] for reading in record["readings"]] == ["上平声十四寒", "去声十五翰"]
    assert all("看" in reading["characters"] for reading in record["readings"])


def test_an_oblique_character_lists_its_group(run_cli: RunCli) -> None:
    for character, titles in (
        ("夜", ["去声二十二祃"]),
        ("空", ["上平声一东", "上声一董", "去声一送"]),
    ):
        shown = run_cli("rhyme", character)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert [line.split()[1] for line in shown.stdout.splitlines() if "平水韵" in line] == titles


def test_two_characters_are_compared_by_every_book(run_cli: RunCli) -> None:
    rows = run_cli("rhyme", "东", "--like", "风").stdout.splitlines()
    assert [row.split()[:2] for row in rows] == [
        ["平水韵", "yes"],
        ["新韵", "yes"],
        ["通韵", "no"],
    ]
    record = json.loads(run_cli("rhyme", "英", "--like", "雄", "--json").stdout)
    assert {book: bool(groups) for book, groups in record["rhymes"].items()} == {
        "平水韵": False,
        "新韵": True,
        "通韵": False,
    }


def test_one_book_may_be_chosen(run_cli: RunCli) -> None:
    done = run_cli("rhyme", "东", "--like", "风", "--rhyme-book", "tongyun")
    assert done.stdout.splitlines() == ["通韵　  no   东 十五雍平声, 风 十四英平声"]
    assert run_cli("rhyme", "儿", "--rhyme-book", "通韵").stdout.startswith("通韵 十六儿平声")


@pytest.mark.parametrize("arguments", [("x",), ("春风",), ("东", "--like", "ab"), ("",)])
def test_what_is_not_one_chinese_character_is_one_clear_error(
    run_cli: RunCli, arguments: tuple[str, ...]
) -> None:
    done = run_cli("rhyme", *arguments)
    assert done.returncode == 1
    assert "is not one Chinese character" in done.stderr


def test_a_character_that_the_book_lacks_is_one_clear_error(run_cli: RunCli) -> None:
    done = run_cli("rhyme", "𰻞")
    assert done.returncode == 1
    assert "平水韵 does not rhyme 𰻞" in done.stderr


def test_the_examples_in_the_help_stand_on_lines_of_their_own(run_cli: RunCli) -> None:
    assert "\n  poetgen rhyme 东 --like 风\n" in run_cli("rhyme", "--help").stdout
