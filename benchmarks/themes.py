"""Whether a model writes what it is told: themes, and the manner of a dynasty.

    python -m benchmarks.themes MODEL                   40 themes, 8 poems each
    python -m benchmarks.themes MODEL --poems 2         a look
    python -m benchmarks.themes MODEL --tones loose --particles 32 --json themes.json

Quatrains without heads are written with each theme and without any, all by the same network. What
is counted in them: the theme's own characters, and its neighbours, the characters that stand far
oftener in poems of the corpus with the theme's word than in others. A ratio of 2 says that they
appear twice as often when the model is told. Intervals are of 95 %, from drawing themes anew.

For the manner of a dynasty, a judge that knows nothing but how often Tang and Song poets use each
character (naive Bayes, from the training poems) says whose poem it is; beside it stands how often
it is right about poets.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich import box
from rich.console import Console
from rich.table import Table

from poetgen.checkpoint import Checkpoint, load_checkpoint
from poetgen.corpus.store import Corpus
from poetgen.dataset.context import DYNASTIES, reads_context
from poetgen.dataset.splits import PARTS, assign_parts, hash_poems
from poetgen.errors import CheckpointError, PoetgenError
from poetgen.files import write_text
from poetgen.shipping.measuring import corpus_of, forms_of
from poetgen.verse.forms import form_named
from poetgen.verse.patterns import STYLES
from poetgen.verse.poem import is_han
from poetgen.writing.asked import OFF, Rules
from poetgen.writing.engine import engine_for
from poetgen.writing.figures import write_poems
from poetgen.writing.options import SamplingOptions
from poetgen.writing.poet import Poet
from poetgen.writing.request import FREE, Request

THEMES = (
    *("秋思", "送别", "梅花", "边塞", "思乡", "中秋", "重阳", "寒食", "元日", "春雨"),
    *("夜雪", "登高", "怀古", "山居", "渔父", "采莲", "闺怨", "宫词", "访僧", "田家"),
    *("赏菊", "咏竹", "听琴", "饮酒", "品茶", "江行", "落花", "杨柳", "明月", "孤雁"),
    *("牡丹", "夏日", "除夜", "悼亡", "从军", "塞下", "早行", "题画", "寻隐者", "泊舟"),
)
"""Written for this benchmark: what poems of old are called, one to a poem."""

NEIGHBOURS = 20
_LEAST_SHARE = 0.04
"""A neighbour stands in so many of the theme's poems, or it could hardly be seen in a few."""

_FEW = 30
"""With fewer poems of the theme's word, those that have all its characters count as its poems."""

_DRAWS = 2000  # Of the bootstrap.

Counted = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How much oftener something appears with what was told than without.

    Attributes:
        told: How often with.
        untold: How often without.
        ratio: told / untold.
        low: The lower end of its 95 % interval.
        high: The upper end.
    """

    told: float
    untold: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured.

    Attributes:
        poems_with_theme: Share of the poems with a character of the theme.
        theme_characters: Share of the written characters that are the theme's.
        neighbours: Share of the written characters that are neighbours of the theme.
        judged_tang: By what was told ("唐", "宋", "nothing"): the share that the judge gives to
            Tang poets.
        poets_judged_right: Of held-out poems by Tang and by Song poets, the share that it knows.
        by_theme: For each theme: its neighbours, and the three shares, told and untold.
    """

    poems_with_theme: Ratio
    theme_characters: Ratio
    neighbours: Ratio
    judged_tang: dict[str, float]
    poets_judged_right: dict[str, float]
    by_theme: dict[str, dict[str, object]]


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    try:
        figures = run(arguments)
    except PoetgenError as error:
        sys.exit(f"{error.message}\n{error.hint or ''}".rstrip())
    show(figures)
    if arguments.json:
        text = json.dumps(asdict(figures), ensure_ascii=False, indent=1)
        write_text(arguments.json, text + "\n")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.themes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", nargs="?", help="a checkpoint's name or folder")
    parser.add_argument("--corpus", metavar="NAME", help="where its corpus is")
    parser.add_argument("--poems", type=int, default=8, metavar="N", help="for each theme")
    parser.add_argument("--themes", help="these themes only, commas between them")
    parser.add_argument("--form", default="七绝")
    parser.add_argument("--tones", default=OFF, choices=[*STYLES, OFF])
    parser.add_argument("--particles", type=int, default=1, help="1: a plain draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="save the figures")
    arguments = parser.parse_args(argv)
    if arguments.poems < 1:
        parser.error("--poems must be at least 1")
    return arguments


def run(arguments: argparse.Namespace) -> Figures:
    """Write and measure."""
    checkpoint = load_checkpoint(arguments.model)
    if not reads_context(checkpoint.vocabulary):
        raise CheckpointError(f"{checkpoint.name} cannot be told a theme", hint="train it anew")
    corpus = corpus_of(checkpoint, arguments.corpus)
    poet = Poet.of(checkpoint, engine_for(checkpoint))
    form = form_named(arguments.form)
    options = SamplingOptions(
        particles=arguments.particles,
        decoding="plain" if arguments.particles == 1 else "particles",
    )
    themes = arguments.themes.split(",") if arguments.themes else THEMES

    def write(count: int, theme: str = "", style: str = "") -> list[str]:
        rules = Rules(tones=arguments.tones)
        request = Request(FREE * form.line_count, form, rules=rules, theme=theme, style=style)
        poems = write_poems(poet, [request] * count, arguments.seed, options)
        return ["".join(poem.lines) for poem in poems]

    texts, dynasties, parts = texts_of(checkpoint, corpus)
    training = [text for text, part in zip(texts, parts, strict=True) if part == "train"]
    near = neighbours_of(themes, training)
    print("writing without a theme", file=sys.stderr)
    every = arguments.poems * len(themes)
    untold = write(every)
    told = {}
    for theme in themes:
        print(f"writing of {theme}", file=sys.stderr)
        told[theme] = write(arguments.poems, theme=theme)
    judge = judge_of(training, [d for d, p in zip(dynasties, parts, strict=True) if p == "train"])
    written = {"nothing": untold}
    for style in DYNASTIES:
        print(f"writing as in {style}", file=sys.stderr)
        written[style] = write(every, style=style)
    held_out = {
        style: [
            text
            for text, dynasty, part in zip(texts, dynasties, parts, strict=True)
            if part == "test" and dynasty == style
        ]
        for style in DYNASTIES
    }
    return Figures(
        **ratios(themes, told, untold, near, arguments.seed),
        judged_tang={name: share(poems, judge) for name, poems in written.items()},
        poets_judged_right={
            style: abs((style != "唐") - share(poems, judge)) for style, poems in held_out.items()
        },
        by_theme=by_theme(themes, told, untold, near),
    )


def texts_of(checkpoint: Checkpoint, corpus: Corpus) -> tuple[list[str], list[str], list[str]]:
    """The poems of the model's forms without marks, the dynasty and the part of each."""
    forms = forms_of(checkpoint)
    parts = assign_parts(hash_poems(corpus.texts())).tolist()
    chosen = [
        ("".join(filter(is_han, text)), details.dynasty, PARTS[part])
        for text, details, form, part in zip(
            corpus.texts(), corpus.details(), corpus.forms(), parts, strict=True
        )
        if not forms or form in forms
    ]
    texts, dynasties, names = zip(*chosen, strict=True)
    return list(texts), list(dynasties), list(names)


def neighbours_of(themes: Sequence[str], texts: Sequence[str]) -> dict[str, frozenset[str]]:
    """For each theme, the characters that prefer its poems most (by PMI), its own left out."""
    everywhere = Counter(character for text in texts for character in set(text))
    found = {}
    for theme in themes:
        own = [text for text in texts if theme in text]
        if len(own) < _FEW:
            own = [text for text in texts if set(theme) <= set(text)]
        here = Counter(character for text in own for character in set(text))
        least = max(3, _LEAST_SHARE * len(own))
        common = [c for c, count in here.items() if count >= least and c not in theme]
        common.sort(key=lambda c: -here[c] / everywhere[c])
        found[theme] = frozenset(common[:NEIGHBOURS])
    return found


def shares(poems: Sequence[str], theme: str, near: frozenset[str]) -> tuple[float, float, float]:
    """Of some poems: with a character of the theme; of their characters: its own, neighbours."""
    characters = sum(map(len, poems))
    return (
        sum(bool(set(theme) & set(poem)) for poem in poems) / len(poems),
        sum(character in theme for poem in poems for character in poem) / characters,
        sum(character in near for poem in poems for character in poem) / characters,
    )


def ratios(
    themes: Sequence[str],
    told: dict[str, list[str]],
    untold: Sequence[str],
    near: dict[str, frozenset[str]],
    seed: int,
) -> dict[str, Ratio]:
    """The three shares with the theme and without, over all themes."""
    with_theme = np.array([shares(told[theme], theme, near[theme]) for theme in themes])  # (T, 3)
    without = np.array([shares(untold, theme, near[theme]) for theme in themes])
    names = ("poems_with_theme", "theme_characters", "neighbours")
    return {name: ratio_of(with_theme[:, i], without[:, i], seed) for i, name in enumerate(names)}


def ratio_of(told: Counted, untold: Counted, seed: int) -> Ratio:
    """The ratio of two means over themes, with its interval."""
    draws = np.random.default_rng(seed).integers(len(told), size=(_DRAWS, len(told)))
    means_told, means_untold = told[draws].mean(axis=1), untold[draws].mean(axis=1)
    drawn = means_told / np.maximum(means_untold, 1e-12)
    low, high = np.quantile(drawn, [0.025, 0.975])
    means = float(told.mean()), float(untold.mean())
    return Ratio(*means, means[0] / max(means[1], 1e-12), float(low), float(high))


def by_theme(
    themes: Sequence[str],
    told: dict[str, list[str]],
    untold: Sequence[str],
    near: dict[str, frozenset[str]],
) -> dict[str, dict[str, object]]:
    return {
        theme: {
            "neighbours": "".join(sorted(near[theme])),
            "told": shares(told[theme], theme, near[theme]),
            "untold": shares(untold, theme, near[theme]),
            "poems": told[theme],
        }
        for theme in themes
    }


def judge_of(texts: Sequence[str], dynasties: Sequence[str]) -> Callable[[str], bool]:
    """What says of a poem whether it is rather of Tang than of Song, both as likely beforehand."""
    counts = {
        style: Counter(
            character
            for text, dynasty in zip(texts, dynasties, strict=True)
            if dynasty == style
            for character in text
        )
        for style in DYNASTIES
    }
    known = len(set().union(*counts.values()))
    totals = {style: counts[style].total() + known for style in DYNASTIES}

    def log_odds(character: str) -> float:
        tang, song = ((counts[style][character] + 1) / totals[style] for style in DYNASTIES)
        return math.log(tang / song)

    return lambda text: sum(map(log_odds, text)) > 0


def share(poems: Sequence[str], judge: Callable[[str], bool]) -> float:
    return sum(map(judge, poems)) / len(poems) if poems else math.nan


def show(figures: Figures) -> None:
    """Print the tables on stdout."""
    console = Console(highlight=False)
    table = Table("", "with theme", "without", "ratio", "95 %", box=box.SIMPLE)
    for column in table.columns[1:]:
        column.justify = "right"
    for title, each in (
        ("poems with a character of the theme", figures.poems_with_theme),
        ("characters: the theme's own", figures.theme_characters),
        ("characters: its neighbours", figures.neighbours),
    ):
        table.add_row(
            title,
            f"{each.told:.1%}",
            f"{each.untold:.1%}",
            f"{each.ratio:.2f}",
            f"{each.low:.2f}-{each.high:.2f}",
        )
    console.print(table)
    table = Table("told", "judged to be of Tang", box=box.SIMPLE)
    for name, value in figures.judged_tang.items():
        table.add_row(name, f"{value:.1%}")
    console.print(table)
    right = ", ".join(f"{k} {v:.1%}" for k, v in figures.poets_judged_right.items())
    console.print(f"the judge is right about poets: {right}")


if __name__ == "__main__":
    main()
