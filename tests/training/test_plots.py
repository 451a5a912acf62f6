import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from poetgen.errors import TrainingError
from poetgen.training import plots
from poetgen.training.plots import METRICS, find_runs, plot_runs, read_run


def write_run(folder: Path, steps: int = 60, *, validate: bool = True, **fields: Any) -> Path:
    """A log of a run whose loss falls from 7 to 5."""
    folder.mkdir(parents=True)
    records = []
    for step in range(1, steps + 1):
        loss = 5 + 2 * math.exp(-step / 20) + 0.1 * math.sin(step)
        record = {"step": step, "epoch": 1, "seconds": step / 4, "loss": loss, **fields}
        if validate and step % 10 == 0:
            record["validation_perplexity"] = math.exp(loss)
        records.append(record)
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / METRICS).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def no_font_with_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has installed, the tests draw as a machine without Chinese fonts."""
    monkeypatch.setattr(plots, "_CHINESE_FAMILIES", ())


def chinese_font(path: Path, characters: str) -> Path:
    """A font with a box for each of `characters`."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    names = [".notdef", *(f"u{ord(character):X}" for character in characters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(c): f"u{ord(c):X}" for c in characters})
    builder.setupGlyf({name: pen.glyph() for name in names})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (900, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": f"Boxes {path.stem}", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def _drawn_names(picture: Path) -> str:
    # In its SVG, matplotlib leaves each drawn text as a comment beside its outlines.
    return picture.read_text(encoding="utf-8")


def test_what_a_run_logged_is_what_is_read(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "a", 30, tokens=100) / METRICS, "a")
    assert run.x["steps"].tolist() == list(range(1, 31))
    assert run.x["seconds"][-1] == 7.5
    assert run.x["tokens"][[0, -1]].tolist() == [100, 3000]
    assert run.validated.tolist() == [9, 19, 29]
    assert run.perplexity == pytest.approx(np.exp(run.loss[[9, 19, 29]]))


@pytest.mark.parametrize(("name", "magic"), [("p.png", b"\x89PNG"), ("p.SVG", b"<?xml")])
def test_a_picture_is_of_the_format_that_its_name_ends_with(
    tmp_path: Path, name: str, magic: bytes
) -> None:
    runs = find_runs([str(write_run(tmp_path / "a"))])
    assert plot_runs(runs, tmp_path / name) == {}
    assert (tmp_path / name).read_bytes().startswith(magic)


def test_a_picture_shows_every_run_by_name(tmp_path: Path) -> None:
    names = ["rnn-sample", "_hidden", "$money$", "a<b>&c"]
    runs = find_runs([str(write_run(tmp_path / name)) for name in names])
    plot_runs(runs, tmp_path / "p.svg")
    text = _drawn_names(tmp_path / "p.svg")
    ElementTree.fromstring(text)
    for name in ("rnn-sample", "_hidden", "$money$"):
        assert name in text


def test_a_name_that_no_font_has_is_drawn_as_a_number_without_a_warning(tmp_path: Path) -> None:
    runs = find_runs([str(write_run(tmp_path / name)) for name in ("a", "诗")])
    assert plot_runs(runs, tmp_path / "p.svg") == {"诗": "run 2"}
    assert "run 2" in _drawn_names(tmp_path / "p.svg")
    assert "诗" not in _drawn_names(tmp_path / "p.svg")


def test_a_chinese_name_is_drawn_in_chinese_where_a_font_has_it(tmp_path: Path) -> None:
    runs = find_runs([str(write_run(tmp_path / name)) for name in ("lstm-诗", "lstm-龘")])
    font = chinese_font(tmp_path / "font.ttf", "诗")
    assert plot_runs(runs, tmp_path / "p.svg", font=font) == {"lstm-龘": "run 2"}
    assert "lstm-诗" in _drawn_names(tmp_path / "p.svg")


def test_a_font_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "font.ttf").write_text("no font", encoding="utf-8")
    runs = find_runs([str(write_run(tmp_path / "a"))])
    with pytest.raises(TrainingError, match="cannot be read as a font"):
        plot_runs(runs, tmp_path / "p.png", font=tmp_path / "font.ttf")


@pytest.mark.parametrize("x", plots.X_AXES)
def test_every_x_axis_can_be_drawn(tmp_path: Path, x: plots.XAxis) -> None:
    runs = find_runs([str(write_run(tmp_path / "a", tokens=50_000))])
    plot_runs(runs, tmp_path / "p.svg", x)
    label = {"steps": "steps", "seconds": "seconds", "tokens": "million tokens"}[x]
    assert f"<!-- {label} -->" in _drawn_names(tmp_path / "p.svg")


@pytest.mark.parametrize(
    ("seconds", "label"), [(299, "seconds"), (1800, "minutes"), (4 * 3600, "hours")]
)
def test_time_is_in_the_unit_that_suits_it(seconds: float, label: str) -> None:
    assert plots._unit_of("seconds", seconds)[1] == label


def test_a_run_without_a_validation_and_one_of_a_single_step_are_drawn(tmp_path: Path) -> None:
    runs = find_runs(
        [
            str(write_run(tmp_path / "a", validate=False)),
            str(write_run(tmp_path / "b", 1, validate=False)),
        ]
    )
    plot_runs(runs, tmp_path / "p.svg")
    assert "not validated yet" in _drawn_names(tmp_path / "p.svg")


def test_a_long_run_makes_no_huge_picture(tmp_path: Path) -> None:
    runs = find_runs([str(write_run(tmp_path / "a", 20_000))])
    plot_runs(runs, tmp_path / "p.svg")
    assert (tmp_path / "p.svg").stat().st_size < 500_000


def test_the_smoothed_loss_is_the_mean_of_the_last_steps() -> None:
    values = np.arange(1000.0)
    smooth = plots._smooth(values)
    assert smooth[0] == 0
    assert smooth[999] == pytest.approx(values[-20:].mean())
    assert smooth[100] == pytest.approx(values[81:101].mean())


def test_the_same_runs_make_the_same_file(tmp_path: Path) -> None:
    runs = find_runs([str(write_run(tmp_path / "a"))])
    for name in ("p.svg", "q.svg"):
        plot_runs(runs, tmp_path / name)
    assert (tmp_path / "p.svg").read_bytes() == (tmp_path / "q.svg").read_bytes()


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [str(write_run(tmp_path / parent / "run")) for parent in ("a", "b")]
    assert [run.name for run in find_runs(folders)] == folders


def test_a_run_is_found_by_folder_by_file_and_by_name(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs" / "mine")
    for name in (str(folder), str(folder / METRICS), "mine"):
        (run,) = find_runs([name], [tmp_path / "runs"])
        assert run.name == "mine"


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    log = write_run(tmp_path / "a", 5) / METRICS
    with log.open("a", encoding="utf-8") as file:
        file.write('{"step": 6, "lo')
    assert len(read_run(log, "a").loss) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no step yet"),
        ('{"step": 1}\n', "line 1: no 'seconds'"),
        ("春眠不觉晓\n", "line 1: no record"),
        ("[1]\n", "line 1: no record"),
        ('{"step": 1, "seconds": 1, "loss": 1}\n{"step": "x"}\n', "line 2: no record"),
    ],
)
def test_a_log_that_is_none_is_an_error_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    log = tmp_path / METRICS
    log.write_text(text, encoding="utf-8")
    with pytest.raises(TrainingError, match=message):
        read_run(log, "a")


def test_a_log_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"\x89PNG\xff")
    with pytest.raises(TrainingError, match="not UTF-8"):
        find_runs([str(tmp_path / "p.png")])


def test_a_folder_without_a_log_and_a_name_of_nothing_are_errors(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=f"has no {METRICS}"):
        find_runs([str(tmp_path)])
    with pytest.raises(TrainingError, match="there is no run 'nothing'"):
        find_runs(["nothing"])


def test_another_ending_and_tokens_of_an_old_log_are_errors(tmp_path: Path) -> None:
    runs = find_runs([str(write_run(tmp_path / "a"))])
    with pytest.raises(TrainingError, match=r"cannot draw .*p\.gif"):
        plot_runs(runs, tmp_path / "p.gif")
    with pytest.raises(TrainingError, match="did not log its tokens"):
        plot_runs(runs, tmp_path / "p.png", "tokens")
