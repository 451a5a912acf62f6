"""`poetgen lab classify`: tell poems apart, by dynasty or by form."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from poetgen.cli import console
from poetgen.cli.lab.classified import TREE, ask, print_report, record_of, title_of
from poetgen.cli.lab.pictures import picture_flag
from poetgen.cli.stopping import stopping_at_signals
from poetgen.errors import TrainingError
from poetgen.models.cells import CELLS

if TYPE_CHECKING:
    from poetgen.dataset.encoded import EncodedCorpus
    from poetgen.lab.classifier_files import Description
    from poetgen.lab.classify import ClassifierTrainer, ClassifyProgress
    from poetgen.training.options import TrainingOptions

_MINUTES = 3.0
_LEARNING_RATE, _TOKEN_BUDGET = 2e-3, 2048
_SAMPLE = "sample"


@click.command(short_help="Tell poems apart by dynasty or form.")
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Ask this classifier about TEXT, a poem each.",
)
@click.option("--corpus", metavar="NAME|PATH", help="What to train on.  [default: sample]")
@click.option(
    "--target",
    type=click.Choice(["dynasty", "form"]),
    help="What to tell apart: 唐 and 宋, or four forms.  [default: dynasty; on the sample, form]",
)
@click.option(
    "--encoder",
    type=click.Choice([*CELLS, TREE]),
    help="What reads: a recurrent cell, or the same function up a balanced tree.  [default: gru]",
)
@click.option(
    "--bidirectional/--one-directional",
    default=None,
    help="Whether a recurrent encoder reads backwards too.  [default: bidirectional]",
)
@click.option(
    "--pooling",
    type=click.Choice(["last", "attention"]),
    help="What is judged: where the encoder ended, or a weighted mean.  [default: last]",
)
@click.option("--num-layers", type=int, help="Recurrent layers.  [default: 1]")
@click.option("--hidden-size", type=int, help="Width of a layer or node.  [default: 128]")
@click.option("--embedding-size", type=int, help="Width of a token's vector.  [default: 128]")
@click.option("--dropout", type=float, help="Share of units dropped in training.  [default: 0.3]")
@click.option("--steps", type=int, help="Budget in optimiser steps.")
@click.option("--epochs", type=int, help="Budget in passes through the training poems.")
@click.option("--minutes", type=float, help="Budget in minutes.  [default: 3]")
@click.option(
    "--learning-rate", type=float, help="Its highest value.  [default: 0.002; a third for rnn]"
)
@click.option("--token-budget", type=int, help="Characters in a batch.  [default: 2048]")
@click.option("--seed", type=int, help="Of weights, order and dropout.  [default: 0]")
@click.option("--device", help="auto, cpu, cuda or mps.  [default: auto]")
@click.option("--threads", type=int, help="CPU threads.  [default: torch's choice]")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where the classifier goes.  [default: ./classifiers/TARGET-ENCODER]",
)
@click.option("--resume", is_flag=True, help="Go on with the run in the output folder.")
@picture_flag("--picture")
@click.option("--quiet", "-q", is_flag=True, help="No progress, only the result.")
@click.option("--json", "as_json", is_flag=True, help="The figures as JSON, an object a result.")
def classify(
    texts: tuple[str, ...],
    model: Path | None,
    corpus: str | None,
    target: str | None,
    output: Path | None,
    resume: bool,
    picture: Path | None,
    quiet: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Train a network to say which dynasty or form a poem is of, and ask it.

    \b
    poetgen lab classify --corpus chinese-poetry --minutes 3 --output tang-or-song
    poetgen lab classify --corpus chinese-poetry --encoder tree --target form
    poetgen lab classify --output tang-or-song --resume --minutes 6
    poetgen lab classify --model tang-or-song 空山新雨后，天气晚来秋。明月松间照，清泉石上流。

    The classes are made equal, and what would give them away is kept from the network. For the
    dynasty it reads the characters of the first four lines, and there are as many Tang poems as
    Song poems in each form. For the form it reads the first 20 characters, without marks, and
    there are as many poems of each form in each dynasty. Only regular verse takes part. A third
    figure beside the network's and the majority's is naive Bayes, which counts characters and
    knows no order: what is above it was learned from characters together.
    """  # noqa: D301
    given = {name: value for name, value in flags.items() if value is not None}
    if picture is not None:
        from poetgen.training.plots import format_of

        format_of(picture)  # Complains now, not after the training.
    if model is not None:
        asked = {"corpus": corpus, "target": target, "output": output, "resume": resume or None}
        asked |= {"picture": picture, **given}
        ask(model, texts, [name for name, value in asked.items() if value is not None], as_json)
        return 0
    if texts:
        raise click.UsageError("TEXT needs --model FOLDER, a classifier that was trained before.")
    from poetgen.lab.classifier_files import load_classifier
    from poetgen.lab.classify import ClassifierTrainer, measure
    from poetgen.lab.confusion import judge_by_characters

    say = _silence if quiet else _say
    if resume and output is None:
        raise click.UsageError("--resume needs --output FOLDER, the folder of the run.")
    begun = _begun(output) if resume and output is not None else None
    encoded, description = _plan(begun, corpus, target, given, say, output)
    folder = (
        output or Path("classifiers") / f"{description.target.name}-{description.model.encoder}"
    )
    with (
        ClassifierTrainer(encoded, description, folder, resume=resume) as trainer,
        stopping_at_signals(trainer.stop) as signals,
    ):
        sizes = {part: len(poems) for part, poems in trainer.parts.items()}
        say(f"{sizes['train']:,} poems to train on, {sizes['test']:,} to test")
        if trainer.finished:
            say("this run is finished already; a larger budget would extend it")
        elif trainer.position.step:
            say(f"going on after step {trainer.position.step:,}")
        _run(trainer, quiet)
        if trainer.stopping and not trainer.finished:
            click.echo(
                f"stopped; go on with: poetgen lab classify --output {folder} --resume", err=True
            )
            return 128 + signals[0]
        classifier = load_classifier(folder, trainer.device)
        test = trainer.parts["test"]
        _, found = measure(classifier.model, test, description.target, trainer.device)
        bayes = judge_by_characters(
            trainer.parts["train"], test, description.target.classes, len(encoded.vocabulary)
        )
    if as_json:
        console.print_json(record_of(folder, trainer, classifier, found, bayes))
    else:
        print_report(folder, trainer, classifier, found, bayes)
    if picture is not None:
        from poetgen.lab.pictures import draw_confusion

        draw_confusion(found, picture, title=title_of(description))
        click.echo(console.clean(str(picture)), err=as_json)
    return 0


def _begun(folder: Path) -> Description | None:
    """What the run in a folder is; None where none has begun."""
    from poetgen.lab.classifier_files import DESCRIPTION, read_description

    return read_description(folder) if (folder / DESCRIPTION).exists() else None


def _plan(
    begun: Description | None,
    corpus: str | None,
    target: str | None,
    given: dict[str, Any],
    say: Callable[[str], None],
    folder: Path | None,
) -> tuple[EncodedCorpus, Description]:
    """The corpus and what is to be trained: of the flags, or of the run that goes on."""
    from poetgen.corpus.store import open_corpus
    from poetgen.dataset.encoded import encode_corpus
    from poetgen.dataset.labelled import target_in, target_named
    from poetgen.lab.classifier_files import Description
    from poetgen.models.classifier import ClassifierConfig

    if begun is not None:
        place = corpus or begun.corpus["place"]
        training = _training(given, begun)
        shape = begun.model.to_dict()
        was = {**begun.training.to_dict(), **shape, "target": begun.target.name}
        asked = {**given, **({"target": target} if target else {})}
        for name, value in asked.items():
            if name not in _MAY_CHANGE and was[name] != value:
                flag = _flag(name, value)
                raise TrainingError(
                    f"{flag} does not go with the run in {folder}, which began with "
                    f"{_flag(name, was[name])}",
                    hint=f"leave {flag.split()[0]} out, or train anew with another --output",
                )
    else:
        place = corpus or _SAMPLE
        training = _training(given, None)
        encoder = given.get("encoder", "gru")
        shape = {"encoder": encoder, "bidirectional": encoder != TREE}
        shape |= {name: value for name, value in given.items() if name in _SHAPE}
        ClassifierConfig(vocabulary_size=1, **shape)  # Complains now, not after the reading.
    say(f"reading {place}")
    source = open_corpus(place)
    encoded = encode_corpus(source)
    if begun is not None:
        wanted = target_named(begun.target.name).narrowed(begun.target.classes)
        if source.content_hash != begun.corpus["content_hash"]:
            raise TrainingError(
                f"--corpus {place} is not the text that {folder} was trained on, "
                f"{begun.corpus['name']}",
                hint="give that corpus, as it was then, or train anew with another --output",
            )
    else:
        wanted = target_in(
            encoded, target_named(target or ("form" if place == _SAMPLE else "dynasty"))
        )
    shape |= {"vocabulary_size": len(encoded.vocabulary), "classes": len(wanted.classes)}
    info = source.info
    return encoded, Description(
        model=ClassifierConfig(**shape),
        target=wanted,
        script=encoded.script,
        vocabulary_sha256=encoded.vocabulary.sha256,
        corpus={
            "name": info.name,
            "place": str(Path(place).resolve()) if Path(place).exists() else place,
            "content_hash": info.content_hash,
            "licence": info.licence,
            "poems": info.poems,
        },
        training=training,
    )


_SHAPE = (
    *("encoder", "bidirectional", "pooling"),
    *("num_layers", "hidden_size", "embedding_size", "dropout"),
)
_BUDGETS = ("steps", "epochs", "minutes")
_MAY_CHANGE = (*_BUDGETS, "device", "threads")


def _training(given: dict[str, Any], begun: Description | None) -> TrainingOptions:
    """The training options of the flags; those of a run that goes on, with its new budget."""
    from poetgen.training.options import TrainingOptions

    asked = {name: value for name, value in given.items() if name not in _SHAPE}
    if begun is not None:
        values = begun.training.to_dict()
    else:
        cell = CELLS.get(given.get("encoder", "gru"))
        share = cell.learning_rate_share if cell is not None else 1.0
        values = {"learning_rate": share * _LEARNING_RATE, "token_budget": _TOKEN_BUDGET}
        values["minutes"] = _MINUTES
    if any(name in asked for name in _BUDGETS):
        values = {name: value for name, value in values.items() if name not in _BUDGETS}
    return TrainingOptions.from_dict({**values, **asked})


def _flag(name: str, value: Any) -> str:
    if name == "bidirectional":
        return "--bidirectional" if value else "--one-directional"
    return f"--{name.replace('_', '-')} {value}"


def _run(trainer: ClassifierTrainer, quiet: bool) -> None:
    """Train, with a bar on a terminal, and else a line for each validation."""
    live = sys.stderr.isatty() and not quiet
    if not live:
        for progress in trainer.run():
            if progress.validation_nats is not None and not quiet:
                _say(_validated(progress))
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=console.messages()) as bar:
        task = bar.add_task("", total=1.0)
        for progress in trainer.run():
            bar.update(
                task,
                completed=progress.share,
                description=f"step {progress.step:,}  loss {progress.loss:.3f}",
            )
            if progress.validation_nats is not None:
                bar.console.print(_validated(progress), markup=False)


def _validated(progress: ClassifyProgress) -> str:
    best = " (best)" if progress.is_best else ""
    return (
        f"step {progress.step:,}  loss {progress.loss:.3f}  validation "
        f"{progress.validation_nats:.3f} nats, {progress.validation_accuracy:.1%} right{best}"
    )


def _say(message: str) -> None:
    click.echo(console.clean(message), err=True)


def _silence(message: str) -> None:
    """Say nothing."""
