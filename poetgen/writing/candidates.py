"""What a model would put in one place of a poem that stands around it.

The model reads the poem up to the place; what stands after it has its say through the rules only.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from poetgen.dataset.vocabulary import UNK, Vocabulary
from poetgen.errors import TemplateError
from poetgen.writing.choice import allowed_mass, log_normalised
from poetgen.writing.engine import StepModel
from poetgen.writing.template import Cursor, Template


@dataclass(frozen=True, slots=True)
class Candidate:
    """A character that may stand in a place.

    Attributes:
        character: The character.
        probability: What the model gives it, of all that may stand there.
    """

    character: str
    probability: float


def candidates(
    model: StepModel, vocabulary: Vocabulary, template: Template, line: int, place: int, k: int
) -> list[Candidate]:
    """The likeliest characters for a free place after which the template may fix others.

    Words that begin in the place count for their first character. The words before it are taken
    as long as they can be, which for a vocabulary of characters is no choice at all.

    Args:
        model: The network.
        vocabulary: Its tokens.
        template: The poem: everything before the place is fixed.
        line: The line of the place, from 0.
        place: The place in it, from 0.
        k: How many at most.

    Returns:
        The likeliest first.

    Raises:
        TemplateError: The place is not free, or one before it is.
    """
    position = next(
        (i for i, slot in enumerate(template.slots) if (slot.line, slot.place) == (line, place)),
        len(template.slots),
    )
    if position == len(template.slots) or template.slots[position].kind != "free":
        raise TemplateError(f"line {line + 1}, character {place + 1} is not free")
    cursor = template.start()
    tokens = list(template.prompt)
    while cursor.position < position:
        slot = template.slots[cursor.position]
        if slot.kind == "free":
            raise TemplateError(
                f"line {slot.line + 1}, character {slot.place + 1} is still free",
                hint="candidates are found for a place when all before it is written",
            )
        tokens.append(_fixed_token(template, vocabulary, cursor, position))
        cursor = template.advance(cursor, tokens[-1])
    state = model.start(1)
    for token in tokens:
        logits, state = model.step(np.array([token]), state)
    mass, _ = allowed_mass(log_normalised(logits), template.allowed([cursor]), 1.0)
    shares: defaultdict[str, float] = defaultdict(float)
    for token in np.flatnonzero(mass[0]).tolist():
        shares[vocabulary.tokens[token][0]] += float(mass[0, token])
    total = sum(shares.values())
    best = sorted(shares.items(), key=lambda share: -share[1])[:k]
    return [Candidate(character, share / total) for character, share in best]


def _fixed_token(template: Template, vocabulary: Vocabulary, cursor: Cursor, position: int) -> int:
    """The longest token that is fixed at the cursor and ends before the slot at `position`."""
    if template.slots[cursor.position].kind == "mark":
        marks = template.slots[cursor.position].shown
        return vocabulary.id_of(next((mark for mark in marks if mark in vocabulary), marks[0]))
    room = position - cursor.position
    # `<unk>` stands for one character.
    widths = {
        int(token): 1 if token == UNK else len(vocabulary.tokens[token])
        for token in np.flatnonzero(template.allowed([cursor])[0])
    }
    return max((width, token) for token, width in widths.items() if width <= room)[1]
