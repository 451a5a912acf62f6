"""What ranking and the filter of runs change: likelihood, repetition, clichés, borrowing, time.

    python benchmarks/ranking.py chinese-poetry --model lstm --poems 40

Acrostics for the heads of poems that the model was not trained on, with the draft that was drawn
and with the best one, beside those poems themselves. Faults are given a hundred characters.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np

from poetgen.checkpoint import find_checkpoint, load_checkpoint
from poetgen.corpus.store import open_corpus
from poetgen.dataset.runs import FILE, RunFilter
from poetgen.dataset.splits import PARTS, assign_parts, hash_poems
from poetgen.verse.poem import Poem
from poetgen.writing.poet import Poet
from poetgen.writing.ranking import Appraisal, appraise
from poetgen.writing.request import acrostic_request
from poetgen.writing.written import WrittenPoem


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", help="the imported corpus that the model was trained on")
    parser.add_argument("--model", help="a checkpoint with a filter of runs")
    parser.add_argument("--poems", type=int, default=40, help="how many, of each form")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    poet = Poet.load(options.model, "cpu")
    folder = find_checkpoint(options.model)
    runs = RunFilter.load(folder / FILE, load_checkpoint(folder).config["corpus"])
    corpus = open_corpus(options.corpus)
    texts, forms = corpus.texts(), corpus.forms()
    held_out = assign_parts(hash_poems(texts)) == PARTS.index("test")
    random = np.random.default_rng(options.seed)
    print("form  whose   nats/char  repeated  clichés  borrowed runs  borrowed lines  ms a poem")
    for form in ("五绝", "七绝"):
        ours = np.flatnonzero(held_out & (np.array(forms) == form))
        chosen = random.choice(ours, min(options.poems, len(ours)), replace=False)
        poems = [Poem.from_text(texts[i]) for i in chosen]
        forced = tuple((True, *[False] * (len(line) - 1)) for line in poems[0].lines)
        own = [appraise(poem.lines, forced, float("nan"), runs) for poem in poems]
        _print(form, "poets", own, [poem.lines for poem in poems], runs, 0.0)
        for whose, rank in (("drawn", False), ("best", True)):
            written: list[WrittenPoem] = []
            begun = time.perf_counter()
            for seed, poem in enumerate(poems):
                request = acrostic_request("".join(line[0] for line in poem.lines), form)
                (found,) = poet.write([request], [seed], rank=rank)
                if isinstance(found, WrittenPoem):
                    written.append(found)
            seconds = time.perf_counter() - begun
            appraised = [
                appraise(each.lines, each.forced, each.nats_per_character, runs) for each in written
            ]
            lines = [each.lines for each in written]
            _print(form, whose, appraised, lines, runs, seconds / len(written))


def _print(
    form: str,
    whose: str,
    appraised: Sequence[Appraisal],
    poems: Sequence[Sequence[str]],
    runs: RunFilter | None,
    seconds: float,
) -> None:
    characters = sum(each.characters for each in appraised) / 100
    lines = [line for poem in poems for line in poem]
    borrowed = sum(runs.borrowed_line(line) for line in lines) if runs else 0
    print(
        f"{form}  {whose:5}   {np.mean([each.nats_per_character for each in appraised]):9.3f}  "
        f"{sum(each.repeated for each in appraised) / characters:8.2f}  "
        f"{sum(each.cliches for each in appraised) / characters:7.2f}  "
        f"{np.mean([each.borrowed_share or 0.0 for each in appraised]):13.1%}  "
        f"{borrowed / len(lines):14.1%}  {seconds * 1000:9.0f}"
    )


if __name__ == "__main__":
    main()
