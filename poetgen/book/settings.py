"""What a poem was written with, as the book keeps it: named as the flags are."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from poetgen.writing.asked import is_regular

if TYPE_CHECKING:
    from poetgen.writing.options import SamplingOptions
    from poetgen.writing.request import Request


def settings_of(
    request: Request, options: SamplingOptions, *, rank: bool, model: str = ""
) -> dict[str, Any]:
    """All that it takes, beside heads and seed, to write a poem again.

    Args:
        request: What was asked for.
        options: How its characters were chosen.
        rank: Whether the best draft was taken.
        model: What the model was asked for by; empty: the one that is taken by itself.
    """
    form = request.form
    settings = {
        "form": form.name if is_regular(form) else "free",
        "line_length": form.line_length,
        "at": request.at,
        **asdict(request.rules),
        "theme": request.theme,
        "style": request.style,
        **asdict(options),
        "rank": rank,
        "model": model,
    }
    told = {"first_lines": request.first_lines, "kept": request.kept}
    return settings | {name: list(lines) for name, lines in told.items() if lines}
