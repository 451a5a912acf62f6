"""The torch engine: any network that can be trained, on any device that torch knows.

It serves the same `StepModel` protocol as the NumPy engine and is imported by name only where it
is needed. The state stays on the device; logits come back to the CPU, where the sampler draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from poetgen.errors import PoetgenError
from poetgen.models.network import State, from_checkpoint, joined
from poetgen.models.single_steps import single_steps

if TYPE_CHECKING:
    from poetgen.checkpoint import Checkpoint


class TorchEngine:
    """A checkpoint's network on a torch device.

    Args:
        checkpoint: The trained model.
        device: As torch names it: `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        PoetgenError: There is no such device here.
    """

    def __init__(self, checkpoint: Checkpoint, device: str) -> None:
        self._device = _device_named(device)
        self._network = from_checkpoint(checkpoint, self._device)
        self.vocabulary_size = checkpoint.model.vocabulary_size

    def start(self, n: int) -> State:
        """The state of `n` rows that have seen nothing."""
        return self._network.start(n)

    def select(self, state: State, rows: npt.NDArray[np.int64]) -> State:
        """The state whose row i is row `rows[i]` of `state`."""
        index = torch.from_numpy(np.asarray(rows, np.int64)).to(self._device)
        return tuple(tensor.index_select(1, index) for tensor in state)

    def join(self, states: Sequence[State]) -> State:
        """The state that has the rows of all `states`, in order."""
        return joined(states)

    def step(
        self, ids: npt.NDArray[np.int64], state: State
    ) -> tuple[npt.NDArray[np.float32], State]:
        """Feed `ids` (n,) to the n rows; gives the logits (n, V) and the state after."""
        tokens = torch.from_numpy(np.asarray(ids, np.int64)).to(self._device)[:, None]  # (n, 1)
        with torch.inference_mode(), single_steps(self._device):
            logits, state = self._network(tokens, state)  # (n, 1, V)
        return logits[:, 0].float().cpu().numpy(), state


def _device_named(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise PoetgenError(
            f"cannot use --device {name}: {reason}", hint="--device cpu always works"
        ) from None
    return device
