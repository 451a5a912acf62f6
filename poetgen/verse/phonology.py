"""What a character sounds like: its tone classes and its rhyme groups, by three rhyme books.

平水韵 sorts characters by their readings in Tang verse; 中华新韵 and 中华通韵 by modern ones. The
books disagree about the tone of every old entering-tone character, so a poem is judged by one of
them, never by a mixture: by modern readings only a third of regulated Tang verse is regulated.

A character with several readings has all of them here. Which one a poet meant is for the caller
to decide: a judge takes whichever keeps the rule, of `RhymeBook.for_judging`, the book without the
readings that verse does not use; a writer asks for `RhymeBook.for_writing`, the book without those
that it hardly uses.

It does not know what a line or a poem is.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files

from poetgen.errors import TemplateError

LEVEL = "平"
OBLIQUE = "仄"
EITHER = "中"
"""The tone classes of a character. 中: it has readings of both, or its tone is not known."""

# The level groups that a first line may borrow its rhyme from: those of 王力《诗词格律》, with 江阳
# and 佳麻 of later practice.
_NEIGHBOURS = (
    "东冬",
    "江阳",
    "支微齐",
    "鱼虞",
    "佳灰",
    "佳麻",
    "真文元",
    "元寒删先",
    "萧肴豪",
    "庚青蒸",
    "覃盐咸",
)

# The books of modern readings: class -> the finals of `data/modern.tsv` in it.
_XINYUN = {
    "麻": "a", "波": "o e", "皆": "ie", "开": "ai", "微": "ei", "豪": "ao", "尤": "ou", "寒": "an",
    "文": "en", "唐": "ang", "庚": "eng ong", "齐": "i er v", "支": "-i", "姑": "u",
}  # fmt: skip
_TONGYUN = {
    "啊": "a", "喔": "o", "鹅": "e ie", "衣": "i -i", "乌": "u", "迂": "v", "哀": "ai",
    "欸": "ei", "熬": "ao", "欧": "ou", "安": "an", "恩": "en", "昂": "ang", "英": "eng",
    "雍": "ong", "儿": "er",
}  # fmt: skip
_TONE_OF_NUMBER = {"1": LEVEL, "2": LEVEL, "3": OBLIQUE, "4": OBLIQUE}

# A tone rarer than this in Tang verse does not count, for writing and for judging. So many uses as
# would hold one of it have to be known: 20 and 500.
_RARE_SHARE, _UNUSED_SHARE = 0.05, 0.002


@dataclass(frozen=True, slots=True)
class RhymeGroup:
    """The characters that rhyme with each other.

    Attributes:
        name: As the book calls it, in Simplified characters: 东, 董, 麻.
        tone: 平, the level tone; 上, 去 or 入, the oblique ones, or 仄 where a book does not part
            them.
        family: The name of the level group that it answers to; of a level group, its own.
        title: As a book's contents have it: 上平声一东, 一麻平声.
    """

    name: str
    tone: str
    family: str
    title: str

    @property
    def is_level(self) -> bool:
        """Whether its characters are 平."""
        return self.tone == LEVEL

    def __str__(self) -> str:
        return self.title


class RhymeBook:
    """One look-up from characters of either script to tones and rhyme groups.

    Groups are kept as bits of an integer, a mask, so that "what do these feet share" is `&`.

    Attributes:
        name: 平水韵, 新韵 or 通韵.
        groups: Every group; the place of one here is the number of its bit.
        level_mask: The bits of the level groups.
    """

    def __init__(
        self,
        name: str,
        groups: tuple[RhymeGroup, ...],
        masks: Mapping[str, int],
        tones: Mapping[str, str],
        neighbours: Iterable[str] = (),
    ) -> None:
        """Make a book from its tables.

        Args:
            name: What the book is called.
            groups: Its groups, in order.
            masks: Character -> bits of its groups.
            tones: Character -> LEVEL, OBLIQUE or EITHER.
            neighbours: Sets of level groups near enough for a first line, as names of a
                character each.
        """
        self.name = name
        self.groups = groups
        self.level_mask = sum(1 << i for i, group in enumerate(groups) if group.is_level)
        self._masks = masks
        self._tones = _Translation(tones)
        self._neighbours = tuple(neighbours)
        level = {group.name: 1 << i for i, group in enumerate(groups) if group.is_level}
        self._near = dict(level)
        for names in self._neighbours:
            together = sum(level[name] for name in names)
            for name in names:
                self._near[name] |= together

    def __contains__(self, character: str) -> bool:
        """Whether the book has `character`."""
        return ord(character) in self._tones if len(character) == 1 else False

    def tones(self, text: str) -> str:
        """The tone classes of `text`, a character each: 平, 仄, or 中 for both or unknown."""
        return text.translate(self._tones)

    def mask(self, character: str) -> int:
        """The groups of `character` as bits; 0 when the book does not rhyme it."""
        return self._masks.get(character, 0)

    def group_masks(self, mask: int) -> Iterator[RhymeGroup]:
        """The groups whose bits are set in `mask`, in the book's order."""
        while mask:
            lowest = mask & -mask
            yield self.groups[lowest.bit_length() - 1]
            mask ^= lowest

    def readings(self, character: str) -> tuple[RhymeGroup, ...]:
        """The groups that `character` stands in, in the book's order."""
        return tuple(self.group_masks(self.mask(character)))

    def members(self, group: RhymeGroup) -> str:
        """The characters of `group`, in code point order."""
        bit = 1 << self.groups.index(group)
        return "".join(sorted(c for c, mask in self._masks.items() if mask & bit))

    def near(self, group: RhymeGroup) -> int:
        """The level groups that a first line may borrow from beside `group`, itself among them.

        None beside an oblique group.
        """
        return self._near[group.name] if group.is_level else 0

    def rhymes(self, first: str, second: str) -> tuple[RhymeGroup, ...]:
        """The groups that both characters stand in: they rhyme when there is one."""
        return tuple(self.group_masks(self.mask(first) & self.mask(second)))

    def group_named(self, name: str) -> RhymeGroup:
        """Find a group by its name (东, 平东), or a level group by any character of it.

        A name that level and oblique groups share means the level one.

        Raises:
            TemplateError: There is no such group.
        """
        wanted = name.strip()
        for group in self.groups:
            if wanted in (group.name, group.tone + group.name, group.title):
                return group
        level = tuple(self.group_masks(self.mask(wanted) & self.level_mask))
        if level:
            return level[0]
        names = "".join(group.name for group in self.groups if group.is_level)
        raise TemplateError(
            f"{self.name} has no level rhyme group '{name}'", hint=f"its level groups are {names}"
        )

    @functools.cached_property
    def for_writing(self) -> "RhymeBook":
        """This book without the readings that Tang verse hardly uses.

        Only 平水韵 has counts of use; the other books come back as they are.
        """
        return self._without_rare(_RARE_SHARE)

    @functools.cached_property
    def for_judging(self) -> "RhymeBook":
        """This book without the readings that Tang verse does not use.

        A tone in under one of 500 places where the pattern settles it cannot be told from slips of
        poets and printers, and must not excuse what it is not: 空 is level in 1,262 of them and
        oblique in one, so 空悠悠 ends in three levels. That is so of fourteen characters, 何 如 深
        among them. Rare readings begin just above: 知 as 智, 中 of 中酒, 不 that rhymes with 秋. Of
        33,168 Tang poems 85.25 % are regulated with all readings, 85.10 % so, and 84.63 % without
        what is under 1 %.
        """
        return self._without_rare(_UNUSED_SHARE)

    def _without_rare(self, share: float) -> "RhymeBook":
        """This book without the tones that have less than a share of a character's uses."""
        if self.name != PINGSHUI:
            return self
        masks = dict(self._masks)
        tones = {chr(code): tone for code, tone in self._tones.items()}
        for character, level, oblique in _table("usage.tsv"):
            uses = int(level) + int(oblique)
            if uses * share < 1 or tones.get(character) != EITHER:
                continue
            for tone, count, mask in (
                (OBLIQUE, int(level), ~self.level_mask),
                (LEVEL, int(oblique), self.level_mask),
            ):
                if count / uses < share:
                    tones[character] = tone
                    masks[character] = masks.get(character, 0) & mask
        return RhymeBook(self.name, self.groups, masks, tones, self._neighbours)


class _Translation(dict[int, str]):
    """A table for `str.translate` in which what is not known is 中."""

    def __init__(self, tones: Mapping[str, str]) -> None:
        super().__init__((ord(character), tone) for character, tone in tones.items())

    def __missing__(self, key: int) -> str:
        return EITHER


PINGSHUI = "平水韵"
_NAMES = {
    PINGSHUI: ("平水韻", "平水", "pingshui"),
    "新韵": ("中华新韵", "中華新韻", "新韻", "xinyun"),
    "通韵": ("中华通韵", "中華通韻", "通韻", "tongyun"),
}
RHYME_BOOKS: tuple[str, ...] = tuple(_NAMES)
"""The names of the rhyme books, the default first."""


def rhyme_book(name: str = PINGSHUI) -> RhymeBook:
    """Open a rhyme book by one of its names; the tables are read once.

    Raises:
        TemplateError: There is no such book; the hint lists those there are.
    """
    wanted = name.strip().lower()
    for known, others in _NAMES.items():
        if wanted == known or wanted in others:
            return _open(known)
    listed = ", ".join(f"{known} ({others[-1]})" for known, others in _NAMES.items())
    raise TemplateError(f"no rhyme book is called '{name}'", hint=f"the books are {listed}")


@functools.cache
def _open(name: str) -> RhymeBook:
    if name == PINGSHUI:
        return _build(name, _table("pingshui.tsv"), _NEIGHBOURS)
    classes = _XINYUN if name == "新韵" else _TONGYUN
    class_of = {final: group for group, finals in classes.items() for final in finals.split()}
    characters: dict[tuple[str, str], str] = {
        (tone, group): "" for tone in (LEVEL, OBLIQUE) for group in classes
    }
    for final, number, members in _table("modern.tsv"):
        characters[_TONE_OF_NUMBER[number], class_of[final]] += members
    rows = [[tone, group, group, members] for (tone, group), members in characters.items()]
    return _build(name, rows, ())


def _build(name: str, rows: Iterable[list[str]], neighbours: Iterable[str]) -> RhymeBook:
    """A book from rows of tone, group, family, characters. Group `?`: the tone alone is known."""
    groups: list[RhymeGroup] = []
    masks: dict[str, int] = {}
    tones: dict[str, str] = {}
    for tone, group, family, characters in rows:
        bit = 0
        if group != "?":
            bit = 1 << len(groups)
            number = 1 + sum(other.tone == tone for other in groups)
            groups.append(RhymeGroup(group, tone, family, _title(name, group, tone, number)))
        tone_class = LEVEL if tone == LEVEL else OBLIQUE
        for character in characters:
            if bit:
                masks[character] = masks.get(character, 0) | bit
            if tones.setdefault(character, tone_class) != tone_class:
                tones[character] = EITHER
    return RhymeBook(name, tuple(groups), masks, tones, neighbours)


def _title(book: str, group: str, tone: str, number: int) -> str:
    if book != PINGSHUI:
        return f"{_numeral(number)}{group}{tone}声"
    if tone == LEVEL:  # Thirty groups in two volumes of fifteen.
        tone, number = ("上平", number) if number <= 15 else ("下平", number - 15)
    return f"{tone}声{_numeral(number)}{group}"


def _numeral(number: int) -> str:
    """A number from 1 to 39 in Chinese."""
    tens, ones = divmod(number, 10)
    return ("", "十", "二十", "三十")[tens] + "〇一二三四五六七八九"[ones].strip("〇")


def _table(name: str) -> list[list[str]]:
    """The rows of a table in `data`, without its comments."""
    text = (files("poetgen.verse") / "data" / name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
