"""`poetgen acrostic` without heads, on a real pseudo-terminal."""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.cli.random_model import write_random_model
from tests.conftest import RunCli

HEADS, FORM, NEXT = "heads 藏头", "form 体裁", "q quit"


class Talk:
    """A conversation on a terminal."""

    def __init__(self, home: Path, *flags: str) -> None:
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", "poetgen", "acrostic", "--model", "tiny", *flags],
            env={**os.environ, "POETGEN_HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8"},
            encoding="utf-8",
            dimensions=(30, 100),
            timeout=30,
        )

    def asked(self, question: str) -> str:
        """Wait for a question; gives what was shown before it."""
        self.child.expect_exact(question)
        before = self.child.before
        self.child.expect_exact(": ")
        return re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", str(before)).replace("\r", "")

    def say(self, *answers: str) -> None:
        for answer in answers:
            self.child.sendline(answer)

    def ended(self) -> tuple[int, str]:
        self.child.expect(pexpect.EOF)
        rest = str(self.child.before)
        self.child.close()
        return self.child.exitstatus or 0, rest


@pytest.fixture
def talk(poetgen_home: Path) -> Iterator[Talk]:
    write_random_model(poetgen_home / "checkpoints" / "tiny")
    it = Talk(poetgen_home, "--seed", "5")
    yield it
    it.child.close(force=True)


def poem(shown: str) -> list[str]:
    return re.findall(r"^  (\w+)[，。！？；、]$", shown, re.MULTILINE)


def test_it_asks_writes_again_in_another_form_with_other_heads_saves_and_quits(
    talk: Talk, poetgen_home: Path
) -> None:
    talk.asked(HEADS)
    talk.say("春夏秋冬")
    talk.asked(FORM)
    talk.say("")
    first = talk.asked(NEXT)
    assert [line[0] for line in poem(first)] == list("春夏秋冬")
    assert {len(line) for line in poem(first)} == {7}
    assert "seed 5" in first

    talk.say("")
    again = talk.asked(NEXT)
    assert [line[0] for line in poem(again)] == list("春夏秋冬")
    assert "seed 6" in again

    talk.say("s")
    assert "saved as " in talk.asked(NEXT)
    kept = json.loads((poetgen_home / "book.jsonl").read_text(encoding="utf-8"))
    assert list(kept["lines"]) == poem(again)
    assert (kept["seed"], kept["model"]) == (6, "tiny")

    talk.say("f")
    talk.asked(FORM)
    talk.say("1")
    assert {len(line) for line in poem(talk.asked(NEXT))} == {5}

    talk.say("h")
    talk.asked(HEADS)
    talk.say("梅兰竹菊松")
    talk.asked(FORM)
    talk.say("")  # None of the regular forms takes five: free it is.
    talk.asked("characters a line")
    talk.say("6")
    other = poem(talk.asked(NEXT))
    assert [line[0] for line in other] == list("梅兰竹菊松")
    assert {len(line) for line in other} == {6}

    talk.say("q")
    assert talk.ended()[0] == 0


def test_what_cannot_be_is_asked_again_with_the_reason(talk: Talk) -> None:
    talk.asked(HEADS)
    talk.say("")
    assert "there are no heads" in talk.asked(HEADS)
    talk.say("春a秋冬")
    assert "head 2, 'a', is not a Chinese character" in talk.asked(HEADS)
    talk.say("春夏秋")
    talk.asked(FORM)
    talk.say("九绝")
    assert "no form is called '九绝'" in talk.asked(FORM)
    talk.say("七绝")
    assert "3 heads cannot stand in 七绝" in talk.asked(HEADS)
    talk.say("春夏秋冬")
    talk.asked(FORM)
    talk.say("七绝")
    talk.asked(NEXT)
    talk.say("x")
    assert "that is none of a, f, h, s, q" in talk.asked(NEXT)
    talk.say("f")
    talk.asked(FORM)
    talk.say("5")
    talk.asked("characters a line")
    talk.say("七")
    assert "not a number" in talk.asked("characters a line")
    talk.say("99")
    assert "error: " in talk.asked(NEXT)
    talk.say("ｑ")
    status, rest = talk.ended()
    assert status == 0
    assert "Traceback" not in rest


def test_a_wide_character_is_erased_whole(talk: Talk) -> None:
    talk.asked(HEADS)
    talk.say("春夏秋雪\x7f冬")
    talk.asked(FORM)
    talk.say("2")
    assert [line[0] for line in poem(talk.asked(NEXT))] == list("春夏秋冬")


@pytest.mark.parametrize(("key", "status"), [("c", 130), ("d", 0)])
@pytest.mark.parametrize("where", [HEADS, NEXT])
def test_ctrl_c_and_ctrl_d_leave_quietly(talk: Talk, key: str, status: int, where: str) -> None:
    talk.asked(HEADS)
    if where == NEXT:
        talk.say("春夏秋冬")
        talk.asked(FORM)
        talk.say("")
        talk.asked(NEXT)
    talk.child.sendcontrol(key)
    ended, rest = talk.ended()
    assert ended == status
    assert "rror" not in rest
    assert "nterrupted" not in rest


def test_a_book_that_cannot_be_written_costs_only_the_saving(
    talk: Talk, poetgen_home: Path
) -> None:
    (poetgen_home / "book.jsonl").mkdir()
    talk.asked(HEADS)
    talk.say("春夏秋冬")
    talk.asked(FORM)
    talk.say("")
    talk.asked(NEXT)
    talk.say("s")
    assert "cannot be written" in talk.asked(NEXT)
    talk.say("a")
    assert len(poem(talk.asked(NEXT))) == 4


def test_without_a_terminal_or_for_a_script_no_heads_is_wrong_usage(
    run_cli: RunCli, poetgen_home: Path
) -> None:
    done = run_cli("acrostic", input="春夏秋冬\n")
    assert done.returncode == 2
    assert "Give four characters" in done.stderr
    asked = Talk(poetgen_home, "--json")
    status, shown = asked.ended()
    assert status == 2
    assert "Give four characters" in shown
