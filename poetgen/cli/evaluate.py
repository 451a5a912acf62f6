"""`poetgen evaluate`: how well a model predicts verse, and what its own is like."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import click

from poetgen.cli import console
from poetgen.cli.progress import poems_progress
from poetgen.errors import CorpusError

if TYPE_CHECKING:
    from poetgen.checkpoint import Checkpoint
    from poetgen.corpus.store import Corpus
    from poetgen.training.evaluation import Perplexity, Tally
    from poetgen.writing.figures import WritingFigures
    from poetgen.writing.freely import FreeFigures

_PARTS = ("train", "validation", "test", "all")
_SHOWN_PROBLEMS = 5


@click.command(short_help="Measure a model: perplexity, and what it writes.")
@click.argument("model", required=False)
@click.option(
    "--corpus",
    metavar="NAME|FILE",
    help="What to predict: an imported corpus, or a file or folder of poems; plain text has one "
    "poem on a line, with its punctuation.  [default: what the model was trained on]",
)
@click.option(
    "--split",
    type=click.Choice(_PARTS),
    help="Which of its poems.  [default: test of a corpus by name, all of a FILE]",
)
@click.option(
    "--context",
    type=click.Choice(("none", "given")),
    default="none",
    show_default=True,
    help="Whether the model is told each poem's form, dynasty and theme; only none compares with "
    "models that cannot be told.",
)
@click.option(
    "--poems",
    metavar="N",
    type=click.IntRange(0, 100_000),
    default=0,
    help="Also write N acrostics with random heads and measure them.",
)
@click.option(
    "--free-poems",
    metavar="N",
    type=click.IntRange(0, 100_000),
    default=0,
    help="Also write N poems of no form asked for, and see how they end.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the written poems."
)
@click.option("--device", help="auto, cpu, cuda or mps.  [default: auto]", default="auto")
@click.option("--json", "as_json", is_flag=True, help="The figures as one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, only the result.")
def evaluate(
    model: str | None,
    corpus: str | None,
    split: str | None,
    context: str,
    poems: int,
    free_poems: int,
    seed: int,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure how well a model predicts verse, and what it writes.

    \b
    poetgen evaluate                              the default model on its own test poems
    poetgen evaluate my-run --corpus poems.txt    on a file, one poem on a line
    poetgen evaluate my-run --split validation --json
    poetgen evaluate my-run --poems 200           and measure 200 acrostics of its own
    poetgen evaluate my-run --free-poems 200      and see whether it knows when to end

    The figure is the perplexity per Chinese character: punctuation and the poem's end are
    predicted too and paid for, an unknown character costs ln 30000 nats more. It compares models
    whatever their cell, vocabulary or tokenizer. All poems of a FILE count, as often as they are
    in it; with another --split than all, those that came twice are dropped as in training.
    """  # noqa: D301
    from poetgen.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(model)
    is_name = corpus is None or _is_name(corpus)
    part = split or ("test" if is_name else "all")
    source = _open(corpus, checkpoint, deduplicate=part != "all")
    dropped = {} if is_name else _unread(source)
    measured = _perplexity(checkpoint, source, part, context, device, quiet)
    figures = _writing(checkpoint, poems, seed, device, quiet) if poems else None
    free = _free(checkpoint, free_poems, seed, device, quiet) if free_poems else None
    if as_json:
        record = {
            "model": checkpoint.name,
            "corpus": source.name,
            "split": part,
            "context": context,
            **_record(measured),
            "perplexity_per_token": _finite(measured.per_token),
            "tokens": measured.tokens,
            "by_form": {form: _record(tally) for form, tally in measured.by_form.items()},
            "dropped": dropped,
        }
        if figures is not None:
            record["writing"] = dataclasses.asdict(figures)
        if free is not None:
            record["free"] = dataclasses.asdict(free)
        console.print_json(record)
        return
    _print_perplexity(checkpoint.name, source.name, part, measured)
    if figures is not None:
        _print_writing(figures)
    if free is not None:
        _print_free(free)


def _is_name(corpus: str) -> bool:
    from poetgen.corpus.store import SAMPLE, list_corpora

    return corpus == SAMPLE or any(info.name == corpus for info in list_corpora())


def _open(corpus: str | None, checkpoint: Checkpoint, *, deduplicate: bool) -> Corpus:
    from poetgen.corpus.store import open_corpus
    from poetgen.shipping.measuring import own_corpus

    script: Any = checkpoint.script  # One of the two: checked when the checkpoint was read.
    if corpus is not None:
        return open_corpus(corpus, script=script, deduplicate=deduplicate)
    own = own_corpus(checkpoint)
    try:
        source = open_corpus(own, script=script)
    except CorpusError as error:
        raise CorpusError(
            f"the corpus that {checkpoint.name} was trained on is not here: {error.message}",
            hint="import it, or name another with --corpus",
        ) from None
    if source.content_hash != checkpoint.config["corpus"].get("content_hash"):
        console.print_warning(
            f"{source.name} has changed since {checkpoint.name} was trained on it: some of these "
            "poems may have been in training"
        )
    return source


def _unread(source: Corpus) -> dict[str, int]:
    """How many poems of a file were dropped and why; says so, too."""
    report = source.info.report
    dropped: dict[str, int] = {k: v for k, v in report.get("dropped", {}).items() if v}
    if dropped:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items())
        console.print_warning(
            f"{sum(dropped.values()):,} of {report['came_in']:,} poems are not counted: {reasons}"
        )
    problems = report.get("problems", [])
    for problem in problems[:_SHOWN_PROBLEMS]:
        console.print_warning(problem)
    if len(problems) > _SHOWN_PROBLEMS:
        console.print_warning(f"and {len(problems) - _SHOWN_PROBLEMS:,} more such problems")
    return dropped


def _perplexity(
    checkpoint: Checkpoint, source: Corpus, part: str, context: Any, device: str, quiet: bool
) -> Perplexity:
    from poetgen.dataset.encoded import encode_with
    from poetgen.models.network import from_checkpoint
    from poetgen.training.devices import device_named
    from poetgen.training.evaluation import perplexity

    torch_device = device_named(device)
    poems = encode_with(
        source,
        checkpoint.vocabulary,
        checkpoint.tokenizer,
        checkpoint.script,
        None if part == "all" else part,
    )
    network = from_checkpoint(checkpoint, torch_device)
    with poems_progress("predicting", len(poems), quiet) as advance:
        return perplexity(network, poems, device=torch_device, context=context, on_progress=advance)


def _writing(
    checkpoint: Checkpoint, count: int, seed: int, device: str, quiet: bool
) -> WritingFigures:
    from poetgen.verse.forms import FORMS
    from poetgen.writing.engine import engine_for
    from poetgen.writing.figures import measure, random_requests, write_poems
    from poetgen.writing.poet import Poet

    poet = Poet.of(checkpoint, engine_for(checkpoint, device))
    trained_on = checkpoint.config["training"].get("forms") or ()
    forms = [form for form in FORMS if form.name in trained_on] or FORMS
    requests = random_requests(checkpoint.vocabulary, count, seed, forms)
    with poems_progress("writing", count, quiet) as advance:
        poems = write_poems(poet, requests, seed, on_progress=advance)
    return measure(poems, _training_texts(checkpoint))


def _free(checkpoint: Checkpoint, count: int, seed: int, device: str, quiet: bool) -> FreeFigures:
    from poetgen.writing.engine import engine_for
    from poetgen.writing.freely import measure_freely
    from poetgen.writing.poet import Poet

    poet = Poet.of(checkpoint, engine_for(checkpoint, device))
    with poems_progress("writing", count, quiet) as advance:
        return measure_freely(poet.write_freely(range(seed, seed + count), on_progress=advance))


def _training_texts(checkpoint: Checkpoint) -> list[str] | None:
    """The poems that the model was trained on; None, and a word on it, when they are not here."""
    from poetgen.shipping.measuring import corpus_of, training_texts

    try:
        return training_texts(checkpoint, corpus_of(checkpoint))
    except CorpusError as error:
        console.print_warning(f"no longest copied run: {error.message}")
    return None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON has no infinity.


def _record(tally: Tally) -> dict[str, Any]:
    return {
        "perplexity_per_character": _finite(tally.per_character),
        "nats": tally.nats,
        "characters": tally.characters,
        "poems": tally.poems,
        "unknown_characters": tally.unknown_characters,
    }


def _print_perplexity(model: str, corpus: str, part: str, measured: Perplexity) -> None:
    from rich.table import Table
    from rich.text import Text

    title = f"{model} on {corpus}, {'all poems' if part == 'all' else f'{part} poems'}"
    table = Table(title=Text(console.clean(title)), title_justify="left")
    table.add_column("form")
    for heading in ("poems", "characters", "unknown", "nats/character", "perplexity/character"):
        table.add_column(heading, justify="right")
    for form, tally in (*measured.by_form.items(), ("all", measured)):
        if form == "all":
            table.add_section()
        table.add_row(
            Text(form),
            f"{tally.poems:,}",
            f"{tally.characters:,}",
            f"{tally.unknown_characters:,}",
            f"{tally.nats_per_character:.4f}",
            f"{tally.per_character:,.2f}",
        )
    console.output().print(table)
    click.echo(f"perplexity per token {measured.per_token:,.2f} over {measured.tokens:,} tokens")


def _print_writing(figures: WritingFigures) -> None:
    from rich.table import Table

    run = figures.longest_copied_run
    copied = "unknown" if run is None else f"{run} {figures.copied_run}".strip()
    table = Table(title=f"{figures.poems:,} poems written", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("heads exact", f"{figures.head_exactness:.2%}")
    table.add_row("forms exact", f"{figures.form_exactness:.2%}")
    table.add_row("distinct-1", f"{figures.distinct_1:.3f}")
    table.add_row("distinct-2", f"{figures.distinct_2:.3f}")
    table.add_row("repeated lines", f"{figures.repeated_lines:.2%}")
    table.add_row("longest run copied from training", copied)
    console.output().print(table)


def _print_free(figures: FreeFigures) -> None:
    from rich.table import Table

    table = Table(
        title=f"{figures.poems:,} poems of no form asked for",
        title_justify="left",
        show_header=False,
    )
    table.add_column()
    table.add_column(justify="right")
    table.add_row("ended by themselves", f"{figures.ended:.2%}")
    table.add_row("ended with a closing mark", f"{figures.whole:.2%}")
    table.add_row("ended in a regular form", f"{figures.of_a_form:.2%}")
    for name, count in figures.forms.items():
        table.add_row(f"  {name}", f"{count:,}")
    table.add_row("tokens, on the average", f"{figures.mean_length:.1f}")
    console.output().print(table)
