"""The real command, serving the real studio with a small model."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.random_model import write_random_model


class Served:
    """A running `poetgen serve`."""

    def __init__(self, home: Path, *flags: str) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-m", "poetgen", "serve", "--port", "0", "--model", "tiny", *flags],
            env={**os.environ, "POETGEN_HOME": str(home)},
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:"), self.process.communicate()[1]

    def end(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        """End it; gives its exit status, and what it printed."""
        if self.process.returncode is None:
            self.process.send_signal(how)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    home = tmp_path / "home"
    write_random_model(home / "checkpoints" / "tiny")
    it = Served(home)
    yield it
    it.end(signal.SIGKILL if it.process.poll() is None else signal.SIGINT)
