"""The card of a model, in Markdown: what was found out about it, for whoever wants to use it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from poetgen.checkpoint import Checkpoint
from poetgen.shipping.command import training_command
from poetgen.shipping.findings import Findings
from poetgen.shipping.measuring import Reading, forms_of
from poetgen.shipping.samples import Sample

WEAKNESSES = """\
It is a small recurrent network that has read poems and nothing else. A line mostly makes sense,
two lines of a couplet often; a whole poem seldom has a thought that it follows from its first line
to its last. It leans on what is common in verse: spring wind, bright moon, white clouds. Of heads
that no poet used, such as modern words, it keeps the characters and loses the words. It knows
nothing of allusions beyond their wording. Whoever needs a good poem should have it write several
and choose."""
"""What is said of every model of this kind where nobody says more."""

_ACROSTICS: tuple[tuple[str, str, str], ...] = (
    ("asked for", "asked", ",.0f"),
    ("heads exact", "heads", "%"),
    ("form exact", "form", "%"),
    ("tones", "tones", "%"),
    ("rhyme", "rhyme", "%"),
    ("all rules together", "all_rules", "%"),
    ("distinct-1", "distinct_1", "%"),
    ("distinct-2", "distinct_2", "%"),
    ("lines borrowed", "borrowed_lines", "%"),
    ("nats a character", "nats_per_character", ".3f"),
    ("ms a poem, median", "milliseconds", ".0f"),
)


def render(
    checkpoint: Checkpoint, findings: Findings, command: str, weaknesses: str = WEAKNESSES
) -> str:
    """Write a card.

    Args:
        checkpoint: The model.
        findings: What was found out about it.
        command: What made this card.
        weaknesses: What it does badly.
    """
    parts = (
        _facts(checkpoint, findings),
        _training(checkpoint),
        _perplexity(findings),
        _peers(checkpoint, findings),
        _acrostics(findings.acrostics),
        _themes(findings.themes),
        _samples(findings.samples),
        ["## What it does badly", "", weaknesses.strip()],
        _memorisation(findings),
        ["## This card", "", *_fenced(command)],
    )
    return "\n\n".join("\n".join(part) for part in map(list, parts) if part) + "\n"


def _facts(checkpoint: Checkpoint, findings: Findings) -> Iterator[str]:
    model, corpus = checkpoint.model, checkpoint.config["corpus"]
    forms = "、".join(forms_of(checkpoint))
    poems = int(corpus.get("poems", 0))
    yield f"# {checkpoint.name}"
    yield ""
    yield (
        f"Writes {forms or 'Chinese verse'} in {checkpoint.script} characters: "
        f"perplexity {findings.untold.whole.per_character:,.1f} a character on test poems."
    )
    yield ""
    yield from _table(
        ("", ""),
        [
            (
                "network",
                f"{model.described()}{' tied to the output' if model.tie_embeddings else ''}",
            ),
            ("parameters", f"{model.parameter_count():,}"),
            ("vocabulary", f"{model.vocabulary_size:,} tokens ({checkpoint.tokenizer})"),
            (
                "data",
                f"{corpus.get('name')}, {poems:,} poems"
                f"{f', of which it was trained on {forms}' if forms else ''}",
            ),
            ("licence of the data", str(corpus.get("licence") or "not stated")),
            ("context", _told(findings)),
            *_storage(checkpoint.figures.get("packed")),
            ("made by", f"poetgen {checkpoint.config['poetgen_version']}"),
        ],
    )


def _told(findings: Findings) -> str:
    return "can be told form, dynasty and theme" if findings.told else "none: it is told nothing"


def _storage(packed: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if packed:
        loss = packed.get("perplexity_loss")
        cost = "" if loss is None else f"; costs {loss:+.3%} perplexity ({packed['poems']:,} poems)"
        yield "weights", f"{packed['storage']}{cost}"


def _training(checkpoint: Checkpoint) -> Iterator[str]:
    yield "## How it was trained"
    yield ""
    options = json.dumps(checkpoint.config["training"], ensure_ascii=False)
    yield from _fenced(training_command(checkpoint.config) or options)
    figures = checkpoint.figures
    if "step" in figures and "seconds" in figures:
        yield ""
        yield (
            f"{figures['step']:,} steps in {figures['seconds'] / 60:,.0f} minutes of training, to "
            "the best validation."
        )


def _perplexity(findings: Findings) -> Iterator[str]:
    yield "## Perplexity per Chinese character"
    yield ""
    yield (
        "Of test poems, which were neither trained on nor chosen by. Punctuation and the poem's "
        "end are predicted too and paid for; an unknown character costs ln 30000 nats more."
    )
    yield ""
    heading = ["", "poems", "characters", "unknown", "perplexity"]
    readings = [findings.untold]
    if findings.told is not None:
        heading.append("told form, dynasty, theme")
        readings.append(findings.told)
    yield from _table(heading, _rows(readings))


def _rows(readings: Sequence[Reading]) -> Iterator[tuple[str, ...]]:
    first = readings[0]
    groups = [
        ("**all**", [reading.whole for reading in readings]),
        *((name, [r.by_form[name] for r in readings]) for name in first.by_form),
        *((name, [r.by_dynasty[name] for r in readings]) for name in first.by_dynasty),
    ]
    for name, tallies in groups:
        tally = tallies[0]
        yield (
            name,
            f"{tally.poems:,}",
            f"{tally.characters:,}",
            f"{tally.unknown_characters:,}",
            *(f"{each.per_character:,.1f}" for each in tallies),
        )


def _peers(checkpoint: Checkpoint, findings: Findings) -> Iterator[str]:
    if not findings.peers:
        return
    yield "## Next to others"
    yield ""
    yield "The same measure, told nothing; each trained for the minutes named."
    yield ""
    seconds = checkpoint.figures.get("seconds")
    ours = (
        f"**{checkpoint.name}, this one**",
        f"{findings.untold.whole.per_character:,.1f}",
        f"{checkpoint.model.parameter_count():,}",
        f"{seconds / 60:,.0f}" if isinstance(seconds, int | float) else "?",
    )
    others = [
        (
            str(peer["name"]),
            f"{peer['perplexity']:,.1f}",
            f"{peer['parameters']:,}",
            f"{peer['minutes']:,.3g}",
        )
        for peer in findings.peers
    ]
    yield from _table(("model", "perplexity", "parameters", "minutes"), [ours, *others])
    yield ""
    yield from _fenced("\n".join(str(peer["command"]) for peer in findings.peers))


def _acrostics(record: Mapping[str, Any] | None) -> Iterator[str]:
    if record is None:
        return
    yield "## Acrostics"
    yield ""
    by = "itself" if record.get("judge_wrote_the_poems") else str(record.get("judge_model"))
    yield (
        f"{record['entries']:,} heads of the benchmark (`benchmarks/acrostics`), written by the "
        f"rules and in simpler ways with the same network; nats are those of a reader, {by}."
    )
    yield ""
    ways = record["ways"]
    yield from _table(
        ("", *(str(way["way"]) for way in ways)),
        [
            (title, *(_shown(way.get(name), unit) for way in ways))
            for title, name, unit in _ACROSTICS
        ],
    )


def _themes(record: Mapping[str, Any] | None) -> Iterator[str]:
    if record is None:
        return
    yield "## What it is told"
    yield ""
    yield (
        f"Quatrains of {len(record['by_theme'])} themes (`benchmarks/themes.py`), and without any. "
        "Neighbours of a theme are characters that stand far oftener in poems of it."
    )
    yield ""
    rows = []
    for title, name in (
        ("poems with a character of the theme", "poems_with_theme"),
        ("characters that are the theme's", "theme_characters"),
        ("characters that are its neighbours", "neighbours"),
    ):
        found = record[name]
        interval = f"{found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f})"
        rows.append((title, f"{found['told']:.1%}", f"{found['untold']:.1%}", interval))
    yield from _table(("", "with it", "without", "ratio (95 %)"), rows)
    yield ""
    tang = ", ".join(f"told {name} {share:.0%}" for name, share in record["judged_tang"].items())
    right = ", ".join(f"{k} {v:.0%}" for k, v in record["poets_judged_right"].items())
    yield (
        f"Judged to be of Tang rather than of Song: {tang}. The judge goes by single characters "
        f"and is right about poets so often: {right}."
    )


def _shown(value: Any, unit: str) -> str:
    if not isinstance(value, int | float):
        return "-"
    return f"{value:.1%}" if unit == "%" else f"{value:{unit}}"


def _samples(samples: Sequence[Sample]) -> Iterator[str]:
    yield "## Ten poems that nobody chose"
    yield ""
    yield "Fixed heads, the seeds 0 to 9, the first that came."
    for sample in samples:
        yield ""
        poem = sample.poem
        if poem is None:
            yield from _fenced(f"{sample.command}\n\n{sample.refusal}")
            continue
        faults = "".join(f"\n{fault.message}" for fault in poem.faults)
        rows = "\n".join(line + mark for line, mark in zip(poem.lines, poem.marks, strict=True))
        told = " · ".join(filter(None, (poem.form.name, poem.pattern, poem.rhyme_group)))
        yield from _fenced(f"{sample.command}\n\n{rows}\n\n{told}{faults}")


def _memorisation(findings: Findings) -> Iterator[str]:
    yield "## What it has by heart"
    yield ""
    yield (
        "The share of whole lines, and of runs of five characters within lines, that stand in the "
        "training poems. Poets repeat each other too, so what matters is the last row. What "
        "the command writes is kept off the training poems on purpose."
    )
    yield ""
    yield from _table(
        ("", "poems", "lines borrowed", "runs of five borrowed"),
        [
            (
                kind,
                f"{found.poems:,}",
                f"{found.line_share:.2%} of {found.lines:,}",
                f"{found.run_share:.2%} of {found.runs:,}",
            )
            for kind, found in findings.borrowed.items()
        ],
    )


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table; where it has three columns or more, all but the first are figures."""
    yield _row(heading)
    yield _row(["---", *["---:" if len(heading) > 2 else "---"] * (len(heading) - 1)])
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def _fenced(text: str) -> list[str]:
    return ["```text", text, "```"]
