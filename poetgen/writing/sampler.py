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

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from poetgen.writing.choice import Integers
from poetgen.writing.constraint import Constraint
from poetgen.writing.engine import StepModel
from poetgen.writing.options import SamplingOptions
from poetgen.writing.particles import Draft, Group, SampleResult, choose

_ROWS_TOGETHER = 64
"""Rows of the vocabulary's length that are chosen from together: more leave the cache, fewer cost
as many calls. A hundred single drafts in a batch take half the time that they take one by one."""

_LARGEST_LOGITS = 100_000_000
"""Bytes of logits that one step of a batch may take."""


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
            Group(constraint, seed, options)
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
    choose_draft: Callable[[SampleResult], Draft] = lambda result: result.draft,
) -> Iterator[int]:
    """Write one sequence, yielding its tokens as they settle.

    What all particles have in common can change no more. Particles forget their ancestors'
    differences as they are resampled, so that the beginning settles while the end is being
    written; the rest comes with the last step. The sequence is the one that `choose_draft` takes
    from what `sample` gives, and ends early only where every particle dies.
    """
    group = Group(constraint, seed, options)
    told = 0
    for _ in _write(model, [group]):
        settled = group.settled()
        yield from settled[told:]
        told = len(settled)
    result = group.result()
    if result.drafts:
        yield from choose_draft(result).tokens[told:]


def _write(model: StepModel, groups: Sequence[Group]) -> Iterator[None]:
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
            choices = choose(live[part], stepping[part], logits[done : done + count])
            for group, first, choice in zip(live[part], firsts[part], choices, strict=True):
                group.extend(choice)
                if not group.finished:
                    kept += [len(rows) + first + choice.waiting, done + choice.parents]
                done += choice.stepped
        live = [group for group in live if not group.finished]
        if live:
            state = model.select(pool, np.concatenate(kept))
        yield


def _state_of_prompts(model: StepModel, groups: Sequence[Group]) -> Any:
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
