"""`poetgen corpus` as a user runs it."""

import json
from pathlib import Path

import pytest

from tests.conftest import RunCli
from tests.corpus.collections import FILES, ROOT, write_zip


def test_import_list_and_stats_tell_the_same(tmp_path: Path, run_cli: RunCli) -> None:
    path = write_zip(tmp_path / "any.zip")
    done = run_cli("corpus", "import", str(path), "--json")
    assert done.returncode == 0, done.stderr
    imported = json.loads(done.stdout)
    assert imported["name"] == "chinese-poetry"
    assert (imported["came_in"], imported["poems"]) == (4, 3)
    assert imported["dropped"] == {"unreadable characters": 1}
    stats = run_cli("corpus", "stats", "chinese-poetry", "--json")
    assert json.loads(stats.stdout) == imported
    listed = [json.loads(line) for line in run_cli("corpus", "list", "--json").stdout.splitlines()]
    assert [(record["name"], record["state"]) for record in listed] == [
        ("sample", "built in"),
        ("chinese-poetry", "imported"),
    ]


def test_the_tables_say_what_came_in_stayed_and_went(tmp_path: Path, run_cli: RunCli) -> None:
    done = run_cli("corpus", "import", str(write_zip(tmp_path / "any.zip")))
    rows = {line[:24].strip(): line[24:].split() for line in done.stdout.splitlines() if line}
    assert rows["came in"] == ["4", "100.0%"]
    assert rows["stayed"] == ["3", "75.0%"]
    assert "dropped: unreadable characters" in done.stdout
    assert "commonest characters: " in done.stdout
    assert done.stderr.startswith("kept in ")


def test_quiet_prints_nothing_but_warnings(tmp_path: Path, run_cli: RunCli) -> None:
    bad = {**FILES, f"{ROOT}/宋词/ci.song.0.json": b"[}"}
    done = run_cli("corpus", "import", str(write_zip(tmp_path / "any.zip", bad)), "--quiet")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("warning: ")
    assert "ci.song.0.json, line 1, column 2: not JSON" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_strict_refuses_a_bad_part_with_status_1(tmp_path: Path, run_cli: RunCli) -> None:
    bad = {**FILES, f"{ROOT}/宋词/ci.song.0.json": b"[}"}
    done = run_cli("corpus", "import", str(write_zip(tmp_path / "any.zip", bad)), "--strict")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert run_cli("corpus", "list", "--json").stdout.count("imported") == 0


def test_parts_forms_script_and_name_are_obeyed(tmp_path: Path, run_cli: RunCli) -> None:
    path = str(write_zip(tmp_path / "any.zip"))
    arguments = ["--only", "tang,song", "--form", "qijue", "--script", "traditional", "--name", "t"]
    record = json.loads(run_cli("corpus", "import", path, *arguments, "--json").stdout)
    assert (record["name"], record["script"], record["forms"]) == ("t", "traditional", {"七绝": 1})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--only", "tang,yuan"], "no part 'yuan'"),
        (["--form", "八绝"], "八绝"),
        (["--script", "latin"], "latin"),
    ],
)
def test_a_wrong_choice_is_wrong_usage(
    tmp_path: Path, run_cli: RunCli, arguments: list[str], told: str
) -> None:
    done = run_cli("corpus", "import", str(write_zip(tmp_path / "any.zip")), *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_missing_file_is_one_line(run_cli: RunCli) -> None:
    done = run_cli("corpus", "import", "nowhere[/x].zip")
    assert done.returncode == 1
    assert done.stderr == "error: there is no file or folder nowhere[/x].zip\n"


def test_the_sample_has_statistics_on_a_fresh_machine(run_cli: RunCli) -> None:
    done = run_cli("corpus", "stats", "sample")
    assert done.returncode == 0
    assert "五绝" in done.stdout


def test_the_help_says_how(run_cli: RunCli) -> None:
    for command in ("list", "fetch", "import", "stats"):
        done = run_cli("corpus", command, "--help")
        assert f"\n  poetgen corpus {command}" in done.stdout
