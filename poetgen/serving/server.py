"""The server: its pages, who may come in, how many, and for how long.

It knows nothing of poems. A program that Textual runs is started for each session and gets what
is typed; what it draws is sent on.

On loopback it answers only to a loopback name, so that no page elsewhere can make its own name
point here (DNS rebinding); and a socket is opened only by a page of this server. Without both, any
site that a person visits could read their drafts.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import json
import secrets
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
from aiohttp import WSMsgType, web
from textual_serve.server import Server

from poetgen.errors import PoetgenError
from poetgen.serving.process import SessionProcess
from poetgen.serving.visitors import (
    KEPT_DAYS,
    Visitor,
    is_key,
    new_key,
    remove_the_long_gone,
)

COOKIE = "poetgen"

_PAGES = Path(__file__).parent / "pages"

_LARGEST_MESSAGE = 64 * 1024
"""Bytes in a message of a browser: the longest text that can be pasted."""

_HEARTBEAT = 15.0
"""Seconds after which a browser that is silent is asked whether it is still there."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a server takes upon it.

    Attributes:
        sessions: How many there can be at a time; each is a process.
        idle: Minutes without a key or a movement after which a session ends.
    """

    sessions: int = 8
    idle: float = 30.0


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host: an address, or localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


class StudioServer(Server):
    """Serves a studio to each browser that comes.

    Args:
        program: Gives what to run for a visitor, with its arguments.
        home: The folder that visitors have theirs in.
        host, port: Where to listen; port 0 is any that is free.
        public: Whether names other than those of loopback are answered to.
        limits: How many, and how long.
        announce: Called once with the address, when browsers can come.
    """

    def __init__(
        self,
        program: Callable[[Visitor], Sequence[str]],
        home: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        public: bool = False,
        limits: Limits | None = None,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__("", host=host, port=port, title="poetgen")
        self.program = program
        self.home = home
        self.public = public
        self.limits = limits or Limits()
        self.announce = announce
        self.sessions: dict[SessionProcess, asyncio.Event] = {}
        """Those that run or are ending, each with what is set once it is gone."""
        self.stopping = asyncio.Event()
        self._pages = jinja2.Environment(loader=jinja2.FileSystemLoader(_PAGES), autoescape=True)

    def serve(self, debug: bool = False) -> None:
        """Serve until interrupted or told to end; then end every session.

        Raises:
            PoetgenError: The port is taken, or it is not ours to listen on.
        """
        asyncio.run(self.run())

    async def run(self) -> None:
        """As `serve`, within a loop."""
        runner = web.AppRunner(await self._make_app(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self.host, self.port)
            try:
                await site.start()
            except OSError as error:
                raise _cannot_listen(self.host, self.port, error) from error
            self.port = runner.addresses[0][1]
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                with contextlib.suppress(NotImplementedError):  # Windows, where Ctrl-C raises.
                    loop.add_signal_handler(number, self.stopping.set)
            name = f"[{self.host}]" if ":" in self.host else self.host
            self.announce(f"http://{name}:{self.port}/")
            await self.stopping.wait()
        finally:
            await runner.cleanup()

    async def _make_app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.add_routes(
            [
                web.get("/", self.handle_index),
                web.get("/ws", self.handle_websocket),
                web.get("/download/{key}", self.handle_download),
                web.static("/static", self.statics_path),
            ]
        )
        app.on_shutdown.append(self.on_shutdown)
        app.on_response_prepare.append(_add_headers)
        return app

    async def on_shutdown(self, app: web.Application) -> None:
        """End every session, before the server does."""
        closing = (session.websocket.close() for session in self.sessions)
        await asyncio.gather(*closing, return_exceptions=True)  # One may not be open yet.
        await asyncio.gather(*(gone.wait() for gone in self.sessions.values()))

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Any]
    ) -> web.StreamResponse:
        """Answer to nobody who asks for another server."""
        try:
            asked = urlsplit(f"//{request.host}").hostname or ""
        except ValueError:
            asked = ""
        if not self.public and not is_loopback(asked):
            raise web.HTTPForbidden(text=f"this server is not {asked}\n")
        response: web.StreamResponse = await handler(request)
        return response

    # Pages.

    async def handle_index(self, request: web.Request) -> web.Response:
        """The page with the studio; or, while all places are taken, one that says so."""
        key = request.cookies.get(COOKIE)
        page = "studio.html"
        if self._is_full() and not (is_key(key) and self._of(self._visitor(request))):
            page = "full.html"
        nonce = secrets.token_urlsafe(16)
        text = self._pages.get_template(page).render(
            nonce=nonce,
            sessions=self.limits.sessions,
            idle=_minutes(self.limits.idle),
            font_size=_number(request.query.get("fontsize"), 16, 8, 40),
        )
        response = web.Response(
            text=text,
            content_type="text/html",
            status=200 if page == "studio.html" else 503,
            headers={
                "Cache-Control": "no-store",
                # A socket is of this page's own origin; 'self' has it in today's browsers.
                "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; "
                f"style-src 'self' 'unsafe-inline'; script-src 'self' 'nonce-{nonce}'; "
                "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
            },
        )
        if page == "studio.html":
            response.set_cookie(
                COOKIE,
                key if key and is_key(key) else new_key(),
                max_age=KEPT_DAYS * 24 * 3600,
                httponly=True,
                samesite="Lax",
            )
        else:
            response.headers["Retry-After"] = "60"
        return response

    async def handle_download(self, request: web.Request) -> web.StreamResponse:
        """A file that the visitor's own studio made for them."""
        try:
            download = await self.download_manager.get_download_metadata(request.match_info["key"])
        except KeyError:
            raise web.HTTPNotFound(text="there is no such file any more\n") from None
        owner = download.app_service
        if not isinstance(owner, SessionProcess) or owner.visitor != self._visitor(request):
            raise web.HTTPNotFound(text="there is no such file any more\n")
        return await super().handle_download(request)

    # Sessions.

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """A session: from the moment that the page is there until it is left."""
        origin = request.headers.get("Origin", "")
        if origin.lower().partition("://")[2] != request.host.lower():
            raise web.HTTPForbidden(text="only a page of this server may open a session\n")
        visitor = self._visitor(request)
        # A page that was loaded anew: its drafts are free once the studio before has left.
        for session, gone in self._of(visitor).items():
            if session.websocket.closed:
                await gone.wait()
        if self._is_full() or self.stopping.is_set():
            raise web.HTTPServiceUnavailable(text="all places are taken\n")
        websocket = web.WebSocketResponse(
            heartbeat=_HEARTBEAT, timeout=2.0, max_msg_size=_LARGEST_MESSAGE
        )
        session = SessionProcess(self.program(visitor), visitor, websocket, self.download_manager)
        self.sessions[session] = gone = asyncio.Event()
        try:
            with contextlib.suppress(OSError):  # The studio says it where drafts cannot be kept.
                visitor.arrive()
            remove_the_long_gone(self.home, [each.visitor.folder for each in self.sessions])
            await websocket.prepare(request)
            await session.start(
                _number(request.query.get("width"), 80), _number(request.query.get("height"), 24)
            )
            await self._listen(session)
        finally:
            # Sessions end also when their handler is cancelled.
            await asyncio.shield(asyncio.create_task(self._end(session, gone)))
        return websocket

    async def _end(self, session: SessionProcess, gone: asyncio.Event) -> None:
        try:
            await session.stop()
        finally:
            del self.sessions[session]
            gone.set()
        await session.websocket.close()

    async def _listen(self, session: SessionProcess) -> None:
        """Pass on what the browser sends, until it is gone or was idle for too long."""
        loop = asyncio.get_running_loop()
        patience = self.limits.idle * 60
        active = loop.time()

        async def watch() -> None:
            while (left := active + patience - loop.time()) > 0:
                await asyncio.sleep(left)
            await session.websocket.close()

        watching = asyncio.create_task(watch())
        try:
            async for message in session.websocket:
                if message.type != WSMsgType.TEXT:
                    continue
                match _parsed(message.data):
                    case ["stdin", str(text)]:
                        active = loop.time()
                        await session.send_bytes(text.encode("utf-8", "replace"))
                    case ["resize", {"width": int(width), "height": int(height)}]:
                        await session.set_terminal_size(width, height)
                    case ["ping", str(text)]:
                        await session.websocket.send_json(["pong", text])
                    case ["blur"]:
                        await session.blur()
                    case ["focus"]:
                        await session.focus()
        finally:
            watching.cancel()

    def _is_full(self) -> bool:
        return len(self.sessions) >= self.limits.sessions

    def _of(self, visitor: Visitor) -> dict[SessionProcess, asyncio.Event]:
        return {each: gone for each, gone in self.sessions.items() if each.visitor == visitor}

    def _visitor(self, request: web.Request) -> Visitor:
        """Who asks; without a key, somebody new."""
        key = request.cookies.get(COOKIE)
        return Visitor.with_key(key if key and is_key(key) else new_key(), self.home)


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"


def _number(text: str | None, default: int, least: int = 1, most: int = 500) -> int:
    try:
        return min(max(int(text or ""), least), most)
    except ValueError:
        return default


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _minutes(idle: float) -> str:
    return f"{idle:g} minute{'' if idle == 1 else 's'}"


def _cannot_listen(host: str, port: int, error: OSError) -> PoetgenError:
    if error.errno == errno.EADDRINUSE:
        return PoetgenError(
            f"port {port} of {host} is taken", hint="--port takes another; --port 0 any free one"
        )
    if error.errno == errno.EACCES:
        return PoetgenError(
            f"port {port} of {host} is not for everybody to listen on",
            hint="--port takes another, from 1024 on",
        )
    return PoetgenError(
        f"cannot listen on {host}, port {port}: {error.strerror or error}",
        hint="--host takes an address of this machine",
    )
