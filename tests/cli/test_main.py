"""The command as a whole: help, mistakes, locales, pipes and terminals."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pexpect
import pytest

from poetgen import __version__
from poetgen.cli.main import COMMANDS, cli
from tests.cli.random_model import write_random_model

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_random_model(tmp_path_factory.mktemp("models") / "nonsense", cell="rnn"))


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from poetgen.cli.main import _run\n"
        "assert _run(['--help']) == 0\n"
        "heavy = {'torch', 'numpy', 'jieba', 'rich', 'opencc', 'pooch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_help_answers_at_once() -> None:
    # Seconds of CPU, which a busy machine stretches less than those of the clock.
    assert min(cpu_seconds("-m", "poetgen", "--help") for _ in range(5)) < 0.2


def cpu_seconds(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_help_lists_every_command_with_what_it_does(run_cli: Run) -> None:
    done = run_cli("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert any(line.split()[:1] == [name] for line in done.stdout.splitlines()), name


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_opens_with_a_sentence_and_shows_examples(
    run_cli: Run, name: str
) -> None:
    done = run_cli(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    _, sentence, rest = done.stdout.split("\n\n", 2)
    assert sentence.endswith(".")
    # An example stands on a row of its own: click would have filled the rows otherwise.
    assert any(line.strip().startswith(f"poetgen {name}") for line in rest.splitlines())
    assert "\\b" not in rest


def all_commands(group: click.Group, path: str = "") -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found.append((f"{path}{name}", command))
        if isinstance(command, click.Group):
            found += all_commands(command, f"{path}{name} ")
    return found


def test_every_option_of_every_command_is_explained() -> None:
    for name, command in all_commands(cli):
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts[0]}"


def test_version_is_told(run_cli: Run) -> None:
    done = run_cli("--version")
    assert (done.returncode, done.stdout) == (0, f"poetgen, version {__version__}\n")


def test_a_mistyped_command_is_answered_with_the_nearest(run_cli: Run) -> None:
    done = run_cli("acrostik", "春夏秋冬")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: No such command 'acrostik'. Did you mean 'acrostic'?\nhint: see poetgen --help\n"
    )


def test_an_unknown_option_is_answered_with_the_nearest(run_cli: Run) -> None:
    done = run_cli("acrostic", "春夏秋冬", "--tempreature", "1")
    assert (done.returncode, done.stdout) == (2, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: No such option")
    assert "--temperature" in error
    assert hint == "hint: see poetgen acrostic --help"


def test_no_command_at_all_shows_the_help(run_cli: Run) -> None:
    done = run_cli()
    assert done.returncode in (0, 2)
    assert "poetgen acrostic 春夏秋冬" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "en_US.ISO-8859-1", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_a_locale_without_chinese_changes_nothing(
    run_cli: Run, model: str, locale: dict[str, str]
) -> None:
    arguments = ["acrostic", "春夏秋冬", "--form", "五绝", "--model", model, "--seed", "1"]
    done = run_cli(*arguments, env=locale)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line[0] for line in done.stdout.splitlines()] == list("春夏秋冬")
    assert done.stdout == run_cli(*arguments).stdout
    refused = run_cli("acrostic", "春夏秋", env=locale)
    assert refused.returncode == 1
    assert "五绝" in refused.stderr or "七绝" in refused.stderr


def test_an_argument_that_is_no_utf8_is_one_clear_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [os.fsencode(sys.executable), b"-m", b"poetgen", b"acrostic", b"\xb4\xba\xcf\xc4"],
        capture_output=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"error: the argument ")
    assert len(done.stderr.splitlines()) == 2


def test_a_reader_that_leaves_early_is_no_error(model: str, tmp_path: Path) -> None:
    poetgen = f"{sys.executable} -m poetgen acrostic 春夏秋冬 --model {model}"
    done = subprocess.run(
        ["bash", "-c", f"{poetgen} -n 200 --particles 1 | head -n 1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("春")
    assert len(done.stdout.splitlines()) == 1


def test_an_interrupt_ends_with_status_130_and_no_traceback(model: str, tmp_path: Path) -> None:
    options = ["-n", "10000", "--particles", "64", "--model", model]
    child = subprocess.Popen(
        [sys.executable, "-m", "poetgen", "acrostic", "春夏秋冬", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        encoding="utf-8",
    )
    try:
        assert child.stdout is not None
        first = child.stdout.readline()  # So it is at work, and the poems it made are out.
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=60)
    finally:
        child.kill()
    assert first.startswith("春")
    assert (child.returncode, stderr.strip()) == (130, "interrupted")


def test_control_characters_in_an_argument_never_reach_the_terminal(run_cli: Run) -> None:
    done = run_cli("acrostic", "春夏秋冬", "--model", "\x1b[31mred\x1b]0;title\x07[/x]")
    assert done.returncode == 1
    assert "\x1b" not in done.stderr
    assert "[/x]" in done.stderr


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_a_narrow_terminal_still_shows_whole_lines_of_verse(model: str, columns: int) -> None:
    output = terminal(f"acrostic 春夏秋冬 --form 五绝 -q --model {model}", columns)
    assert [line.strip()[0] for line in output.splitlines()] == list("春夏秋冬")


def test_an_error_is_red_on_a_terminal_unless_colour_is_refused() -> None:
    command = "acrostic 春夏秋"
    assert "\x1b[31m\x1b[1merror: " in terminal(command, colours=True)
    assert "\x1b[31m" not in terminal(command, colours=True, NO_COLOR="1")
    assert "\x1b" not in terminal(command, colours=True, TERM="dumb")


def terminal(command: str, columns: int = 80, colours: bool = False, **environment: str) -> str:
    child = pexpect.spawn(
        f"{sys.executable} -m poetgen {command}",
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "" if colours else "1", **environment},
        dimensions=(24, columns),
        encoding="utf-8",
        timeout=60,
    )
    output: str = child.read()
    child.close()
    return output if colours else output.replace("\x1b[1m", "").replace("\x1b[0m", "")
