"""The parameters of a network, by the names that they have in a checkpoint. Needs no torch.

Each function stands for a part of the network, and for the module that makes it.
"""

from __future__ import annotations

from poetgen.dataset.context import PARTS
from poetgen.dataset.lengths import lengths_known
from poetgen.models.cells import Shapes, cell_named
from poetgen.models.config import ModelConfig


def shapes_of(config: ModelConfig) -> Shapes:
    """All of them, in the network's order."""
    shapes: Shapes = {"embedding.weight": (config.vocabulary_size, config.embedding_size)}
    if config.architecture == "seq2seq":
        shapes |= seq2seq_shapes(config)
    else:
        for name, shape in cell_named(config.cell).shapes(config).items():
            shapes[f"recurrent.{name}"] = shape
        shapes |= context_shapes(config) | deep_output_shapes(config)
        if config.needs_projection:
            shapes["projection.weight"] = (config.embedding_size, config.hidden_size)
    if not config.tie_embeddings:
        shapes["output.weight"] = (config.vocabulary_size, config.hidden_size)
    shapes["output.bias"] = (config.vocabulary_size,)
    return shapes | stop_shapes(config)


def context_shapes(config: ModelConfig) -> Shapes:
    """Of `poetgen.models.conditioning.Conditioning`."""
    told = len(PARTS) * config.embedding_size
    state = cell_named(config.cell).states * config.num_layers * config.hidden_size
    shapes: Shapes = {}
    if config.condition in ("input", "both"):
        shapes["context.to_input.weight"] = (config.embedding_size, told)
    if config.condition in ("state", "both"):
        shapes["context.to_state.weight"] = (state, told)
    return shapes


def deep_output_shapes(config: ModelConfig) -> Shapes:
    """Of `poetgen.models.deep_output.DeepOutput`."""
    hidden = config.hidden_size
    shapes: Shapes = {}
    for layer in range(config.output_depth - 1):
        shapes[f"deep_output.{layer}.weight"] = (hidden, hidden)
        shapes[f"deep_output.{layer}.bias"] = (hidden,)
    return shapes


def stop_shapes(config: ModelConfig) -> Shapes:
    """Of `poetgen.models.stopping`."""
    if config.stop == "bernoulli":
        return {"stop.unit.weight": (1, config.output_size), "stop.unit.bias": (1,)}
    if config.stop == "length":
        known = lengths_known(config.vocabulary_size)
        return {
            "stop.lengths.weight": (known, config.output_size),
            "stop.lengths.bias": (known,),
            "stop.left.weight": (known + 1, config.embedding_size),
        }
    return {}


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
