"""Attention: a decoder looks at each token of its source as much as it finds it of use.

An encoder that hands over one vector must put a whole text into it. Attention (Bahdanau, Cho &
Bengio 2015, https://arxiv.org/abs/1409.0473) keeps o_1 … o_S, what the encoder knows of each token,
and lets every step of the decoder take a mean of them with weights of its own,

    e_ts = (W_q h_t) · (W_k o_s) / √A         how well token s answers what step t asks
    α_ts = exp(e_ts) / Σ_s' exp(e_ts')        over the tokens that step t may see
    c_t  = Σ_s α_ts o_s                       what it takes from them

h_t is the decoder's output after it has read its last token (Luong, Pham & Manning 2015,
https://arxiv.org/abs/1508.04025; Bahdanau's asks with h_{t-1}, with a small network in place of
the product). Then nothing in the recurrence waits for c_t, and under teacher forcing all steps of
all lines attend at once. The score is Luong's "general" one, h_t' W o_s, with W in two factors; it
is divided by √A as in Vaswani et al. (2017, https://arxiv.org/abs/1706.03762), since the sum of A
products of unit size has that for its size, and a softmax of large numbers has no gradient.

(W_q h) · (W_k o) = (W_k' W_q h) · o, and so it is computed: the keys W_k o_s need not be kept
while a line is written.

Shapes: B poems side by side, T steps that ask, S tokens of a source, H width of a query's state, D
width of a source's token, A width of the space in which they meet.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Query and key projections, and a softmax.

    Args:
        query_size: H.
        source_size: D.
        size: A.
    """

    def __init__(self, query_size: int, source_size: int, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, size, bias=False)
        self.key = nn.Linear(source_size, size, bias=False)

    def forward(self, states: Tensor, source: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Look at the source.

        Args:
            states: What asks, (B, T, H).
            source: What is asked, (B, S, D).
            visible: (B, T, S) bool, what each step may see: one token at least.

        Returns:
            c, (B, T, D), and α, (B, T, S), 0 where nothing may be seen and 1 in the sum.
        """
        asked = self.query(states) @ self.key.weight  # (B, T, D)
        scores = asked @ source.transpose(1, 2) / math.sqrt(len(self.key.weight))  # (B, T, S)
        weights = torch.softmax(scores.masked_fill(~visible, -torch.inf), dim=2)
        return weights.to(source.dtype) @ source, weights

    @torch.no_grad()
    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Give both matrices the values that training starts from: Glorot uniform."""
        for parameter in self.parameters():
            nn.init.xavier_uniform_(parameter, generator=generator)
