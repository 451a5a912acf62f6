"""A network while it learns: one step changes its weights, and here is all that a step changes.

Knows no corpus, no files, no clock: which batch comes when, what is kept and what is shown is the
trainer's business. Each idea that a step is made of has a file of its own: the loss in
`optimization` and `cross_entropy`, what is fed back in `teacher_forcing`, `clipping`, `averaging`;
the processes that share a batch in `distributed`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from poetgen.dataset.batches import Sequences
from poetgen.models.network import Network, State, load_arrays, to_arrays
from poetgen.training.averaging import add_to_average, averaged
from poetgen.training.clipping import clip_gradients
from poetgen.training.distributed import ALONE, Processes
from poetgen.training.optimization import loss_and_state, make_optimizer
from poetgen.training.options import TrainingOptions
from poetgen.training.progress import Learned
from poetgen.training.resume import Snapshot, restore
from poetgen.training.teacher_forcing import draws_for


class Learner:
    """A network, its optimiser, and what is carried from step to step.

    Args:
        model: The network, on its device, initialised.
        options: The recipe.
        precision: The type of the products.
        processes: Those that learn together.

    Attributes:
        model: The network.
        optimizer: Of its parameters.
        average: The average of its weights so far, where one is kept.
        scaler: Keeps gradients of fp16 above zero; idle in other types.
    """

    def __init__(
        self,
        model: Network,
        options: TrainingOptions,
        precision: torch.dtype = torch.float32,
        processes: Processes = ALONE,
    ) -> None:
        self.model = model
        self.optimizer = make_optimizer(model, options)
        self.average = averaged(model) if options.average else None
        self._device = model.embedding.weight.device
        self.scaler = torch.amp.GradScaler(self._device.type, enabled=precision == torch.float16)
        self._autocast = torch.autocast(
            self._device.type, dtype=precision, enabled=precision != torch.float32
        )
        self._options = options
        self._processes = processes
        # Of a stream: the state of this process' rows after the last piece, and all rows there are.
        self._carried: State | None = None
        self._rows = 0

    @property
    def measured(self) -> Network:
        """What is validated, shown and kept: the network, or the average of its weights so far."""
        return self.model if self.average is None else self.average

    def begin(self, found: Snapshot | None) -> None:
        """Start as every process does: from a snapshot, or with the first one's weights."""
        processes = self._processes
        if found is None:
            # Unlike machines may round unlike when they draw orthogonal matrices.
            load_arrays(self.model, processes.from_first(lambda: to_arrays(self.model)))
            return
        restore(found, self.model, self.optimizer, self.average)
        if found.position.scaler:
            self.scaler.load_state_dict(found.position.scaler)
        if found.carried:
            self._rows = found.carried[0].shape[1]
            mine = processes.rows_of(self._rows)
            self._carried = tuple(
                torch.from_numpy(array[:, mine]).to(self._device).contiguous()
                for array in found.carried
            )

    def step(self, batch: Sequences, number: int, share: float) -> Learned:
        """Learn from a batch.

        Args:
            batch: All of it; this process takes its rows.
            number: Steps made before this one. With the seed, it decides every draw.
            share: The share of the budget that was used before.

        Raises:
            TrainingError: Another process has died.
            RuntimeError: Memory is out, say.
        """
        options, processes = self._options, self._processes
        learning_rate = options.learning_rate_at(number, share)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        # Dropout draws from torch's global generator. Seeded by the step, it needs no keeping.
        torch.manual_seed(processes.seed(options.seed * 1_000_003 + number))
        forced = options.teacher_forcing_at(share)
        draws = draws_for(batch, forced, options.seed, number)
        mine, part = processes.share_of(batch)
        self._rows = len(batch.inputs)
        with self._autocast:
            loss, state = loss_and_state(
                self.model,
                mine,
                self._device,
                options.label_smoothing,
                state=None if batch.first else self._carried,
                draws=None if draws is None else draws.rows(processes.rows_of(self._rows)),
            )
        if options.bptt:
            # Detached, no gradient goes further back; in fp32, it is the same after a snapshot.
            self._carried = tuple(_detached(tensor) for tensor in state)
        loss = part * loss
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(self.scaler.scale(loss))
        loss = processes.sum_gradients(self.model, loss)
        self.scaler.unscale_(self.optimizer)
        norm, clipped = clip_gradients(
            self.model.parameters(), options.clip_norm, options.clip_value
        )
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            add_to_average(self.average, self.model, options.average, number + 1)
        return Learned(learning_rate, forced, loss, norm, clipped)

    def carried(self) -> State:
        """The state that the next piece of a stream begins with, of all processes' rows.

        Every process must ask for it at the same step.
        """
        return tuple(self._processes.all_rows(tensor, self._rows) for tensor in self._carried or ())


def _detached(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    return tensor.float() if tensor.is_floating_point() else tensor
