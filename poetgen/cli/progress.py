"""What commands show while they work; `poetgen train`: a live display, plain lines, or nothing.

All of it goes to stderr. Where stderr is a terminal there is a bar with the figures under it, and
each validation leaves a line and a poem above it; where it is a file or a pipe, only those lines.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import click

from poetgen.cli.console import clean
from poetgen.errors import PoetgenError
from poetgen.verse.forms import FORMS

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.text import Text

    from poetgen.training.progress import TrainingProgress
    from poetgen.training.trainer import Trainer

_HEADS = "春夏秋冬"


class TrainingDisplay(Protocol):
    """Shows a run."""

    def say(self, message: str) -> None:
        """Show one line."""
        ...

    def update(self, progress: TrainingProgress, trainer: Trainer) -> None:
        """Show where the run stands."""
        ...


@contextlib.contextmanager
def training_display(*, quiet: bool) -> Iterator[TrainingDisplay]:
    """The display that suits the stream: live on a terminal, lines elsewhere, none if `quiet`."""
    if quiet:
        yield _Silence()
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        live = _Live()
        with live.progress:
            yield live


class _Silence:
    def say(self, message: str) -> None:
        pass

    def update(self, progress: TrainingProgress, trainer: Trainer) -> None:
        pass


class _Lines:
    def say(self, message: str) -> None:
        click.echo(clean(message), err=True)

    def update(self, progress: TrainingProgress, trainer: Trainer) -> None:
        if progress.is_best or progress.validation is not None:
            self.say(f"{_place(progress)}  {_figures(progress)}  {_validation(progress)}")
            poem = _sample_poem(trainer)
            if poem:
                self.say(poem)


class _Live:
    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        from poetgen.cli.console import messages

        self._console = messages()
        self.progress: Progress = Progress(
            TextColumn("{task.fields[place]}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            TextColumn("{task.fields[figures]}", markup=False),
            console=self._console,
        )
        self._task = self.progress.add_task("", total=1.0, place="", left="", figures="")

    def say(self, message: str) -> None:
        from rich.text import Text

        self._console.print(Text(clean(message)))

    def update(self, progress: TrainingProgress, trainer: Trainer) -> None:
        self.progress.update(
            self._task,
            completed=progress.share,
            place=_place(progress),
            left=f"{_clock(progress.seconds_left)} left",
            figures=_figures(progress),
        )
        if progress.is_best or progress.validation is not None:
            self.say(f"{_place(progress)}  {_validation(progress)}")
            poem = _sample_poem(trainer)
            if poem:
                self._console.print(_dim(poem))


def _sample_poem(trainer: Trainer) -> str | None:
    """An acrostic by the network as it is now, or None where it cannot write one."""
    from poetgen.writing.engine import engine_for
    from poetgen.writing.poet import Poet

    known = [form.name for form in FORMS if form.name in trainer.options.forms]
    checkpoint = trainer.checkpoint()
    try:
        poet = Poet(
            engine_for(checkpoint, "cpu"),
            checkpoint.vocabulary,
            checkpoint.name,
            checkpoint.script,
        )
        poems = poet.acrostic(_HEADS, known[0] if known else "七绝", seed=0, particles=8)
    except PoetgenError:
        return None
    return poems[0].text


def _dim(text: str) -> Text:
    from rich.text import Text

    return Text(clean(text), style="dim")


def _place(progress: TrainingProgress) -> str:
    total = f"/{progress.total_steps:,}" if progress.total_steps else ""
    return f"step {progress.step:,}{total}"


def _figures(progress: TrainingProgress) -> str:
    forced = progress.teacher_forcing
    return (
        f"epoch {progress.epoch}  loss {progress.loss:.3f}  |g| {progress.gradient_norm:.2f}  "
        f"{progress.clipped_share:.0%} clipped  lr {progress.learning_rate:.1e}  "
        + (f"{forced:.0%} forced  " if forced < 1 else "")
        + f"{progress.tokens_per_second:,.0f} tokens/s"
    )


def _validation(progress: TrainingProgress) -> str:
    if progress.validation is None:
        return "saved (there is no poem to validate on)"
    best = " (best)" if progress.is_best else ""
    return f"perplexity {progress.validation.per_character:,.1f} per character{best}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@contextlib.contextmanager
def poems_progress(what: str, total: int, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """A bar on stderr, where that is a terminal; gives what to call with every step forward."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from poetgen.cli.console import messages

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("poems"))
    with Progress(*columns, console=messages(), transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.advance(task, done)
