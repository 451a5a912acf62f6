"""Curves of training runs: loss and validation perplexity, one run or several in one picture.

Reads `metrics.jsonl` and draws with matplotlib, imported only when something is drawn; no window is
opened and no global state of matplotlib is left changed. Needs no torch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from poetgen import files
from poetgen.errors import TrainingError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METRICS = "metrics.jsonl"
FORMATS = ("png", "svg")
X_AXES = ("steps", "seconds", "tokens")

XAxis = Literal["steps", "seconds", "tokens"]
Floats = npt.NDArray[np.float64]

_FIELDS = {"steps": "step", "seconds": "seconds", "tokens": "tokens"}
_POINTS = 400
# A curve is drawn through so many means at most: more cannot be told apart, and an SVG of 100,000
# steps would be 5 MB.
_WINDOW, _SHORTEST_WINDOW = 0.02, 10
# The smoothed loss is a mean over this share of the run's steps, but over ten at least.

# Families that cover Chinese, as the systems that bring them call them; the first found is taken.
_CHINESE_FAMILIES = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "Microsoft YaHei",
    "SimHei",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "LXGW WenKai",
    "Noto Sans CJK JP",
    "Noto Serif CJK SC",
    "Noto Serif CJK JP",
    "AR PL UMing CN",
    "AR PL UKai CN",
    "SimSun",
    "STSong",
    "Arial Unicode MS",
    "Droid Sans Fallback",
)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What a run logged.

    Attributes:
        name: What to call it in the picture.
        x: (N,) for each of `X_AXES`, where each step stands; tokens may be absent from an old log.
        loss: (N,) nats a token of each step.
        validated: (M,) the places, 0 to N - 1, of the steps that were validated.
        perplexity: (M,) validation perplexity per Chinese character there.
    """

    name: str
    x: dict[str, Floats]
    loss: Floats
    validated: npt.NDArray[np.int64]
    perplexity: Floats


def find_runs(names: Sequence[str], roots: Sequence[Path] = ()) -> list[Run]:
    """Read runs and tell them apart.

    Args:
        names: For each, the folder of a run, its `metrics.jsonl`, or its name in a root.
        roots: Folders of runs.

    Raises:
        TrainingError: There is no such run, or its log cannot be read.
    """
    paths = [_log_of(name, roots) for name in names]
    short = [path.resolve().parent.name if path.name == METRICS else path.stem for path in paths]
    times = Counter(short)
    return [
        read_run(path, given if times[name] > 1 else name)
        for path, name, given in zip(paths, short, names, strict=True)
    ]


def _log_of(name: str, roots: Sequence[Path]) -> Path:
    given = Path(name).expanduser()
    if given.is_file():
        return given
    for folder in (given, *(root / given for root in roots)):
        if (folder / METRICS).is_file():
            return folder / METRICS
    what = f"{given} has no {METRICS}" if given.is_dir() else f"there is no run '{name}'"
    raise TrainingError(what, hint="a run is the folder that `poetgen train --output` wrote to")


def read_run(path: Path, name: str) -> Run:
    """Read the log of a run, finished or not.

    Args:
        path: A `metrics.jsonl`.
        name: What to call it.

    Raises:
        TrainingError: It holds no step, or something else than steps.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise TrainingError(f"{path} is not UTF-8 text", hint=_NOT_A_LOG) from None
    # A run that is going on may be in the middle of its last line.
    records = list(_records(path, text[: text.rfind("\n") + 1]))
    if not records:
        raise TrainingError(f"{path} has no step yet", hint="wait for the run's first steps")
    columns = {axis: [record.get(field) for record in records] for axis, field in _FIELDS.items()}
    x = {
        axis: np.array(column, np.float64) for axis, column in columns.items() if None not in column
    }
    if "tokens" in x:
        x["tokens"] = np.cumsum(x["tokens"])
    validated = [i for i, r in enumerate(records) if r.get("validation_perplexity") is not None]
    return Run(
        name=name,
        x=x,
        loss=np.array([record["loss"] for record in records], np.float64),
        validated=np.array(validated, np.int64),
        perplexity=np.array([records[i]["validation_perplexity"] for i in validated], np.float64),
    )


_NOT_A_LOG = f"give a run's folder or the {METRICS} in it"


def _records(path: Path, text: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict) or not all(
            isinstance(value, int | float)
            for field, value in record.items()
            if field in (*_FIELDS.values(), "loss", "validation_perplexity")
        ):
            raise TrainingError(f"{path}, line {number}: no record of a step", hint=_NOT_A_LOG)
        for field in ("step", "seconds", "loss"):
            if field not in record:
                raise TrainingError(f"{path}, line {number}: no '{field}'", hint=_NOT_A_LOG)
        yield record


def plot_runs(
    runs: Sequence[Run], path: Path, x: XAxis = "steps", font: Path | None = None
) -> dict[str, str]:
    """Draw the curves of runs: loss on the left, validation perplexity on the right.

    Where no font has the characters of a run's name, it is called "run 1" and so on.

    Args:
        runs: At least one.
        path: Where the picture goes; its ending says of which format, PNG or SVG, it is.
        x: What runs from left to right.
        font: A font file to write with; None takes a font of the system that has Chinese.

    Returns:
        The names that could not be drawn, and what stands in the picture instead.

    Raises:
        TrainingError: The file's ending is neither, or a run did not log its tokens, or the
            font cannot be read.
        OSError: The picture cannot be written; what was there is still there.
    """
    picture_format = format_of(path)
    for run in runs:
        if x not in run.x:
            raise TrainingError(f"the run {run.name} did not log its {x}", hint="use --x steps")

    import matplotlib as mpl
    from matplotlib.figure import Figure

    families, drawable = find_fonts(font)
    names = [run.name if set(run.name) <= drawable else f"run {i}" for i, run in enumerate(runs, 1)]
    scale, label = _unit_of(x, max(float(run.x[x][-1]) for run in runs))
    style: dict[Any, Any] = {
        "font.family": families,
        "text.usetex": False,
        "svg.hashsalt": "poetgen",
        "axes.grid": True,
        "grid.alpha": 0.3,
    }
    with mpl.rc_context(style):
        # A Figure of its own, without pyplot, draws with Agg or as SVG whatever backend is set.
        figure = Figure(figsize=(11, 4.5), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        handles = [
            _draw(left, right, run, run.x[x] / scale, f"C{i % 10}", ("-", "--", ":")[i // 10 % 3])
            for i, run in enumerate(runs)
        ]
        left.set(xlabel=label, ylabel="training loss (nats per token)")
        right.set(xlabel=label, ylabel="validation perplexity per Chinese character")
        _count_out(right, runs)
        legend = left.legend(handles, [f"run {i}" for i, _ in enumerate(runs, 1)])
        for text, name in zip(legend.get_texts(), names, strict=True):
            # Set afterwards: matplotlib leaves a label that begins with _ out of a legend, and
            # reads $ as mathematics.
            text.set_parse_math(False)
            text.set_text(name)
        with files.replacing(path) as file:
            metadata = {"Date": None} if picture_format == "svg" else None
            figure.savefig(file, format=picture_format, dpi=150, metadata=metadata)
    return {run.name: name for run, name in zip(runs, names, strict=True) if run.name != name}


def format_of(path: Path) -> str:
    """The format that a picture's name asks for, one of `FORMATS`.

    Raises:
        TrainingError: It ends in none of them.
    """
    picture_format = path.suffix.lower().removeprefix(".")
    if picture_format not in FORMATS:
        raise TrainingError(
            f"cannot draw {path}", hint=f"end its name with {' or '.join(f'.{f}' for f in FORMATS)}"
        )
    return picture_format


def _draw(left: Axes, right: Axes, run: Run, x: Floats, color: str, style: str) -> Any:
    """Draw a run's curves; returns what the legend shows of them."""
    points = np.array_split(np.arange(len(x)), min(len(x), _POINTS))
    means = [np.array([values[some].mean() for some in points]) for values in (x, run.loss)]
    left.plot(*means, color=color, alpha=0.25, linewidth=0.8)
    (handle,) = left.plot(x[_ends(points)], _smooth(run.loss)[_ends(points)], style, color=color)
    if len(run.validated):
        places, best = x[run.validated], int(run.perplexity.argmin())
        right.plot(places, run.perplexity, style, color=color, marker=".", markersize=4)
        right.plot(places[best], run.perplexity[best], "o", color=color, markersize=7)
        right.annotate(
            f"{run.perplexity[best]:,.1f}",
            (places[best], run.perplexity[best]),
            xytext=(0, -7),  # It is the lowest place: there is room under it.
            textcoords="offset points",
            ha="center",
            va="top",
            color=color,
        )
    return handle


def _ends(points: list[npt.NDArray[np.int64]]) -> list[int]:
    return [int(some[-1]) for some in points]


def _smooth(values: Floats) -> Floats:
    """A mean over the last steps, over fewer at the start."""
    window = max(_SHORTEST_WINDOW, round(len(values) * _WINDOW))
    sums = np.concatenate(([0.0], np.cumsum(values)))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    smooth: Floats = (sums[ends] - sums[starts]) / (ends - starts)
    return smooth


def _count_out(axes: Axes, runs: Sequence[Run]) -> None:
    """Perplexities fall from thousands to tens: a logarithmic axis, labelled in plain numbers."""
    figures = [run.perplexity for run in runs if len(run.perplexity)]
    if not figures:
        axes.text(0.5, 0.5, "not validated yet", transform=axes.transAxes, ha="center")
        return
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.margins(y=0.1)
    low, high = min(map(np.min, figures)), max(map(np.max, figures))
    # Over less than a decade, 10 and 100 may both be out of the picture.
    steps = (1.0,) if high > 30 * low else (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _unit_of(x: XAxis, last: float) -> tuple[float, str]:
    """What to divide by, and what the axis then says."""
    if x == "seconds":
        return next(
            (size, name)
            for size, name, enough in ((3600, "hours", 3), (60, "minutes", 5), (1, "seconds", 0))
            if last >= enough * size
        )
    if x == "tokens" and last >= 2e6:
        return 1e6, "million tokens"
    return 1.0, x


def find_fonts(font: Path | None = None) -> tuple[list[str], set[str]]:
    """The families to write a picture with, and the characters that they have between them.

    Args:
        font: A font file to write with; None takes a font of the system that has Chinese, if any.

    Raises:
        TrainingError: The file cannot be read as a font.
    """
    from matplotlib import font_manager, ft2font

    if font is not None:
        try:
            font_manager.fontManager.addfont(font)
            chinese = [font_manager.FontProperties(fname=font).get_name()]
        except (OSError, RuntimeError):
            raise TrainingError(
                f"{font} cannot be read as a font", hint="give a .ttf, .otf or .ttc file"
            ) from None
    else:
        present = set(font_manager.get_font_names())
        chinese = [family for family in _CHINESE_FAMILIES if family in present][:1]
    families = ["DejaVu Sans", *chinese]  # DejaVu comes with matplotlib.
    drawable: set[str] = set()
    for family in families:
        path = font_manager.findfont(family)
        drawable.update(map(chr, ft2font.FT2Font(path).get_charmap()))
    return families, drawable
