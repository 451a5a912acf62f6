"""Deep output: layers between the state and the scores (`--output-depth N`).

A plain recurrent network scores the next token with one product, y_t = V h_t: the state has to hold
the summary of what was read in a form from which each token can be told by a plane. With N - 1
layers between,

    o_0 = h_t,    o_i = relu(A_i o_{i-1} + a_i)  for i = 1 … N - 1,    y_t = V o_{N-1}

the state is free to hold it as suits the recurrence, and the layers unfold it (the DO-RNN of
Pascanu, Gulcehre, Cho & Bengio 2014, https://arxiv.org/abs/1312.6026, section 3.3). They are as
wide as the state. When the output is tied to an embedding of another width, its projection comes
after them.

They act on each position by itself, so that training runs them on the real ones only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from poetgen.models.config import ModelConfig


class DeepOutput(nn.ModuleList):
    """The N - 1 hidden layers of an output of depth N, H wide each."""

    def __init__(self, config: ModelConfig) -> None:
        size = config.hidden_size
        super().__init__(nn.Linear(size, size) for _ in range(config.output_depth - 1))

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, H) to (…, H)."""
        for layer in self:
            hidden = torch.relu(layer(hidden))
        return hidden
