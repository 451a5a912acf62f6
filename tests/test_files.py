import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from poetgen import files


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "poem.txt"
    files.write_text(path, "旧")

    def fail() -> None:
        with files.replacing(path) as file:
            file.write("新".encode())
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text(encoding="utf-8") == "旧"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_makes_the_folders_that_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "poem.txt"
    files.write_text(path, "春")
    assert path.read_text(encoding="utf-8") == "春"


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_written_file_has_the_permissions_that_open_would_give(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    files.write_text(tmp_path / "poem.txt", "春")
    assert (tmp_path / "poem.txt").stat().st_mode == plain.stat().st_mode


_WRITER = """
import sys
from pathlib import Path
from poetgen import files
path = Path(sys.argv[1])
for i in range(10**9):
    files.write_text(path, f"{i % 10}" * 200_000)
    print("written", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "poem.txt"
    for round_ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            # Some moment in a later write; a write takes a few milliseconds.
            time.sleep(0.003 * round_)
            writer.send_signal(signal.SIGKILL)
        content = path.read_text(encoding="utf-8")
        assert len(content) == 200_000
        assert len(set(content)) == 1
