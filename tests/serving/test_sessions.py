"""`poetgen serve` with real studios, by people without browsers."""

import asyncio
import json
import signal
import time

import psutil

from tests.serving.conftest import Served
from tests.serving.helpers import is_running, person


def test_a_poem_is_written_and_saved_nobody_else_sees_it_and_ctrl_c_ends_it_all(
    served: Served,
) -> None:
    async def work() -> None:
        async with person(served.address) as writer, person(served.address) as other:
            await writer.open()
            await writer.until(lambda: "ready" in writer.text)
            await writer.type("\x1bOR")  # F3: to the heads.
            await writer.type("春夏秋冬")
            await writer.until(lambda: "春" in writer.text)
            await writer.type("\r")
            await writer.until(lambda: "every rule kept" in writer.text)
            await writer.type("\x13")  # Ctrl-S, and enter in the dialog.
            await writer.until(lambda: "Save to the poem book" in writer.text)
            await writer.type("\r")
            await writer.until(lambda: "saved to the poem book" in writer.text)

            await other.open()
            await other.until(lambda: "ready" in other.text)
            assert "1 new" in other.text

            await writer.leave()
            writer.screen.reset()
            await writer.open()
            await writer.until(lambda: "every rule kept" in writer.text)

            studios = psutil.Process(served.process.pid).children()
            assert len(studios) == 2
            status, _, err = await asyncio.to_thread(served.end)
            assert status == 0
            assert "Traceback" not in err
            assert not any(is_running(each.pid) for each in studios)

    asyncio.run(work())
    [poem] = (served.home / "book.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(poem)["heads"] == "春夏秋冬"


def test_studios_leave_when_their_server_is_killed_and_keep_their_drafts(served: Served) -> None:
    async def work() -> None:
        async with person(served.address) as writer:
            await writer.open()
            await writer.until(lambda: "ready" in writer.text)
            await writer.type("\x1bOR")
            await writer.type("梅兰竹菊")
            await writer.until(lambda: "菊" in writer.text)
            [studio] = psutil.Process(served.process.pid).children()
            served.end(signal.SIGKILL)
            end = time.monotonic() + 20
            while is_running(studio.pid):
                assert time.monotonic() < end, "an orphan"
                await asyncio.sleep(0.05)

    asyncio.run(work())
    [drafts] = served.home.glob("served/*/studio/drafts-*.json")
    assert "梅兰竹菊" in drafts.read_text(encoding="utf-8")
    assert not list(served.home.glob("served/*/studio/*.lock"))
