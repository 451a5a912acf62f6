"""A reader of whole texts: what each token means, given all that stands before and after it.

A language model must not see what comes next; a network that only reads may. A bidirectional
encoder (Schuster & Paliwal 1997, https://doi.org/10.1109/78.650093) has two recurrent layers side
by side, one from the first token to the last and one back. Of a text x_1 … x_n, with f and g cells
of the same kind and with parameters of their own,

    a_t = f(x_t, a_{t-1})    t = 1 … n,  from a_0 = 0
    b_t = g(x_t, b_{t+1})    t = n … 1,  from b_{n+1} = 0
    o_t = [a_t; b_t]                     what is known of token t
    last = [a_n; b_1]                    what is known of all: where each direction ended

In one direction o_t = a_t and last = a_n. A further layer reads o_t in place of x_t.

Texts of unlike length stand in one batch, padded on the right. The way back begins at each text's
own last token: its tokens are turned round in place, n first and 1 last, and the padding stays
where it is, behind everything that counts. So both directions are plain layers that read from the
left, no state ever passes through padding, and nothing need be packed.

Shapes: B texts side by side, S tokens of the longest, E embedding_size, H hidden_size, and D, 2 H
in both directions and H in one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from poetgen.models.cells import cell_named
from poetgen.models.config import ModelConfig
from poetgen.models.dropout import locked_dropout
from poetgen.models.initialisation import initialise_recurrent
from poetgen.models.shapes import single_layer

EMBEDDING_SCALE = 0.3
"""Standard deviation of the token vectors at the start. There is no output layer tied to them, as
in a language model, that would need them small."""


class Encoded(NamedTuple):
    """What an encoder makes of a batch of texts.

    Attributes:
        outputs: (B, S, D), of every token; zeros at the padding.
        last: (B, D), of the whole text.
    """

    outputs: Tensor
    last: Tensor


class BothWays(nn.Module):
    """Recurrent layers that read sequences of vectors in both directions, or in one.

    Args:
        config: Their shape and number, as of a language model. Its dropout is the share of units
            dropped in training on the way into each layer and out of the last, the same at every
            step (`poetgen.models.dropout`).
        bidirectional: Whether to read backwards too.
    """

    def __init__(self, config: ModelConfig, bidirectional: bool = True) -> None:
        super().__init__()
        self.bidirectional, self.dropout = bidirectional, config.dropout
        self.output_size = config.hidden_size * (2 if bidirectional else 1)
        """D."""
        self._config = config

        def layers() -> nn.ModuleList:
            built = nn.ModuleList()
            for i in range(config.num_layers):
                width = self.output_size if i else config.embedding_size
                built.append(cell_named(config.cell).build(single_layer(config, width)))
            return built

        self.onward = layers()
        self.back = layers() if bidirectional else None

    def run(self, inputs: Tensor, turned: Tensor) -> Tensor:
        """Read vectors.

        Args:
            inputs: (B, S, E).
            turned: (B, S) int64, where each place takes its vector from on the way back. Turned
                twice, a row must be as it was.

        Returns:
            (B, S, D).
        """
        outputs = inputs
        for i, onward in enumerate(self.onward):
            outputs = self._drop(outputs)
            ways = [onward(outputs)[0]]  # (B, S, H)
            if self.back is not None:
                # Turned round, read, and turned round again: turning twice changes nothing.
                ways.append(_take(self.back[i](_take(outputs, turned))[0], turned))
            made = torch.cat(ways, dim=2)  # (B, S, D)
            outputs = made + outputs if i and self._config.residual else made
        return self._drop(outputs)

    def ends(self, outputs: Tensor, last: Tensor, first: Tensor) -> Tensor:
        """Where each direction ended.

        Args:
            outputs: What `run` gave, (B, S, D).
            last: (B, n) int64, the places where the way onward ended.
            first: (B, n) int64, the places where the way back ended.

        Returns:
            (B, n, D).
        """
        ends = _take(outputs, last)
        if self.back is None:
            return ends
        H = self.output_size // 2
        return torch.cat((ends[..., :H], _take(outputs[..., H:], first)), dim=2)

    def _drop(self, features: Tensor) -> Tensor:
        return locked_dropout(features, self.dropout) if self.training else features

    @torch.no_grad()
    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Give every parameter the value that training starts from.

        Args:
            generator: Where the numbers come from; None for torch's global one.
        """
        for layers in (self.onward, self.back or ()):
            for layer in layers:
                initialise_recurrent(layer, self._config, generator)


class Encoder(BothWays):
    """Token vectors and recurrent layers that read texts in both directions, or in one.

    Args:
        vocabulary_size: Number of tokens.
        embedding_size: Width of a token's vector.
        hidden_size: Width of the state of each layer and direction.
        cell: A name in `poetgen.models.cells.CELLS`.
        num_layers: Layers, one on top of the other.
        bidirectional: Whether to read backwards too.
        dropout: As of `BothWays`.

    Raises:
        TrainingError: A value out of range; the message names the flag that sets it.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        cell: str = "gru",
        num_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
    ) -> None:
        config = ModelConfig(
            cell=cell,
            vocabulary_size=vocabulary_size,
            embedding_size=embedding_size,
            hidden_size=hidden_size,
            num_layers=num_layers,
            dropout=dropout,
        )
        super().__init__(config, bidirectional)
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)

    def forward(self, ids: Tensor, lengths: Tensor) -> Encoded:
        """Read texts.

        Args:
            ids: (B, S) int64, padded on the right with any id.
            lengths: (B,) int64, tokens of each text, from 1 to S.
        """
        return self.read(self.embedding(ids), lengths)

    def read(self, inputs: Tensor, lengths: Tensor) -> Encoded:
        """Read texts that are vectors already: (B, S, E), and their lengths, (B,), from 1 to S."""
        S = inputs.shape[1]
        real = mask_of(lengths, S)  # (B, S)
        outputs = self.run(inputs, _turned(lengths, S)) * real.unsqueeze(2)  # (B, S, D)
        last = lengths.unsqueeze(1) - 1  # (B, 1)
        return Encoded(outputs, self.ends(outputs, last, torch.zeros_like(last)).squeeze(1))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator | None = None) -> None:
        """As `BothWays.initialise`, and the token vectors."""
        self.embedding.weight.normal_(0.0, EMBEDDING_SCALE, generator=generator)
        super().initialise(generator)


def mask_of(lengths: Tensor, size: int) -> Tensor:
    """Which places of a padded batch hold tokens: lengths (B,) to (B, size) bool."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


def _turned(lengths: Tensor, size: int) -> Tensor:
    """Where each place takes its token from to turn texts round: (B, size) int64.

    Of a text of 3 among 5 places: 2 1 0 3 4.
    """
    places = torch.arange(size, device=lengths.device)
    return torch.where(mask_of(lengths, size), lengths.unsqueeze(1) - 1 - places, places)


def _take(features: Tensor, places: Tensor) -> Tensor:
    """(B, S, F) at places (B, n): (B, n, F), row by row."""
    return features.gather(1, places.unsqueeze(2).expand(-1, -1, features.shape[2]))
