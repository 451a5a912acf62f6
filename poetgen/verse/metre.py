"""How a poem is read: each line as the type that needs the lightest faults, all lines together.

One wrong character is one 平仄, and a couplet of the wrong kind is one 失粘; against a fixed
template either could be a dozen characters off. So the reading of a poem is the cheapest path
through types and variants (see `patterns`), line by line, and a poem keeps the rules when its
path costs nothing.

It knows tones only: no characters, and of the rhyme just whether the first line may keep it.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from poetgen.verse.patterns import LINE_TYPES, Variant, fits, variants
from poetgen.verse.phonology import EITHER, OBLIQUE

# What a fault weighs when readings of a poem are compared. A wrong tone at an even place (节奏点)
# is worse than the two limits on odd places; a foot or a join is worse than one wrong tone, or
# every wrong second character would be read as a line of another type. Poets lose 粘 more often
# than 对.
_WEIGHT = {"平仄": 4, "孤平": 2, "三平尾": 2, "失对": 7, "失粘": 6}
_WRONG_END = 6


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One way to read a line: as a variant of a type, with what is wrong then.

    Attributes:
        line_type: a, A, b or B.
        variant: The variant of it.
        wrong: (name of the fault, place from 0), for every tone that does not fit.
        weight: What these faults weigh.
    """

    line_type: str
    variant: Variant
    wrong: tuple[tuple[str, int], ...]
    weight: int

    @property
    def ends_level(self) -> bool:
        """Whether the line ends as a rhyming line does."""
        return self.line_type.isupper()

    @property
    def third(self) -> int:
        """The place, from 0, of the third of the last five: where most licences are taken."""
        return len(self.variant.tones) - 3

    @property
    def departure(self) -> int:
        """The last place, from 0, where the variant leaves the textbook's tones."""
        tones = self.variant.tones[-5:]
        textbook = LINE_TYPES[self.line_type]
        return self.third - 2 + max(i for i in range(5) if not fits(tones[i], textbook[i]))

    def second(self, tones: str) -> str:
        """The tone of the second character: the line's own where it is known."""
        return self.variant.tones[1] if tones[1] == EITHER else tones[1]


@functools.cache
def readings(tones: str, style: str) -> tuple[Reading, ...]:
    """Every way to read a line that ends as it must, less those that a lighter one can replace.

    There are at most 3^7 strings of tones, so nearly every line is a look-up.
    """
    kept: list[Reading] = []
    for line_type, textbook in LINE_TYPES.items():
        if not fits(tones[-1], textbook[-1]):
            continue
        found = []
        for variant in variants(line_type, len(tones), style):
            wrong = tuple(
                _fault_at(line_type, variant.tones, place)
                for place, (tone, wanted) in enumerate(zip(tones, variant.tones, strict=True))
                if not fits(tone, wanted)
            )
            weight = sum(_WEIGHT[name] for name, _ in wrong)
            found.append(Reading(line_type, variant, wrong, weight))
        found.sort(key=lambda reading: reading.weight)
        for index, reading in enumerate(found):
            if not any(_serves(lighter.variant, reading.variant) for lighter in found[:index]):
                kept.append(reading)
    return tuple(kept)


def _serves(variant: Variant, other: Variant) -> bool:
    """Whether a variant fits wherever another does, by what it asks and answers."""
    return (
        # Not less, either: a line that answers may need one that asks.
        variant.asks == other.asks
        and variant.answers >= other.answers
        and variant.only_answers <= other.only_answers
    )


def _fault_at(line_type: str, wanted: str, place: int) -> tuple[str, int]:
    """The name and the place of the fault when a tone is not the one `wanted` at `place`."""
    first, third = len(wanted) - 5, len(wanted) - 3
    if line_type == "A" and place == third:
        return "三平尾", place
    # Both ways to put it right: the first level, or the third level to make good the first.
    if line_type == "B" and (place == first or (place == third and fits(OBLIQUE, wanted[first]))):
        return "孤平", first
    return "平仄", place


def read(tones: Sequence[str], may_rhyme: bool, rhymes: bool, style: str) -> list[Reading]:
    """The reading of a poem with the lightest faults: the cheapest path (Viterbi).

    Args:
        tones: Each line's tone classes, in lines of 5 or of 7.
        may_rhyme: Whether the first foot has a reading in or near the rhyme group …
        rhymes: … and whether in the group itself.
        style: `loose` or `strict`.
    """
    # For each reading of the line in hand: the weight of the cheapest path to it, and the path.
    paths: list[tuple[int, list[Reading]]] = []
    for reading in readings(tones[0], style):
        weight = reading.weight
        if reading.ends_level:
            weight += 0 if may_rhyme else _WRONG_END
        else:
            weight += rhymes  # A first foot that can be read either way rhymes if it can.
        paths.append((weight + _WEIGHT["平仄"] * is_needless(None, reading), [reading]))
    for number in range(1, len(tones)):
        in_couplet = number % 2 == 1
        now = []
        for reading in readings(tones[number], style):
            weight, before = min(
                [(weight + _join(path[-1], reading, in_couplet), path) for weight, path in paths],
                key=_weight,
            )
            weight += reading.weight + (_WRONG_END if reading.ends_level != in_couplet else 0)
            now.append((weight, [*before, reading]))
        paths = now
    return min(paths, key=_weight)[1]


def _weight(path: tuple[int, list[Reading]]) -> int:
    return path[0]


def _join(before: Reading, reading: Reading, in_couplet: bool) -> int:
    """What is wrong between a line and the line before it, by weight."""
    weight = 0
    if is_unanswered(before, reading if in_couplet else None):
        weight += _WEIGHT["平仄"]
    if is_needless(before if in_couplet else None, reading):
        weight += _WEIGHT["平仄"]
    if (before.variant.tones[1] == reading.variant.tones[1]) == in_couplet:
        weight += _WEIGHT["失对" if in_couplet else "失粘"]
    return weight


def is_unanswered(reading: Reading, after: Reading | None) -> bool:
    """Whether a line has a 拗 that the other line of its couplet does not make good."""
    return reading.variant.asks and (after is None or not after.variant.answers)


def is_needless(before: Reading | None, reading: Reading) -> bool:
    """Whether a line makes good what nothing before it in its couplet asks for (`strict`)."""
    return reading.variant.only_answers and (before is None or not before.variant.asks)
