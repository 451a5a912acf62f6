"""Who a visitor is, and where their things are kept.

A visitor is a browser: it holds a random key in a cookie. Drafts are in a folder named by a hash
of the key, so that neither the name of a folder nor a look into one opens a session. Browsers send
cookies to every port of a host: keys of two servers on one host are the same.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

KEPT_DAYS = 90
"""How long after the last visit the key is valid, and what it opens is kept."""

_KEY = re.compile(r"[\w-]{43}", re.ASCII)


def new_key() -> str:
    """A key that nobody can guess."""
    return secrets.token_urlsafe(32)


def is_key(text: str | None) -> bool:
    """Whether a cookie holds what could be a key."""
    return text is not None and _KEY.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Visitor:
    """A visitor's things.

    Attributes:
        folder: Theirs alone.
    """

    folder: Path

    @classmethod
    def with_key(cls, key: str, home: Path) -> Visitor:
        """The visitor who holds a key, with a folder in `home`."""
        return cls(home / hashlib.sha256(key.encode()).hexdigest()[:32])

    @property
    def drafts(self) -> Path:
        """The folder of their drafts."""
        return self.folder / "studio"

    @property
    def book(self) -> Path:
        """Their own poem book, where each has one."""
        return self.folder / "book.jsonl"

    def arrive(self) -> None:
        """Note that they came.

        Raises:
            OSError: Nothing can be written there.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.touch()


def remove_the_long_gone(home: Path, here: Collection[Path] = ()) -> None:
    """Remove the folders of those who did not come for `KEPT_DAYS`: their keys are void.

    Args:
        home: The folder of the folders.
        here: The folders of those who are here now.
    """
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    for folder in home.iterdir() if home.is_dir() else ():
        try:
            gone = folder not in here and folder.stat().st_mtime < oldest
        except OSError:
            continue
        if gone:
            shutil.rmtree(folder, ignore_errors=True)
