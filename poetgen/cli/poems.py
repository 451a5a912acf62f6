"""What `acrostic` and `continue` share: their options, and the writing in batches.

In a pipe a poem is its text alone, poems apart by an empty row; with `--json`, one object a poem.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from poetgen.cli import console
from poetgen.cli.book import save_poem
from poetgen.cli.judging import judge_option, use_judge
from poetgen.cli.showing import (
    INDENT,
    forced_faults,
    open_citations,
    show,
    show_caption,
    show_citations,
    spelled,
    write_on_screen,
)
from poetgen.errors import TemplateError
from poetgen.verse.forms import FORMS

if TYPE_CHECKING:
    from pathlib import Path

    from poetgen.writing.options import SamplingOptions
    from poetgen.writing.poet import Poet
    from poetgen.writing.request import Request
    from poetgen.writing.written import WrittenPoem

Command = TypeVar("Command", bound=Callable[..., Any])

_SEEDS = 1_000_000
"""How many seeds are drawn from when none is given: enough to differ, short enough to retype."""

_TOGETHER = 32
"""Poems written in one call: past this the network is no faster a poem, and a batch that is
stopped has more to lose."""

FORM_NAMES = ", ".join(f"{form.name} ({form.alias})" for form in FORMS)


def place_of_head(_: click.Context, __: click.Parameter, value: str) -> str | int:
    """The callback of `--at`: turns what was typed into `Request.at`."""
    text = value.strip().lower()
    if text in ("head", "tail", "diagonal"):
        return text
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise click.BadParameter(f"'{value}' is not head, tail, diagonal or a number from 1 on.")


def writing_options(command: Command) -> Command:
    """Add the options that every command that writes poems has."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


ASKED = ("theme", "style", "tones", "rhyme_book", "rhyme", "first_line_rhymes", "pattern")
"""The options that say what a poem is to be, as `poetgen.writing.request` has them."""

_OPTIONS = (
    click.option(
        "--theme",
        metavar="TEXT",
        help="What the poem is to be about: 秋思, or a sentence to take the words from.",
    ),
    click.option(
        "--style",
        metavar="唐|宋",
        help="Write in the manner of 唐 (tang) or 宋 (song).",
    ),
    click.option(
        "--tones",
        type=click.Choice(["loose", "strict", "off"]),
        help="loose (the default): 一三五不论 within limits; strict: the textbook's free places, "
        "and no poem rather than a fault; off: the form only.",
    ),
    click.option(
        "--rhyme-book",
        metavar="BOOK",
        help="平水韵 (pingshui, the default), 新韵 (xinyun) or 通韵 (tongyun).",
    ),
    click.option(
        "--rhyme",
        metavar="GROUP|auto",
        help="The rhyme, by the group's name or any character of it: 东. poetgen rhyme lists it.",
    ),
    click.option(
        "--first-line-rhymes",
        type=click.Choice(["auto", "yes", "no"]),
        help="Whether the first line rhymes too.",
    ),
    click.option(
        "--pattern",
        metavar="auto|平起|仄起",
        help="The tonal pattern; in ASCII, pingqi or zeqi.",
    ),
    click.option(
        "-n",
        "--count",
        metavar="N",
        type=click.IntRange(1, 10_000),
        default=1,
        help="How many different poems to write for the same request, the best first (of each 32).",
    ),
    click.option(
        "--temperature",
        metavar="T",
        type=click.FloatRange(0.01, 100),
        help="Under 0.9 keeps closer to what is usual; above dares more.",
    ),
    click.option(
        "--top-k",
        metavar="K",
        type=click.IntRange(0),
        help="Choose each character from the K likeliest; 0 from all.",
    ),
    click.option(
        "--top-p",
        metavar="P",
        type=click.FloatRange(0, 1, min_open=True),
        help="Choose each from the fewest that share this much probability.",
    ),
    click.option(
        "--seed",
        metavar="S",
        type=click.IntRange(0),
        help="The same seed gives the same poem; those of a run have S, S + 1 and so on.",
    ),
    click.option(
        "--particles",
        metavar="N",
        type=click.IntRange(1, 4096),
        help="How many drafts compete to be the poem.",
    ),
    click.option(
        "--decoding",
        type=click.Choice(["particles", "plain", "beam"]),
        help="particles: a fair draw under the rules; plain: a single draft; beam: the likeliest.",
    ),
    click.option(
        "--rank/--no-rank",
        default=True,
        help="Show the best draft of each poem, leave out twins; or the one drawn, in order.",
    ),
    judge_option,
    click.option(
        "--cite",
        is_flag=True,
        help="Name the nearest line of the training corpus, its author and poem, for each line.",
    ),
    click.option("--save", is_flag=True, help="Keep the poems in the poem book: poetgen book."),
    click.option(
        "--model",
        metavar="NAME|FOLDER",
        help="A trained model; poetgen models lists those there are.",
    ),
    click.option(
        "--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object a poem."),
    click.option("-q", "--quiet", is_flag=True, help="Nothing but the poems."),
)


def load_poet(model: str | None, device: str) -> Poet:
    """Load a model for writing."""
    # Before NumPy is imported, since BLAS reads them once: its own threads wait for each other in
    # a spin, which is slow on a busy machine. The engine shares the work out itself.
    for limit in ("OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        os.environ.setdefault(limit, "1")
    from poetgen.writing.poet import Poet

    return Poet.load(model, device)


def first_seed(seed: int | None) -> int:
    """The seed that was asked for, or any."""
    return secrets.randbelow(_SEEDS) if seed is None else seed


def sampling_options(**given: Any) -> SamplingOptions:
    """The sampler's options: those given that are not None, and its own defaults."""
    from poetgen.writing.options import SamplingOptions

    return SamplingOptions(**{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Wish:
    """A poem asked for.

    Attributes:
        request: What it is to be.
        source: What stands before a refusal: the file and the line, or nothing.
    """

    request: Request
    source: str = ""


def write_and_show(
    wishes: Sequence[Wish],
    *,
    count: int,
    seed: int | None,
    model: str | None,
    device: str,
    rank: bool,
    judge: Path | None,
    cite: bool,
    save: bool,
    as_json: bool,
    quiet: bool,
    **choices: Any,
) -> int:
    """Write `count` poems for each wish, and show each batch as it is done.

    Takes the flags of `writing_options` but those of the rules, which are in the wishes.

    Poem k is drawn with `seed + k`, or a random number + k where there is no seed. Where that is
    a twin of another for the same wish, it is written again with a number after all of these.

    Returns:
        The exit status: 1 if a poem could not be written, else 0.
    """
    poet = load_poet(model, device)
    use_judge(poet, judge, style=wishes[0].request.style, rank=rank)
    options = sampling_options(**choices)
    first = first_seed(seed)
    on_screen = sys.stdout.isatty() and not as_json
    indent = INDENT if on_screen else ""
    captions = on_screen and not quiet
    citations = open_citations(poet, quiet=quiet) if cite else None

    def keep(poem: WrittenPoem, request: Request) -> str:
        id = save_poem(poem, request, options, rank=rank, model=model)
        if not quiet:
            click.echo(f"saved as {id}", err=True)
        return id

    if on_screen and len(wishes) == count == 1:
        # A poem by itself is shown while it is being written.
        poem = write_on_screen(
            poet, wishes[0].request, first, options, rank=rank, captions=captions, cited=citations
        )
        if save:
            keep(poem, wishes[0].request)
        return 0

    shown = 0
    refused: set[Wish] = set()
    for wish, outcome in _written(poet, wishes, count, first, options, rank=rank, quiet=quiet):
        if isinstance(outcome, TemplateError):
            if wish not in refused:  # Said once, however many poems were asked for.
                _refuse(wish, outcome, as_json=as_json)
            refused.add(wish)
        elif as_json:
            record = _record(outcome, wish.request)
            if citations:
                record["citations"] = [asdict(citations.nearest(line)) for line in outcome.lines]
            try:
                if save:
                    record["id"] = keep(outcome, wish.request)
            finally:  # A poem that cannot be saved is at least shown.
                console.print_json(record)
        else:
            if shown:
                click.echo()
            shown += 1
            show(spelled(outcome), indent)
            if citations:
                show_citations(citations, outcome.lines, indent)
            if captions:
                show_caption(wish.request, outcome)
            elif not quiet:
                for fault in forced_faults(wish.request, outcome):
                    console.print_warning(f"{''.join(outcome.lines[:1])} …, {fault}")
            if save:
                keep(outcome, wish.request)
        sys.stdout.flush()
    return 1 if refused else 0


def _written(
    poet: Poet,
    wishes: Sequence[Wish],
    count: int,
    first: int,
    options: SamplingOptions,
    *,
    rank: bool,
    quiet: bool,
) -> Iterator[tuple[Wish, WrittenPoem | TemplateError]]:
    """Write, yielding poems or why there is none, batch by batch."""
    total = len(wishes) * count
    if count == 1 or not rank:
        todo = [wish for wish in wishes for _ in range(count)]
        for start in range(0, total, _TOGETHER):
            batch = todo[start : start + _TOGETHER]
            seeds = range(first + start, first + start + len(batch))
            with _progress(start, total, quiet=quiet):
                outcomes = poet.write([wish.request for wish in batch], seeds, options, rank=rank)
            yield from zip(batch, outcomes, strict=True)
        return

    more = itertools.count(first + total)
    for number, wish in enumerate(wishes):
        start = number * count
        own = range(first + start, first + start + count)
        poems = poet.write_different(wish.request, count, itertools.chain(own, more), options)
        done = 0
        try:
            while True:
                with _progress(start + done, total, quiet=quiet):
                    poem = next(poems, None)
                if poem is None:
                    break
                done += 1
                yield wish, poem
        except TemplateError as error:
            yield wish, error
        else:
            if done < count and not quiet:
                console.print_warning(
                    f"only {done} of {count} poems: the others came out the same but for a "
                    "little; --temperature higher or --no-rank gives more"
                )


def _asked(request: Request) -> dict[str, Any]:
    told = {"theme": request.theme, "style": request.style}
    asked: dict[str, Any] = {name: value for name, value in told.items() if value}
    if request.first_lines:
        return {"first_lines": list(request.first_lines), **asked}
    return {"heads": request.heads, **asked}


def _record(poem: WrittenPoem, request: Request) -> dict[str, Any]:
    return {
        **_asked(request),
        "form": poem.form.name,
        "pattern": poem.pattern,
        "rhyme_book": poem.rhyme_book,
        "rhyme_group": poem.rhyme_group,
        "faults": [asdict(fault) for fault in poem.faults],
        "lines": list(poem.lines),
        "text": poem.text,
        "seed": poem.seed,
        "model": poem.model,
        "nats_per_character": poem.nats_per_character,
        "cost": poem.cost,
        "borrowed_share": poem.borrowed_share,
    }


def _refuse(wish: Wish, error: TemplateError, *, as_json: bool) -> None:
    if as_json:
        console.print_json({**_asked(wish.request), "error": error.message})
    else:
        source = f"{wish.source}: " if wish.source else ""
        console.print_error(source + error.message, error.hint)


@contextlib.contextmanager
def _progress(done: int, total: int, *, quiet: bool) -> Iterator[None]:
    """A bar on stderr while a batch is written, gone before its poems are printed."""
    if quiet or total <= _TOGETHER or not sys.stderr.isatty():
        yield
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("writing"), BarColumn(), MofNCompleteColumn(), TextColumn("poems"))
    with Progress(
        *columns, console=console.messages(), transient=True, redirect_stdout=False
    ) as progress:
        progress.add_task("", completed=done, total=total)
        yield
