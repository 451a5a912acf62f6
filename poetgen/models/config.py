"""What a network looks like: one frozen record, checked when it is made. Needs no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from poetgen.errors import TrainingError
from poetgen.models.cells import cell_named

ARCHITECTURES = ("lm", "seq2seq")
"""What `--architecture` may be; `poetgen.models.network` builds them."""

CONDITIONS = ("prefix", "none", "input", "state", "both")
"""What `--condition` may be."""

STOPS = ("eos", "bernoulli", "length")
"""What `--stop` may be."""

_CHOICES = {
    "architecture": ARCHITECTURES,
    "condition": CONDITIONS,
    "nonlinearity": ("tanh", "relu"),
    "recurrent_init": ("orthogonal", "identity"),
    "stop": STOPS,
}

_PLAIN = {
    "architecture": "lm",
    "residual": False,
    "transition_depth": 1,
    "output_depth": 1,
    "condition": "prefix",
    "stop": "eos",
}


_OF_SEQ2SEQ = {
    "condition": ("prefix", "its encoder reads what is told before every line"),
    "stop": ("eos", "it writes line by line and cannot count to a poem's end"),
    "output_depth": (1, "a layer stands between its state and the scores already"),
}
"""Fields of which seq2seq has one value only, and why."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The shape of a recurrent language model, and how its weights start.

    Attributes:
        cell: The recurrent cell; a name in `poetgen.models.cells.CELLS`.
        vocabulary_size: Number of tokens, specials included.
        embedding_size: Width of a token's vector.
        hidden_size: Width of the recurrent state of each layer.
        num_layers: Recurrent layers, one on top of the other.
        dropout: Share of units dropped on the way into, between and out of the layers, the same
            at every step of a poem. This and the next two act in training only; see
            `poetgen.models.dropout`.
        embedding_dropout: Share of tokens whose vectors are dropped on the way in.
        weight_drop: Share of the recurrent matrices' numbers that are dropped.
        tie_embeddings: Whether the output layer is the embedding matrix transposed
            (Press & Wolf 2017, https://arxiv.org/abs/1608.05859). When the two widths differ, a
            linear projection without bias leads from hidden_size to embedding_size.
        nonlinearity: tanh or relu; of the rnn cell only.
        recurrent_init: How the recurrent matrices start: orthogonal (Saxe et al. 2014) or
            identity (IRNN, Le et al. 2015, https://arxiv.org/abs/1504.00941).
        forget_bias: Where the bias of the LSTM's forget gate starts (Jozefowicz et al. 2015).
        residual: Whether each layer above the first adds its input to its output.
        transition_depth: Layers inside a step of the recurrence.
        output_depth: Layers between the state and the scores, those included.
        condition: A name in `CONDITIONS`: how the network is told a poem's context; see
            `poetgen.models.conditioning`.
        stop: A name in `STOPS`: what decides where a poem ends; see `poetgen.models.stopping`.
        architecture: A name in `ARCHITECTURES`: lm, one network that reads and writes, or seq2seq,
            one that reads and one that writes, with attention between.
        bidirectional: Whether what only reads, the encoder of seq2seq, reads backwards too; None
            becomes True where there is one.
        line_ends: The ids of the tokens that end a line, which seq2seq goes by. Without any, it
            takes a poem for one line.

    Raises:
        TrainingError: A value out of range; the message names the flag that sets it.
    """

    cell: str = "lstm"
    vocabulary_size: int = 0
    embedding_size: int = 256
    hidden_size: int = 512
    num_layers: int = 1
    dropout: float = 0.0
    embedding_dropout: float = 0.0
    weight_drop: float = 0.0
    tie_embeddings: bool = True
    nonlinearity: str = "tanh"
    recurrent_init: str = "orthogonal"
    forget_bias: float = 1.0
    residual: bool = False
    transition_depth: int = 1
    output_depth: int = 1
    condition: str = "prefix"
    stop: str = "eos"
    architecture: str = "lm"
    bidirectional: bool | None = None
    line_ends: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        cell_named(self.cell)
        if self.vocabulary_size < 5:
            raise TrainingError(
                f"a vocabulary of {self.vocabulary_size} tokens has none beyond the specials"
            )
        for flag in (
            "embedding_size",
            "hidden_size",
            "num_layers",
            "transition_depth",
            "output_depth",
        ):
            if getattr(self, flag) < 1:
                raise TrainingError(
                    f"--{flag.replace('_', '-')} is {getattr(self, flag)}",
                    hint="it must be at least 1",
                )
        for flag in ("dropout", "embedding_dropout", "weight_drop"):
            if not 0.0 <= getattr(self, flag) < 1.0:
                raise TrainingError(
                    f"--{flag.replace('_', '-')} is {getattr(self, flag)}",
                    hint="it must be in [0, 1)",
                )
        for flag, choices in _CHOICES.items():
            if getattr(self, flag) not in choices:
                raise TrainingError(
                    f"--{flag.replace('_', '-')} is '{getattr(self, flag)}'",
                    hint=f"it must be {' or '.join(choices)}",
                )
        cell_named(self.cell).check(self)
        self._check_architecture()
        if self.condition in ("state", "both") and not cell_named(self.cell).states:
            raise TrainingError(
                f"--condition {self.condition} does not go with --cell {self.cell}",
                hint="this cell starts from no state; give --condition input",
            )

    def _check_architecture(self) -> None:
        reads = self.architecture == "seq2seq"
        if self.bidirectional is None:
            object.__setattr__(self, "bidirectional", reads)
        if self.bidirectional and not reads:
            raise TrainingError(
                f"--bidirectional does not go with --architecture {self.architecture}",
                hint="reading backwards, a language model would see what it is to predict; the "
                "encoder of --architecture seq2seq reads lines that are finished, in both "
                "directions",
            )
        for name, (needed, reason) in _OF_SEQ2SEQ.items():
            value = getattr(self, name)
            if reads and value != needed:
                raise TrainingError(
                    f"--architecture seq2seq does not go with --{name.replace('_', '-')} {value}",
                    hint=f"{reason}; give {needed}",
                )
        if not all(0 < id_ < self.vocabulary_size for id_ in self.line_ends):
            raise TrainingError(f"a line cannot end with the tokens {self.line_ends}")

    @property
    def is_plain(self) -> bool:
        """Whether it is stacked cells between the embedding and the output, and no more."""
        return all(getattr(self, name) == value for name, value in _PLAIN.items())

    @property
    def lengths_in(self) -> int | None:
        """As `Batches` takes it: the size of the vocabulary where a poem's length is said."""
        return self.vocabulary_size if self.stop == "length" else None

    @property
    def forgets_context(self) -> bool:
        """Whether what is read before a poem is lost on it, as there is no state to keep it."""
        return self.condition == "prefix" and not cell_named(self.cell).states

    @property
    def output_size(self) -> int:
        """Width of what the output layer scores."""
        return self.embedding_size if self.tie_embeddings else self.hidden_size

    @property
    def needs_projection(self) -> bool:
        """Whether a projection stands between the last layer and the tied output."""
        return self.tie_embeddings and self.embedding_size != self.hidden_size

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every parameter of the network by the name that it has in a checkpoint."""
        from poetgen.models.shapes import shapes_of  # Which needs what is made here.

        return shapes_of(self)

    def described(self) -> str:
        """What it is, in a line: cell, layers × width, and whatever of the laboratory is in it."""
        words = [self.cell, f"{self.num_layers} × {self.hidden_size}"]
        for name, usual in _PLAIN.items():
            value = getattr(self, name)
            if value != usual:
                flag = name.replace("_", " ")
                words.append(flag if value is True else f"{flag} {value}")
        return ", ".join([*words, f"embedding {self.embedding_size}"])

    def parameter_count(self) -> int:
        """The number of trained numbers."""
        total = 0
        for shape in self.parameter_shapes().values():
            size = 1
            for side in shape:
                size *= side
            total += size
        return total

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; `from_dict` is the way back."""
        return {**dataclasses.asdict(self), "line_ends": list(self.line_ends)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a config of what `to_dict` gave.

        Raises:
            TrainingError: A field that is unknown, of the wrong type, or out of range.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        values = dict(values)
        if isinstance(ends := values.get("line_ends"), list) and all(type(i) is int for i in ends):
            values["line_ends"] = tuple(ends)
        for name, value in values.items():
            if name not in fields:
                raise TrainingError(f"a model has no field '{name}'")
            default = False if name == "bidirectional" else fields[name].default
            wanted = (int, float) if isinstance(default, float) else type(default)
            if not isinstance(value, wanted) or (
                isinstance(value, bool) and not isinstance(default, bool)
            ):
                raise TrainingError(f"the model's field '{name}' cannot be {value!r}")
        return cls(**values)
