"""Poems for which no form is asked: the model says how long a line is and where the poem ends.

Nothing is forced and nothing ranked; only what is no text at all is left out: control tokens and
`<unk>`. So this also shows what a model knows by itself of how poems are built, and whether it
knows when to end (`poetgen.models.stopping`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from poetgen.dataset.context import CONTROLS, context_ids
from poetgen.dataset.lengths import FIRST, lengths_known
from poetgen.dataset.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from poetgen.verse.forms import PoemForm, form_of
from poetgen.verse.poem import Poem
from poetgen.writing.choice import Mask
from poetgen.writing.engine import StepModel
from poetgen.writing.options import SamplingOptions
from poetgen.writing.sampler import sample

LIMIT = 200
"""Tokens after which a poem that finds no end is cut."""

AS_IT_IS = SamplingOptions(temperature=1.0, decoding="plain")
"""The model's own distribution."""

_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class FreePoem:
    """A poem of whatever form.

    Attributes:
        text: With its marks.
        ended: Whether the model ended it; if not, it was cut.
        seed: What it was drawn with.
    """

    text: str
    ended: bool
    seed: int

    @property
    def lines(self) -> tuple[str, ...]:
        """Its lines, without marks."""
        return Poem.from_text(self.text).lines

    @property
    def form(self) -> PoemForm | None:
        """The form whose shape it has, if it has one's."""
        return form_of(self.lines)


@dataclass(frozen=True, slots=True)
class _Cursor:
    """How many tokens were written; never changed, only followed by another."""

    position: int = 0
    finished: bool = False


class Freely:
    """The constraint of a poem of which nothing is asked.

    Args:
        vocabulary: The model's tokens.
        context: What the model is told before.
        says_length: Whether it begins with the poem's length (`poetgen.dataset.lengths`).
    """

    def __init__(
        self, vocabulary: Vocabulary, context: Sequence[int] = (), *, says_length: bool = False
    ) -> None:
        self.prompt = (*context, BOS)
        self._first = int(says_length)  # Where the text begins.
        self._text = np.ones(len(vocabulary), np.bool_)
        self._text[[PAD, BOS, UNK, *(vocabulary.id_of(name) for name in CONTROLS)]] = False
        self._beginning = self._text.copy()  # A poem is at least a character.
        self._beginning[EOS] = False
        self._length = np.zeros(len(vocabulary), np.bool_)
        self._length[FIRST : FIRST + lengths_known(len(vocabulary))] = True

    def start(self) -> _Cursor:
        """Before the first token."""
        return _Cursor()

    def allowed(self, cursors: Sequence[_Cursor]) -> Mask:
        """Which tokens may come next for each of n cursors: (n, V) bool."""
        return np.stack([self._allowed_at(cursor.position) for cursor in cursors])

    def advance(self, cursor: _Cursor, token: int) -> _Cursor:
        """The cursor after a token; what is finished waits behind all others."""
        position, end = cursor.position + 1, self._first + LIMIT
        if position >= end or (token == EOS and cursor.position >= self._first):
            return _Cursor(end, finished=True)
        return _Cursor(position)

    def text_of(self, tokens: Sequence[int]) -> Sequence[int]:
        """What was written without the length before it."""
        return tokens[self._first :]

    def _allowed_at(self, position: int) -> Mask:
        if position < self._first:
            return self._length
        return self._beginning if position == self._first else self._text


def write_freely(
    model: StepModel,
    vocabulary: Vocabulary,
    seeds: Sequence[int],
    options: SamplingOptions = AS_IT_IS,
    *,
    context: Sequence[int] | None = None,
    says_length: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> list[FreePoem]:
    """Draw poems from a network.

    Args:
        model: The network.
        vocabulary: Its tokens.
        seeds: One for each poem.
        options: How to choose tokens.
        context: What the network is told before; None: nothing.
        says_length: Whether it decides a poem's length first.
        on_progress: Called with how many more poems are written.
    """
    told = context_ids(vocabulary) if context is None else context
    constraint = Freely(vocabulary, told, says_length=says_length)
    poems = []
    for start in range(0, len(seeds), _TOGETHER):
        some = seeds[start : start + _TOGETHER]
        for seed, result in zip(
            some, sample(model, [constraint] * len(some), some, options), strict=True
        ):
            tokens = constraint.text_of(result.draft.tokens)
            poems.append(FreePoem(vocabulary.decode(tokens), tokens[-1] == EOS, seed))
        if on_progress is not None:
            on_progress(len(some))
    return poems


@dataclass(frozen=True, slots=True)
class FreeFigures:
    """What was found of poems for which no form was asked.

    Attributes:
        poems: How many.
        ended: Share that ended by themselves, and were not cut.
        whole: Share that ended by themselves with a mark, as every poem of the corpus does.
        of_a_form: Share that ended by themselves and have the lines of a regular form.
        forms: How many have the lines of each such form, by its name.
        mean_length: Tokens of text, on the average.
    """

    poems: int
    ended: float
    whole: float
    of_a_form: float
    forms: dict[str, int]
    mean_length: float


def measure_freely(poems: Sequence[FreePoem]) -> FreeFigures:
    """See how poems end and how they are built; at least one poem."""
    ended = [poem for poem in poems if poem.ended]
    names = [poem.form.name for poem in ended if poem.form]
    count = len(poems)
    return FreeFigures(
        poems=count,
        ended=len(ended) / count,
        whole=sum(poem.text[-1:] in tuple("。？！") for poem in ended) / count,
        of_a_form=len(names) / count,
        forms={name: names.count(name) for name in sorted(set(names))},
        mean_length=sum(len(poem.text) for poem in poems) / count,
    )
