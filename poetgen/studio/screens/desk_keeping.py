"""Keeping poems: in the poem book, and as files."""

from __future__ import annotations

import asyncio
import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poetgen import files
from poetgen.errors import PoetgenError
from poetgen.studio.drafts import Draft, Settings
from poetgen.studio.screens.book import BookDialog
from poetgen.studio.screens.desk_base import DeskBase
from poetgen.studio.screens.dialogs import AskDialog, ChoiceDialog
from poetgen.writing.request import FREE

if TYPE_CHECKING:
    from poetgen.book.store import BookEntry

_KINDS = {
    "txt": "text",
    "md": "Markdown",
    "json": "JSON",
    "svg": "a card, SVG",
    "vertical.svg": "a card in vertical lines, SVG",
    "png": "a card, PNG",
    "vertical.png": "a card in vertical lines, PNG",
}


def entry_of(draft: Draft, title: str = "", note: str = "") -> BookEntry:
    """A draft as the book keeps it.

    Raises:
        PoetgenError: A place is still free.
    """
    from poetgen.book.store import BookEntry
    from poetgen.writing.written import WrittenPoem

    if not draft.is_whole:
        raise PoetgenError("a place is still free", hint="d draws what is missing")
    poem = WrittenPoem(
        lines=draft.rows,
        marks=draft.shown_marks,
        title=title,
        heads=draft.heads,
        form=draft.form,
        seed=draft.seed or 0,
        model=draft.written_by,
        nats_per_character=draft.nats or 0.0,
        forced=tuple(
            tuple((number, place) in draft.head_places for place in range(len(row)))
            for number, row in enumerate(draft.rows)
        ),
    )
    settings = {
        **asdict(draft.settings),
        "kept": list(draft.kept),
        "locked": sorted(map(list, draft.locked)),
    }
    return BookEntry.of(poem, settings, title, note)


def draft_of(entry: BookEntry) -> Draft:
    """The draft that an entry of the book was.

    Raises:
        PoetgenError: Its settings are none that there are.
    """
    known: dict[str, Any] = dict(entry.settings)
    known.setdefault("form", "free" if entry.form == "自由" else entry.form)
    known.setdefault("line_length", len(entry.lines[0]))
    known["model"] = known.get("model") or entry.model
    kept = tuple(known.get("kept", ()))
    if begun := known.get("first_lines"):  # A poem that goes on from lines: those are kept.
        length = len(entry.lines[0])
        rest = len(entry.lines) - len(begun)
        kept = (*begun[:-1], begun[-1].ljust(length, FREE), *[FREE * length] * rest)
    draft = Draft(
        heads=entry.heads,
        settings=Settings.from_json(known),
        lines=entry.lines,
        marks=entry.marks,
        seed=entry.seed,
        kept=kept,
        locked=frozenset((int(line), int(place)) for line, place in known.get("locked", ())),
        written_by=entry.model,
        title=entry.title,
    )
    draft.rows  # noqa: B018 - to find what is wrong with it.
    return draft


def exported(entry: BookEntry, kind: str) -> bytes:
    """An entry as a file of one of the kinds.

    Raises:
        PoetgenError: There is no font for a card.
    """
    from poetgen.book import card, export

    vertical = kind.startswith("vertical.")
    match kind.removeprefix("vertical."):
        case "svg":
            return card.card_svg(entry, vertical=vertical).encode()
        case "png":
            return card.card_png(entry, vertical=vertical)
        case "md":
            return export.as_markdown(entry).encode()
        case "json":
            return export.as_json(entry).encode()
        case _:
            return export.as_text(entry).encode()


class KeepingActions(DeskBase):
    """The actions that save and export."""

    def action_save(self) -> None:
        """Save the draft to the poem book, under a title."""
        draft = self.draft
        try:
            entry_of(draft)
        except PoetgenError as error:
            self.complain(error)
            return

        def save(answer: tuple[str, ...] | None) -> None:
            if answer is not None:
                title, note = answer
                if title != draft.title:
                    now = self.session.find(draft.id)
                    if now is not None:
                        self.change(now.with_title(title), "title")
                self.run_worker(self._append(entry_of(draft, title, note)), group="save")

        fields = {"title": draft.title or draft.heads, "note": ""}
        self.app.push_screen(AskDialog("Save to the poem book", fields, "Save"), save)

    async def _append(self, entry: BookEntry) -> None:
        try:
            await asyncio.to_thread(self.book.append, entry)
        except PoetgenError as error:
            self.complain(error)
        else:
            self.say(f"saved to the poem book: {entry.title or entry.lines[0]}")

    def action_book(self) -> None:
        """Open the poem book."""

        def reopen(entry: BookEntry | None) -> None:
            if entry is None:
                return
            try:
                draft = draft_of(entry)
            except (PoetgenError, TypeError, ValueError) as error:
                self.say(f"it cannot be reopened: {error}", bad=True)
                return
            self.session.add([draft], "reopen")
            self.say(f"reopened; r draws it again with seed {entry.seed}")

        self.app.push_screen(BookDialog(self.book), reopen)

    def action_export(self) -> None:
        """Export the draft as a file."""
        try:
            entry = entry_of(self.draft, self.draft.title)
        except PoetgenError as error:
            self.complain(error)
            return

        def ask_where(kind: str | None) -> None:
            if kind is None:
                return
            name = "".join(c for c in entry.title or entry.heads or entry.lines[0] if c.isalnum())
            if self.app.is_web:
                self.run_worker(self._export(entry, kind, f"{name}.{kind}"), group="save")
                return
            self.app.push_screen(
                AskDialog("Export to a file", {"file": f"{name}.{kind}"}, "Write"),
                lambda answer: write(kind, answer[0]) if answer else None,
            )

        def write(kind: str, name: str) -> None:
            if Path(name).expanduser().exists():
                self.say(f"{name} is there already; choose another name", bad=True)
            else:
                self.run_worker(self._export(entry, kind, name), group="save")

        self.app.push_screen(ChoiceDialog("Export as", _KINDS), ask_where)

    async def _export(self, entry: BookEntry, kind: str, name: str) -> None:
        try:
            content = await asyncio.to_thread(exported, entry, kind)
            if self.app.is_web:
                self.app.deliver_binary(io.BytesIO(content), save_filename=name)
            else:
                await asyncio.to_thread(_write, Path(name).expanduser(), content)
        except PoetgenError as error:
            self.complain(error)
        except OSError as error:
            self.say(f"{name} cannot be written: {error.strerror or error}", bad=True)
        else:
            self.say(f"written: {name}")


def _write(path: Path, content: bytes) -> None:
    with files.replacing(path) as file:
        file.write(content)
