"""`poetgen continue` as a user meets it."""

import json
import subprocess
from collections.abc import Callable

import pytest

from tests.cli.random_model import write_random_model

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_random_model(tmp_path_factory.mktemp("models") / "nonsense", cell="gru"))


@pytest.mark.parametrize(
    ("text", "options", "first", "lines", "length"),
    [
        (["空山新雨后"], [], "空山新雨后", 4, 5),
        (["两个黄鹂鸣翠柳，"], [], "两个黄鹂鸣翠柳，", 4, 7),
        (["空山新雨后"], ["--form", "wulv"], "空山新雨后", 8, 5),
        (["白日依山尽", "黄河入海流"], [], "黄河入海流", 4, 5),
        (["白日依山尽 黄河入海流"], [], "黄河入海流", 4, 5),
        (["白日依山尽，黄河入海流。欲穷"], [], "欲穷", 4, 5),
        (["江上"], ["--form", "七绝"], "江上", 4, 7),
        (["空山"], ["--form", "free", "--line-length", "3"], "空山", 4, 3),
    ],
)
def test_the_poem_begins_as_given_and_goes_on_in_the_form_implied(
    run_cli: Run,
    model: str,
    text: list[str],
    options: list[str],
    first: str,
    lines: int,
    length: int,
) -> None:
    done = run_cli("continue", *text, *options, "--model", model)
    assert (done.returncode, done.stderr) == (0, "")
    poem = done.stdout.splitlines()
    assert [len(line) for line in poem] == [length + 1] * lines
    assert any(line.startswith(first) for line in poem)
    assert poem[0].startswith(text[0][:2])


def test_json_has_the_first_lines_in_place_of_heads(run_cli: Run, model: str) -> None:
    options = ["--model", model, "--json", "--seed", "2", "-n", "2"]
    done = run_cli("continue", "空山新雨后，天气", *options)
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert list(first) == [
        "first_lines", "form", "pattern", "rhyme_book", "rhyme_group", "faults",
        "lines", "text", "seed", "model", "nats_per_character",
        "cost", "borrowed_share",
    ]  # fmt: skip
    assert first["first_lines"] == ["空山新雨后，", "天气"]
    assert first["text"].startswith("空山新雨后，天气")
    assert {first["seed"], second["seed"]} == {2, 3}
    assert first["text"] != second["text"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("空山新雨", "4 characters"),
        ("空山new雨后", "'n'"),
        ("，。", "no line"),
        ("春夏秋冬风，花雪月山水。" * 4, "8 lines"),
    ],
)
def test_what_cannot_be_continued_is_one_line_and_status_1(
    run_cli: Run, model: str, text: str, named: str
) -> None:
    done = run_cli("continue", text, "--model", model)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert named in done.stderr.splitlines()[0]


def test_a_first_line_decides_the_pattern_and_strict_refuses_what_cannot_go_on(
    run_cli: Run, model: str
) -> None:
    done = run_cli("continue", "白日依山尽", "--tones", "strict", "--json", "--model", model)
    record = json.loads(done.stdout)
    assert (record["pattern"], record["faults"]) == ("仄起首句不入韵", [])
    arguments = ["continue", "春眠不觉晓，处处闻啼鸟。", "--model", model]
    refused = run_cli(*arguments, "--tones", "strict")
    assert refused.returncode == 1
    assert "line 2, character 5: 鸟 is 仄" in refused.stderr
    assert "--at" not in refused.stderr
    assert run_cli(*arguments, "-q").stdout.startswith("春眠不觉晓")


def test_no_text_is_answered_with_an_example(run_cli: Run) -> None:
    done = run_cli("continue")
    assert done.returncode == 2
    assert "poetgen continue 空山新雨后" in done.stderr
