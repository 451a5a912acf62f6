"""How recurrent layers start, whatever network they are in."""

from __future__ import annotations

import torch
from torch import nn

from poetgen.models.cells import cell_named
from poetgen.models.config import ModelConfig


@torch.no_grad()
def initialise_recurrent(
    layers: nn.Module, config: ModelConfig, generator: torch.Generator | None = None
) -> None:
    """Give recurrent layers the values that training starts from.

    Matrices into a layer are Glorot uniform (2010) and recurrent ones orthogonal, or the identity,
    each gate by itself; biases zero, but the forget gate's. Of the two biases that torch adds up,
    one is enough for it.

    Args:
        layers: Layers of the cell of `config`, with parameters named as torch's are.
        config: Says how recurrent matrices and the forget gate start.
        generator: What to draw with; None for torch's global one.
    """
    cell = cell_named(config.cell)
    for name, parameter in layers.named_parameters():
        if parameter.dim() < 2:
            parameter.zero_()
            if cell.forget_gate is not None and "bias_ih" in name:
                parameter.chunk(cell.gates)[cell.forget_gate].fill_(config.forget_bias)
            continue
        for gate in parameter.chunk(cell.gates):
            if "weight_hh" not in name:
                nn.init.xavier_uniform_(gate, generator=generator)
            elif config.recurrent_init == "identity":
                nn.init.eye_(gate)
            else:
                nn.init.orthogonal_(gate, generator=generator)
