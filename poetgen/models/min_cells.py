"""minGRU and minLSTM: gates that see the input alone, so that all steps are trained at once.

The recurrence of a GRU or an LSTM has to be made step by step, since the gates of a step wait for
the state of the one before. Feng et al. (2024, "Were RNNs All We Needed?",
https://arxiv.org/abs/2410.01201) take the state out of the gates. What is left of it is
h_t = a_t * h_{t-1} + b_t, number by number, which `poetgen.models.scan` computes, and one product
of a matrix with the inputs of all steps.

    minGRU     z_t = σ(W_z x_t + b_z)               update gate: how much is new
               n_t = W_n x_t + b_n                  candidate
               h_t = (1 - z_t) * h_{t-1} + z_t * n_t

    minLSTM    f_t = σ(W_f x_t + b_f)               forget gate: how much is kept
               i_t = σ(W_i x_t + b_i)               input gate: how much is written
               n_t = W_n x_t + b_n                  candidate
               h_t = f_t / (f_t + i_t) * h_{t-1} + i_t / (f_t + i_t) * n_t

Both are a running mean of candidates whose weights the inputs choose. Neither can tell what it
kept from what it reads: that takes a second layer, to which the first one's states are inputs.

Gates and state are of fp32 under autocast too; only the product is made in bf16.

Shapes: B poems side by side, T steps, I features in, H units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid

from poetgen.models.scan import linear_scan


class _MinCell(nn.Module):
    """What the two have in common: one product with the inputs, and the recurrence.

    Args:
        inputs: Width of what it reads.
        hidden_size: Width of its state.
    """

    gates: int

    def __init__(self, inputs: int, hidden_size: int) -> None:
        super().__init__()
        self.weight_ih_l0 = nn.Parameter(torch.zeros(self.gates * hidden_size, inputs))
        self.bias_ih_l0 = nn.Parameter(torch.zeros(self.gates * hidden_size))

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, T, I) and (1, B, H), None for zeros, to (B, T, H) and (1, B, H)."""
        # By time, so that a step is one piece of memory.
        sums = linear(inputs.transpose(0, 1), self.weight_ih_l0)  # (T, B, gates·H)
        sums = sums.to(self.bias_ih_l0.dtype) + self.bias_ih_l0
        keep, new = self.gated(sums)  # (T, B, H)
        h0 = torch.zeros_like(new[0]) if state is None else state[0].to(new.dtype)
        states = linear_scan(keep, new, h0)
        return states.transpose(0, 1), states[-1:]

    def gated(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        """What the state is multiplied with and what is added: (…, gates·H) to two (…, H)."""
        raise NotImplementedError


class MinGRU(_MinCell):
    """A layer of minGRU. Its parameters' rows: z n."""

    gates = 2

    def gated(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        """(…, 2 H) to 1 - z and z * n."""
        update, candidate = sums.chunk(2, dim=-1)
        z = torch.sigmoid(update)
        return 1 - z, z * candidate


class MinLSTM(_MinCell):
    """A layer of minLSTM. Its parameters' rows: f i n."""

    gates = 3

    def gated(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        """(…, 3 H) to the two shares, f / (f + i), and i / (f + i) * n."""
        forget, write, candidate = sums.chunk(3, dim=-1)
        # f / (f + i) = σ(ln f - ln i), which divides nothing by nothing when both gates are shut.
        keep = torch.sigmoid(logsigmoid(forget) - logsigmoid(write))
        return keep, (1 - keep) * candidate
