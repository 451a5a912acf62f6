"""Where things live on a user's machine.

Everything that poetgen keeps for a user is under `$POETGEN_HOME` when that is set, and under the
platform's own data and cache folders when it is not. Nothing is created here: whoever writes
makes the folder that it writes to.
"""

import os
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).resolve().parent


def _home() -> Path | None:
    value = os.environ.get("POETGEN_HOME")
    return Path(value).expanduser() if value else None


def data_folder() -> Path:
    """The folder of what must be kept: imported corpora, checkpoints, saved poems."""
    return _home() or Path(platformdirs.user_data_dir("poetgen", appauthor=False))


def cache_folder() -> Path:
    """The folder of what can always be made again: encoded corpora, downloads."""
    home = _home()
    return home / "cache" if home else Path(platformdirs.user_cache_dir("poetgen", appauthor=False))


def shipped_folder(kind: str) -> Path:
    """The folder of what comes with poetgen.

    Args:
        kind: `"corpora"` or `"checkpoints"`.

    In an installed package these lie inside it; in a working copy, at the top of the repository.
    """
    installed = _PACKAGE / "shipped" / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind
