"""What is measured of the poems that one way wrote.

It knows requests and poems, whoever wrote them. Rules are judged by `poetgen.verse.prosody` alone,
never by the code that writes.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from poetgen.dataset.vocabulary import BOS, EOS, PAD, UNK, UNKNOWN_NATS
from poetgen.verse.patterns import STYLES
from poetgen.verse.phonology import rhyme_book
from poetgen.verse.poem import MARKS, is_han
from poetgen.verse.prosody import check
from poetgen.writing.asked import OFF
from poetgen.writing.choice import log_normalised
from poetgen.writing.engine import StepModel
from poetgen.writing.figures import measure
from poetgen.writing.request import Request
from poetgen.writing.written import WrittenPoem

Doubles = npt.NDArray[np.float64]

_TOGETHER = 64  # Poems that a model reads in one batch.
_BETWEEN_LINES = re.compile(f"[{MARKS}\n]+")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a poem is what was asked for.

    Attributes:
        heads: Every head stands in its place, as the glyph that was asked for.
        form: Lines and characters are those of the form, every one Chinese.
        tones: It is regulated, by the style asked for; by the loose one if none was.
        rhyme: Every foot rhymes.
        faults: The names of all faults, 重韵 and 撞韵 too.
    """

    heads: bool
    form: bool
    tones: bool
    rhyme: bool
    faults: tuple[str, ...]

    @property
    def everything(self) -> bool:
        """Heads, form, and no fault of any name."""
        return self.heads and self.form and self.tones and self.rhyme and not self.faults


def judged(request: Request, lines: Sequence[str]) -> Verdict:
    """Judge a poem by what its request asks for."""
    asked = [line.glyphs for line in request.layout()]
    form = [len(line) for line in lines] == [len(glyphs) for glyphs in asked]
    style = STYLES[0] if request.rules.tones == OFF else request.rules.tones
    report = check(lines, rhyme_book(request.rules.rhyme_book), style)
    return Verdict(
        heads=len(lines) == len(asked)
        and all(
            line[place : place + 1] == glyph
            for line, glyphs in zip(lines, asked, strict=True)
            for place, glyph in enumerate(glyphs)
            if glyph is not None
        ),
        form=form and all(is_han(character) for line in lines for character in line),
        tones=bool(report.regulated),
        rhyme=bool(report.rhymed),
        faults=tuple(fault.name for fault in report.faults),
    )


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one way made of one request.

    Attributes:
        request: The heads, the form, and the rules to be judged by.
        kind: The kind of the heads.
        feasible: Whether strict rules can be kept with these heads.
        poem: What was written; None if nothing was.
        seconds: How long it took; None where it was one of a batch.
        refusal: Why it said that it would not write.
        crash: The error that it died of.
        number: Which entry of the list it was for.
    """

    request: Request
    kind: str
    feasible: bool
    poem: WrittenPoem | None
    seconds: float | None
    refusal: str = ""
    crash: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class WayFigures:
    """What is measured of one way. Shares are from 0 to 1; None: nothing to measure.

    Attributes:
        asked: Requests.
        timed: Those of them that were written one at a time, as every way wrote them.
        infeasible: Those of them whose heads allow no poem under strict rules.
        crashes: Errors other than a refusal.
        refused: Feasible requests that were refused.
        refused_infeasible: Infeasible requests that were refused.
        heads: Of the requests that it had to fulfil (all but the infeasible ones it refused),
            the share that became a poem with all its heads in place.
        form: Likewise, with the form exact.
        tones: Of the feasible requests, the share that became a regulated poem.
        rhyme: Likewise, a rhymed one.
        all_rules: Likewise, one with heads, form and no fault of any name.
        distinct_1: Of the timed ones, different characters, a character written.
        distinct_2: Likewise, different pairs of neighbours in a line, a pair written.
        borrowed_lines: The share of the lines written that stand in the corpus.
        nats_per_character: Of the poems for requests that every way fulfilled, under the model
            that reads them.
        milliseconds: Of the timed ones, the median for a poem.
        milliseconds_mean: Likewise, the mean.
    """

    asked: int
    timed: int
    infeasible: int
    crashes: int
    refused: int
    refused_infeasible: int
    heads: float | None
    form: float | None
    tones: float | None
    rhyme: float | None
    all_rules: float | None
    distinct_1: float | None
    distinct_2: float | None
    borrowed_lines: float | None
    nats_per_character: float | None
    milliseconds: float | None
    milliseconds_mean: float | None


def figures_of(
    attempts: Sequence[Attempt],
    borrowed: Callable[[str], bool] | None = None,
    nats: Sequence[float | None] | None = None,
) -> WayFigures:
    """Measure what one way wrote.

    Args:
        attempts: At least one.
        borrowed: Whether a line stands in the corpus; None: there is none to look in.
        nats: For each attempt, what a reader spends on the whole poem; None for a poem that is
            left out of the mean.
    """
    poems = [attempt.poem for attempt in attempts if attempt.poem is not None]
    must = [a for a in attempts if a.feasible or not a.refusal]
    feasible = [a for a in attempts if a.feasible]
    verdicts = {id(a): judged(a.request, a.poem.lines) for a in attempts if a.poem is not None}

    def share(among: Sequence[Attempt], keeps: Callable[[Verdict], bool]) -> float | None:
        return _ratio(sum(id(a) in verdicts and keeps(verdicts[id(a)]) for a in among), len(among))

    lines = [line for poem in poems for line in poem.lines]
    timed = [a for a in attempts if a.seconds is not None]
    same = [a.poem for a in timed if a.poem is not None]
    distinct = measure(same, None) if same else None
    read = [
        (nat, sum(map(len, a.poem.lines)))
        for a, nat in zip(attempts, nats or [None] * len(attempts), strict=True)
        if nat is not None and a.poem is not None
    ]
    milliseconds = [1000 * a.seconds for a in attempts if a.seconds is not None]
    return WayFigures(
        asked=len(attempts),
        timed=len(timed),
        infeasible=len(attempts) - len(feasible),
        crashes=sum(bool(a.crash) for a in attempts),
        refused=sum(bool(a.refusal) for a in feasible),
        refused_infeasible=len(attempts) - len(must),
        heads=share(must, lambda verdict: verdict.heads),
        form=share(must, lambda verdict: verdict.form),
        tones=share(feasible, lambda verdict: verdict.tones),
        rhyme=share(feasible, lambda verdict: verdict.rhyme),
        all_rules=share(feasible, lambda verdict: verdict.everything),
        distinct_1=distinct.distinct_1 if distinct else None,
        distinct_2=distinct.distinct_2 if distinct else None,
        borrowed_lines=_ratio(sum(map(borrowed, lines)), len(lines)) if borrowed else None,
        nats_per_character=_ratio(math.fsum(n for n, _ in read), sum(c for _, c in read)),
        milliseconds=statistics.median(milliseconds) if milliseconds else None,
        milliseconds_mean=statistics.fmean(milliseconds) if milliseconds else None,
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def cost_of_rules(
    attempts: Sequence[Attempt], ours: Sequence[float | None], without: Sequence[float | None]
) -> tuple[float, float] | None:
    """What the rules cost, in nats a character, and the standard error of that.

    Args:
        attempts: What was written with rules.
        ours: What a reader spends on each of these poems.
        without: What it spends on those for the same requests without rules.

    Returns:
        None where fewer than two can be compared.
    """
    pairs = [
        (with_rules - free, sum(map(len, attempt.poem.lines)))
        for attempt, with_rules, free in zip(attempts, ours, without, strict=True)
        if attempt.poem is not None and with_rules is not None and free is not None
    ]
    if len(pairs) < 2:
        return None
    characters = statistics.fmean(length for _, length in pairs)
    mean = statistics.fmean(nats for nats, _ in pairs) / characters
    # Of a ratio of means: what each poem adds beyond its share of the characters.
    spread = statistics.stdev(nats - mean * length for nats, length in pairs) / characters
    return mean, spread / math.sqrt(len(pairs))


def reading_nats(
    model: StepModel, sequences: Sequence[Sequence[int]], prompt: Sequence[int] = (BOS,)
) -> Doubles:
    """What an unconstrained model spends on reading each sequence, its end included.

    Args:
        model: Who reads.
        sequences: Token ids, without `<bos>` and `<eos>`.
        prompt: What it reads first, `<bos>` last, for nothing.

    Returns:
        (len(sequences),) nats; `<unk>` costs what a model is charged for it everywhere.
    """
    nats = np.zeros(len(sequences))
    by_length = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    for first in range(0, len(sequences), _TOGETHER):
        some = by_length[first : first + _TOGETHER]
        rows = [(prompt[-1], *sequences[i], EOS) for i in some]
        width = max(map(len, rows))
        ids = np.array([row + (PAD,) * (width - len(row)) for row in rows])  # (n, width)
        state = model.start(len(rows))
        for token in prompt[:-1]:
            _, state = model.step(np.full(len(rows), token), state)
        for place in range(width - 1):
            logits, state = model.step(ids[:, place], state)
            target = ids[:, place + 1]
            spent = -log_normalised(logits)[np.arange(len(rows)), target].astype(np.float64)
            spent += UNKNOWN_NATS * (target == UNK)
            nats[some] += np.where(target == PAD, 0.0, spent)
    return nats


def lines_in(texts: Iterable[str], wanted: set[str]) -> set[str]:
    """Which of the wanted lines stand in some poems.

    Args:
        texts: The poems, lines with their marks.
        wanted: Lines without marks.
    """
    found: set[str] = set()
    for text in texts:
        found.update(wanted.intersection(_BETWEEN_LINES.split(text)))
    return found
