"""The particles of a constraint: how they are weighed, resampled and continued.

It knows ids, masks and random generators; the network's steps are the sampler's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from poetgen.writing.choice import (
    LEAST_LOG_PROBABILITY,
    Doubles,
    Floats,
    Integers,
    Mask,
    allowed_mass,
    draw_tokens,
    effective_size,
    keep_likeliest,
    log_normalised,
    log_sum,
    nth_largest,
    resample,
)
from poetgen.writing.constraint import Constraint
from poetgen.writing.options import SamplingOptions

_NONE: Integers = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Draft:
    """A finished sequence.

    Attributes:
        tokens: What was written.
        log_probability: The model's own, of all these tokens: temperature 1, no mask. Nats.
        log_weight: The particle's weight at the end; in a beam, the log probability.
    """

    tokens: tuple[int, ...]
    log_probability: float
    log_weight: float


@dataclass(frozen=True, slots=True)
class SampleResult:
    """What the particles of one constraint became.

    Attributes:
        drafts: All that finished; none if every particle died.
        drawn: The index of the one to show: drawn by weight, or the best of a beam.
        log_evidence: Of "particles" and "plain": the log of an unbiased estimate of the
            probability that the model, at this temperature, keeps the constraint by itself.
    """

    drafts: tuple[Draft, ...]
    drawn: int
    log_evidence: float

    @property
    def draft(self) -> Draft:
        """The one to show.

        Raises:
            IndexError: Every particle died.
        """
        return self.drafts[self.drawn]


@dataclass(frozen=True, slots=True)
class Choice:
    """The next tokens of a group of which k particles stepped and the others wait.

    Attributes:
        chosen: (k,) the particles that stepped.
        waiting: The others.
        parents: For each new particle which of the k it continues.
        tokens, log_probabilities, log_weights: Of each new particle.
    """

    chosen: Integers
    waiting: Integers
    parents: Integers
    tokens: Integers
    log_probabilities: Floats
    log_weights: Doubles

    @property
    def stepped(self) -> int:
        """How many particles stepped."""
        return len(self.chosen)


def choose(groups: Sequence[Group], stepping: Sequence[Integers], logits: Floats) -> list[Choice]:
    """Choose the next tokens of some groups.

    Args:
        groups: Of one set of options.
        stepping: For each group the particles that stepped.
        logits: (k, V) what the network says, for all of these in a row.
    """
    options = groups[0].options
    firsts = np.cumsum([0, *map(len, stepping)])
    log_probability = log_normalised(logits)
    pairs = list(zip(groups, stepping, strict=True))
    allowed = np.concatenate([group.allowed(chosen) for group, chosen in pairs])
    if options.decoding == "beam":
        found = [
            group.likeliest(chosen, log_probability[a:b], allowed[a:b])
            for (group, chosen), (a, b) in zip(pairs, itertools.pairwise(firsts), strict=True)
        ]
    else:
        mass, log_mass = allowed_mass(log_probability, allowed, options.temperature)
        keep_likeliest(mass, options.top_k, options.top_p)
        weighed = [
            group.weigh(chosen, log_mass[first : first + len(chosen)])
            for (group, chosen), first in zip(pairs, firsts, strict=False)
        ]
        tokens = draw_tokens(
            mass,
            np.concatenate([f + p for f, (p, _, _) in zip(firsts, weighed, strict=False)]),
            np.concatenate([uniforms for _, _, uniforms in weighed]),
        )
        ends = np.cumsum([len(parents) for parents, _, _ in weighed])[:-1]
        found = [
            (parents, drawn, log_weights)
            for (parents, log_weights, _), drawn in zip(
                weighed, np.split(tokens, ends), strict=True
            )
        ]
    return [
        Choice(
            chosen,
            group.waiting(chosen),
            parents,
            drawn,
            log_probability[first + parents, drawn],
            log_weights,
        )
        for (group, chosen), first, (parents, drawn, log_weights) in zip(
            pairs, firsts, found, strict=False
        )
    ]


@dataclass(frozen=True, slots=True)
class _Particle:
    cursor: Any
    tokens: tuple[int, ...] = ()
    log_probability: float = 0.0
    log_weight: float = 0.0


class Group:
    """The particles of one constraint."""

    def __init__(self, constraint: Constraint, seed: int, options: SamplingOptions) -> None:
        self.prompt = constraint.prompt
        self.options = options
        self._constraint = constraint
        self._random = np.random.default_rng(seed)
        # A beam grows from one; two of the same would stay twins.
        first = 1 if options.decoding == "beam" else options.size
        self.particles = [_Particle(constraint.start())] * first

    @property
    def finished(self) -> bool:
        """Whether every particle is at its end (or dead)."""
        return all(particle.cursor.finished for particle in self.particles)

    def hindmost(self) -> Integers:
        """The particles at the lowest position."""
        positions = [particle.cursor.position for particle in self.particles]
        least = min(positions)
        return np.array([i for i, position in enumerate(positions) if position == least])

    def last_tokens(self, which: Integers) -> Integers:
        """What to feed the network for these particles."""
        return np.array([(self.prompt + self.particles[i].tokens)[-1] for i in which])

    def settled(self) -> tuple[int, ...]:
        """The tokens that all particles begin with."""
        if not self.particles:
            return ()
        first, last = (f(particle.tokens for particle in self.particles) for f in (min, max))
        for place, (one, other) in enumerate(zip(first, last, strict=False)):
            if one != other:
                return first[:place]
        return first

    def waiting(self, chosen: Integers) -> Integers:
        """The particles but those `chosen`."""
        if len(chosen) == len(self.particles):
            return _NONE  # Nearly always; np.delete takes as long as drawing a token.
        return np.delete(np.arange(len(self.particles)), chosen)

    def allowed(self, chosen: Integers) -> Mask:
        """What may come next for the particles `chosen`, (k, V)."""
        return self._constraint.allowed([self.particles[i].cursor for i in chosen])

    def weigh(self, chosen: Integers, log_mass: Doubles) -> tuple[Integers, Doubles, Doubles]:
        """Weigh the particles `chosen`, and resample if they need it and can be compared.

        Args:
            chosen: (k,) the particles that stepped.
            log_mass: (k,) what the model gives to what each may go on with.

        Returns:
            For each of the particles that go on: which of the k it continues, its weight, and a
            number in [0, 1) to draw its token with.
        """
        size = self.options.size
        log_weights = np.array([self.particles[i].log_weight for i in chosen]) + log_mass
        parents = np.flatnonzero(log_weights > -np.inf)
        log_weights = log_weights[parents]
        everyone = len(chosen) == len(self.particles)
        if size > 1 and everyone and 0 < effective_size(log_weights) < size / 2:
            average = log_sum(log_weights) - math.log(size)
            parents = parents[resample(log_weights, size, self._random.random())]
            log_weights = np.full(size, average)
        return parents, log_weights, self._random.random(len(parents))

    def likeliest(
        self, chosen: Integers, log_probability: Floats, allowed: Mask
    ) -> tuple[Integers, Integers, Doubles]:
        """The likeliest ways on from the particles `chosen` of a beam; see `_best`."""
        room = self.options.particles - (len(self.particles) - len(chosen))
        return _best([self.particles[i] for i in chosen], log_probability, allowed, room)

    def extend(self, choice: Choice) -> None:
        """Put the particles in place that a choice makes; those that waited come first."""
        before = [self.particles[i] for i in choice.chosen]
        self.particles = [self.particles[i] for i in choice.waiting] + [
            _Particle(
                self._constraint.advance(before[parent].cursor, token),
                (*before[parent].tokens, token),
                before[parent].log_probability + max(log_probability, LEAST_LOG_PROBABILITY),
                log_weight,
            )
            for parent, token, log_probability, log_weight in zip(
                choice.parents.tolist(),
                choice.tokens.tolist(),
                choice.log_probabilities.tolist(),
                choice.log_weights.tolist(),
                strict=True,
            )
        ]

    def result(self) -> SampleResult:
        """What the particles became, and one of them, drawn."""
        drafts = tuple(
            Draft(particle.tokens, particle.log_probability, particle.log_weight)
            for particle in self.particles
        )
        log_weights = np.array([draft.log_weight for draft in drafts])
        if not drafts:
            return SampleResult((), 0, -math.inf)
        if self.options.decoding == "beam":
            drawn = int(log_weights.argmax())
        else:
            below = np.cumsum(np.exp(log_weights - log_weights.max()))
            drawn = int(np.searchsorted(below, self._random.random() * below[-1], side="right"))
        return SampleResult(drafts, drawn, log_sum(log_weights) - math.log(self.options.size))


def _best(
    before: Sequence[_Particle], log_probability: Floats, allowed: Mask, room: int
) -> tuple[Integers, Integers, Doubles]:
    """The likeliest allowed ways to continue the particles `before`, best first.

    Returns:
        For each of them, at most `room`: which particle it continues, with which token, and the
        log probability of all of it.
    """
    so_far = np.array([[particle.log_weight] for particle in before], np.float32)  # (k, 1)
    scores = np.maximum(log_probability, np.float32(LEAST_LOG_PROBABILITY))
    scores += so_far
    scores = np.where(allowed, scores, np.float32(-np.inf)).ravel()  # (k·V,)
    least = nth_largest(scores, room) if room < len(scores) else -np.inf
    best = np.flatnonzero((scores >= least) & (scores > -np.inf))
    best = best[np.argsort(-scores[best], kind="stable")][:room]
    parents, tokens = np.divmod(best, allowed.shape[1])
    return parents, tokens, scores[best]
