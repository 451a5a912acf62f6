"""The server, with a small program in the studio's place."""

import asyncio
import os
import re
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from poetgen.errors import PoetgenError
from poetgen.serving.process import SessionProcess
from poetgen.serving.server import Limits, StudioServer, is_loopback
from poetgen.serving.visitors import KEPT_DAYS, remove_the_long_gone
from tests.serving.helpers import Person, is_running, person, serving


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def pid_of(somebody: Person) -> int:
    return int(await somebody.until_said(r"pid=(\d+);"))


async def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end, f"never: {what}"
        await asyncio.sleep(0.02)


async def until_gone(pid: int) -> None:
    await until(lambda: not is_running(pid), "its process ended")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost", "LOCALHOST."])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.org", "", "localhost.x"])
def test_what_others_can_reach_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_what_is_typed_goes_to_the_program_and_what_it_draws_comes_back(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as (_, address), person(address) as somebody:
            await somebody.open("width=90&height=40")
            assert await somebody.until_said(r"size=(\w+);") == "90x40"
            await somebody.type("春夏")
            assert await somebody.until_said(r"typed=(.*?);") == "春夏"
            await somebody.send(["resize", {"width": 70, "height": 20}])
            assert '"width": 70' in await somebody.until_said(r"told=(.*resize.*?);")
            await somebody.send(["ping", "7"])
            await somebody.until(lambda: ["pong", "7"] in somebody.orders)

    run(work())


def test_a_page_asks_for_nothing_from_elsewhere_and_lets_nobody_frame_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as (_, address), aiohttp.ClientSession() as client:
            async with client.get(address) as page:
                text = await page.text()
                policy = page.headers["Content-Security-Policy"]
                cookie = page.headers["Set-Cookie"]
            assert not re.findall(r"https?://|['\"(]//", text)
            assert "default-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "HttpOnly" in cookie
            assert "SameSite=Lax" in cookie
            for part in text.split('"'):
                if part.startswith("/static/"):
                    async with client.get(address.rstrip("/") + part) as found:
                        assert found.status == 200
            async with client.get(f"{address}static/") as listing:
                assert listing.status == 403

    run(work())


def test_on_loopback_no_other_name_is_answered_to(tmp_path: Path) -> None:
    async def status(address: str, host: str) -> int:
        async with (
            aiohttp.ClientSession() as client,
            client.get(address, headers={"Host": host}) as page,
        ):
            return page.status

    async def work() -> None:
        async with serving(tmp_path) as (_, address):
            assert await status(address, "evil.example") == 403
            assert await status(address, "localhost:8000") == 200
            assert await status(address, "[::1]:8000") == 200
            assert await status(address, "[") in (400, 403)
        async with serving(tmp_path, public=True) as (_, address):
            assert await status(address, "poems.example") == 200

    run(work())


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", None])
def test_no_page_of_another_site_opens_a_session(tmp_path: Path, origin: str | None) -> None:
    async def work() -> None:
        async with serving(tmp_path) as (server, address), aiohttp.ClientSession() as client:
            headers = {} if origin is None else {"Origin": origin}
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect(f"{address}ws", headers=headers)
            assert refused.value.status == 403
            assert not server.sessions

    run(work())


def test_each_browser_has_a_folder_of_its_own_and_comes_back_to_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as (_, address):
            async with person(address) as one, person(address) as other:
                await one.open()
                await other.open()
                first = await one.until_said(r"folder=(\w+);")
                assert await other.until_said(r"folder=(\w+);") != first
                await one.leave()
                one.said = ""
                await one.open()
                assert await one.until_said(r"folder=(\w+);") == first
                keys = [cookie.value for cookie in one.client.cookie_jar]
            assert len(keys) == 1
            assert keys[0] not in first
            assert {path.name for path in tmp_path.iterdir()} >= {first}

    run(work())


def test_a_forged_key_opens_nothing_but_a_folder_of_its_own(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path / "served") as (_, address), person(address) as somebody:
            somebody.client.cookie_jar.update_cookies({"poetgen": "../../../etc"})
            await somebody.connect()
            folder = await somebody.until_said(r"folder=([^;]*);")
            assert len(folder) == 32
        assert [path.name for path in tmp_path.iterdir()] == ["served"]

    run(work())


def test_when_all_places_are_taken_a_page_says_so_and_the_next_place_is_given(
    tmp_path: Path,
) -> None:
    async def work() -> None:
        limits = Limits(sessions=1, idle=7)
        async with (
            serving(tmp_path, limits=limits) as (server, address),
            person(address) as one,
            person(address) as other,
        ):
            await one.open()
            await pid_of(one)
            async with other.client.get(address) as page:
                assert page.status == 503
                assert page.headers["Retry-After"] == "60"
                assert "1 can write here at a time" in await page.text()
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await other.connect()
            assert refused.value.status == 503
            async with one.client.get(address) as page:
                assert page.status == 200  # Whoever is here may load the page anew.
            await one.leave()
            await one.until(lambda: not server.sessions)
            await other.open()
            await pid_of(other)

    run(work())


def test_a_page_that_is_loaded_anew_gets_its_place_back_though_all_are_taken(
    tmp_path: Path,
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, limits=Limits(sessions=1)) as (_, address),
            person(address) as one,
        ):
            for _ in range(3):
                one.said = ""
                await one.open()
                pid = await pid_of(one)
                await one.leave()
            await until_gone(pid)

    run(work())


def test_an_idle_session_ends_and_a_busy_one_does_not(tmp_path: Path) -> None:
    async def work() -> None:
        limits = Limits(idle=1.2 / 60)
        async with (
            serving(tmp_path, limits=limits) as (server, address),
            person(address) as busy,
            person(address) as idle,
        ):
            await busy.open()
            await idle.open()
            pid, other = await pid_of(idle), await pid_of(busy)
            typing = asyncio.create_task(keep_typing(busy))
            await idle.until_sent_away()
            await until_gone(pid)
            await until(lambda: len(server.sessions) == 1, "one session was left")
            assert is_running(other)
            typing.cancel()
            await busy.until_sent_away()

    async def keep_typing(somebody: Person) -> None:
        while True:
            await somebody.type("x")
            await asyncio.sleep(0.1)

    run(work())


def test_nonsense_from_a_browser_ends_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as (_, address), person(address) as somebody:
            await somebody.open("width=99999999999&height=-5")
            assert await somebody.until_said(r"size=(\w+);") == "500x1"
            assert somebody.socket is not None
            await somebody.socket.send_str("{")
            await somebody.socket.send_str("[" * 50_000)
            await somebody.socket.send_bytes(b"\xff")
            nonsense: list[Any] = [None, [], {}, ["stdin"], ["stdin", 5], ["resize", 7], ["no"]]
            for message in nonsense:
                await somebody.send(message)
            await somebody.send(["resize", {"width": 10**9, "height": 10**9}])
            assert '"width": 500' in await somebody.until_said(r"told=(.*resize.*?);")
            await somebody.type("\ud800")
            await somebody.type("春")
            assert await somebody.until_said(r"typed=(春);")

    run(work())


def test_a_message_too_large_ends_that_session_alone(tmp_path: Path) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path) as (_, address),
            person(address) as loud,
            person(address) as other,
        ):
            await loud.open()
            await other.open()
            pid, kept = await pid_of(loud), await pid_of(other)
            await loud.type("x" * 100_000)
            await loud.until_sent_away()
            await until_gone(pid)
            assert is_running(kept)

    run(work())


def test_a_file_is_given_to_the_one_it_was_made_for(tmp_path: Path) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, "sender") as (_, address),
            person(address) as owner,
            person(address) as other,
        ):
            await owner.open()
            await other.open()
            await owner.type("file")
            await owner.until(lambda: owner.orders)
            assert owner.orders[0] == ["deliver_file_start", "k" * 32]
            url = f"{address}download/{'k' * 32}"
            async with other.client.get(url) as refused:
                assert refused.status == 404
            async with owner.client.get(url) as given:
                assert given.status == 200
                assert await given.text("utf-8") == "春眠不觉晓"
                assert given.headers["Content-Disposition"].startswith("attachment")
            async with owner.client.get(f"{address}download/none") as none:
                assert none.status == 404

    run(work())


@pytest.mark.parametrize("mode", ["good", "chatty", "stubborn"])
def test_no_program_outlives_its_browser(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionProcess, "patience", 0.5 if mode == "stubborn" else 8)

    async def work() -> None:
        async with serving(tmp_path, mode) as (server, address), person(address) as somebody:
            await somebody.open()
            process = next(iter(server.sessions))
            await somebody.until(lambda: somebody.said)
            assert process._process is not None
            pid = process._process.pid
            await somebody.leave()
            await until_gone(pid)
            await somebody.until(lambda: not server.sessions)

    run(work())


@pytest.mark.parametrize("mode", ["good", "chatty", "stubborn"])
def test_no_program_outlives_the_server(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionProcess, "patience", 0.5 if mode == "stubborn" else 8)

    async def work() -> None:
        async with serving(tmp_path, mode) as (server, address), person(address) as somebody:
            await somebody.open()
            await somebody.until(lambda: somebody.said)
            process = next(iter(server.sessions))._process
            assert process is not None
            server.stopping.set()
            await somebody.until_sent_away()
            await until_gone(process.pid)

    run(work())


def test_a_program_that_does_not_start_ends_the_session_and_frees_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> None:
        async with serving(tmp_path, "broken") as (server, address), person(address) as somebody:
            await somebody.open()
            await somebody.until_sent_away()
            await somebody.until(lambda: not server.sessions)

    run(work())
    assert "it is broken" in capsys.readouterr().out


def test_a_port_that_is_taken_is_one_clear_error(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(tmp_path) as (server, _):
            other = StudioServer(lambda _: [], tmp_path, port=server.port)
            with pytest.raises(PoetgenError, match=f"port {server.port} of 127.0.0.1 is taken"):
                await other.run()

    run(work())


def test_an_address_of_another_machine_is_one_clear_error(tmp_path: Path) -> None:
    server = StudioServer(lambda _: [], tmp_path, host="192.0.2.1", port=0, public=True)
    with pytest.raises(PoetgenError, match=r"cannot listen on 192\.0\.2\.1"):
        server.serve()


def test_folders_of_those_who_do_not_come_back_are_removed_in_the_end(tmp_path: Path) -> None:
    old = time.time() - (KEPT_DAYS + 1) * 24 * 3600
    for name in ("gone", "here", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "book.jsonl").write_text("", encoding="utf-8")
    for name in ("gone", "here"):
        os.utime(tmp_path / name, (old, old))
    remove_the_long_gone(tmp_path, [tmp_path / "here"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "new"]
    remove_the_long_gone(tmp_path / "none")
