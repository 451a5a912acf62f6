"""What can go wrong around a studio is told in a line, and nothing is lost by it."""

import os
import sys
import time
from pathlib import Path

import pexpect
import pyte
import pytest

from poetgen import files
from poetgen.book.store import Book
from poetgen.errors import PoetgenError
from poetgen.studio.app import TooSmall
from poetgen.studio.keeping import Keeper
from tests.studio.helpers import fake_shelf, run, studio


def test_a_terminal_that_is_too_small_says_so_and_loses_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            draft = await s.write()
            await s.press("s")
            await s.pilot.resize_terminal(20, 5)
            await s.until(lambda: isinstance(s.app.screen, TooSmall))
            assert "20x5 is too" in s.screen_text()
            assert "safe" in s.screen_text()
            await s.press("d", "x", "delete")  # No key reaches what cannot be seen.
            await s.pilot.resize_terminal(80, 24)
            await s.until(lambda: not isinstance(s.app.screen, TooSmall))
            await s.press("escape")
            assert s.draft == draft
            assert s.on_desk

    run(scenario())


def test_a_model_that_is_not_there_is_told_and_can_be_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path, shelf=fake_shelf(["gru"])) as s:
            await s.until(lambda: "there is no model 'lstm'" in s.status)
            assert "not there" in s.text("#title")
            await s.type("春夏秋冬")  # One can write by hand all the same.
            await s.press("escape", "d")
            await s.until(lambda: not s.desk.so_far)
            assert "there is no model 'lstm'" in s.status
            assert s.draft.heads == "春夏秋冬"
            await s.press("m", "enter")
            await s.until(lambda: "gru: ready" in s.text("#title"))
            await s.press("d")
            await s.drawn()

    run(scenario())


def test_a_model_removed_while_it_is_open_writes_on_and_another_is_told(tmp_path: Path) -> None:
    names = ["lstm", "gru"]

    async def scenario() -> None:
        async with studio(tmp_path, shelf=fake_shelf(names)) as s:
            draft = await s.write()
            await s.press("m", "down")
            names.clear()  # Both are removed, one of them loaded, one about to be.
            await s.press("enter")
            await s.until(lambda: "there is no model 'gru'" in s.status)
            assert s.draft.rows == draft.rows
            await s.press("u", "d")
            await s.until(lambda: s.draft.seed != draft.seed)

    run(scenario())


def test_a_full_disk_is_told_when_drafts_and_when_poems_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def full_book(self: Book, entry: object) -> None:
        raise PoetgenError("the poem book cannot be written: No space left on device")

    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.write()
            real = files.write_text
            monkeypatch.setattr(files, "write_text", full)
            monkeypatch.setattr(Book, "append", full_book)
            await s.press("right", "space")
            await s.until(lambda: "No space left" in s.text("#title"))
            await s.press("ctrl+s", "enter")
            await s.until(lambda: "No space left" in s.status)
            monkeypatch.setattr(files, "write_text", real)
            await s.press("space")
            await s.until(lambda: "No space left" not in s.text("#title"))

    run(scenario())
    assert Keeper(tmp_path / "studio").open().drafts[0].is_whole


def test_a_folder_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.write_text("", encoding="utf-8")

    async def scenario() -> None:
        async with studio(home) as s:
            assert "cannot be kept" in s.text("#title")
            await s.write()
            await s.press("ctrl+s", "enter")
            await s.until(lambda: "cannot be" in s.status)
            assert s.draft.is_whole

    run(scenario())


def start(home: Path, *arguments: str, **environment: str) -> "pexpect.spawn[bytes]":
    return pexpect.spawn(
        sys.executable,
        ["-m", "poetgen", *arguments],
        env={**os.environ, "POETGEN_HOME": str(home), "TERM": "xterm-256color", **environment},
        cwd=str(home.parent),
        dimensions=(24, 80),
        timeout=60,
    )


class Terminal:
    """A real pseudo-terminal with a studio in it."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.process = start(home, *arguments)
        self.screen = pyte.Screen(80, 24)
        self.stream = pyte.ByteStream(self.screen)

    @property
    def text(self) -> str:
        # The second cell of a wide character is empty in the buffer.
        return "\n".join(
            "".join(self.screen.buffer[y][x].data for x in range(80)) for y in range(24)
        )

    def until(self, wanted: str, seconds: float = 60) -> str:
        end = time.monotonic() + seconds
        while wanted not in self.text:
            assert time.monotonic() < end, self.text
            try:
                self.stream.feed(self.process.read_nonblocking(65536, timeout=0.2))
            except pexpect.TIMEOUT:
                continue
        return self.text

    def send(self, text: str) -> None:
        self.process.send(text.encode())


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_in_a_real_terminal_a_poem_is_written_killed_and_comes_back(tmp_path: Path) -> None:
    home = tmp_path / "home"
    terminal = Terminal(home)  # `poetgen` alone.
    terminal.until("poetgen studio")
    terminal.send("春夏秋冬")
    terminal.until("春夏秋冬 七绝")
    terminal.send("\r")
    terminal.until("every rule kept")
    terminal.until("seed ")
    text = terminal.until("lstm: ready")  # The model that ships.
    poem = [line for line in text.splitlines() if line.startswith(("  1 ", "  2 ", "  3 ", "  4 "))]
    assert [line.strip(" 1234[]")[0] for line in poem] == [*"春夏秋冬"]
    terminal.send("\x1b[C")  # To the right: candidates come.
    terminal.until("no. 2: ")
    terminal.until("%")
    time.sleep(0.3)
    terminal.process.kill(9)
    terminal.process.wait()

    terminal = Terminal(home, "studio", "--model", "lstm")
    again = terminal.until("every rule kept")
    assert poem[3].split("│")[0] in again
    terminal.send("q")
    terminal.process.expect(pexpect.EOF)
    terminal.process.close()
    assert terminal.process.exitstatus == 0


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, "UTF-8 terminal"),
        ({"TERM": "dumb"}, "dumb terminal"),
    ],
)
def test_a_terminal_that_cannot_show_it_gets_a_line(
    tmp_path: Path, environment: dict[str, str], message: str
) -> None:
    process = start(tmp_path / "home", "studio", **environment)
    process.expect(message)
    process.expect("poetgen acrostic")
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == 1
