"""The heads that everyone is measured on, and the forms that they are written in.

A list has an entry a line: the heads and their kind, apart by a tab. `tails.txt` is for the ends
of lines, where hardly one in a hundred of `heads.txt` can stand: in an even line a head has to
rhyme there. It knows nothing of models.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from poetgen.verse.forms import PoemForm, form_named

HEADS = Path(__file__).with_name("heads.txt")
TAILS = Path(__file__).with_name("tails.txt")

KINDS = (
    "name",
    "idiom",
    "greeting",
    "modern",
    "rare",
    "traditional",
    "repeated",
    "unseen",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """Heads to write for.

    Attributes:
        number: Its line in the list, from 0: what a seed is counted from.
        heads: Four or eight Chinese characters.
        kind: One of `KINDS`.
    """

    number: int
    heads: str
    kind: str

    @property
    def form(self) -> PoemForm:
        """Its form in the fixed mixture: two in three have lines of seven characters.

        Decided by the heads themselves, so that it is the same in every part of the list.
        """
        of_five = zlib.crc32(self.heads.encode()) % 3 == 0
        return form_named(("五" if of_five else "七") + ("绝" if len(self.heads) == 4 else "律"))


def read_entries(path: Path = HEADS) -> list[Entry]:
    """Read a list of heads."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Entry(number, *line.split("\t")) for number, line in enumerate(lines)]


def evenly_spread(entries: Sequence[Entry], count: int) -> list[Entry]:
    """`count` of the entries at equal distances, so that every kind keeps its share; or all."""
    count = min(count, len(entries))
    return [entries[(2 * i + 1) * len(entries) // (2 * count)] for i in range(count)]
