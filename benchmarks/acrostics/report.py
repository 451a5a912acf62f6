"""What a run found out, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.acrostics.entries import KINDS
from benchmarks.acrostics.figures import Attempt, WayFigures, figures_of, judged


@dataclass(frozen=True)
class Results:
    """Everything that a run found out; each list has an entry for every way, ours first."""

    about: dict[str, Any]
    names: list[str]
    attempts: list[list[Attempt]]
    figures: list[WayFigures]
    nats: list[list[float | None]]
    rules_cost: tuple[float, float] | None


ROWS: tuple[tuple[str, str, Callable[[WayFigures], float | None]], ...] = (
    ("heads written for", "", lambda f: f.asked),
    ("heads exact", "%", lambda f: f.heads),
    ("form exact", "%", lambda f: f.form),
    ("crashes", "", lambda f: f.crashes),
    ("refused, feasible", "", lambda f: f.refused),
    ("refused, infeasible", "", lambda f: f.refused_infeasible),
    ("tones", "%", lambda f: f.tones),
    ("rhyme", "%", lambda f: f.rhyme),
    ("all rules together", "%", lambda f: f.all_rules),
    ("distinct-1", "%", lambda f: f.distinct_1),
    ("distinct-2", "%", lambda f: f.distinct_2),
    ("lines borrowed", "%", lambda f: f.borrowed_lines),
    ("nats a character", ".3f", lambda f: f.nats_per_character),
    ("ms a poem, median", ".0f", lambda f: f.milliseconds),
    ("ms a poem, mean", ".0f", lambda f: f.milliseconds_mean),
)


def show(results: Results) -> None:
    """Print the tables on stdout."""
    console = Console(highlight=False)
    table = Table("", *results.names, box=box.SIMPLE)
    for column in table.columns[1:]:
        column.justify = "right"
    for title, unit, figure in ROWS:
        table.add_row(title, *(shown(figure(each), unit) for each in results.figures))
    console.print(table)

    kinds = Table("all rules", "feasible", *results.names, box=box.SIMPLE)
    for column in kinds.columns[1:]:
        column.justify = "right"
    for kind in KINDS:
        chosen = [[a for a in some if a.kind == kind] for some in results.attempts]
        if chosen[0]:
            each = [figures_of(some) for some in chosen]
            feasible = f"{each[0].asked - each[0].infeasible} of {each[0].asked}"
            kinds.add_row(kind, feasible, *(shown(f.all_rules, "%") for f in each))
    console.print(kinds)
    for line in notes(results):
        console.print(Text(line))


def shown(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if unit == "%" else f"{value:{unit}}"


def notes(results: Results) -> list[str]:
    """What has to be said with the tables."""
    about, ours = results.about, results.figures[0]
    forms = " ".join(f"{name} {count}" for name, count in about["forms"].items())
    reader = f"nats a character: read by {about['judge_model']}"
    if about["judge_wrote_the_poems"]:
        reader += ", THE MODEL THAT WROTE THEM (--judge-model names another)"
    lines = [
        f"{about['model']}; {about['entries']} heads of {about['list']}, at {about['at']}; "
        f"{forms}; {ours.infeasible} infeasible; by {about['rules']['rhyme_book']}",
        f"distinct and ms: of {ours.timed} heads, the same for every way, a poem at a time",
        f"{reader}, {about['compared_in_nats']} poems of each way",
        f"lines borrowed: by {about['lines_looked_for_in']}"
        if about["lines_looked_for_in"]
        else "lines borrowed: not measured, for want of the training corpus",
    ]
    if not about["keeps_off_training_poems"]:
        lines.append("this checkpoint has no filter of its training poems to keep off them")
    if results.rules_cost is not None:
        cost, error = results.rules_cost
        lines.append(f"the rules cost {cost:.3f} ± {error:.3f} nats a character (standard error)")
    lines += [f"crash: {made.crash} ({made.request.heads})" for made in every(results, "crash")]
    lines += [
        f"refused: {made.refusal} ({made.request.heads})"
        for made in every(results, "refusal")
        if made.feasible
    ]
    return lines


def every(results: Results, field: str) -> list[Attempt]:
    """The first few attempts of which something is to be told."""
    return [made for some in results.attempts for made in some if getattr(made, field)][:5]


def as_record(results: Results) -> dict[str, Any]:
    """Everything, for JSON: the figures of each way and each of its poems."""
    cost = results.rules_cost
    return {
        **results.about,
        "rules_cost_nats_per_character": cost and cost[0],
        "rules_cost_standard_error": cost and cost[1],
        "ways": [
            {
                "way": name,
                **asdict(figures),
                "poems": [poem_record(*made) for made in zip(attempts, nats, strict=True)],
            }
            for name, figures, attempts, nats in zip(
                results.names, results.figures, results.attempts, results.nats, strict=True
            )
        ],
    }


def poem_record(made: Attempt, nats: float | None) -> dict[str, Any]:
    record: dict[str, Any] = {
        "heads": made.request.heads,
        "kind": made.kind,
        "form": made.request.form.name,
        "feasible": made.feasible,
        "seconds": made.seconds and round(made.seconds, 4),
    }
    if made.poem is None:
        return {**record, "refusal": made.refusal, "crash": made.crash}
    verdict = judged(made.request, made.poem.lines)
    return {
        **record,
        "text": made.poem.text,
        "seed": made.poem.seed,
        "nats": nats,
        "all_rules": verdict.everything,
        "faults": verdict.faults,
    }
