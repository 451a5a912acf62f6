import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn
from torch.nn import functional

from poetgen.cli.lab.rtrl import rtrl as command
from poetgen.corpus.store import open_corpus
from poetgen.dataset.encoded import EncodedCorpus, encode_corpus
from poetgen.errors import TrainingError
from poetgen.lab.gradients import Settings, draw_sequences, make_model, network_named
from poetgen.lab.rtrl import Method, Recurrence, bptt, loss_gradients, rtrl
from poetgen.lab.rtrl_costs import BPTT, RTRL, growth_of, kept_numbers, measure_costs
from poetgen.models.language_model import LanguageModel
from tests.conftest import RunCli

NAMES = ("rnn", "rnn:relu:identity", "lstm", "gru", "mingru", "minlstm")
H, T = 6, 20


@pytest.fixture
def corpus() -> EncodedCorpus:
    return encode_corpus(open_corpus("sample"))


def _model(corpus: EncodedCorpus, name: str, dtype: torch.dtype) -> LanguageModel:
    torch.manual_seed(0)
    model = make_model(network_named(name), len(corpus.vocabulary), Settings(hidden_size=H))
    for parameter in model.parameters():  # Large, so that no part of the gradient vanishes.
        nn.init.normal_(parameter, std=0.4)
    return model.to(dtype)


def _piece(corpus: EncodedCorpus) -> Tensor:
    return draw_sequences(corpus.split("train").ids, T, 1, np.random.default_rng(0))[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", [rtrl, bptt])
def test_the_gradients_of_a_poem_are_those_of_the_network_that_trains(
    corpus: EncodedCorpus, name: str, method: Method, dtype: torch.dtype
) -> None:
    """At every parameter, the token vectors included, over ids of real poems."""
    model, ids = _model(corpus, name, dtype), _piece(corpus)
    loss, found = loss_gradients(model, ids, method, learn_vectors=True)
    logits, _ = model(ids[None, :-1])
    wanted = functional.cross_entropy(logits[0], ids[1:])
    torch.autograd.backward(wanted)
    assert loss == pytest.approx(wanted.item(), abs=1e-5)
    assert set(found) == set(dict(model.named_parameters()))
    for part, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 1e-3
        torch.testing.assert_close(found[part], parameter.grad, rtol=1e-5, atol=1e-5)


def test_the_sensitivity_is_that_of_the_state_to_the_parameters(corpus: EncodedCorpus) -> None:
    """Against finite differences: a loss that is one number of the last state has a row of P."""
    f = Recurrence.of(_model(corpus, "rnn", torch.float64))
    tokens = _piece(corpus)[:-1]
    row = torch.zeros(H, dtype=torch.float64)
    row[2] = 1.0
    nothing = torch.zeros_like(row)
    found = rtrl(f, tokens, lambda t, _: row if t == T - 1 else nothing)

    def last(theta: Tensor) -> float:
        s = f.start()
        for token in tokens:
            s = f.after(f.named(theta), token, s)
        return s[2].item()

    for place in range(0, len(f.theta), 7):
        nudge = torch.zeros_like(f.theta)
        nudge[place] = 1e-6
        slope = (last(f.theta + nudge) - last(f.theta - nudge)) / 2e-6
        assert found[place].item() == pytest.approx(slope, rel=1e-4, abs=1e-8)


def test_the_gradient_so_far_is_there_at_every_step(corpus: EncodedCorpus) -> None:
    """Which is what it is for: nothing of the steps to come is needed."""
    model, ids = _model(corpus, "gru", torch.float64), _piece(corpus)
    f = Recurrence.of(model)
    slopes = torch.randn(T, H, dtype=torch.float64)
    for t in (1, 7, T):
        found = rtrl(f, ids[:t], lambda t, _: slopes[t])
        torch.testing.assert_close(found, bptt(f, ids[:t], lambda t, _: slopes[t]))


def test_what_is_kept_follows_from_the_sizes(corpus: EncodedCorpus) -> None:
    f = Recurrence.of(_model(corpus, "lstm", torch.float32))
    N = 4 * H * (H + H + 2)
    assert len(f.theta) == N
    # P has a row for each number of h and c; a step back needs x, four gates, h and c.
    assert kept_numbers(f, 10) == {RTRL: 2 * H * N + 2 * H, BPTT: 10 * (H + 4 * H + 2 * H) + 2 * H}


def test_memory_grows_with_the_cube_of_the_units_or_with_the_steps(corpus: EncodedCorpus) -> None:
    found = list(measure_costs([network_named("rnn")], corpus, [16, 32], [8, 64]))
    assert [(c.hidden_size, c.steps) for c in found] == [(16, 8), (16, 64), (32, 8), (32, 64)]
    assert all(costs.difference < 1e-5 for costs in found)
    for costs in found:
        for price in costs.prices.values():
            assert price.keeps <= price.peak
    by_units_rtrl, by_units_bptt, by_steps_rtrl, by_steps_bptt = growth_of(found)
    assert (by_units_rtrl.method, by_units_rtrl.along) == (RTRL, "hidden size")
    assert by_units_rtrl.keeps == pytest.approx(3, abs=0.1)
    assert by_units_rtrl.peak == pytest.approx(3, abs=0.2)
    assert by_units_bptt.keeps == pytest.approx(1)
    assert (by_steps_rtrl.method, by_steps_rtrl.along) == (RTRL, "steps")
    assert by_steps_rtrl.keeps == 0
    assert by_steps_rtrl.peak == pytest.approx(0, abs=0.01)
    assert by_steps_bptt.keeps == pytest.approx(1, abs=0.05)
    # Measured, the gradients of the matrices are there too, whatever the length.
    assert 0.3 < by_steps_bptt.peak < 1


def test_a_corpus_shorter_than_a_sequence_is_one_clear_error(corpus: EncodedCorpus) -> None:
    with pytest.raises(TrainingError, match="--lengths has 1000000"):
        next(measure_costs([network_named("rnn")], corpus, [4], [10**6]))


def test_the_command_shows_tables_and_a_picture(run_cli: RunCli, tmp_path: Path) -> None:
    sizes = ("--hidden-sizes", "4,8", "--lengths", "4,16")
    result = run_cli("lab", "rtrl", "--cells", "rnn,gru", *sizes, "-o", "costs.svg", timeout=110)
    assert result.returncode == 0, result.stderr
    for words in ("BPTT  held", "ratio  apart", "hidden size, 4 to 8", "steps, 4 to 16"):
        assert words in result.stdout
    assert result.stdout.endswith("costs.svg\n")
    text = (tmp_path / "costs.svg").read_text(encoding="utf-8")
    assert "<!-- gru, RTRL -->" in text
    assert "<!-- steps, at hidden size 8 -->" in text


def test_json_is_an_object_a_size() -> None:
    arguments = ["--hidden-sizes", "4", "--lengths", "8,4", "--dtype", "float64", "--json"]
    result = CliRunner().invoke(command, arguments)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(record["hidden_size"], record["steps"]) for record in records] == [(4, 4), (4, 8)]
    assert records[0]["parameters"] == 40
    assert records[0]["rtrl"]["keeps_bytes"] == 8 * (4 * 40 + 4)
    assert records[0]["difference"] < 1e-12


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--cells", "rnn,abc"], 1, "abc"),
        (["--cells", "rnn,output"], 1, "the cell output has no step-by-step reference"),
        (["-o", "x.gif"], 1, "cannot draw x.gif"),
        (["--hidden-sizes", "8,1000"], 2, "--hidden-sizes"),
        (["--lengths", "8,x"], 2, "--lengths"),
    ],
)
def test_a_wrong_request_ends_with_one_line(
    arguments: list[str], status: int, message: str
) -> None:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == status
    assert message in (str(done.exception) if status == 1 else done.output)
