"""Networks a step at a time, as they write and as they are fed back what they wrote."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def single_steps(device: torch.device) -> Iterator[None]:
    """Kernels that are fast one step at a time and round as fp32 does, within bf16 training too.

    A step is a small product; what is drawn from it is worth the few bits.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.autocast(device.type, enabled=False))
        if device.type == "cpu":
            # oneDNN lays out an LSTM's weights anew at every call: 5x slower. Its TF32 switch is
            # left alone: touching it warns on most builds.
            stack.enter_context(torch.backends.mkldnn.flags(enabled=False, allow_tf32=None))
        elif device.type == "cuda":
            # cuDNN's recurrent layers round to TF32, with 10 bits of mantissa, unless told not to.
            stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
        yield
