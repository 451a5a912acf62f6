"""The network whose only memory is its previous output.

    h_t = tanh(W x_t + b)

where x_t is the vector of the token that was put out at step t - 1. No matrix leads from state to
state: what the network knows of the text is the last token, and what that token was chosen to be
(Jordan 1986; Goodfellow, Bengio & Courville 2016, ch. 10.2.1, "networks with output recurrence",
https://www.deeplearningbook.org/contents/rnn.html). It is weaker than a network with a hidden
recurrence, and easier to train: under teacher forcing the previous output is the poem's own
character, so that no step waits for another, and a layer over T steps is one product. It carries
nothing, and nothing vanishes.

Of a context that is told as tokens before a poem (`--condition prefix`) only the last token could
reach the first prediction, and that is `<bos>`; told at every step (`--condition input`), it is
seen at every step.

Shapes: B poems side by side, T steps, I features in, H out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class OutputRecurrence(nn.Module):
    """One layer of the network; a further layer on top is a further layer of the same step.

    Args:
        inputs: Width of what it reads.
        hidden_size: Width of what it gives.
    """

    def __init__(self, inputs: int, hidden_size: int) -> None:
        super().__init__()
        self.weight_ih_l0 = nn.Parameter(torch.zeros(hidden_size, inputs))
        self.bias_ih_l0 = nn.Parameter(torch.zeros(hidden_size))

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(B, T, I) to (B, T, H) and the state, which is empty."""
        sums = linear(inputs, self.weight_ih_l0, self.bias_ih_l0)  # (B, T, H)
        # Under autocast the sums are of a narrow type; what is made of them is not.
        return torch.tanh(sums.to(self.bias_ih_l0.dtype)), ()
