"""The recurrent cells as the textbooks write them: one step, one gate, one equation at a time.

`poetgen.models.cells` builds fast layers, which compute all gates of all steps in a few products
and keep none of them. Here every gate is a variable with its textbook name, and comes out with
the state. Both take the same parameters and give the same values and gradients (a test holds them
to 1e-6), so what is seen here is what the network does. It is slow, and knows no dropout.

In the equations x_t is a layer's input, h_{t-1} the state that came with it, W and U the matrices
that each goes through, b a bias, σ the logistic function and * the product number by number.

Shapes: B poems side by side, T steps, I inputs, H units, L layers. A step takes (B, I), or (I,)
for a single poem, which `torch.func` needs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from poetgen.errors import TrainingError
from poetgen.models.config import ModelConfig

LayerState: TypeAlias = tuple[Tensor, ...]
"""What a layer carries from step to step: (h,) or, of an LSTM, (h, c); (B, H) each."""

Gates: TypeAlias = dict[str, Tensor]
"""What a step computed on its way to the state, by its name; (B, H) each."""


@dataclass(frozen=True, slots=True)
class LayerParameters:
    """The parameters of a layer of G gates, one gate under the other, as torch has them.

    Attributes:
        weight_ih: (G·H, I), the matrices W.
        weight_hh: (G·H, H), the matrices U.
        bias_ih: (G·H,), the first half of each b.
        bias_hh: (G·H,), the second. torch keeps two; only the GRU's candidate needs them.

    Where a cell's gates do not see the state, the matrices U and the second half are empty.
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor

    @classmethod
    def of(cls, layers: nn.Module, layer: int) -> LayerParameters:
        """Those of one of a network's layers, counted from 0; not copied."""
        found = dict(layers.named_parameters())
        return cls.named({name: part for name, part in found.items() if _is_of(name, layer)})

    @classmethod
    def named(cls, found: Mapping[str, Tensor]) -> LayerParameters:
        """Those of a layer, by names that end as torch's do: weight_ih_l0."""
        parts = {name.rpartition(".")[2].rpartition("_l")[0]: part for name, part in found.items()}
        nothing = parts["weight_ih"].new_empty(0)
        names = (field.name for field in dataclasses.fields(cls))
        return cls(*(parts.get(name, nothing) for name in names))


def _is_of(name: str, layer: int) -> bool:
    """Whether a parameter is of this layer: of torch's, or of a stack, 0.weight_ih_l0."""
    stacked, _, own = name.rpartition(".")
    return stacked == str(layer) if stacked else own.endswith(f"_l{layer}")


Step: TypeAlias = Callable[[Tensor, LayerState, LayerParameters], tuple[LayerState, Gates]]
"""Maps a layer's input, its state and its parameters to its next state and the gates."""


def rnn_tanh_step(
    x: Tensor, state: LayerState, parameters: LayerParameters
) -> tuple[LayerState, Gates]:
    """The simple recurrent network (Elman 1990, https://doi.org/10.1207/s15516709cog1402_1).

    h_t = tanh(W x_t + U h_{t-1} + b)

    It has no gates: the state is made anew at every step.
    """
    return (torch.tanh(_rnn_sum(x, state, parameters)),), {}


def rnn_relu_step(
    x: Tensor, state: LayerState, parameters: LayerParameters
) -> tuple[LayerState, Gates]:
    """The same with a rectifier (Le et al. 2015, https://arxiv.org/abs/1504.00941).

    h_t = max(0, W x_t + U h_{t-1} + b)

    Started with U the identity and b zero, it carries its state on unchanged: the IRNN.
    """
    return (torch.relu(_rnn_sum(x, state, parameters)),), {}


def _rnn_sum(x: Tensor, state: LayerState, parameters: LayerParameters) -> Tensor:
    (h,) = state
    W, U = parameters.weight_ih, parameters.weight_hh
    b = parameters.bias_ih + parameters.bias_hh
    return linear(x, W) + linear(h, U) + b  # (B, H)


def lstm_step(
    x: Tensor, state: LayerState, parameters: LayerParameters
) -> tuple[LayerState, Gates]:
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).

    i_t = σ(W_i x_t + U_i h_{t-1} + b_i)        input gate: how much of g is written
    f_t = σ(W_f x_t + U_f h_{t-1} + b_f)        forget gate: how much of c is kept
    g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)     candidate: what would be written
    o_t = σ(W_o x_t + U_o h_{t-1} + b_o)        output gate: how much of c is shown
    c_t = f_t * c_{t-1} + i_t * g_t             the memory
    h_t = o_t * tanh(c_t)                       the output

    https://doi.org/10.1162/neco.1997.9.8.1735, https://doi.org/10.1162/089976600300015015
    """
    h, c = state
    W_i, W_f, W_g, W_o = parameters.weight_ih.chunk(4)
    U_i, U_f, U_g, U_o = parameters.weight_hh.chunk(4)
    b_i, b_f, b_g, b_o = (parameters.bias_ih + parameters.bias_hh).chunk(4)

    i = torch.sigmoid(linear(x, W_i) + linear(h, U_i) + b_i)  # (B, H)
    f = torch.sigmoid(linear(x, W_f) + linear(h, U_f) + b_f)
    g = torch.tanh(linear(x, W_g) + linear(h, U_g) + b_g)
    o = torch.sigmoid(linear(x, W_o) + linear(h, U_o) + b_o)
    c = f * c + i * g
    h = o * torch.tanh(c)
    return (h, c), {"input": i, "forget": f, "candidate": g, "output": o}


def gru_step(x: Tensor, state: LayerState, parameters: LayerParameters) -> tuple[LayerState, Gates]:
    """The gated recurrent unit (Cho et al. 2014, https://arxiv.org/abs/1406.1078).

    r_t = σ(W_r x_t + U_r h_{t-1} + b_r)                     reset gate: how much of h the
                                                             candidate sees
    z_t = σ(W_z x_t + U_z h_{t-1} + b_z)                     update gate: how much of h is kept
    n_t = tanh(W_n x_t + b_n + r_t * (U_n h_{t-1} + b'_n))   candidate: what takes its place
    h_t = (1 - z_t) * n_t + z_t * h_{t-1}

    As cuDNN and torch have it, r_t acts on the product U_n h_{t-1}, not on h_{t-1} as in the paper
    (its first version had this too), so that all products with h can be made at once.
    """
    (h,) = state
    W_r, W_z, W_n = parameters.weight_ih.chunk(3)
    U_r, U_z, U_n = parameters.weight_hh.chunk(3)
    b_r, b_z, _ = (parameters.bias_ih + parameters.bias_hh).chunk(3)
    b_n, b_n_hidden = parameters.bias_ih.chunk(3)[2], parameters.bias_hh.chunk(3)[2]

    r = torch.sigmoid(linear(x, W_r) + linear(h, U_r) + b_r)  # (B, H)
    z = torch.sigmoid(linear(x, W_z) + linear(h, U_z) + b_z)
    n = torch.tanh(linear(x, W_n) + b_n + r * (linear(h, U_n) + b_n_hidden))
    h = (1 - z) * n + z * h
    return (h,), {"reset": r, "update": z, "candidate": n}


def mingru_step(
    x: Tensor, state: LayerState, parameters: LayerParameters
) -> tuple[LayerState, Gates]:
    """The GRU without the state in its gates (Feng et al. 2024, https://arxiv.org/abs/2410.01201).

    z_t = σ(W_z x_t + b_z)                 update gate: how much is new
    n_t = W_n x_t + b_n                    candidate
    h_t = (1 - z_t) * h_{t-1} + z_t * n_t

    Its J_t is diag(1 - z_t): between 0 and 1, it lets no gradient explode.
    """
    (h,) = state
    W_z, W_n = parameters.weight_ih.chunk(2)
    b_z, b_n = parameters.bias_ih.chunk(2)

    z = torch.sigmoid(linear(x, W_z) + b_z)  # (B, H)
    n = linear(x, W_n) + b_n
    h = (1 - z) * h + z * n
    return (h,), {"update": z, "candidate": n}


def minlstm_step(
    x: Tensor, state: LayerState, parameters: LayerParameters
) -> tuple[LayerState, Gates]:
    """The LSTM without the state in its gates, and without an output gate (in the same paper).

    f_t = σ(W_f x_t + b_f)                 forget gate: how much is kept
    i_t = σ(W_i x_t + b_i)                 input gate: how much is written
    n_t = W_n x_t + b_n                    candidate
    h_t = f_t / (f_t + i_t) * h_{t-1} + i_t / (f_t + i_t) * n_t
    """
    (h,) = state
    W_f, W_i, W_n = parameters.weight_ih.chunk(3)
    b_f, b_i, b_n = parameters.bias_ih.chunk(3)

    f = torch.sigmoid(linear(x, W_f) + b_f)  # (B, H)
    i = torch.sigmoid(linear(x, W_i) + b_i)
    n = linear(x, W_n) + b_n
    h = f / (f + i) * h + i / (f + i) * n
    return (h,), {"forget": f, "input": i, "candidate": n}


_STEPS: dict[str, Step] = {
    "rnn": rnn_tanh_step,
    "lstm": lstm_step,
    "gru": gru_step,
    "mingru": mingru_step,
    "minlstm": minlstm_step,
}


def step_of(config: ModelConfig) -> Step:
    """The step of a network's cell.

    Raises:
        TrainingError: It has none here.
    """
    if config.cell not in _STEPS:
        raise TrainingError(
            f"the cell {config.cell} has no step-by-step reference, so its steps cannot be shown",
            hint=f"the cells that have one are {', '.join(_STEPS)}",
        )
    return rnn_relu_step if config.nonlinearity == "relu" else _STEPS[config.cell]


@dataclass(frozen=True, slots=True, eq=False)
class Unrolled:
    """What layers computed over a sequence.

    Attributes:
        outputs: (B, T, H), of the last layer.
        state: After the last step, each array (L, B, H), as torch's layers give it.
        gates: Of each layer, each gate at each step, (B, T, H).
    """

    outputs: Tensor
    state: LayerState
    gates: tuple[Gates, ...]


def unroll(
    layers: nn.RNNBase, step: Step, inputs: Tensor, state: LayerState | None = None
) -> Unrolled:
    """Run layers over a sequence, step by step.

    Args:
        layers: Their parameters; their own `forward` is not used.
        step: Of their cell.
        inputs: (B, T, I).
        state: What an earlier call left, each array (L, B, H); None starts from zeros.
    """
    arrays = 2 if isinstance(layers, nn.LSTM) else 1
    if state is None:
        zeros = inputs.new_zeros(layers.num_layers, len(inputs), layers.hidden_size)
        state = (zeros,) * arrays
    sequence = inputs  # (B, T, I), then (B, T, H)
    lasts: list[LayerState] = []
    gates_of_layers: list[Gates] = []
    for layer in range(layers.num_layers):
        parameters = LayerParameters.of(layers, layer)
        carried: LayerState = tuple(array[layer] for array in state)  # (B, H) each
        outputs: list[Tensor] = []
        gates_of_steps: list[Gates] = []
        for x in sequence.unbind(1):  # (B, I)
            carried, gates = step(x, carried, parameters)
            outputs.append(carried[0])
            gates_of_steps.append(gates)
        sequence = torch.stack(outputs, dim=1)
        lasts.append(carried)
        gates_of_layers.append(
            {
                name: torch.stack([gates[name] for gates in gates_of_steps], dim=1)
                for name in gates_of_steps[0]
            }
        )
    after = tuple(torch.stack(array) for array in zip(*lasts, strict=True))
    return Unrolled(sequence, after, tuple(gates_of_layers))
