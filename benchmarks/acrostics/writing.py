"""Lets every way write for its share of the heads, and keeps what is done.

A part of the heads, the same for all, is written one poem at a time, the ways taking turns: what is
timed, and what is compared between ways. The rest is written in batches.

What is done goes to a file as it is done, so that a run that was killed can go on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.acrostics.entries import Entry, evenly_spread
from benchmarks.acrostics.figures import Attempt
from benchmarks.acrostics.ways import OneDraw, Way
from poetgen.errors import PoetgenError, TemplateError
from poetgen.writing.poet import Poet
from poetgen.writing.request import Request
from poetgen.writing.written import WrittenPoem

SHORT = 100
"""Heads that every way writes for, if there are no more."""

_TOGETHER = 16


@dataclass(frozen=True)
class Asked:
    """A request, and the entry that it came from."""

    entry: Entry
    request: Request
    feasible: bool


class Kept:
    """What is written so far, by the ways' names and the entries' numbers, in a file.

    Args:
        path: The file; None: it is kept in memory alone.
        about: What the run is, for JSON: another run's poems are not taken up.
        resume: Whether to go on with what the file has. Otherwise it begins anew.

    Raises:
        PoetgenError: The file is of another run.
    """

    def __init__(self, path: Path | None, about: Mapping[str, Any], resume: bool) -> None:
        self._path = path
        self._records: dict[tuple[str, int], dict[str, Any]] = {}
        first = json.dumps(about, ensure_ascii=False, sort_keys=True)
        lines = [first]
        if path is not None and resume and path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            if lines[:1] != [first]:
                raise PoetgenError(
                    f"{path} has poems of another run",
                    hint="ask for what that one was asked for, or leave out --resume",
                )
            for line in lines[1:]:
                try:
                    record = json.loads(line)
                except ValueError:  # The line that was being written.
                    continue
                self._records[record["way"], record["number"]] = record
        if path is not None:
            whole = [json.dumps(each, ensure_ascii=False) for each in self._records.values()]
            path.write_text("\n".join([first, *whole, ""]), encoding="utf-8")

    def add(self, way: str, attempt: Attempt) -> None:
        """Keep what a way made of a request."""
        poem = attempt.poem
        record = {
            "way": way,
            "number": attempt.number,
            "seconds": attempt.seconds,
            "refusal": attempt.refusal,
            "crash": attempt.crash,
            "poem": poem and {"lines": poem.lines, "marks": poem.marks, "seed": poem.seed},
        }
        self._records[way, attempt.number] = record
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def get(self, way: str, asked: Asked) -> Attempt | None:
        """What a way made of a request, if it is kept."""
        record = self._records.get((way, asked.entry.number))
        if record is None:
            return None
        poem = None
        if (kept := record["poem"]) is not None:
            poem = WrittenPoem(
                lines=tuple(kept["lines"]),
                marks=kept["marks"],
                heads=asked.request.heads,
                form=asked.request.form,
                seed=kept["seed"],
                model="",
                nats_per_character=0.0,
                forced=(),
            )
        return _attempt(asked, poem, record["seconds"], record["refusal"], record["crash"])


def parts(entries: Sequence[Entry], ways: Sequence[Way]) -> list[list[Entry]]:
    """The entries that each way writes for: even parts, the smaller ones in the larger."""
    found: dict[float, list[Entry]] = {}
    larger = list(entries)
    for share in sorted({way.share for way in ways}, reverse=True):
        larger = evenly_spread(larger, max(SHORT, round(share * len(entries))))
        found[share] = larger
    return [found[way.share] for way in ways]


def write_all(
    ways: Sequence[Way],
    asked: Sequence[Asked],
    seed: int,
    kept: Kept,
    advance: Callable[[int], None],
) -> list[list[Attempt]]:
    """What each way makes of its part of the requests, in their order.

    Args:
        ways: Ours first, which says how long rejection may take.
        asked: What to write.
        seed: That of the first entry of the list; the others count on from it.
        kept: What is written already, and where to keep more.
        advance: Told how many more poems are done.
    """
    by_number = {each.entry.number: each for each in asked}
    entries = [each.entry for each in asked]
    numbers = [[entry.number for entry in part] for part in parts(entries, ways)]
    smallest: list[int] = min(numbers, key=len)
    timed = set(smallest)
    fresh = [n for n in sorted(timed) if any(not kept.get(w.name, by_number[n]) for w in ways)]
    if fresh:
        for way in ways:  # Tables are read and BLAS wakes up before the clock runs.
            attempt(way, by_number[fresh[0]], seed, 0.0)
    for number in sorted(timed):
        ours = 0.0
        for way in ways:
            made = kept.get(way.name, by_number[number])
            if made is None or made.seconds is None:
                made = attempt(way, by_number[number], seed + number, ours)
                kept.add(way.name, made)
            if way is ways[0]:
                ours = made.seconds or 0.0
            advance(1)
    for way, mine in zip(ways, numbers, strict=True):
        rest = [by_number[number] for number in mine if number not in timed]
        todo = [each for each in rest if kept.get(way.name, each) is None]
        advance(len(rest) - len(todo))
        for start in range(0, len(todo), _TOGETHER):
            some = todo[start : start + _TOGETHER]
            for made in _attempts(way, some, seed):
                kept.add(way.name, made)
            advance(len(some))
    return [
        [_known(kept, way, by_number[number]) for number in sorted(mine)]
        for way, mine in zip(ways, numbers, strict=True)
    ]


def attempt(way: Way, asked: Asked, seed: int, ours: float) -> Attempt:
    """Let one way write alone, whatever becomes of it; `ours`: the seconds that our way took."""
    start = time.perf_counter()
    poem, refusal, crash = _outcome(lambda: way.write(asked.request, seed, ours))
    return _attempt(asked, poem, time.perf_counter() - start, refusal, crash)


def _attempts(way: Way, some: Sequence[Asked], seed: int) -> Iterator[Attempt]:
    """Let one way write a batch; one by one if the batch crashes, to see whose crash it is."""
    seeds = [seed + each.entry.number for each in some]
    if isinstance(way, OneDraw):
        try:
            outcomes = way.write_together([each.request for each in some], seeds)
        except Exception:
            pass
        else:
            for each, outcome in zip(some, outcomes, strict=True):
                if isinstance(outcome, TemplateError):
                    yield _attempt(each, None, None, outcome.message)
                else:
                    yield _attempt(each, outcome, None)
            return
    for each, own in zip(some, seeds, strict=True):
        yield replace(attempt(way, each, own, 0.0), seconds=None)


def _outcome(write: Callable[[], WrittenPoem]) -> tuple[WrittenPoem | None, str, str]:
    """A poem, or a refusal, or a crash."""
    try:
        return write(), "", ""
    except TemplateError as error:
        return None, error.message, ""
    except Exception as error:  # What is counted here is just that.
        return None, "", repr(error)


def _attempt(
    asked: Asked,
    poem: WrittenPoem | None,
    seconds: float | None,
    refusal: str = "",
    crash: str = "",
) -> Attempt:
    entry = asked.entry
    return Attempt(
        asked.request, entry.kind, asked.feasible, poem, seconds, refusal, crash, entry.number
    )


def _known(kept: Kept, way: Way, asked: Asked) -> Attempt:
    made = kept.get(way.name, asked)
    assert made is not None
    return made


def is_feasible(poet: Poet, request: Request) -> bool:
    """Whether the heads leave a poem under strict rules.

    What is refused under loose rules too is no fault of the heads: it counts as feasible, and so
    against the way that refuses it.
    """

    def compiles(tones: str) -> bool:
        try:
            poet.template(replace(request, rules=replace(request.rules, tones=tones)))
        except TemplateError:
            return False
        return True

    return compiles("strict") or not compiles("loose")
