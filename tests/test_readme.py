"""The two READMEs: every example in them runs, and they show the same ones."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.zh-CN.md")

# A fenced block, and the comment that may stand before it to say why a test cannot run it.
_BLOCK = re.compile(
    r"(?:<!-- not run by tests: (?P<excuse>[^>]+) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)```",
    re.DOTALL,
)


def _blocks(readme: str) -> list[tuple[str, str, str | None]]:
    text = (ROOT / readme).read_text(encoding="utf-8")
    return [(m["language"], m["code"], m["excuse"]) for m in _BLOCK.finditer(text)]


def _without_set_up(command: str) -> str:
    """A command of the README less its venv and pip parts, which CI runs from nothing."""
    parts = [part.strip() for part in command.split("&&") if not re.search(r"-m venv|/pip ", part)]
    return " && ".join(parts).replace(".venv/bin/", "")


@pytest.mark.timeout(300)
def test_every_example_of_the_readme_runs_in_order_in_an_empty_folder(tmp_path: Path) -> None:
    # The environment that runs this test stands in for the one that the README makes.
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MPLBACKEND": "agg",
    }
    ran = 0
    for language, code, excuse in _blocks("README.md"):
        if excuse or language not in ("sh", "python"):
            continue
        if language == "sh":
            command = ["bash", "-euo", "pipefail", "-c", _without_set_up(code)]
        else:
            command = [sys.executable, "-W", "error", "-c", code]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        ran += 1
    assert ran >= 4


def test_both_readmes_show_the_same_examples() -> None:
    shown = [
        [(language, code) for language, code, _ in _blocks(readme) if language != "text"]
        for readme in READMES
    ]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("readme", READMES)
def test_ci_installs_and_tests_with_the_commands_of_the_readme(readme: str) -> None:
    commands = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    wanted = next(code for _, code, _ in _blocks(readme) if "[dev]" in code)
    for part in wanted.strip().split(" && "):
        assert part in commands
