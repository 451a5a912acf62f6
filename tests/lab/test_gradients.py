import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from poetgen.cli.lab.gradients import gradients as command
from poetgen.corpus.store import open_corpus
from poetgen.dataset.encoded import encode_corpus
from poetgen.errors import TrainingError
from poetgen.lab.gradients import (
    Network,
    Settings,
    compare,
    draw_sequences,
    gradient_norms,
    make_model,
    network_named,
    product_norms,
    train,
)
from tests.conftest import RunCli

V, SETTINGS = 30, Settings(steps=12, hidden_size=16, train_steps=3)
NAMES = (
    "rnn",
    "rnn:x0.5",
    "rnn:x2",
    "rnn:relu:identity",
    "rnn:identity",
    "lstm",
    "gru",
    "mingru",
    "minlstm",
)


def _sequences(count: int = 3) -> Tensor:
    rng = np.random.default_rng(0)
    return draw_sequences(rng.integers(V, size=400).astype(np.uint16), SETTINGS.steps, count, rng)


def test_names_say_cell_nonlinearity_start_and_scale() -> None:
    assert network_named("lstm") == Network("lstm", "lstm")
    assert network_named(" rnn:relu:identity") == Network(
        "rnn:relu:identity", "rnn", "relu", "identity"
    )
    assert network_named("gru:x0.5").scale == 0.5
    assert network_named("lstm:forget-2").forget_bias == -2


@pytest.mark.parametrize(
    "name",
    ["qrnn", "lstm:relu", "rnn:xx", "rnn:x-1", "rnn:xinf", "rnn:", "mingru:x2", "gru:forget1"],
)
def test_a_wrong_name_is_one_clear_error(name: str) -> None:
    with pytest.raises(TrainingError):
        network_named(name)


def test_the_gradient_that_reaches_a_simple_network_is_the_product_of_its_jacobians() -> None:
    """By hand: ∂L/∂h_T = (p - target) V, and J_t = diag(1 - h_t²) U."""
    model, sequences = make_model(network_named("rnn:x2"), V, SETTINGS), _sequences(1)
    found = gradient_norms(model, sequences)[0]
    arrays = {name: value.detach().double() for name, value in model.state_dict().items()}
    W, U = arrays["recurrent.weight_ih_l0"], arrays["recurrent.weight_hh_l0"]
    E = arrays["embedding.weight"]
    states = [torch.zeros(16, dtype=torch.float64)]
    for i in sequences[0, :-1]:
        states.append(torch.tanh(W @ E[i] + U @ states[-1]))
    row = torch.softmax(E @ states[-1], dim=0)
    row[sequences[0, -1]] -= 1
    row = row @ E
    product = torch.eye(16, dtype=torch.float64)
    for k, h in enumerate(states[:0:-1]):
        torch.testing.assert_close((row @ product).norm(), found[k])
        if k:
            norm = product_norms(model, sequences, [k])[0, 0]
            torch.testing.assert_close(torch.linalg.matrix_norm(product, 2), norm)
        product = product @ (torch.diag(1 - h.square()) @ U)


@pytest.mark.parametrize("name", NAMES)
def test_no_gradient_is_larger_than_the_product_of_jacobians_lets_it_be(name: str) -> None:
    model, sequences = make_model(network_named(name), V, SETTINGS), _sequences()
    gradients = gradient_norms(model, sequences)
    products = product_norms(model, sequences, [1, 4, 11])
    reached = gradients[:, [1, 4, 11]] / gradients[:, :1]
    assert (reached <= products * (1 + 1e-9)).all()
    # And it is no idle bound: the gradient is a direction among 16 or 32, not a lost one.
    assert (reached >= products / 1e3).all()


def test_the_gradient_at_an_lstm_is_that_at_its_output_and_its_memory() -> None:
    """Against finite differences of the loss in a state in the middle."""
    model, sequences = make_model(network_named("lstm"), V, SETTINGS), _sequences(1)
    found = gradient_norms(model, sequences)[0, 5]
    model = model.double()
    middle = SETTINGS.steps - 5
    with torch.no_grad():
        _, state = model(sequences[:, :middle])

        def loss(flat: Tensor) -> Tensor:
            h, c = flat.view(2, 1, 1, 16)
            logits, _ = model(sequences[:, middle:-1], (h, c))
            return torch.nn.functional.cross_entropy(logits[:, -1], sequences[:, -1])

        flat = torch.cat([array.flatten() for array in state])
        nudges = 1e-5 * torch.eye(32, dtype=torch.float64)
        slopes = [(loss(flat + nudge) - loss(flat - nudge)) / 2e-5 for nudge in nudges]
    torch.testing.assert_close(torch.stack(slopes).norm(), found, rtol=1e-5, atol=0)


def test_a_tanh_network_with_a_small_matrix_forgets_as_fast_as_theory_says() -> None:
    model, sequences = make_model(network_named("rnn:x0.5"), V, SETTINGS), _sequences()
    gradients = gradient_norms(model, sequences)
    for k in range(SETTINGS.steps):
        assert (gradients[:, k] <= gradients[:, 0] * 0.5**k * (1 + 1e-9)).all()


def test_a_scaled_network_explodes_while_its_units_are_not_saturated() -> None:
    """With no input at all h stays 0, J_t is U itself, orthogonal times 2: exactly 2^k."""
    model, sequences = make_model(network_named("rnn:x2"), V, SETTINGS), _sequences()
    with torch.no_grad():
        model.recurrent.get_parameter("weight_ih_l0").zero_()
    gradients = gradient_norms(model, sequences)
    wanted = gradients[:, :1] * 2.0 ** torch.arange(12, dtype=torch.float64)
    torch.testing.assert_close(gradients, wanted, rtol=1e-5, atol=0)


def test_an_identity_network_of_rectifiers_carries_its_gradient_on() -> None:
    """Where no unit's input is below zero, J_t is the identity (IRNN)."""
    model, sequences = make_model(network_named("rnn:relu:identity"), V, SETTINGS), _sequences()
    with torch.no_grad():
        model.recurrent.get_parameter("bias_ih_l0").fill_(1.0)
    gradients = gradient_norms(model, sequences)
    torch.testing.assert_close(gradients, gradients[:, :1].expand(-1, 12))


def test_an_lstm_that_starts_with_an_open_forget_gate_carries_its_gradient_farther() -> None:
    """The memory's own part of a step back is f, about σ(the bias) at the start."""
    far = [
        gradient_norms(make_model(network_named(name), V, SETTINGS), _sequences())[:, -1].median()
        for name in ("lstm:forget-2", "lstm", "lstm:forget4")
    ]
    assert far[0] * 10 < far[1] < far[2]


def test_training_lowers_the_loss_and_counts_what_it_clips() -> None:
    settings = Settings(steps=12, hidden_size=16, train_steps=20, learning_rate=0.02)
    ids = np.tile(np.arange(4, 12, dtype=np.uint16), 50)
    model = make_model(network_named("gru"), V, settings)
    done = train(model, ids, settings, clip_norm=1e-3)
    assert done.loss < math.log(V) / 2
    assert done.clipped == 1.0
    assert done.largest_norm > 1e-3
    assert train(model, ids, settings, clip_norm=math.inf).clipped == 0.0


def test_a_corpus_shorter_than_a_sequence_is_one_clear_error() -> None:
    corpus = encode_corpus(open_corpus("sample"))
    settings = Settings(steps=10**6, hidden_size=4)
    with pytest.raises(TrainingError, match="--steps is 1000000"):
        next(compare([network_named("rnn")], corpus, settings))


def test_a_training_that_breaks_down_stops_and_says_where() -> None:
    model = make_model(network_named("rnn:relu:x1e30"), V, SETTINGS)
    with torch.no_grad():
        model.recurrent.get_parameter("bias_ih_l0").fill_(1.0)
    done = train(model, np.arange(V).astype(np.uint16), SETTINGS, math.inf)
    assert done.failed_at == 1


def test_the_command_shows_tables_and_a_picture(run_cli: RunCli, tmp_path: Path) -> None:
    small = ("--steps", "8", "--hidden-size", "8", "--train-steps", "2")
    result = run_cli("lab", "gradients", "--cells", "rnn:x2,lstm", *small, "-o", "reach.svg")
    assert result.returncode == 0, result.stderr
    for word in ("rnn:x2   start", "lstm     clipped", "lstm     unclipped", "steps clipped"):
        assert word in result.stdout
    assert result.stdout.endswith("reach.svg\n")
    text = (tmp_path / "reach.svg").read_text(encoding="utf-8")
    assert "<!-- rnn:x2 -->" in text
    assert "<!-- limit by the Jacobians -->" in text


def test_json_is_an_object_a_network() -> None:
    """In this process, as below: a new one spends seconds on importing torch."""
    small = ("--steps", "8", "--hidden-size", "8", "--train-steps", "0", "--json")
    result = CliRunner().invoke(command, ["--cells", "rnn:x0.5,gru", *small])
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["network"] for record in records] == ["rnn:x0.5", "gru"]
    assert len(records[0]["gradient"]) == 8
    assert records[0]["factor"] < 0.5 < records[1]["factor"]
    assert list(records[0]["product_of_jacobians"]) == ["1", "2", "4", "7"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--cells", "rnn,abc"], 1, "abc"),
        (["--cells", "rnn,output"], 1, "the cell output has no step-by-step reference"),
        (["-o", "x.gif"], 1, "cannot draw x.gif"),
        (["--steps", "1"], 2, "--steps"),
    ],
)
def test_a_wrong_request_ends_with_one_line(
    arguments: list[str], status: int, message: str
) -> None:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == status
    assert message in (str(done.exception) if status == 1 else done.output)
