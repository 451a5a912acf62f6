"""A heat map in the terminal: a row a measure, a column a token, a digit and a colour a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from poetgen.cli import console

if TYPE_CHECKING:
    from rich.text import Text

_RAMP = ((68, 1, 84), (33, 145, 140), (253, 231, 37))


def print_heat_map(
    tokens: Sequence[str],
    rows: Sequence[tuple[str, Sequence[float]]],
    *,
    parts: int = 10,
    brightest: float = 1.0,
) -> None:
    """Print values from 0 to 1, broken where the terminal ends.

    Args:
        tokens: The heading of each column.
        rows: The heading of each row, and a value a token.
        parts: In which part of 1 the digits are: 10 or 100.
        brightest: The value that has the brightest colour.
    """
    from rich.cells import cell_len
    from rich.text import Text

    out = console.output()
    names = [console.clean(name) for name, _ in rows]
    label = max(map(cell_len, names)) + 1
    labels = [console.clean(token) for token in tokens]
    widths = [max(len(str(parts - 1)) + 1, cell_len(token)) for token in labels]
    for start, end in _blocks(widths, out.width - label):
        heading = Text(" " * label)
        for token, width in zip(labels[start:end], widths[start:end], strict=True):
            heading.append(token + " " * (width - cell_len(token)))
        out.print(heading)
        for name, (_, row) in zip(names, rows, strict=True):
            line = Text(name + " " * (label - cell_len(name)))
            for value, width in zip(row[start:end], widths[start:end], strict=True):
                digits = f"{min(int(value * parts), parts - 1):>{width}}"
                line.append_text(_coloured(digits, min(value / brightest, 1.0)))
            out.print(line)


def _blocks(widths: list[int], room: int) -> Iterator[tuple[int, int]]:
    """Where to break a row that is wider than the terminal."""
    start = used = 0
    for i, width in enumerate(widths):
        if used + width > room and i > start:
            yield start, i
            start, used = i, 0
        used += width
    yield start, len(widths)


def _coloured(digits: str, value: float) -> Text:
    from rich.text import Text

    # Dark blue, teal, yellow: the picture's colours, so much of the way between two of them.
    place = min(int(value * 2), 1)
    red, green, blue = (
        round(low + (value * 2 - place) * (high - low))
        for low, high in zip(_RAMP[place], _RAMP[place + 1], strict=True)
    )
    ink = "black" if value > 0.5 else "white"
    return Text(digits, f"{ink} on rgb({red},{green},{blue})")
