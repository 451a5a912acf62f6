"""Draws sequences from a language model given what they must be: sequential Monte Carlo.

N particles, each a sequence in the making, go through the network as rows of one batch. At each
step a particle

1. is weighted: its weight is multiplied by the mass that the model gives to what is allowed;
2. draws its next token from what is allowed: mask → temperature → top-k → top-p → draw.

When few particles carry most of the weight (the effective sample size falls under N/2) they are
resampled before they draw: those that led badly into what must come die out, those that led well
into it have offspring. At the end one is drawn by its weight. As N grows, its distribution becomes
the model's own, given the constraint (Lew et al. 2023, https://arxiv.org/abs/2306.03081; for the
method, Doucet & Johansen 2009). "plain" and "beam" are the same loop with other rules of choice.

The sampler knows ids, masks and random generators; nothing of characters, poems or templates.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from poetgen.errors import PoetgenError
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
from poetgen.writing.engine import StepModel

_ROWS_TOGETHER = 64
"""Rows of the vocabulary's length that are chosen from together: more leave the cache, fewer cost
as many calls. A hundred single drafts in a batch take half the time that they take one by one."""

_NONE: Integers = np.zeros(0, np.int64)

_LARGEST_LOGITS = 100_000_000
"""Bytes of logits that one step of a batch may take."""


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How to choose tokens.

    Attributes:
        temperature: What logits are divided by: below 1 the likely becomes likelier.
        top_k: Draw from the k likeliest of what is allowed (and what ties with them); 0: from all.
        top_p: Draw from the fewest tokens that hold this share of what is allowed. Neither filter
            changes what a particle weighs.
        particles: The sequences that compete to be one poem.
        decoding: "particles"; "plain": one particle, which nothing can kill; "beam": keep the
            likeliest sequences, with no draw, so that temperature, top-k, top-p and seed have no
            say.

    Raises:
        PoetgenError: A value out of range; the message names the flag that sets it.
    """

    temperature: float = 0.9
    top_k: int = 0
    top_p: float = 1.0
    particles: int = 32
    decoding: Literal["particles", "plain", "beam"] = "particles"

    def __post_init__(self) -> None:
        for flag, fits, wanted in (
            ("temperature", 0.01 <= self.temperature <= 100, "be from 0.01 to 100"),
            ("top_k", self.top_k >= 0, "be 0 (all) or more"),
            ("top_p", 0 < self.top_p <= 1, "be above 0 and at most 1"),
            ("particles", 1 <= self.particles <= 4096, "be from 1 to 4096"),
            (
                "decoding",
                self.decoding in ("particles", "plain", "beam"),
                "be particles, plain or beam",
            ),
        ):
            if not fits:
                raise PoetgenError(
                    f"--{flag.replace('_', '-')} is {getattr(self, flag)}",
                    hint=f"it must {wanted}",
                )

    @property
    def size(self) -> int:
        """The particles that there can be."""
        return 1 if self.decoding == "plain" else self.particles


class Cursor(Protocol):
    """Where a particle stands under its constraint. A value: it never changes."""

    @property
    def position(self) -> int:
        """How far it has come; particles at equal positions can be compared."""

    @property
    def finished(self) -> bool:
        """Whether nothing may follow."""


class Constraint(Protocol):
    """What a sequence must be, token by token. Each works with cursors of its own type."""

    @property
    def prompt(self) -> tuple[int, ...]:
        """What the network reads before the sequence; at least one token."""

    def start(self) -> Any:
        """The cursor of an empty sequence."""

    def allowed(self, cursors: Sequence[Any]) -> Mask:
        """Which tokens may come next for each of n cursors: (n, V) bool.

        A particle whose row is empty dies.
        """

    def advance(self, cursor: Any, token: int) -> Any:
        """The cursor after an allowed token; its position is higher."""


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


def sample(
    model: StepModel,
    constraints: Sequence[Constraint],
    seeds: Sequence[int],
    options: SamplingOptions,
) -> list[SampleResult]:
    """Write one sequence under each constraint, all in one batch as far as memory allows.

    What is written under a constraint depends on its seed and not on what else is in the batch,
    up to the last bits of the network's arithmetic.

    Args:
        model: The network.
        constraints: What each sequence must be.
        seeds: One for each constraint, not negative.
        options: How to choose tokens.
    """
    together = max(1, _LARGEST_LOGITS // (4 * model.vocabulary_size * options.size))
    results = []
    for first in range(0, len(constraints), together):
        groups = [
            _Group(constraint, seed, options)
            for constraint, seed in zip(
                constraints[first : first + together], seeds[first : first + together], strict=True
            )
        ]
        for _ in _write(model, groups):
            pass
        results += [group.result() for group in groups]
    return results


def stream(
    model: StepModel,
    constraint: Constraint,
    seed: int,
    options: SamplingOptions,
    choose: Callable[[SampleResult], Draft] = lambda result: result.draft,
) -> Iterator[int]:
    """Write one sequence, yielding its tokens as they settle.

    What all particles have in common can change no more. Particles forget their ancestors'
    differences as they are resampled, so that the beginning settles while the end is being
    written; the rest comes with the last step. The sequence is the one that `choose` takes from
    what `sample` gives, and ends early only where every particle dies.
    """
    group = _Group(constraint, seed, options)
    told = 0
    for _ in _write(model, [group]):
        settled = group.settled()
        yield from settled[told:]
        told = len(settled)
    result = group.result()
    if result.drafts:
        yield from choose(result).tokens[told:]


def _write(model: StepModel, groups: Sequence[_Group]) -> Iterator[None]:
    """Step all groups to their ends in one batch, pausing after each step."""
    live = list(groups)
    state = _state_of_prompts(model, live)
    while live:
        # Tokens may differ in length. The hindmost particles of a group step, the others wait:
        # so they meet again, at a line's end at the latest, and can be compared there.
        stepping = [group.hindmost() for group in live]
        firsts = np.cumsum([0] + [len(group.particles) for group in live])
        rows = np.concatenate([f + s for f, s in zip(firsts, stepping, strict=False)])
        ids = np.concatenate([g.last_tokens(s) for g, s in zip(live, stepping, strict=True)])
        everyone = len(rows) == firsts[-1]
        logits, stepped = model.step(ids, state if everyone else model.select(state, rows))
        # The rows to go on from: those that stepped, then, if any waits, those before the step.
        pool = stepped if everyone else model.join([stepped, state])

        kept: list[Integers] = []
        done = 0
        for part in _parts(stepping):
            count = sum(map(len, stepping[part]))
            choices = _choose(live[part], stepping[part], logits[done : done + count])
            for group, first, choice in zip(live[part], firsts[part], choices, strict=True):
                group.extend(choice)
                if not group.finished:
                    kept += [len(rows) + first + choice.waiting, done + choice.parents]
                done += choice.stepped
        live = [group for group in live if not group.finished]
        if live:
            state = model.select(pool, np.concatenate(kept))
        yield


def _state_of_prompts(model: StepModel, groups: Sequence[_Group]) -> Any:
    """The state of every particle before its prompt's last token, which the first step feeds."""
    states = {}
    for prompt in {group.prompt for group in groups}:
        state = model.start(1)
        for token in prompt[:-1]:
            _, state = model.step(np.array([token]), state)
        states[prompt] = state
    return model.join(
        [
            model.select(states[group.prompt], np.zeros(len(group.particles), np.int64))
            for group in groups
        ]
    )


def _parts(stepping: Sequence[Integers]) -> Iterator[slice]:
    """Neighbouring groups whose rows are few enough to go through the arithmetic together."""
    start = rows = 0
    for end, chosen in enumerate(stepping):
        if rows and rows + len(chosen) > _ROWS_TOGETHER:
            yield slice(start, end)
            start, rows = end, 0
        rows += len(chosen)
    yield slice(start, len(stepping))


@dataclass(frozen=True, slots=True)
class _Choice:
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


def _choose(
    groups: Sequence[_Group], stepping: Sequence[Integers], logits: Floats
) -> list[_Choice]:
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
        _Choice(
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


class _Group:
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

    def extend(self, choice: _Choice) -> None:
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
