"""The settings of a draft, all in one dialog."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, VerticalScroll
from textual.widgets import Input, Label, Select, Static

from poetgen.errors import PoetgenError
from poetgen.studio.drafts import Draft, Settings
from poetgen.studio.screens.dialogs import Dialog
from poetgen.studio.text import AT_NAMES
from poetgen.verse.forms import FORMS, form_named
from poetgen.verse.phonology import RHYME_BOOKS

_CHOICES: dict[str, list[tuple[str, str]]] = {
    "form": [*((str(form), form.name) for form in FORMS), ("free: a line a head", "free")],
    "tones": [
        ("loose", "loose"),
        ("strict: no poem with a fault", "strict"),
        ("off: the form only", "off"),
    ],
    "rhyme_book": [(name, name) for name in RHYME_BOOKS],
    "first_line_rhymes": [(name, name) for name in ("auto", "yes", "no")],
    "pattern": [(name, name) for name in ("auto", "平起", "仄起")],
    "style": [("any", ""), ("唐 Tang", "唐"), ("宋 Song", "宋")],
}

_LABELS = {
    "form": "form",
    "at": "heads stand",
    "tones": "tones",
    "rhyme_book": "rhyme book",
    "first_line_rhymes": "first line rhymes",
    "pattern": "pattern",
    "style": "style",
    "rhyme": "rhyme (auto, 东 …)",
    "theme": "theme (秋思 …)",
    "temperature": "temperature",
    "particles": "particles",
    "line_length": "free form: a line",
    "seed": "seed (empty: any)",
}


class SettingsDialog(Dialog[Settings]):
    """Changes the settings of a draft."""

    DEFAULT_CSS = """
    SettingsDialog > VerticalScroll {
        width: 78; max-width: 100%; height: auto; max-height: 100%;
        border: round $primary; background: $surface; padding: 0 1;
    }
    SettingsDialog Grid { grid-size: 2; grid-columns: 20 1fr; grid-rows: 1; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "accept", "take them")]

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft

    def compose(self) -> ComposeResult:
        settings = self._draft.settings
        length = max(
            settings.line_length,
            *(form.line_length for form in FORMS),
            self._draft.form.line_length,
        )
        ats = [(f"{name} character", at) for at, name in AT_NAMES.items() if at != "diagonal"]
        ats += [("diagonal", "diagonal")]
        ats += [(f"character no. {n}", str(n)) for n in range(1, length + 1)]
        with VerticalScroll(can_focus=False):
            yield Label("Settings of this draft", classes="title")
            with Grid():
                for name, label in _LABELS.items():
                    yield Label(label)
                    value = getattr(settings, name)
                    choices = ats if name == "at" else _CHOICES.get(name)
                    if choices is None:
                        text = (
                            ""
                            if value is None
                            else f"{value:g}"
                            if name == "temperature"
                            else str(value)
                        )
                        yield Input(text, id=name, compact=True, select_on_focus=False)
                    else:
                        yield Select[str](
                            choices, value=value, allow_blank=False, id=name, compact=True
                        )
            yield Static("", classes="problem", markup=False)
            yield self.buttons("Take them (^s)")

    def on_input_submitted(self) -> None:
        self.accept()

    def action_accept(self) -> None:
        """Take them, if they are good."""
        self.accept()

    def accept(self, button: str = "") -> None:
        try:
            draft = self._draft.with_settings(**self._values())
            if draft.settings.form != "free":
                form_named(draft.settings.form)
            self._try_options(draft.settings)
        except PoetgenError as error:
            self.refuse(f"{error.message}. {error.hint}" if error.hint else error.message)
        else:
            self.dismiss(draft.settings)

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = {each.id or "": each.value for each in self.query(Select)}
        values |= {each.id or "": each.value.strip() for each in self.query(Input)}
        values["rhyme"] = values["rhyme"] or "auto"
        values["temperature"] = _number("temperature", values["temperature"], float)
        for name in ("particles", "line_length"):
            values[name] = _number(name, values[name], int)
        values["seed"] = _number("seed", values["seed"], int) if values["seed"] else None
        if values["theme"]:
            from poetgen.writing.theme import theme_characters

            values["theme"] = theme_characters(values["theme"])
        return values

    @staticmethod
    def _try_options(settings: Settings) -> None:
        from poetgen.writing.options import SamplingOptions

        SamplingOptions(temperature=settings.temperature, particles=settings.particles)
        if settings.seed is not None and settings.seed < 0:
            raise PoetgenError(f"the seed is {settings.seed}", hint="it must be 0 or more")


def _number(name: str, text: str, kind: type[int] | type[float]) -> int | float:
    try:
        return kind(text)
    except ValueError:
        raise PoetgenError(f"{name.replace('_', ' ')}: '{text}' is no number") from None
