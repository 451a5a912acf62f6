"""How soon a key shows in the studio while a poem is being drawn, and what 500 poems cost.

    python -m benchmarks.studio_keys
    python -m benchmarks.studio_keys --model lstm --keys 300 --poems 500

A key's time is from the event to the moment when the screen with the moved cursor is given to the
terminal's driver; what the terminal itself takes comes on top. Poems are drawn without a break
meanwhile, with the usual particles. Memory is the resident set of the process, read between poems.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from textual import events
from textual.pilot import Pilot

from poetgen.book.store import Book
from poetgen.studio.app import Studio
from poetgen.studio.screens.desk import Desk


class Watch:
    """Notes when the cursor that the grid was drawn with reaches the driver."""

    def __init__(self, app: Studio, desk: Desk) -> None:
        self.shown = desk.grid.cursor
        self._drawn = self.shown
        grid, display = desk.grid, app._display
        render = grid.render_line

        def render_line(y: int) -> Any:
            self._drawn = grid.cursor
            return render(y)

        def show(*arguments: Any) -> None:
            display(*arguments)
            self.shown = self._drawn

        grid.render_line = render_line  # type: ignore[method-assign]
        app._display = show  # type: ignore[assignment, method-assign]


async def _keys(app: Studio, pilot: Pilot[None], desk: Desk, count: int) -> list[float]:
    """Milliseconds from key to screen, of `count` keys while poems are being drawn."""
    watch = Watch(app, desk)
    desk.grid.focus()
    taken: list[float] = []
    rng = np.random.default_rng(0)
    while len(taken) < count:
        if not desk.so_far:
            desk.action_draw("all")
        before = desk.grid.cursor
        key = "right" if before[1] < 5 else "home"
        began = time.perf_counter()
        app.post_message(events.Key(key, None))
        while watch.shown == before:
            await asyncio.sleep(0.0005)
        if desk.so_far:  # A poem was being drawn all the while.
            taken.append(1000 * (time.perf_counter() - began))
        await asyncio.sleep(float(rng.uniform(0.02, 0.15)))
    desk.workshop.stop()
    while desk.so_far:
        await pilot.pause(0.02)
    return taken


async def _poems(pilot: Pilot[None], desk: Desk, count: int) -> None:
    """Print the megabytes after so many poems."""
    process = psutil.Process()
    for number in range(count + 1):
        if number % max(count // 5, 1) == 0:
            print(f"after {number:4} poems: {process.memory_info().rss / 1e6:7.1f} MB", flush=True)
        desk.action_draw("all")
        while desk.so_far:
            await pilot.pause(0.002)


async def _measure(model: str, keys: int, poems: int, particles: int) -> None:
    with tempfile.TemporaryDirectory() as home:
        app = Studio(model, drafts=Path(home) / "studio", book=Book(Path(home) / "book.jsonl"))
        async with app.run_test(size=(80, 24)) as pilot:
            while app.desk is None or not app.desk.shelf.ready(app.desk.draft.settings.model):
                await pilot.pause(0.05)
            desk = app.desk
            desk.change(desk.draft.with_heads("春夏秋冬"), "heads")
            taken = await _keys(app, pilot, desk, keys)
            print(
                f"{desk.shelf.name_of(model)}: {len(taken)} keys while poems are drawn: "
                f"median {np.percentile(taken, 50):.1f} ms, 95th percentile "
                f"{np.percentile(taken, 95):.1f} ms, worst {max(taken):.1f} ms"
            )
            desk.set(particles=particles)
            await _poems(pilot, desk, poems)
        app.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="", help="a model's name; the usual one when left out")
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--poems", type=int, default=500)
    parser.add_argument("--particles", type=int, default=8, help="of the poems for memory")
    arguments = parser.parse_args()
    asyncio.run(_measure(arguments.model, arguments.keys, arguments.poems, arguments.particles))


if __name__ == "__main__":
    main()
