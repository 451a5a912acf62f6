"""Several layers inside one step of the recurrence.

Stacked layers deepen the road from an input to its output; the road from one state to the next
stays one layer long. A deep transition makes that one deep as well (Pascanu et al. 2014,
https://arxiv.org/abs/1312.6026, DT-RNN; with gates, Miceli Barone et al. 2017,
https://arxiv.org/abs/1707.07631): a step goes through D cells, of which the first reads the input
and all hand on the state,

    s = cell_1(x_t, s_{t-1})
    s = cell_d(0, s)            d = 2 … D, each with parameters of its own
    s_t = s

where s is h, or of an LSTM h and c together. So D - 1 more products stand between two steps, and
the gradient passes D times as many nonlinearities; the gates keep that bearable, a tanh RNN less
so.

Written in plain operations, each of which autograd goes back through by itself: at the same number
of cells it takes longer than the layers in `poetgen.models.cpu_layers`.

Shapes: B poems side by side, T steps, I features in, H units, G gates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from poetgen.models.cells import cell_named

if TYPE_CHECKING:
    from poetgen.models.config import ModelConfig

_State: TypeAlias = tuple[Tensor, ...]
_Step: TypeAlias = Callable[[Tensor, Tensor, _State], _State]
"""What a cell's input and its h come to, biases added, (B, G·H) each, and its state, to its next
state; (B, H) each, h first."""


class DeepTransition(nn.Module):
    """One layer whose step is several cells.

    Args:
        config: Says which cells and how many.
        inputs: Width of what it reads.
    """

    def __init__(self, config: ModelConfig, inputs: int) -> None:
        super().__init__()
        cell = cell_named(config.cell)
        self.depth, self.states = config.transition_depth, cell.states
        self.hidden_size = config.hidden_size
        self.step = _STEPS[config.nonlinearity if config.cell == "rnn" else config.cell]
        rows, hidden = cell.gates * config.hidden_size, config.hidden_size
        self.weight_ih_l0 = nn.Parameter(torch.zeros(rows, inputs))
        for depth in range(self.depth):
            self.register_parameter(f"weight_hh_l{depth}", nn.Parameter(torch.zeros(rows, hidden)))
            for name in ("bias_ih", "bias_hh"):
                self.register_parameter(f"{name}_l{depth}", nn.Parameter(torch.zeros(rows)))

    def forward(
        self, inputs: Tensor, state: Tensor | _State | None = None
    ) -> tuple[Tensor, Tensor | _State]:
        """(B, T, I) and a state, (1, B, H) once or twice, to (B, T, H) and the state after."""
        # By attribute, as a caller may have put other tensors in the place of the parameters.
        depths = range(self.depth)
        weights = [getattr(self, f"weight_hh_l{depth}") for depth in depths]
        biases = [getattr(self, f"bias_hh_l{depth}") for depth in depths]
        from_nothing = [getattr(self, f"bias_ih_l{depth}") for depth in depths]
        wide = weights[0].dtype  # of states and gates; products may be of another type

        if state is None:
            carried: _State = (inputs.new_zeros(len(inputs), self.hidden_size, dtype=wide),)
            carried *= self.states
        else:
            carried = tuple(
                array[0] for array in ((state,) if isinstance(state, Tensor) else state)
            )
        sums = linear(inputs, self.weight_ih_l0).to(wide) + from_nothing[0]  # (B, T, G·H)
        outputs: list[Tensor] = []
        for from_input in sums.unbind(1):  # (B, G·H)
            for depth in depths:
                from_hidden = linear(carried[0], weights[depth]).to(wide) + biases[depth]
                coming = from_nothing[depth] if depth else from_input
                carried = self.step(coming, from_hidden, carried)
            outputs.append(carried[0])
        after = tuple(array.unsqueeze(0) for array in carried)
        return torch.stack(outputs, dim=1), after[0] if len(after) == 1 else after


def _tanh(from_input: Tensor, from_hidden: Tensor, _: _State) -> _State:
    return (torch.tanh(from_input + from_hidden),)


def _relu(from_input: Tensor, from_hidden: Tensor, _: _State) -> _State:
    return (torch.relu(from_input + from_hidden),)


def _lstm(from_input: Tensor, from_hidden: Tensor, state: _State) -> _State:
    i, f, g, o = (from_input + from_hidden).chunk(4, dim=1)
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru(from_input: Tensor, from_hidden: Tensor, state: _State) -> _State:
    H = from_hidden.shape[1] // 3
    r, z = torch.sigmoid(from_input[..., : 2 * H] + from_hidden[:, : 2 * H]).chunk(2, dim=1)
    n = torch.tanh(from_input[..., 2 * H :] + r * from_hidden[:, 2 * H :])
    return (torch.lerp(n, state[0], z),)


_STEPS: dict[str, _Step] = {"tanh": _tanh, "relu": _relu, "lstm": _lstm, "gru": _gru}
