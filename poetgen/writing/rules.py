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
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from poetgen.verse.patterns import Walk
from poetgen.verse.phonology import EITHER
from poetgen.writing.aims import Aims, judges_choice
from poetgen.writing.lexicon import Ids, Mask
from poetgen.writing.request import Request
from poetgen.writing.sounds import Groups, Sounds


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
        self._sounds = sounds
        self._aims = aims = Aims(request, sounds)
        self._first_line_must_rhyme = request.rules.first_line_rhymes == "yes"
        self.clashes = aims.best[0].clashes
        if self.clashes and request.rules.tones == "strict":
            raise aims.refusal()
        groups = functools.reduce(int.__or__, (aim.group for aim in aims.best))
        patterns = tuple(dict.fromkeys(aim.pattern for aim in aims.best))
        self._start = Standing(
            _Way(Walk(patterns, request.rules.tones, fixed=aims.tones), {}),
            Rhyme(groups, aims.shared, aims.first_foot),
            "".join(aims.feet[number] or "" for number in (0, *aims.even)),
        )
        self._masks: dict[Hashable, Mask] = {}

    def start(self) -> Standing:
        """Before the first character."""
        return self._start

    def allowed(self, standing: Standing) -> Mask:
        """Which tokens the rules allow next: (V,) bool, to be left unchanged.

        Where characters are fixed, it is for the caller to see that a token has them.
        """
        number, offset = divmod(standing.way.walk.place, self._aims.length)
        left = self._aims.length - offset
        lexicon = self._sounds.lexicon
        ends_line = left <= lexicon.longest and self._aims.feet[number] is None
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
        number, end = divmod(place + len(tones), self._aims.length)
        if end:
            return Standing(way, standing.rhyme, standing.feet)
        number -= 1
        rhyme = standing.rhyme
        if self._aims.feet[number] is None:
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
        glyphs = self._aims.glyphs[place : place + len(tones)]
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
        if number == 0 and self._first_line_must_rhyme:
            # A foot that can be read oblique may be taken for one that does not rhyme.
            sure = [
                n < left or t[-1:] != EITHER
                for t, n in zip(self._sounds.tones, lengths, strict=True)
            ]
            surely_rhyming: Mask = mask & np.array(sure)[tones_of]
            return surely_rhyming if surely_rhyming.any() else mask
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
            return self._sounds.near(self._aims.first_foot)
        return ~self._sounds.sounds_like(self._aims.feet[0] or "")

    def _can_end(self, number: int, groups: Groups, shared: Groups, first_foot: Groups) -> Mask:
        """Where line `number` can end with this rhyme: (k,) bool of (k,) each."""
        if number >= self._aims.last_free_foot and not self.clashes:
            # All even feet are settled: the group that the judge will take must be one of them.
            groups = groups & judges_choice(shared, first_foot)
        can: Mask = groups != 0
        return can


def _is_rhyming_place(number: int) -> bool:
    """Whether line `number` has a rhyming foot in some pattern."""
    return number % 2 == 1 or number == 0
