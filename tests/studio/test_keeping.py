"""No draft is lost: not by leaving, not by a kill, not by a second studio, not by a bad disk."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from poetgen import files
from poetgen.studio.drafts import Draft
from poetgen.studio.keeping import Keeper
from poetgen.studio.session import State

ONE, TWO = Draft(heads="春夏秋冬"), Draft(heads="梅兰竹菊")


def kept_in(folder: Path) -> list[str]:
    keeper = Keeper(folder)
    found = keeper.open()
    keeper.close()
    return [draft.heads for draft in found.drafts]


def test_drafts_come_back_with_the_one_that_was_looked_at(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    assert keeper.open().drafts == ()
    keeper.keep(State((ONE, TWO), 1), "textual-light")
    assert keeper.close() == ""
    again = Keeper(tmp_path)
    found = again.open()
    again.close()
    assert (found.drafts, found.current, found.theme) == ((ONE, TWO), 1, "textual-light")
    assert found.problems == ()


def test_a_killed_studio_loses_nothing_that_was_written(tmp_path: Path) -> None:
    program = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from poetgen.studio.drafts import Draft\n"
        "from poetgen.studio.keeping import Keeper\n"
        "from poetgen.studio.session import State\n"
        f"keeper = Keeper(Path({str(tmp_path)!r}))\n"
        "keeper.open()\n"
        "for end in range(1, 5):\n"
        "    keeper.keep(State((Draft(heads='春夏秋冬'[:end]),)), '')\n"
        "    assert keeper.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert kept_in(tmp_path) == ["春夏秋冬"]
    assert kept_in(tmp_path) == ["春夏秋冬"]  # And by finding it, it is not lost either.


def test_two_studios_at_once_keep_their_own_and_the_next_one_finds_both(tmp_path: Path) -> None:
    first, second = Keeper(tmp_path), Keeper(tmp_path)
    first.open()
    first.keep(State((ONE,)), "")
    assert first.flush()
    assert second.open().drafts == ()  # What the first one holds is not the second one's.
    second.keep(State((TWO,)), "")
    first.close()
    second.close()
    assert sorted(kept_in(tmp_path)) == sorted([ONE.heads, TWO.heads])


def test_a_file_that_cannot_be_read_is_set_aside_and_told(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    keeper.open()
    keeper.keep(State((ONE,)), "")
    keeper.close()
    (tmp_path / "drafts-00000000.json").write_text('{"version": 1, "dra', encoding="utf-8")
    (tmp_path / "drafts-11111111.json").write_text(
        json.dumps({"version": 1, "drafts": [TWO.to_json(), {"id": 3}]}), encoding="utf-8"
    )
    again = Keeper(tmp_path)
    found = again.open()
    again.close()
    assert {draft.heads for draft in found.drafts} == {ONE.heads, TWO.heads}
    assert len(found.problems) == 2
    assert all("set aside" in problem for problem in found.problems)
    assert len(list(tmp_path.glob("*.damaged"))) == 2


def test_a_full_disk_is_told_and_told_again_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    keeper = Keeper(tmp_path, told.append)
    keeper.open()
    keeper.keep(State((ONE,)), "")
    assert keeper.flush()
    real = files.write_text

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_text", full)
    keeper.keep(State((TWO,)), "")
    assert not keeper.flush()
    keeper.keep(State((TWO, ONE)), "")
    keeper.flush()
    monkeypatch.setattr(files, "write_text", real)
    keeper.keep(State((ONE, TWO)), "")
    assert keeper.flush()
    assert keeper.close() == ""
    assert [bool(each) for each in told] == [True, False]
    assert "No space left" in told[0]
    assert kept_in(tmp_path) == [ONE.heads, TWO.heads]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes where nobody may")
def test_a_folder_without_rights_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    problems = Keeper(tmp_path / "studio").open().problems
    tmp_path.chmod(0o700)
    assert "cannot be kept" in problems[0]


def test_a_folder_that_cannot_be_made_is_told_and_the_studio_works(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    keeper = Keeper(tmp_path / "file" / "studio")
    assert "cannot be kept" in keeper.open().problems[0]
    keeper.keep(State((ONE,)), "")
    assert keeper.close() == ""


def test_empty_drafts_are_not_brought_back(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    keeper.open()
    keeper.keep(State((ONE, Draft())), "")
    keeper.close()
    assert kept_in(tmp_path) == [ONE.heads]
