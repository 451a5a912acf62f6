"""`poetgen acrostic` as a user meets it: the real command, a model with random weights."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest

from poetgen.cli.acrostic import acrostic
from poetgen.writing.options import SamplingOptions
from tests.cli.random_model import write_random_model

Run = Callable[..., "subprocess.CompletedProcess[str]"]

MARKS = "，。！？；：、"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_random_model(tmp_path_factory.mktemp("models") / "nonsense"))


def records(done: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_pipe_gets_the_lines_of_the_poem_and_nothing_else(run_cli: Run, model: str) -> None:
    done = run_cli("acrostic", "春夏秋冬", "--model", model)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line[0] for line in lines] == list("春夏秋冬")
    assert [len(line) for line in lines] == [8, 8, 8, 8]
    assert all(line[-1] in MARKS for line in lines)


def test_several_poems_are_parted_by_an_empty_row(run_cli: Run, model: str) -> None:
    done = run_cli("acrostic", "春夏秋冬", "--model", model, "-n", "3", "--form", "wujue")
    poems = done.stdout.split("\n\n")
    assert len(poems) == 3
    assert len(set(poems)) == 3
    assert all(len(line) == 6 for poem in poems for line in poem.splitlines())


def test_json_has_the_keys_that_scripts_rely_on(run_cli: Run, model: str) -> None:
    done = run_cli(
        "acrostic",
        "春夏秋冬",
        "--model",
        model,
        "-n",
        "2",
        "--seed",
        "5",
        "--json",
        "--form",
        "五绝",
    )
    first, second = records(done)
    assert list(first) == [
        "heads", "form", "pattern", "rhyme_book", "rhyme_group", "faults",
        "lines", "text", "seed", "model", "nats_per_character",
        "cost", "borrowed_share",
    ]  # fmt: skip
    assert (first["heads"], first["form"], first["model"]) == ("春夏秋冬", "五绝", "nonsense")
    assert {first["seed"], second["seed"]} == {5, 6}
    assert first["cost"] <= second["cost"]
    assert [len(line) for line in first["lines"]] == [5, 5, 5, 5]
    assert "".join(c for c in first["text"] if c not in MARKS) == "".join(first["lines"])
    assert first["nats_per_character"] > 0


def test_the_seed_of_a_poem_gives_that_poem_again(run_cli: Run, model: str) -> None:
    fresh = records(run_cli("acrostic", "风花雪月", "--model", model, "-n", "3", "--json"))
    last = fresh[-1]
    again = run_cli("acrostic", "风花雪月", "--model", model, "--seed", str(last["seed"]), "--json")
    assert records(again)[0]["text"] == last["text"]


@pytest.mark.parametrize(
    ("options", "places"),
    [
        (["--at", "head"], [0, 0, 0, 0]),
        (["--at", "tail"], [6, 6, 6, 6]),
        (["--at", "3"], [2, 2, 2, 2]),
        (["--at", "diagonal"], [0, 1, 2, 3]),
        (["--form", "free", "--line-length", "5", "--at", "tail"], [4, 4, 4, 4]),
    ],
)
def test_heads_stand_where_at_says(
    run_cli: Run, model: str, options: list[str], places: list[int]
) -> None:
    done = run_cli("acrostic", "春夏秋冬", "--model", model, *options)
    lines = done.stdout.splitlines()
    assert [line[place] for line, place in zip(lines, places, strict=True)] == list("春夏秋冬")


def test_four_heads_stand_on_the_odd_lines_of_eight(run_cli: Run, model: str) -> None:
    done = run_cli("acrostic", "春夏秋冬", "--model", model, "--form", "wulv")
    assert [line[0] for line in done.stdout.splitlines()[::2]] == list("春夏秋冬")


@pytest.mark.parametrize("decoding", ["particles", "plain", "beam"])
def test_every_way_of_decoding_keeps_the_form(run_cli: Run, model: str, decoding: str) -> None:
    options = ["--decoding", decoding, "--particles", "4", "--top-k", "9", "--top-p", "0.9"]
    done = run_cli("acrostic", "春夏秋冬", "--model", model, "--temperature", "2", *options)
    assert [line[0] for line in done.stdout.splitlines()] == list("春夏秋冬"), done.stderr


def test_an_unknown_head_is_printed_as_it_was_given(run_cli: Run, model: str) -> None:
    done = run_cli("acrostic", "𠮷龘饕鱻", "--model", model)
    assert [line[0] for line in done.stdout.splitlines()] == list("𠮷龘饕鱻"), done.stderr


def test_a_file_is_served_in_order_and_a_bad_line_stops_nothing(
    run_cli: Run, model: str, tmp_path: Path
) -> None:
    heads = tmp_path / "heads.txt"
    heads.write_text("\ufeff春夏秋冬\r\n\n  风花雪月  \nabcd\n春夏秋\n山水云天", encoding="utf-8")
    done = run_cli("acrostic", "--heads-file", str(heads), "--model", model, "--json")
    assert done.returncode == 1
    assert done.stderr == ""
    found = records(done)
    assert [record["heads"] for record in found] == [
        "春夏秋冬", "风花雪月", "abcd", "春夏秋", "山水云天"
    ]  # fmt: skip
    assert [list(record) == ["heads", "error"] for record in found] == [
        False, False, True, True, False
    ]  # fmt: skip
    assert "'a'" in found[2]["error"]


def test_without_json_a_bad_line_is_named_on_stderr(run_cli: Run, model: str) -> None:
    options = ["--heads-file", "-", "--model", model, "--form", "五绝"]
    done = run_cli("acrostic", *options, input="春夏秋冬\n\n春!秋冬\n风花雪月\n")
    assert done.returncode == 1
    assert [line[0] for line in done.stdout.split()] == list("春夏秋冬风花雪月")
    assert done.stderr.startswith("error: stdin, line 3: head 2, '!', is not a Chinese character")


def test_each_line_of_a_file_gets_count_poems_and_its_own_seeds(run_cli: Run, model: str) -> None:
    options = ["--heads-file", "-", "--model", model, "-n", "2", "--seed", "7", "--json"]
    found = records(run_cli("acrostic", *options, input="春夏秋冬\n春夏秋冬\n"))
    assert [{record["seed"] for record in some} for some in (found[:2], found[2:])] == [
        {7, 8},
        {9, 10},
    ]
    assert len({record["text"] for record in found}) == 4


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_bad_line_is_refused_once_however_many_poems_are_asked_for(
    run_cli: Run, model: str, options: list[str]
) -> None:
    arguments = ["--heads-file", "-", "--model", model, "-n", "3", *options]
    done = run_cli("acrostic", *arguments, input="春夏\n春夏\n")
    assert done.returncode == 1
    assert (done.stdout + done.stderr).count("2 heads cannot stand in") == 2  # One for each line.


def test_a_batch_gives_the_poems_that_single_runs_give(run_cli: Run, model: str) -> None:
    heads = ["春夏秋冬", "风花雪月", "山水云天"]
    options = ["--heads-file", "-", "--model", model, "--seed", "3", "--json"]
    batch = records(run_cli("acrostic", *options, input="\n".join(heads)))
    for number, record in enumerate(batch):
        single = run_cli(
            "acrostic", heads[number], "--model", model, "--seed", str(3 + number), "--json"
        )
        assert records(single)[0]["text"] == record["text"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("春夏秋冬\n春夏秋冬".encode() + b"\n\xff\xfe", "line 3, byte 1 is not UTF-8"),
        ("春夏秋冬".encode("gb18030"), "line 1, byte 1 is not UTF-8"),
        (b"\n \n", "holds no heads"),
    ],
)
def test_a_file_that_holds_no_heads_is_one_clear_error(
    run_cli: Run, model: str, tmp_path: Path, content: bytes, message: str
) -> None:
    heads = tmp_path / "heads.txt"
    heads.write_bytes(content)
    done = run_cli("acrostic", "--heads-file", str(heads), "--model", model)
    assert (done.returncode, done.stdout) == (1, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith(f"error: {heads}")
    assert message in error
    assert hint.startswith("hint: ")


def test_a_file_that_is_not_there_is_one_clear_error(run_cli: Run, model: str) -> None:
    done = run_cli("acrostic", "--heads-file", "nowhere.txt", "--model", model)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: No such file or directory: nowhere.txt\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["春夏秋"], "3 heads"),
        (["春夏秋x"], "'x'"),
        (["春夏秋冬", "--form", "sonnet"], "sonnet"),
        (["春夏秋冬", "--at", "8"], "--at 8"),
        (["春夏秋冬", "--form", "七绝", "--line-length", "5"], "7 characters"),
        (["春夏秋冬", "--device", "abacus"], "--device abacus"),
    ],
)
def test_what_no_poem_can_be_is_one_line_and_status_1(
    run_cli: Run, model: str, arguments: list[str], named: str
) -> None:
    done = run_cli("acrostic", *arguments, "--model", model)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert named in lines[0]
    assert [line for line in lines[1:] if not line.startswith("hint: ")] == []


@pytest.mark.parametrize("content", ["", "春夏秋冬\n"])
def test_a_form_that_is_not_there_fails_once_and_not_for_every_line(
    run_cli: Run, model: str, content: str
) -> None:
    options = ["--heads-file", "-", "--form", "sonnet", "--model", model, "--json"]
    done = run_cli("acrostic", *options, input=content)
    assert (done.returncode, done.stdout) == (1, "")
    assert "sonnet" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["春夏秋冬", "--heads-file", "x"],
        ["春夏秋冬", "风花雪月"],
        ["春夏秋冬", "--at", "middle"],
        ["春夏秋冬", "--at", "0"],
        ["春夏秋冬", "-n", "0"],
        ["春夏秋冬", "--temperature", "0"],
        ["春夏秋冬", "--temperature", "warm"],
        ["春夏秋冬", "--top-k", "-1"],
        ["春夏秋冬", "--top-p", "1.5"],
        ["春夏秋冬", "--top-p", "0"],
        ["春夏秋冬", "--seed", "-1"],
        ["春夏秋冬", "--particles", "0"],
        ["春夏秋冬", "--decoding", "luck"],
        ["春夏秋冬", "--line-length", "0", "--form", "free"],
    ],
)
def test_wrong_usage_is_one_line_a_hint_and_status_2(run_cli: Run, arguments: list[str]) -> None:
    done = run_cli("acrostic", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert hint == "hint: see poetgen acrostic --help"


def test_no_heads_at_all_is_answered_with_an_example(run_cli: Run) -> None:
    assert "poetgen acrostic 春夏秋冬" in run_cli("acrostic").stderr


def test_with_no_model_the_error_says_how_to_train_one(run_cli: Run) -> None:
    done = run_cli("acrostic", "春夏秋冬", "--model", "nowhere")
    assert done.returncode == 1
    assert "there is no checkpoint 'nowhere'" in done.stderr


def test_writing_on_a_cpu_imports_neither_torch_nor_rich_nor_jieba(model: str) -> None:
    code = (
        "import sys; from poetgen.cli.main import _run\n"
        f"assert _run(['acrostic', '春夏秋冬', '--model', {model!r}]) == 0\n"
        "heavy = {'torch', 'rich', 'jieba', 'matplotlib', 'opencc', 'pooch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("form", ["五绝", "七绝", "五律", "七律"])
@pytest.mark.parametrize("tones", ["loose", "strict"])
def test_the_judge_of_check_finds_no_fault(run_cli: Run, model: str, form: str, tones: str) -> None:
    options = ["--form", form, "--tones", tones, "--model", model]
    written = run_cli("acrostic", "春夏秋冬", *options)
    assert written.returncode == 0, written.stderr
    judged = run_cli("check", "-", "--tones", tones, "--json", input=written.stdout)
    [report] = records(judged)
    assert (report["form"], report["faults"]) == (form, [])
    assert report["regulated"]
    assert report["rhymed"]


def test_rhyme_and_pattern_are_those_asked_for(run_cli: Run, model: str) -> None:
    options = ["--rhyme", "香", "--pattern", "zeqi", "--first-line-rhymes", "yes", "--json"]
    [record] = records(run_cli("acrostic", "春夏秋冬", *options, "--model", model))
    assert record["pattern"] == "仄起首句入韵"
    assert (record["rhyme_book"], record["rhyme_group"]) == ("平水韵", "阳")
    assert record["faults"] == []
    done = run_cli("acrostic", "春夏秋冬", "--rhyme-book", "xinyun", "--json", "--model", model)
    assert records(done)[0]["rhyme_book"] == "新韵"


def test_a_fault_that_the_heads_force_is_told_and_strict_refuses_it(
    run_cli: Run, model: str
) -> None:
    # The second characters of a quatrain are 平仄仄平 or 仄平平仄.
    arguments = ["acrostic", "春春春春", "--at", "2", "--model", model]
    done = run_cli(*arguments)
    assert len(done.stdout.splitlines()) == 4
    assert "warning: " in done.stderr
    assert "character 2: 失" in done.stderr
    assert run_cli(*arguments, "-q").stderr == ""
    assert run_cli(*arguments, "--tones", "off").stderr == ""
    [record] = records(run_cli(*arguments, "--json"))
    assert {"name", "line", "position", "character", "message"} == set(record["faults"][0])
    refused = run_cli(*arguments, "--tones", "strict")
    assert (refused.returncode, refused.stdout) == (1, "")
    error, hint = refused.stderr.splitlines()
    assert "character 2: 春 is 平 where" in error
    assert "--tones loose" in hint
    [record] = records(run_cli(*arguments, "--tones", "strict", "--json"))
    assert "春 is 平" in record["error"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--form", "free", "--tones", "strict"], ["--tones strict", "--form free"]),
        (["--form", "free", "--rhyme", "东"], ["--rhyme 东", "--form free"]),
        (["--tones", "off", "--pattern", "平起"], ["--pattern 平起", "--tones off"]),
        (["--rhyme", "月"], ["--rhyme 月", "oblique", "平水韵"]),
        (["--rhyme", "老"], ["'老'", "平水韵"]),
        (["--rhyme-book", "切韵"], ["切韵"]),
        (["--pattern", "level"], ["--pattern is 'level'"]),
    ],
)
def test_a_rule_that_cannot_apply_is_named(
    run_cli: Run, model: str, arguments: list[str], named: list[str]
) -> None:
    done = run_cli("acrostic", "春夏秋冬", *arguments, "--model", model)
    assert (done.returncode, done.stdout) == (1, "")
    error, hint = done.stderr.splitlines()
    assert all(part in error for part in named)
    assert hint.startswith("hint: ")


def test_the_help_speaks_of_the_temperature_that_is_the_default() -> None:
    help_of = {option.name: getattr(option, "help", "") for option in acrostic.params}
    assert str(SamplingOptions().temperature) in help_of["temperature"]


def on_terminal(arguments: list[str], columns: int = 80, **environment: str) -> tuple[str, str]:
    """Run the command in a terminal: its raw output, and the screen it leaves."""
    child = pexpect.spawn(
        "/bin/sh",
        ["-c", " ".join([sys.executable, "-m", "poetgen", *arguments])],
        env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment},
        dimensions=(40, columns),
        encoding="utf-8",
        timeout=60,
    )
    text = child.read()
    child.close()
    assert child.exitstatus == 0, text
    screen = pyte.Screen(columns, 40)
    pyte.Stream(screen).feed(text)
    rows = [
        "".join(screen.buffer[row][column].data for column in range(columns)).rstrip()
        for row in range(40)
    ]
    return text, "\n".join(rows).strip("\n")


def test_on_a_terminal_the_heads_are_red_and_the_seed_is_told(model: str) -> None:
    raw, screen = on_terminal(["acrostic", "春夏秋冬", "--model", model, "--seed", "5"])
    for head in "春夏秋冬":
        assert f"\x1b[31m\x1b[1m{head}\x1b[0m" in raw
    *lines, empty, caption = screen.splitlines()
    assert [line[:3] for line in lines] == ["  春", "  夏", "  秋", "  冬"]
    assert empty == ""
    assert re.fullmatch(r"  七绝 · [平仄]起首句不?入韵 · .韵 · nonsense · seed 5", caption)


def test_a_terminal_shows_the_faults_that_the_heads_force(model: str) -> None:
    arguments = ["acrostic", "春春春春", "--at", "2", "--model", model]
    _, screen = on_terminal(arguments)
    poem, faults = screen.split("\n\n")
    assert len(poem.splitlines()) == 4
    assert "character 2: 失" in faults
    _, screen = on_terminal([*arguments, "--tones", "off"])
    assert re.fullmatch(r"  七绝 · nonsense · seed \d+", screen.splitlines()[-1])
    assert "失" not in screen


def test_a_terminal_shows_the_poem_that_a_pipe_gets(run_cli: Run, model: str) -> None:
    # One by itself is streamed, several are not; both must be the poem of the seed.
    arguments = ["acrostic", "春夏秋冬", "--model", model, "--seed", "5"]
    for more in ([], ["-n", "2", "--no-rank"]):
        piped = run_cli(*arguments, *more).stdout.split()[:4]
        _, screen = on_terminal([*arguments, "-q", *more])
        assert screen.split()[:4] == piped


def test_no_color_keeps_the_heads_bold_and_a_dumb_terminal_gets_plain_text(model: str) -> None:
    arguments = ["acrostic", "春夏秋冬", "--model", model]
    raw, _ = on_terminal(arguments, NO_COLOR="1")
    assert "\x1b[31m" not in raw
    assert "\x1b[1m春" in raw
    raw, _ = on_terminal(arguments, TERM="dumb")
    assert "\x1b" not in raw


def test_a_large_batch_shows_a_bar_on_the_terminal_and_keeps_it_out_of_the_poems(
    model: str, tmp_path: Path
) -> None:
    out = tmp_path / "poems.jsonl"
    arguments = ["acrostic", "春夏秋冬", "--model", model, "-n", "70", "--particles", "2", "--json"]
    raw, _ = on_terminal([*arguments, ">", str(out)])
    assert "/70" in raw
    assert len([json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]) == 70


def test_a_beam_is_one_poem_and_says_so(run_cli: Run, model: str) -> None:
    arguments = ["acrostic", "春夏秋冬", "--model", model, "--decoding", "beam", "--particles", "4"]
    done = run_cli(*arguments, "-n", "3", "--json")
    assert len(records(done)) == 1
    assert "only 1 of 3 poems" in done.stderr
    assert len(records(run_cli(*arguments, "-n", "3", "--json", "--no-rank"))) == 3


@pytest.fixture
def cited(run_cli: Run, tmp_path: Path) -> list[str]:
    """How to ask a model that was trained on the corpus `mine`, which is imported."""
    corpus = tmp_path / "mine.jsonl"
    poem = {"lines": ["春云山水人", "夏日月天河", "秋雪江海湖", "冬风松竹梅"], "title": "四时"}
    corpus.write_text(json.dumps({**poem, "author": "某人"}), encoding="utf-8")
    assert run_cli("corpus", "import", str(corpus), "--name", "mine").returncode == 0
    folder = write_random_model(tmp_path / "checkpoints" / "citing", corpus="mine")
    return ["acrostic", "春夏秋冬", "--form", "五绝", "--model", str(folder), "--cite"]


def test_cite_names_the_nearest_line_its_author_and_its_poem(
    run_cli: Run, cited: list[str]
) -> None:
    (record,) = records(run_cli(*cited, "--seed", "1", "--json"))
    assert [each["line"] for each in record["citations"]] == record["lines"]
    for found in record["citations"]:
        assert found["author"] == ("某人" if found["nearest"] else "")
    shown = run_cli(*cited, "--seed", "1").stdout
    assert "".join(shown.split()[:4]) == record["text"]
    continued = run_cli("continue", "秋雪江海湖，", *cited[4:], "--json")
    (found, *_) = json.loads(continued.stdout)["citations"]
    assert found == {
        "line": "秋雪江海湖",
        "nearest": "秋雪江海湖",
        "title": "四时",
        "author": "某人",
        "shared": 5,
    }
    on_pipe = run_cli("continue", "秋雪江海湖，", *cited[4:]).stdout
    assert "秋雪江海湖  秋雪江海湖  某人《四时》  5/5" in on_pipe


def test_cite_without_the_corpus_says_what_to_import(run_cli: Run, model: str) -> None:
    done = run_cli("acrostic", "春夏秋冬", "--model", model, "--cite")
    assert done.returncode == 1
    assert "the corpus 'none'" in done.stderr
    assert "poetgen corpus import PATH --name none" in done.stderr
    assert done.stdout == ""
