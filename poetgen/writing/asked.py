"""The rules that a poem can be asked to keep, and what may be said of each.

It knows the names and the values of flags; nothing of requests, vocabularies or writing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from poetgen.errors import TemplateError
from poetgen.verse.forms import FORMS, PoemForm
from poetgen.verse.patterns import STYLES, patterns_of
from poetgen.verse.phonology import PINGSHUI, rhyme_book

OFF = "off"
AUTO = "auto"

_CHOICES = {
    "tones": {name: name for name in (*STYLES, OFF)},
    "first_line_rhymes": {name: name for name in (AUTO, "yes", "no")},
    "pattern": {AUTO: AUTO, "平起": "平起", "pingqi": "平起", "仄起": "仄起", "zeqi": "仄起"},
}


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of regular verse that a poem is to keep.

    Attributes:
        tones: "loose", "strict" (see `poetgen.verse.patterns`), or "off": the form and nothing
            more. Where heads leave no poem without a fault, "strict" writes none and "loose" the
            one with the fewest.
        rhyme_book: The book that tones and rhymes are judged by; any name that it has.
        rhyme: "auto", or a level rhyme group by its name or any character in it.
        first_line_rhymes: "auto", "yes" or "no".
        pattern: "auto", "平起" (pingqi) or "仄起" (zeqi).

    Raises:
        TemplateError: A value that there is not; the message names the flag that sets it. Or a
            value for rules that are off.
    """

    tones: str = STYLES[0]
    rhyme_book: str = PINGSHUI
    rhyme: str = AUTO
    first_line_rhymes: str = AUTO
    pattern: str = AUTO

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = str(getattr(self, name)).strip().lower()
            if value not in choices:
                known = ", ".join(choices)
                raise TemplateError(f"{_flag(name)} is '{value}'", hint=f"it can be {known}")
            object.__setattr__(self, name, choices[value])
        if self.rhyme_book != PINGSHUI:  # Opening a book takes a while.
            object.__setattr__(self, "rhyme_book", rhyme_book(self.rhyme_book).name)
        object.__setattr__(self, "rhyme", self.rhyme.strip())
        if self.tones == OFF:
            for name in ("rhyme", "first_line_rhymes", "pattern"):
                if getattr(self, name) != AUTO:
                    raise TemplateError(
                        f"{_flag(name)} {getattr(self, name)} has no say with --tones off",
                        hint="leave one of them out",
                    )
        elif self.rhyme != AUTO:
            group = rhyme_book(self.rhyme_book).group_named(self.rhyme)
            if not group.is_level:
                raise TemplateError(
                    f"--rhyme {self.rhyme} is an oblique group of {self.rhyme_book}",
                    hint="regular verse rhymes level: name a level group",
                )
            object.__setattr__(self, "rhyme", group.name)


class RulesAsked(TypedDict, total=False):
    """The fields of `Rules` as keyword arguments; None: not asked."""

    tones: str | None
    rhyme_book: str | None
    rhyme: str | None
    first_line_rhymes: str | None
    pattern: str | None


def rules_for(form: PoemForm, asked: RulesAsked) -> Rules:
    """The rules of a poem: those of regular verse as they were asked for, or none.

    Raises:
        TemplateError: A rule is asked for that there is not, or that has no say in this form.
    """
    given = {name: str(value) for name, value in asked.items() if value not in (None, AUTO)}
    if is_regular(form):
        return Rules(**given)
    for name, value in given.items():
        if (name, value) != ("tones", OFF):
            raise TemplateError(
                f"{_flag(name)} {value} has no say with --form {form.alias}",
                hint=f"{_flag(name)} is for " + " ".join(form.name for form in FORMS),
            )
    return Rules(tones=OFF)


def is_regular(form: PoemForm) -> bool:
    """Whether the rules of regular verse are for this form."""
    return form in FORMS and bool(patterns_of(form.line_count, form.line_length))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
