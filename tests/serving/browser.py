"""A headless Chromium, driven through its DevTools protocol with what is installed anyway."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pyte
import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SIZE = (1200, 700)


def chromium() -> str:
    """The browser of this machine; the test is skipped where there is none."""
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium here: apt-get install chromium")


class Page:
    """A tab: what is typed into it, and what its terminal was sent, as a screen."""

    def __init__(self, browser: "Browser", session: str) -> None:
        self.browser, self.session = browser, session
        self.requested: list[str] = []
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)
        browser.pages[session] = self

    async def call(self, method: str, **parameters: Any) -> Any:
        return await self.browser.call(method, self.session, **parameters)

    def heard(self, method: str, event: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requested.append(event["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requested.append(event["url"])
        elif method == "Network.webSocketFrameReceived":
            frame = event["response"]
            if frame["opcode"] == 2:
                self._stream.feed(base64.b64decode(frame["payloadData"]))
        elif method == "Network.webSocketFrameSent":
            message = json.loads(event["response"]["payloadData"])
            if message[0] == "resize":
                self.screen.resize(message[1]["height"], message[1]["width"])

    async def go(self, url: str) -> None:
        self.screen.reset()
        await self.call("Page.navigate", url=url)

    async def evaluate(self, script: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return answer["result"].get("value")

    async def insert(self, text: str) -> None:
        """Type as an input method does: whole characters, no keys."""
        await self.call("Input.insertText", text=text)

    async def press(self, key: str, code: int = 0, modifiers: int = 0, text: str = "") -> None:
        for type in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent",
                type=type,
                key=key,
                windowsVirtualKeyCode=code,
                modifiers=modifiers,
                text=text if type == "keyDown" else "",
            )

    @property
    def text(self) -> str:
        # The cell after a wide character is empty.
        return "\n".join(self.screen.display)

    async def until(self, condition: Callable[[], Any], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"never:\n{self.text}"
            await asyncio.sleep(0.05)

    async def until_it_says(self, text: str, seconds: float = 60) -> None:
        """Wait until the page itself, not its terminal, shows a text."""
        end = time.monotonic() + seconds
        while text not in (await self.evaluate("document.body.innerText") or ""):
            assert time.monotonic() < end, f"the page never said {text}"
            await asyncio.sleep(0.1)

    async def picture(self) -> bytes:
        answer = await self.call("Page.captureScreenshot")
        return base64.b64decode(answer["data"])


class Browser:
    """The browser, and the calls to it that wait for an answer."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.pages: dict[str, Page] = {}
        self._socket = socket
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)

    async def listen(self) -> None:
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                future = self._waiting.pop(told["id"])
                if "error" in told:
                    future.set_exception(RuntimeError(told["error"]["message"]))
                else:
                    future.set_result(told["result"])
            elif page := self.pages.get(told.get("sessionId", "")):
                page.heard(told["method"], told["params"])

    async def call(self, method: str, session: str = "", **parameters: Any) -> Any:
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json(
            {
                "id": number,
                "method": method,
                "params": parameters,
                **({"sessionId": session} if session else {}),
            }
        )
        return await asyncio.wait_for(self._waiting[number], 60)

    async def page(self) -> Page:
        """A tab of a new person: it shares no cookies with the others."""
        context = await self.call("Target.createBrowserContext")
        target = await self.call(
            "Target.createTarget",
            url="about:blank",
            browserContextId=context["browserContextId"],
            width=SIZE[0],
            height=SIZE[1],
        )
        attached = await self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        page = Page(self, attached["sessionId"])
        for domain in ("Page", "Network", "Runtime"):
            await page.call(f"{domain}.enable")
        return page


@contextlib.asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Browser]:
    """Start a browser with an empty profile; end it and all its processes."""
    process = await asyncio.create_subprocess_exec(
        chromium(),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "HOME": str(profile)},
        start_new_session=True,
    )
    try:
        told = profile / "DevToolsActivePort"
        end = time.monotonic() + 60
        while not told.exists() or len(told.read_text(encoding="ascii").split()) < 2:
            assert process.returncode is None, "Chromium did not start"
            assert time.monotonic() < end, "Chromium did not come up"
            await asyncio.sleep(0.05)
        port, path = told.read_text(encoding="ascii").split()
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(
                f"ws://127.0.0.1:{port}{path}", max_msg_size=2**26, origin=None
            ) as socket,
        ):
            itself = Browser(socket)
            listening = asyncio.create_task(itself.listen())
            try:
                yield itself
                with contextlib.suppress(Exception):
                    await itself.call("Browser.close")
            finally:
                listening.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            await process.wait()
