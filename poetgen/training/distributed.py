"""Several processes that train one network: `torchrun … -m poetgen train …`.

Every process makes the same batches, for their order follows from the seed, takes its own poems of
each, and computes the gradient of those. The gradients of all are added up, so that every process
makes the same step that one process would make with the whole batch, and all hold the same weights.
Nothing else is shared out: the first process keeps the folder, measures, shows and decides when to
end, and what only it can know (a snapshot, its clock, a validation) it tells the others.

torchrun starts the processes, ends all when one fails, and describes them in the environment
(https://docs.pytorch.org/docs/stable/elastic/run.html). This module knows no files and no flags.

torch's DistributedDataParallel was not taken: it averages over processes, where poems of unequal
length want a weighted sum, and it wants to call the network itself. What it is faster by, adding
up while the backward pass still runs, is small beside a step of a network of this size.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from poetgen.dataset.batches import Sequences
from poetgen.errors import TrainingError

_STORE_SECONDS = 5

_T = TypeVar("_T")
_S = TypeVar("_S", bound=Sequences)


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a run as one of them sees them; by default there is only that one.

    Attributes:
        rank: Which it is, of all on all machines.
        size: How many there are.
        local_rank: Which it is of those on this machine.
        local_size: How many those are.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that keeps the folder and speaks."""
        return self.rank == 0

    @property
    def threads(self) -> int:
        """CPU threads for this process, of those of the machine; 0 for torch's own choice."""
        # torchrun sets OMP_NUM_THREADS to 1 where it is not set.
        if self.size == 1 or os.environ.get("OMP_NUM_THREADS", "1") != "1":
            return 0
        mine = getattr(os, "sched_getaffinity", None)
        cores = len(mine(0)) if mine else os.cpu_count() or 1
        return max(1, cores // self.local_size)

    def take(self, device: torch.device) -> None:
        """Make this process use its own one of the machine's devices of that type.

        Raises:
            TrainingError: There are not as many devices as processes, or torch has no means for
                devices of this type to work together.
        """
        if self.size == 1:
            return
        if device.type == "cuda":
            here = torch.cuda.device_count()
            if self.local_size > here:
                raise TrainingError(
                    f"{self.local_size} processes on this machine, which has {here} GPU"
                    + ("s" if here > 1 else ""),
                    hint=f"give torchrun --nproc-per-node {here}, or give --device cpu",
                )
            torch.cuda.set_device(self.local_rank)
        elif device.type != "cpu":
            raise TrainingError(
                f"--device {device.type} does not go with several processes",
                hint="train without torchrun, or give --device cpu",
            )

    def seed(self, seed: int) -> int:
        """A seed of this process' own. torch's generator on a CPU keeps only its lower 32 bits."""
        return seed + 1_000_000_007 * self.rank

    def rows_of(self, count: int) -> slice:
        """Which of so many rows are this process'.

        Where there are fewer rows than processes, some get one that is another's.
        """
        # Every size-th: the poems of a batch may be sorted by length.
        return slice(self.rank, None, self.size) if self.rank < count else slice(0, 1)

    def share_of(self, batch: _S) -> tuple[_S, float]:
        """This process' rows of a batch, and the share of the batch's real tokens in them.

        A row that is another's is a share of nothing.
        """
        if self.size == 1:
            return batch, 1.0
        count = len(batch.inputs)
        share = batch.rows(self.rows_of(count))
        idle = self.rank >= count or not batch.real_tokens
        return share, 0.0 if idle else share.real_tokens / batch.real_tokens

    def all_rows(self, mine: Tensor, count: int) -> Tensor:
        """All of `count` rows, of which each process has those of `rows_of`.

        Args:
            mine: (…, n, …), rows in dimension 1.
            count: Rows of all processes together.

        Raises:
            TrainingError: Another process has died.
        """
        if self.size == 1:
            return mine
        together = mine.new_zeros((mine.shape[0], count, *mine.shape[2:]))
        if self.rank < count:
            together[:, self.rows_of(count)] = mine
        with _talking():
            distributed.all_reduce(together)  # Each row of one process, and of the others zeros.
        return together

    def sum_gradients(self, model: nn.Module, loss: Tensor) -> Tensor:
        """Make each gradient the sum over all processes; returns the sum of their losses.

        Args:
            model: Every parameter of it has a gradient.
            loss: The part of the loss that this process computed, a scalar.

        Raises:
            TrainingError: Another process has died.
        """
        loss = loss.detach()
        if self.size == 1:
            return loss
        parameters = list(model.parameters())
        gradients = [p.grad.flatten() for p in parameters if p.grad is not None]
        together = torch.cat([*gradients, loss.reshape(1)])
        with _talking():
            distributed.all_reduce(together)
        *sums, total = torch.split(together, [*map(len, gradients), 1])
        for parameter, gradient in zip(parameters, sums, strict=True):
            parameter.grad = gradient.view_as(parameter)
        return total.squeeze(0).clone()  # Not a view, which would keep all of `together` alive.

    def agree(self, seconds: float, stopping: bool) -> tuple[float, bool]:
        """The first process' seconds, and whether any process was asked to stop.

        Raises:
            TrainingError: Another process has died.
        """
        if self.size == 1:
            return seconds, stopping
        figures = torch.tensor([seconds if self.first else 0.0, stopping], dtype=torch.float64)
        with _talking():
            distributed.all_reduce(figures)
        seconds, stops = figures.tolist()
        return seconds, stops > 0

    def from_first(self, make: Callable[[], _T]) -> _T:
        """What `make` gives in the first process; elsewhere it is not called.

        Raises:
            TrainingError: Another process has died.
        """
        if self.size == 1:
            return make()
        told = [make() if self.first else None]
        with _talking():
            distributed.broadcast_object_list(told)
        return told[0]  # type: ignore[return-value]


ALONE = Processes()
"""No other process takes part."""


@contextlib.contextmanager
def started_by_torchrun() -> Iterator[Processes]:
    """Meet the other processes that torchrun started; alone when it started one or none.

    Raises:
        TrainingError: They cannot be reached.
    """
    if not was_started_by_torchrun() or _environment("WORLD_SIZE") == 1:
        yield ALONE
        return
    # Figures on a CPU go through gloo, also where the gradients are on GPUs.
    nccl = torch.cuda.is_available() and distributed.is_nccl_available()
    try:
        distributed.init_process_group("cpu:gloo,cuda:nccl" if nccl else "gloo")
    except RuntimeError as error:
        raise TrainingError(
            f"the processes of this run cannot reach each other: {str(error).splitlines()[0]}",
            hint="see how torchrun is started on several machines: torchrun --help; where a "
            "machine has several networks, GLOO_SOCKET_IFNAME names the one to take",
        ) from error
    yield Processes(
        rank=_environment("RANK"),
        size=_environment("WORLD_SIZE"),
        local_rank=_environment("LOCAL_RANK"),
        local_size=_environment("LOCAL_WORLD_SIZE"),
    )
    # Not after an error: the others would find this process gone, and say so, before it has said
    # what is wrong.
    distributed.destroy_process_group()


def was_started_by_torchrun() -> bool:
    """Whether torchrun started this process."""
    return distributed.is_available() and distributed.is_torchelastic_launched()


def is_first_to_fail() -> bool:
    """Whether no other process of the run has asked this before: the one that speaks for all."""
    address = os.environ["MASTER_ADDR"], _environment("MASTER_PORT")
    try:
        # The machine that has the store may be what failed, and torch tries long and with many
        # words to reach it.
        socket.create_connection(address, timeout=_STORE_SECONDS).close()
        store = distributed.TCPStore(  # type: ignore[attr-defined]
            *address,
            is_master=False,
            wait_for_workers=False,
            timeout=datetime.timedelta(seconds=_STORE_SECONDS),
        )
        asked: int = store.add(f"poetgen/failed/{os.environ['TORCHELASTIC_RESTART_COUNT']}", 1)
    except (OSError, RuntimeError):
        return _environment("LOCAL_RANK") == 0  # One on each machine speaks.
    return asked == 1


def _environment(name: str) -> int:
    return int(os.environ[name])


@contextlib.contextmanager
def _talking() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # All that gloo raises; NCCL's are of a class under it.
        raise TrainingError(
            "another process of this run has died",
            hint="what was saved is intact; go on with --resume, on as many processes as you like",
        ) from error
