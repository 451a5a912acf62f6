"""`poetgen train`: from a corpus to a checkpoint."""

from __future__ import annotations

import math
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from poetgen.cli.console import clean, print_json
from poetgen.cli.stopping import stopping_at_signals
from poetgen.errors import TrainingError
from poetgen.models.cells import CELLS
from poetgen.models.config import ARCHITECTURES, CONDITIONS, STOPS
from poetgen.training.options import PRESETS, TEACHER_FORCING
from poetgen.verse.forms import form_named

if TYPE_CHECKING:
    from poetgen.corpus.store import Corpus
    from poetgen.dataset.encoded import EncodedCorpus
    from poetgen.training.distributed import Processes
    from poetgen.training.progress import TrainingProgress
    from poetgen.training.recipe import Recipe
    from poetgen.training.trainer import Trainer

_SAMPLE = "sample"

# The parts of the help, by the option that each begins with.
_SECTIONS = {
    "corpus": "Options",
    "num_layers": "The network",
    "dropout": "Against learning poems by heart, in runs of many epochs",
    "token_budget": "The steps",
    "device": "The machine and what is shown",
    "architecture": "The laboratory: ideas to compare (see poetgen lab, and docs/learn)",
}


class _Sectioned(click.Command):
    """A command with many options, in parts."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows: list[tuple[str, str]] = []
        parts: list[tuple[str, list[tuple[str, str]]]] = []
        for option in self.get_params(ctx):
            if option.name in _SECTIONS:
                rows = []
                parts.append((_SECTIONS[option.name], rows))
            rows.append(option.get_help_record(ctx) or ("", ""))
        for heading, rows in parts:
            with formatter.section(heading):
                formatter.write_dl(rows)


@click.command(cls=_Sectioned)
@click.option("--corpus", metavar="NAME|PATH", help="What to train on.  [default: sample]")
@click.option("--cell", type=click.Choice(list(CELLS)), help="The recurrent cell.  [default: lstm]")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="; ".join(f"{name}: {preset.purpose}" for name, preset in PRESETS.items())
    + ".  [default: tiny on the sample, small on any other corpus]",
)
@click.option("--steps", type=int, help="Budget in optimiser steps.")
@click.option("--epochs", type=int, help="Budget in passes through the training poems.")
@click.option("--minutes", type=float, help="Budget in minutes.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where the checkpoint goes.  [default: ./checkpoints/CELL-CORPUS]",
)
@click.option("--resume", is_flag=True, help="Go on with the run in the output folder.")
@click.option("--form", metavar="FORM,…", help="Train on these forms only.  [default: all]")
@click.option(
    "--tokenizer", type=click.Choice(["char", "word"]), help="What a token is.  [default: char]"
)
@click.option("--min-count", type=int, help="How often a token must be seen to be known.")
@click.option("--num-layers", type=int, help="Recurrent layers.")
@click.option("--hidden-size", type=int, help="Width of a layer.")
@click.option("--embedding-size", type=int, help="Width of a token's vector.")
@click.option(
    "--tie-embeddings/--no-tie-embeddings",
    default=None,
    help="Whether the output layer is the embedding.  [default: tied]",
)
@click.option(
    "--nonlinearity",
    type=click.Choice(["tanh", "relu"]),
    help="Of the rnn cell.  [default: tanh]",
)
@click.option(
    "--recurrent-init",
    type=click.Choice(["orthogonal", "identity"]),
    help="How the recurrent matrices start.  [default: orthogonal]",
)
@click.option("--forget-bias", type=float, help="Start of the LSTM's forget gate.  [default: 1]")
@click.option(
    "--dropout", type=float, help="Share of units dropped, the same at every step of a poem."
)
@click.option("--embedding-dropout", type=float, help="Share of tokens dropped.  [default: 0]")
@click.option("--weight-drop", type=float, help="Share of recurrent weights dropped.  [default: 0]")
@click.option(
    "--label-smoothing", type=float, help="Share of a target that is every token's.  [default: 0]"
)
@click.option(
    "--average",
    type=float,
    metavar="DECAY",
    help="Measure and keep an average of the weights, of which each step leaves this share as "
    "it is, such as 0.999.  [default: 0, the last weights]",
)
@click.option("--token-budget", type=int, help="Tokens in a batch.")
@click.option("--max-length", type=int, help="Cut poems after so many tokens.  [default: 200]")
@click.option("--learning-rate", type=float, help="Its highest value.")
@click.option("--warmup-steps", type=int, help="Steps until it is reached.  [default: 100]")
@click.option("--weight-decay", type=float, help="Of the matrices.  [default: 0.01]")
@click.option("--clip-norm", type=float, help="Largest norm of a gradient; 0: any.  [default: 1]")
@click.option(
    "--clip-value", type=float, help="Largest number in a gradient; 0: any.  [default: 0]"
)
@click.option("--seed", type=int, help="Of weights, order and dropout.  [default: 0]")
@click.option("--patience", type=int, help="Validations without a better one; 0: never stop.")
@click.option(
    "--validate-every",
    type=int,
    help="In steps.  [default: twenty times in all, at most one a minute of --minutes]",
)
@click.option("--snapshot-every", type=int, help="In steps.  [default: once a minute]")
@click.option("--device", help="auto, cpu, cuda or mps.  [default: auto]")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
    help="Of the products; auto is bf16 where it is fast.  [default: auto]",
)
@click.option("--threads", type=int, help="CPU threads of a process.  [default: torch's choice]")
@click.option("--plot", is_flag=True, help="Draw the loss curves: loss.png in the output folder.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, only the result.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@click.option(
    "--architecture",
    type=click.Choice(ARCHITECTURES),
    help="lm: one network reads and writes. seq2seq: an encoder reads the lines so far, a decoder "
    "with attention writes the next.  [default: lm]",
)
@click.option(
    "--bidirectional/--no-bidirectional",
    default=None,
    help="Whether the encoder of seq2seq reads backwards too.  [default: it does]",
)
@click.option(
    "--condition",
    type=click.Choice(CONDITIONS),
    help="How form, dynasty and theme are told.  [default: prefix]",
)
@click.option(
    "--stop", type=click.Choice(STOPS), help="What decides where a poem ends.  [default: eos]"
)
@click.option(
    "--residual/--no-residual",
    default=None,
    help="Layers above the first add their input to their output.  [default: they do not]",
)
@click.option("--transition-depth", type=int, help="Layers inside a step.  [default: 1]")
@click.option("--output-depth", type=int, help="Layers from state to scores.  [default: 1]")
@click.option(
    "--teacher-forcing",
    type=click.Choice(TEACHER_FORCING),
    help="How the share of characters that are read as the poem has them, not as the network "
    "would write them, falls over the budget (scheduled sampling).  [default: constant, 1]",
)
@click.option(
    "--teacher-forcing-end",
    type=float,
    metavar="SHARE",
    help="That share at the end; of constant, from the start.  [default: 0.5; of constant, 1]",
)
@click.option(
    "--bptt",
    type=int,
    metavar="N",
    help="Read all poems as one stream, in pieces of N tokens with the state carried on, and go "
    "back through a piece only.  [default: 0, through each poem from its start]",
)
def train(
    corpus: str | None,
    preset: str | None,
    output: Path | None,
    resume: bool,
    form: str | None,
    plot: bool,
    quiet: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Train a network on a corpus of poems.

    \b
    poetgen train                                   a first model from the built-in sample
    poetgen train --corpus poems.txt --cell gru --minutes 10
    poetgen train --corpus chinese-poetry --preset small --form 五绝,七绝
    poetgen train --output checkpoints/lstm-sample --resume
    torchrun --standalone --nproc-per-node 2 -m poetgen train     in two processes

    Ctrl-C stops after the step in hand; --resume goes on from there, or from the last snapshot
    after a crash. The budget (--steps, --epochs or --minutes, in all) may then be a larger one.
    """  # noqa: D301
    given = {name: value for name, value in flags.items() if value is not None}
    if form is not None:
        given["forms"] = tuple(form_named(name).name for name in form.split(","))
    folder = output or _default_folder(corpus or _SAMPLE, given.get("cell", "lstm"))
    recipe = _recipe(folder, corpus, preset, resume, given)

    # Threads of torch that wait for each other spin by default. Where another process wants the
    # core too, that made a step 4.5 times slower than sleeping does. Read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Large tensors in large pages: 6 to 10 % more tokens a second on a CPU under Linux.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

    from poetgen.cli.progress import training_display
    from poetgen.training.distributed import started_by_torchrun

    with (
        started_by_torchrun() as processes,
        training_display(quiet=quiet or not processes.first) as display,
    ):
        mine = recipe
        recipe = processes.from_first(lambda: mine)
        display.say(f"reading {recipe.corpus}")
        source, encoded = _encode(recipe)
        display.say(
            f"{len(encoded.split('train')):,} training poems, {len(encoded.vocabulary):,} tokens"
        )
        trainer = _trainer(recipe, source, encoded, folder, resume, processes)
        if trainer.config.forgets_context and trainer.config.architecture == "lm":
            display.say(
                f"--cell {trainer.config.cell} sees its last token alone, and so nothing of form, "
                "dynasty and theme; --condition input would tell it at every step"
            )
        last: TrainingProgress | None = None
        with trainer, stopping_at_signals(trainer.stop, alone=processes.size == 1) as signals:
            if processes.first:
                recipe.save(folder)
            if trainer.finished:
                display.say("this run is finished already; a larger budget would extend it")
            elif resume and trainer.position.step:
                display.say(f"going on after step {trainer.position.step:,}")
            elif resume:
                display.say(f"there is no snapshot in {folder} to go on from; beginning")
            for last in trainer.run():
                display.update(last, trainer)
        if plot and processes.first:
            display.say(f"drawn: {_plot(folder)}")
    if not processes.first:
        return 0
    _print_result(folder, trainer, last, as_json=as_json)
    if trainer.stopping and not trainer.finished:
        click.echo(f"stopped; go on with: poetgen train --output {folder} --resume", err=True)
        # Where several processes train, the signal may have reached another than this one.
        return 128 + (signals[0] if signals else signal.SIGTERM)
    return 0


def _default_folder(corpus: str, cell: str) -> Path:
    name = re.sub(r"\W+", "-", Path(corpus).stem).strip("-") or "corpus"
    return Path("checkpoints") / f"{cell}-{name}"


def _recipe(
    folder: Path, corpus: str | None, preset: str | None, resume: bool, given: dict[str, Any]
) -> Recipe:
    from poetgen.training.recipe import Recipe

    if corpus is not None and Path(corpus).exists() and (Path(corpus).suffix or "/" in corpus):
        corpus = str(Path(corpus).resolve())  # The run may be resumed from another folder.
    stored = Recipe.load(folder) if resume else None
    if stored is not None:
        return stored.resumed_with(folder, corpus, preset, given)
    if resume and folder.is_dir() and (folder / "model.safetensors").exists():
        raise TrainingError(
            f"{folder} is a finished model without its training state; it cannot be resumed",
            hint="train anew, with another --output",
        )
    corpus = corpus or _SAMPLE
    return Recipe.of_flags(corpus, preset or ("tiny" if corpus == _SAMPLE else "small"), given)


def _encode(recipe: Recipe) -> tuple[Corpus, EncodedCorpus]:
    from poetgen.corpus.store import open_corpus
    from poetgen.dataset.encoded import encode_corpus

    source = open_corpus(recipe.corpus)
    options = recipe.training
    return source, encode_corpus(source, tokenizer=options.tokenizer, min_count=options.min_count)


def _trainer(
    recipe: Recipe,
    source: Corpus,
    encoded: EncodedCorpus,
    folder: Path,
    resume: bool,
    processes: Processes,
) -> Trainer:
    from poetgen.training.trainer import Trainer

    info = source.info
    return Trainer(
        encoded,
        recipe.network(encoded.vocabulary),
        recipe.training,
        folder,
        source={
            "name": info.name,
            "content_hash": info.content_hash,
            "licence": info.licence,
            "poems": info.poems,
        },
        resume=resume,
        processes=processes,
    )


def _plot(folder: Path) -> Path:
    from poetgen.training.plots import find_runs, plot_runs

    plot_runs(find_runs([str(folder)]), folder / "loss.png")
    return folder / "loss.png"


def _print_result(
    folder: Path, trainer: Trainer, last: TrainingProgress | None, *, as_json: bool
) -> None:
    position = trainer.position
    perplexity = math.exp(position.best) if position.best is not None else None
    if as_json:
        print_json(
            {
                "checkpoint": str(folder),
                "steps": position.step,
                "seconds": round(position.seconds, 2),
                "loss": last.loss if last else None,
                "clipped_share": trainer.clipped_share,
                "validation_nats_per_character": position.best,
                "validation_perplexity": perplexity,
                "best_step": position.best_step,
                "finished": trainer.finished,
            }
        )
        return
    click.echo(clean(str(folder)))
    figures = [f"{position.step:,} steps in {position.seconds:,.1f} s"]
    if last is not None:
        figures.append(f"loss {last.loss:.3f}")
    figures.append(f"{trainer.clipped_share:.0%} of steps clipped")
    if perplexity is not None:
        figures.append(
            f"validation perplexity {perplexity:,.1f} per character, at step {position.best_step:,}"
        )
    click.echo(", ".join(figures))
