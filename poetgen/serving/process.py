"""A session: a studio in a process of its own.

What differs from textual-serve's: no shell in between, a driver that ends with the server, and an
end that always comes. A studio that does not leave when it is asked to is killed; its drafts are
on the disk by then.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence

from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from poetgen.serving.visitors import Visitor

_SMALLEST, _LARGEST = 1, 500
"""Columns and rows of a screen. A browser could ask for one that fills all memory."""


def screen_size(width: int, height: int) -> tuple[int, int]:
    """A size that a screen can have, as near as can be to the one asked for."""
    return (
        min(max(width, _SMALLEST), _LARGEST),
        min(max(height, _SMALLEST), _LARGEST),
    )


class SessionProcess(AppService):
    """The process of a session, and the way to its browser.

    Args:
        program: What to run, with its arguments.
        visitor: Whose session it is.
        websocket: Where its screen goes.
        downloads: The files on their way to browsers.
    """

    patience = 8.0
    """Seconds that a studio has for leaving."""

    def __init__(
        self,
        program: Sequence[str],
        visitor: Visitor,
        websocket: web.WebSocketResponse,
        downloads: DownloadManager,
    ) -> None:
        self.program = program
        self.visitor = visitor
        self.websocket = websocket

        async def close() -> None:
            await websocket.close()

        super().__init__(
            "",
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=close,
            download_manager=downloads,
        )

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        return {
            **super()._build_environment(*screen_size(width, height)),
            "TEXTUAL_DRIVER": "poetgen.serving.driver:ServedDriver",
            # As `poetgen studio` has it: BLAS's own threads only wait for each other.
            "OPENBLAS_NUM_THREADS": "1",
            "VECLIB_MAXIMUM_THREADS": "1",
        }

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        self._process = await asyncio.create_subprocess_exec(
            *self.program,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=self._build_environment(width, height),
            start_new_session=True,  # Ctrl-C is for the server, which asks its studios to leave.
        )
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        return self._process

    async def set_terminal_size(self, width: int, height: int) -> None:
        """Tell the studio how large its screen is now."""
        await super().set_terminal_size(*screen_size(width, height))

    async def run(self) -> None:
        """Pass on what the studio says until it ends; a browser is not left with a dead one."""
        await super().run()
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self.websocket.close()

    async def on_data(self, payload: bytes) -> None:
        """Send the screen on. Where nobody looks any more, still read: a full pipe would hold
        the studio up on its way out.
        """
        with contextlib.suppress(ConnectionError, RuntimeError):
            await super().on_data(payload)

    async def on_meta(self, data: bytes) -> None:
        """Do what the studio asks of the browser, if it is still there."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            await super().on_meta(data)

    async def stop(self) -> None:
        """Have the studio leave, and wait until it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        leaving = asyncio.create_task(self._leave(process))
        await asyncio.wait({leaving}, timeout=self.patience)
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        # Reading may still wait for a browser that takes nothing more.
        leaving.cancel()
        await asyncio.wait({leaving}, timeout=self.patience)

    async def _leave(self, process: Process) -> None:
        await super().stop()
        await process.wait()
