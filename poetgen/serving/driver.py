"""How a served studio speaks to the server, and notices when there is none any more."""

from __future__ import annotations

import contextlib

from textual import messages
from textual.drivers.web_driver import WebDriver


class ServedDriver(WebDriver):
    """Textual's driver for the web, which would wait for ever for a server that was killed."""

    def run_input_thread(self) -> None:
        """Read until the server closes the pipe, then leave; drafts are kept as always."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._app.post_message(messages.ExitApp())

    def write(self, data: str) -> None:
        """Write to the screen, if anybody still looks."""
        with contextlib.suppress(BrokenPipeError):
            super().write(data)

    def write_meta(self, data: dict[str, object]) -> None:
        """Tell the server something, if there is one."""
        with contextlib.suppress(BrokenPipeError):
            super().write_meta(data)
