"""How well a model predicts the test poems of its corpus, in all, by form and by dynasty."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from poetgen.checkpoint import Checkpoint
from poetgen.corpus.store import open_corpus
from poetgen.dataset.encoded import EncodedSplit, encode_with
from poetgen.dataset.splits import PARTS, assign_parts, hash_poems
from poetgen.errors import CorpusError
from poetgen.models.network import from_checkpoint
from poetgen.quantization import restored, stored
from poetgen.training.devices import device_named
from poetgen.training.evaluation import Tally, perplexity
from poetgen.training.recipe import Recipe
from poetgen.training.selection import select_poems

if TYPE_CHECKING:
    from poetgen.corpus.store import Corpus

Context = Literal["none", "given"]

_DYNASTIES = 10
"""So many dynasties, the commonest, have a figure of their own."""

_OTHER = "其他"
"""The others, and poems of which the corpus does not say."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What predicting some poems cost.

    Attributes:
        whole: All of them.
        by_form: By the form's name.
        by_dynasty: By the dynasty's name as the corpus has it.
    """

    whole: Tally
    by_form: dict[str, Tally]
    by_dynasty: dict[str, Tally]


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """The poems that a model was neither trained nor chosen by.

    Attributes:
        split: The poems, of the forms that the model was trained on.
        dynasties: (N,) of each.
    """

    split: EncodedSplit
    dynasties: tuple[str, ...]

    @property
    def have_context(self) -> bool:
        """Whether the model can be told of them before it reads them."""
        return self.split.contexts is not None


def own_corpus(checkpoint: Checkpoint) -> str:
    """What a model was trained on, as `open_corpus` takes it."""
    recipe = Recipe.load(checkpoint.folder)  # Only there is a corpus that is no name a path.
    return recipe.corpus if recipe is not None else str(checkpoint.config["corpus"].get("name"))


def corpus_of(checkpoint: Checkpoint, name: str | None = None) -> Corpus:
    """Open the corpus that a model was trained on.

    Args:
        checkpoint: The model.
        name: Where it is; None: where it was then.

    Raises:
        CorpusError: It is not here, or has changed since, so that its test poems are others.
    """
    script: Any = checkpoint.script
    corpus = open_corpus(name or own_corpus(checkpoint), script=script)
    if corpus.content_hash != checkpoint.config["corpus"].get("content_hash"):
        raise CorpusError(
            f"{corpus.name} is not what {checkpoint.name} was trained on, or has changed since",
            hint="its test poems may have been in training; import the corpus as it was",
        )
    return corpus


def held_out(checkpoint: Checkpoint, corpus: Corpus, limit: int | None = None) -> HeldOut:
    """The test poems of a corpus, for a model.

    Args:
        checkpoint: The model.
        corpus: What it was trained on.
        limit: The first so many; None for all.

    Raises:
        CorpusError: There are none.
    """
    script, forms = checkpoint.script, forms_of(checkpoint)
    split = encode_with(corpus, checkpoint.vocabulary, checkpoint.tokenizer, script, "test")
    of_test = assign_parts(hash_poems(corpus.texts())) == PARTS.index("test")
    dynasties = [
        details.dynasty
        for details, form, there in zip(corpus.details(), corpus.forms(), of_test, strict=True)
        if there and (not forms or form in forms)
    ]
    split = select_poems(split, forms, limit)
    if not len(split):
        raise CorpusError(f"{corpus.name} has no test poem of {' '.join(forms) or 'any form'}")
    return HeldOut(split, tuple(dynasties[: len(split)]))


def training_texts(checkpoint: Checkpoint, corpus: Corpus) -> list[str]:
    """The poems that a model was trained on: of its forms, marks and all."""
    forms = forms_of(checkpoint)
    in_training = assign_parts(hash_poems(corpus.texts())) == PARTS.index("train")
    return [
        text
        for text, form, there in zip(corpus.texts(), corpus.forms(), in_training, strict=True)
        if there and (not forms or form in forms)
    ]


def forms_of(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The forms that a model was trained on; empty for all."""
    return tuple(checkpoint.config["training"].get("forms") or ())


def read(
    checkpoint: Checkpoint,
    poems: HeldOut,
    context: Context = "none",
    on_progress: Callable[[int], None] | None = None,
) -> Reading:
    """Measure what predicting poems costs a model.

    Args:
        checkpoint: The model.
        poems: The poems.
        context: Whether it is told form, dynasty and theme of each.
        on_progress: Called with how many more poems are read.
    """
    split = poems.split
    common = [name for name, _ in Counter(filter(None, poems.dynasties)).most_common(_DYNASTIES)]
    groups = [
        (split.form_names[form], dynasty if dynasty in common else _OTHER)
        for form, dynasty in zip(split.forms.tolist(), poems.dynasties, strict=True)
    ]
    # One reading gives both figures: each form of each dynasty counts as a form of its own.
    names = sorted(set(groups))
    of_group = dataclasses.replace(
        split,
        forms=np.array([names.index(group) for group in groups], np.int8),
        form_names=tuple(map(" ".join, names)),
    )
    device = device_named("auto")
    measured = perplexity(
        from_checkpoint(checkpoint, device),
        of_group,
        device=device,
        context=context,
        on_progress=on_progress,
    )
    tallies = [measured.by_form[" ".join(name)] for name in names]

    def by(place: int, order: Iterable[str]) -> dict[str, Tally]:
        found = {
            wanted: [t for name, t in zip(names, tallies, strict=True) if name[place] == wanted]
            for wanted in order
        }
        return {name: _sum(some) for name, some in found.items() if some}

    return Reading(_sum(tallies), by(0, split.form_names), by(1, [*common, _OTHER]))


def cost_of_storage(checkpoint: Checkpoint, storage: str, limit: int) -> dict[str, Any]:
    """What a way to store weights costs a model in perplexity.

    Args:
        checkpoint: The model.
        storage: One of `poetgen.quantization.STORAGES`.
        limit: How many test poems to measure on.

    Returns:
        `perplexity_before`, `perplexity`, `perplexity_loss` (a share) and `poems`.

    Raises:
        CorpusError: The corpus is not here.
    """
    poems = held_out(checkpoint, corpus_of(checkpoint), limit)
    small = restored(Path(), stored(checkpoint.arrays, storage))
    before = read(checkpoint, poems).whole.per_character
    after = read(dataclasses.replace(checkpoint, arrays=small), poems).whole.per_character
    return {
        "perplexity_before": before,
        "perplexity": after,
        "perplexity_loss": after / before - 1,
        "poems": len(poems.split),
    }


def _sum(tallies: Sequence[Tally]) -> Tally:
    return Tally(
        nats=math.fsum(tally.nats for tally in tallies),
        characters=sum(tally.characters for tally in tallies),
        tokens=sum(tally.tokens for tally in tallies),
        poems=sum(tally.poems for tally in tallies),
        unknown_characters=sum(tally.unknown_characters for tally in tallies),
    )
