"""Truncated backpropagation through time: what is carried, what is not, and that it is exact."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from poetgen.dataset.encoded import EncodedCorpus
from poetgen.dataset.stream import Piece, Stream
from poetgen.errors import TrainingError
from poetgen.models.cells import CELLS, cell_named
from poetgen.models.config import ModelConfig
from poetgen.models.network import State, build_network
from poetgen.training.combinations import check_combination
from poetgen.training.learner import Learner
from poetgen.training.optimization import batch_loss, loss_and_state
from poetgen.training.options import TrainingOptions
from poetgen.training.resume import read_snapshot
from tests.training.grammar import WITH_MEMORY, WITHOUT_MEMORY, encoded
from tests.training.test_trainer import finish, log_of, losses, make, validations

CPU = torch.device("cpu")


@pytest.fixture
def corpus(poetgen_home: Path) -> EncodedCorpus:
    return encoded(poems=200)


def config(corpus: EncodedCorpus, cell: str = "lstm", **shape: Any) -> ModelConfig:
    shape = {"embedding_size": 8, "hidden_size": 16, **shape}
    return ModelConfig(cell=cell, vocabulary_size=len(corpus.vocabulary), **shape)


@pytest.mark.parametrize("cell", CELLS)
def test_a_piece_begins_where_the_one_before_ended_and_an_epoch_anew(
    cell: str, corpus: EncodedCorpus
) -> None:
    """The losses of a stream in pieces are those of the whole rows, with weights that stay."""
    model = build_network(config(corpus, cell))
    model.initialise(corpus.token_counts(), seed=1)
    options = TrainingOptions(steps=1, learning_rate=1e-30, weight_decay=0.0, bptt=16)
    learner = Learner(model, options)
    pieces = list(Stream(corpus.split("train"), 64, 16, 0).epoch(0))[:6]
    whole = Piece(
        np.concatenate([pieces[0].ids, *(piece.ids[:, 1:] for piece in pieces[1:])], axis=1),
        np.concatenate([piece.mask for piece in pieces], axis=1),
        first=True,
    )
    for _ in range(2):  # The second time, nothing is left of the first.
        nats = 0.0
        for i, piece in enumerate(pieces):
            nats += learner.step(piece, i, 0.0).loss.item() * piece.real_tokens
        expected = batch_loss(model, whole, CPU).item()
        assert nats / whole.real_tokens == pytest.approx(expected, rel=1e-5)


def test_a_gradient_goes_back_to_the_piece_s_first_token_and_no_further(
    corpus: EncodedCorpus,
) -> None:
    model = build_network(config(corpus))
    model.initialise(corpus.token_counts(), seed=1)
    learner = Learner(model, TrainingOptions(steps=1, bptt=16))
    first, second, *_ = Stream(corpus.split("train"), 64, 16, 0).epoch(0)
    learner.step(first, 0, 0.0)
    carried = learner.carried()
    assert len(carried) == 2
    assert not any(tensor.requires_grad for tensor in carried)
    # What only the first piece read gets no gradient from the second.
    learner.step(second, 1, 0.0)
    state: State = tuple(tensor.clone().requires_grad_() for tensor in carried)
    loss, after = loss_and_state(model, second, CPU, state=state)
    torch.autograd.backward(loss)
    assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in state)
    assert all(tensor.requires_grad for tensor in after)


def test_a_piece_in_which_nothing_is_predicted_is_a_step_of_nothing(
    corpus: EncodedCorpus,
) -> None:
    model = build_network(config(corpus))
    model.initialise(corpus.token_counts(), seed=1)
    empty = next(p for p in Stream(corpus.split("train"), 2, 2, 0).epoch(0) if not p.real_tokens)
    loss = batch_loss(model, empty, CPU)
    torch.autograd.backward(loss)
    assert loss.item() == 0.0
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(g is not None and not g.any() for g in gradients)


@pytest.mark.parametrize("with_all", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_run_over_a_stream_is_resumed_with_the_same_losses_bit_for_bit(
    cell: str, with_all: bool, corpus: EncodedCorpus, tmp_path: Path
) -> None:
    whole: dict[str, Any] = {"cell": cell, "steps": 24, "patience": 0, "bptt": 16}
    if with_all:
        drop = 0.3 if cell_named(cell).is_recurrent else 0.0
        whole["shape"] = {"num_layers": 2, "dropout": 0.3, "weight_drop": drop}
        whole |= {"average": 0.9, "teacher_forcing": "linear", "clip_value": 0.01}
    finish(make(corpus, tmp_path / "whole", **whole))
    for stop_after in (5, 11, 19):
        with make(corpus, tmp_path / "parts", resume=True, **whole) as trainer:
            for progress in trainer.run():
                torch.rand(3)
                if progress.step >= stop_after:
                    trainer.stop()
    snapshot = read_snapshot(tmp_path / "parts")
    assert snapshot is not None
    assert snapshot.position.batch  # In the middle of an epoch, or nothing would be carried.
    assert all(array.any() for array in snapshot.carried)
    finish(make(corpus, tmp_path / "parts", resume=True, **whole))
    assert len(losses(tmp_path / "whole")) == 24
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert validations(tmp_path / "parts") == validations(tmp_path / "whole")


@pytest.mark.parametrize("cell", ["lstm", "mingru"])  # A loop, and a scan.
def test_a_stream_teaches_what_only_a_memory_can(
    cell: str, poetgen_home: Path, tmp_path: Path
) -> None:
    corpus = encoded(poems=2000)
    records = finish(
        make(corpus, tmp_path / "run", cell=cell, steps=400, token_budget=512, patience=0, bptt=16)
    )
    end = float(np.mean([record.loss for record in records[-20:]]))
    assert WITH_MEMORY - 0.05 < end < WITHOUT_MEMORY - 0.2
    # Poems are measured one by one, from an empty state, which a stream has but once an epoch.
    validation = records[-1].validation
    assert validation is not None
    assert validation.nats / validation.tokens < WITHOUT_MEMORY - 0.2


def test_a_record_counts_what_is_predicted_and_an_epoch_ends(
    corpus: EncodedCorpus, tmp_path: Path
) -> None:
    finish(make(corpus, tmp_path / "run", epochs=2, bptt=16, patience=0))
    log = log_of(tmp_path / "run")
    each = len(log) // 2
    for epoch in (1, 2):
        lines = [line for line in log if line["epoch"] == epoch]
        assert len(lines) == each
        assert sum(line["tokens"] for line in lines) == corpus.split("train").real_tokens


@pytest.mark.parametrize("value", [0.0, 1e-4, 1e4])
def test_a_run_says_how_often_it_was_clipped_also_after_a_resume(
    value: float, corpus: EncodedCorpus, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"clip_norm": 0.0, "clip_value": value, "patience": 0}
    finish(make(corpus, tmp_path / "run", steps=4, **options))
    records = finish(make(corpus, tmp_path / "run", steps=8, resume=True, **options))
    share = float(value == 1e-4)
    assert [record.clipped_share for record in records] == [share] * 4
    log = log_of(tmp_path / "run")
    assert [line["clipped"] for line in log] == [bool(share)] * 8
    assert [line["clipped_share"] for line in log] == [share] * 8


def test_what_a_stream_cannot_have_is_refused_by_both_flags(corpus: EncodedCorpus) -> None:
    with pytest.raises(TrainingError, match="--bptt 600 does not go with --token-budget 512"):
        TrainingOptions(steps=1, bptt=600, token_budget=512)
    check_combination(config(corpus), TrainingOptions(steps=1, bptt=16))


@pytest.mark.parametrize(
    ("field", "value"), [("condition", "state"), ("architecture", "seq2seq"), ("stop", "length")]
)
def test_a_network_that_needs_whole_poems_is_refused_a_stream(field: str, value: str) -> None:
    model: Any = type("Shape", (), {"architecture": "lm", "condition": "prefix", "stop": "eos"})()
    setattr(model, field, value)
    with pytest.raises(TrainingError, match=f"--bptt 16 does not go with --{field} {value}"):
        check_combination(model, TrainingOptions(steps=1, bptt=16))
    check_combination(model, TrainingOptions(steps=1))
