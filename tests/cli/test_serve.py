"""`poetgen serve`: what it refuses before anybody comes. tests/serving has the rest."""

import socket
from pathlib import Path

import pytest

from tests.cli.random_model import write_random_model
from tests.conftest import RunCli


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1"])
def test_it_binds_where_others_can_reach_it_only_when_told_so_plainly(
    run_cli: RunCli, host: str
) -> None:
    done = run_cli("serve", "--host", host)
    assert done.returncode == 1
    assert f"error: {host} can be reached from other machines" in done.stderr
    assert "--public" in done.stderr
    assert "without a password" in done.stderr


def test_without_a_model_nobody_is_let_in(run_cli: RunCli) -> None:
    done = run_cli("serve", "--port", "0", "--model", "none-such")
    assert done.returncode == 1
    assert "none-such" in done.stderr


def test_a_taken_port_is_one_clear_line_and_public_warns(
    run_cli: RunCli, poetgen_home: Path
) -> None:
    write_random_model(poetgen_home / "checkpoints" / "tiny")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_cli("serve", "--port", str(port), "--public", "--model", "tiny")
    assert done.returncode == 1
    assert f"error: port {port} of 127.0.0.1 is taken\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert "warning: anyone who reaches this address can write here" in done.stderr


@pytest.mark.parametrize(
    "flag", [("--max-sessions", "0"), ("--idle-minutes", "0"), ("--port", "65536")]
)
def test_a_limit_that_is_none_is_wrong_usage(run_cli: RunCli, flag: tuple[str, str]) -> None:
    assert run_cli("serve", *flag).returncode == 2
