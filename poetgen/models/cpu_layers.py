"""GRU and plain RNN layers that train faster on a CPU than torch's own, in plain torch operations.

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
once a layer, not once a step.

GFLOP/s, forward and backward, of one layer with E = 384 and H = 768 on two cores (torch 2.13,
AVX-512; `benchmarks/training_speed.py` repeats it), where a large matrix product reaches 200:

    B x T       nn.LSTM   nn.GRU   this GRU   nn.RNN   this RNN
    16 x 64         172      102        131      115        138
    30 x 33         181      125        146      138        154
    40 x 25         175      137        156      141        163

What is left to the LSTM is mostly the product of each step: one of 30 rows reaches 145 in torch.mm,
and the backward pass can make two of three products large but not this one. Tried and dropped: the
transposed layout (177 against 150 at B = 32, but 98 against 142 at B = 30). Not tried:
`torch.compile`, which needs a C++ compiler on the user's machine.

Values and gradients equal torch's to rounding. Without gradients, on other devices, and under
autocast torch's own forward runs; parameters and their names are torch's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_aten = torch.ops.aten


class _GRULayer(torch.autograd.Function):
    """One GRU layer over all its steps; T steps, B poems, E features in, H out."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, h0: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor
    ) -> Tensor:
        """(T, B, E), (B, H) and a layer's parameters to its outputs (T, B, H)."""
        T, B, _ = inputs.shape
        H = w_hh.shape[1]
        # The two biases of r and z are simply added; n's recurrent one stands inside r * ( ).
        bias = b_ih.clone()
        bias[: 2 * H] += b_hh[: 2 * H]
        gates = torch.addmm(bias, inputs.flatten(0, 1), w_ih.t()).view(T, B, 3 * H)
        recurrent_n = inputs.new_empty(T, B, H)  # what r is multiplied with
        states = inputs.new_empty(T + 1, B, H)
        states[0] = h0
        product = inputs.new_empty(B, 3 * H)
        for t in range(T):
            torch.mm(states[t], w_hh.t(), out=product)
            rz, n = gates[t, :, : 2 * H], gates[t, :, 2 * H :]
            r, z = rz.chunk(2, dim=1)
            rz.add_(product[:, : 2 * H]).sigmoid_()
            torch.add(product[:, 2 * H :], b_hh[2 * H :], out=recurrent_n[t])
            n.addcmul_(r, recurrent_n[t]).tanh_()
            torch.lerp(n, states[t], z, out=states[t + 1])  # n + z (h - n)
        ctx.save_for_backward(inputs, w_ih, w_hh, gates, recurrent_n, states)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the outputs (T, B, H) to those of forward's arguments."""
        inputs, w_ih, w_hh, gates, recurrent_n, states = ctx.saved_tensors
        T, B, H = recurrent_n.shape
        # Of r, z and n before their nonlinearity. n's differs on its two roads: d_n towards the
        # layer's input, and r times that, the last third of d_gates, towards the state.
        d_gates = torch.empty_like(gates)
        d_n = torch.empty_like(recurrent_n)
        d_h, d_h_before, scratch = inputs.new_zeros(3, B, H).unbind()
        for t in reversed(range(T)):
            r, z, n = gates[t].chunk(3, dim=1)
            d_r, d_z, d_recurrent_n = d_gates[t].chunk(3, dim=1)
            d_h += grad_outputs[t]
            torch.mul(d_h, z, out=d_h_before)
            torch.sub(d_h, d_h_before, out=scratch)
            _aten.tanh_backward.grad_input(scratch, n, grad_input=d_n[t])
            torch.mul(d_n[t], r, out=d_recurrent_n)
            torch.mul(d_n[t], recurrent_n[t], out=scratch)
            _aten.sigmoid_backward.grad_input(scratch, r, grad_input=d_r)
            torch.sub(states[t], n, out=scratch).mul_(d_h)
            _aten.sigmoid_backward.grad_input(scratch, z, grad_input=d_z)
            d_h_before.addmm_(d_gates[t], w_hh)
            d_h, d_h_before = d_h_before, d_h
        flat_gates, flat_n, flat_inputs = (a.flatten(0, 1) for a in (d_gates, d_n, inputs))
        flat_rz = flat_gates[:, : 2 * H]
        d_w_ih = torch.empty_like(w_ih)
        torch.mm(flat_rz.t(), flat_inputs, out=d_w_ih[: 2 * H])
        torch.mm(flat_n.t(), flat_inputs, out=d_w_ih[2 * H :])
        d_w_hh = flat_gates.t() @ states[:-1].flatten(0, 1)
        d_b_hh = flat_gates.sum(dim=0)
        d_b_ih = torch.cat((d_b_hh[: 2 * H], flat_n.sum(dim=0)))
        d_inputs = None
        if ctx.needs_input_grad[0]:
            d_inputs = (flat_rz @ w_ih[: 2 * H]).addmm_(flat_n, w_ih[2 * H :]).view_as(inputs)
        return d_inputs, d_h, d_w_ih, d_w_hh, d_b_ih, d_b_hh


class _RNNLayer(torch.autograd.Function):
    """One plain layer over all its steps; T steps, B poems, E features in, H out."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        h0: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        b_ih: Tensor,
        b_hh: Tensor,
        nonlinearity: str,
    ) -> Tensor:
        """(T, B, E), (B, H) and a layer's parameters to its outputs (T, B, H)."""
        T, B, _ = inputs.shape
        H = w_hh.shape[1]
        states = inputs.new_empty(T + 1, B, H)
        states[0] = h0
        flat = states[1:].view(T * B, H)
        torch.addmm(b_ih + b_hh, inputs.flatten(0, 1), w_ih.t(), out=flat)
        apply_ = torch.tanh_ if nonlinearity == "tanh" else torch.relu_
        for t in range(T):
            apply_(states[t + 1].addmm_(states[t], w_hh.t()))
        ctx.save_for_backward(inputs, w_ih, w_hh, states)
        ctx.nonlinearity = nonlinearity
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the outputs (T, B, H) to those of forward's arguments."""
        inputs, w_ih, w_hh, states = ctx.saved_tensors
        d_sums = torch.empty_like(states[1:])  # before the nonlinearity
        d_h = torch.zeros_like(states[0])
        for t in reversed(range(len(inputs))):
            d_h += grad_outputs[t]
            if ctx.nonlinearity == "tanh":
                _aten.tanh_backward.grad_input(d_h, states[t + 1], grad_input=d_sums[t])
            else:
                _aten.threshold_backward.grad_input(d_h, states[t + 1], 0, grad_input=d_sums[t])
            torch.mm(d_sums[t], w_hh, out=d_h)
        flat = d_sums.flatten(0, 1)
        d_w_ih = flat.t() @ inputs.flatten(0, 1)
        d_w_hh = flat.t() @ states[:-1].flatten(0, 1)
        d_bias = flat.sum(dim=0)
        d_inputs = (flat @ w_ih).view_as(inputs) if ctx.needs_input_grad[0] else None
        return d_inputs, d_h, d_w_ih, d_w_hh, d_bias, d_bias, None


def _trains_on_cpu(inputs: Tensor) -> bool:
    return (
        inputs.device.type == "cpu"
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
    )


def _run_layers(
    layers: nn.RNNBase, function: Any, inputs: Tensor, state: Tensor | None, *extra: Any
) -> tuple[Tensor, Tensor]:
    """Run all layers of a batch-first network: (B, T, E) to (B, T, H) and (num_layers, B, H)."""
    if state is None:
        state = inputs.new_zeros(layers.num_layers, len(inputs), layers.hidden_size)
    outputs = inputs.transpose(0, 1).contiguous()  # by time, so that a step is one piece of memory
    last = []
    for layer in range(layers.num_layers):
        if layer and layers.dropout:
            outputs = functional.dropout(outputs, layers.dropout, layers.training)
        outputs = function.apply(
            outputs,
            state[layer],
            *(
                layers.get_parameter(f"{name}_l{layer}")
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            ),
            *extra,
        )
        last.append(outputs[-1])
    return outputs.transpose(0, 1), torch.stack(last)


class GRU(nn.GRU):
    """`nn.GRU`, batch first and one-directional, with a faster way to train on a CPU."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """(B, T, E) and (num_layers, B, H) or None to (B, T, H) and (num_layers, B, H)."""
        if _trains_on_cpu(input):
            return _run_layers(self, _GRULayer, input, hx)
        return super().forward(input, hx)


class RNN(nn.RNN):
    """`nn.RNN`, batch first and one-directional, with a faster way to train on a CPU."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """(B, T, E) and (num_layers, B, H) or None to (B, T, H) and (num_layers, B, H)."""
        if _trains_on_cpu(input):
            return _run_layers(self, _RNNLayer, input, hx, self.nonlinearity)
        return super().forward(input, hx)
