"""People at browsers, without browsers: what they type, and the screen that they see."""

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pyte

from poetgen.serving.server import Limits, StudioServer

PROGRAM = Path(__file__).with_name("program.py")


class Person:
    """Somebody with a browser, and with a session in it."""

    def __init__(self, client: aiohttp.ClientSession, address: str) -> None:
        self.client, self.address = client, address.rstrip("/")
        self.said = ""
        self.orders: list[Any] = []
        self.screen = pyte.Screen(100, 30)
        self._stream = pyte.ByteStream(self.screen)
        self.socket: aiohttp.ClientWebSocketResponse | None = None
        self._listening: asyncio.Task[None] | None = None

    async def open(self, size: str = "width=100&height=30") -> None:
        """Load the page and open a session."""
        async with self.client.get(f"{self.address}/") as page:
            assert page.status == 200
        await self.connect(size)

    async def connect(self, size: str = "width=100&height=30") -> None:
        self.socket = await self.client.ws_connect(
            f"{self.address}/ws?{size}", headers={"Origin": self.address}
        )
        self._listening = asyncio.create_task(self._listen(self.socket))

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type == aiohttp.WSMsgType.BINARY:
                self.said = (self.said + message.data.decode("utf-8", "replace"))[-5000:]
                self._stream.feed(message.data)
            else:
                self.orders.append(message.json())

    async def type(self, text: str) -> None:
        await self.send(["stdin", text])

    async def send(self, message: Any) -> None:
        assert self.socket is not None
        await self.socket.send_json(message)

    async def until(self, condition: Callable[[], Any], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"never:\n{self.text}"
            await asyncio.sleep(0.02)

    async def until_said(self, pattern: str) -> str:
        await self.until(lambda: re.search(pattern, self.said))
        found = re.search(pattern, self.said)
        assert found is not None
        return found[1]

    @property
    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(self.screen.display)

    async def leave(self) -> None:
        """Close the tab."""
        if self.socket is not None:
            await self.socket.close()
        if self._listening is not None:
            await self._listening

    async def until_sent_away(self) -> None:
        """Wait until the server ends the session."""
        assert self._listening is not None
        await asyncio.wait_for(self._listening, 60)


@contextlib.asynccontextmanager
async def person(address: str) -> AsyncIterator[Person]:
    # Cookies of bare addresses are kept too, as browsers do.
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as client:
        somebody = Person(client, address)
        yield somebody
        await somebody.leave()


@contextlib.asynccontextmanager
async def serving(
    home: Path, mode: str = "good", limits: Limits | None = None, public: bool = False
) -> AsyncIterator[tuple[StudioServer, str]]:
    """A server of the program beside, and its address."""
    told: asyncio.Queue[str] = asyncio.Queue()
    bare = [] if mode == "sender" else ["-S"]  # Without the installed packages it starts sooner.
    server = StudioServer(
        lambda visitor: [sys.executable, *bare, str(PROGRAM), mode, visitor.folder.name],
        home,
        port=0,
        public=public,
        limits=limits,
        announce=told.put_nowait,
    )
    running = asyncio.create_task(server.run())
    address = await told.get()
    try:
        yield server, address
    finally:
        server.stopping.set()
        await asyncio.wait_for(running, 20)


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
