"""What a poem is asked to be: its form, heads and where they stand, first lines, and the rules.

`Request.layout()` turns it into lines of places, each fixed or free. Everything that can be wrong
with a request whatever the model is found there. This module knows nothing of vocabularies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict, Unpack

from poetgen.dataset.context import dynasty_named
from poetgen.errors import TemplateError
from poetgen.verse.forms import FORMS, PoemForm, form_named, free_form
from poetgen.verse.poem import MARKS, Poem, default_marks, is_han
from poetgen.writing.asked import OFF, Rules, RulesAsked, rules_for

SHORTEST_LINE, LONGEST_LINE = 2, 30
MOST_LINES = 100
"""Bounds of the free form, in characters and lines."""

FREE = "□"
"""Stands for a place that is left to the model, among heads and in lines that are kept. (In printed
editions it is the sign for a character that was lost.)"""

_NO_RULES = Rules(tones=OFF)

_OPEN_MARKS = "，？！；、"
_CLOSING_MARKS = "。？！；"
_LAST_MARKS = "。？！"


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it is asked for.

    Attributes:
        glyphs: For each place the glyph that must stand there, or None where the model chooses.
        marks: The marks that may close the line, the usual one first.
    """

    glyphs: tuple[str | None, ...]
    marks: str


class Told(TypedDict):
    """The fields of `Request` that a model is told before the poem."""

    theme: str
    style: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a poem is asked to be. Checked by `layout`, so that any request can be made and kept.

    Attributes:
        heads: The characters to place, in order; white space between them is dropped. `FREE` is a
            line without one.
        form: The lines, and the characters in each. As many heads as lines, one a line; 4 heads
            on 8 lines stand in the odd ones.
        at: Where in its line a head stands: "head" (first), "tail" (last), a number from 1 on, or
            "diagonal" (the i-th head is the i-th character of its line).
        first_lines: Lines to begin with, each with or without its mark; the last may be cut off
            in the middle. A request has either heads or first lines.
        kept: All lines as far as they are to stay, each of the whole length, with `FREE` where the
            model is to write, and with or without its mark; empty: nothing is kept but the heads.
        rules: What it is to keep beyond its form; by itself nothing.
        theme: What it is to be about, in the few characters that a model can be told; see
            `poetgen.writing.theme`. Empty: whatever the model likes.
        style: A dynasty whose manner it is to have, "唐" or "宋"; empty: either.
    """

    heads: str
    form: PoemForm
    at: str | int = "head"
    first_lines: tuple[str, ...] = ()
    rules: Rules = _NO_RULES
    theme: str = ""
    style: str = ""
    kept: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "heads", "".join(self.heads.split()))

    def layout(self) -> tuple[Line, ...]:
        """The lines of the poem: what is fixed in them, and what is free.

        Raises:
            TemplateError: A head or a character that is given is not Chinese; heads or lines are
                too many or too few; a head stands outside its line, or where another character is
                kept; or nothing is left to write.
        """
        count, length = self.form.line_count, self.form.line_length
        if count > MOST_LINES:
            raise TemplateError(f"a poem cannot have {count} lines", hint=f"at most {MOST_LINES}")
        fixed: list[list[str | None]] = [[None] * length for _ in range(count)]
        marks = [_marks(index, count) for index in range(count)]
        if self.first_lines and (self.heads or self.kept):
            raise TemplateError(
                f"a poem cannot have both {'heads' if self.heads else 'kept'} and first lines",
                hint="ask for one of them",
            )
        for index, (line, mark) in enumerate(self._given_lines()):
            fixed[index][: len(line)] = [None if glyph == FREE else glyph for glyph in line]
            marks[index] = mark or marks[index]
        if not self.first_lines and (self.heads or not self.kept):
            for head, (index, place) in zip(self.heads, self._places_of_heads(), strict=True):
                if head != FREE:
                    if fixed[index][place] not in (None, head):
                        raise TemplateError(
                            f"line {index + 1}, character {place + 1}: {fixed[index][place]} is "
                            f"kept where the head is {head}",
                            hint="change one of them",
                        )
                    fixed[index][place] = head
        if all(glyph is not None for line in fixed for glyph in line):
            raise self._nothing_left()
        return tuple(Line(tuple(line), mark) for line, mark in zip(fixed, marks, strict=True))

    def _places_of_heads(self) -> list[tuple[int, int]]:
        """The line and the place of every head, both from 0."""
        for number, head in enumerate(self.heads, 1):
            if head != FREE and not is_han(head):
                raise TemplateError(
                    f"head {number}, {_shown(head)}, is not a Chinese character",
                    hint="heads are Chinese characters with nothing else between them",
                )
        return [
            (line, self._place_of_head(number, head))
            for number, (line, head) in enumerate(
                zip(self._lines_of_heads(), self.heads, strict=True)
            )
        ]

    def _lines_of_heads(self) -> range:
        count, form = len(self.heads), self.form
        if not count:
            raise TemplateError("there are no heads", hint="give one Chinese character a line")
        if count == form.line_count:
            return range(count)
        if count == 4 and form.line_count == 8:
            return range(0, 8, 2)
        takes = f"{form.line_count} or 4" if form.line_count == 8 else f"{form.line_count}"
        raise TemplateError(
            f"{_counted(count, 'head')} cannot stand in {form}, which takes {takes}",
            hint=f"{_forms_for(count)}, or --form free for any number of lines",
        )

    def _place_of_head(self, number: int, head: str) -> int:
        """The place of head `number` (from 0) in its line, from 0."""
        length = self.form.line_length
        match self.at:
            case "head":
                return 0
            case "tail":
                return length - 1
            case "diagonal":
                if number >= length:
                    raise TemplateError(
                        f"head {number + 1}, {head}, would be character {number + 1} of a line "
                        f"of {length}",
                        hint="a diagonal has room for as many heads as a line has characters",
                    )
                return number
        try:
            place = int(self.at)
        except ValueError:
            raise TemplateError(
                f"heads cannot stand at {_shown(str(self.at))}",
                hint="--at is head, tail, diagonal, or a number from 1 to the line's length",
            ) from None
        if not 1 <= place <= length:
            raise TemplateError(
                f"--at {place} is outside a line of {length} characters",
                hint=f"it must be from 1 to {length}",
            )
        return place - 1

    def _given_lines(self) -> list[tuple[str, str]]:
        """Each line that is given, first lines or kept ones, and its mark, or "" if it has none."""
        count, length = self.form.line_count, self.form.line_length
        lines = []
        for number, given in enumerate(self.first_lines or self.kept, 1):
            line = given.rstrip(MARKS)
            for place, character in enumerate(line, 1):
                if not is_han(character) and not (self.kept and character == FREE):
                    raise TemplateError(
                        f"line {number}, character {place}, {_shown(character)}, is not a Chinese "
                        "character",
                        hint="a line of verse is Chinese characters and a mark at its end",
                    )
            whole = len(line) == length
            may_break_off = number == len(self.first_lines) and line and given == line
            if len(line) > length or not (whole or may_break_off):
                raise TemplateError(
                    f"line {number} has {_counted(len(line), 'character')}, and lines of "
                    f"{self.form} have {length}"
                )
            lines.append((line, given[len(line) :][:1]))
        if len(lines) > count:
            raise self._nothing_left()
        if self.kept and len(lines) < count:
            raise TemplateError(
                f"{_counted(len(lines), 'line')} kept of {self.form}, which has {count}",
                hint=f"keep every line, {FREE} in the places to write",
            )
        return lines

    def _nothing_left(self) -> TemplateError:
        given = _counted(len(self.first_lines or self.kept), "line")
        return TemplateError(
            f"{given} leave nothing to write in {self.form}",
            hint="leave more of it free, or ask for a longer --form",
        )


def acrostic_request(
    heads: str,
    form: str = "七绝",
    *,
    at: str | int = "head",
    line_length: int | None = None,
    theme: str | None = None,
    style: str | None = None,
    **rules: Unpack[RulesAsked],
) -> Request:
    """Ask for an acrostic.

    Args:
        heads: Chinese characters.
        form: The name of a form, or "free": as many lines as heads.
        at: As in `Request`; a number may be a string.
        line_length: Characters in a line of the free form; 7 unless given.
        theme: What it is to be about: a word or two, or a sentence to take them from.
        style: 唐 (tang) or 宋 (song).
        **rules: The fields of `Rules`; the free form has none.

    Raises:
        TemplateError: There is no such form, rule or style, lines cannot have this length, or the
            theme holds no word to go by.
    """
    chosen = _form(form, len("".join(heads.split())), line_length, 7)
    what = told(theme, style)
    return Request(heads, chosen, at, rules=rules_for(chosen, rules), **what)


def continuation_request(
    text: str,
    form: str | None = None,
    *,
    line_length: int | None = None,
    theme: str | None = None,
    style: str | None = None,
    **rules: Unpack[RulesAsked],
) -> Request:
    """Ask for a poem that begins with a text: one line or several, the last perhaps cut off.

    Args:
        text: Lines with their marks, or one on each row.
        form: The name of a form, or "free": at least four lines, in couplets. None: the shortest
            of the regular forms with lines like the first and more of them than there are.
        line_length: Characters in a line of the free form; as in the first line unless given.
        theme: As in `acrostic_request`.
        style: As in `acrostic_request`.
        **rules: The fields of `Rules`; the free form has none.

    Raises:
        TemplateError: There is no text, no such form, rule or style, no form that the text
            implies, or no word in the theme to go by.
    """
    poem = Poem.from_text(text)
    if not poem.lines:
        raise TemplateError("there is no line to continue", hint="give at least its beginning")
    given = [line + mark for line, mark in zip(poem.lines, poem.marks, strict=True)]
    if text.rstrip()[-1:] not in f"{MARKS},.!?;:":
        given[-1] = poem.lines[-1]  # Its mark is not the user's but the one `from_text` fills in.
    length, count = len(poem.lines[0]), len(poem.lines)
    if form is None and line_length is None:
        chosen = next(
            (each for each in FORMS if each.line_length == length and each.line_count > count),
            None,
        )
        if chosen is None:
            raise TemplateError(
                f"no form goes on from {_counted(count, 'line')} of "
                f"{_counted(length, 'character')}",
                hint="name one with --form, or use --form free",
            )
    else:
        chosen = _form(form or "free", max(4, (count // 2 + 1) * 2), line_length, length)
    what = told(theme, style)
    return Request("", chosen, first_lines=tuple(given), rules=rules_for(chosen, rules), **what)


def told(theme: str | None, style: str | None) -> Told:
    """What a model is told beside the form."""
    if theme:
        from poetgen.writing.theme import theme_characters

        theme = theme_characters(theme)
    return Told(theme=theme or "", style=dynasty_named(style) if style else "")


def _form(name: str, lines: int, line_length: int | None, usual_length: int) -> PoemForm:
    """The form of this name; the free one has `lines` lines."""
    if name != "free":
        form = form_named(name)
        if line_length not in (None, form.line_length):
            raise TemplateError(
                f"lines of {form} have {form.line_length} characters, not {line_length}",
                hint="--line-length goes with --form free",
            )
        return form
    length = usual_length if line_length is None else line_length
    if not SHORTEST_LINE <= length <= LONGEST_LINE:
        raise TemplateError(
            f"a line cannot have {_counted(length, 'character')}",
            hint=f"--line-length must be from {SHORTEST_LINE} to {LONGEST_LINE}",
        )
    return free_form(lines, length)


def _marks(index: int, count: int) -> str:
    """The marks that may close line `index` of `count`, the usual one first.

    A question or an exclamation is the model's to choose; where a sentence ends is the form's.
    """
    if index == count - 1:
        return _LAST_MARKS
    return _OPEN_MARKS if default_marks(count)[index] == "，" else _CLOSING_MARKS


def _forms_for(count: int) -> str:
    """Which forms would take this many heads."""
    fitting = [
        form for form in FORMS if count == form.line_count or (count == 4 and form.line_count == 8)
    ]
    if fitting:
        return f"{_counted(count, 'head')} fit " + " ".join(form.name for form in fitting)
    return "give 4 heads (五绝 七绝 五律 七律) or 8 (五律 七律)"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _shown(text: str) -> str:
    """Text for a message: as it is if it can be printed, by code points if not."""
    if text.isprintable() and not text.isspace():
        return f"'{text}'"
    return " ".join(f"U+{ord(character):04X}" for character in text)
