import pytest

from poetgen.errors import TemplateError
from poetgen.verse.forms import FORMS, form_named, form_of, free_form


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.alias)
def test_a_form_is_found_by_each_of_its_names(form: object) -> None:
    found = next(known for known in FORMS if known is form)
    for name in (
        found.name,
        found.alias,
        found.alias.upper(),
        f" {found.name} ",
        *found.other_names,
    ):
        assert form_named(name) is found


def test_a_form_that_is_not_there_is_an_error_that_lists_those_that_are() -> None:
    with pytest.raises(TemplateError, match="no form is called '六言'") as caught:
        form_named("六言")
    assert all(form.name in caught.value.hint for form in FORMS)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.alias)
def test_a_poem_of_a_forms_shape_has_that_form(form: object) -> None:
    found = next(known for known in FORMS if known is form)
    line = "一" * found.line_length
    assert form_of([line] * found.line_count) is found
    assert form_of([line] * (found.line_count - 1)) is None
    assert form_of([line] * (found.line_count - 1) + [line + "一"]) is None


def test_no_lines_have_no_form_and_a_free_form_is_of_any_shape() -> None:
    assert form_of([]) is None
    assert (free_form(3, 4).line_count, free_form(3, 4).line_length) == (3, 4)
