"""The picture of `poetgen lab attention`."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from poetgen.lab.attention import AttentionTrace
from poetgen.lab.pictures import font_for, save_picture, set_heading, shown
from poetgen.training.plots import find_fonts

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_attention(
    trace: AttentionTrace, path: Path, *, title: str, font: Path | None = None
) -> set[str]:
    """Draw where a decoder looked: a row a written token, a column a token of the source.

    Args:
        trace: What was seen.
        path: Where the picture goes; its ending says of which format, PNG or SVG, it is.
        title: What stands over it.
        font: A font file to write with; None takes a font of the system that has Chinese.

    Returns:
        The characters that no font has; □ stands in their place.

    Raises:
        TrainingError: The file's ending is neither, or the font cannot be read.
        OSError: The picture cannot be written.
    """
    source = trace.lines[-1].source  # Each line's is the beginning of the last one's.
    written = [token for line in trace.lines for token in line.written]
    families, drawable = find_fonts(font or font_for("".join((*source, *written))))

    R, S = len(written), len(source)
    values = np.full((R, S), np.nan)
    firsts = np.cumsum([0, *(len(line.written) for line in trace.lines)]).tolist()
    for line, (first, end) in zip(trace.lines, pairwise(firsts), strict=True):
        values[first:end, : len(line.source)] = line.weights

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        set_heading(figure, shown(title, drawable))
        image = axes.imshow(values, vmin=0, cmap="viridis", aspect="auto")
        axes.set_xticks(range(S), [shown(token, drawable) for token in source])
        axes.set_yticks(range(R), [shown(token, drawable) for token in written])
        axes.set(xlabel="source: what is told, and the lines before", ylabel="written")
        axes.grid(False)
        for first in firsts[1:-1]:
            axes.axhline(first - 0.5, color="gray", linewidth=0.8)
        for first in trace.lines[-1].parts[1:]:
            axes.axvline(first - 0.5, color="gray", linewidth=0.8)
        figure.colorbar(image, ax=axes, label="weight α; the weights of a row add up to 1")

    save_picture(draw, path, (max(5.0, 3.0 + 0.26 * S), max(3.5, 1.8 + 0.26 * R)), families)
    return {c for token in (*source, *written) for c in token if c not in drawable}
