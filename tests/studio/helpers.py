"""A studio on models whose every probability is known, and ways to drive it."""

import asyncio
import contextlib
import itertools
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from poetgen.book.store import Book
from poetgen.dataset.vocabulary import SPECIALS, Vocabulary
from poetgen.errors import CheckpointError
from poetgen.studio.app import Studio
from poetgen.studio.drafts import Draft
from poetgen.studio.screens.desk import Desk
from poetgen.studio.workers import ModelInfo, Shelf
from poetgen.writing.poet import Poet
from poetgen.writing.request import FREE
from tests.cli.random_model import CHARACTERS
from tests.writing.fakes import Floats, MarkovModel, Table

VOCABULARY = Vocabulary((*SPECIALS, *CHARACTERS, *"，。！？；"))
STEP = 0.1
"""Each token of the vocabulary is less likely than the one before by a factor of exp(-STEP)."""


class Falling(Table):
    """Whatever was read, the tokens are the likelier the earlier they stand in the vocabulary."""

    def __init__(self, size: int = len(VOCABULARY)) -> None:
        self._logits = (-STEP * np.arange(size)).astype(np.float32)

    def logits(self, seen: tuple[int, ...]) -> Floats:
        return self._logits


class GatedModel(MarkovModel):
    """Stops in the middle of a quatrain until the gate is open."""

    gate = threading.Event()

    def step(self, ids: Any, state: Any) -> Any:
        if len(state[0]) == 14:
            assert self.gate.wait(20)
        return super().step(ids, state)


def fake_poet(name: str = "lstm", kind: type[MarkovModel] = MarkovModel) -> Poet:
    return Poet(kind(len(VOCABULARY), Falling()), VOCABULARY, name)


def fake_shelf(
    names: Sequence[str] = ("lstm", "gru", "rnn"), kind: type[MarkovModel] = MarkovModel
) -> Shelf:
    """A shelf of fake models; empty names: none to begin with."""

    def load(name: str | None) -> Poet:
        if (name or "lstm") not in names:
            raise CheckpointError(f"there is no model '{name or 'lstm'}'", hint="train one")
        return fake_poet(name or "lstm", kind)

    return Shelf(load, lambda: [ModelInfo(name, f"a {name}") for name in names])


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine of a test."""
    asyncio.run(work)


class Driver:
    """A studio under test."""

    def __init__(self, app: Studio, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def desk(self) -> Desk:
        assert self.app.desk is not None
        return self.app.desk

    @property
    def on_desk(self) -> bool:
        """Whether nothing stands over the main screen."""
        return self.app.screen is self.desk

    @property
    def draft(self) -> Draft:
        return self.desk.draft

    @property
    def status(self) -> str:
        return str(self.desk.query_one("#status", Static).render())

    def text(self, selector: str) -> str:
        return str(self.desk.query_one(selector, Static).render())

    @property
    def candidates(self) -> list[str]:
        options = self.desk.query_one("#candidates", OptionList).options
        return [str(option.id) for option in options if option.id]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        await self.press(*text)

    async def until(self, condition: Callable[[], Any], what: str = "") -> None:
        """Wait until something is so."""
        end = time.monotonic() + 8
        while not condition():
            assert time.monotonic() < end, what or f"never: {self.status}\n{self.screen_text()}"
            await self.pilot.pause(0.01)

    async def drawn(self) -> None:
        """Wait until nothing is being drawn."""
        await self.until(lambda: not self.desk.so_far and self.draft.is_whole)

    async def write(self, heads: str = "春夏秋冬") -> Draft:
        """Type heads and have the poem drawn."""
        await self.press("f3")
        await self.type(heads)
        await self.press("enter")
        await self.drawn()
        return self.draft

    async def asked(self, line: int, place: int) -> None:
        """Wait until the candidates are those for a place."""
        standing = self.draft.rows[line][place].replace(FREE, "free")
        where = f"line {line + 1}, no. {place + 1}: {standing}"
        await self.until(lambda: where in self.text("#candidates-title") and self.candidates)

    def screen_text(self) -> str:
        """Everything on the screen, as text."""
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())


@contextlib.asynccontextmanager
async def studio(
    home: Path, size: tuple[int, int] = (80, 24), shelf: Shelf | None = None, model: str = ""
) -> AsyncIterator[Driver]:
    """A studio that keeps its things under `home`; what it draws is the same whenever it is run."""
    app = Studio(
        model,
        shelf=shelf or fake_shelf(),
        drafts=home / "studio",
        book=Book(home / "book.jsonl"),
    )
    with mock.patch.object(secrets, "randbelow", side_effect=itertools.count(1)):
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            driver = Driver(app, pilot)
            await driver.until(lambda: app.desk is not None and app.desk.is_mounted)
            yield driver
    app.end()
