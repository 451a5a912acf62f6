"""The two networks that poetgen's own is measured against.

Both take ids (B, T) and a state and give logits (B, T, V) and a state, as
`poetgen.training.evaluation.perplexity` wants it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from poetgen.errors import TrainingError

_HEAD = 64


class CommonLSTM(nn.Module):
    """The network of the common recipe, as torch initialises it."""

    def __init__(self, vocabulary: int, embedding: int = 128, hidden: int = 256) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.recurrent = nn.LSTM(embedding, hidden, num_layers=2, batch_first=True)
        self.output = nn.Linear(hidden, vocabulary)

    def forward(
        self, ids: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        hidden, state = self.recurrent(self.embedding(ids), state)
        return self.output(hidden), state


@dataclass(frozen=True)
class TransformerShape:
    """The sizes of a Transformer.

    Attributes:
        vocabulary: Tokens.
        positions: The longest text that it can read.
        width: Of the residual stream.
        layers: Blocks of attention and feed-forward network.
        heads: Of attention; they divide the width.
        feedforward: Width of a block's inner layer.
    """

    vocabulary: int
    positions: int
    width: int
    layers: int
    heads: int
    feedforward: int

    @classmethod
    def with_parameters(
        cls, parameters: int, vocabulary: int, positions: int, width: int
    ) -> TransformerShape:
        """Find blocks of the usual proportions that make up `parameters` numbers, or just fewer.

        As many blocks as come nearest to inner layers 4 times as wide as the residual stream, and
        then the inner width that fills the number up. Heads are 64 wide (Vaswani et al. 2017).

        Raises:
            TrainingError: So few do not make one of this width.
        """
        heads = max(1, width // _HEAD)
        if width % heads:
            raise TrainingError(f"--width is {width}", hint=f"it must be a multiple of {_HEAD}")
        bare = cls(vocabulary, positions, width, 0, heads, 0).parameters
        layers = max(1, round((parameters - bare) / (12 * width**2)))
        spare = parameters - cls(vocabulary, positions, width, layers, heads, 0).parameters
        inner = spare // (layers * (2 * width + 1)) // 16 * 16  # Kernels like even sizes.
        if inner < 16:
            raise TrainingError(
                f"{parameters:,} parameters are too few for a Transformer of width {width}",
                hint="lower --width or raise --parameters",
            )
        return cls(vocabulary, positions, width, layers, heads, inner)

    @property
    def parameters(self) -> int:
        """The number of trained numbers."""
        d, f = self.width, self.feedforward
        block = (4 * d * d + 4 * d) + (2 * d * f + d + f) + 4 * d
        return (
            (self.vocabulary + self.positions) * d + self.layers * block + 2 * d + self.vocabulary
        )


class Block(nn.Module):
    """Attention, then a feed-forward network, each normalised before and added after."""

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.before_attention = nn.LayerNorm(shape.width)
        self.attention_in = nn.Linear(shape.width, 3 * shape.width)
        self.attention_out = nn.Linear(shape.width, shape.width)
        self.before_feedforward = nn.LayerNorm(shape.width)
        self.feedforward_in = nn.Linear(shape.width, shape.feedforward)
        self.feedforward_out = nn.Linear(shape.feedforward, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        B, T, d = x.shape
        mixed = self.attention_in(self.before_attention(x))
        q, k, v = mixed.view(B, T, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attention_out(seen.transpose(1, 2).reshape(B, T, d))
        inner = functional.gelu(self.feedforward_in(self.before_feedforward(x)))
        added: Tensor = x + self.feedforward_out(inner)
        return added


class Transformer(nn.Module):
    """A decoder: pre-norm, learned positions, GELU, the output tied to the embedding.

    Args:
        shape: Its sizes.
        token_counts: (V,) how often each token is predicted in training. The output's bias starts
            at the log frequencies, as poetgen's does, so that neither spends steps on them.
        seed: Of the weights.
    """

    def __init__(self, shape: TransformerShape, token_counts: Tensor, seed: int = 0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Parameter(torch.empty(shape.positions, shape.width))
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        counts = token_counts.double() + 1.0
        self.bias = nn.Parameter((counts / counts.sum()).log().float())
        # As GPT-2: 0.02, and less for what is added to the residual stream (Radford et al. 2019).
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                is_added = name.endswith(("attention_out.weight", "feedforward_out.weight"))
                scale = 0.02 / math.sqrt(2 * shape.layers) if is_added else 0.02
                nn.init.normal_(parameter, 0.0, scale, generator=generator)
            elif "bias" in name and name != "bias":
                nn.init.zeros_(parameter)

    def hidden(self, ids: Tensor) -> Tensor:
        """The last block's output, normalised: (B, T, width)."""
        x = self.embedding(ids) + self.positions[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        normed: Tensor = self.norm(x)
        return normed

    def logits(self, hidden: Tensor) -> Tensor:
        """The scores of every next token: (…, width) to (…, V)."""
        return functional.linear(hidden, self.embedding.weight, self.bias)

    def forward(self, ids: Tensor, state: tuple[()] | None = None) -> tuple[Tensor, tuple[()]]:
        if state is not None:
            raise ValueError("a Transformer reads a poem at once; raise the token budget")
        return self.logits(self.hidden(ids)), ()
