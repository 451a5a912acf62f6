"""Poems for the tests of the book."""

from typing import Any

from poetgen.book.store import BookEntry
from poetgen.verse.forms import form_named
from poetgen.writing.written import WrittenPoem

# Made up for these tests.
LINES = ("春山雨过草初生", "夏木阴阴鸟不鸣", "秋水一江明月满", "冬来独坐听钟声")


def written(**fields: Any) -> WrittenPoem:
    given: dict[str, Any] = {
        "lines": LINES,
        "heads": "春夏秋冬",
        "form": form_named("七绝"),
        "seed": 7,
        "model": "lstm",
        "nats_per_character": 5.0,
        "forced": tuple((True,) + (False,) * 6 for _ in LINES),
    }
    return WrittenPoem(**{**given, **fields})


def entry(settings: dict[str, Any] | None = None, **fields: Any) -> BookEntry:
    """An entry like one made by `poetgen acrostic 春夏秋冬 --save`."""
    given: dict[str, Any] = {
        "id": "0123456789",
        "saved_at": "2026-11-01T08:09:10+08:00",
        "lines": LINES,
        "marks": "，。，。",
        "heads": "春夏秋冬",
        "form": "七绝",
        "model": "lstm",
        "seed": 7,
        "settings": {"at": "head", "tones": "loose"} if settings is None else settings,
    }
    return BookEntry(**{**given, **fields})
