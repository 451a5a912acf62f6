"""The judge: whether a poem keeps the rules of regular verse, and by what name it breaks them.

The judge reads a poem as the sequence of line types (see `patterns`) that needs the fewest and
lightest faults: the cheapest path through types and variants, line by line. A poem is regulated
when that path costs nothing. So one wrong character is one 平仄 and a couplet of the wrong kind is
one 失粘, rather than either being a dozen characters off a fixed template; and whatever a `Walk`
admits, the judge accepts.

A character with several readings is given the one that keeps the rule, and one that the rhyme
book does not know keeps every rule: the judge accuses of what it can show.

The faults, by their names in the handbooks:

    平仄    a character of the wrong tone, or a 拗 that nothing makes good
    孤平    a B line whose one level, its foot aside, is the second (of seven: the fourth)
    三平尾  the last three characters level
    失对    the second characters of a couplet's lines agree
    失粘    the second characters of neighbouring lines of two couplets disagree
    白脚    a line that does not rhyme ends level
    出韵    the foot of an even line is oblique or of another group
    重韵    a foot comes back as another foot
    撞韵    the foot of a line that does not rhyme sounds like the rhyme but for its tone

重韵 and 撞韵 are blemishes: great poets have them (撞韵: 王安石《泊船瓜洲》), so they are named but
do not make a poem unregulated or unrhymed.

It does not know about parallelism, meaning or 词.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from poetgen.verse.forms import form_of
from poetgen.verse.patterns import (
    LINE_TYPES,
    STYLES,
    Pattern,
    Variant,
    fits,
    opposite,
    patterns_of,
    variants,
)
from poetgen.verse.phonology import OBLIQUE, RhymeBook, RhymeGroup, rhyme_book

BLEMISHES = ("重韵", "撞韵")
"""Faults that are named but break neither the tones nor the rhyme."""

OTHER_FORM = "其他"
"""The form of a poem that has none of the four shapes."""

# What a fault weighs when readings of a poem are compared. A wrong tone at an even place (节奏点)
# is worse than the two limits on odd places; a foot or a join is worse than one wrong tone, or
# every wrong second character would be read as a line of another type.
_WEIGHT = {"平仄": 2, "孤平": 1, "三平尾": 1, "失对": 3, "失粘": 3, "白脚": 3, "出韵": 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault or a licence, and its place.

    Attributes:
        name: Its proper name: 平仄, 孤平, 拗救 …
        line: The line, from 1.
        position: The character in the line, from 1.
        character: The character there.
        message: One line of explanation.
    """

    name: str
    line: int
    position: int
    character: str
    message: str


@dataclass(frozen=True, slots=True)
class ProsodyReport:
    """What the judge says of a poem.

    Attributes:
        lines: The poem as judged.
        form: 五绝, 七绝, 五律, 七律, or 其他.
        tones: Each line's tone classes: 平, 仄, or 中 for either.
        pattern: The tonal pattern that it keeps or comes nearest to; None for other forms.
        rhyme_book: The name of the book that it is judged by.
        rhyme_group: The level group that all its feet, or most of them, stand in.
        feet: The lines that rhyme or should, from 1.
        regulated: Whether tones, joins and line ends keep the rules; None for other forms.
        rhymed: Whether every foot rhymes; None when the poem is not lines of one length in pairs.
        faults: Every fault in order of place, blemishes among them.
        licences: Every licence taken: 本句救, 对句救, 首句借韵.
    """

    lines: tuple[str, ...]
    form: str
    tones: tuple[str, ...]
    pattern: Pattern | None
    rhyme_book: str
    rhyme_group: RhymeGroup | None
    feet: tuple[int, ...]
    regulated: bool | None
    rhymed: bool | None
    faults: tuple[Finding, ...]
    licences: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Rhyme:
    """How the feet rhyme, before the tones are read."""

    group: RhymeGroup | None
    bit: int
    near: int  # The groups a first line may borrow from.
    off: tuple[int, ...]  # Even lines whose foot is not in the group, from 0.


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read a line: as a variant of a type, with what is wrong then."""

    line_type: str
    variant: Variant
    wrong: tuple[tuple[str, int], ...]  # (fault, place from 0)
    weight: int


def check(
    lines: Sequence[str], book: RhymeBook | None = None, style: str = STYLES[0]
) -> ProsodyReport:
    """Judge a poem.

    Args:
        lines: Its lines, without marks.
        book: The rhyme book to judge by; 平水韵 when not given.
        style: `loose` or `strict`; see `patterns`.

    Raises:
        TemplateError: There is no such style.
    """
    book = book or rhyme_book()
    lines = tuple(lines)
    tones = tuple(map(book.tones, lines))
    form = form_of(lines)
    rhyme = _rhyme(lines, book) if _in_pairs(lines) else None
    if form is None:
        off = () if rhyme is None else tuple(_out_of_rhyme(lines, tones, rhyme, book))
        return ProsodyReport(
            lines=lines,
            form=OTHER_FORM,
            tones=tones,
            pattern=None,
            rhyme_book=book.name,
            rhyme_group=rhyme.group if rhyme else None,
            feet=tuple(range(2, len(lines) + 1, 2)) if rhyme else (),
            regulated=None,
            rhymed=None if rhyme is None else not off,
            faults=off,
            licences=(),
        )
    assert rhyme is not None  # Every form has lines of one length, in pairs.
    first_foot = book.mask(lines[0][-1])
    path = _read(tones, bool(first_foot & rhyme.near), style)
    types = "".join(reading.line_type for reading in path)
    pattern = _pattern_of(types[0], form.line_count, form.line_length)
    tonal = _tonal_faults(lines, tones, path)
    first_rhymes = types[0].isupper() and bool(first_foot & rhyme.near)
    if types[0].isupper() and not first_rhymes:
        tonal.append(_foot(lines, 0, "白脚", "ends level and does not rhyme"))
    rhyming = (0, *range(1, len(lines), 2)) if first_rhymes else range(1, len(lines), 2)
    off = tuple(_out_of_rhyme(lines, tones, rhyme, book))
    faults = [*tonal, *off, *_blemishes(lines, book, rhyme, rhyming)]
    faults.sort(key=lambda fault: (fault.line, fault.position))
    licences = _licences(lines, path)
    if first_rhymes and not first_foot & rhyme.bit:
        borrowed = next(book.group_masks(first_foot & rhyme.near))
        text = f"borrows its rhyme from the neighbouring {borrowed.name}"
        licences.insert(0, _foot(lines, 0, "首句借韵", text))
    oblique_feet = any(types[i].islower() for i in range(1, len(types), 2))
    return ProsodyReport(
        lines=lines,
        form=form.name,
        tones=tones,
        pattern=pattern,
        rhyme_book=book.name,
        rhyme_group=rhyme.group,
        feet=tuple(i + 1 for i in rhyming),
        regulated=not tonal and not oblique_feet,
        rhymed=not off,
        faults=tuple(faults),
        licences=tuple(licences),
    )


def is_candidate(lines: Sequence[str], book: RhymeBook | None = None) -> bool:
    """Whether a poem can be meant as regular verse with a level rhyme.

    It has one of the four shapes, and the foot of every even line has a level reading. (Verse
    that rhymes in an oblique tone is 古体 whatever its shape.) This is the denominator of the
    judge's measured agreement with real verse.
    """
    book = book or rhyme_book()
    if form_of(lines) is None:
        return False
    return OBLIQUE not in book.tones("".join(line[-1] for line in lines[1::2]))


def _in_pairs(lines: Sequence[str]) -> bool:
    return len(lines) > 2 and len(lines) % 2 == 0 and len({len(line) for line in lines}) == 1


# Rhyme


def _rhyme(lines: Sequence[str], book: RhymeBook) -> _Rhyme:
    """The level group that most feet of even lines stand in, and the feet that do not."""
    numbers = range(1, len(lines), 2)
    feet = []
    for number in numbers:
        foot = lines[number][-1]
        groups = book.mask(foot)
        # A foot of which no rhyme is known is not accused, unless its tone is.
        known = groups or book.tones(foot) == OBLIQUE
        feet.append(groups & book.level_mask if known else book.level_mask)
    choice = functools.reduce(int.__and__, feet)
    if choice:
        choice = choice & book.mask(lines[0][-1]) or choice
    else:
        bits = [1 << i for i in range(len(book.groups)) if book.level_mask >> i & 1]
        choice = max(bits, key=lambda bit: sum(1 for foot in feet if foot & bit))
    bit = choice & -choice
    if not any(foot & bit for foot in feet):
        return _Rhyme(None, 0, 0, tuple(numbers))
    group = next(book.group_masks(bit))
    off = tuple(number for number, foot in zip(numbers, feet, strict=True) if not foot & bit)
    return _Rhyme(group, bit, book.near(group), off)


def _out_of_rhyme(
    lines: Sequence[str], tones: Sequence[str], rhyme: _Rhyme, book: RhymeBook
) -> Iterator[Finding]:
    for number in rhyme.off:
        foot = lines[number][-1]
        if tones[number][-1] == OBLIQUE:
            yield _foot(lines, number, "出韵", "is oblique where the poem rhymes level")
        elif rhyme.group is not None:
            level = book.group_masks(book.mask(foot) & book.level_mask)
            groups = " and ".join(group.name for group in level)
            text = f"is of {groups}, not of {rhyme.group.name} like the other feet"
            yield _foot(lines, number, "出韵", text)


def _blemishes(
    lines: Sequence[str], book: RhymeBook, rhyme: _Rhyme, rhyming: Sequence[int]
) -> Iterator[Finding]:
    """重韵 and 撞韵."""
    first_use: dict[str, int] = {}
    for number in rhyming:
        earlier = first_use.setdefault(lines[number][-1], number)
        if earlier != number:
            yield _foot(lines, number, "重韵", f"is the foot of line {earlier + 1} already")
    if rhyme.group is None:
        return
    for number in range(0, len(lines), 2):
        oblique = book.readings(lines[number][-1])
        # An entering tone ends in a stop in the classical book, and sounds like no level rhyme.
        if (
            number not in rhyming
            and oblique
            and all(g.tone in "上去" and g.family == rhyme.group.name for g in oblique)
        ):
            text = f"sounds like the rhyme {rhyme.group.name} but for its tone"
            yield _foot(lines, number, "撞韵", text)


def _foot(lines: Sequence[str], number: int, name: str, message: str) -> Finding:
    """A finding at the last character of a line counted from 0."""
    return _finding(lines, number, len(lines[number]) - 1, name, message)


def _finding(lines: Sequence[str], number: int, place: int, name: str, message: str) -> Finding:
    character = lines[number][place]
    return Finding(name, number + 1, place + 1, character, f"{character} {message}")


# Tones


@functools.cache
def _readings(tones: str, style: str) -> tuple[_Reading, ...]:
    """Every way to read a line that ends as it must, the lightest first.

    There are at most 3^7 strings of tones, so nearly every line is a look-up.
    """
    found = []
    for line_type, textbook in LINE_TYPES.items():
        if not fits(tones[-1], textbook[-1]):
            continue
        for variant in variants(line_type, len(tones), style):
            wrong = tuple(
                (_fault_at(line_type, place - len(tones) + 5), place)
                for place, (tone, wanted) in enumerate(zip(tones, variant.tones, strict=True))
                if not fits(tone, wanted)
            )
            weight = sum(_WEIGHT[name] for name, _ in wrong)
            found.append(_Reading(line_type, variant, wrong, weight))
    return tuple(sorted(found, key=lambda reading: reading.weight))


def _fault_at(line_type: str, place: int) -> str:
    """The name of a wrong tone at `place` of the last five (negative: before them)."""
    return {("B", 0): "孤平", ("A", 2): "三平尾"}.get((line_type, place), "平仄")


def _read(tones: Sequence[str], first_may_rhyme: bool, style: str) -> list[_Reading]:
    """The reading of a poem with the lightest faults: the cheapest path, line by line (Viterbi).

    Args:
        tones: Each line's tone classes.
        first_may_rhyme: Whether the first foot has a reading in or near the rhyme group.
        style: `loose` or `strict`.
    """
    # For each reading of the line in hand: the weight of the cheapest path to it, and the path.
    paths: list[tuple[int, list[_Reading]]] = [(0, [])]
    for number, line in enumerate(tones):
        now = []
        for reading in _readings(line, style):
            weight, before = min(
                (
                    (weight + sum(_WEIGHT[f] for f, _, _ in _joins(path, reading, number)), path)
                    for weight, path in paths
                ),
                key=_weight,
            )
            if not _may_end(reading.line_type, number, first_may_rhyme):
                weight += _WEIGHT["白脚"]
            now.append((weight + reading.weight, [*before, reading]))
        paths = now
    return min(
        ((weight + 2 * path[-1].variant.asks, path) for weight, path in paths), key=_weight
    )[1]


def _weight(path: tuple[int, list[_Reading]]) -> int:
    return path[0]


def _may_end(line_type: str, number: int, first_may_rhyme: bool) -> bool:
    """Whether a line of this type may stand at `number`: even lines rhyme, odd ones do not."""
    if line_type.isupper():
        return number % 2 == 1 or (number == 0 and first_may_rhyme)
    return number % 2 == 0


def _joins(path: Sequence[_Reading], reading: _Reading, number: int) -> list[tuple[str, int, int]]:
    """What is wrong between a line and the line before it: (fault, line, place), from 0."""
    before = path[-1] if path else None
    found = []
    in_couplet = number % 2 == 1
    asked = before is not None and before.variant.asks
    if before is not None and asked and not (in_couplet and reading.variant.answers):
        found.append(("平仄", number - 1, _departure(before)))
    if reading.variant.only_answers and not (in_couplet and asked):
        found.append(("平仄", number, _departure(reading)))
    if before is not None:
        same = LINE_TYPES[before.line_type][1] == LINE_TYPES[reading.line_type][1]
        if same == in_couplet:
            found.append(("失对" if in_couplet else "失粘", number, 1))
    return found


def _departure(reading: _Reading) -> int:
    """The last place where a variant leaves the textbook's tones, from 0."""
    tones = reading.variant.tones
    textbook = LINE_TYPES[reading.line_type]
    return max(
        (
            len(tones) - 5 + place
            for place in range(5)
            if not fits(tones[len(tones) - 5 + place], textbook[place])
        ),
        default=0,
    )


def _tonal_faults(
    lines: Sequence[str], tones: Sequence[str], path: Sequence[_Reading]
) -> list[Finding]:
    """What the reading of a poem leaves wrong, but for its rhyme."""
    found = []
    for number, reading in enumerate(path):
        for name, place in reading.wrong:
            found.append(_finding(lines, number, place, name, _why(name, tones[number][place])))
        for name, line, place in _joins(path[:number], reading, number):
            if name == "平仄":
                text = f"is {tones[line][place]} (拗) and nothing makes it good (失救)"
            elif name == "失对":
                text = f"should be opposed in tone to {lines[line - 1][1]} in line {line}"
            else:
                text = f"should agree in tone with {lines[line - 1][1]} in line {line}"
            found.append(_finding(lines, line, place, name, text))
        if number and number % 2 == 0 and reading.line_type.isupper():
            text = "ends a line that does not rhyme, and is level"
            found.append(_foot(lines, number, "白脚", text))
    return found


def _why(name: str, tone: str) -> str:
    if name == "孤平":
        return "is 仄 and leaves the line one level character but for its foot"
    if name == "三平尾":
        return "is 平 and makes the last three level"
    return f"is {tone} where the pattern has {opposite(tone)}"


def _licences(lines: Sequence[str], path: Sequence[_Reading]) -> list[Finding]:
    """The 拗救 of a poem that are taken: the place that makes good, and what it makes good."""
    found = []
    for number, reading in enumerate(path):
        if reading.variant.licence == "本句救" and not reading.wrong:
            place = len(lines[number]) - 5 + (0 if reading.line_type == "b" else 2)
            text = "keeps the balance in its own line (拗救)"
            found.append(_finding(lines, number, place, "本句救", text))
        if reading.variant.answers and number and path[number - 1].variant.asks:
            place = len(lines[number]) - 3
            text = f"makes good {lines[number - 1][_departure(path[number - 1])]} in the line before"
            found.append(_finding(lines, number, place, "对句救", text))
    return found


def _pattern_of(line_type: str, line_count: int, length: int) -> Pattern:
    """The pattern that begins with `line_type`."""
    return next(p for p in patterns_of(line_count, length) if p.types[0] == line_type)
