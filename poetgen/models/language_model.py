"""The network: token vectors, recurrent layers, one score a token of the vocabulary.

It knows ids, never characters, and nothing of losses, batches or files.

Shapes: B poems side by side, T tokens, E embedding_size, H hidden_size, V vocabulary_size.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from poetgen.models.cells import cell_named
from poetgen.models.config import ModelConfig
from poetgen.models.dropout import drop_recurrent_weights, embed_with_dropout, locked_dropout
from poetgen.models.network import Network, OutputLayer, State

_EMBEDDING_SCALE = 0.05
# Standard deviation of the token vectors at the start. Tied, they are the output layer too: small
# ones leave the first predictions to the output bias, which holds the plain frequencies.


class LanguageModel(Network):
    """Token vectors, recurrent layers one on top of the other, a score for every token.

    Args:
        config: The shape of the network. `initialise` fills it with the weights to train from,
            `load_state_dict` or `from_checkpoint` with trained ones.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size)
        self.recurrent = cell_named(config.cell).build(config)
        self.projection = (
            nn.Linear(config.hidden_size, config.embedding_size, bias=False)
            if config.needs_projection
            else None
        )
        self.output = OutputLayer(config)

    def start(self, n: int) -> State:
        """The state of `n` rows that have read nothing: zeros, (num_layers, n, H) each."""
        config = self.config
        zeros = self.embedding.weight.new_zeros(config.num_layers, n, config.hidden_size)
        return (zeros,) * cell_named(config.cell).states

    def hidden(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run the recurrent layers.

        Args:
            ids: Tokens, (B, T) int64.
            state: What an earlier call left; None starts from zeros.

        Returns:
            The last layer's output, (B, T, H), and the state after the last token.
        """
        # torch packs a single state bare (rnn, gru) and several in a tuple (lstm).
        packed = state[0] if state is not None and len(state) == 1 else state
        hidden: Tensor  # (B, T, H)
        if self.training:
            config = self.config
            inputs = embed_with_dropout(self.embedding, ids, config.embedding_dropout)  # (B, T, E)
            inputs = locked_dropout(inputs, config.dropout)
            dropped = drop_recurrent_weights(self.recurrent, config.weight_drop)
            hidden, after = functional_call(self.recurrent, dropped, (inputs, packed))
            hidden = locked_dropout(hidden, config.dropout)
        else:
            hidden, after = self.recurrent(self.embedding(ids), packed)
        return hidden, (after if isinstance(after, tuple) else (after,))

    def features(self, hidden: Tensor) -> Tensor:
        """The last layer's output, (…, H), as wide as the output layer wants it."""
        return hidden if self.projection is None else self.projection(hidden)

    @torch.no_grad()
    def initialise(self, token_counts: np.ndarray | None = None, seed: int = 0) -> None:
        """Give every parameter the value that training starts from.

        Matrices into a layer are Glorot uniform, recurrent ones orthogonal (or the identity)
        for each gate by itself, biases zero but the forget gates' and the output's, which
        starts at the tokens' frequencies.

        Args:
            token_counts: How often each token is predicted in training, (V,); None for no bias.
            seed: Of a generator of its own; torch's global one is not touched.
        """
        generator = torch.Generator().manual_seed(seed)
        cell = cell_named(self.config.cell)
        for name, parameter in self.named_parameters():
            if name == "embedding.weight":
                parameter.normal_(0.0, _EMBEDDING_SCALE, generator=generator)
            elif "weight_hh" in name:
                for gate in parameter.chunk(cell.gates):
                    if self.config.recurrent_init == "identity":
                        nn.init.eye_(gate)
                    else:
                        nn.init.orthogonal_(gate, generator=generator)
            elif "weight_ih" in name:
                for gate in parameter.chunk(cell.gates):
                    nn.init.xavier_uniform_(gate, generator=generator)
            elif parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter, generator=generator)
            else:
                parameter.zero_()
                # Of the two biases that torch adds up, one is enough.
                if (
                    name.startswith("recurrent.")
                    and "bias_ih" in name
                    and cell.forget_gate is not None
                ):
                    parameter.chunk(cell.gates)[cell.forget_gate].fill_(self.config.forget_bias)
        if token_counts is not None:
            self.output.start_at(token_counts)
