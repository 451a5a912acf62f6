"""How well poetgen's recipe predicts verse, against what one would pick instead.

    python -m benchmarks.peers                          all of them, 8 minutes each
    python -m benchmarks.peers --minutes 1 --only transformer,poetgen
    python -m benchmarks.peers --cell gru --only poetgen --output peers.json

All learn on the CPU from the same poems, and are measured on the same others without being told
anything of them. The figures are those of `poetgen evaluate`: perplexity per Chinese character,
punctuation and the poem's end paid for. The peers that are done are kept in the output file; run
again, the rest is done. README.md beside this file says what each of them is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

# As `poetgen train` does, before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.peers import recipes
from benchmarks.peers.recipes import OnShare, Outcome, Task
from poetgen.corpus.store import open_corpus
from poetgen.dataset.encoded import encode_corpus
from poetgen.errors import PoetgenError
from poetgen.files import write_text
from poetgen.models.cells import CELLS
from poetgen.training.devices import precision_named
from poetgen.training.options import PRESETS
from poetgen.verse.forms import form_named

PEERS: dict[str, Callable[[Task, OnShare], Outcome]] = {
    "kneser-ney": recipes.kneser_ney,
    "common": recipes.common,
    "transformer": recipes.transformer,
    "poetgen": recipes.poetgen,
}

Record = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    try:
        records = run(arguments)
    except PoetgenError as error:
        sys.exit(f"{error.message}\n{error.hint or ''}".rstrip())
    show(records, len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count())


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=8.0, help="of training, for each network")
    parser.add_argument("--only", metavar="NAME,…", help="some of " + ", ".join(PEERS))
    parser.add_argument("--threads", type=int, help="of torch  [default: its choice]")
    parser.add_argument(
        "--precision", choices=["auto", "fp32", "bf16"], default="auto", help="as of poetgen train"
    )
    parser.add_argument("--preset", choices=list(PRESETS), default="small", help="poetgen's")
    parser.add_argument("--cell", choices=list(CELLS), default="lstm", help="poetgen's")
    parser.add_argument(
        "--parameters", type=int, help="of the Transformer  [default: those of the preset's lstm]"
    )
    parser.add_argument(
        "--width", type=int, help="of the Transformer  [default: the preset's embedding_size]"
    )
    parser.add_argument(
        "--learning-rate", type=float, default=recipes.LEARNING_RATE, help="of the Transformer"
    )
    parser.add_argument("--corpus", default="chinese-poetry", metavar="NAME")
    parser.add_argument("--form", default="五绝,七绝,五律,七律", metavar="FORM,…")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order")
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="keep the figures here")
    arguments = parser.parse_args(argv)
    arguments.only = list(PEERS) if arguments.only is None else arguments.only.split(",")
    for name in arguments.only:
        if name not in PEERS:
            parser.error(f"there is no peer {name!r}; there are {', '.join(PEERS)}")
    if arguments.minutes <= 0:
        parser.error("--minutes must be above 0")
    return arguments


def run(arguments: argparse.Namespace) -> list[Record]:
    """Train and measure the peers asked for that the output file lacks.

    Returns:
        The records of all that were asked for, in that order.
    """
    messages = Console(stderr=True, highlight=False)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    task = task_of(arguments)
    kept = records_in(arguments.output)
    records = []
    for name in arguments.only:
        command = command_of(name, task)
        record = next((each for each in kept if each["command"] == command), None)
        if record is None:
            outcome = outcome_of(name, task, messages)
            record = record_of(name, task, outcome)
            kept.append(record)
            if arguments.output is not None:
                text = json.dumps(kept, ensure_ascii=False, indent=1)
                write_text(arguments.output, text + "\n")
            messages.print(f"{record['name']}: perplexity {record['perplexity']:,.1f}")
        else:
            messages.print(f"{record['name']}: kept in {arguments.output}", soft_wrap=True)
        records.append(record)
    return records


def outcome_of(name: str, task: Task, messages: Console) -> Outcome:
    """Train and measure a peer behind a bar."""
    columns = (TextColumn(name), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    hidden = not messages.is_terminal
    with Progress(*columns, console=messages, transient=True, disable=hidden) as progress:
        bar = progress.add_task("", total=1.0)
        return PEERS[name](task, lambda share: progress.update(bar, completed=share))


def task_of(arguments: argparse.Namespace) -> Task:
    """What was asked for, with the corpus encoded."""
    precision = precision_named(arguments.precision, torch.device("cpu"))
    corpus = open_corpus(arguments.corpus)
    task = Task(
        corpus=encode_corpus(corpus),
        info=corpus.info,
        forms=tuple(form_named(name).name for name in arguments.form.split(",")),
        preset=arguments.preset,
        cell=arguments.cell,
        parameters=0,
        width=0,
        learning_rate=arguments.learning_rate,
        minutes=arguments.minutes,
        threads=arguments.threads or torch.get_num_threads(),
        precision="bf16" if precision == torch.bfloat16 else "fp32",
        seed=arguments.seed,
    )
    ours = replace(task, cell="lstm")
    shape = recipes.model_of(ours, recipes.recipe_of(ours))
    return replace(
        task,
        parameters=arguments.parameters or shape.parameter_count(),
        width=arguments.width or shape.embedding_size,
    )


def command_of(name: str, task: Task) -> str:
    """The command that gives a peer's record, with every option that matters to it."""
    options: dict[str, object] = {"only": name, "corpus": task.info.name}
    options["form"] = ",".join(task.forms)
    if name != "kneser-ney":
        options |= {"minutes": f"{task.minutes:g}", "threads": task.threads, "seed": task.seed}
    if name == "transformer":
        options |= {"precision": task.precision, "parameters": task.parameters}
        options |= {"width": task.width, "learning-rate": f"{task.learning_rate:g}"}
    if name == "poetgen":
        options |= {"precision": task.precision, "preset": task.preset, "cell": task.cell}
    return "python -m benchmarks.peers " + " ".join(f"--{k} {v}" for k, v in options.items())


def record_of(name: str, task: Task, outcome: Outcome) -> Record:
    """A peer's figures, as the output file holds them."""
    measured = outcome.measured
    return {
        "name": f"poetgen {task.cell}" if name == "poetgen" else name,
        "perplexity": measured.per_character,
        "nats_per_character": measured.nats_per_character,
        "parameters": outcome.parameters,
        "minutes": outcome.seconds / 60,
        "tokens_seen": outcome.tokens,
        "tokens_per_second": outcome.tokens / outcome.seconds,
        "command": command_of(name, task),
        "by_form": {
            form: {
                "perplexity": tally.per_character,
                "nats_per_character": tally.nats_per_character,
                "poems": tally.poems,
            }
            for form, tally in measured.by_form.items()
        },
    }


def records_in(path: Path | None) -> list[Record]:
    """What an earlier run kept."""
    if path is None or not path.exists():
        return []
    try:
        records: list[Record] = json.loads(path.read_text(encoding="utf-8"))
        for record in records:
            record["command"], record["perplexity"], record["by_form"]
    except (ValueError, TypeError, KeyError):
        raise PoetgenError(
            f"{path} does not hold what this program keeps", hint="name another --output"
        ) from None
    return records


def show(records: Sequence[Record], cores: int | None) -> None:
    """Print the tables on stdout."""
    figures = [
        (
            record["name"],
            f"{record['perplexity']:,.1f}",
            f"{record['nats_per_character']:.3f}",
            shortened(record["parameters"]),
            f"{record['minutes']:.1f}",
            shortened(record["tokens_seen"]),
            f"{record['tokens_per_second']:,.0f}",
        )
        for record in records
    ]
    titles = ("", "perplexity", "nats", "parameters", "minutes", "tokens", "tokens/s")
    forms = list(dict.fromkeys(form for record in records for form in record["by_form"]))
    perplexities = [
        (record["name"], *(f"{record['by_form'][form]['perplexity']:,.1f}" for form in forms))
        for record in records
    ]
    console = Console(highlight=False)
    console.print(table_of(titles, figures))
    console.print()
    console.print(table_of(("", *forms), perplexities))
    console.print()
    console.print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {cores} cores")


def table_of(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(*titles, box=box.SIMPLE, pad_edge=False, show_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    return table


def shortened(number: int) -> str:
    return f"{number / 1e6:.1f} M" if number >= 100_000 else f"{number:,}"


if __name__ == "__main__":
    main()
