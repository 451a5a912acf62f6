"""What the rules of regular verse leave open at each place: tones, and what the feet rhyme with.

Rules are asked for in a request and compiled here against the characters that it fixes. Each
particle then carries its own `Standing`: the tonal patterns that it can still keep and the rhyme
groups that it can still rhyme in. What is fixed ahead is in both from the start, so no particle
runs into a head that it cannot meet.

A `Standing` always has a way on, so nothing here searches or steps back: no particle dies of the
rules, whatever the model says. A `Walk` sees to that for the tones; and a rhyme group is open only
if the vocabulary has as many characters as the poem has feet that are level in that group and no
other, and an oblique one that does not jar with it.

What is written so, the judge (`poetgen.verse.prosody`) finds without fault.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from poetgen.errors import TemplateError
from poetgen.verse.patterns import Pattern, Walk, fits, nearest, opposite, patterns_of
from poetgen.verse.phonology import EITHER, OBLIQUE
from poetgen.writing.lexicon import Ids, Mask
from poetgen.writing.request import AUTO, Request
from poetgen.writing.sounds import Groups, Sounds

_MOST_TOLD = 3
"""Clashes that one message tells."""


@dataclass(frozen=True, slots=True)
class Clash:
    """A fixed character that breaks a rule whatever is written around it.

    Attributes:
        line: Its line, from 0.
        place: Its place in the line, from 0.
        character: The character.
        message: What is wrong with it.
    """

    line: int
    place: int
    character: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line + 1}, character {self.place + 1}: {self.character} {self.message}"


@dataclass(frozen=True, slots=True)
class _Aim:
    """A pattern and a rhyme group that a poem could have, and what clashes with them."""

    pattern: Pattern
    group: int
    clashes: tuple[Clash, ...]


class _Way:
    """A walk, and where it leads: each walk is there once, so that it is worked out once."""

    def __init__(self, walk: Walk, known: dict[Walk, _Way]) -> None:
        self.walk = walk
        self._known = known
        self._after: dict[str, _Way | None] = {}

    def after(self, tones: str) -> _Way | None:
        """The way on after characters of these tones, or None where there is none."""
        if tones not in self._after:
            walk: Walk | None = self.walk
            for tone in tones:
                walk = walk and walk.step(tone)
            way = _Way(walk, self._known) if walk else None
            self._after[tones] = self._known.setdefault(way.walk, way) if way else None
        return self._after[tones]

    @functools.cached_property
    def first_line_rhymes(self) -> bool:
        """Whether the first line, if it ends here, has to rhyme.

        Its foot may be read either way and leave open both kinds of pattern. Then it has to,
        since what follows may yet close one of them.
        """
        return any(pattern.first_line_rhymes for pattern in self.walk.alive())


@dataclass(frozen=True, slots=True)
class Rhyme:
    """What the feet so far leave open, as bits of rhyme groups.

    Attributes:
        groups: Those that the poem can rhyme in.
        shared: Those that all even feet have a reading in, the fixed ones ahead included. Of
            these the judge takes the poem's rhyme: the first that the first foot has too, or else
            the first.
        first_foot: Those that the foot of the first line has a reading in.
    """

    groups: int
    shared: int
    first_foot: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a particle stands under the rules.

    Attributes:
        way: The tones so far, and those that may follow.
        rhyme: The rhyme so far.
        feet: The feet so far, and the fixed ones ahead: none may come again (重韵).
    """

    way: _Way
    rhyme: Rhyme
    feet: str


class Regulation:
    """The rules of one request, compiled: what may follow wherever a particle stands.

    Attributes:
        clashes: What is fixed and breaks a rule in the pattern and the group that come nearest.
    """

    def __init__(self, request: Request, sounds: Sounds) -> None:
        """Compile the rules.

        Raises:
            TemplateError: The form has no rules; or, with strict tones, what is fixed breaks a
                rule in every pattern and every group; or the vocabulary cannot rhyme the poem.
                Or as `Request.layout`.
        """
        self._rules = request.rules
        self._form = request.form
        self._is_continuation = bool(request.first_lines)
        self._sounds = sounds
        self._book = sounds.book
        self._lines = [line.glyphs for line in request.layout()]
        self._length = request.form.line_length
        self._glyphs = [glyph for line in self._lines for glyph in line]
        self._fixed = "".join(self._book.tones(g) if g else EITHER for g in self._glyphs)
        self._feet = [line[-1] for line in self._lines]
        self._last_free_foot = max((n for n in self._even if not self._feet[n]), default=0)
        patterns = patterns_of(len(self._lines), self._length)
        if not patterns:
            raise TemplateError(
                f"{request.form} has no rules of tone and rhyme", hint="ask for --tones off"
            )

        self._first_foot = self._book.mask(self._feet[0] or "") & self._book.level_mask
        fixed_feet = [foot for n in self._even if (foot := self._feet[n])]
        shared = functools.reduce(
            int.__and__, map(sounds.judged, fixed_feet), self._book.level_mask
        )
        aims = self._best_aims(patterns, self._groups(shared))
        self.clashes = aims[0].clashes
        if self.clashes and self._rules.tones == "strict":
            raise self._refusal(aims[0])
        groups = functools.reduce(int.__or__, (aim.group for aim in aims))
        alive = {aim.pattern for aim in aims}
        walk = Walk(
            tuple(filter(alive.__contains__, patterns)), self._rules.tones, fixed=self._fixed
        )
        self._start = Standing(
            _Way(walk, {}),
            Rhyme(groups, shared, self._first_foot),
            "".join(self._feet[n] or "" for n in (0, *self._even)),
        )
        self._masks: dict[Hashable, Mask] = {}

    @property
    def _even(self) -> range:
        """The lines that rhyme, but for the first."""
        return range(1, len(self._lines), 2)

    def start(self) -> Standing:
        """Before the first character."""
        return self._start

    def allowed(self, standing: Standing) -> Mask:
        """Which tokens the rules allow next: (V,) bool, to be left unchanged.

        Where characters are fixed, it is for the caller to see that a token has them.
        """
        number, offset = divmod(standing.way.walk.place, self._length)
        left = self._length - offset
        lexicon = self._sounds.lexicon
        ends_line = left <= lexicon.longest and self._feet[number] is None
        key = (standing.way, standing.rhyme) if ends_line else standing.way
        mask = self._masks.get(key)
        if mask is None:
            mask = self._masks[key] = self._allowed(standing, number, left, ends_line)
        if ends_line and _is_rhyming_place(number):
            mask = mask.copy()
            for foot in standing.feet:
                mask[lexicon.having(foot, left - 1)] = False
        return mask

    def advance(self, standing: Standing, token: int) -> Standing:
        """Where a particle stands after a token that is allowed."""
        place = standing.way.walk.place
        tones = self._sounds.tones[self._sounds.tones_of[token]]
        way = standing.way.after(self._free(tones, place))
        assert way is not None
        number, end = divmod(place + len(tones), self._length)
        if end:
            return Standing(way, standing.rhyme, standing.feet)
        number -= 1
        rhyme = standing.rhyme
        if self._feet[number] is None:
            groups, shared, first_foot = (
                int(array[0]) for array in self._rhyme_after(rhyme, number, way, np.array([token]))
            )
            foot = self._sounds.lexicon.vocabulary.tokens[token][-1]
            feet = standing.feet + (foot if _is_rhyming_place(number) else "")
            return Standing(way, Rhyme(groups, shared, first_foot), feet)
        if number == 0:
            groups = rhyme.groups & self._groups_beside_first_foot(way.first_line_rhymes)
            rhyme = Rhyme(groups or rhyme.groups, rhyme.shared, rhyme.first_foot)
        return Standing(way, rhyme, standing.feet)

    def _free(self, tones: str, place: int) -> str:
        """Tones of a token at `place`, 中 where a character is fixed: a `Walk` has met it."""
        glyphs = self._glyphs[place : place + len(tones)]
        return "".join(EITHER if g else tone for tone, g in zip(tones, glyphs, strict=True))

    def _allowed(self, standing: Standing, number: int, left: int, ends_line: bool) -> Mask:
        """`allowed`, without 重韵. `left` places are left in line `number`."""
        place = standing.way.walk.place
        ways = [
            standing.way.after(self._free(tones, place)) if 0 < len(tones) <= left else None
            for tones in self._sounds.tones
        ]
        tones_of = self._sounds.tones_of
        mask: Mask = np.array([way is not None for way in ways])[tones_of]
        if not ends_line:
            return mask
        lengths = [len(tones) for tones in self._sounds.tones]
        for way in dict.fromkeys(ways):
            if way is not None:
                ends = [w is way and n == left for w, n in zip(ways, lengths, strict=True)]
                tokens = np.flatnonzero(np.array(ends)[tones_of])
                after = self._rhyme_after(standing.rhyme, number, way, tokens)
                mask[tokens] = self._can_end(number, *after)
        return mask

    def _rhyme_after(
        self, rhyme: Rhyme, number: int, way: _Way, tokens: Ids
    ) -> tuple[Groups, Groups, Groups]:
        """The fields of the rhyme after each of k tokens that end line `number`: (k,) each."""
        sounds = self._sounds
        readings = sounds.readings[tokens]
        groups = np.full_like(readings, rhyme.groups)
        shared = np.full_like(readings, rhyme.shared)
        first_foot = np.full_like(readings, rhyme.first_foot)
        if number % 2:
            return groups & sounds.rhymes[tokens], shared & readings, first_foot
        if number == 0:
            first_foot = readings
        if number == 0 and way.first_line_rhymes:
            return groups & sounds.borrows[tokens], shared, first_foot
        return groups & ~sounds.jars[tokens], shared, first_foot

    def _groups_beside_first_foot(self, rhymes: bool) -> int:
        """The groups that a poem can have with the first foot that is fixed."""
        if rhymes:
            return self._sounds.near(self._first_foot)
        return ~self._sounds.sounds_like(self._feet[0] or "")

    def _can_end(self, number: int, groups: Groups, shared: Groups, first_foot: Groups) -> Mask:
        """Where line `number` can end with this rhyme: (k,) bool of (k,) each."""
        if number >= self._last_free_foot and not self.clashes:
            # All even feet are settled: the group that the judge will take must be one of them.
            groups = groups & _chosen(shared, first_foot)
        can: Mask = groups != 0
        return can

    def _groups(self, shared: int) -> list[int]:
        """The groups to think of: those asked for, in which the free feet can rhyme.

        Args:
            shared: The groups that the fixed even feet have in common.
        """
        wanted = self._book.level_mask
        if self._rules.rhyme != AUTO:
            wanted = 1 << self._book.groups.index(self._book.group_named(self._rules.rhyme))
        sounds = self._sounds
        if self._last_free_foot:
            enough = len(self._even) + 1
            found = [
                group
                for group, count in sounds.plenty.items()
                if group & wanted & sounds.quiet and count >= enough
            ]
        else:
            taken = _chosen(*np.array([[shared], [self._first_foot]], np.uint64))
            wanted = int(taken[0]) & wanted or wanted
            found = [group for group in sounds.plenty if group & wanted & sounds.quiet]
        if not found or not any(sounds.plenty.values()):
            group = "" if self._rules.rhyme == AUTO else f" in {self._rules.rhyme}"
            raise TemplateError(
                f"this model knows too few characters that rhyme{group} by {self._book.name} "
                f"for {self._form}",
                hint="ask for another --rhyme, or --tones off, or use another model",
            )
        return found

    def _best_aims(self, patterns: Sequence[Pattern], groups: Sequence[int]) -> list[_Aim]:
        """The patterns and groups with the fewest clashes, of those asked for."""
        rules = self._rules
        aims = []
        for pattern in patterns:
            if rules.pattern not in (AUTO, pattern.opening):
                continue
            if rules.first_line_rhymes not in (AUTO, "yes" if pattern.first_line_rhymes else "no"):
                continue
            always = (*self._tonal_clashes(pattern), *self._repeated_feet())
            aims += [
                _Aim(pattern, group, (*always, *self._rhyme_clashes(pattern, group)))
                for group in groups
            ]
        fewest = min(len(aim.clashes) for aim in aims)
        best = [aim for aim in aims if len(aim.clashes) == fewest]
        if not self._last_free_foot:
            return best
        # Rather a group in which the habits of verse, too, always leave something to write.
        many = len(self._even) + 1 + 2 * self._length
        return [aim for aim in best if self._sounds.plenty[aim.group] >= many] or best

    def _tonal_clashes(self, pattern: Pattern) -> Iterator[Clash]:
        nearest_couplets = nearest(pattern, self._rules.tones, self._fixed)
        wanted = "".join(couplets[0] for couplets in nearest_couplets)
        for place, (tone, asked) in enumerate(zip(self._fixed, wanted, strict=True)):
            if not fits(tone, asked):
                yield self._clash(
                    *divmod(place, self._length),
                    f"is {tone} where {pattern.name} has {opposite(tone)}",
                )

    def _repeated_feet(self) -> Iterator[Clash]:
        first_use: dict[str, int] = {}
        for number in (0, *self._even):
            foot = self._feet[number]
            if foot and number == 0 and self._book.tones(foot) == OBLIQUE:
                continue  # It cannot be taken for a rhyme.
            if foot and first_use.setdefault(foot, number) != number:
                message = f"is the foot of line {first_use[foot] + 1} already"
                yield self._clash(number, self._length - 1, message)

    def _rhyme_clashes(self, pattern: Pattern, group: int) -> Iterator[Clash]:
        """What clashes with the rhyme alone. (A foot of the wrong tone clashes already.)"""
        sounds = self._sounds
        name = next(self._book.group_masks(group)).name
        for number, foot in enumerate(self._feet):
            if foot is None:
                continue
            if number % 2 or (number == 0 and pattern.first_line_rhymes):
                meets = sounds.judged(foot) if number else sounds.near(self._first_foot)
                if not meets & group and self._book.tones(foot) != OBLIQUE:
                    readings = " and ".join(g.name for g in self._book.readings(foot) if g.is_level)
                    message = f"is of {readings or 'no group'} and does not rhyme in {name}"
                    yield self._clash(number, self._length - 1, message)
            elif sounds.sounds_like(foot) & group:
                message = f"sounds like the rhyme {name} in a line that does not rhyme"
                yield self._clash(number, self._length - 1, message)

    def _clash(self, line: int, place: int, message: str) -> Clash:
        return Clash(line, place, self._glyphs[line * self._length + place] or "", message)

    def _refusal(self, aim: _Aim) -> TemplateError:
        told = "; ".join(str(clash) for clash in aim.clashes[:_MOST_TOLD])
        more = len(aim.clashes) - _MOST_TOLD
        asked = [
            flag
            for flag, value in (
                ("--pattern", self._rules.pattern),
                ("--first-line-rhymes", self._rules.first_line_rhymes),
                ("--rhyme", self._rules.rhyme),
            )
            if value != AUTO
        ]
        ways = [f"leave {' and '.join(asked)} to auto"] if asked else []
        ways.append(
            "change what clashes" + ("" if self._is_continuation else ", move it with --at")
        )
        return TemplateError(
            f"no poem keeps every rule with what is asked for. {told}"
            + (f"; and {more} more" if more > 0 else ""),
            hint=", ".join(ways) + ", or write it with its faults: --tones loose",
        )


def _is_rhyming_place(number: int) -> bool:
    """Whether line `number` has a rhyming foot in some pattern."""
    return number % 2 == 1 or number == 0


def _chosen(shared: Groups, first_foot: Groups) -> Groups:
    """Which of the groups that the even feet share the judge takes: the first of the likeliest."""
    both = shared & first_foot
    choice = np.where(both, both, shared)
    lowest: Groups = choice & (~choice + np.uint64(1))
    return lowest
