"""The log of a run."""

from pathlib import Path

from poetgen.training.metrics import MetricsLog


def test_a_log_is_followed_while_it_is_written(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl", 0)
    log.append({"step": 1, "loss": 0.1})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1, "loss": 0.1}\n'
    assert log.length == (tmp_path / "metrics.jsonl").stat().st_size
    log.close()


def test_a_rewound_log_gives_back_what_it_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, 0)
    log.append({"step": 1})
    length = log.length
    log.append({"step": 2})
    log.append({"step": 3})
    log.close()
    with path.open("a") as file:  # The process died in the middle of a line.
        file.write('{"step": ')
    log = MetricsLog(path, length)
    assert log.cut == [{"step": 2}, {"step": 3}]
    log.append({"step": 4})
    log.close()
    assert path.read_text() == '{"step": 1}\n{"step": 4}\n'


def test_a_log_that_was_deleted_begins_again(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl", 1000)
    log.append({"step": 9})
    log.close()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 9}\n'
