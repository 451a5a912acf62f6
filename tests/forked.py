"""The real command in a process of its own, forked from one that has imported torch before.

Importing torch and what its optimizers bring along takes 3 s of processor time. A test of a command
that trains would spend most of its time on that; all tests together spent a fifth of theirs.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["torch", "torch._dynamo"])


def _run(
    arguments: tuple[str, ...], environment: Mapping[str, str], cwd: Path, folder: Path
) -> None:
    # multiprocessing gives its processes another sys.stdin, but leaves 1 and 2 to those there are.
    sys.stdin = (folder / "stdin").open(encoding="utf-8")
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        with (folder / name).open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["poetgen", *arguments]
    runpy.run_module("poetgen", run_name="__main__", alter_sys=True)


def run(
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    cwd: Path,
    input: str | None,
    timeout: float,
) -> "subprocess.CompletedProcess[str]":
    """What `subprocess.run` answers for `poetgen ARGUMENTS`, with its output captured.

    What Python or C read of the environment when they start is the test's own, not `environment`'s.

    Raises:
        subprocess.TimeoutExpired: if it took longer than `timeout` seconds.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "stdin").write_text(input or "", encoding="utf-8")
        process = _PROCESSES.Process(target=_run, args=(arguments, environment, cwd, folder))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout)
        output, errors = (
            (folder / name).read_text(encoding="utf-8") for name in ("stdout", "stderr")
        )
        return subprocess.CompletedProcess(arguments, process.exitcode, output, errors)
