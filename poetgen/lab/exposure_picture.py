"""The picture of an exposure bias, in the laboratory's style."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from poetgen.lab.exposure import Estimate, ExposureBias
from poetgen.lab.pictures import save_picture
from poetgen.training.plots import find_fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_exposure(found: ExposureBias, path: Path) -> None:
    """Draw both measures: continuations on the left, true characters on the right.

    Args:
        found: What was measured.
        path: Where the picture goes; its ending says of which format, PNG or SVG, it is.

    Raises:
        TrainingError: The file's ending is neither.
        OSError: The picture cannot be written.
    """

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        lengths = [row.prefix for row in found.continued]
        _line(left, lengths, [row.true for row in found.continued], "C0", "after true beginnings")
        _line(left, lengths, [row.own for row in found.continued], "C3", "after its own beginnings")
        left.set_xticks(lengths)
        left.set(
            xlabel="tokens of the beginning",
            ylabel="nats per character of the continuation",
            title="what continuations cost the judge",
        )
        left.legend()
        shares = [each.forced for each in found.fed_back]
        _line(right, shares, [each.cost for each in found.fed_back], "C0", "")
        right.invert_xaxis()
        right.set(
            xlabel="share of the inputs that are true",
            ylabel="nats per true character",
            title="what true characters cost the model",
        )

    save_picture(draw, path, (10.0, 4.2), find_fonts()[0])


def _line(
    axes: Axes, x: Sequence[float], estimates: Sequence[Estimate], color: str, label: str
) -> None:
    axes.plot(x, [each.nats for each in estimates], "o-", color=color, label=label)
    lows, highs = ([getattr(each, end) for each in estimates] for end in ("low", "high"))
    axes.fill_between(x, lows, highs, color=color, alpha=0.2)
