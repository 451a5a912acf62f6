"""From what an encoder knows of each token to one vector for the whole text.

`last` takes where the encoder ended: [a_n; b_1] of a bidirectional one. All that is known of the
text must have come through the recurrence to there.

`attention` takes a mean of the outputs o_1 … o_n in which each counts as much as the network
thinks it matters (Yang et al. 2016, https://aclanthology.org/N16-1174, after Bahdanau, Cho & Bengio
2015, https://arxiv.org/abs/1409.0473):

    u_t = tanh(W o_t + b)
    α_t = exp(v · u_t) / Σ_s exp(v · u_s)        over real tokens, not padding
    pooled = Σ_t α_t o_t

v asks "how telling is this token?" of them all alike; there is no decoder whose state could ask.
The α say where the network looked.

Shapes: B texts side by side, S tokens of the longest, D output_size of the encoder.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from poetgen.models.encoder import Encoded

POOLINGS = ("last", "attention")


class Pooling(nn.Module, ABC):
    """Makes one vector of an encoded text."""

    @abstractmethod
    def forward(self, encoded: Encoded, mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """Pool.

        Args:
            encoded: Of B texts.
            mask: (B, S) bool, which places hold tokens; at least one of each text.

        Returns:
            (B, D), and what each token counted, (B, S), 0 at the padding and 1 in the sum; None
            where that is not known.
        """

    @abstractmethod
    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Give every parameter the value that training starts from."""


class LastStep(Pooling):
    """Where the encoder ended."""

    def forward(self, encoded: Encoded, mask: Tensor) -> tuple[Tensor, None]:
        """See `Pooling.forward`."""
        return encoded.last, None

    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Do nothing: it has no parameters."""


class AttentionPooling(Pooling):
    """A mean of the outputs, weighted by a learned question.

    Args:
        size: D; the tokens are asked in as many dimensions.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.key = nn.Linear(size, size)
        self.query = nn.Parameter(torch.zeros(size))

    def forward(self, encoded: Encoded, mask: Tensor) -> tuple[Tensor, Tensor]:
        """See `Pooling.forward`."""
        scores = torch.tanh(self.key(encoded.outputs)) @ self.query  # (B, S)
        weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=1)
        return (weights.unsqueeze(1) @ encoded.outputs).squeeze(1), weights  # (B, D), (B, S)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Start from the plain mean: the question is zero, so every token counts alike."""
        nn.init.xavier_uniform_(self.key.weight, generator=generator)
        self.key.bias.zero_()
        self.query.zero_()


def pooling_named(name: str, size: int) -> Pooling:
    """The pooling of a name in `POOLINGS`, for outputs of `size` numbers."""
    return AttentionPooling(size) if name == "attention" else LastStep()
