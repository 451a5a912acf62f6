"""Downloads from a real server on this machine, good and bad ones."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from poetgen.corpus.catalog import CATALOG, CatalogEntry, download, find_entry
from poetgen.errors import CorpusError
from tests.conftest import RunCli
from tests.corpus.collections import write_zip


class Server:
    """Serves `content`; `/cut/N` breaks off the first N transfers, other paths are not found."""

    def __init__(self) -> None:
        self.content = b""
        self.requests = 0
        self.address = ""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    state = Server()
    state.content = write_zip(tmp_path / "served.zip").read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests += 1
            kind, _, count = self.path.strip("/").partition("/")
            if kind not in ("good", "cut"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(state.content)))
            self.end_headers()
            cut = kind == "cut" and state.requests <= int(count)
            self.wfile.write(state.content[: len(state.content) // 2 if cut else None])

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{httpd.server_port}"
    yield state
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def entry(url: str, sha256: str | None = None) -> CatalogEntry:
    return CatalogEntry("some", url, "MIT", sha256, "", "")


def files(home: Path) -> list[str]:
    return sorted(file.name for file in home.rglob("*") if file.is_file())


def test_a_download_is_whole_and_its_progress_is_told(server: Server) -> None:
    told: list[tuple[int, int]] = []
    wanted = hashlib.sha256(server.content).hexdigest()
    path, found = download(
        entry(f"{server.address}/good", wanted), lambda done, total: told.append((done, total))
    )
    assert path.read_bytes() == server.content
    assert found == wanted
    assert told[-1] == (len(server.content), len(server.content))


def test_what_is_in_the_cache_is_not_downloaded_again(server: Server) -> None:
    first = download(entry(f"{server.address}/good"))
    assert download(entry(f"{server.address}/good")) == first
    assert server.requests == 1


def test_a_transfer_that_breaks_off_is_tried_once_more(server: Server) -> None:
    path, _ = download(entry(f"{server.address}/cut/1"))
    assert path.read_bytes() == server.content
    assert server.requests == 2


def test_a_transfer_that_breaks_off_twice_leaves_no_half_file(
    server: Server, poetgen_home: Path
) -> None:
    with pytest.raises(CorpusError, match="broke off, twice"):
        download(entry(f"{server.address}/cut/9"))
    assert server.requests == 2
    assert files(poetgen_home) == []


def test_another_checksum_is_an_error_and_nothing_is_kept(
    server: Server, poetgen_home: Path
) -> None:
    with pytest.raises(CorpusError, match="its SHA-256 is not 0000"):
        download(entry(f"{server.address}/good", "0" * 64))
    assert files(poetgen_home) == []


def test_404_is_an_error_that_names_the_address(server: Server) -> None:
    with pytest.raises(CorpusError, match=f"answered 404 for {server.address}/gone"):
        download(entry(f"{server.address}/gone"))
    assert server.requests == 1


def test_no_network_is_one_clear_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(CorpusError, match=r"cannot reach 127\.0\.0\.1"):
        download(entry(f"http://127.0.0.1:{port}/x"))


@pytest.mark.parametrize("url", ["nonsense", "http://", "file:///etc/passwd"])
def test_an_address_that_is_none_is_an_error(url: str) -> None:
    with pytest.raises(CorpusError):
        download(entry(url))


def test_the_catalogue_pins_what_it_names() -> None:
    for name, known in CATALOG.items():
        assert find_entry(name).name == name
        assert known.url.startswith("https://")
    with pytest.raises(CorpusError, match="no corpus 'x'"):
        find_entry("x")


def test_fetch_downloads_says_the_hash_and_imports(server: Server, run_cli: RunCli) -> None:
    done = run_cli("corpus", "fetch", "chinese-poetry", "--url", f"{server.address}/good")
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(server.content).hexdigest() in done.stderr
    assert "chinese-poetry: 3 poems" in done.stdout


def test_fetch_with_another_hash_is_one_line_and_a_hint(server: Server, run_cli: RunCli) -> None:
    url = f"{server.address}/good"
    done = run_cli("corpus", "fetch", "chinese-poetry", "--url", url, "--sha256", "0" * 64)
    assert done.returncode == 1
    assert done.stderr.startswith("error: what 127.0.0.1")
    assert len(done.stderr.splitlines()) == 2
    assert done.stdout == ""


def test_fetch_of_what_is_not_in_the_catalogue_says_what_is(run_cli: RunCli) -> None:
    done = run_cli("corpus", "fetch", "nothing")
    assert done.returncode == 1
    assert "chinese-poetry" in done.stderr
