"""A poem that a model wrote: what was asked for, what it cost, and what the judge says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from poetgen.verse.forms import PoemForm
from poetgen.verse.patterns import STYLES
from poetgen.verse.phonology import rhyme_book
from poetgen.verse.poem import Poem
from poetgen.verse.prosody import Finding, check
from poetgen.writing.asked import OFF, is_regular
from poetgen.writing.request import Request


class Verdict(NamedTuple):
    """What the judge says of a written poem, whether or not rules were asked for.

    Attributes:
        pattern: The tonal pattern that it keeps or comes nearest to: 仄起首句入韵. Empty, like
            group and faults, where the form has no rules.
        rhyme_book: The book that it is judged by.
        rhyme_group: The group that it rhymes in.
        faults: What is wrong.
    """

    pattern: str
    rhyme_book: str
    rhyme_group: str
    faults: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPoem(Poem):
    """A poem that a model wrote.

    Attributes:
        heads: The heads that were asked for; empty in a continuation.
        form: The form that was asked for.
        seed: What it was drawn with: the same request, model, options and seed give it again.
        model: The model's name.
        nats_per_character: The model's own surprise: the negative log probability of everything
            that it was told or chose, marks and end included, a character.
        forced: For each line, for each of its characters, whether the request fixed it.
        cost: What it was ranked by, in nats per character; see `poetgen.writing.ranking`.
        borrowed_share: The share of its runs of five characters that stand in the training poems;
            None where the checkpoint does not know them.
        pattern, rhyme_book, rhyme_group, faults: As in `Verdict`.
    """

    heads: str
    form: PoemForm
    seed: int
    model: str
    nats_per_character: float
    forced: tuple[tuple[bool, ...], ...]
    cost: float = 0.0
    borrowed_share: float | None = None
    pattern: str = ""
    rhyme_book: str = ""
    rhyme_group: str = ""
    faults: tuple[Finding, ...] = ()


def judge(request: Request, lines: Sequence[str]) -> Verdict:
    """What the judge says of a poem, by the book and the style that were asked for."""
    rules = request.rules
    if not is_regular(request.form):
        return Verdict("", rules.rhyme_book, "", ())
    style = STYLES[0] if rules.tones == OFF else rules.tones
    report = check(lines, rhyme_book(rules.rhyme_book), style)
    return Verdict(
        report.pattern.name if report.pattern else "",
        report.rhyme_book,
        report.rhyme_group.name if report.rhyme_group else "",
        report.faults,
    )
