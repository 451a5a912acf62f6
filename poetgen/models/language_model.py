"""The network: token vectors, recurrent layers, one score a token of the vocabulary.

It knows ids, never characters, and nothing of losses, batches or files.

Shapes: B poems side by side, T tokens, E embedding_size, H hidden_size, V vocabulary_size.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from poetgen.models.cells import cell_named
from poetgen.models.conditioning import Conditioning, in_groups
from poetgen.models.config import ModelConfig
from poetgen.models.deep_output import DeepOutput
from poetgen.models.dropout import drop_recurrent_weights, embed_with_dropout, locked_dropout
from poetgen.models.initialisation import initialise_recurrent
from poetgen.models.network import Network, OutputLayer, Scored, State
from poetgen.models.stopping import LengthStop, build_stop

_EMBEDDING_SCALE = 0.05
# Standard deviation of the token vectors at the start. Tied, they are the output layer too: small
# ones leave the first predictions to the output bias, which holds the plain frequencies.


class LanguageModel(Network):
    """Token vectors, recurrent layers one on top of the other, a score for every token.

    Around these, each in a module of its own and None where it is not asked for: what tells it the
    context, the layers of a deep output, and what decides where a poem ends.

    Args:
        config: The shape of the network. `initialise` fills it with the weights to train from,
            `load_state_dict` or `from_checkpoint` with trained ones.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size)
        self.recurrent = cell_named(config.cell).build(config)
        self.context = Conditioning(config) if config.condition != "prefix" else None
        self.deep_output = DeepOutput(config) if config.output_depth > 1 else None
        self.projection = (
            nn.Linear(config.hidden_size, config.embedding_size, bias=False)
            if config.needs_projection
            else None
        )
        self.output = OutputLayer(config)
        self.stop = build_stop(config)

    def start(self, n: int) -> State:
        """The state of `n` rows that have read nothing.

        It has three parts, of which any may be empty: of the cell, zeros, (num_layers, n, H) each;
        what was told, (·, n) each; and what is left of the poem, (2, n).
        """
        device = self.embedding.weight.device
        state = self._zeros(n)
        if self.context is not None:
            state += self.context.start(n, device)
        if isinstance(self.stop, LengthStop):
            state += self.stop.start(n, device)
        return state

    def hidden(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run the recurrent layers.

        Args:
            ids: Tokens, (B, T) int64.
            state: What an earlier call left; None for the start.

        Returns:
            The last layer's output, (B, T, H), or (B, T, H + 1) where the next decision is not
            always one for a token (`poetgen.models.stopping`), zeros where a context was read that
            does not go through them; and the state after the last token.
        """
        recurrent, told, counted = self._parts(state)
        added, read = None, 0
        if self.context is not None:
            if state is not None and told is not None and not self.context.is_even(told):
                return in_groups(self.hidden, ids, state, told)
            read, complete, told = self.context.read(ids, told)
            ids = ids[:, read:]
            added, initial = self.context.vectors(told, self.embedding, complete=complete)
            recurrent = initial if initial is not None else recurrent
            if not ids.shape[1]:
                return self._nothing_yet(read, recurrent, told, counted)
        vectors = self._embed(ids)  # (B, T, E)
        if added is not None:
            vectors = vectors + added.unsqueeze(1)
        decisions = None
        if isinstance(self.stop, LengthStop):
            counts = self.stop.count(ids, counted)
            vectors = vectors.masked_fill(counts.is_length, 0.0) + counts.vectors
            decisions, counted = counts.decisions, counts.state
        hidden, recurrent = self._run(vectors, recurrent)
        if decisions is not None:
            hidden = torch.cat((hidden, decisions), dim=2)
        if read:
            hidden = functional.pad(hidden, (0, 0, read, 0))
        return hidden, (*recurrent, *(told or ()), *(counted or ()))

    def features(self, hidden: Tensor) -> Tensor:
        """The last layer's output, (…, H), as wide as the output layer wants it."""
        if self.stop is not None:
            hidden = hidden[..., : self.config.hidden_size]
        if self.deep_output is not None:
            hidden = self.deep_output(hidden)
        return hidden if self.projection is None else self.projection(hidden)

    def logits(self, hidden: Tensor) -> Tensor:
        """The unnormalised log-probabilities of the next token: (…, F) to (…, V)."""
        if self.stop is None:
            return super().logits(hidden)
        features = self.features(hidden)
        scores = self.output(features, self.embedding.weight)
        return self.stop.logits(features, self._decisions(hidden), scores)

    def scored(self, hidden: Tensor, targets: Tensor) -> Scored:
        """What the loss needs of N positions, from (N, F) and the tokens that came, (N,)."""
        plain = super().scored(hidden, targets)
        if self.stop is None:
            return plain
        features, weight, bias, _, _ = plain
        return self.stop.scored(features, self._decisions(hidden), targets, weight, bias)

    def _parts(self, state: State | None) -> tuple[State | None, State | None, State | None]:
        """The parts of a state; see `start`. None for what starts, or is not there."""
        if state is None:
            return None, None, None
        first = cell_named(self.config.cell).states
        last = first + (0 if self.context is None else self.context.states)
        return state[:first], state[first:last] or None, state[last:] or None

    def _nothing_yet(
        self, read: int, recurrent: State | None, told: State, counted: State | None
    ) -> tuple[Tensor, State]:
        """What `hidden` gives for a context, or a part of it, and nothing else."""
        n = told[0].shape[1]
        if isinstance(self.stop, LengthStop) and counted is None:
            counted = self.stop.start(n, told[0].device)
        recurrent = self._zeros(n) if recurrent is None else recurrent
        width = self.config.hidden_size + isinstance(self.stop, LengthStop)
        hidden = self.embedding.weight.new_zeros(n, read, width)
        return hidden, (*recurrent, *told, *(counted or ()))

    def _zeros(self, n: int) -> State:
        config = self.config
        zeros = self.embedding.weight.new_zeros(config.num_layers, n, config.hidden_size)
        return (zeros,) * cell_named(config.cell).states

    def _decisions(self, hidden: Tensor) -> Tensor:
        return hidden[..., self.config.hidden_size :]

    def _embed(self, ids: Tensor) -> Tensor:
        """The tokens' vectors, (B, T, E)."""
        if self.training:
            return embed_with_dropout(self.embedding, ids, self.config.embedding_dropout)
        vectors: Tensor = self.embedding(ids)
        return vectors

    def _run(self, inputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Run the recurrent layers over vectors, (B, T, E) to (B, T, H)."""
        # torch packs a single state bare (rnn, gru) and several in a tuple (lstm).
        packed = state[0] if state is not None and len(state) == 1 else state
        hidden: Tensor  # (B, T, H)
        if self.training:
            config = self.config
            inputs = locked_dropout(inputs, config.dropout)
            dropped = drop_recurrent_weights(self.recurrent, config.weight_drop)
            hidden, after = functional_call(self.recurrent, dropped, (inputs, packed))
            hidden = locked_dropout(hidden, config.dropout)
        else:
            hidden, after = self.recurrent(inputs, packed)
        return hidden, (after if isinstance(after, tuple) else (after,))

    @torch.no_grad()
    def initialise(self, token_counts: np.ndarray | None = None, seed: int = 0) -> None:
        """Give every parameter the value that training starts from.

        Of the recurrent layers see `poetgen.models.initialisation`; other matrices are Glorot
        uniform, biases zero but the output's, which starts at the tokens' frequencies.

        Args:
            token_counts: How often each token is predicted in training, (V,); None for no bias.
            seed: Of a generator of its own; torch's global one is not touched.
        """
        generator = torch.Generator().manual_seed(seed)
        self.embedding.weight.normal_(0.0, _EMBEDDING_SCALE, generator=generator)
        initialise_recurrent(self.recurrent, self.config, generator)
        for name, parameter in self.named_parameters():
            if name.startswith(("embedding.", "recurrent.")):
                continue
            if parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter, generator=generator)
            else:
                parameter.zero_()
        if token_counts is not None:
            self.output.start_at(token_counts)
            if self.stop is not None:
                self.stop.start_at(token_counts)
