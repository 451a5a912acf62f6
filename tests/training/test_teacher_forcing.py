"""Scheduled sampling: what is fed back, that two passes equal the loop, and what it leaves be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from poetgen.dataset.batches import Batch, Batches, Sequences
from poetgen.dataset.encoded import EncodedCorpus
from poetgen.dataset.stream import Stream
from poetgen.dataset.vocabulary import BOS, EOS, PAD
from poetgen.models.cells import CELLS
from poetgen.models.config import ModelConfig
from poetgen.models.network import Network, State, build_network
from poetgen.training.distributed import Processes
from poetgen.training.optimization import loss_and_state
from poetgen.training.options import TrainingOptions
from poetgen.training.teacher_forcing import Draws, draw, draws_for, feed_back
from tests.training.grammar import WITH_MEMORY, WITHOUT_MEMORY, encoded
from tests.training.test_trainer import finish, log_of, losses, make

CPU = torch.device("cpu")


@pytest.fixture
def corpus(poetgen_home: Path) -> EncodedCorpus:
    return encoded(poems=200)


def network(corpus: EncodedCorpus, cell: str = "lstm", **shape: Any) -> Network:
    shape = {"embedding_size": 8, "hidden_size": 16, **shape}
    model = build_network(ModelConfig(cell=cell, vocabulary_size=len(corpus.vocabulary), **shape))
    model.initialise(corpus.token_counts(), seed=1)
    with torch.no_grad():
        model.embedding.weight.mul_(20)  # So that what is read matters.
    return model


def batches(corpus: EncodedCorpus) -> Batches:
    return Batches(corpus.split("train"), 300, 0, context="drawn", max_length=12)


def on_the_fly(
    model: Network, batch: Sequences, draws: Draws, state: State | None
) -> tuple[Tensor, Tensor]:
    """The loss as the loop makes it that feeds back while it goes, and what was read."""
    if batch.context.shape[1]:
        _, state = model.hidden(torch.from_numpy(batch.context), state)
    inputs, targets = torch.from_numpy(batch.inputs), torch.from_numpy(batch.targets)
    mask = torch.from_numpy(batch.mask)
    read: list[Tensor] = []
    nats = torch.zeros(())
    logits = None
    for t in range(inputs.shape[1]):
        ids = inputs[:, t].clone()
        for row in np.flatnonzero(draws.fed_back[:, t]):
            assert logits is not None
            place = torch.from_numpy(draws.places[row : row + 1, t])
            ids[row] = draw(logits[row : row + 1].detach(), place)[0]
        read.append(ids)
        hidden, state = model.hidden(ids[:, None], state)
        logits = model.logits(hidden)[:, 0]
        each = functional.cross_entropy(logits, targets[:, t], reduction="none")
        nats = nats + each[mask[:, t]].sum()
    return nats / int(mask.sum()), torch.stack(read, dim=1)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("forced", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("cell", CELLS)
def test_two_passes_are_the_loop_that_feeds_back_on_the_fly(
    cell: str, forced: float, stream: bool, corpus: EncodedCorpus
) -> None:
    model = network(corpus, cell).train()
    batch: Sequences = next(batches(corpus).epoch(0))
    state: State | None = None
    if stream:
        pieces = list(Stream(corpus.split("train"), 100, 20, 0).epoch(0))
        batch = pieces[1]
        state = tuple(s.detach() for s in model.hidden(torch.from_numpy(pieces[0].inputs))[1])
    draws = draws_for(batch, forced, seed=3, step=5)
    assert draws is not None
    loss, _ = loss_and_state(model, batch, CPU, state=state, draws=draws)
    torch.autograd.backward(loss)
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    expected, read = on_the_fly(model, batch, draws, state)
    torch.autograd.backward(expected)
    told, inputs = torch.from_numpy(batch.context), torch.from_numpy(batch.inputs)
    assert torch.equal(feed_back(model, told, inputs, draws, state), read)
    assert not torch.equal(read, inputs)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "shape",
    [
        {"stop": "bernoulli"},
        {"stop": "length"},
        {"condition": "both", "output_depth": 2},
        {"architecture": "seq2seq"},
    ],
)
def test_two_passes_are_the_loop_in_every_kind_of_network(
    shape: dict[str, Any], corpus: EncodedCorpus
) -> None:
    if "architecture" in shape:
        shape = {**shape, "line_ends": corpus.vocabulary.line_ends}
    model = network(corpus, **shape).train()
    split, lengths_in = corpus.split("train"), model.config.lengths_in
    batch = next(Batches(split, 300, 0, context="drawn", lengths_in=lengths_in).epoch(0))
    draws = draws_for(batch, 0.4, seed=3, step=5)
    assert draws is not None
    assert not draws.fed_back[:, : batch.given].any()
    loss, _ = loss_and_state(model, batch, CPU, draws=draws)
    expected, _ = on_the_fly(model, batch, draws, None)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_only_characters_are_replaced_and_only_by_what_can_stand_in_a_poem(
    corpus: EncodedCorpus,
) -> None:
    model = network(corpus)
    with torch.no_grad():
        model.output.bias[[PAD, BOS, EOS]] = 9.0  # Left to itself, it would write nothing else.
    whole = Batch(
        np.array([[BOS, 20, 21, 22, EOS, PAD, PAD], [BOS, 20, 21, 22, 23, 24, EOS]]),
        np.array([5, 7]),
        np.arange(2),
        np.full((2, 6), 5),
    )
    piece = next(Stream(corpus.split("train"), 64, 32, 0).epoch(0))
    for batch in (whole, piece):
        draws = draws_for(batch, 0.0, seed=0, step=0)
        assert draws is not None
        told, inputs = torch.from_numpy(batch.context), torch.from_numpy(batch.inputs)
        mixed = feed_back(model, told, inputs, draws).numpy()
        fed = draws.fed_back
        assert not fed[:, 0].any()
        np.testing.assert_array_equal(mixed[~fed], batch.inputs[~fed])
        assert not np.isin(batch.inputs[fed], (PAD, BOS, EOS)).any()
        assert not np.isin(mixed[fed], (PAD, BOS, EOS)).any()
        # All that is predicted and then read.
        assert (fed[:, 1:] == (batch.mask[:, :-1] & batch.mask[:, 1:])).all()


def test_draws_follow_the_distribution_without_the_specials() -> None:
    probabilities = torch.tensor([0.2, 0.1, 0.1, 0.0, 0.12, 0.48])
    places = torch.linspace(0, 1, 10_001)[:-1]
    drawn = draw(probabilities.log().expand(10_000, -1), places)
    counts = torch.bincount(drawn, minlength=6).tolist()
    assert counts[:4] == [0, 0, 0, 0]
    assert counts[4] == pytest.approx(2000, abs=2)
    almost = torch.tensor([1 - 2**-24])
    assert draw(probabilities.log().unsqueeze(0), almost).item() == 5


def test_the_share_that_is_forced_is_the_share_that_stays() -> None:
    batch = Batch(
        np.full((400, 52), 7), np.full(400, 52), np.arange(400), np.zeros((400, 0), np.int64)
    )
    draws = draws_for(batch, 0.7, seed=1, step=2)
    assert draws is not None
    # 400 * 50 coins: a hundredth off is more than four standard deviations (odds 1 in 10,000).
    assert draws.fed_back[:, 1:].mean() == pytest.approx(0.3, abs=0.014)
    assert draws_for(batch, 1.0, seed=1, step=2) is None


def test_draws_are_a_function_of_seed_and_step_alone_and_move_no_generator(
    corpus: EncodedCorpus,
) -> None:
    batch = next(batches(corpus).epoch(0))
    model = network(corpus).train()

    def read(seed: int, step: int) -> Tensor:
        draws = draws_for(batch, 0.5, seed, step)
        assert draws is not None
        told, inputs = torch.from_numpy(batch.context), torch.from_numpy(batch.inputs)
        return feed_back(model, told, inputs, draws)

    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = read(1, 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    torch.rand(5)
    assert torch.equal(read(1, 2), first)
    assert not torch.equal(read(1, 3), first)
    assert not torch.equal(read(2, 2), first)


def test_processes_that_share_a_batch_feed_back_what_one_would(corpus: EncodedCorpus) -> None:
    batch = next(batches(corpus).epoch(0))
    model = network(corpus)
    draws = draws_for(batch, 0.3, seed=1, step=2)
    assert draws is not None
    whole, _ = loss_and_state(model, batch, CPU, draws=draws)
    total = 0.0
    for rank in range(3):
        processes = Processes(rank=rank, size=3)
        mine, part = processes.share_of(batch)
        rows = processes.rows_of(len(batch.inputs))
        loss, _ = loss_and_state(model, mine, CPU, draws=draws.rows(rows))
        total += part * loss.item()
    assert total == pytest.approx(whole.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("schedule", "end", "shares"),
    [
        ("constant", None, (1.0, 1.0, 1.0)),
        ("constant", 0.3, (0.3, 0.3, 0.3)),
        ("linear", None, (1.0, 0.75, 0.5)),
        ("linear", 0.0, (1.0, 0.5, 0.0)),
        ("inverse-sigmoid", None, (1.0, 0.75, 0.5)),
        ("inverse-sigmoid", 0.2, (1.0, 0.6, 0.2)),
    ],
)
def test_a_schedule_begins_at_one_and_ends_where_it_is_told(
    schedule: str, end: float | None, shares: tuple[float, ...]
) -> None:
    options = TrainingOptions(steps=1, teacher_forcing=schedule, teacher_forcing_end=end)
    assert [options.teacher_forcing_at(s) for s in (0.0, 0.5, 1.0)] == pytest.approx(shares)
    assert shares[0] != 1.0 or options.teacher_forcing_at(0.0) == 1.0
    falling = [options.teacher_forcing_at(s / 50) for s in range(51)]
    assert falling == sorted(falling, reverse=True)


def test_an_inverse_sigmoid_waits_and_then_falls_steeply() -> None:
    options = TrainingOptions(steps=1, teacher_forcing="inverse-sigmoid", teacher_forcing_end=0.0)
    assert options.teacher_forcing_at(0.2) > 0.9 > 0.1 > options.teacher_forcing_at(0.8)
    # Bengio et al.'s k / (k + exp(i / k)) of k = 100, i = k ln k · 2s, but for the stretch.
    for s in (0.3, 0.5, 0.6):
        plain = 100 / (100 + np.exp(2 * s * np.log(100)))
        assert options.teacher_forcing_at(s) == pytest.approx(plain, abs=0.01)


def test_a_run_that_is_always_forced_is_the_run_without_the_option(
    corpus: EncodedCorpus, tmp_path: Path
) -> None:
    shape = {"dropout": 0.3}
    finish(make(corpus, tmp_path / "plain", steps=12, shape=shape))
    options: dict[str, Any] = {"teacher_forcing": "linear", "teacher_forcing_end": 1.0}
    finish(make(corpus, tmp_path / "forced", steps=12, shape=shape, **options))
    assert losses(tmp_path / "forced") == losses(tmp_path / "plain")
    assert {line["teacher_forcing"] for line in log_of(tmp_path / "plain")} == {1.0}


def test_a_run_that_feeds_back_logs_its_share_and_is_resumed_bit_for_bit(
    corpus: EncodedCorpus, tmp_path: Path
) -> None:
    whole: Mapping[str, Any] = {
        "steps": 24,
        "patience": 0,
        "shape": {"dropout": 0.3},
        "teacher_forcing": "linear",
        "teacher_forcing_end": 0.2,
    }
    records = finish(make(corpus, tmp_path / "whole", **whole))
    assert [record.teacher_forcing for record in records] == pytest.approx(
        [1 - 0.8 * step / 24 for step in range(24)]
    )
    logged = [line["teacher_forcing"] for line in log_of(tmp_path / "whole")]
    assert logged == [record.teacher_forcing for record in records]
    for stop_after in (5, 13):
        with make(corpus, tmp_path / "parts", resume=True, **whole) as trainer:
            for progress in trainer.run():
                torch.rand(3)
                if progress.step >= stop_after:
                    trainer.stop()
    finish(make(corpus, tmp_path / "parts", resume=True, **whole))
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    plain = dict(whole, teacher_forcing="constant", teacher_forcing_end=None)
    finish(make(corpus, tmp_path / "plain", **plain))
    assert losses(tmp_path / "plain")[0] == losses(tmp_path / "whole")[0]
    assert losses(tmp_path / "plain")[-1] != losses(tmp_path / "whole")[-1]


def test_a_network_that_is_fed_back_learns_what_only_a_memory_can(
    poetgen_home: Path, tmp_path: Path
) -> None:
    corpus = encoded(poems=2000)
    records = finish(
        make(
            corpus,
            tmp_path / "run",
            steps=400,
            token_budget=512,
            patience=0,
            teacher_forcing="inverse-sigmoid",
            teacher_forcing_end=0.8,
        )
    )
    validation = records[-1].validation
    assert validation is not None
    nats = validation.nats / validation.tokens
    assert WITH_MEMORY - 0.05 < nats < WITHOUT_MEMORY - 0.3
    # A poem's own characters are worth more than the network's, which say nothing of the target.
    end = float(np.mean([record.loss for record in records[-20:]]))
    assert end > nats
