"""Corpora that poetgen knows where to get, and getting them.

A download goes to a temporary file and takes its name only when it is whole and its SHA-256 is
the one expected, so that what lies in the cache can be trusted. A transfer that breaks off is
tried once more. Knows nothing of what is in the files.

To add a corpus, add its entry to `CATALOG`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from poetgen import folders
from poetgen.errors import CorpusError

TIMEOUT = 30.0
"""Seconds without a byte until a transfer counts as broken off."""

_TRIES = 2

Progress = Callable[[int, int], None]
"""Told the bytes that have come, and how many there are; 0 when the server does not say."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A corpus in the catalogue.

    Attributes:
        name: What to fetch it by.
        url: Where it is.
        licence: Its licence, by its SPDX name.
        sha256: The hash of the file; None where it is not known, and then nothing is checked.
        home: Where to read about it.
        description: One line.
    """

    name: str
    url: str
    licence: str
    sha256: str | None
    home: str
    description: str


# GitHub packs the zip of a commit when it is asked for, and has packed the same commit into other
# bytes before; so the commit is pinned and the hash is not.
_COMMIT = "fa1814a8044db4fb0c7a9e0a0449974e8c3463b7"

CATALOG = {
    entry.name: entry
    for entry in (
        CatalogEntry(
            name="chinese-poetry",
            url=f"https://codeload.github.com/chinese-poetry/chinese-poetry/zip/{_COMMIT}",
            licence="MIT",
            sha256=None,
            home="https://github.com/chinese-poetry/chinese-poetry",
            description="Tang and Song shi, Song ci, Yuan qu and more: 330,000 poems",
        ),
    )
}


def find_entry(name: str) -> CatalogEntry:
    """The entry of that name.

    Raises:
        CorpusError: There is none; the hint lists those there are.
    """
    try:
        return CATALOG[name]
    except KeyError:
        raise CorpusError(
            f"the catalogue has no corpus '{name}'",
            hint=f"it has {', '.join(CATALOG)}; poetgen corpus import PATH takes your own",
        ) from None


def download(entry: CatalogEntry, on_progress: Progress | None = None) -> tuple[Path, str]:
    """Get the file of a corpus, unless it is in the cache.

    Returns:
        Where it lies, and its SHA-256.

    Raises:
        CorpusError: It cannot be had: no network, no such address, a transfer that broke off
            twice, or content with another hash.
    """
    import pooch
    import requests

    # pooch tells of every download on stderr by itself.
    pooch.get_logger().setLevel("ERROR")
    name = hashlib.sha256(f"{entry.url} {entry.sha256}".encode()).hexdigest()[:16]
    folder = folders.cache_folder() / "downloads" / f"{entry.name}-{name}"
    target = folder / f"{entry.name}.zip"
    if folder.is_dir():
        for leftover in folder.iterdir():  # Of a download that was killed.
            if leftover != target:
                leftover.unlink()
    host = urlsplit(entry.url).netloc
    for attempt in range(1, _TRIES + 1):
        bar = _Bar(on_progress)
        try:
            pooch.retrieve(
                entry.url,
                known_hash=entry.sha256 and f"sha256:{entry.sha256}",
                fname=target.name,
                path=folder,
                downloader=pooch.HTTPDownloader(
                    progressbar=bar, chunk_size=1 << 16, timeout=TIMEOUT
                ),
            )
            break
        except requests.HTTPError as error:
            answer = getattr(error.response, "status_code", "with an error")
            raise CorpusError(
                f"{host} answered {answer} for {entry.url}", hint=_ELSEWHERE
            ) from None
        except requests.RequestException as error:
            if attempt < _TRIES:
                continue
            if bar.done or isinstance(error, requests.exceptions.ChunkedEncodingError):
                message = f"the download from {host} broke off, twice"
            elif isinstance(error, requests.ConnectionError | requests.Timeout):
                message = f"cannot reach {host}; is there a network?"
            else:
                message = f"cannot download {entry.url}: {type(error).__name__}"
            raise CorpusError(message, hint=_ELSEWHERE) from None
        except ValueError:
            raise CorpusError(
                f"what {host} sent is not {entry.name}: its SHA-256 is not {entry.sha256}",
                hint="nothing was kept; try again, and if it stays, report it",
            ) from None
    with target.open("rb") as file:
        return target, hashlib.file_digest(file, "sha256").hexdigest()


_ELSEWHERE = "download it in another way and import it, or name another address with --url"


class _Bar:
    """What pooch calls a progress bar."""

    def __init__(self, on_progress: Progress | None) -> None:
        self.total = 0
        self.done = 0
        self._on_progress = on_progress

    def update(self, size: int) -> None:
        self.done += size
        if self._on_progress is not None:
            self._on_progress(min(self.done, self.total) if self.total else self.done, self.total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass
