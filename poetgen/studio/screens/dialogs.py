"""What asks before something is done: a dialog gives what was chosen, or None when it was left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, OptionList, SelectionList, Static
from textual.widgets.option_list import Option
from textual.widgets.selection_list import Selection

from poetgen.studio.text import ACTIONS, MOVING, shown_key
from poetgen.studio.workers import ModelInfo

Result = TypeVar("Result")


class Dialog(ModalScreen[Result], Generic[Result]):
    """A dialog: escape leaves it, and nothing was done."""

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > Vertical {
        width: 76; max-width: 100%; height: auto; max-height: 100%;
        border: round $primary; background: $surface; padding: 0 1;
    }
    Dialog .title { text-style: bold; }
    Dialog .problem { color: $error; text-style: bold; height: auto; }
    Dialog Horizontal { height: auto; }
    Dialog Button { margin: 0 2 0 0; }
    Dialog OptionList, Dialog SelectionList { height: auto; max-height: 16; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "leave it")]

    heading = ""

    def action_cancel(self) -> None:
        """Leave it."""
        self.dismiss(None)

    def buttons(self, *labels: str) -> Horizontal:
        """A row of buttons, the last of which leaves the dialog."""
        return Horizontal(
            *(Button(label, id=label.lower().split()[0], compact=True) for label in labels),
            Button("Cancel (esc)", id="cancel", compact=True),
        )

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "cancel":
            self.dismiss(None)
        else:
            self.accept(event.button.id or "")

    def accept(self, button: str = "") -> None:
        """Take what was chosen."""
        raise NotImplementedError

    def refuse(self, message: str) -> None:
        """Say what is wrong with it, and stay."""
        self.query_one(".problem", Static).update(Text(message))


class ModelDialog(Dialog[str]):
    """Which model is to write."""

    def __init__(self, models: Sequence[ModelInfo], current: str) -> None:
        super().__init__()
        self._models, self._current = models, current

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label("Which model is to write?", classes="title")
            names = [each.name for each in self._models]
            listing = OptionList(*map(_model_option, self._models), markup=False)
            if self._current in names:
                listing.highlighted = names.index(self._current)
            yield listing
            if not names:
                yield Static("There is no other model. poetgen train makes one.", markup=False)
            yield self.buttons()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)


class CompareDialog(Dialog[list[str]]):
    """Which models are to write the same, side by side."""

    def __init__(self, models: Sequence[ModelInfo], chosen: Sequence[str]) -> None:
        super().__init__()
        self._models, self._chosen = models, chosen

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label("Which models are to write these heads? (space, then enter)")
            yield SelectionList[str](
                *(
                    Selection(
                        Text(f"{each.name}  {each.about}"),
                        each.name,
                        each.name in self._chosen,
                        disabled=not each.usable,
                    )
                    for each in self._models
                )
            )
            yield Static("", classes="problem", markup=False)
            yield self.buttons("Write")

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "accept", "write", priority=True),
    ]

    def action_accept(self) -> None:
        """Write with them; or, on the button to leave, leave."""
        if isinstance(self.focused, Button) and self.focused.id == "cancel":
            self.dismiss(None)
        else:
            self.accept()

    def accept(self, button: str = "") -> None:
        chosen = self.query_one(SelectionList).selected
        if chosen:
            self.dismiss(list(chosen))
        else:
            self.refuse("choose one at least")


def _model_option(model: ModelInfo) -> Option:
    return Option(Text(f"{model.name}  {model.about}"), id=model.name, disabled=not model.usable)


class AskDialog(Dialog[tuple[str, ...]]):
    """Asks for some lines of text.

    Args:
        heading: What for.
        fields: The name of each, and what stands in it at first.
        button: What accepting it is called.
    """

    def __init__(self, heading: str, fields: dict[str, str], button: str) -> None:
        super().__init__()
        self.heading, self._fields, self._button = heading, fields, button

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(self.heading, classes="title", markup=False)
            for name, value in self._fields.items():
                yield Label(name, markup=False)
                yield Input(value, compact=True, select_on_focus=False)
            yield Static("", classes="problem", markup=False)
            yield self.buttons(self._button)

    def on_input_submitted(self) -> None:
        self.accept()

    def accept(self, button: str = "") -> None:
        self.dismiss(tuple(each.value.strip() for each in self.query(Input)))


class ChoiceDialog(Dialog[str]):
    """Asks for one of several things, each with its id and its name."""

    def __init__(self, heading: str, choices: dict[str, str]) -> None:
        super().__init__()
        self.heading, self._choices = heading, choices

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label(self.heading, classes="title", markup=False)
            yield OptionList(
                *(Option(Text(name), id=id) for id, name in self._choices.items()), markup=False
            )
            yield self.buttons()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)


class HelpDialog(Dialog[str]):
    """Every action and its keys; enter or a click does it."""

    DEFAULT_CSS = """
    HelpDialog > Vertical { height: 100%; }
    HelpDialog OptionList { height: 1fr; max-height: 100%; }
    """

    def compose(self) -> ComposeResult:
        options: list[Option] = []
        group = ""
        for action in ACTIONS:
            if action.group != group:
                group = action.group
                options.append(Option(Text(group, "bold"), disabled=True))
            keys = " ".join(map(shown_key, action.keys))
            options.append(Option(Text(f"  {keys:<15}{action.title}"), id=action.name))
        options.append(Option(Text("And", "bold"), disabled=True))
        for keys, title in MOVING:
            options.append(Option(Text(f"  {keys}: {title}"), disabled=True))
        with Vertical():
            yield Label("Help: enter or a click does it, esc leaves", classes="title")
            yield OptionList(*options, markup=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)
