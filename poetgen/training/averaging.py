"""An average of the weights that training goes through, which may predict better than the last.

Steps of noisy gradients walk around a minimum; the mean of where they were lies nearer to it
(Polyak & Juditsky 1992; Merity et al. 2017 end their training with it). Here each step's weights
count for less the longer ago they were, so that the poor ones of the start are soon forgotten.
"""

from __future__ import annotations

import copy

import torch

from poetgen.models.network import Network


def averaged(model: Network) -> Network:
    """A second network like `model`, for `add_to_average` to fill; it is not trained itself."""
    return copy.deepcopy(model).eval().requires_grad_(False)


@torch.no_grad()
def add_to_average(average: Network, model: Network, decay: float, step: int) -> None:
    """Take the weights after a step into the average of those before.

    The weights of step k count `decay ** (step - k)`, and all together 1; so those from before the
    first step, which are random, do not count at all.

    Args:
        average: The average after `step - 1` steps; changed to that after `step`.
        model: The network after `step`.
        decay: In [0, 1).
        step: The first is 1.
    """
    share = (1.0 - decay) / (1.0 - decay**step)  # Of the newest weights.
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), share)
