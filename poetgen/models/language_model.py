"""The network: token vectors, recurrent layers, one score a token of the vocabulary.

It knows ids, never characters, and nothing of losses, batches or files.

Shapes: B poems side by side, T tokens, E embedding_size, H hidden_size, V vocabulary_size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from poetgen.models.cells import cell_named
from poetgen.models.config import ModelConfig
from poetgen.models.dropout import drop_recurrent_weights, embed_with_dropout, locked_dropout

if TYPE_CHECKING:
    from poetgen.checkpoint import Checkpoint

State = tuple[Tensor, ...]
"""What a network carries from step to step: `Cell.states` tensors of shape (num_layers, B, H)."""

_EMBEDDING_SCALE = 0.05
# Standard deviation of the token vectors at the start. Tied, they are the output layer too: small
# ones leave the first predictions to the output bias, which holds the plain frequencies.


class OutputLayer(nn.Module):
    """A score for every token. Tied to the embedding, it has a bias of its own and no weight."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        shape = config.parameter_shapes().get("output.weight")
        self.weight = None if shape is None else nn.Parameter(torch.zeros(shape))
        self.bias = nn.Parameter(torch.zeros(config.vocabulary_size))

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        """Score `features` (…, E when tied, else H) against every token: (…, V)."""
        weight = embedding if self.weight is None else self.weight
        return functional.linear(features, weight, self.bias)


class LanguageModel(nn.Module):
    """A recurrent network that says, after each token, how likely every next token is.

    Its `state_dict` has exactly the names and shapes of `ModelConfig.parameter_shapes()`.

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

    def logits(self, hidden: Tensor) -> Tensor:
        """The unnormalised log-probabilities of the next token: (…, H) to (…, V).

        Apart from `hidden`, so that training can score the real positions of a batch and no
        others: at a vocabulary of thousands this product is most of a small network's work.
        """
        features = hidden if self.projection is None else self.projection(hidden)
        scores: Tensor = self.output(features, self.embedding.weight)
        return scores

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Score every next token.

        Args:
            ids: Tokens, (B, T) int64.
            state: What an earlier call left; None starts from zeros.

        Returns:
            Logits, (B, T, V), at t for the token after `ids[:, t]`, and the state.
        """
        hidden, state = self.hidden(ids, state)
        return self.logits(hidden), state

    @torch.no_grad()
    def initialise(self, token_counts: np.ndarray | None = None, seed: int = 0) -> None:
        """Give every parameter the value that training starts from.

        Matrices into a layer are Glorot uniform, recurrent ones orthogonal (or the identity)
        for each gate by itself, biases zero but the LSTM's forget gate. The output bias starts at
        the log frequencies of the tokens, so that no step is spent on learning how common 不 is:
        the first loss is the entropy of the frequencies, about 6.9 nats where zeros give 8.9.

        Args:
            token_counts: How often each token is predicted in training, (V,); None for no bias.
            seed: Of a generator of its own; torch's global one is not touched.
        """
        generator = torch.Generator().manual_seed(seed)
        hidden, gates = self.config.hidden_size, cell_named(self.config.cell).gates
        for name, parameter in self.named_parameters():
            if name == "embedding.weight":
                parameter.normal_(0.0, _EMBEDDING_SCALE, generator=generator)
            elif "weight_hh" in name:
                for gate in parameter.chunk(gates):
                    if self.config.recurrent_init == "identity":
                        nn.init.eye_(gate)
                    else:
                        nn.init.orthogonal_(gate, generator=generator)
            elif "weight_ih" in name:
                for gate in parameter.chunk(gates):
                    nn.init.xavier_uniform_(gate, generator=generator)
            elif parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter, generator=generator)
            else:
                parameter.zero_()
        if self.config.cell == "lstm":
            # Of the two biases that torch adds up, one is enough. Gate order: i f g o.
            for layer in range(self.config.num_layers):
                bias = self.recurrent.get_parameter(f"bias_ih_l{layer}")
                bias[hidden : 2 * hidden] = self.config.forget_bias
        if token_counts is not None:
            counts = torch.as_tensor(np.asarray(token_counts, dtype=np.float64)) + 1.0
            self.output.bias.copy_((counts / counts.sum()).log())


def to_arrays(model: LanguageModel) -> dict[str, np.ndarray]:
    """A copy of every parameter as a float32 array, by its name in a checkpoint."""
    return {
        name: tensor.detach().to("cpu", torch.float32, copy=True).numpy()
        for name, tensor in model.state_dict().items()
    }


def load_arrays(model: LanguageModel, arrays: dict[str, np.ndarray]) -> None:
    """Fill a network with what `to_arrays` gave."""
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})


def from_checkpoint(checkpoint: Checkpoint, device: str | torch.device = "cpu") -> LanguageModel:
    """The network of a checkpoint, on `device`, ready to predict: no dropout, no gradients."""
    model = LanguageModel(checkpoint.model)
    # A checkpoint's arrays may be read-only (mapped from its file), which torch warns about.
    load_arrays(model, {name: np.array(array) for name, array in checkpoint.arrays.items()})
    return model.to(device).eval().requires_grad_(False)
