"""The tonal patterns of regular verse, as data, and what they allow at each place.

A regulated line is one of four types, named as in 王力《诗词格律》 by their last five characters; a
line of seven puts two before them. A capital ends level.

    a  仄仄平平仄      A  仄仄仄平平      b  平平平仄仄      B  平平仄仄平

Four sequences of types make every poem: within a couplet the second characters are opposed (对),
from one couplet to the next they agree (粘), even lines end level and rhyme, and of the odd lines
only the first may.

How far a line may leave its type is a style. `strict` is the textbook's pattern with its free
places; `loose` is 一三五不论, the odd places free, within the rules' own limits: no 孤平 (in B the
first character oblique and the third too), no 三平尾 (in A the third level). Both know the
standard licences (拗救):

* 本句救 in b: 平平仄平仄 for 平平平仄仄, the first character level;
* 本句救 in B: 仄平平仄平, the third character making good the first;
* 对句救: an oblique third or fourth character in a, made good by a level third in the B after it.
  (An oblique third alone is free in `loose`.)

A style is data: for each type its variants, each a string of 平 仄 中 with what it asks of the next
line or answers to the last. From these come, for each pattern, the couplets as whole strings; a
`Walk` over them tells a writer at each place which tones can still end well.

It knows nothing of characters, rhyme or faults.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from poetgen.errors import TemplateError
from poetgen.verse.phonology import EITHER, LEVEL, OBLIQUE

LINE_TYPES = {"a": "仄仄平平仄", "A": "仄仄仄平平", "b": "平平平仄仄", "B": "平平仄仄平"}
"""The textbook tones of the last five characters of each line type."""

SEQUENCES = ("aBbA", "ABbA", "bAaB", "BAaB")
"""The line types of a quatrain; an octave goes on with those of the first without its rhyme."""

STYLES = ("loose", "strict")
"""How far lines may leave the textbook, the default first."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way in which a line may keep its type.

    Attributes:
        tones: The line, of 平, 仄 and 中 (either).
        licence: The name of the licence that it takes, or "".
        asks: Whether the next line must answer it (对句救).
        answers: Whether it answers a line that asks.
        only_answers: Whether it is wrong unless the line before asks.
    """

    tones: str
    licence: str = ""
    asks: bool = False
    answers: bool = False
    only_answers: bool = False


# The free places of the textbook, and the licences both styles know.
_A = (Variant("中仄仄平平"),)
_STRICT = {
    "a": (
        Variant("中仄平平仄"),
        Variant("中仄仄平仄", "对句救", asks=True),
        Variant("中仄中仄仄", "对句救", asks=True),
    ),
    "A": _A,
    "b": (Variant("中平平仄仄"), Variant("平平仄平仄", "本句救")),
    "B": (
        Variant("平平仄仄平"),
        Variant("仄平平仄平", "本句救", answers=True),
        Variant("平平平仄平", "对句救", answers=True, only_answers=True),
    ),
}
_LOOSE = {
    "a": (Variant("中仄中平仄"), Variant("中仄中仄仄", "对句救", asks=True)),
    "A": _A,
    "b": (Variant("中平中仄仄"), Variant("平平仄平仄", "本句救")),
    "B": (
        Variant("平平仄仄平"),
        Variant("平平平仄平", answers=True),
        Variant("仄平平仄平", "本句救", answers=True),
    ),
}


@functools.cache
def variants(line_type: str, length: int, style: str) -> tuple[Variant, ...]:
    """The ways in which a line of `length` 5 or 7 may keep `line_type`, the plainest first.

    Raises:
        TemplateError: There is no such style, or regular verse has no lines of this length.
    """
    if style not in STYLES:
        raise TemplateError(
            f"no tonal style is called '{style}'", hint=f"the styles are {', '.join(STYLES)}"
        )
    if length not in (5, 7):
        raise TemplateError(
            f"no tonal pattern has lines of {length} characters", hint="lines have 5 or 7"
        )
    five = (_STRICT if style == "strict" else _LOOSE)[line_type]
    if length == 5:
        return five
    # The two more: the first is free in every type, the second is opposed to the fourth.
    before = EITHER + opposite(LINE_TYPES[line_type][1])
    return tuple(
        Variant(before + v.tones, v.licence, v.asks, v.answers, v.only_answers) for v in five
    )


def couplet(first: str, second: str, length: int, style: str) -> tuple[str, ...]:
    """The tones of a couplet of two line types: every legal pair of variants, end to end."""
    return tuple(
        one.tones + two.tones
        for one, two in product(variants(first, length, style), variants(second, length, style))
        # Nothing stands before the couplet to be answered, nor after it to answer.
        if not one.only_answers
        and not two.asks
        and (two.answers if one.asks else not two.only_answers)
    )


@dataclass(frozen=True, slots=True)
class Pattern:
    """One of the four tonal patterns, for poems of one shape.

    Attributes:
        types: The type of each line: `aBbA`.
        length: Characters in a line, 5 or 7.
    """

    types: str
    length: int

    @property
    def opening(self) -> str:
        """平起 or 仄起: the tone of the second character of the first line."""
        tones = variants(self.types[0], self.length, "strict")[0].tones
        return tones[1] + "起"

    @property
    def first_line_rhymes(self) -> bool:
        """Whether the first line ends level and rhymes."""
        return self.types[0].isupper()

    @property
    def name(self) -> str:
        """The textbook's name: 仄起首句不入韵."""
        return f"{self.opening}首句{'' if self.first_line_rhymes else '不'}入韵"

    @property
    def textbook(self) -> tuple[str, ...]:
        """The lines of the pattern without any freedom."""
        five = [LINE_TYPES[line_type] for line_type in self.types]
        if self.length == 5:
            return tuple(five)
        return tuple(2 * opposite(tones[1]) + tones for tones in five)

    def couplets(self, style: str) -> tuple[tuple[str, ...], ...]:
        """For each couplet its legal tones, as strings of 2 * `length` of 平, 仄 and 中."""
        return tuple(
            couplet(self.types[i], self.types[i + 1], self.length, style)
            for i in range(0, len(self.types), 2)
        )


def patterns_of(line_count: int, length: int) -> tuple[Pattern, ...]:
    """The four patterns of poems of `line_count` 4 or 8 lines of `length` 5 or 7 characters.

    Other shapes have none.
    """
    if line_count not in (4, 8) or length not in (5, 7):
        return ()
    more = {"a": "aBbA", "A": "aBbA", "b": "bAaB", "B": "bAaB"}
    return tuple(
        Pattern(types + (more[types[0]] if line_count == 8 else ""), length) for types in SEQUENCES
    )


@functools.lru_cache(maxsize=4096)
def nearest(pattern: Pattern, style: str, fixed: str = "") -> tuple[tuple[str, ...], ...]:
    """For each couplet of a pattern, the tones that clash least with characters that are fixed.

    Where something clashes they begin no 拗 either, which the line at fault could not make good.

    Args:
        pattern: The pattern.
        style: `loose` or `strict`.
        fixed: The tone at each place of the poem that is fixed, 中 where one is free or open;
            "" where none is fixed.
    """
    couplets = pattern.couplets(style)
    if not fixed:
        return couplets
    kept = []
    for number, ways in enumerate(couplets):
        here = fixed[2 * pattern.length * number :]
        clashes = [sum(not fits(*pair) for pair in zip(way, here, strict=False)) for way in ways]
        fewest = min(clashes)
        best = [way for way, n in zip(ways, clashes, strict=True) if n == fewest]
        if fewest:
            # In `loose`, the only style that writes around a clash, a 拗 is at an even place.
            book = "".join(pattern.textbook[2 * number : 2 * number + 2])
            even = [i for i in range(len(book)) if i % pattern.length % 2]
            best = [way for way in best if all(way[i] == book[i] for i in even)] or best
        kept.append(tuple(best))
    return tuple(kept)


# A pattern and the couplets of it that are still open: what one reading of a poem so far is.
_Open = tuple[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Walk:
    """The way through a poem, a character at a time, on every pattern still possible.

    Immutable, so that each of many drafts carries its own. A place is a character of the poem,
    counted from 0 through all lines. What it admits can always be completed: the patterns are
    whole couplets, so a character that would end in 孤平 or leave a 拗 unanswered is never
    admitted, and the next couplet depends on nothing but the pattern. Characters that are fixed
    ahead are met in the same way: of each couplet only the tones that fit them are there at all
    (where none fit, those that come nearest).

    Attributes:
        patterns: The patterns that the walk began with.
        style: `loose` or `strict`.
        place: Characters walked so far.
        open_couplets: (index of a pattern, its couplets that fit what was walked of the couplet).
        fixed: As in `nearest`. Step with 中 where a character is fixed.
    """

    patterns: tuple[Pattern, ...]
    style: str = STYLES[0]
    place: int = 0
    open_couplets: tuple[_Open, ...] = ()
    fixed: str = ""

    @property
    def _offset(self) -> int:
        return self.place % (2 * self.patterns[0].length)

    def _open(self) -> Iterator[_Open]:
        """The open couplets at `place`: at the head of a couplet, all of the next one."""
        if self._offset:
            yield from self.open_couplets
            return
        number = self.place // (2 * self.patterns[0].length)
        alive = [index for index, _ in self.open_couplets] if self.place else None
        for index, pattern in enumerate(self.patterns):
            if alive is None or index in alive:
                yield index, nearest(pattern, self.style, self.fixed)[number]

    def admissible(self) -> str:
        """Which tones the next character may have: 平, 仄, 中 for either, or "" for none."""
        tones = {couplet[self._offset] for _, couplets in self._open() for couplet in couplets}
        if EITHER in tones or len(tones) == 2:
            return EITHER
        return tones.pop() if tones else ""

    def step(self, tone: str) -> "Walk | None":
        """The walk after a character of `tone`, or None where no pattern admits it.

        A character of both readings (中) leaves open whatever either keeps open.
        """
        offset = self._offset
        open_couplets = []
        for index, couplets in self._open():
            fitting = tuple(c for c in couplets if fits(tone, c[offset]))
            if fitting:
                open_couplets.append((index, fitting))
        if not open_couplets:
            return None
        return Walk(self.patterns, self.style, self.place + 1, tuple(open_couplets), self.fixed)

    def alive(self) -> tuple[Pattern, ...]:
        """The patterns that what was walked still fits."""
        if not self.place:
            return self.patterns
        return tuple(self.patterns[index] for index, _ in self.open_couplets)


def fits(tone: str, wanted: str) -> bool:
    """Whether a character of `tone` may stand where `wanted` is called for; 中 fits all."""
    return tone == wanted or EITHER in (tone, wanted)


def opposite(tone: str) -> str:
    """仄 for 平 and 平 for 仄."""
    return OBLIQUE if tone == LEVEL else LEVEL
