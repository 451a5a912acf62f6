"""Recurrent layers that train faster on a CPU than torch's own, in plain torch operations.

torch trains an LSTM on a CPU through oneDNN's fused layer, forward and backward
(`aten::mkldnn_rnn_layer`, `mkldnn_rnn_layer_backward`). For GRU and RNN it has no such layer: it
unrolls them, and autograd then goes back through each of the T steps by itself. That costs, per
step, a gradient of the whole recurrent matrix — a product of only B rows whose result, 3 H² numbers
(7 MB at H = 768), is then added to the sum so far — and, for the GRU, glueing the gates' gradients
together again (`aten::cat`, a seventh of the time).

Here a layer is one autograd function. Its backward pass writes each step's gradient of the gates
in its place in a buffer (T, B, 3H), and only the product that leads to the step before is made step
by step. The gradients of the matrices are one product over all T·B rows at the end; the layer's
input goes through its matrix in one product at the start, as torch does it too. Buffers are made
once a layer, not once a step, and the recurrent matrix is laid out for oneDNN once a pass.

**bf16.** Under autocast to bf16 the matrices, states and gradients that enter a product are cast
once and the product is made in bf16 (oneDNN adds up in fp32); sums before a nonlinearity, gates,
memory, states and everything elementwise stay fp32. Gradients then differ from fp32's by half a
percent, torch's own bf16 layers' by one. So made the LSTM is faster than oneDNN's fused layer too,
which at B = 15 gains nothing from bf16.

GFLOP/s, forward and backward, of one layer with E = 384 and H = 768 on one core (torch 2.13,
AVX512-BF16; `benchmarks/training_speed.py` repeats it), where a large matrix product reaches 95
in fp32 and 210 in bf16:

              torch    ours   torch    ours
    B x T      fp32    fp32    bf16    bf16
    LSTM
    30 x 33      84     (84)    120     155
    15 x 65      81     (81)     88     135
    GRU
    30 x 33      60      84     117     156

Tried and dropped: an LSTM of this kind for fp32 (oneDNN's is 3 to 8 % faster); tensors of fp32
whose products oneDNN makes in bf16 (`torch.backends.mkldnn.matmul.fp32_precision`: at B = 30 no
faster than fp32); the transposed layout (177 against 150 at B = 32 on two cores, but 98 against
142 at B = 30). Not tried: `torch.compile`, which needs a C++ compiler on the user's machine.

In fp32 values and gradients equal torch's to rounding. Without gradients and on other devices
torch's own forward runs; parameters and their names are torch's. What is not torch's is dropout
between layers, which here is locked (`poetgen.models.dropout`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from poetgen.models.dropout import locked_dropout

_aten = torch.ops.aten

_Product = Callable[[Tensor, Tensor], Tensor]
"""Maps (B, K) and (B, N) to (B, N): the first times a fixed matrix, plus the second."""

LSTM_FROM = 384
"""A narrower LSTM is left to oneDNN in bf16 too: of 128 and 256 it takes 40 and 65 % of the time
that the single operations of a step take here; of 512, 140 %."""

_packs = hasattr(torch.ops.mkldnn, "_reorder_linear_weight")


def _product_with(weight: Tensor, B: int) -> _Product:
    """What adds `states @ weight.t()` to something, step after step; `weight` is (N, K).

    Where torch has oneDNN, the matrix is laid out once as oneDNN multiplies with it, as
    `torch.compile` does for frozen networks: torch.mm does so again in each step. (For B = 15, 205
    GFLOP/s against 150 in bf16 on one core; for B = 30, 216 against 182.)
    """
    if _packs and weight.dtype in (torch.float32, torch.bfloat16):
        ops = torch.ops.mkldnn
        packed = ops._reorder_linear_weight(weight.contiguous(), B)
        return lambda left, plus: ops._linear_pointwise.binary(left, plus, packed, None, "add")
    transposed = weight.t()
    return lambda left, plus: torch.addmm(plus, left, transposed)


def _tanh_(values: Tensor) -> Tensor:
    """Apply tanh in place by way of the sigmoid, which torch computes four times as fast."""
    return values.mul_(2).sigmoid_().mul_(2).sub_(1)


def _narrow(states: Tensor, dtype: torch.dtype) -> Tensor:
    """`states` itself, or a buffer for its copy, when products are made in another type."""
    return states if states.dtype == dtype else torch.empty_like(states, dtype=dtype)


def _wide(gradients: Tensor, dtype: torch.dtype) -> Tensor:
    """`gradients` (T, B, N) itself; if of a narrower type, one step's buffer in place of each."""
    if gradients.dtype == dtype:
        return gradients
    return torch.empty_like(gradients[0], dtype=dtype).expand_as(gradients)


class _LSTMLayer(torch.autograd.Function):
    """One LSTM layer over all its steps; T steps, B poems, E features in, H out."""

    @staticmethod
    def forward(
        ctx: Any,
        dtype: torch.dtype,
        inputs: Tensor,
        h0: Tensor,
        c0: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor,
        b_hh: Tensor,
    ) -> tuple[Tensor, ...]:
        """(T, B, E), twice (B, H) and the parameters to outputs (T, B, H), last memory (B, H)."""
        T, B, _ = inputs.shape
        H = w_hh.shape[1]
        left, w_ih, w_hh = inputs.to(dtype), w_ih.to(dtype), w_hh.to(dtype)
        sums = left @ w_ih.t()
        bias = b_ih + b_hh
        gates = inputs.new_empty(T, B, 4 * H)
        states, memories = inputs.new_empty(2, T + 1, B, H).unbind()
        tanhs = inputs.new_empty(T, B, H)  # of the memories
        narrow = _narrow(states, dtype)
        states[0], memories[0], narrow[0] = h0, c0, h0
        add_product = _product_with(w_hh, B)
        for t in range(T):
            torch.add(add_product(narrow[t], sums[t]), bias, out=gates[t])
            i, f, g, o = gates[t].chunk(4, dim=1)
            g.mul_(2)  # tanh as in _tanh_, all four in one sigmoid
            gates[t].sigmoid_()
            g.mul_(2).sub_(1)
            torch.mul(f, memories[t], out=memories[t + 1]).addcmul_(i, g)
            tanhs[t] = memories[t + 1]
            torch.mul(o, _tanh_(tanhs[t]), out=states[t + 1])
            narrow[t + 1] = states[t + 1]
        ctx.save_for_backward(left, w_ih, w_hh, gates, memories, tanhs, narrow, states)
        return states[1:], memories[T]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_outputs: Tensor, grad_memory: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of forward's results to those of its arguments."""
        left, w_ih, w_hh, gates, memories, tanhs, narrow, _ = ctx.saved_tensors
        T, B, H = tanhs.shape
        d_gates = torch.empty_like(gates, dtype=left.dtype)  # before their nonlinearity
        wide = _wide(d_gates, gates.dtype)
        d_bias, d_h, d_c = gates.new_zeros(B, 4 * H), gates.new_zeros(B, H), grad_memory.clone()
        scratch = torch.empty_like(d_h)
        nothing = d_gates.new_zeros(B, H)
        add_product = _product_with(w_hh.t(), B)
        for t in reversed(range(T)):
            i, f, g, o = gates[t].chunk(4, dim=1)
            d_i, d_f, d_g, d_o = wide[t].chunk(4, dim=1)
            d_h += grad_outputs[t]
            torch.mul(d_h, tanhs[t], out=scratch)
            _aten.sigmoid_backward.grad_input(scratch, o, grad_input=d_o)
            torch.mul(d_h, o, out=scratch)
            d_c += _aten.tanh_backward.grad_input(scratch, tanhs[t], grad_input=scratch)
            torch.mul(d_c, g, out=scratch)
            _aten.sigmoid_backward.grad_input(scratch, i, grad_input=d_i)
            torch.mul(d_c, memories[t], out=scratch)
            _aten.sigmoid_backward.grad_input(scratch, f, grad_input=d_f)
            torch.mul(d_c, i, out=scratch)
            _aten.tanh_backward.grad_input(scratch, g, grad_input=d_g)
            d_c *= f
            d_bias += wide[t]
            d_gates[t] = wide[t]
            d_h.copy_(add_product(d_gates[t], nothing))
        flat = d_gates.flatten(0, 1)
        d_w_ih = (flat.t() @ left.flatten(0, 1)).to(gates.dtype)
        d_w_hh = (flat.t() @ narrow[:-1].flatten(0, 1)).to(gates.dtype)
        d_inputs = (d_gates @ w_ih).to(gates.dtype) if ctx.needs_input_grad[1] else None
        d_b = d_bias.sum(dim=0)
        return None, d_inputs, d_h, d_c, d_w_ih, d_w_hh, d_b, d_b


class _GRULayer(torch.autograd.Function):
    """One GRU layer over all its steps; T steps, B poems, E features in, H out."""

    @staticmethod
    def forward(
        ctx: Any,
        dtype: torch.dtype,
        inputs: Tensor,
        h0: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor,
        b_hh: Tensor,
    ) -> tuple[Tensor, ...]:
        """(T, B, E), (B, H) and a layer's parameters to its outputs (T, B, H)."""
        T, B, _ = inputs.shape
        H = w_hh.shape[1]
        left, w_ih, w_hh = inputs.to(dtype), w_ih.to(dtype), w_hh.to(dtype)
        # The two biases of r and z are simply added; n's recurrent one stands inside r * ( ).
        bias = b_ih.clone()
        bias[: 2 * H] += b_hh[: 2 * H]
        sums = left @ w_ih.t()
        gates = inputs.new_empty(T, B, 3 * H)
        recurrent_n = inputs.new_empty(T, B, H)  # what r is multiplied with
        states = inputs.new_empty(T + 1, B, H)
        narrow = _narrow(states, dtype)
        states[0], narrow[0] = h0, h0
        nothing = sums.new_zeros(B, 3 * H)
        add_product = _product_with(w_hh, B)
        for t in range(T):
            torch.add(sums[t], bias, out=gates[t])
            product = add_product(narrow[t], nothing)
            rz, n = gates[t, :, : 2 * H], gates[t, :, 2 * H :]
            r, z = rz.chunk(2, dim=1)
            rz.add_(product[:, : 2 * H]).sigmoid_()
            torch.add(product[:, 2 * H :], b_hh[2 * H :], out=recurrent_n[t])
            _tanh_(n.addcmul_(r, recurrent_n[t]))
            torch.lerp(n, states[t], z, out=states[t + 1])  # n + z (h - n)
            narrow[t + 1] = states[t + 1]
        ctx.save_for_backward(left, w_ih, w_hh, gates, recurrent_n, narrow, states)
        return (states[1:],)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the outputs (T, B, H) to those of forward's arguments."""
        left, w_ih, w_hh, gates, recurrent_n, narrow, states = ctx.saved_tensors
        T, B, H = recurrent_n.shape
        # Of r, z and n before their nonlinearity. n's differs on its two roads: d_n towards the
        # layer's input, and r times that, the last third of d_gates, towards the state.
        d_gates = torch.empty_like(gates, dtype=left.dtype)
        d_n = torch.empty_like(recurrent_n, dtype=left.dtype)
        wide, wide_n = _wide(d_gates, gates.dtype), _wide(d_n, gates.dtype)
        d_b_hh, d_b_n = gates.new_zeros(B, 3 * H), gates.new_zeros(B, H)
        d_h, scratch = gates.new_zeros(2, B, H).unbind()
        nothing = d_gates.new_zeros(B, H)
        add_product = _product_with(w_hh.t(), B)
        for t in reversed(range(T)):
            r, z, n = gates[t].chunk(3, dim=1)
            d_r, d_z, d_recurrent_n = wide[t].chunk(3, dim=1)
            d_h += grad_outputs[t]
            torch.sub(states[t], n, out=scratch).mul_(d_h)
            _aten.sigmoid_backward.grad_input(scratch, z, grad_input=d_z)
            torch.mul(d_h, z, out=scratch)
            d_h -= scratch
            _aten.tanh_backward.grad_input(d_h, n, grad_input=wide_n[t])
            torch.mul(wide_n[t], r, out=d_recurrent_n)
            torch.mul(wide_n[t], recurrent_n[t], out=d_h)
            _aten.sigmoid_backward.grad_input(d_h, r, grad_input=d_r)
            d_b_hh += wide[t]
            d_b_n += wide_n[t]
            d_gates[t], d_n[t] = wide[t], wide_n[t]
            torch.add(scratch, add_product(d_gates[t], nothing), out=d_h)
        flat_gates, flat_n, flat_left = (a.flatten(0, 1) for a in (d_gates, d_n, left))
        flat_rz = flat_gates[:, : 2 * H]
        d_w_ih = torch.empty_like(w_ih)
        torch.mm(flat_rz.t(), flat_left, out=d_w_ih[: 2 * H])
        torch.mm(flat_n.t(), flat_left, out=d_w_ih[2 * H :])
        d_w_hh = flat_gates.t() @ narrow[:-1].flatten(0, 1)
        d_b_hh = d_b_hh.sum(dim=0)
        d_b_ih = torch.cat((d_b_hh[: 2 * H], d_b_n.sum(dim=0)))
        d_inputs = None
        if ctx.needs_input_grad[1]:
            d_inputs = (flat_rz @ w_ih[: 2 * H]).addmm_(flat_n, w_ih[2 * H :]).view_as(left)
            d_inputs = d_inputs.to(gates.dtype)
        return None, d_inputs, d_h, d_w_ih.to(gates.dtype), d_w_hh.to(gates.dtype), d_b_ih, d_b_hh


class _RNNLayer(torch.autograd.Function):
    """One plain layer over all its steps; T steps, B poems, E features in, H out."""

    @staticmethod
    def forward(
        ctx: Any,
        dtype: torch.dtype,
        inputs: Tensor,
        h0: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor,
        b_hh: Tensor,
        nonlinearity: str,
    ) -> tuple[Tensor, ...]:
        """(T, B, E), (B, H) and a layer's parameters to its outputs (T, B, H)."""
        T, B, _ = inputs.shape
        left, w_ih, w_hh = inputs.to(dtype), w_ih.to(dtype), w_hh.to(dtype)
        sums = left @ w_ih.t()
        bias = b_ih + b_hh
        states = inputs.new_empty(T + 1, *h0.shape)
        narrow = _narrow(states, dtype)
        states[0], narrow[0] = h0, h0
        add_product = _product_with(w_hh, B)
        apply_ = _tanh_ if nonlinearity == "tanh" else torch.relu_
        for t in range(T):
            torch.add(add_product(narrow[t], sums[t]), bias, out=states[t + 1])
            narrow[t + 1] = apply_(states[t + 1])
        ctx.save_for_backward(left, w_ih, w_hh, narrow, states)
        ctx.nonlinearity = nonlinearity
        return (states[1:],)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the outputs (T, B, H) to those of forward's arguments."""
        left, w_ih, w_hh, narrow, states = ctx.saved_tensors
        T, B, _ = left.shape
        d_sums = torch.empty_like(narrow[1:])  # before the nonlinearity
        wide = _wide(d_sums, states.dtype)
        d_bias, d_h = torch.zeros_like(states[:2]).unbind()
        nothing = torch.zeros_like(narrow[0])
        add_product = _product_with(w_hh.t(), B)
        for t in reversed(range(T)):
            d_h += grad_outputs[t]
            if ctx.nonlinearity == "tanh":
                _aten.tanh_backward.grad_input(d_h, states[t + 1], grad_input=wide[t])
            else:
                _aten.threshold_backward.grad_input(d_h, states[t + 1], 0, grad_input=wide[t])
            d_bias += wide[t]
            d_sums[t] = wide[t]
            d_h.copy_(add_product(d_sums[t], nothing))
        flat = d_sums.flatten(0, 1)
        d_w_ih = (flat.t() @ left.flatten(0, 1)).to(states.dtype)
        d_w_hh = (flat.t() @ narrow[:-1].flatten(0, 1)).to(states.dtype)
        d_inputs = (d_sums @ w_ih).to(states.dtype) if ctx.needs_input_grad[1] else None
        d_b = d_bias.sum(dim=0)
        return None, d_inputs, d_h, d_w_ih, d_w_hh, d_b, d_b, None


def _product_type(inputs: Tensor) -> torch.dtype | None:
    """The type in which a layer here makes its products; None where torch's own layer runs."""
    if inputs.device.type != "cpu" or not torch.is_grad_enabled():
        return None
    if not torch.is_autocast_enabled("cpu"):
        return inputs.dtype
    dtype = torch.get_autocast_dtype("cpu")
    return dtype if dtype == torch.bfloat16 else None


def _run_layers(
    layers: nn.RNNBase,
    function: Any,
    dtype: torch.dtype,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    *extra: Any,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run all layers of a batch-first network.

    (B, T, E) and states (num_layers, B, H), as many as the cell has, to (B, T, H) and states.
    """
    outputs = inputs.transpose(0, 1).contiguous()  # by time, so that a step is one piece of memory
    last = []
    with torch.autocast("cpu", enabled=False):  # The functions choose the types themselves.
        for layer in range(layers.num_layers):
            if layer and layers.training:
                outputs = locked_dropout(outputs, layers.dropout, time=0)
            outputs, *memory = function.apply(
                dtype,
                outputs,
                *(part[layer] for part in state),
                *_parameters(layers, layer),
                *extra,
            )
            last.append((outputs[-1], *memory))
        return outputs.transpose(0, 1), tuple(map(torch.stack, zip(*last, strict=True)))


def _run_torchs_layers(
    layers: nn.RNNBase, inputs: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """As `_run_layers`, on any device, each layer as torch has it.

    For the masks between layers, which torch would draw anew at each step.
    """
    run = getattr(torch, layers.mode.lower())  # torch.lstm, gru, rnn_tanh or rnn_relu
    outputs, last = inputs, []
    with warnings.catch_warnings():
        # cuDNN has the weights of a call in one piece, and warns where it has to copy them first.
        warnings.filterwarnings("ignore", "RNN module weights are not part of single")
        for layer in range(layers.num_layers):
            if layer:
                outputs = locked_dropout(outputs, layers.dropout)
            before = [part[layer : layer + 1] for part in state]
            outputs, *after = run(
                outputs,
                before if len(before) > 1 else before[0],
                _parameters(layers, layer),
                has_biases=True,
                num_layers=1,
                dropout=0.0,
                train=True,
                bidirectional=False,
                batch_first=True,
            )
            last.append(after)
    return outputs, tuple(map(torch.cat, zip(*last, strict=True)))


def _parameters(layers: nn.RNNBase, layer: int) -> list[Tensor]:
    # By attribute, as a caller may have put other tensors in the place of the parameters.
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [getattr(layers, f"{name}_l{layer}") for name in names]


def _drops_between(layers: nn.RNNBase) -> bool:
    return layers.training and layers.dropout > 0 and layers.num_layers > 1


def _zeros(layers: nn.RNNBase, inputs: Tensor) -> Tensor:
    return inputs.new_zeros(layers.num_layers, len(inputs), layers.hidden_size)


class LSTM(nn.LSTM):
    """`nn.LSTM`, batch first and one-directional, with a faster way to train in bf16 on a CPU."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """(B, T, E) and two (num_layers, B, H) or None to (B, T, H) and two (num_layers, B, H)."""
        dtype = _product_type(input)
        state = hx or (_zeros(self, input),) * 2
        if dtype == torch.bfloat16 and self.hidden_size >= LSTM_FROM:
            return _run_layers(self, _LSTMLayer, dtype, input, state)
        if _drops_between(self):
            return _run_torchs_layers(self, input, state)
        return super().forward(input, hx)


class GRU(nn.GRU):
    """`nn.GRU`, batch first and one-directional, with a faster way to train on a CPU."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """(B, T, E) and (num_layers, B, H) or None to (B, T, H) and (num_layers, B, H)."""
        dtype = _product_type(input)
        state = _zeros(self, input) if hx is None else hx
        if dtype is not None:
            outputs, (last,) = _run_layers(self, _GRULayer, dtype, input, (state,))
        elif _drops_between(self):
            outputs, (last,) = _run_torchs_layers(self, input, (state,))
        else:
            outputs, last = super().forward(input, hx)
        return outputs, last


class RNN(nn.RNN):
    """`nn.RNN`, batch first and one-directional, with a faster way to train on a CPU."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """(B, T, E) and (num_layers, B, H) or None to (B, T, H) and (num_layers, B, H)."""
        dtype = _product_type(input)
        state = _zeros(self, input) if hx is None else hx
        if dtype is not None:
            outputs, (last,) = _run_layers(
                self, _RNNLayer, dtype, input, (state,), self.nonlinearity
            )
        elif _drops_between(self):
            outputs, (last,) = _run_torchs_layers(self, input, (state,))
        else:
            outputs, last = super().forward(input, hx)
        return outputs, last
