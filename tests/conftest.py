"""What every test may use: a fresh home, and the real command."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests import forked

# Tests run side by side, a process a core; threads of torch and BLAS would only stand in line.
for _library in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_library, "1")

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]

REAL_CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "chinese-poetry.zip"


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait, for a screen, a server or another process."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The READMEs first: their examples take a minute, for which nobody should wait at the end."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")


@pytest.fixture(autouse=True)
def poetgen_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh POETGEN_HOME, so that no test sees or touches what the user keeps."""
    home = tmp_path / "poetgen-home"
    monkeypatch.setenv("POETGEN_HOME", str(home))
    return home


@pytest.fixture
def run_cli(tmp_path: Path) -> RunCli:
    """Run the real `poetgen` command in a process of its own, in an empty folder.

    With `env`, it starts from nothing, so that Python too sees what stands there.
    """

    def run(
        *arguments: str,
        env: Mapping[str, str] | None = None,
        input: str | None = None,
        cwd: Path | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        if env is None:
            words = tuple(map(str, arguments))
            return forked.run(words, dict(os.environ), cwd or tmp_path, input, timeout)
        return subprocess.run(
            [sys.executable, "-m", "poetgen", *arguments],
            env={**os.environ, **env},
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            cwd=cwd or tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def real_corpus() -> Path:
    """The real collection as its users download it; the test is skipped where it is not."""
    if not REAL_CORPUS.is_file():
        pytest.skip("the real corpus is not here")
    return REAL_CORPUS
