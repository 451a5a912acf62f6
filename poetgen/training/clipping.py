"""Gradient clipping: a step whose gradient is too large is made smaller.

Where the loss is steep, a gradient points down but says nothing of how far: the wall of a narrow
valley, which recurrent networks have, throws a step of the usual length far away. Two cures:

    by the global norm   g ← g · min(1, c / ‖g‖), ‖g‖ over all parameters at once: the direction
                         stays (Pascanu, Mikolov & Bengio 2013, https://arxiv.org/abs/1211.5063)
    by value             each number of g is cut off at ±v: the direction turns towards the
                         parameters whose numbers were small (Mikolov 2012, his thesis)

With both, values are cut off first. How often a run is clipped says whether the threshold does
anything at all: a share of 0 is a switch that is off, a share near 1 a smaller learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def clip_gradients(
    parameters: Iterable[torch.nn.Parameter], norm: float, value: float
) -> tuple[Tensor, Tensor]:
    """Clip the gradients of parameters, in place.

    Args:
        parameters: Those without a gradient do not count.
        norm: The global norm that they are scaled down to; 0 for none.
        value: What each number is cut off at, before that; 0 for none.

    Returns:
        The global norm before anything was clipped, and whether anything was: two scalars on the
        gradients' device, which nobody has waited for.
    """
    clipped = [parameter for parameter in parameters if parameter.grad is not None]
    limit = norm or math.inf
    if not value:
        before = torch.nn.utils.clip_grad_norm_(clipped, limit)
        return before, before > limit
    gradients = [parameter.grad for parameter in clipped if parameter.grad is not None]
    before = torch.nn.utils.get_total_norm(gradients)
    largest = torch.stack(torch._foreach_norm(gradients, math.inf)).max()
    torch.nn.utils.clip_grad_value_(clipped, value)
    after = torch.nn.utils.clip_grad_norm_(clipped, limit)
    return before, (largest > value) | (after > limit)
