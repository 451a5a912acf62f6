"""What a request fixes, and which tonal patterns and rhyme groups that leaves to a poem.

An aim is a pattern and a group together. Every one is held against what is fixed, and those with
the fewest clashes stay, of these those with the lightest: none, where the rules can be kept. Where
they cannot, the clashes say which character is in the way, and of what.

It knows what is asked for and how the tokens sound; nothing of the writing itself.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from poetgen.errors import TemplateError
from poetgen.verse.patterns import Pattern, fits, nearest, opposite, patterns_of
from poetgen.verse.phonology import EITHER, OBLIQUE
from poetgen.writing.asked import AUTO
from poetgen.writing.request import Request
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
class Aim:
    """A pattern and a rhyme group that a poem could have, and what clashes with them."""

    pattern: Pattern
    group: int
    clashes: tuple[Clash, ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the rules leave to a poem before it is written.

    Attributes:
        patterns: The tonal patterns that it can have; those that come nearest where something
            clashes. None where there are no rules.
        groups: The names of the rhyme groups that it can rhyme in, or that come nearest.
        clashes: What is fixed and breaks a rule in each of them, for one of them.
    """

    patterns: tuple[Pattern, ...] = ()
    groups: tuple[str, ...] = ()
    clashes: tuple[Clash, ...] = ()


class Aims:
    """What is fixed in a poem, and what it can aim at.

    Attributes:
        length: Characters in a line.
        glyphs: For each place of the poem the glyph that stands there, or None.
        tones: For each place the tone of that glyph; 中 for both, unknown, or none.
        feet: For each line the glyph at its end, or None.
        even: The lines that rhyme, but for the first.
        last_free_foot: The last of these with a free foot; 0 for none.
        shared: The groups that all fixed feet of these have a reading in.
        first_foot: The groups that the fixed foot of the first line has a reading in.
        best: The aims with the fewest clashes, all with equally many and equally grave ones.
    """

    def __init__(self, request: Request, sounds: Sounds) -> None:
        """Find the aims.

        Raises:
            TemplateError: The form has no rules, or the vocabulary cannot rhyme the poem. Or as
                `Request.layout`.
        """
        self._request = request
        self._rules = request.rules
        self._sounds = sounds
        self._book = sounds.book
        lines = [line.glyphs for line in request.layout()]
        self.length = request.form.line_length
        self.glyphs = [glyph for line in lines for glyph in line]
        self.tones = "".join(self._book.tones(glyph) if glyph else EITHER for glyph in self.glyphs)
        self.feet = [line[-1] for line in lines]
        self.even = range(1, len(lines), 2)
        self.last_free_foot = max((n for n in self.even if not self.feet[n]), default=0)
        self.first_foot = self._book.mask(self.feet[0] or "") & self._book.level_mask
        fixed_feet = [foot for n in self.even if (foot := self.feet[n])]
        self.shared = functools.reduce(
            int.__and__, map(sounds.judged, fixed_feet), self._book.level_mask
        )
        patterns = patterns_of(len(lines), self.length)
        if not patterns:
            raise TemplateError(
                f"{request.form} has no rules of tone and rhyme", hint="ask for --tones off"
            )
        self.best = self._best(patterns)

    def outlook(self) -> Outlook:
        """What they leave to the poem."""
        groups = functools.reduce(int.__or__, (aim.group for aim in self.best))
        return Outlook(
            tuple(dict.fromkeys(aim.pattern for aim in self.best)),
            tuple(group.name for group in self._book.group_masks(groups)),
            self.best[0].clashes,
        )

    def refusal(self) -> TemplateError:
        """Why no poem can keep every rule."""
        clashes = self.best[0].clashes
        told = "; ".join(str(clash) for clash in clashes[:_MOST_TOLD])
        more = len(clashes) - _MOST_TOLD
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
            "change what clashes" + ("" if self._request.first_lines else ", move it with --at")
        )
        return TemplateError(
            f"no poem keeps every rule with what is asked for. {told}"
            + (f"; and {more} more" if more > 0 else ""),
            hint=", ".join(ways) + ", or write it with its faults: --tones loose",
        )

    def _best(self, patterns: tuple[Pattern, ...]) -> list[Aim]:
        """The patterns and groups with the fewest clashes, of those asked for."""
        rules = self._rules
        groups = self._groups()
        aims = []
        for pattern in patterns:
            if rules.pattern not in (AUTO, pattern.opening):
                continue
            if rules.first_line_rhymes not in (AUTO, "yes" if pattern.first_line_rhymes else "no"):
                continue
            always = (*self._tonal_clashes(pattern), *self._repeated_feet())
            aims += [
                Aim(pattern, group, (*always, *self._rhyme_clashes(pattern, group)))
                for group in groups
            ]
        nearest_of_all = min(map(self._distance, aims))
        best = [aim for aim in aims if self._distance(aim) == nearest_of_all]
        if not self.last_free_foot:
            return best
        # Rather a group in which the habits of verse, too, always leave something to write.
        many = len(self.even) + 1 + 2 * self.length
        return [aim for aim in best if self._sounds.plenty[aim.group] >= many] or best

    def _distance(self, aim: Aim) -> tuple[int, int]:
        """How far an aim is from what is fixed: how many clashes, and how grave they are.

        As for the judge, a foot is worse than an even place, and that than an odd one: a 三平尾 is
        a lesser fault than a line that ends wrong.
        """
        places = [clash.place for clash in aim.clashes]
        return len(places), sum(3 if p == self.length - 1 else 1 + p % 2 for p in places)

    def _groups(self) -> list[int]:
        """The groups to think of: those asked for, in which the free feet can rhyme."""
        wanted = self._book.level_mask
        if self._rules.rhyme != AUTO:
            wanted = 1 << self._book.groups.index(self._book.group_named(self._rules.rhyme))
        sounds = self._sounds
        if self.last_free_foot:
            enough = len(self.even) + 1
            found = [
                group
                for group, count in sounds.plenty.items()
                if group & wanted & sounds.quiet and count >= enough
            ]
        else:
            taken = judges_choice(*np.array([[self.shared], [self.first_foot]], np.uint64))
            wanted = int(taken[0]) & wanted or wanted
            found = [group for group in sounds.plenty if group & wanted & sounds.quiet]
        if not found or not any(sounds.plenty.values()):
            group = "" if self._rules.rhyme == AUTO else f" in {self._rules.rhyme}"
            raise TemplateError(
                f"this model knows too few characters that rhyme{group} by {self._book.name} "
                f"for {self._request.form}",
                hint="ask for another --rhyme, or --tones off, or use another model",
            )
        return found

    def _tonal_clashes(self, pattern: Pattern) -> Iterator[Clash]:
        nearest_couplets = nearest(pattern, self._rules.tones, self.tones)
        wanted = "".join(couplets[0] for couplets in nearest_couplets)
        for place, (tone, asked) in enumerate(zip(self.tones, wanted, strict=True)):
            if not fits(tone, asked):
                yield self._clash(
                    *divmod(place, self.length),
                    f"is {tone} where {pattern.name} has {opposite(tone)}",
                )

    def _repeated_feet(self) -> Iterator[Clash]:
        """重韵. A first foot that could be read level counts, whatever the pattern."""
        first_use: dict[str, int] = {}
        for number in (0, *self.even):
            foot = self.feet[number]
            if foot and first_use.setdefault(foot, number) != number:
                message = f"is the foot of line {first_use[foot] + 1} already"
                yield self._clash(number, self.length - 1, message)

    def _rhyme_clashes(self, pattern: Pattern, group: int) -> Iterator[Clash]:
        """What clashes with the rhyme alone. (A foot of the wrong tone clashes already.)"""
        sounds = self._sounds
        name = next(self._book.group_masks(group)).name
        for number, foot in enumerate(self.feet):
            if foot is None:
                continue
            if number % 2 or (number == 0 and pattern.first_line_rhymes):
                meets = sounds.judged(foot) if number else sounds.near(self.first_foot)
                if not meets & group and self._book.tones(foot) != OBLIQUE:
                    readings = " and ".join(g.name for g in self._book.readings(foot) if g.is_level)
                    message = f"is of {readings or 'no group'} and does not rhyme in {name}"
                    yield self._clash(number, self.length - 1, message)
            elif sounds.sounds_like(foot) & group:
                message = f"sounds like the rhyme {name} in a line that does not rhyme"
                yield self._clash(number, self.length - 1, message)

    def _clash(self, line: int, place: int, message: str) -> Clash:
        return Clash(line, place, self.glyphs[line * self.length + place] or "", message)


def judges_choice(shared: Groups, first_foot: Groups) -> Groups:
    """The group that the judge takes for a poem's rhyme: (k,) bits of (k,) each.

    Args:
        shared: The groups that the even feet share. The first of these is taken, …
        first_foot: … but rather one that the foot of the first line has too.
    """
    both = shared & first_foot
    choice = np.where(both, both, shared)
    lowest: Groups = choice & (~choice + np.uint64(1))
    return lowest
