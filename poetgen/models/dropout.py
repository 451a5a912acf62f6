"""Three ways to train a network with parts of it missing, each one mask for a whole batch of steps.

A mask drawn anew at each step of a recurrence lets the network average over steps what it should
learn to do without; so a mask here holds from a poem's first token to its last (Gal & Ghahramani
2016, https://arxiv.org/abs/1512.05287). Merity et al. (2017, https://arxiv.org/abs/1708.02182)
train with all three; shares of 0.1 for tokens, 0.25 to 0.4 for units and 0.5 for recurrent weights
were good for a few million tokens read hundreds of times. What is kept is scaled up by as much as
is missing, so that a network that is whole expects what it was trained on.

Masks come from torch's global generator.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def locked_dropout(features: Tensor, share: float, time: int = 1) -> Tensor:
    """Drop a share of each poem's features, the same at every step.

    Args:
        features: (B, T, F), or (T, B, F).
        share: How many are dropped, in [0, 1).
        time: Which dimension is time.
    """
    if not share:
        return features
    return features * functional.dropout(torch.ones_like(features.narrow(time, 0, 1)), share)


def embed_with_dropout(embedding: nn.Embedding, ids: Tensor, share: float) -> Tensor:
    """The vectors of tokens, those of a share of the vocabulary being zero wherever they occur.

    Args:
        embedding: V vectors of E.
        ids: (B, T) int64.
        share: How many of the V tokens are dropped, in [0, 1).

    Returns:
        (B, T, E).
    """
    vectors: Tensor = embedding(ids)
    if not share:
        return vectors
    kept = functional.dropout(vectors.new_ones(embedding.num_embeddings, 1), share)  # (V, 1)
    return vectors * kept[ids]


def drop_recurrent_weights(layers: nn.Module, share: float) -> dict[str, Tensor]:
    """The recurrent matrices of layers with a share of their numbers zero, by their names.

    DropConnect (Wan et al. 2013): the state itself stays whole, and one mask does for all steps.
    """
    return {
        name: functional.dropout(weight, share)
        for name, weight in layers.named_parameters()
        if share and name.rpartition(".")[2].startswith("weight_hh")
    }
