"""From the drafts that the sampler leaves to the one poem that is shown, with all that is known of
it. Reading only: nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from poetgen.dataset.runs import RunFilter
from poetgen.dataset.vocabulary import UNK, UNKNOWN_NATS
from poetgen.writing.particles import Draft, SampleResult
from poetgen.writing.ranking import Appraisal, appraise
from poetgen.writing.request import Request
from poetgen.writing.template import Template
from poetgen.writing.written import WrittenPoem, judge

Manner: TypeAlias = Callable[[str, Sequence[str]], float]
"""Says of a style and lines the log odds that they are in it."""


def best_draft(
    request: Request,
    template: Template,
    result: SampleResult,
    runs: RunFilter | None,
    *,
    rank: bool,
    manner: Manner | None = None,
) -> tuple[Draft, Appraisal]:
    """The draft to show first, and what was found of it.

    Args:
        request: What was asked for.
        template: The same in the model's vocabulary.
        result: What the particles became; at least one draft.
        runs: The runs of the model's training poems, to see what is borrowed.
        rank: Whether to take the best of all drafts, or the one that was drawn.
        manner: What judges of the style, where one is asked for and somebody does.
    """
    characters = request.form.line_length * request.form.line_count
    appraised = []
    # The same tokens may be there many times: particles have ancestors in common.
    drafts = {d.tokens: d for d in (result.drafts if rank else (result.draft,))}
    for draft in drafts.values():
        rows = _rows(request, template, draft)
        nats = draft.tokens.count(UNK) * UNKNOWN_NATS - draft.log_probability
        lines = _read(rows, template)
        odds = manner(request.style, lines) if manner and request.style else 0.0
        # Around a fault that is forced others may come up: in what should have made good a tone
        # of the line before, say. Where none is forced there is none, and nothing to count.
        faults = len(judge(request, _lines(rows)).faults) if template.forces_faults else 0
        found = appraise(lines, _forced(rows), nats / characters, runs, odds, faults)
        appraised.append((draft, found))
    return min(appraised, key=lambda each: each[1].order)


def poem_of(
    request: Request,
    template: Template,
    seed: int,
    model: str,
    draft: Draft,
    appraisal: Appraisal,
) -> WrittenPoem:
    """The poem of a draft.

    Args:
        request: What was asked for.
        template: The same in the model's vocabulary.
        seed: What it was drawn with.
        model: The model's name.
        draft: What was written.
        appraisal: What was found of it.
    """
    rows = _rows(request, template, draft)
    lines = _lines(rows)
    return WrittenPoem(
        lines=lines,
        marks="".join(row[-1][0] for row in rows),
        heads=request.heads,
        form=request.form,
        seed=seed,
        model=model,
        nats_per_character=appraisal.nats_per_character,
        forced=_forced(rows),
        cost=appraisal.cost,
        borrowed_share=appraisal.borrowed_share,
        **judge(request, lines)._asdict(),
    )


def _rows(request: Request, template: Template, draft: Draft) -> list[list[tuple[str, bool]]]:
    """For each line, its characters and its mark, each with whether the request fixed it."""
    spelled = list(template.spell(draft.tokens))
    step = request.form.line_length + 1
    return [spelled[i : i + step] for i in range(0, len(spelled), step)]


def _lines(rows: list[list[tuple[str, bool]]]) -> tuple[str, ...]:
    return tuple("".join(character for character, _ in row[:-1]) for row in rows)


def _read(rows: list[list[tuple[str, bool]]], template: Template) -> tuple[str, ...]:
    """The lines in the characters that the model knows: what is borrowed was borrowed in those."""
    slots = iter(template.slots)
    lines = []
    for row in rows:
        told = zip(row, slots, strict=False)
        lines.append("".join(slot.said or character for (character, _), slot in told)[:-1])
    return tuple(lines)


def _forced(rows: list[list[tuple[str, bool]]]) -> tuple[tuple[bool, ...], ...]:
    return tuple(tuple(forced for _, forced in row[:-1]) for row in rows)
