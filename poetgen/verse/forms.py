"""The forms of regular verse, by the shape that they give a poem.

To add a form, add its entry to `FORMS`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from poetgen.errors import TemplateError


@dataclass(frozen=True, slots=True)
class PoemForm:
    """The shape of a poem.

    Attributes:
        name: The Chinese name, as shown and stored.
        alias: The ASCII name, for keyboards and scripts.
        line_count: Lines in a poem.
        line_length: Characters in a line.
        other_names: What else people call it.
    """

    name: str
    alias: str
    line_count: int
    line_length: int
    other_names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} ({self.alias})"


FORMS: tuple[PoemForm, ...] = (
    PoemForm("五绝", "wujue", 4, 5, ("五言绝句", "五絕", "五言絕句")),
    PoemForm("七绝", "qijue", 4, 7, ("七言绝句", "七絕", "七言絕句")),
    PoemForm("五律", "wulv", 8, 5, ("五言律诗", "五言律詩", "wulü")),
    PoemForm("七律", "qilv", 8, 7, ("七言律诗", "七言律詩", "qilü")),
)

_BY_NAME = {name: form for form in FORMS for name in (form.name, form.alias, *form.other_names)}


def form_named(name: str) -> PoemForm:
    """Find a form by its Chinese name, its ASCII alias, or another of its names.

    Raises:
        TemplateError: There is no such form; the hint lists those there are.
    """
    form = _BY_NAME.get(name.strip().lower())
    if form is None:
        known = ", ".join(str(form) for form in FORMS)
        raise TemplateError(f"no form is called '{name}'", hint=f"the forms are {known}")
    return form


def form_of(lines: Sequence[str]) -> PoemForm | None:
    """The form whose shape `lines` have, or None: 古体, 词, anything else."""
    if not lines:
        return None
    length = len(lines[0])
    if any(len(line) != length for line in lines):
        return None
    for form in FORMS:
        if (form.line_count, form.line_length) == (len(lines), length):
            return form
    return None


def free_form(line_count: int, line_length: int) -> PoemForm:
    """A form of any number of equal lines, with no rule but its shape."""
    return PoemForm("自由", "free", line_count, line_length)
