"""What `poetgen lab classify` says: how well a classifier does, and what it takes a text for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from poetgen.cli import console

if TYPE_CHECKING:
    from poetgen.lab.classifier_files import Description, TrainedClassifier
    from poetgen.lab.classify import ClassifierTrainer, Judgement
    from poetgen.lab.confusion import Confusion

TREE = "tree"


def title_of(description: Description) -> str:
    """A classifier in a few words."""
    model = description.model
    way = "" if model.encoder == TREE else "bidirectional " if model.bidirectional else ""
    pooling = "" if model.encoder == TREE else f", {model.pooling} pooling"
    return f"{description.target.name} by a {way}{model.encoder}{pooling}"


def record_of(
    folder: Path,
    trainer: ClassifierTrainer,
    classifier: TrainedClassifier,
    found: Confusion,
    bayes: Confusion,
) -> dict[str, Any]:
    """The result of a training as JSON has it."""
    description = classifier.description
    return {
        "classifier": str(folder),
        "target": description.target.name,
        "reads": description.target.reads,
        **{name: getattr(description.model, name) for name in ("encoder", "bidirectional")},
        "pooling": description.model.pooling,
        "parameters": sum(p.numel() for p in classifier.model.parameters()),
        "steps": trainer.position.step,
        "seconds": round(trainer.position.seconds, 2),
        "best_step": trainer.position.best_step,
        "training_poems": len(trainer.parts["train"]),
        "test": found.to_dict(),
        "naive_bayes_accuracy": bayes.accuracy,
    }


def print_report(
    folder: Path,
    trainer: ClassifierTrainer,
    classifier: TrainedClassifier,
    found: Confusion,
    bayes: Confusion,
) -> None:
    """Print the result of a training: figures and the table."""
    from rich.table import Table

    description, position = classifier.description, trainer.position
    click.echo(console.clean(str(folder)))
    click.echo(f"{title_of(description)}; it reads {description.target.reads}")
    click.echo(
        f"{position.step:,} steps in {position.seconds:,.1f} s, the best weights at step "
        f"{position.best_step:,}"
    )
    low, high = found.interval
    click.echo(
        f"right on {found.accuracy:.1%} of {found.poems:,} test poems (95 %: {low:.1%} to "
        f"{high:.1%}); majority class {found.majority:.1%}, naive Bayes {bayes.accuracy:.1%}"
    )
    table = Table(
        title="\nrows: what they are; columns: what they were taken for",
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
    )
    table.add_column("")
    for heading in (*found.classes, "precision", "recall", "F1"):
        table.add_column(heading, justify="right")
    for each, row in zip(found.by_class(), found.counts.tolist(), strict=True):
        figures = (each.precision, each.recall, each.f1)
        table.add_row(
            each.name,
            *(f"{count:,}" for count in row),
            *("-" if value != value else f"{value:.3f}" for value in figures),
        )
    console.output().print(table)


def ask(folder: Path, texts: tuple[str, ...], flags: list[str], as_json: bool) -> None:
    """Say what a classifier takes texts for."""
    if flags:
        flag = flags[0].replace("_", "-")
        raise click.UsageError(f"--{flag} is for training; it does not go with --model.")
    if not texts:
        raise click.UsageError("--model needs a TEXT, the poem that is asked about.")
    from poetgen.lab.classifier_files import load_classifier
    from poetgen.lab.classify import judge

    classifier = load_classifier(folder)
    for text, judged in zip(texts, judge(classifier, texts), strict=True):
        if judged.unknown:
            console.print_warning(f"{classifier.name} does not know {' '.join(judged.unknown)}")
        if as_json:
            console.print_json(
                {
                    "text": text,
                    "read": judged.read,
                    "class": judged.best,
                    "probabilities": judged.probabilities,
                    "attention": judged.attention,
                }
            )
        else:
            _print_judgement(judged)


def _print_judgement(judged: Judgement) -> None:
    ranked = sorted(judged.probabilities.items(), key=lambda each: -each[1])
    shares = "  ".join(f"{name} {share:.1%}" for name, share in ranked)
    click.echo(f"{shares}  {console.clean(judged.read)}")
    if judged.attention is not None:
        most = sorted(zip(judged.attention, judged.read, strict=True), reverse=True)[:5]
        click.echo("looked at: " + "  ".join(f"{c} {share:.1%}" for share, c in most))
