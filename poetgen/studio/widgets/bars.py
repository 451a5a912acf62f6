"""The rows above the poem: which drafts there are, the heads, and what they leave possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import Input, Static

from poetgen.studio.drafts import Draft, Settings
from poetgen.studio.session import State
from poetgen.studio.text import shown_at
from poetgen.verse.patterns import patterns_of
from poetgen.writing.asked import OFF, is_regular
from poetgen.writing.request import FREE

if TYPE_CHECKING:
    from poetgen.writing.aims import Outlook

_MOST_GROUPS = 8


class DraftsBar(Static):
    """The drafts, the current one in brackets; a click looks at one."""

    DEFAULT_CSS = "DraftsBar { height: 1; }"

    class Picked(Message):
        """A draft was clicked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._ends: list[int] = []

    def show(self, state: State, width: int) -> None:
        """Show the drafts of a state, as many as there is room for around the current one."""
        tabs = [
            f"[{label}]" if number == state.current else f" {label} "
            for number, label in enumerate(map(_label, range(len(state.drafts)), state.drafts))
        ]
        first = 0
        while first < state.current and sum(map(cell_len, tabs[first : state.current + 1])) > width:
            first += 1
        text = Text()
        self._ends = []
        self._first = first
        for number, tab in enumerate(tabs[first:], first):
            text.append(tab, "bold reverse" if number == state.current else "")
            self._ends.append(text.cell_len)
        self.update(text, layout=False)

    def on_click(self, event: events.Click) -> None:
        for number, end in enumerate(self._ends, self._first):
            if event.x < end:
                self.post_message(self.Picked(number))
                return


def _label(number: int, draft: Draft) -> str:
    name = draft.title or draft.heads or "new"
    return f"{number + 1} {name[:8]} {draft.form.name}"


class HeadsInput(Input):
    """Where heads are typed. `?` is no head, so it asks for help here too."""

    async def on_key(self, event: events.Key) -> None:
        if event.character == "?":
            event.stop()
            event.prevent_default()
            await self.run_action("screen.help")
        elif event.key in ("down", "escape"):
            event.stop()
            event.prevent_default()
            self.screen.query_one("#poem").focus()


class SettingsLine(Static):
    """The settings in a row; a click opens them."""

    class Opened(Message):
        """It was clicked."""

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def show(self, settings: Settings) -> None:
        """Show settings, those that are not usual by name."""
        form = settings.form
        if form == "free":
            form = f"free, {settings.line_length} a line"
        parts = [form, f"heads {shown_at(settings.at)}"]
        if settings.form != "free":
            parts.append("no rules" if settings.tones == OFF else settings.tones)
            parts.append(settings.rhyme_book)
            parts += [f"rhyme {settings.rhyme}"] if settings.rhyme != "auto" else []
            parts += [settings.pattern] if settings.pattern != "auto" else []
        parts.append(f"T {settings.temperature:g}")
        parts += [f"theme {settings.theme}"] if settings.theme else []
        parts += [settings.style] if settings.style else []
        parts += [f"seed {settings.seed}"] if settings.seed is not None else []
        self.update(Text(" · ".join(parts), no_wrap=True, overflow="ellipsis"), layout=False)

    def on_click(self) -> None:
        self.post_message(self.Opened())


def outlook_text(draft: Draft, outlook: Outlook | None, warning: str) -> Text:
    """What the heads leave possible, or what is in the way, with the reason."""
    if warning:
        return Text(f"! {warning}", "bold")
    typed = len(draft.heads.replace(FREE, ""))
    wanted = len(draft.request.heads)
    missing = f"{typed} of {wanted} heads; " if typed < wanted and draft.heads else ""
    if not is_regular(draft.form) or draft.settings.tones == OFF:
        return Text(f"{missing}no rules of tone and rhyme", "dim")
    if outlook is None:
        return Text(missing + "…", "dim")
    if outlook.clashes:
        clash = outlook.clashes[0]
        more = f"; and {len(outlook.clashes) - 1} more" if len(outlook.clashes) > 1 else ""
        will = "no poem can be" if draft.settings.tones == "strict" else "it will have the fault"
        return Text(f"! {missing}{clash}{more}: {will}", "bold")
    every = len(patterns_of(draft.form.line_count, draft.form.line_length))
    names = " ".join(pattern.name for pattern in outlook.patterns)
    groups = "".join(outlook.groups[:_MOST_GROUPS])
    rest = len(outlook.groups) - _MOST_GROUPS
    groups += f" and {rest} more" if rest > 0 else ""
    text = f"{missing}{len(outlook.patterns)} of {every} patterns: {names}; rhymes {groups}"
    return Text(text)
