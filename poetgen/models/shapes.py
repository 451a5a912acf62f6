"""The parameters of a network that has more in it than one stack of layers. Needs no torch."""

from __future__ import annotations

from poetgen.models.cells import Shapes, cell_named
from poetgen.models.config import ModelConfig


def single_layer(config: ModelConfig, width: int) -> ModelConfig:
    """The shape of one recurrent layer by itself, which reads vectors of some width."""
    return ModelConfig(
        cell=config.cell,
        vocabulary_size=config.vocabulary_size,
        embedding_size=width,
        hidden_size=config.hidden_size,
        nonlinearity=config.nonlinearity,
        transition_depth=config.transition_depth,
    )


def encoder_shapes(config: ModelConfig, *, bidirectional: bool) -> Shapes:
    """Of `poetgen.models.encoder.BothWays`."""
    shapes: Shapes = {}
    ways = ("onward", "back") if bidirectional else ("onward",)
    for layer in range(config.num_layers):
        width = len(ways) * config.hidden_size if layer else config.embedding_size
        single = cell_named(config.cell).shapes(single_layer(config, width))
        shapes |= {f"{way}.{layer}.{name}": shape for way in ways for name, shape in single.items()}
    return shapes


def seq2seq_shapes(config: ModelConfig) -> Shapes:
    """Of `poetgen.models.seq2seq.Seq2Seq`, but the embedding's and the output's."""
    cell, hidden = cell_named(config.cell), config.hidden_size
    encoded = hidden * (2 if config.bidirectional else 1)
    started = cell.states * config.num_layers * hidden
    scored = config.embedding_size if config.tie_embeddings else hidden
    encoder = encoder_shapes(config, bidirectional=bool(config.bidirectional))
    shapes = {f"encoder.{name}": shape for name, shape in encoder.items()}
    if started:
        shapes |= {"bridge.weight": (started, encoded), "bridge.bias": (started,)}
    shapes |= {f"decoder.{name}": shape for name, shape in cell.shapes(config).items()}
    shapes["attention.query.weight"] = (hidden, hidden)
    shapes["attention.key.weight"] = (hidden, encoded)
    shapes["combination.weight"] = (scored, hidden + encoded)
    return shapes
