"""What every network here is, whatever is inside it: ids and a state go in, scores and a state
come out. Whoever trains, measures or writes with a network knows no more of it than this.

Shapes: B poems side by side, T tokens, F features of a position, V vocabulary_size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from poetgen.checkpoint import Checkpoint
    from poetgen.models.config import ModelConfig

State: TypeAlias = tuple[Tensor, ...]
"""What a network carries from step to step: tensors whose dimension 1 is B, so that anyone can
select and repeat rows without knowing what they mean; `joined` puts rows together."""


class Scored(NamedTuple):
    """What a loss has to do with some positions: linear scores to compare, and the rest in nats.

    Attributes:
        features: (n, F) of the positions whose tokens are scored.
        weight: (v, F), a row a token; some of the vocabulary or all of it.
        bias: (v,).
        targets: (n,) int64, the rows of the tokens that came.
        nats: A sum, for all other decisions, whatever they are; None where there are none.
    """

    features: Tensor
    weight: Tensor
    bias: Tensor
    targets: Tensor
    nats: Tensor | None


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

    @torch.no_grad()
    def start_at(self, token_counts: np.ndarray) -> None:
        """Start the bias at the tokens' log frequencies, so that no step is spent on learning how
        common 不 is: the first loss is their entropy, about 6.9 nats where zeros give 8.9.

        Args:
            token_counts: How often each token is predicted in training, (V,).
        """
        counts = torch.as_tensor(np.asarray(token_counts, dtype=np.float64)) + 1.0
        self.bias.copy_((counts / counts.sum()).log())


class Network(nn.Module, ABC):
    """A network that says, after each token, how likely every next token is.

    What it reads of a poem is its context, if the vocabulary has one, then `<bos>` and the text;
    what it does with the context is its own affair. Its `state_dict` has exactly the names and
    shapes of `ModelConfig.parameter_shapes()`.

    Attributes:
        config: Its shape.
        embedding: The vectors of the tokens, (V, E).
        output: The scores of the tokens.
    """

    config: ModelConfig
    embedding: nn.Embedding
    output: OutputLayer

    @abstractmethod
    def start(self, n: int) -> State:
        """The state of `n` rows that have read nothing."""

    @abstractmethod
    def hidden(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read tokens.

        Args:
            ids: Tokens, (B, T) int64.
            state: What an earlier call left; None for `start(B)`.

        Returns:
            What the network makes of the text up to each token, (B, T, F), and the state after
            the last.
        """

    @abstractmethod
    def features(self, hidden: Tensor) -> Tensor:
        """What the output layer scores, (…, E when tied, else H), of some of `hidden`'s positions.

        Apart from `hidden`, so that training can score the real positions of a batch and no
        others: at a vocabulary of thousands these products are most of a small network's work.
        """

    def logits(self, hidden: Tensor) -> Tensor:
        """The unnormalised log-probabilities of the next token: (…, F) to (…, V)."""
        scores: Tensor = self.output(self.features(hidden), self.embedding.weight)
        return scores

    def scored(self, hidden: Tensor, targets: Tensor) -> Scored:
        """What the loss needs of N positions: as `logits`, but with the scores still to be made.

        They are the largest thing that training makes: a loss that makes them itself can do so in
        parts, and with their gradient in one go.

        Args:
            hidden: What `hidden` gave at these positions, (N, F).
            targets: The tokens that came, (N,) int64.
        """
        weight = self.embedding.weight if self.output.weight is None else self.output.weight
        return Scored(self.features(hidden), weight, self.output.bias, targets, None)

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Score every next token.

        Args:
            ids: Tokens, (B, T) int64.
            state: What an earlier call left; None for `start(B)`.

        Returns:
            Logits, (B, T, V), at t for the token after `ids[:, t]`, and the state.
        """
        hidden, state = self.hidden(ids, state)
        return self.logits(hidden), state

    @abstractmethod
    def initialise(self, token_counts: np.ndarray | None = None, seed: int = 0) -> None:
        """Give every parameter the value that training starts from.

        Args:
            token_counts: How often each token is predicted in training, (V,); None for no bias.
            seed: Of a generator of its own; torch's global one is not touched.
        """


def _language_model(config: ModelConfig) -> Network:
    from poetgen.models.language_model import LanguageModel

    return LanguageModel(config)


def _seq2seq(config: ModelConfig) -> Network:
    from poetgen.models.seq2seq import Seq2Seq

    return Seq2Seq(config)


_BUILDERS: dict[str, Callable[[ModelConfig], Network]] = {
    "lm": _language_model,
    "seq2seq": _seq2seq,
}
"""Of each name in `poetgen.models.config.ARCHITECTURES`."""


def build_network(config: ModelConfig) -> Network:
    """The network of a shape, its parameters not yet of any use.

    `initialise` gives them the values to train from, `load_arrays` trained ones.
    """
    return _BUILDERS[config.architecture](config)


def joined(states: Sequence[State]) -> State:
    """The state that has the rows of all `states`, in order.

    A network may keep more of what it read the longer it has read. Where states of unlike sizes
    meet, the smaller is filled with zeros, which are no row's own.
    """
    return tuple(torch.cat(_of_one_size(tensors), dim=1) for tensors in zip(*states, strict=True))


def _of_one_size(tensors: Sequence[Tensor]) -> list[Tensor]:
    size = max(map(len, tensors))
    return [
        functional.pad(tensor, (0, 0) * (tensor.dim() - 1) + (0, size - len(tensor)))
        if len(tensor) < size
        else tensor
        for tensor in tensors
    ]


def to_arrays(model: nn.Module) -> dict[str, np.ndarray]:
    """A copy of every parameter as a float32 array, by its name in a checkpoint."""
    return {
        name: tensor.detach().to("cpu", torch.float32, copy=True).numpy()
        for name, tensor in model.state_dict().items()
    }


def load_arrays(model: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Fill a network with what `to_arrays` gave."""
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})


def from_checkpoint(checkpoint: Checkpoint, device: str | torch.device = "cpu") -> Network:
    """The network of a checkpoint, on `device`, ready to predict: no dropout, no gradients."""
    model = build_network(checkpoint.model)
    # A checkpoint's arrays may be read-only (mapped from its file), which torch warns about.
    load_arrays(model, {name: np.array(array) for name, array in checkpoint.arrays.items()})
    return model.to(device).eval().requires_grad_(False)
