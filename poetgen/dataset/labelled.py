"""Poems with a class each, cut so that the class must be told from the words.

A network takes whatever tells classes apart, and some of it is not what one wants to learn. The
form of a poem is given away by its marks and by its length, and the dynasty partly by the form: in
the chinese-poetry collection a quarter of the 五律 are Tang's and an eighth of the 七绝. So what is
read is

    dynasty   the first four lines, characters only: 20 or 28 of them
    form      the first 20 characters, without marks: whether they were lines of five or of seven,
              and of a quatrain or a longer poem, is not to be seen from how many there are

and of each dynasty there are as many poems in each form, of each form as many in each dynasty: the
classes are balanced, and neither says anything of the other. Only regular verse takes part (五绝
七绝 五律 七律). A poem is trained, validated or tested on where the corpus has it; poets stand on
both sides. No network here: ids, labels, and how to cut a text that is asked about in the same way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from poetgen.dataset.context import DYNASTIES
from poetgen.dataset.encoded import EncodedCorpus, EncodedSplit
from poetgen.dataset.splits import PARTS
from poetgen.dataset.vocabulary import BOS, UNK, Vocabulary
from poetgen.errors import CorpusError, TrainingError
from poetgen.verse.forms import FORMS
from poetgen.verse.poem import Poem, is_han

Places: TypeAlias = npt.NDArray[np.int64]

_DRAW = 0


@dataclass(frozen=True, slots=True)
class Target:
    """What poems are told apart by, and what of a poem is read.

    Attributes:
        name: What `--target` calls it.
        classes: In the order of their labels.
        lines: The first so many lines are read.
        characters: Of them the first so many; None for all.
        reads: The same in words.
    """

    name: str
    classes: tuple[str, ...]
    lines: int
    characters: int | None
    reads: str

    def cut(self, lines: Sequence[str]) -> str:
        """What is read of a poem of these lines: its characters, one after the other."""
        return "".join(filter(is_han, "".join(lines[: self.lines])))[: self.characters]

    def narrowed(self, classes: Sequence[str]) -> Target:
        """The same with some of its classes.

        Raises:
            TrainingError: It has no such class.
        """
        for name in classes:
            if name not in self.classes:
                raise TrainingError(
                    f"--target {self.name} has no class '{name}'",
                    hint=f"its classes are {', '.join(self.classes)}",
                )
        return dataclasses.replace(self, classes=tuple(classes))


TARGETS = {
    target.name: target
    for target in (
        Target(
            "dynasty", tuple(DYNASTIES), 4, None, "the first four lines, characters without marks"
        ),
        Target(
            "form",
            tuple(form.name for form in FORMS),
            4,
            FORMS[0].line_count * FORMS[0].line_length,
            "the first 20 characters, without marks",
        ),
    )
}


def target_named(name: str) -> Target:
    """Find a target.

    Raises:
        TrainingError: There is no such target; the hint lists those there are.
    """
    if name not in TARGETS:
        raise TrainingError(f"--target is '{name}'", hint=f"the targets are {', '.join(TARGETS)}")
    return TARGETS[name]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPoems:
    """Some poems, cut, and the class of each.

    Attributes:
        poems: Each BOS and the characters that are read.
        labels: (N,) int64, places in `Target.classes`.
    """

    poems: EncodedSplit
    labels: Places

    def __len__(self) -> int:
        return len(self.labels)


def target_in(corpus: EncodedCorpus, target: Target) -> Target:
    """A target with those of its classes that every part of a corpus has.

    Raises:
        CorpusError: These are fewer than two.
    """
    labels = [_labels_of(corpus, target, part)[0] for part in PARTS]
    classes = [
        name
        for label, name in enumerate(target.classes)
        if all((found == label).any() for found in labels)
    ]
    if len(classes) < 2:
        raise CorpusError(
            f"--target {target.name} needs poems of two classes at least, and {corpus.name} has "
            f"{classes[0] if classes else 'none'}",
            hint="take a larger corpus, such as chinese-poetry, or another --target",
        )
    return target.narrowed(classes)


def labelled_parts(corpus: EncodedCorpus, target: Target) -> dict[str, LabelledPoems]:
    """The balanced poems of each part of a corpus; the same whenever they are asked for.

    Which poems of a class that has more than another are left out is drawn once and for all, so
    that classifiers are compared on the same poems.

    Args:
        corpus: Encoded character by character.
        target: What they are told apart by, of `target_in`.

    Raises:
        CorpusError: In some part, no two classes have poems that are alike otherwise.
    """
    return {
        part: _labelled(corpus, target, part, np.random.default_rng((_DRAW, number)))
        for number, part in enumerate(PARTS)
    }


def read_ids(target: Target, vocabulary: Vocabulary, text: str) -> tuple[str, list[int]]:
    """What is read of a text that is asked about, and its ids.

    Args:
        target: Of the classifier.
        vocabulary: The classifier's.
        text: A poem in the classifier's script, with marks or line ends between its lines.

    Raises:
        TrainingError: There is no Chinese character in it.
    """
    read = target.cut(Poem.from_text(text).lines)
    if not read:
        raise TrainingError(f"'{text}' has no Chinese character", hint="give a poem")
    return read, vocabulary.encode(read)


def _labelled(
    corpus: EncodedCorpus, target: Target, part: str, random: np.random.Generator
) -> LabelledPoems:
    split = corpus.split(part)
    labels, others, forms = _labels_of(corpus, target, part)
    chosen = _balanced(labels, others, len(target.classes), random)
    if not len(chosen):
        raise CorpusError(
            f"{corpus.name} has too few poems for --target {target.name} in its part '{part}'",
            hint="take a larger corpus, such as chinese-poetry, or another --target",
        )
    # A form's own number of characters stands for so many lines of it.
    most = np.array([target.lines * form.line_length for form in FORMS])
    if target.characters is not None:
        most = np.minimum(most, target.characters)
    is_character = np.array([is_han(token) for token in corpus.vocabulary.tokens])
    is_character[UNK] = True
    rows = []
    for poem in chosen.tolist():
        ids = split[poem]
        rows.append(np.concatenate(([BOS], ids[is_character[ids]][: most[forms[poem]]])))
    lengths = np.array([len(row) for row in rows], np.int64)
    ids = np.concatenate(rows).astype(split.ids.dtype)
    poems = EncodedSplit(
        name=part,
        ids=ids,
        offsets=np.concatenate(([0], lengths.cumsum())),
        characters=(lengths - 1).astype(np.int32),
        forms=split.forms[chosen],
        form_names=split.form_names,
        unknown=int((ids == UNK).sum()),
    )
    return LabelledPoems(poems, labels[chosen])


def _labels_of(corpus: EncodedCorpus, target: Target, part: str) -> tuple[Places, Places, Places]:
    """Of each poem of a part its label, -1 for none; what else it is; and its form, -1 for others.

    Forms are places in `FORMS`.
    """
    split = corpus.split(part)
    forms = _places(split.form_names, [form.name for form in FORMS])[split.forms]
    dynasties = np.full(len(split), -1)
    if split.contexts is not None:
        for label, alias in enumerate(DYNASTIES.values()):
            told = corpus.vocabulary.id_of(f"<dynasty:{alias}>")
            dynasties[split.contexts[:, 1] == told] = label
    if target.name == "dynasty":
        labels, others = _places(tuple(DYNASTIES), target.classes)[dynasties], forms
        labels[dynasties < 0] = -1
        labels[forms < 0] = -1
    else:
        labels, others = _places(split.form_names, target.classes)[split.forms], dynasties
    return labels, others, forms


def _places(names: Sequence[str], known: Sequence[str]) -> Places:
    """Where each of some names stands among others, -1 where it does not."""
    return np.array([known.index(name) if name in known else -1 for name in names], np.int64)


def _balanced(
    labels: Places,
    others: Places,
    classes: int,
    random: np.random.Generator,
) -> Places:
    """Poems of each label, as many of each among those that are alike otherwise, in order.

    Args:
        labels: (N,), -1 for none.
        others: (N,) what is to say nothing of the label.
        classes: How many labels there are.
        random: Draws those that stay.
    """
    chosen = []
    for other in np.unique(others):
        alike = [np.flatnonzero((labels == i) & (others == other)) for i in range(classes)]
        least = min(map(len, alike))
        chosen += [random.permutation(some)[:least] for some in alike]
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)
