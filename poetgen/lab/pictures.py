"""The laboratory's pictures, PNG or SVG, drawn with matplotlib; it is imported only when drawing.

No window is opened and no global state of matplotlib is left changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from poetgen import files
from poetgen.book.fonts import Faces
from poetgen.errors import PoetgenError
from poetgen.lab.confusion import Confusion
from poetgen.lab.gates import SUMMARIES, GateTrace
from poetgen.lab.gradients import AT_START, CLIPPED, UNCLIPPED, WHEN, Reach
from poetgen.lab.rtrl_costs import BPTT, RTRL, Costs
from poetgen.training.plots import find_fonts, format_of
from poetgen.verse.poem import is_han

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MISSING = "□"


def draw_gates(
    trace: GateTrace, path: Path, *, summary: str, title: str, font: Path | None = None
) -> set[str]:
    """Draw the gates of a layer over a poem, and under them what its memory retains.

    Args:
        trace: What was seen.
        path: Where the picture goes; its ending says of which format, PNG or SVG, it is.
        summary: A key of `SUMMARIES`.
        title: What stands over it.
        font: A font file to write with; None takes a font of the system that has Chinese.

    Returns:
        The characters that no font has; □ stands in their place.

    Raises:
        TrainingError: The file's ending is neither, or the font cannot be read.
        OSError: The picture cannot be written.
    """
    families, drawable = find_fonts(font or font_for("".join(trace.tokens)))
    labels = [shown(token, drawable) for token in trace.tokens]
    values = np.stack([SUMMARIES[summary](gate) for gate in trace.gates.values()])  # (G, T)
    T = len(labels)

    def draw(figure: Figure) -> None:
        top, bottom = figure.subplots(2, 1, height_ratios=[len(values), max(T, 8)])
        set_heading(figure, shown(title, drawable))
        image = top.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        top.set_yticks(range(len(values)), [f"{name} gate" for name in trace.gates])
        top.set_title(f"each gate: {_MEASURES[summary]}", fontsize="medium")
        figure.colorbar(image, ax=top)
        image = bottom.imshow(trace.retained, vmin=0, vmax=1, cmap="magma", aspect="auto")
        bottom.set_yticks(range(T), labels)
        bottom.set(ylabel="written at", xlabel="read up to")
        figure.colorbar(image, ax=bottom, label="share of it retained")
        for axes in (top, bottom):
            axes.set_xticks(range(T), labels)
            axes.grid(False)

    save_picture(draw, path, (max(6.0, 2.5 + 0.26 * T), max(4.5, 2.2 + 0.24 * T)), families)
    return {c for token in trace.tokens for c in token if c not in drawable}


def shown(text: str, drawable: Set[str]) -> str:
    """`text` with □ for each character that cannot be drawn."""
    return "".join(c if c in drawable else MISSING for c in text)


def set_heading(figure: Figure, text: str) -> None:
    """Put a text over a figure as it is: a model may be called $x$."""
    heading = figure.suptitle("")
    heading.set_parse_math(False)
    heading.set_text(text)


def font_for(text: str) -> Path | None:
    """The best font of this system for a text's first Chinese character.

    matplotlib lists a system's fonts once and for all: those that came later it does not find.
    """
    try:
        return Faces().of(next((c for c in text if is_han(c)), "一")).path
    except PoetgenError:
        return None


_MEASURES = {
    "mean": "mean of its units",
    "open": "share of units open (> 0.9)",
    "shut": "share of units shut (< 0.1)",
}


def draw_gradients(found: Sequence[Reach], path: Path) -> None:
    """Draw how far gradients reach: a panel a time, a line a network.

    Crosses show the limit that the product of the Jacobians sets to a line.

    Args:
        found: At least one.
        path: Where the picture goes; its ending says of which format, PNG or SVG, it is.

    Raises:
        TrainingError: The file's ending is neither.
        OSError: The picture cannot be written.
    """
    times = [when for when in WHEN if any(reach.when == when for reach in found)]
    names = list(dict.fromkeys(reach.network.name for reach in found))

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, len(times), sharey=True, squeeze=False)[0]
        for axes, when in zip(panels, times, strict=True):
            for reach in found:
                if reach.when != when:
                    continue
                number = names.index(reach.network.name)
                color, style = f"C{number % 10}", ("-", "--", ":")[number // 10 % 3]
                # Zero has no place on a logarithmic axis.
                norms = np.array([norm or np.nan for norm in reach.gradient])
                limits = reach.gradient[0] * np.array([p or np.nan for p in reach.product.values()])
                axes.plot(norms, style, color=color, label=reach.network.name)
                axes.plot(list(reach.product), limits, "x", color=color, alpha=0.6)
            axes.set_yscale("log")
            axes.set(xlabel="k, steps back", title=_TITLES[when])
        panels[0].set_ylabel("norm of the gradient at the state k steps back")
        panels[0].plot([], [], "x", color="gray", label="limit by the Jacobians")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper")

    save_picture(draw, path, (2.5 + 3.6 * len(times), 4.5), find_fonts()[0])


_TITLES = {
    AT_START: "at the start",
    CLIPPED: "trained, clipped",
    UNCLIPPED: "trained, not clipped",
}


def draw_costs(found: Sequence[Costs], path: Path) -> None:
    """Draw what real-time recurrent learning and backpropagation through time cost.

    Bytes above, seconds below; along the hidden size on the left, at the longest sequence, and
    along the steps on the right, at the largest hidden size.

    Args:
        found: At least one.
        path: Where the picture goes; its ending says of which format, PNG or SVG, it is.

    Raises:
        TrainingError: The file's ending is neither.
        OSError: The picture cannot be written.
    """
    largest, longest = max(c.hidden_size for c in found), max(c.steps for c in found)
    columns = (
        (f"hidden size, at {longest} steps", [c for c in found if c.steps == longest]),
        (f"steps, at hidden size {largest}", [c for c in found if c.hidden_size == largest]),
    )

    def draw(figure: Figure) -> None:
        panels = figure.subplots(2, 2, sharex="col", sharey="row")
        for (label, some), column, size in zip(
            columns, panels.T, ("hidden_size", "steps"), strict=True
        ):
            for number, network in enumerate(dict.fromkeys(costs.network for costs in some)):
                mine = [costs for costs in some if costs.network == network]
                x = [getattr(costs, size) for costs in mine]
                for method, style in ((RTRL, "-o"), (BPTT, "--s")):
                    prices = [costs.prices[method] for costs in mine]
                    line = {"color": f"C{number % 10}", "markersize": 4}
                    name = f"{network.name}, {method.upper()}"
                    column[0].plot(x, [price.peak for price in prices], style, label=name, **line)
                    column[1].plot(x, [price.seconds for price in prices], style, **line)
            for axes in column:
                axes.set_xscale("log", base=2)
                axes.xaxis.set_major_formatter("{x:g}")
                axes.set_yscale("log")
            column[1].set_xlabel(label)
        panels[0, 0].set_ylabel("bytes held at most")
        panels[1, 0].set_ylabel("seconds a gradient")
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside right upper")

    save_picture(draw, path, (9.0, 6.0), find_fonts()[0])


def draw_confusion(found: Confusion, path: Path, *, title: str) -> None:
    """Draw what poems of each class were taken for: a row a class, a column an answer.

    A cell's colour is its share of its row.

    Args:
        found: What was counted.
        path: Where the picture goes; its ending says of which format, PNG or SVG, it is.
        title: What stands over it.

    Raises:
        TrainingError: The file's ending is neither.
        OSError: The picture cannot be written.
    """
    families, drawable = find_fonts(font_for("".join(found.classes)))
    labels = [shown(name, drawable) for name in found.classes]
    shares = found.counts / found.counts.sum(axis=1, keepdims=True).clip(min=1)
    C = len(labels)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        image = axes.imshow(shares, vmin=0, vmax=1, cmap="viridis")
        for (i, j), share in np.ndenumerate(shares):
            ink = "black" if share > 0.6 else "white"
            text = f"{found.counts[i, j]:,}\n{share:.0%}"
            axes.text(j, i, text, ha="center", va="center", color=ink)
        axes.set_xticks(range(C), labels)
        axes.set_yticks(range(C), labels)
        axes.set(xlabel="taken for", ylabel="are")
        axes.set_title(f"{title}\n{found.accuracy:.1%} right", fontsize="medium")
        axes.grid(False)
        figure.colorbar(image, ax=axes, label="share of the row")

    save_picture(draw, path, (3.6 + 0.9 * C, 2.4 + 0.9 * C), families)


def save_picture(
    draw: Callable[[Figure], None], path: Path, size: tuple[float, float], families: list[str]
) -> None:
    """Write the picture that `draw` makes; what was at `path` is replaced at the end."""
    picture_format = format_of(path)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "font.family": families,
        "text.usetex": False,
        "svg.hashsalt": "poetgen",
        "axes.grid": True,
        "grid.alpha": 0.3,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        with files.replacing(path) as file:
            metadata = {"Date": None} if picture_format == "svg" else None
            figure.savefig(file, format=picture_format, dpi=150, metadata=metadata)
