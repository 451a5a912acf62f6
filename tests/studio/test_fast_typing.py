"""Heads that come faster than the screen is drawn, as an input method commits a phrase."""

from pathlib import Path

from textual import events

from poetgen.studio.widgets.bars import HeadsInput
from tests.studio.helpers import run, studio


def test_a_phrase_that_comes_at_once_keeps_its_order_and_the_cursor_its_place(
    tmp_path: Path,
) -> None:
    async def work() -> None:
        async with studio(tmp_path) as driver:
            await driver.press("f3")
            heads = driver.desk.query_one(HeadsInput)
            for character in "春夏秋冬":
                heads.post_message(events.Key(character, character))
            await driver.until(lambda: driver.draft.heads == "春夏秋冬")
            assert heads.cursor_position == 4
            await driver.type("梅")
            assert heads.value == driver.draft.heads == "春夏秋冬梅"

    run(work())
