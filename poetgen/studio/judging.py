"""What the judge says of a draft, as far as it is written, in words for a panel."""

from __future__ import annotations

from dataclasses import dataclass

from poetgen.studio.drafts import Draft, Place
from poetgen.studio.text import FAULTS
from poetgen.verse.patterns import STYLES
from poetgen.verse.phonology import rhyme_book
from poetgen.verse.prosody import ProsodyReport, check
from poetgen.writing.asked import OFF, is_regular
from poetgen.writing.request import FREE


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to say of a draft.

    Attributes:
        text: What, in one paragraph.
        place: Where, if it is somewhere.
        is_fault: Whether it is something wrong.
    """

    text: str
    place: Place | None = None
    is_fault: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What there is to say of a draft.

    Attributes:
        summary: All in a line.
        remarks: The faults, then the licences, each in order of place.
        tones: The tone of each place: 平, 仄, 中, or a space where nothing stands.
        feet: The lines that rhyme or should, from 0.
    """

    summary: str
    remarks: tuple[Remark, ...]
    tones: tuple[str, ...]
    feet: tuple[int, ...] = ()

    @property
    def faults(self) -> frozenset[Place]:
        """The places where something is wrong."""
        return frozenset(r.place for r in self.remarks if r.is_fault and r.place)


def not_yet_judged(draft: Draft) -> Judgement:
    """The tones of a draft that is being written: a judge would hold up the writing."""
    book = rhyme_book(draft.settings.rhyme_book)
    tones = tuple(
        "".join(
            " " if character == FREE else tone
            for character, tone in zip(row, book.tones(row), strict=True)
        )
        for row in draft.rows
    )
    return Judgement("writing …", (), tones)


def judge_draft(draft: Draft) -> Judgement:
    """Judge what stands in a draft. A free place is accused of nothing."""
    book = rhyme_book(draft.settings.rhyme_book)
    tones = not_yet_judged(draft).tones
    if not is_regular(draft.form):
        return Judgement("free form: no rules but the length of its lines", (), tones)
    if all(set(row) == {FREE} for row in draft.rows):
        return Judgement("nothing is written yet", (), tones)
    style = draft.settings.tones
    report = check(draft.rows, book, STYLES[0] if style == OFF else style)
    remarks = [
        Remark(
            f"{fault.name}, line {fault.line}, no. {fault.position}: {fault.message}"
            + (f" - {FAULTS[fault.name]}" if fault.name in FAULTS else ""),
            (fault.line - 1, fault.position - 1),
            is_fault=True,
        )
        for fault in report.faults
    ]
    remarks += [
        Remark(
            f"{licence.name}, line {licence.line}, no. {licence.position}: {licence.message}"
            " - a licence, not a fault",
            (licence.line - 1, licence.position - 1),
        )
        for licence in report.licences
    ]
    feet = tuple(line - 1 for line in report.feet)
    return Judgement(_summary(report, draft), tuple(remarks), tones, feet)


def _summary(report: ProsodyReport, draft: Draft) -> str:
    faults = len(report.faults)
    if faults:
        verdict = "1 fault" if faults == 1 else f"{faults} faults"
    else:
        verdict = "every rule kept" if draft.is_whole else "no fault so far"
    parts = [verdict]
    if report.pattern and draft.is_whole:
        parts.append(report.pattern.name)
    if report.rhyme_group and draft.is_whole:
        parts.append(f"{report.rhyme_book} {report.rhyme_group.title}")
    return ", ".join(parts)
