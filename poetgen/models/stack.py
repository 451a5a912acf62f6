"""Recurrent layers one on top of the other, run one by one, with a road past each if wanted.

torch stacks its own layers itself. This stack does it for layers of any kind, and it knows the
residual connection: each layer above the first adds what it reads to what it gives,

    y_l = F_l(y_{l-1}) + y_{l-1}        l = 2 … L, at every step,

so that the gradient reaches the lower layers past the upper ones undiminished, and a layer need
learn only what there is to change (He et al. 2016, https://arxiv.org/abs/1512.03385; of stacked
LSTMs Wu et al. 2016, https://arxiv.org/abs/1609.08144, and, inside the gates, Kim et al. 2017,
https://arxiv.org/abs/1701.03360). The first layer reads token vectors, which are of another width
and none of its kind, and has no such road. What a layer carries to the next step is its own state,
without what was added.

Shapes: B poems side by side, T steps, I features in, H out, L layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn

from poetgen.models.dropout import locked_dropout

if TYPE_CHECKING:
    from poetgen.models.config import ModelConfig

LayerState: TypeAlias = Tensor | tuple[Tensor, ...]
"""What layers carry from step to step, as torch has it: of a cell with a single array that array,
else a tuple of them (empty for a cell that carries nothing), (L, B, H) each."""


class Stack(nn.ModuleList):
    """Single layers on top of each other.

    Args:
        config: Says how many, and whether `--residual` and `--dropout` are between them.
        layer: Makes one that reads vectors of the given width, called as torch's layers are.
    """

    def __init__(self, config: ModelConfig, layer: Callable[[int], nn.Module]) -> None:
        widths = (config.embedding_size, *(config.hidden_size,) * (config.num_layers - 1))
        super().__init__(map(layer, widths))
        self.residual, self.dropout = config.residual, config.dropout

    def forward(self, inputs: Tensor, state: LayerState | None = None) -> tuple[Tensor, LayerState]:
        """(B, T, I) and a state, None for zeros, to (B, T, H) and the state after."""
        outputs = inputs
        after: list[tuple[Tensor, ...]] = []
        single = True
        for index, layer in enumerate(self):
            read = outputs
            if index and self.training:
                # The road past the layer stays whole.
                read = locked_dropout(outputs, self.dropout)
            made, last = layer(read, _layer_of(state, index))  # (B, T, H)
            outputs = made + outputs if index and self.residual else made
            single = isinstance(last, Tensor)
            after.append((last,) if isinstance(last, Tensor) else last)
        joined = tuple(torch.cat(arrays) for arrays in zip(*after, strict=True))
        return outputs, joined[0] if single else joined


def _layer_of(state: LayerState | None, index: int) -> LayerState | None:
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state[index : index + 1]
    return tuple(array[index : index + 1] for array in state)
