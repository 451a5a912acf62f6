"""How often acrostics keep every rule, what that costs, and what simpler ways reach.

    python -m benchmarks.acrostics MODEL                      1,000 heads, the rules loose
    python -m benchmarks.acrostics MODEL --tones strict
    python -m benchmarks.acrostics MODEL --heads 30           a look, in about a minute
    python -m benchmarks.acrostics MODEL --at tail            100 heads of their own
    python -m benchmarks.acrostics MODEL --judge-model OTHER --output figures.json
    … --output figures.json --resume                          go on where it was killed

Without MODEL: the model that `poetgen acrostic` would use. README.md beside this file says what
each figure means.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

# As the command does, before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.acrostics.entries import HEADS, TAILS, Entry, evenly_spread, read_entries
from benchmarks.acrostics.figures import (
    Attempt,
    cost_of_rules,
    figures_of,
    judged,
    lines_in,
    reading_nats,
)
from benchmarks.acrostics.report import Results, as_record, show
from benchmarks.acrostics.ways import Way, ways_to_write
from benchmarks.acrostics.writing import Asked, Kept, is_feasible, parts, write_all
from poetgen.checkpoint import Checkpoint, load_checkpoint
from poetgen.corpus.script import to_simplified, to_traditional
from poetgen.corpus.store import open_corpus
from poetgen.dataset.context import context_ids
from poetgen.dataset.runs import FILE as RUNS
from poetgen.dataset.runs import RunFilter
from poetgen.dataset.tokenizers import tokenizer_named
from poetgen.dataset.vocabulary import BOS, Vocabulary
from poetgen.errors import CorpusError, PoetgenError, TemplateError
from poetgen.files import replacing
from poetgen.verse.forms import FORMS, form_named
from poetgen.verse.patterns import STYLES
from poetgen.verse.phonology import PINGSHUI
from poetgen.writing.asked import OFF, Rules
from poetgen.writing.engine import engine_for
from poetgen.writing.options import SamplingOptions
from poetgen.writing.poet import Poet
from poetgen.writing.request import Request
from poetgen.writing.written import WrittenPoem


def main() -> None:
    arguments = parse()
    try:
        results = run(arguments)
    except PoetgenError as error:
        sys.exit(f"{error.message}\n{error.hint or ''}".rstrip())
    show(results)
    if arguments.output:
        text = json.dumps(as_record(results), ensure_ascii=False, indent=1)
        with replacing(arguments.output) as file:
            file.write((text + "\n").encode())
        partial(arguments.output).unlink()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.acrostics",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = SamplingOptions()
    parser.add_argument("model", nargs="?", help="a checkpoint's name or folder")
    parser.add_argument("--heads", type=int, default=1000, metavar="N", help="an even part of them")
    parser.add_argument("--form", help="this form alone: " + ", ".join(f.name for f in FORMS))
    parser.add_argument("--at", default="head", help="head, tail, diagonal or a number from 1")
    parser.add_argument("--list", type=Path, help="other heads (of tails, tails.txt by itself)")
    parser.add_argument("--tones", default=STYLES[0], choices=[*STYLES, OFF])
    parser.add_argument("--rhyme-book", default=PINGSHUI)
    parser.add_argument("--judge-model", metavar="OTHER", help="who reads the poems")
    parser.add_argument("--corpus", metavar="NAME", help="where to look for borrowed lines")
    parser.add_argument("--temperature", type=float, default=defaults.temperature)
    parser.add_argument("--top-k", type=int, default=defaults.top_k)
    parser.add_argument("--top-p", type=float, default=defaults.top_p)
    parser.add_argument("--particles", type=int, default=defaults.particles)
    parser.add_argument("--seed", type=int, default=1, help="entry k is written with seed + k")
    parser.add_argument(
        "--output", "--json", type=Path, metavar="FILE", help="save figures and poems"
    )
    parser.add_argument("--resume", action="store_true", help="go on with what --output has begun")
    arguments = parser.parse_args()
    if arguments.heads < 1:
        parser.error("--heads must be at least 1")
    if arguments.resume and not arguments.output:
        parser.error("--resume needs the --output of the run that it goes on with")
    arguments.list = arguments.list or (TAILS if arguments.at == "tail" else HEADS)
    return arguments


def partial(output: Path) -> Path:
    """Where a run keeps what it has done until it is over."""
    return output.with_name(output.name + ".partial")


def run(arguments: argparse.Namespace) -> Results:
    """Write, read and measure."""
    options = SamplingOptions(
        arguments.temperature, arguments.top_k, arguments.top_p, arguments.particles
    )
    checkpoint = load_checkpoint(arguments.model)
    judge = load_checkpoint(arguments.judge_model) if arguments.judge_model else checkpoint
    rules = Rules(tones=arguments.tones, rhyme_book=arguments.rhyme_book)
    asked = requests_for(
        read_entries(arguments.list), arguments.heads, arguments.form, arguments.at, rules
    )
    corpus = corpus_of(arguments.corpus, checkpoint)

    model = engine_for(checkpoint)
    poet = Poet.of(checkpoint, model)
    simple = Poet(model, checkpoint.vocabulary, checkpoint.name, checkpoint.script)
    ways = ways_to_write(poet, simple, arguments.tones, options, fault_count)
    run_of: dict[str, Any] = {
        "model": checkpoint.name,
        "model_figures": checkpoint.figures,
        "list": arguments.list.name,
        "entries": len(asked),
        "forms": {
            form.name: count
            for form in FORMS
            if (count := sum(request.form == form for _, request in asked))
        },
        "at": arguments.at,
        "rules": asdict(rules),
        "options": asdict(options),
        "seed": arguments.seed,
    }
    kept = Kept(partial(arguments.output) if arguments.output else None, run_of, arguments.resume)
    attempts = write_with_progress(poet, ways, asked, arguments.seed, kept)
    nats = [read_all(judge, some) for some in attempts]
    by_number = [
        {a.number: nat for a, nat in zip(some, read, strict=True) if nat is not None}
        for some, read in zip(attempts, nats, strict=True)
    ]
    everyone = set.intersection(*map(set, by_number))
    compared = [
        [nat if a.number in everyone else None for a, nat in zip(some, read, strict=True)]
        for some, read in zip(attempts, nats, strict=True)
    ]
    runs = RunFilter.load(checkpoint.folder / RUNS, checkpoint.config.get("corpus", {}))
    borrowed = borrowed_lines(corpus, runs, checkpoint, attempts)
    return Results(
        about={
            **run_of,
            "judge_model": judge.name,
            "judge_wrote_the_poems": judge.folder == checkpoint.folder,
            "lines_looked_for_in": corpus[0] if corpus else runs and "the filter of runs",
            "keeps_off_training_poems": runs is not None,
            "compared_in_nats": len(everyone),
            "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        },
        names=[way.name for way in ways],
        attempts=attempts,
        figures=[
            figures_of(some, borrowed, few) for some, few in zip(attempts, compared, strict=True)
        ],
        nats=nats,
        rules_cost=None
        if arguments.tones == OFF
        else cost_of_rules(attempts[0], nats[0], [by_number[1].get(a.number) for a in attempts[0]]),
    )


def requests_for(
    entries: Sequence[Entry], count: int, form: str | None, at: str, rules: Rules
) -> list[tuple[Entry, Request]]:
    """Requests for an even part of the entries that fit the form, or the mixture of forms."""
    fitting = []
    for entry in entries:
        request = Request(entry.heads, form_named(form) if form else entry.form, at, rules=rules)
        try:
            request.layout()
        except TemplateError as error:
            problem = error
        else:
            fitting.append((entry, request))
    if not fitting:
        raise problem
    chosen = set(evenly_spread([entry for entry, _ in fitting], count))
    return [(entry, request) for entry, request in fitting if entry in chosen]


def write_with_progress(
    poet: Poet,
    ways: Sequence[Way],
    asked: Sequence[tuple[Entry, Request]],
    seed: int,
    kept: Kept,
) -> list[list[Attempt]]:
    """What each way makes of its part of the requests."""
    columns = (TextColumn("writing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        total = sum(map(len, parts([entry for entry, _ in asked], ways)))
        task = progress.add_task("", total=total)
        todo = [Asked(entry, request, is_feasible(poet, request)) for entry, request in asked]
        return write_all(ways, todo, seed, kept, lambda n: progress.advance(task, n))


def fault_count(request: Request, poem: WrittenPoem) -> int:
    """How far a poem is from keeping everything."""
    verdict = judged(request, poem.lines)
    return len(verdict.faults) + (not verdict.everything)


def said_by(vocabulary: Vocabulary, script: str) -> Callable[[str], str]:
    """What turns text into the characters that a model knows, where it knows them."""
    fold = to_traditional if script == "traditional" else to_simplified

    def said(text: str) -> str:
        return "".join(
            folded if c not in vocabulary and (folded := fold(c)) in vocabulary else c for c in text
        )

    return said


def read_all(judge: Checkpoint, attempts: Sequence[Attempt]) -> list[float | None]:
    """What the judge's model spends on each poem; None where there is none."""
    said = said_by(judge.vocabulary, judge.script)
    tokenizer = tokenizer_named(judge.tokenizer)
    texts = [said(made.poem.text) for made in attempts if made.poem is not None]
    ids = [judge.vocabulary.encode(tokenizer.tokenize(text)) for text in texts]
    # One that can be told form, dynasty and theme is told nothing.
    prompt = (*context_ids(judge.vocabulary), BOS)
    nats = iter(reading_nats(engine_for(judge), ids, prompt).tolist())
    return [None if made.poem is None else next(nats) for made in attempts]


def corpus_of(name: str | None, checkpoint: Checkpoint) -> tuple[str, Sequence[str]] | None:
    """The texts to look for borrowed lines in: those asked for, or the training corpus if here."""
    if name is not None:
        return name, open_corpus(name).texts()
    name = str(checkpoint.config.get("corpus", {}).get("name", ""))
    try:
        return name, open_corpus(name).texts()
    except CorpusError:
        return None


def borrowed_lines(
    corpus: tuple[str, Sequence[str]] | None,
    runs: RunFilter | None,
    checkpoint: Checkpoint,
    attempts: Sequence[Sequence[Attempt]],
) -> Callable[[str], bool] | None:
    """What says whether a line stands in the corpus, or by the filter, or nothing."""
    said = said_by(checkpoint.vocabulary, checkpoint.script)
    if corpus is None:
        return None if runs is None else lambda line: runs.borrowed_line(said(line))
    lines = {
        line: said(line)
        for some in attempts
        for made in some
        if made.poem
        for line in made.poem.lines
    }
    found = lines_in(corpus[1], set(lines.values()))
    return lambda line: lines[line] in found


if __name__ == "__main__":
    main()
