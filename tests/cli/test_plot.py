from pathlib import Path

from tests.conftest import RunCli
from tests.training.test_plots import write_run


def test_runs_are_drawn_into_a_picture_whose_name_is_the_result(
    run_cli: RunCli, tmp_path: Path
) -> None:
    for name in ("rnn", "gru"):
        write_run(tmp_path / "checkpoints" / name)
    result = run_cli("plot", "rnn", "checkpoints/gru", "--output", "cells.svg", "--x", "seconds")
    assert (result.returncode, result.stdout) == (0, "cells.svg\n"), result.stderr
    text = (tmp_path / "cells.svg").read_text(encoding="utf-8")
    assert "<!-- rnn -->" in text
    assert "<!-- gru -->" in text
    assert "<!-- seconds -->" in text


def test_without_a_display_and_with_a_strange_backend_it_draws_all_the_same(
    run_cli: RunCli, tmp_path: Path
) -> None:
    write_run(tmp_path / "run")
    result = run_cli("plot", "run", env={"MPLBACKEND": "tkagg", "DISPLAY": ""})
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_wrong_request_is_one_clear_error(run_cli: RunCli, tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    for arguments, status, message in (
        (["nothing"], 1, "there is no run 'nothing'"),
        (["run", "-o", "x.gif"], 1, "cannot draw x.gif"),
        (["run", "-o", "run/metrics.jsonl/x.png"], 1, "error: "),
        (["run", "--x", "apples"], 2, "apples"),
        ([], 2, "RUN"),
    ):
        result = run_cli("plot", *arguments)
        assert result.returncode == status
        assert message in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stdout == ""
