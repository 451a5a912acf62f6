"""How far the judge agrees with real verse, and how well it sees what was broken on purpose.

    python benchmarks/judge.py --corpus chinese-poetry            an imported corpus
    python benchmarks/judge.py --corpus chinese-poetry.zip        or a file that can be imported

Two tables. The first takes the *candidates* of a dynasty: poems of 4 or 8 lines of 5 or 7
characters of which every even line's foot can be read level, and which do not rhyme oblique
instead (`prosody.is_candidate`). 古绝, short 古体 and 偈颂 with a level rhyme are among them;
nothing is left out for being irregular or out of rhyme. `regulated` is tones, joins and line
ends, without the blemishes; `rhymed` is every even line's foot in one group of 平水韵.

The second takes the candidates that the judge accepts and breaks each in one way. `rejected` is
the share that is no longer both regulated and rhymed; `by name` the share in which the fault that
was put in is among those named. Replaced characters are drawn from the corpus itself, of one tone
only. Swapping the couplets of a quatrain whose first line does not rhyme gives another legal
poem, so those are not counted.
"""

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from poetgen.verse.forms import FORMS
from poetgen.verse.phonology import EITHER, LEVEL, OBLIQUE, RhymeBook, rhyme_book
from poetgen.verse.prosody import ProsodyReport, check, is_candidate

Lines = tuple[str, ...]
Break = Callable[["Breaker", ProsodyReport], Lines | None]


class Breaker:
    """Breaks accepted poems, each in one way; None where a poem cannot be broken so."""

    def __init__(self, characters: str, book: RhymeBook, seed: int) -> None:
        self.random = random.Random(seed)
        self.book = book
        self.of_tone = {
            tone: [c for c in characters if book.tones(c) == tone] for tone in (LEVEL, OBLIQUE)
        }

    def put(self, lines: Lines, number: int, place: int, tone: str, avoid: int = 0) -> Lines:
        """A character of one tone at a place; `avoid`: of none of these rhyme groups."""
        while True:
            character = self.random.choice(self.of_tone[tone])
            if character != lines[number][place] and not self.book.mask(character) & avoid:
                break
        line = lines[number][:place] + character + lines[number][place + 1 :]
        return (*lines[:number], line, *lines[number + 1 :])

    def lines_swapped(self, report: ProsodyReport) -> Lines | None:
        lines = list(report.lines)
        i = 2 * self.random.randrange(len(lines) // 2)
        lines[i], lines[i + 1] = lines[i + 1], lines[i]
        return tuple(lines)

    def couplets_swapped(self, report: ProsodyReport) -> Lines | None:
        assert report.pattern is not None
        lines = report.lines
        if len(lines) == 4 and not (
            report.pattern.first_line_rhymes and report.tones[0][-1] == LEVEL
        ):
            return None
        i = 2 * self.random.randrange(len(lines) // 2 - 1)
        return (*lines[:i], *lines[i + 2 : i + 4], *lines[i : i + 2], *lines[i + 4 :])

    def foot_out_of_rhyme(self, report: ProsodyReport) -> Lines | None:
        number = self.random.randrange(1, len(report.lines), 2)
        feet = [self.book.mask(line[-1]) for line in report.lines[1::2]]
        avoid = self.book.level_mask
        for mask in feet:
            avoid &= mask
        return self.put(report.lines, number, len(report.lines[0]) - 1, LEVEL, avoid)

    def _line_of(self, report: ProsodyReport, line_type: str) -> int | None:
        assert report.pattern is not None
        # A first foot of both tones would let the line be read as another type.
        found = [
            i
            for i, kind in enumerate(report.pattern.types)
            if kind == line_type and (i or report.tones[0][-1] == LEVEL)
        ]
        return self.random.choice(found) if found else None

    def level_end(self, report: ProsodyReport) -> Lines | None:
        number = self._line_of(report, "A")
        if number is None:
            return None
        return self.put(report.lines, number, len(report.lines[0]) - 3, LEVEL)

    def lone_level(self, report: ProsodyReport) -> Lines | None:
        number = self._line_of(report, "B")
        if number is None:
            return None
        lines = self.put(report.lines, number, len(report.lines[0]) - 5, OBLIQUE)
        return self.put(lines, number, len(report.lines[0]) - 3, OBLIQUE)

    def _wrong(self, report: ProsodyReport, place: int) -> Lines | None:
        number = self.random.randrange(len(report.lines))
        tone = report.tones[number][place]
        if tone == EITHER:
            return None
        return self.put(report.lines, number, place, OBLIQUE if tone == LEVEL else LEVEL)

    def second_wrong(self, report: ProsodyReport) -> Lines | None:
        return self._wrong(report, 1)

    def fourth_wrong(self, report: ProsodyReport) -> Lines | None:
        return self._wrong(report, 3)

    def shuffled(self, report: ProsodyReport) -> Lines | None:
        text = self.random.sample("".join(report.lines), sum(map(len, report.lines)))
        length = len(report.lines[0])
        return tuple("".join(text[i : i + length]) for i in range(0, len(text), length))


TONAL = ("平仄", "失对", "失粘", "孤平", "三平尾", "白脚")
BREAKS: dict[str, tuple[Break, tuple[str, ...]]] = {
    "a couplet's lines swapped": (Breaker.lines_swapped, ("白脚", "出韵", "失对", "失粘")),
    "couplets swapped": (Breaker.couplets_swapped, ("失粘", "白脚")),
    "a foot out of rhyme": (Breaker.foot_out_of_rhyme, ("出韵",)),
    "三平尾 put in": (Breaker.level_end, ("三平尾",)),
    "孤平 put in": (Breaker.lone_level, ("孤平",)),
    "wrong tone at the second": (Breaker.second_wrong, ("失对", "失粘")),
    "wrong tone at the fourth": (Breaker.fourth_wrong, TONAL),
    "characters shuffled": (Breaker.shuffled, (*TONAL, "出韵")),
}


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:6.1f}" if whole else "     -"


def agreement(poems: Sequence[Lines], book: RhymeBook) -> list[ProsodyReport]:
    """Print the first table; give back the reports under `loose`."""
    start = time.perf_counter()
    reports = [check(lines, book) for lines in poems]
    seconds = time.perf_counter() - start
    strict = {
        report.lines for report in (check(p, book, "strict") for p in poems) if report.regulated
    }
    print(
        f"{'form':4} {'candidates':>10} {'regulated':>10} {'strict':>7} {'rhymed':>7} {'both':>7}"
    )
    for form in (*[form.name for form in FORMS], "all"):
        chosen = [report for report in reports if form in (report.form, "all")]
        print(
            f"{form:4} {len(chosen):10}",
            f"{percent(sum(bool(r.regulated) for r in chosen), len(chosen)):>9}",
            f"{percent(sum(r.lines in strict for r in chosen), len(chosen)):>8}",
            f"{percent(sum(bool(r.rhymed) for r in chosen), len(chosen)):>7}",
            f"{percent(sum(bool(r.rhymed and r.regulated) for r in chosen), len(chosen)):>7}",
        )
    print(f"{len(poems) / seconds:.0f} poems/s")
    share = Counter(name for r in reports for name in {f.name for f in (*r.faults, *r.licences)})
    print(
        "share of poems with:",
        *(f"{k} {100 * n / len(poems):.1f}%" for k, n in share.most_common()),
    )
    return reports


def broken(reports: Sequence[ProsodyReport], book: RhymeBook, seed: int) -> None:
    """Print the second table."""
    accepted = [report for report in reports if report.regulated and report.rhymed]
    characters = "".join(sorted({c for report in accepted for c in "".join(report.lines)}))
    print(f"\n{'broken on purpose':28} {'poems':>6} {'rejected':>9} {'by name':>8}")
    for title, (break_it, names) in BREAKS.items():
        breaker = Breaker(characters, book, seed)
        spoilt = [lines for r in accepted if (lines := break_it(breaker, r)) is not None]
        judged = [check(lines, book) for lines in spoilt]
        rejected = [report for report in judged if not (report.regulated and report.rhymed)]
        named = [r for r in rejected if any(fault.name in names for fault in r.faults)]
        wide = 28 - sum(c > "\u2e80" for c in title)
        print(
            f"{title:{wide}} {len(judged):6}",
            f"{percent(len(rejected), len(judged)):>9} {percent(len(named), len(judged)):>8}",
        )


def read(corpus: str, dynasty: str) -> Iterable[Lines]:
    from poetgen.corpus.store import open_corpus

    for poem in open_corpus(corpus):
        if poem.genre == "诗" and poem.dynasty == dynasty:
            yield poem.lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", default="chinese-poetry", help="a name, or a path to a zip")
    parser.add_argument("--dynasty", default="唐")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    book = rhyme_book()
    poems = [lines for lines in read(options.corpus, options.dynasty) if is_candidate(lines, book)]
    if not poems:
        parser.error(f"no candidates of {options.dynasty} in {Path(options.corpus).name}")
    print(f"{len(poems)} candidates of {options.dynasty} in {Path(options.corpus).name}")
    broken(agreement(poems, book), book, options.seed)


if __name__ == "__main__":
    main()
