"""`poetgen serve` in a real browser; skipped where there is no Chromium."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.serving.browser import browser, chromium
from tests.serving.conftest import Served

CTRL = 2


@pytest.fixture(autouse=True)
def _needs_chromium() -> None:
    chromium()


@pytest.mark.timeout(300)
def test_in_chromium_heads_are_typed_a_poem_appears_and_is_saved(
    served: Served, tmp_path: Path
) -> None:
    async def work() -> None:
        async with browser(tmp_path / "profile") as chromium:
            page = await chromium.page()
            await page.go(served.address)
            await page.until(lambda: "ready" in page.text, 60)
            await page.press("F3", 114)
            await page.insert("春夏秋冬")
            await page.until(lambda: "1 春夏秋冬" in page.text.replace("\0", ""))
            await page.press("Enter", 13, text="\r")
            await page.until(lambda: "every rule kept" in page.text)
            for head in "春夏秋冬":
                assert head in page.text
            assert len(set(await page.picture())) > 100
            await page.press("s", 83, CTRL)
            await page.until(lambda: "Save to the poem book" in page.text)
            await page.press("Enter", 13, text="\r")
            await page.until(lambda: "saved to the poem book" in page.text)

            # Nothing came from anywhere else, so all of it works without the internet.
            here = served.address.split("//")[1]
            assert len(page.requested) >= 5
            for url in page.requested:
                assert url.split("//")[1].startswith(here), url

            other = await chromium.page()
            await other.go(served.address)
            await other.until(lambda: "ready" in other.text)
            assert "every rule kept" not in other.text

            await page.go(served.address)
            await page.until(lambda: "every rule kept" in page.text)
            await page.press("q", 81, CTRL)
            await page.until_it_says("The session has ended")

    asyncio.run(work())
    [poem] = (served.home / "book.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(poem)["heads"] == "春夏秋冬"
