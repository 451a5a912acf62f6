"""Real-time recurrent learning: a recurrent network's gradient, carried forward with its state.

Backpropagation through time (BPTT) runs over the whole sequence, keeps what every step computed,
and goes back over it. Real-time recurrent learning (RTRL; Williams & Zipser 1989,
https://doi.org/10.1162/neco.1989.1.2.270) never goes back. With s_t = f(θ, x_t, s_{t-1}) the state
after step t (h, or of an LSTM h and c together) and its sensitivity P_t = ds_t/dθ to the parameters
θ, the chain rule says

    P_t = D_t + J_t P_{t-1},    D_t = ∂f/∂θ,    J_t = ∂f/∂s_{t-1},    P_0 = 0
    dL/dθ = Σ_t ∂ℓ_t/∂s_t P_t                                         L = Σ_t ℓ_t

so at every step the gradient of all losses so far is there, and the network could learn at once,
from a stream without an end. Its price is P: S·H rows, one a number of the state, and N columns,
one a parameter.

               keeps                          multiplies in a step
    RTRL       S·H·N       ~ H³, whatever T   (S·H)²·N    ~ H⁴
    BPTT       T·(E + …H)  ~ T·H              3·N         ~ H²

Both gradients are of the same function: they are equal but for rounding.

Shapes: T steps of one sequence, E the width of a token's vector, H units, S arrays of a state,
N parameters, V tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.func import jacrev
from torch.nn import functional

from poetgen.models.cells import cell_named
from poetgen.models.language_model import LanguageModel
from poetgen.models.reference_cells import LayerParameters, Step, step_of

Slope: TypeAlias = Callable[[int, Tensor], Tensor]
"""Maps the place t of a step, from 0, and its output h_t (H,) to ∂ℓ_t/∂h_t (H,)."""

Method: TypeAlias = "Callable[[Recurrence, Tensor, Slope], Tensor]"
"""Maps a recurrence, the tokens (T,) that it reads and the losses' slopes to dL/dθ (N,)."""

_VECTORS = "embedding.weight"


@dataclass(frozen=True, slots=True, eq=False)
class Recurrence:
    """One recurrent layer as the equations see it: the function f, and its parameters in a row.

    Attributes:
        step: Of its cell.
        states: S, the arrays of its state.
        hidden_size: H.
        theta: θ, (N,).
        shapes: What θ is made of, by the names in a checkpoint, in order.
        vectors: (V, E) of the tokens, where they are given and not in θ.
    """

    step: Step
    states: int
    hidden_size: int
    theta: Tensor
    shapes: dict[str, torch.Size]
    vectors: Tensor | None

    @classmethod
    def of(cls, model: LanguageModel, *, learn_vectors: bool = False) -> Recurrence:
        """That of a network of one layer.

        Args:
            model: The network.
            learn_vectors: Whether the vectors of the tokens are parameters too, V·E more in θ, or
                what the network is given, as its inputs were in 1989.
        """
        step = step_of(model.config)
        parts: dict[str, Tensor] = {
            f"recurrent.{name}": part for name, part in model.recurrent.named_parameters()
        }
        vectors: Tensor | None = model.embedding.weight.detach()
        if learn_vectors:
            parts[_VECTORS], vectors = model.embedding.weight.detach(), None
        return cls(
            step=step,
            states=cell_named(model.config.cell).states,
            hidden_size=model.config.hidden_size,
            theta=torch.cat([part.detach().flatten() for part in parts.values()]),
            shapes={name: part.shape for name, part in parts.items()},
            vectors=vectors,
        )

    def start(self) -> Tensor:
        """s_0, (S·H,)."""
        return self.theta.new_zeros(self.states * self.hidden_size)

    def named(self, theta: Tensor) -> dict[str, Tensor]:
        """What lies in θ, or in a gradient at it, by its name: views."""
        sizes = [shape.numel() for shape in self.shapes.values()]
        rows = zip(self.shapes.items(), torch.split(theta, sizes), strict=True)
        return {name: part.view(shape) for (name, shape), part in rows}

    def after(self, parts: dict[str, Tensor], token: Tensor, state: Tensor) -> Tensor:
        """f: the state (S·H,) after reading one more token, ()."""
        table = parts[_VECTORS] if self.vectors is None else self.vectors
        x = functional.embedding(token, table)  # (E,)
        return torch.cat(self.step(x, state.chunk(self.states), self.layer(parts))[0])

    @staticmethod
    def layer(parts: dict[str, Tensor]) -> LayerParameters:
        """What the step takes of the parts of θ."""
        return LayerParameters.named({n: part for n, part in parts.items() if n != _VECTORS})

    @property
    def given_vectors(self) -> Tensor:
        """The vectors (V, E), where they are given."""
        assert self.vectors is not None
        return self.vectors


def rtrl(f: Recurrence, tokens: Tensor, slope: Slope) -> Tensor:
    """dL/dθ (N,) by real-time recurrent learning, over tokens (T,)."""

    def step(theta: Tensor, token: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        after = f.after(f.named(theta), token, state)
        return after, after  # Once to be derived, once as it is.

    derivatives = jacrev(step, argnums=(0, 2), has_aux=True)
    s = f.start()  # (S·H,)
    P = s.new_zeros(len(s), len(f.theta))  # (S·H, N)
    gradient = torch.zeros_like(f.theta)
    for t, token in enumerate(tokens.unbind()):
        (D, J), s = derivatives(f.theta, token, s)  # (S·H, N), (S·H, S·H)
        P = D.addmm_(J, P)  # In D's place.
        # A loss sees the output h alone, which comes first in the state.
        h = s[: f.hidden_size]
        gradient += slope(t, h) @ P[: f.hidden_size]
    return gradient


def bptt(f: Recurrence, tokens: Tensor, slope: Slope) -> Tensor:
    """dL/dθ (N,) by backpropagation through time, over tokens (T,)."""
    theta = f.theta.detach().requires_grad_()
    parts = f.named(theta)
    s = f.start()
    outputs: list[Tensor] = []
    for token in tokens.unbind():
        s = f.after(parts, token, s)
        outputs.append(s[: f.hidden_size])
    slopes = [slope(t, h.detach()) for t, h in enumerate(outputs)]
    (gradient,) = torch.autograd.grad(outputs, theta, slopes)
    return gradient


def loss_gradients(
    model: LanguageModel, ids: Tensor, method: Method, *, learn_vectors: bool = False
) -> tuple[float, dict[str, Tensor]]:
    """The loss of a piece of text and its gradient at every parameter of a network.

    What lies after the recurrence, the output layer, has its gradient at each step at once. The
    token vectors count as such where they are tied to it, and only as such unless they are learned.

    Args:
        model: A network of one layer.
        ids: (T + 1,), what is read and, a place on, what is to be predicted.
        method: `rtrl` or `bptt`.
        learn_vectors: As in `Recurrence.of`.

    Returns:
        The mean cross entropy in nats, and gradients by the parameters' names in a checkpoint.
    """
    f = Recurrence.of(model, learn_vectors=learn_vectors)
    T = len(ids) - 1
    after = {name: p for name, p in model.named_parameters() if not name.startswith("recurrent.")}
    gradients = {name: torch.zeros_like(parameter) for name, parameter in after.items()}
    loss = 0.0

    def slope(t: int, h: Tensor) -> Tensor:
        nonlocal loss
        h = h.detach().requires_grad_()
        nats = functional.cross_entropy(model.logits(h), ids[t + 1]) / T
        at_h, *others = torch.autograd.grad(nats, [h, *after.values()], materialize_grads=True)
        for gradient, other in zip(gradients.values(), others, strict=True):
            gradient += other
        loss += nats.item()
        return at_h

    for name, gradient in f.named(method(f, ids[:-1], slope)).items():
        gradients[name] = gradients[name] + gradient if name in gradients else gradient
    return loss, gradients
