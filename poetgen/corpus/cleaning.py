"""From the text that a file has to verse: characters and marks, nothing else.

Works on a batch of poems at once. The text of the batch is one array of code points, so that what
holds for every character (its class, its standard form) is one table look-up; only the few poems
with something odd in them (brackets, gaps, a line without its mark) are mended one by one.

Knows nothing of files. What a poem is dropped for is a `Reason`.

Kept as it is: the wording. Editors' alternatives go, their supplied characters stay.
"""

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from poetgen.corpus import script as scripts
from poetgen.corpus.lines import LineTable, line_table
from poetgen.verse.poem import MARKS, default_marks, is_han

LONGEST_LINE = 16
"""No line of verse has more characters. What has is prose: a preface, an editor's note."""

POEM_END = "\x1d"
LINE_END = "\n"

# The share of characters that only Traditional text has, from which on a batch is Traditional.
# Real Traditional verse has 30 %, Simplified 0 %.
_TRADITIONAL_SHARE = 0.05


class Reason(StrEnum):
    """Why a poem was dropped."""

    EMPTY = "empty"
    UNREADABLE = "unreadable characters"
    SCRIPT = "another script"
    NOTE = "a note, no poem"
    BROKEN = "broken lines"
    DUPLICATE = "duplicate"
    NEAR_DUPLICATE = "near duplicate"
    FORM = "another form"


# The classes of characters. HAN to POEM are what clean text consists of; from BRACKET on, a poem
# needs a closer look.
_HAN, _MARK, _LINE, _POEM, _SKIP, _BRACKET, _OTHER = range(7)

# Quotation marks and spacing stand between verse and add nothing to it.
_SKIPPED = "「」『』﹁﹂﹃﹄“”‘’\"'＂＇ \t\r\v\f\u3000\u00a0\ufeff\u200b\u200c\u200d\u00ad\u2060"
_BRACKETS = "（）[]{}〔〕〖〗《》【】〈〉"
_SAME = {
    **dict(zip(",.!?;:", "，。！？；：", strict=True)),
    **dict(zip("｡､﹐﹑﹒﹔﹕﹖﹗．", "。、，、。；：？！。", strict=True)),
    **dict(zip("()［］｛｝﹙﹚﹝﹞〘〙", "（）[]{}（）〔〕〖〗", strict=True)),
    "囗": "□",  # A character of its own, but in editions of verse a gap.
    "\u2028": "\n",
    "\u2029": "\n",
    "\x85": "\n",
}


@functools.cache
def _classified() -> np.ndarray:
    """(0x110000,) uint32: what each code point stands for, and from bit 24 on the class of that."""
    same = np.arange(scripts.CODE_POINTS, dtype=np.uint32)
    for variant, standard in _SAME.items():
        same[ord(variant)] = ord(standard)
    for radical in range(0x2F00, 0x2FD6):  # The radicals stand for the characters that they are.
        same[radical] = ord(unicodedata.normalize("NFKC", chr(radical)))
    classes = np.full(scripts.CODE_POINTS, _OTHER, dtype=np.uint8)
    for block in (range(0x3400, 0xA000), range(0xF900, 0xFB00), range(0x20000, 0x33480)):
        classes[block.start : block.stop] = [_HAN if is_han(chr(i)) else _OTHER for i in block]
    classes[ord("〇")] = _HAN
    classes[[ord(c) for c in MARKS]] = _MARK
    classes[[ord(c) for c in _SKIPPED]] = _SKIP
    classes[[ord(c) for c in _BRACKETS]] = _BRACKET
    classes[ord(LINE_END)] = _LINE
    classes[ord(POEM_END)] = _POEM
    return same | (classes[same].astype(np.uint32) << 24)


def _code_points(text: str) -> np.ndarray:
    """The characters of `text` as a uint32 array."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _text(code_points: np.ndarray) -> str:
    return code_points.astype("<u4", copy=False).tobytes().decode("utf-32-le", "surrogatepass")


@dataclass(frozen=True)
class CleanBatch:
    """What became of a batch.

    Attributes:
        texts: The poems that are verse, in order.
        kept: (poems,) the place of each in the batch that came in.
        lines: Their lines, as numbers.
        dropped: The place and the reason of every other poem.
    """

    texts: list[str]
    kept: np.ndarray
    lines: LineTable
    dropped: list[tuple[int, Reason]]


def clean_batch(
    texts: Sequence[str],
    regular: Sequence[bool],
    script: str = "simplified",
    components: dict[str, str] | None = None,
) -> CleanBatch:
    r"""Clean many poems.

    Args:
        texts: The poems as they came, `\n` where the source ends a line.
        regular: For each, whether it is 诗, whose lines are measured; 词 and 曲 are not.
        script: `"simplified"` or `"traditional"`: what the result is to be in.
        components: Descriptions of characters by their parts, as `{上休下鳥}`, and the
            characters.
    """
    dropped: list[tuple[int, Reason]] = []
    kept: list[int] = []
    verse: list[str] = []
    for place, text in enumerate(_tidy(texts, components or {})):
        if isinstance(text, Reason):
            dropped.append((place, text))
        else:
            kept.append(place)
            verse.append(text)
    code_points = _code_points("".join([text + POEM_END for text in verse]))
    kind = _classified()[code_points] >> 24
    is_mark = kind == _MARK
    code_points = _in_script(code_points, kind, script)
    lines = line_table(code_points, is_mark, ord(POEM_END))
    broken = lines.broken(LONGEST_LINE, np.asarray(regular, dtype=bool)[kept])
    dropped.extend((kept[i], Reason.BROKEN) for i in np.flatnonzero(broken))
    good = np.flatnonzero(~broken)
    verse = _text(code_points).split(POEM_END)
    return CleanBatch(
        texts=[verse[i] for i in good],
        kept=np.asarray(kept, dtype=np.int64)[good],
        lines=lines.select(good),
        dropped=dropped,
    )


def _in_script(code_points: np.ndarray, kind: np.ndarray, script: str) -> np.ndarray:
    """Clean text with its classes, converted where it must be; the places stay the same."""
    if script == "simplified":
        return scripts.simplified(code_points, kind != _HAN)
    if scripts.is_traditional_only(code_points).sum() < _TRADITIONAL_SHARE * len(code_points):
        return _code_points(scripts.convert(_text(code_points), "s2t"))
    return code_points


def _tidy(texts: Sequence[str], components: dict[str, str]) -> list[str | Reason]:
    """Each poem as characters and marks, every line with one mark; or why not."""
    joined = "".join([text + POEM_END for text in texts])
    if joined.count(POEM_END) != len(texts):  # Somebody's text has our separator in it.
        joined = "".join([text.replace(POEM_END, " ") + POEM_END for text in texts])
    joined = unicodedata.normalize("NFC", joined)
    classified = _classified()[_code_points(joined)]
    code_points, kind = classified & 0xFFFFFF, (classified >> 24).astype(np.uint8)
    skipped = kind == _SKIP
    if skipped.any():
        code_points, kind = code_points[~skipped], kind[~skipped]
    before = np.empty_like(kind)
    before[:1], before[1:] = _POEM, kind[:-1]
    after_han = before == _HAN
    is_end = (kind == _LINE) | (kind == _POEM)
    odd = (kind >= _BRACKET) | (is_end & after_han)
    ends = np.flatnonzero(kind == _POEM)
    odd_poems = np.unique(np.searchsorted(ends, np.flatnonzero(odd)))
    # A mark or a line's end that follows no character closes nothing.
    redundant = ((kind == _MARK) | (kind == _LINE)) & ~after_han
    tidy: list[str | Reason] = list(_text(code_points[~redundant]).split(POEM_END)[:-1])
    starts = np.concatenate(([0], ends[:-1] + 1))
    for poem in odd_poems:
        tidy[poem] = _mend(_text(code_points[starts[poem] : ends[poem]]), components)
    return [text or Reason.EMPTY for text in tidy]


_NOTES = re.compile("（[^（）]*）|〔[^〔〕]*〕|〖[^〖〗]*〗|【[^【】]*】")
_PARTS = re.compile(r"\{[^{}]*\}")
_CATALOGUE = re.compile("[詩诗][題题]：.*首句")
_GAPS = re.compile("[□■▢○●◎◯?？]{2,}|[□■▢○●◎◯…⋯�]|[\ue000-\uf8ff\U000f0000-\U0010ffff⿰-⿻]")
_NUMBERS = re.compile(r"[0-9０-９]+")
_MARKED = re.compile(f"([^{MARKS}]*)([{MARKS}]*)")


def _mend(text: str, components: dict[str, str]) -> str | Reason:
    """One poem with something odd in it, put right; or the reason why it cannot be.

    Notes in brackets go, with what is bracketed inside them. What an editor supplied in [ ]
    stays, and so do titles in 《》, for verse names books.
    """
    whole = text
    removed = 1
    while removed:
        text, removed = _NOTES.subn("", text)
    text = _PARTS.sub(lambda match: components.get(match.group(), match.group()), text)
    text = _NUMBERS.sub("", text.translate(_UNBRACKETED))
    if _GAPS.search(text) or any(bracket in text for bracket in "（）{}〔〕〖〗【】"):
        return Reason.UNREADABLE
    lines: list[str] = []
    marks: list[str] = []
    bare: list[int] = []
    for source_line in text.split(LINE_END):
        for line, mark in _MARKED.findall(source_line):
            if not line:
                continue
            if not mark:
                bare.append(len(lines))
            lines.append(line)
            marks.append(mark[:1])
    if not lines:
        return Reason.NOTE if whole.strip(MARKS + LINE_END) else Reason.EMPTY
    if not all(is_han(character) for line in lines for character in line):
        return Reason.SCRIPT
    # Lines that end without a mark: in text that has none at all they take turns, in text that
    # marks its lines within a paragraph the paragraph's end is a full stop.
    fill = default_marks(len(lines)) if len(bare) == len(lines) else "。" * len(lines)
    for i in bare:
        marks[i] = fill[i]
    return "".join([line + mark for line, mark in zip(lines, marks, strict=True)])


_UNBRACKETED = {ord(bracket): None for bracket in "[]《》〈〉"}
