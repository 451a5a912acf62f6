import json
from pathlib import Path

import numpy as np
import pytest
import torch

from poetgen.checkpoint import load_checkpoint
from poetgen.errors import TemplateError
from poetgen.lab.attention import trace_attention
from poetgen.lab.attention_picture import draw_attention
from poetgen.lab.gates import START
from poetgen.models.network import from_checkpoint
from tests.book.made_fonts import write_font
from tests.cli.random_model import write_random_model
from tests.conftest import RunCli

POEM = "春夏秋冬风，花雪月山水。山水"


def write_model(folder: Path) -> Path:
    return write_random_model(folder, "gru", architecture="seq2seq")


def test_a_line_looks_at_what_stands_before_it_and_nothing_else(tmp_path: Path) -> None:
    trace = trace_attention(load_checkpoint(write_model(tmp_path / "model")), POEM)
    written = ["".join(line.written) for line in trace.lines]
    assert written == ["春夏秋冬风，", "花雪月山水。", "山水。"]
    sources = ["".join(line.source) for line in trace.lines]
    assert sources == [START, f"{START}春夏秋冬风，", f"{START}春夏秋冬风，花雪月山水。"]
    for line in trace.lines:
        assert line.weights.shape == (len(line.written), len(line.source))
        np.testing.assert_allclose(line.weights.sum(axis=1), 1, atol=1e-6)
    third = trace.lines[2]
    assert third.parts == (0, 1, 7)
    np.testing.assert_allclose(third.by_part[:, 1], third.weights[:, 1:7].sum(axis=1))
    token, share = third.most(0, 1)[0]
    assert share == third.weights[0].max()
    assert token == third.source[int(third.weights[0].argmax())]


def test_the_weights_are_those_by_which_the_network_computes(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(write_model(tmp_path / "model"))
    trace = trace_attention(checkpoint, POEM, line=2)
    model = from_checkpoint(checkpoint)
    ids = torch.tensor([[1, *checkpoint.vocabulary.encode(POEM)]])
    hidden, state = model.hidden(ids[:, :8])  # Up to 花: what follows is 雪.
    source = state[2][:, 0].numpy()  # (S, D)
    np.testing.assert_allclose(trace.lines[0].weights[1] @ source, hidden[0, 7, 16:], atol=1e-5)


def test_another_architecture_no_text_and_no_such_line_are_one_clear_error(tmp_path: Path) -> None:
    model = load_checkpoint(write_model(tmp_path / "model"))
    with pytest.raises(TemplateError, match="a language model, which has no attention"):
        trace_attention(load_checkpoint(write_random_model(tmp_path / "lm")), POEM)
    with pytest.raises(TemplateError, match="--line is 4") as error:
        trace_attention(model, POEM, line=4)
    assert error.value.hint == "the poem has lines 1 to 3"
    with pytest.raises(TemplateError, match="no text"):
        trace_attention(model, " \n")
    with pytest.raises(TemplateError, match="no form is called"):
        trace_attention(model, POEM, form="sonnet")


def test_a_picture_names_what_no_font_can_write_and_draws_the_rest(tmp_path: Path) -> None:
    trace = trace_attention(load_checkpoint(write_model(tmp_path / "model")), "春夏，秋")
    font = write_font(tmp_path / "one.ttf", "春夏，。▷")
    path = tmp_path / "attention.svg"
    assert draw_attention(trace, path, title="$x^2$", font=font) == {"秋"}
    text = path.read_text(encoding="utf-8")
    assert "<!-- $x^2$ -->" in text
    assert "<!-- □ -->" in text
    assert "<!-- 夏 -->" in text


def test_the_command_shows_a_map_a_table_and_a_picture(run_cli: RunCli, tmp_path: Path) -> None:
    write_model(tmp_path / "model")
    result = run_cli("lab", "attention", "model", "春夏，秋瀟", "-o", "attention.png")
    assert result.returncode == 0, result.stderr
    assert "line 2, in hundredths" in result.stdout
    assert "looked at most" in result.stdout
    assert "does not know '潇'" in result.stderr
    assert result.stdout.endswith("attention.png\n")
    assert (tmp_path / "attention.png").read_bytes().startswith(b"\x89PNG")


def test_json_is_one_object_of_plain_numbers(run_cli: RunCli, tmp_path: Path) -> None:
    write_model(tmp_path / "model")
    result = run_cli("lab", "attention", "model", POEM, "--line", "2", "--json")
    [line] = json.loads(result.stdout)["lines"]
    assert line["line"] == 2
    assert line["written"] == [*"花雪月山水。"]
    assert [len(row) for row in line["weights"]] == [len(line["source"])] * 6
    assert [len(row) for row in line["by_part"]] == [2] * 6
