"""Many to one: a network that reads a text and says which of some classes it belongs to.

    ids → encoder → outputs o_1 … o_n and an end → pooling → one vector p → scores = U p + d

Of the encoder (`poetgen.models.encoder`, or the tree of `poetgen.models.tree`) and the pooling
(`poetgen.models.pooling`) it knows nothing but that. The softmax of the scores is the distribution
over classes, and what is minimised is its cross entropy.

Shapes: B texts side by side, S tokens of the longest, C classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from poetgen.errors import TrainingError
from poetgen.models.cells import CELLS
from poetgen.models.encoder import Encoder, mask_of
from poetgen.models.pooling import POOLINGS, pooling_named
from poetgen.models.tree import TreeEncoder

TREE = "tree"
ENCODERS = (*CELLS, TREE)


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """The shape of a classifier.

    Attributes:
        encoder: A recurrent cell, or `tree`.
        bidirectional: Whether the recurrent encoder reads backwards too. A tree has no direction.
        pooling: One of `POOLINGS`. A tree ends in its root: `last`.
        vocabulary_size, classes: How many tokens and classes there are.
        embedding_size: Width of a token's vector.
        hidden_size: Width of a recurrent state, of each direction, or of a node.
        num_layers: Recurrent layers.
        dropout: Share of units dropped in training.

    Raises:
        TrainingError: A value out of range, or two that do not go together; the message names the
            flags.
    """

    encoder: str = "gru"
    bidirectional: bool = True
    pooling: str = "last"
    vocabulary_size: int = 0
    classes: int = 2
    embedding_size: int = 128
    hidden_size: int = 128
    num_layers: int = 1
    dropout: float = 0.3

    def __post_init__(self) -> None:
        for flag, known in (("encoder", ENCODERS), ("pooling", POOLINGS)):
            if getattr(self, flag) not in known:
                raise TrainingError(
                    f"--{flag} is '{getattr(self, flag)}'", hint=f"it is one of {', '.join(known)}"
                )
        for flag, least in (("embedding_size", 1), ("hidden_size", 1), ("num_layers", 1)):
            if getattr(self, flag) < least:
                raise TrainingError(
                    f"--{flag.replace('_', '-')} is {getattr(self, flag)}",
                    hint=f"it must be at least {least}",
                )
        if not 0.0 <= self.dropout < 1.0:
            raise TrainingError(f"--dropout is {self.dropout}", hint="it must be in [0, 1)")
        if self.classes < 2 or self.vocabulary_size < 1:
            raise TrainingError(
                f"{self.classes} classes and {self.vocabulary_size} tokens: nothing to tell apart"
            )
        if self.encoder == TREE:
            for wrong, flag in (
                (self.bidirectional, "--bidirectional"),
                (self.pooling != "last", f"--pooling {self.pooling}"),
                (self.num_layers > 1, f"--num-layers {self.num_layers}"),
            ):
                if wrong:
                    raise TrainingError(
                        f"{flag} does not go with --encoder {TREE}",
                        hint="a tree reads in no direction, has one kind of node, and ends in "
                        f"its root; leave {flag.split()[0]} out",
                    )

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; `from_dict` is the way back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a config of what `to_dict` gave.

        Raises:
            TrainingError: A field that is missing, unknown, of the wrong type, or out of range.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name in sorted(fields.keys() ^ values.keys()):
            raise TrainingError(
                f"a classifier has no field '{name}'"
                if name in values
                else f"the classifier's field '{name}' is missing"
            )
        for name, value in values.items():
            kind = type(fields[name].default)
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise TrainingError(f"the classifier's field '{name}' cannot be {value!r}")
        return cls(**values)


class Classifier(nn.Module):
    """A network that says which class a text belongs to.

    Args:
        config: Its shape. `initialise` fills it with the weights to train from.
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        sizes = config.vocabulary_size, config.embedding_size, config.hidden_size
        self.encoder: Encoder | TreeEncoder
        if config.encoder == TREE:
            self.encoder = TreeEncoder(*sizes, dropout=config.dropout)
        else:
            self.encoder = Encoder(
                *sizes,
                cell=config.encoder,
                num_layers=config.num_layers,
                bidirectional=config.bidirectional,
                dropout=config.dropout,
            )
        self.pooling = pooling_named(config.pooling, self.encoder.output_size)
        self.output = nn.Linear(self.encoder.output_size, config.classes)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """The unnormalised log-probabilities of the classes.

        Args:
            ids: (B, S) int64, padded on the right with any id.
            lengths: (B,) int64, tokens of each text, from 1 to S.

        Returns:
            (B, C).
        """
        return self.attend(ids, lengths)[0]

    def attend(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | None]:
        """As `forward`, and what each token counted, (B, S); None where no attention says so."""
        encoded = self.encoder(ids, lengths)
        pooled, weights = self.pooling(encoded, mask_of(lengths, ids.shape[1]))
        return self.output(pooled), weights

    @torch.no_grad()
    def initialise(self, seed: int = 0) -> None:
        """Give every parameter the value that training starts from.

        Args:
            seed: Of a generator of its own; torch's global one is not touched.
        """
        generator = torch.Generator().manual_seed(seed)
        self.encoder.initialise(generator)
        self.pooling.initialise(generator)
        nn.init.xavier_uniform_(self.output.weight, generator=generator)
        self.output.bias.zero_()
