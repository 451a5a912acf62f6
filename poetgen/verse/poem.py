"""A poem: its lines, the marks that close them, and who wrote it."""

import re
from dataclasses import dataclass
from typing import Self

MARKS = "，。！？；：、"
"""The punctuation that closes a line of verse. Nothing else stands between lines."""

_ASCII_MARKS = str.maketrans(",.!?;:", "，。！？；：")
_LINE = re.compile(f"([^{MARKS}\n]+)([{MARKS}]?)")

_HAN = re.compile(
    "[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0002a6df\U0002a700-\U0002ebef\U0002ebf0-\U0002ee5f\U0002f800-\U0002fa1f"
    "\U00030000-\U000323af\U000323b0-\U0003347f]"
)


def is_han(character: str) -> bool:
    """Whether `character` is one Chinese character: a CJK ideograph of any plane, or 〇."""
    return _HAN.fullmatch(character) is not None


def count_han(text: str) -> int:
    """The number of Chinese characters in `text`: what perplexity per character divides by."""
    return len(_HAN.findall(text))


@dataclass(frozen=True, slots=True)
class Poem:
    """A poem as lines of characters.

    Attributes:
        lines: The lines, without punctuation.
        marks: The mark that closes each line, one a line. Left empty, it is filled with
            ， and 。 in turn, ending with 。
        title, author, dynasty: As the source has them; empty when unknown.
        genre: 诗, 词 or 曲.

    Raises:
        ValueError: `marks` is neither empty nor one mark a line.
    """

    lines: tuple[str, ...]
    marks: str = ""
    title: str = ""
    author: str = ""
    dynasty: str = ""
    genre: str = "诗"

    def __post_init__(self) -> None:
        if not self.marks:
            object.__setattr__(self, "marks", default_marks(len(self.lines)))
        if len(self.marks) != len(self.lines):
            raise ValueError(f"{len(self.marks)} marks for {len(self.lines)} lines")

    @classmethod
    def from_text(
        cls, text: str, *, title: str = "", author: str = "", dynasty: str = "", genre: str = "诗"
    ) -> Self:
        """Split running text into lines at its marks and line ends.

        ASCII punctuation counts as its full-width twin, white space is dropped, and a line that
        ends without a mark gets the one that its place calls for.
        """
        found = _LINE.findall(re.sub(r"[^\S\n]", "", text).translate(_ASCII_MARKS))
        fill = default_marks(len(found))
        return cls(
            lines=tuple(line for line, _ in found),
            marks="".join(mark or fill[i] for i, (_, mark) in enumerate(found)),
            title=title,
            author=author,
            dynasty=dynasty,
            genre=genre,
        )

    @property
    def text(self) -> str:
        """The poem as running text: every line with its mark."""
        return "".join(line + mark for line, mark in zip(self.lines, self.marks, strict=True))

    def __str__(self) -> str:
        return self.text


def default_marks(line_count: int) -> str:
    """The marks of regular verse: ， and 。 in turn, 。 at the end."""
    return "".join("。" if i % 2 or i == line_count - 1 else "，" for i in range(line_count))
