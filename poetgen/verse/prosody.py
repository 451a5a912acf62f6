"""The judge: whether a poem keeps the rules of regular verse, and by what name it breaks them.

The tones are read by `metre`, as the line types that need the lightest faults. What a `Walk` of
`patterns` admits, the judge accepts, and the other way round.

A character with several readings is given the one that keeps the rule, of those that verse uses
(`RhymeBook.for_judging`), and one that the rhyme book does not know keeps every rule: the judge
accuses of what it can show.

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
from poetgen.verse.metre import Reading, is_needless, is_unanswered, read
from poetgen.verse.patterns import STYLES, Pattern, opposite, patterns_of
from poetgen.verse.phonology import OBLIQUE, RhymeBook, RhymeGroup, rhyme_book
from poetgen.verse.poem import is_han

BLEMISHES = ("重韵", "撞韵")
"""Faults that are named but break neither the tones nor the rhyme."""

OTHER_FORM = "其他"
"""The form of a poem that has none of the four shapes."""


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
    book = (book or rhyme_book()).for_judging
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
    path = read(tones, bool(first_foot & rhyme.near), bool(first_foot & rhyme.bit), style)
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
    """Whether a poem is level-rhymed verse of one of the four shapes, regular or not.

    The foot of every even line has a level reading, and the feet do not rhyme in an oblique tone
    instead: such verse is 古体 whatever its shape. Nothing else is asked; a candidate may be out
    of rhyme, and much of the short 古体 is among them. This is the denominator of the judge's
    measured agreement with real verse.
    """
    book = (book or rhyme_book()).for_judging
    if form_of(lines) is None:
        return False
    feet = [line[-1] for line in lines[1::2]]
    if OBLIQUE in book.tones("".join(feet)):
        return False
    shared = functools.reduce(int.__and__, map(book.mask, feet))
    return not shared or bool(shared & book.level_mask)


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
        if earlier != number and is_han(lines[number][-1]):  # Not a sign for a lost one.
            yield _foot(lines, number, "重韵", f"is the foot of line {earlier + 1} already")
    if rhyme.group is None:
        return
    for number in range(0, len(lines), 2):
        oblique = book.readings(lines[number][-1])
        # An entering tone ends in a stop in the classical book, and sounds like no level rhyme.
        if (
            number not in rhyming
            and oblique
            and all(g.tone in "上去仄" and g.family == rhyme.group.name for g in oblique)
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


def _tonal_faults(
    lines: Sequence[str], tones: Sequence[str], path: Sequence[Reading]
) -> list[Finding]:
    """What the reading of a poem leaves wrong, but for its rhyme."""
    found, in_joins = _join_faults(lines, tones, path)
    for number, reading in enumerate(path):
        line = tones[number]
        for name, place in reading.wrong:
            # A wrong second character is by its proper name a 失对 or 失粘.
            if place != 1 or number not in in_joins:
                why = f"is {line[place]} where the pattern has {opposite(line[place])}"
                found.append(_finding(lines, number, place, name, _WHY.get(name, why)))
        in_couplet = number % 2 == 1
        before = path[number - 1] if in_couplet else None
        after = None if in_couplet else path[number + 1]
        if is_unanswered(reading, after) or is_needless(before, reading):
            why = f"is {line[reading.departure]} (拗) and nothing makes it good (失救)"
            found.append(_finding(lines, number, reading.departure, "平仄", why))
        if number and reading.ends_level and not in_couplet:
            why = "ends a line that does not rhyme, and is level"
            found.append(_foot(lines, number, "白脚", why))
    return found


def _join_faults(
    lines: Sequence[str], tones: Sequence[str], path: Sequence[Reading]
) -> tuple[list[Finding], set[int]]:
    """失对 and 失粘, by the second characters as they are; and the lines that they are between."""
    seconds = [reading.second(line) for reading, line in zip(path, tones, strict=True)]
    found, in_joins = [], set()
    for number in range(1, len(lines)):
        in_couplet = number % 2 == 1
        if (seconds[number] == seconds[number - 1]) != in_couplet:
            continue
        in_joins |= {number - 1, number}
        # At the character that is wrong for its line; at the later one when the lines clash whole.
        earlier = (
            seconds[number] == path[number].variant.tones[1]
            and seconds[number - 1] != path[number - 1].variant.tones[1]
        )
        here, there = (number - 1, number) if earlier else (number, number - 1)
        name, relation = ("失对", "be opposed to") if in_couplet else ("失粘", "agree with")
        text = f"should {relation} {lines[there][1]} in line {there + 1} in tone"
        found.append(_finding(lines, here, 1, name, text))
    return found, in_joins


_WHY = {
    "孤平": "is 仄 and leaves the line one level character but for its foot",
    "三平尾": "is 平 and makes the last three level",
}


def _licences(lines: Sequence[str], path: Sequence[Reading]) -> list[Finding]:
    """The 拗救 that a poem takes, each at the character that makes good."""
    found = []
    for number, reading in enumerate(path):
        if reading.variant.licence == "本句救" and not reading.wrong:
            if reading.line_type == "B":
                text = f"makes good {lines[number][reading.third - 2]}, the first of the last five"
            else:
                text = f"and {lines[number][reading.third + 1]} after it trade tones"
            found.append(_finding(lines, number, reading.third, "本句救", text))
        before = path[number - 1]
        if number % 2 == 1 and before.variant.asks and reading.variant.answers:
            text = f"makes good {lines[number - 1][before.departure]} in line {number}"
            found.append(_finding(lines, number, reading.third, "对句救", text))
    return found


def _pattern_of(line_type: str, line_count: int, length: int) -> Pattern:
    """The pattern that begins with `line_type`."""
    return next(p for p in patterns_of(line_count, length) if p.types[0] == line_type)
