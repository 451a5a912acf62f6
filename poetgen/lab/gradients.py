"""How much of a gradient reaches a state k steps back, and what theory says of it.

The loss of one prediction, at the last of T steps, is a function of every state before it. With
s_t the state after step t (h, or of an LSTM h and c together) and J_t = ∂s_t/∂s_{t-1},

    ∂L/∂s_{T-k} = ∂L/∂s_T · J_T J_{T-1} ⋯ J_{T-k+1}

so its norm is at most that of ∂L/∂s_T times the product's spectral norm. For a simple network
J_t = diag(φ'(a_t)) U, and φ' is at most 1 for tanh and ReLU: with ‖U‖ < 1 the gradient must vanish
at least as fast as ‖U‖^k. With ‖U‖ > 1 it may explode: it does while the units are not saturated.
(Bengio, Simard & Frasconi 1994, https://doi.org/10.1109/72.279181; Pascanu, Mikolov & Bengio 2013,
https://arxiv.org/abs/1211.5063.)

Everything is measured in float64 and on single sequences; figures of several are their medians.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.func import jacrev, vmap
from torch.nn import functional

from poetgen.dataset.encoded import EncodedCorpus
from poetgen.errors import TrainingError
from poetgen.models.cells import cell_named
from poetgen.models.config import ModelConfig
from poetgen.models.language_model import LanguageModel
from poetgen.models.reference_cells import LayerParameters, LayerState, step_of
from poetgen.training.optimization import make_optimizer
from poetgen.training.options import TrainingOptions

AT_START, CLIPPED, UNCLIPPED = "start", "clipped", "unclipped"
WHEN = (AT_START, CLIPPED, UNCLIPPED)
"""When a network is looked at: as it starts, and after training with clipping and without."""

_BATCH = 16
_MEASURED = 8
# Sequences in a training batch, and sequences that are measured.


@dataclass(frozen=True, slots=True)
class Network:
    """A network to look at, and how its recurrent matrix starts.

    Attributes:
        name: As it was asked for.
        cell, nonlinearity, recurrent_init: As in `ModelConfig`.
        scale: What the recurrent matrix is multiplied by at the start.
        forget_bias: Where the bias of a forget gate starts, if there is one.
    """

    name: str
    cell: str
    nonlinearity: str = "tanh"
    recurrent_init: str = "orthogonal"
    scale: float = 1.0
    forget_bias: float = 1.0


def network_named(name: str) -> Network:
    """A network by a name such as `lstm:forget3`, `rnn:relu:identity` or `rnn:x2`.

    Raises:
        TrainingError: No such cell, or no such word after it.
    """
    cell, *words = name.strip().split(":")
    has_matrix = cell_named(cell).is_recurrent
    forgets = cell_named(cell).forget_gate is not None
    nonlinearity, recurrent_init, scale, forget_bias = "tanh", "orthogonal", 1.0, 1.0
    for word in words:
        if word == "relu" and cell == "rnn":
            nonlinearity = word
        elif word == "identity" and has_matrix:
            recurrent_init = word
        elif has_matrix and (factor := _number_after("x", word)) is not None and factor > 0:
            scale = factor
        elif forgets and (bias := _number_after("forget", word)) is not None:
            forget_bias = bias
        else:
            raise TrainingError(
                f"--cells has '{name}', and '{word}' is nothing that a {cell} can have",
                hint="a cell's name; where it has a recurrent matrix, then :identity, or :x2 (or "
                "another factor); where it has a forget gate, :forget3 (or another bias); of an "
                "rnn, :relu",
            )
    return Network(name.strip(), cell, nonlinearity, recurrent_init, scale, forget_bias)


def _number_after(prefix: str, word: str) -> float | None:
    try:
        value = float(word.removeprefix(prefix)) if word.startswith(prefix) else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Settings:
    """What all networks of a comparison have in common.

    Attributes:
        steps: T, the length of a sequence.
        hidden_size: H of each network, which is the width of its token vectors too.
        train_steps: Of the short training; 0 for none.
        clip_norm: The global norm that gradients are clipped to in one of the two trainings.
        learning_rate: Its highest, of AdamW; a cell takes the share of it that it bears.
        seed: Of the weights and the sequences.
    """

    steps: int = 32
    hidden_size: int = 64
    train_steps: int = 60
    clip_norm: float = 1.0
    learning_rate: float = 3e-3
    seed: int = 0

    @property
    def distances(self) -> list[int]:
        """The ks to report: powers of 2 and the farthest."""
        farthest = self.steps - 1
        return sorted({farthest, *(1 << n for n in range(farthest.bit_length()))})


@dataclass(frozen=True, slots=True)
class Training:
    """How a short training went.

    Attributes:
        loss: Of the last step, nats a token.
        largest_norm: Of the gradients of all parameters, before clipping.
        clipped: The share of steps whose gradient was clipped.
        failed_at: The step whose loss or gradient was no number any more, which ended it.
    """

    loss: float
    largest_norm: float
    clipped: float
    failed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """How far gradients reach in one network at one time.

    Attributes:
        network: Which.
        when: One of `WHEN`.
        gradient: ‖∂L/∂s_{T-k}‖ for k from 0 to T - 1.
        product: ‖J_T ⋯ J_{T-k+1}‖, the spectral norm, for some k.
        training: How it was trained; None at the start.
    """

    network: Network
    when: str
    gradient: list[float]
    product: dict[int, float] = field(default_factory=dict)
    training: Training | None = None

    @property
    def factor(self) -> float:
        """What a step back multiplies the norm by, in the geometric mean of all steps."""
        first, last = self.gradient[0], self.gradient[-1]
        return (last / first) ** (1 / (len(self.gradient) - 1)) if first > 0 else math.nan


def compare(
    networks: Sequence[Network], corpus: EncodedCorpus, settings: Settings
) -> Iterator[Reach]:
    """Measure networks at the start and after a short training, with and without clipping.

    All see the same sequences: pieces of the training poems put one after the other.

    Raises:
        TrainingError: The corpus is shorter than a sequence, a value is out of range, or a cell
            cannot be seen step by step.
    """
    ids = corpus.split("train").ids
    if len(ids) <= settings.steps:
        raise TrainingError(
            f"--steps is {settings.steps}, but {corpus.name} has {len(ids):,} tokens to train on",
            hint="take fewer steps or a larger corpus",
        )
    for network in networks:
        step_of(config_of(network, len(corpus.vocabulary), settings))  # Complains now.
    measured = draw_sequences(ids, settings.steps, _MEASURED, np.random.default_rng(settings.seed))
    for network in networks:
        start = make_model(network, len(corpus.vocabulary), settings, corpus.token_counts())
        yield _reach(network, AT_START, start, measured, settings)
        if settings.train_steps:
            for when in (CLIPPED, UNCLIPPED):
                model = copy.deepcopy(start)
                clip_norm = settings.clip_norm if when == CLIPPED else math.inf
                training = train(model, ids, settings, clip_norm)
                yield _reach(network, when, model, measured, settings, training)


def make_model(
    network: Network,
    vocabulary_size: int,
    settings: Settings,
    token_counts: npt.NDArray[np.int64] | None = None,
) -> LanguageModel:
    """A network of one layer as training starts from it, its recurrent matrix scaled."""
    model = LanguageModel(config_of(network, vocabulary_size, settings))
    model.initialise(token_counts, settings.seed)
    if network.scale != 1:
        with torch.no_grad():
            LayerParameters.of(model.recurrent, 0).weight_hh.mul_(network.scale)
    return model


def config_of(network: Network, vocabulary_size: int, settings: Settings) -> ModelConfig:
    """The shape of a network of one layer."""
    return ModelConfig(
        cell=network.cell,
        vocabulary_size=vocabulary_size,
        embedding_size=settings.hidden_size,
        hidden_size=settings.hidden_size,
        nonlinearity=network.nonlinearity,
        recurrent_init=network.recurrent_init,
        forget_bias=network.forget_bias,
    )


def draw_sequences(
    ids: npt.NDArray[np.unsignedinteger], steps: int, count: int, random: np.random.Generator
) -> Tensor:
    """Pieces of a stream of tokens, (count, steps + 1) int64: inputs and, a place on, targets."""
    starts = random.integers(len(ids) - steps, size=count)
    return torch.from_numpy(
        np.asarray(ids)[starts[:, np.newaxis] + np.arange(steps + 1)].astype(np.int64)
    )


def train(
    model: LanguageModel,
    ids: npt.NDArray[np.unsignedinteger],
    settings: Settings,
    clip_norm: float,
) -> Training:
    """Train for a few steps, through the whole of each sequence; stops at what is no number."""
    random = np.random.default_rng(settings.seed + 1)
    share = cell_named(model.config.cell).learning_rate_share
    options = TrainingOptions(
        steps=settings.train_steps, learning_rate=share * settings.learning_rate
    )
    optimizer = make_optimizer(model, options)
    largest, clipped, last = 0.0, 0, math.nan
    for step in range(settings.train_steps):
        batch = draw_sequences(ids, settings.steps, _BATCH, random)
        logits, _ = model(batch[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm))
        if not math.isfinite(norm + loss.item()):
            return Training(last, largest, clipped / max(step, 1), failed_at=step + 1)
        optimizer.step()
        last, largest, clipped = loss.item(), max(largest, norm), clipped + (norm > clip_norm)
    return Training(last, largest, clipped / settings.train_steps)


def _reach(
    network: Network,
    when: str,
    model: LanguageModel,
    sequences: Tensor,
    settings: Settings,
    training: Training | None = None,
) -> Reach:
    gradient = gradient_norms(model, sequences).median(dim=0).values.tolist()
    products = product_norms(model, sequences, settings.distances).median(dim=0).values.tolist()
    return Reach(
        network, when, gradient, dict(zip(settings.distances, products, strict=True)), training
    )


def gradient_norms(model: LanguageModel, sequences: Tensor) -> Tensor:
    """‖∂L/∂s_{T-k}‖ of each sequence and each k from 0 to T - 1, by backpropagation.

    Args:
        model: Of one layer.
        sequences: (B, T + 1), inputs and, a place on, targets. L is the last one's cross entropy.

    Returns:
        (B, T) float64.
    """
    model = _for_measuring(model)
    states: list[LayerState] = []
    state = tuple(array.requires_grad_() for array in _zeros(model, len(sequences)))
    step, parameters = step_of(model.config), LayerParameters.of(model.recurrent, 0)
    for x in model.embedding(sequences[:, :-1]).unbind(1):  # (B, E)
        after, _ = step(x, state, parameters)
        # An LSTM's h is made of its c. As views of their own, both are only what goes on from
        # here, so that the gradient at the pair counts no way twice.
        state = tuple(array.view_as(array) for array in after)
        states.append(state)
    loss = functional.cross_entropy(model.logits(state[0]), sequences[:, -1], reduction="sum")
    arrays = [array for state in states for array in state]
    found = torch.autograd.grad(loss, arrays, materialize_grads=True)
    # The loss is a sum over sequences that do not touch: row b is the gradient of sequence b.
    gradients = torch.stack(found).view(len(states), len(state), *state[0].shape)
    return gradients.square().sum(dim=(1, 3)).sqrt().flip(0).t()  # (B, T)


def product_norms(model: LanguageModel, sequences: Tensor, distances: Sequence[int]) -> Tensor:
    """The spectral norms ‖J_T ⋯ J_{T-k+1}‖ of each sequence, from the Jacobians of single steps.

    Args:
        model: Of one layer.
        sequences: (B, T + 1); the targets do not matter.
        distances: The ks, in rising order.

    Returns:
        (B, len(distances)) float64.
    """
    model = _for_measuring(model)
    step, parameters = step_of(model.config), LayerParameters.of(model.recurrent, 0)
    arrays = cell_named(model.config.cell).states

    def after(x: Tensor, state: Tensor) -> Tensor:  # (E,) and (S·H,) to (S·H,)
        return torch.cat(step(x, state.chunk(arrays), parameters)[0])

    state = torch.cat(_zeros(model, len(sequences)), dim=1)  # (B, S·H)
    jacobians: list[Tensor] = []  # (B, S·H, S·H) each
    for x in model.embedding(sequences[:, :-1]).unbind(1):
        jacobians.append(vmap(jacrev(after, argnums=1))(x, state))
        state = vmap(after)(x, state)
    norms: list[Tensor] = []
    product = torch.eye(state.shape[1], dtype=state.dtype)
    for k in range(1, max(distances) + 1):
        product = product @ jacobians[-k]
        if k in distances:
            norms.append(torch.linalg.matrix_norm(product, 2))
    return torch.stack(norms, dim=1)


def _for_measuring(model: LanguageModel) -> LanguageModel:
    return copy.deepcopy(model).double().eval().requires_grad_(False)


def _zeros(model: LanguageModel, B: int) -> LayerState:
    config = model.config
    return tuple(
        torch.zeros(B, config.hidden_size, dtype=torch.float64)
        for _ in range(cell_named(config.cell).states)
    )
