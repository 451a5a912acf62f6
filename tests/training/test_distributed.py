"""What several processes make of a batch, and who of them speaks; cli/test_torchrun.py has some."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributed

from poetgen.cli import main as command
from poetgen.dataset.batches import Batch, Batches
from poetgen.errors import TrainingError
from poetgen.models.config import ModelConfig
from poetgen.models.language_model import LanguageModel
from poetgen.training import distributed as ours
from poetgen.training.distributed import ALONE, Processes
from poetgen.training.optimization import batch_loss
from poetgen.training.options import TrainingOptions
from poetgen.training.trainer import Trainer
from tests.training.grammar import encoded

CPU = torch.device("cpu")


def batch_of(lengths: list[int]) -> Batch:
    generator = np.random.default_rng(3)
    ids = np.zeros((len(lengths), max(lengths)), np.int64)
    for row, length in zip(ids, lengths, strict=True):
        row[:length] = generator.integers(4, 12, length)
    rows = len(lengths)
    return Batch(ids, np.array(lengths), np.arange(rows), np.full((rows, 2), 5, np.int64))


@pytest.mark.parametrize("size", [2, 3, 7])
def test_the_shares_add_up_to_the_step_that_one_process_makes(size: int) -> None:
    model = LanguageModel(ModelConfig(vocabulary_size=12, embedding_size=4, hidden_size=8))
    model.initialise(seed=1)
    batch = batch_of([9, 8, 8, 5, 3])  # Fewer poems than the seven processes.

    def gradients() -> list[torch.Tensor]:
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    whole = batch_loss(model, batch, CPU)
    torch.autograd.backward(whole)
    expected = gradients()
    model.zero_grad()
    total = 0.0
    told: list[int] = []
    for rank in range(size):
        mine, part = Processes(rank=rank, size=size).share_of(batch)
        loss = part * batch_loss(model, mine, CPU)
        torch.autograd.backward(loss)  # Adds to the gradients that are there.
        total += loss.item()
        told.extend(mine.poems.tolist() if part else [])
    assert sorted(told) == [0, 1, 2, 3, 4]
    assert total == pytest.approx(whole.item(), rel=1e-5)
    for gradient, theirs in zip(gradients(), expected, strict=True):
        assert torch.allclose(gradient, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [2, 3, 7])
def test_the_rows_of_all_processes_are_the_rows_that_there_are(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "all_reduce", lambda _: None)
    whole = torch.arange(1.0, 2 * 5 * 3 + 1).view(2, 5, 3)  # Fewer rows than the seven processes.
    parts = []
    for rank in range(size):
        process = Processes(rank=rank, size=size)
        parts.append(process.all_rows(whole[:, process.rows_of(5)], 5))
    assert torch.equal(torch.stack(parts).sum(dim=0), whole)  # As all_reduce adds them up.
    assert torch.equal(ALONE.all_rows(whole, 5), whole)


def test_a_process_alone_has_all_of_the_batch_and_asks_nobody(poetgen_home: Path) -> None:
    batch = next(iter(Batches(encoded(poems=30).split("train"), 100, 0).epoch(0)))
    assert ALONE.share_of(batch) == (batch, 1.0)
    assert ALONE.agree(2.5, True) == (2.5, True)
    assert ALONE.from_first(lambda: "verse") == "verse"
    assert ALONE.threads == 0
    assert ALONE.seed(5) == 5


def test_no_two_processes_draw_the_same_dropout() -> None:
    drawn = set()
    for rank in range(8):
        torch.manual_seed(Processes(rank=rank, size=8).seed(17))
        drawn.add(torch.rand(1).item())
    assert len(drawn) == 8


def test_processes_of_a_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(12), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # As torchrun sets it.
    assert Processes(size=8, local_size=4).threads == 3
    assert Processes(size=64, local_size=64).threads == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert Processes(size=8, local_size=4).threads == 0


def test_more_processes_than_gpus_are_refused_by_the_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(TrainingError, match="4 processes on this machine, which has 2 GPUs") as e:
        Processes(rank=5, size=8, local_rank=1, local_size=4).take(torch.device("cuda"))
    assert "--nproc-per-node 2" in e.value.hint
    with pytest.raises(TrainingError, match="--device mps"):
        Processes(size=2, local_size=2).take(torch.device("mps"))
    ALONE.take(torch.device("mps"))


class Second(Processes):
    """A process whose first one has read another corpus."""

    def from_first(self, make: Callable[[], Any]) -> Any:
        made = make()
        return ("another hash", "") if isinstance(made, tuple) else made


def test_machines_with_unlike_corpora_are_told_apart(poetgen_home: Path, tmp_path: Path) -> None:
    corpus = encoded(poems=30)
    trainer = Trainer(
        corpus,
        ModelConfig(vocabulary_size=len(corpus.vocabulary), embedding_size=4, hidden_size=4),
        TrainingOptions(steps=1, device="cpu", threads=1),
        tmp_path / "run",
        source={"name": "grammar", "content_hash": corpus.content_hash},
        processes=Second(rank=1, size=2, local_size=1),
    )
    with pytest.raises(TrainingError, match="--corpus grammar is not the same text"), trainer:
        pass
    assert not (tmp_path / "run").exists()


@pytest.fixture
def torchrun(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What torchrun gives its processes: a store, and the environment that says where it is."""
    store = distributed.TCPStore(  # type: ignore[attr-defined]
        "localhost", 0, is_master=True, wait_for_workers=False
    )
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", str(store.port))
    monkeypatch.setenv("LOCAL_RANK", "0")
    yield
    del store  # It serves as long as it lives.


@pytest.mark.usefixtures("torchrun")
def test_of_processes_that_fail_alike_one_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert [command._run(["train", "--cell", "abacus"]) for _ in range(3)] == [2, 2, 2]
    assert capsys.readouterr().err.count("error: ") == 1


@pytest.mark.usefixtures("torchrun")
def test_where_the_store_is_gone_one_process_of_each_machine_speaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MASTER_PORT", "1")
    assert ours.is_first_to_fail()
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not ours.is_first_to_fail()
