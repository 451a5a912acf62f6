"""`poetgen acrostic` without heads, on a terminal: asks for them, and for what to do next.

Questions are rich's, which ask again after an answer that is none. The line is read by `input`
itself, prompt and all: so readline knows where it begins, and erases both columns of a Chinese
character.
"""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from poetgen.cli import console
from poetgen.cli.book import save_poem
from poetgen.cli.judging import use_judge
from poetgen.cli.poems import first_seed, load_poet, sampling_options
from poetgen.cli.showing import open_citations, write_on_screen
from poetgen.errors import PoetgenError, TemplateError
from poetgen.verse.forms import FORMS, form_named

if TYPE_CHECKING:
    from pathlib import Path

    from poetgen.writing.request import Request
    from poetgen.writing.written import WrittenPoem

_FORMS = (*(form.name for form in FORMS), "free")

_ACTIONS = {
    "a": "again",
    "f": "another form",
    "h": "other heads",
    "s": "save",
    "q": "quit",
}


def _ask(prompt: str, check: Callable[[str], str], default: str = "") -> str:
    """Ask until `check` takes the answer.

    Args:
        prompt: The question.
        check: Gives what an answer means; a PoetgenError says why it is none.
        default: What an empty answer is; empty: no answer.
    """
    from rich.prompt import InvalidResponse, PromptBase
    from rich.text import Text

    class Question(PromptBase[str]):
        @classmethod
        def get_input(cls, console: Any, prompt: str | Text, *_: Any, **__: Any) -> str:  # noqa: ARG003
            return _input(str(prompt))

        def process_response(self, value: str) -> str:
            try:
                return check(value.strip())
            except PoetgenError as error:
                told = f"{error.message}: {error.hint}" if error.hint else error.message
                raise InvalidResponse(Text(console.clean(told), "yellow")) from None

    question = Question(prompt, console=console.output())
    return question(default=default) if default else question()


def _input(prompt: str) -> str:
    with contextlib.suppress(ImportError):  # Not on Windows, which edits lines by itself.
        import readline  # noqa: F401
    try:
        return input(prompt)
    except UnicodeDecodeError:
        return "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Wanted:
    """What a poem is to be, as far as it was said.

    Attributes:
        form: A form's name, or free.
        at: As in `Request`.
        line_length: Of the free form; None: the usual one.
        rules: What else `acrostic_request` takes.
    """

    heads: str
    form: str
    at: str | int
    line_length: int | None
    rules: dict[str, Any]

    def request(self) -> Request:
        """The request.

        Raises:
            TemplateError: No poem can be so.
        """
        from poetgen.writing.request import acrostic_request

        length = self.line_length if self.form == "free" else None
        request = acrostic_request(
            self.heads, self.form, at=self.at, line_length=length, **self.rules
        )
        request.layout()
        return request

    def fits(self) -> bool:
        """Whether a poem can be so."""
        try:
            self.request()
        except TemplateError:
            return False
        return True


def write_by_asking(
    wanted: Wanted,
    *,
    seed: int | None,
    model: str | None,
    device: str,
    rank: bool,
    judge: Path | None,
    cite: bool,
    save: bool,
    quiet: bool,
    **choices: Any,
) -> int:
    """Ask what to write, write it, and ask what to do next, until that is to quit.

    Takes the flags of `writing_options` but those of the rules, which are in `wanted`.

    Returns:
        The exit status: 130 after Ctrl-C, else 0.
    """
    poet = load_poet(model, device)
    use_judge(poet, judge, style=wanted.rules["style"], rank=rank)
    options = sampling_options(**choices)
    cited = open_citations(poet, quiet=quiet) if cite else None
    seed = first_seed(seed)

    poem: WrittenPoem | None = None

    def keep() -> None:
        if poem is not None:
            id = save_poem(poem, request, options, rank=rank, model=model)
            click.echo(f"saved as {id}")

    try:
        wanted = _ask_what(wanted)
        action = "a"
        while action != "q":
            try:
                if action == "s":
                    keep()
                else:
                    if action == "h":
                        wanted = _ask_what(wanted)
                    elif action == "f":
                        wanted = _ask_form(wanted)
                    request, poem = wanted.request(), None
                    click.echo()
                    poem = write_on_screen(
                        poet, request, seed, options, rank=rank, captions=not quiet, cited=cited
                    )
                    seed += 1
                    if save:
                        keep()
            except PoetgenError as error:
                console.print_error(error.message, error.hint)
            click.echo()
            action = _ask_next(may_save=poem is not None)
    except (EOFError, KeyboardInterrupt) as left:
        click.echo()
        return 130 if isinstance(left, KeyboardInterrupt) else 0
    return 0


def _ask_what(wanted: Wanted) -> Wanted:
    """Ask for heads and the form, until they go together."""
    while True:
        heads = _ask("heads 藏头", _heads, wanted.heads)
        try:
            return _ask_form(replace(wanted, heads=heads))
        except TemplateError as error:
            click.echo(console.styled(console.clean(error.message), fg="yellow"))
            wanted = replace(wanted, heads=heads)


def _ask_form(wanted: Wanted) -> Wanted:
    """Ask for the form.

    Raises:
        TemplateError: It does not go with the heads.
    """
    likely = (form for form in (wanted.form, *_FORMS) if replace(wanted, form=form).fits())
    names = "  ".join(f"{number} {name}" for number, name in enumerate(_FORMS, 1))
    form = _ask(f"form 体裁  {names}", _form, next(likely, wanted.form))
    wanted = replace(wanted, form=form)
    if form == "free":
        usual = str(wanted.line_length or 7)
        length = _ask("characters a line 每行字数", _length, usual)
        wanted = replace(wanted, line_length=int(length))
    wanted.request()
    return wanted


def _ask_next(may_save: bool) -> str:
    known = {key: name for key, name in _ACTIONS.items() if may_save or key != "s"}

    def action(answer: str) -> str:
        key = unicodedata.normalize("NFKC", answer).lower()
        for each, name in known.items():
            if key in (each, name):
                return each
        raise PoetgenError(f"that is none of {', '.join(known)}")

    told = "  ".join(f"{key} {name}" for key, name in known.items())
    return _ask(told, action, "a")


def _heads(answer: str) -> str:
    """Heads, if there can be such at all."""
    Wanted(answer, "free", "head", None, {}).request()
    return answer


def _form(answer: str) -> str:
    """A form by its number in the question, or by any of its names."""
    answer = unicodedata.normalize("NFKC", answer).lower()
    if answer.isdecimal() and 1 <= int(answer) <= len(_FORMS):
        return _FORMS[int(answer) - 1]
    return "free" if answer in ("free", "自由") else form_named(answer).name


def _length(answer: str) -> str:
    answer = unicodedata.normalize("NFKC", answer)
    if not answer.isdecimal():
        raise PoetgenError("that is not a number")
    return answer
