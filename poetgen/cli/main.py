"""The `poetgen` command: finds the subcommand, and turns every failure into one line."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from poetgen import __version__
from poetgen.cli.console import print_error, use_utf8
from poetgen.errors import PoetgenError

# In the order in which a newcomer needs them. The object has the command's name, - as _.
COMMANDS = {
    "studio": "poetgen.cli.studio:studio",
    "serve": "poetgen.cli.serve:serve",
    "acrostic": "poetgen.cli.acrostic:acrostic",
    "continue": "poetgen.cli.continue_:continue_",
    "write": "poetgen.cli.write:write",
    "book": "poetgen.cli.book:book",
    "check": "poetgen.cli.check:check",
    "rhyme": "poetgen.cli.rhyme:rhyme",
    "train": "poetgen.cli.train:train",
    "evaluate": "poetgen.cli.evaluate:evaluate",
    "plot": "poetgen.cli.plot:plot",
    "lab": "poetgen.cli.lab:lab",
    "models": "poetgen.cli.models:models",
    "corpus": "poetgen.cli.corpus:corpus",
}


class _Commands(click.Group):
    """A group that imports a subcommand only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # Left to click, it would be exit status 1.
            return _reader_left()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            suggestion = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"No such command '{args[0]}'.{suggestion}", ctx) from None


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="poetgen")
def cli() -> None:
    """Write Chinese acrostic poems (藏头诗) with a recurrent network.

    \b
    poetgen                                the studio: write and change, line by line
    poetgen acrostic 春夏秋冬               four heads, a poem
    poetgen train --corpus sample --preset tiny     a first model, in a minute
    """  # noqa: D301


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Exit status: 0 done, 1 a poetgen error, 2 wrong usage, 130 interrupted.
    """
    use_utf8()
    sys.exit(_run(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: Sequence[str]) -> int:
    if not arguments and sys.stdin.isatty() and sys.stdout.isatty():
        arguments = ["studio"]
    try:
        result = cli.main(_as_utf8(arguments), prog_name="poetgen", standalone_mode=False)
        sys.stdout.flush()
    except PoetgenError as error:
        _report(error.message, error.hint)
        return 1
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        help_of = context.command_path if context else "poetgen"
        _report(error.format_message(), f"see {help_of} --help")
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:
        return _reader_left()
    except OSError as error:
        if error.errno is None:
            raise
        where = f": {error.filename}" if error.filename else ""
        _report(f"{error.strerror}{where}")
        return 1
    # With standalone_mode off, click gives back what the command returned, or the exit status
    # of ctx.exit().
    return result if isinstance(result, int) else 0


def _report(message: str, hint: str = "") -> None:
    """Print what went wrong; of processes that train together, only the first to fail does."""
    if "TORCHELASTIC_RUN_ID" in os.environ:  # torchrun started this one.
        from poetgen.training.distributed import is_first_to_fail

        if not is_first_to_fail():
            return
    print_error(message, hint)


def _reader_left() -> int:
    """End well when nobody reads on (`poetgen … | head`)."""
    # Point stdout at nothing, so that the interpreter's own flush at exit has no more to
    # complain about.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _as_utf8(arguments: Sequence[str]) -> list[str]:
    """The arguments read as UTF-8 even where the locale is not.

    Raises:
        PoetgenError: An argument that is not UTF-8.
    """
    decoded = []
    for argument in arguments:
        try:
            decoded.append(os.fsencode(argument).decode("utf-8"))
        except UnicodeError:
            shown = argument.encode("ascii", "backslashreplace").decode("ascii")
            raise PoetgenError(
                f"the argument {shown} is not UTF-8 text", hint="set the terminal to UTF-8"
            ) from None
    return decoded
