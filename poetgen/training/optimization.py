"""One step of learning: what is minimised, and by what. Knows batches, no files and no time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from poetgen.dataset.batches import Sequences
from poetgen.models.network import Network, State
from poetgen.training.cross_entropy import output_loss
from poetgen.training.options import TrainingOptions
from poetgen.training.teacher_forcing import Draws, feed_back


def make_optimizer(model: nn.Module, options: TrainingOptions) -> torch.optim.AdamW:
    """AdamW over a network's parameters.

    Weight decay is for the matrices between layers. Biases hold frequencies and gates that should
    not drift to zero, and a rare character's vector would be shrunk at every step of the many
    in which it does not occur.
    """
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.dim() == 2 and not name.endswith("embedding.weight")
        (decayed if is_matrix else free).append(parameter)
    # On a CPU, fused takes 4 ms for a network of `small` size where the loop takes 22 and
    # foreach 37.
    return torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": options.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ],
        lr=options.learning_rate,
        fused=True,
    )


def batch_loss(
    model: Network, batch: Sequences, device: torch.device, label_smoothing: float = 0.0
) -> Tensor:
    """The loss of a batch that is read as it is; see `loss_and_state`."""
    return loss_and_state(model, batch, device, label_smoothing)[0]


def loss_and_state(
    model: Network,
    batch: Sequences,
    device: torch.device,
    label_smoothing: float = 0.0,
    *,
    state: State | None = None,
    draws: Draws | None = None,
) -> tuple[Tensor, State]:
    """The mean cross entropy, in nats a token, of a batch's real tokens.

    With label smoothing a target is not all its token's: a share of it is every token's alike.

    Only the hidden states at real positions are scored, so padding costs no output product and
    cannot reach the loss; nor do the places of the context, which is given, not to be guessed.

    Args:
        model: The network.
        batch: What it reads and is to predict.
        device: Where the network is.
        label_smoothing: As said.
        state: What it starts from; None for its start.
        draws: Which inputs are to be the network's own output; None for none of them.

    Returns:
        The loss, and the state after the last input, which its gradient still leads through.
    """
    real = np.flatnonzero(batch.mask)
    empty = not len(real)
    if empty:  # A piece of a stream in which nothing is to be predicted.
        real = np.zeros(1, np.int64)
    targets = torch.from_numpy(batch.targets.reshape(-1)[real]).to(device, non_blocking=True)
    width = batch.context.shape[1]
    ids = torch.from_numpy(np.concatenate((batch.context, batch.inputs), axis=1))
    ids = ids.to(device, non_blocking=True)
    if draws is not None:
        told, inputs = ids[:, :width], ids[:, width:]
        ids = torch.cat((told, feed_back(model, told, inputs, draws, state)), dim=1)
    hidden, after = model.hidden(ids, state)
    hidden = hidden[:, width:]
    chosen = hidden.flatten(0, 1)[torch.from_numpy(real).to(device, non_blocking=True)]
    loss = output_loss(model, chosen, targets, label_smoothing)
    return (0.0 * loss if empty else loss), after


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch failed for want of memory; on a CPU it has no exception of its own for it."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
