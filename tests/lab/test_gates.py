import json
from pathlib import Path

import numpy as np
import pytest

from poetgen.checkpoint import load_checkpoint
from poetgen.errors import TemplateError
from poetgen.lab.gates import START, SUMMARIES, retention, trace_gates
from poetgen.lab.pictures import draw_gates
from tests.book.made_fonts import write_font
from tests.cli.random_model import write_random_model
from tests.conftest import RunCli

POEM = "春夏秋冬风，花雪月山水"


def test_what_is_retained_is_what_was_written_times_the_product_of_what_was_kept() -> None:
    rng = np.random.default_rng(0)
    kept, written = rng.random((6, 5)), rng.random((6, 5))
    shares = retention(kept, written)
    memory = np.zeros((6, 5))  # Row t: what is left of that which was written at t.
    for s in range(6):
        memory *= kept[s]
        memory[s] = written[s]
        for t in range(s + 1):
            assert shares[t, s] == pytest.approx(memory[t].sum() / written[t].sum())
    assert np.isnan(shares[np.tril_indices(6, -1)]).all()


def test_a_gate_that_is_always_open_keeps_all_and_one_that_is_shut_nothing() -> None:
    written = np.ones((4, 3))
    assert (retention(np.ones((4, 3)), written)[0] == 1).all()
    assert retention(np.zeros((4, 3)), written)[0].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("cell", "names"), [("lstm", ["forget", "input", "output"]), ("gru", ["reset", "update"])]
)
def test_the_gates_are_those_by_which_the_network_computes(
    cell: str, names: list[str], tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(write_random_model(tmp_path / "model", cell))
    trace = trace_gates(checkpoint, POEM)
    assert trace.tokens == (START, *POEM, "。")
    assert list(trace.gates) == names
    assert all(gate.shape == (13, 16) for gate in trace.gates.values())

    # By hand: at the start the state is zero, so a gate is σ(W x + b).
    arrays = {name: array.astype(np.float64) for name, array in checkpoint.arrays.items()}
    sums = arrays["recurrent.weight_ih_l0"] @ arrays["embedding.weight"][1]
    sums += arrays["recurrent.bias_ih_l0"] + arrays["recurrent.bias_hh_l0"]
    blocks = {"input": 0, "forget": 1, "output": 3} if cell == "lstm" else {"reset": 0, "update": 1}
    for name, block in blocks.items():
        wanted = 1 / (1 + np.exp(-sums[16 * block : 16 * (block + 1)]))
        np.testing.assert_allclose(trace.gates[name][0], wanted, atol=1e-6)


def test_the_steps_to_half_and_the_share_after_some_end_with_the_poem(tmp_path: Path) -> None:
    trace = trace_gates(load_checkpoint(write_random_model(tmp_path / "model")), POEM)
    assert trace.after(4)[-4:] == [None] * 4
    assert all(share is not None for share in trace.after(4)[:-4])
    lives = trace.half_lives()
    assert lives[-1] is None
    for t, life in enumerate(lives):
        if life is not None:
            assert trace.retained[t, t + int(life)] >= 0.5 >= trace.retained[t, t + int(life) + 1]


def test_summaries_are_the_mean_and_the_shares_of_open_and_shut_units() -> None:
    gate = np.array([[0.95, 0.05, 0.5, 0.5]])
    found = {name: summary(gate).tolist() for name, summary in SUMMARIES.items()}
    assert found == {"mean": [0.5], "open": [0.25], "shut": [0.25]}


def test_what_has_no_gates_or_no_text_is_one_clear_error(tmp_path: Path) -> None:
    rnn = load_checkpoint(write_random_model(tmp_path / "rnn", "rnn"))
    lstm = load_checkpoint(write_random_model(tmp_path / "lstm"))
    with pytest.raises(TemplateError, match="rnn, which has no gates"):
        trace_gates(rnn, POEM)
    with pytest.raises(TemplateError, match="--layer is 2"):
        trace_gates(lstm, POEM, layer=2)
    with pytest.raises(TemplateError, match="no text"):
        trace_gates(lstm, " \n")


def test_a_picture_names_what_no_font_can_write_and_draws_the_rest(tmp_path: Path) -> None:
    trace = trace_gates(load_checkpoint(write_random_model(tmp_path / "model")), "春夏")
    font = write_font(tmp_path / "one.ttf", "春，。")
    path = tmp_path / "gates.svg"
    assert draw_gates(trace, path, summary="mean", title="春 $x^2$", font=font) == {"夏"}
    text = path.read_text(encoding="utf-8")
    assert "<!-- 春 $x^2$ -->" in text
    assert "<!-- □ -->" in text
    assert "<!-- forget gate -->" in text


def test_the_command_shows_a_map_a_table_and_a_picture(run_cli: RunCli, tmp_path: Path) -> None:
    write_random_model(tmp_path / "model")
    result = run_cli("lab", "gates", "model", "春夏秋冬風，瀟", "-o", "gates.png")
    assert result.returncode == 0, result.stderr
    assert "▷ 春夏秋冬风，潇。" in result.stdout
    assert "half-life" in result.stdout
    assert "kept longest" in result.stdout
    assert "does not know '潇'" in result.stderr
    assert result.stdout.endswith("gates.png\n")
    assert (tmp_path / "gates.png").read_bytes().startswith(b"\x89PNG")


def test_json_is_one_object_of_plain_numbers(run_cli: RunCli, tmp_path: Path) -> None:
    write_random_model(tmp_path / "model", "gru")
    result = run_cli("lab", "gates", "model", POEM, "--json", "--unit-summary", "open")
    record = json.loads(result.stdout)
    assert len(record["tokens"]) == 13
    assert set(record["gates"]) == {"reset", "update"}
    for column in (*record["gates"].values(), record["retained_after"], record["half_life"]):
        assert len(column) == 13
    assert record["retained_at_end"][-1] == 1.0


def test_a_name_that_is_no_picture_is_refused_before_anything_is_read(run_cli: RunCli) -> None:
    result = run_cli("lab", "gates", "nothing", "春", "-o", "x.gif")
    assert (result.returncode, result.stdout) == (1, "")
    assert "cannot draw x.gif" in result.stderr
