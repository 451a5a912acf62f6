"""The network, one step at a time: what the sampler calls a `StepModel`, and its NumPy engine.

`NumpyEngine` runs stacked cells, of all kinds, from a checkpoint's arrays in float32. It needs
no torch, whose import alone takes longer than a poem, and it is the independent oracle that the
torch network is tested against. It knows ids and arrays; nothing of characters, templates or
random numbers, and nothing of files.

Where the time goes at 2 x 1024 units, 8,000 tokens and 32 rows: a step reads 77 MB of weights and
does 1.2 GFLOP; everything but the matrix products is under 5 % of it. So:

- Activations are columns, (features, rows), and a product is `weight @ activation`. The weights
  then serve as the checkpoint holds them. `activation @ weight.T` is 1.3x slower at 32 rows
  (OpenBLAS packs the transposed operand); turned at load, or joined to one product for input and
  state, the weights must be copied and are no faster than this.
- A row whose history equals another's is computed once: all particles of a poem until their
  first free character, and the offspring of one parent after resampling. `select` copies nothing.
- Large products are cut along the weight's rows over a few threads, each with a single-threaded
  BLAS. That is 1.8x faster on two idle cores and no slower than one thread when the other core is
  busy; the threads inside OpenBLAS wait for each other in a spin, and a step of one row then
  takes 3x as long as on idle cores.
"""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from poetgen.models.cells import cell_named
from poetgen.models.config import ModelConfig

if TYPE_CHECKING:
    from poetgen.checkpoint import Checkpoint

Floats: TypeAlias = npt.NDArray[np.float32]
Integers: TypeAlias = npt.NDArray[np.int64]


class StepModel(Protocol):
    """A language model that is fed one token a row and step.

    A state is a value: stepping or selecting gives a new one and leaves the old one as it was.
    """

    @property
    def vocabulary_size(self) -> int:
        """The number of tokens, V."""

    def start(self, n: int) -> Any:
        """The state of `n` rows that have seen nothing."""

    def step(self, ids: Integers, state: Any) -> tuple[Floats, Any]:
        """Feed one token to every row.

        Args:
            ids: (n,) the token of each row.
            state: The state of these n rows.

        Returns:
            The logits of the token that comes next, (n, V) float32, and the state after.
        """

    def select(self, state: Any, rows: Integers) -> Any:
        """The state whose row i is row `rows[i]` of `state`; rows may repeat or be left out."""

    def join(self, states: Sequence[Any]) -> Any:
        """The state that has the rows of all `states`, in order."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """The parameters of a recurrent layer: G gates, H units, I inputs."""

    weight_input: Floats  # (G·H, I)
    bias_input: Floats  # (G·H, 1)
    weight_hidden: Floats | None  # (G·H, H); None of a cell whose gates see its input only
    bias_hidden: Floats | None  # (G·H, 1)

    @classmethod
    def of(cls, config: ModelConfig, arrays: Mapping[str, npt.NDArray[Any]], layer: int) -> _Layer:
        found = {
            name.removesuffix("_l0"): arrays[f"recurrent.{stored}"]
            for name, stored in cell_named(config.cell).names_in(config, layer).items()
        }
        columns = {name: a[:, np.newaxis] for name, a in found.items() if a.ndim == 1}
        return cls(
            found["weight_ih"],
            columns["bias_ih"],
            found.get("weight_hh"),
            columns.get("bias_hh"),
        )


@dataclass(frozen=True, slots=True)
class _State:
    """The states of n rows, of which U differ.

    `layers` holds for every layer its arrays, (H, U) each; row i's values are in column
    `columns[i]`.
    """

    layers: tuple[tuple[Floats, ...], ...]
    columns: Integers


# Takes the products of a layer's two matrices, bias added, (G·H, U) each, which it may overwrite,
# and its old state; gives its new state, of which the first array is the layer's output, (H, U).
# Where there is no second matrix, the first product comes twice; where there is no state, what is
# given is the output alone.
_Cell: TypeAlias = Callable[[Floats, Floats, "tuple[Floats, ...]"], "tuple[Floats, ...]"]


def _rnn_tanh(from_input: Floats, from_hidden: Floats, _: tuple[Floats, ...]) -> tuple[Floats]:
    from_input += from_hidden
    return (np.tanh(from_input, out=from_input),)


def _rnn_relu(from_input: Floats, from_hidden: Floats, _: tuple[Floats, ...]) -> tuple[Floats]:
    from_input += from_hidden
    return (np.maximum(from_input, 0, out=from_input),)


def _lstm(
    from_input: Floats, from_hidden: Floats, state: tuple[Floats, ...]
) -> tuple[Floats, Floats]:
    from_input += from_hidden
    size = len(from_input) // 4
    _sigmoid(from_input[: 2 * size])
    _sigmoid(from_input[3 * size :])
    input_gate, forget_gate, candidate, output_gate = from_input.reshape(4, size, -1)
    np.tanh(candidate, out=candidate)
    memory = forget_gate * state[1]
    candidate *= input_gate
    memory += candidate
    hidden = np.tanh(memory)
    hidden *= output_gate
    return hidden, memory


def _gru(from_input: Floats, from_hidden: Floats, state: tuple[Floats, ...]) -> tuple[Floats]:
    size = len(from_input) // 3
    gates = from_input[: 2 * size]
    gates += from_hidden[: 2 * size]
    _sigmoid(gates)
    reset_gate, update_gate, candidate = from_input.reshape(3, size, -1)
    # The reset gate acts on the product, not on the state (cuDNN's GRU, and so PyTorch's).
    reset_gate *= from_hidden[2 * size :]
    candidate += reset_gate
    np.tanh(candidate, out=candidate)
    hidden = state[0] - candidate
    hidden *= update_gate
    hidden += candidate
    return (hidden,)


def _mingru(sums: Floats, _: Floats, state: tuple[Floats, ...]) -> tuple[Floats]:
    update_gate, candidate = sums.reshape(2, len(sums) // 2, -1)
    _sigmoid(update_gate)
    candidate -= state[0]
    candidate *= update_gate
    candidate += state[0]
    return (candidate,)


def _minlstm(sums: Floats, _: Floats, state: tuple[Floats, ...]) -> tuple[Floats]:
    forget_gate, input_gate, candidate = sums.reshape(3, len(sums) // 3, -1)
    # The share that is kept, f / (f + i), as the logistic function of ln f - ln i.
    keep = np.logaddexp(0, -input_gate)
    keep -= np.logaddexp(0, -forget_gate)
    _sigmoid(keep)
    hidden = state[0] - candidate
    hidden *= keep
    hidden += candidate
    return (hidden,)


def _output(sums: Floats, _: Floats, __: tuple[Floats, ...]) -> tuple[Floats]:
    return (np.tanh(sums, out=sums),)


def _sigmoid(x: Floats) -> None:
    """The logistic function in place, by tanh, which cannot overflow."""
    x *= 0.5
    np.tanh(x, out=x)
    x += 1
    x *= 0.5


_CELLS: dict[str, _Cell] = {
    "rnn": _rnn_tanh,
    "lstm": _lstm,
    "gru": _gru,
    "mingru": _mingru,
    "minlstm": _minlstm,
    "output": _output,
}

_WORTH_SHARING = 4_000_000
"""Multiplications from which a product is worth two thread switches (about 0.1 ms)."""

_MOST_THREADS = 4
"""Threads that share a product at most: beyond, memory is the limit."""


def _default_threads() -> int:
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        return 1
    affinity = getattr(os, "sched_getaffinity", None)  # Linux; elsewhere, count them all.
    available = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(available, _MOST_THREADS)


class NumpyEngine:
    """Stacked cells in float32, with a road past each layer if the network has one.

    Args:
        config: The shape of the network.
        arrays: Its parameters by name, as `config.parameter_shapes()` lists them. They are used
            as they are, not copied: leave them alone afterwards.
        threads: How many threads share a large product. None: up to four when BLAS has been told
            to use one (`OPENBLAS_NUM_THREADS=1`), else one, since BLAS has threads of its own.
    """

    def __init__(
        self,
        config: ModelConfig,
        arrays: Mapping[str, npt.NDArray[Any]],
        threads: int | None = None,
    ) -> None:
        parameters = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
        self.vocabulary_size = config.vocabulary_size
        self._hidden_size = config.hidden_size
        self._cell = _rnn_relu if config.nonlinearity == "relu" else _CELLS[config.cell]
        self._arrays_per_layer = cell_named(config.cell).states
        self._residual = config.residual
        self._layers = [_Layer.of(config, parameters, layer) for layer in range(config.num_layers)]
        self._embedding = parameters["embedding.weight"]
        self._projection = parameters["projection.weight"] if config.needs_projection else None
        self._output = self._embedding if config.tie_embeddings else parameters["output.weight"]
        self._output_bias = parameters["output.bias"]
        self._threads = _default_threads() if threads is None else threads
        self._pool = ThreadPoolExecutor(self._threads - 1) if self._threads > 1 else None

    @staticmethod
    def runs(config: ModelConfig) -> bool:
        """Whether this engine knows all that a network of this shape does."""
        return config.cell in _CELLS and dataclasses.replace(config, residual=False).is_plain

    def start(self, n: int) -> _State:
        """The state of `n` rows that have seen nothing: zeros, held once for all."""
        zeros = np.zeros((self._hidden_size, 1), np.float32)
        layers = ((zeros,) * self._arrays_per_layer,) * len(self._layers)
        return _State(layers, np.zeros(n, np.int64))

    def select(self, state: _State, rows: Integers) -> _State:
        """The state whose row i is row `rows[i]` of `state`."""
        return _State(state.layers, state.columns[rows])

    def join(self, states: Sequence[_State]) -> _State:
        """The state that has the rows of all `states`, in order."""
        # Only the columns that a row uses go along, or a state joined again and again would grow.
        used, columns = zip(
            *(np.unique(state.columns, return_inverse=True) for state in states), strict=True
        )
        firsts = np.cumsum([0, *map(len, used)])
        layers = tuple(
            tuple(
                np.concatenate([array[:, u] for array, u in zip(arrays, used, strict=True)], axis=1)
                for arrays in zip(*layer, strict=True)
            )
            for layer in zip(*(state.layers for state in states), strict=True)
        )
        return _State(
            layers, np.concatenate([f + c for f, c in zip(firsts, columns, strict=False)])
        )

    def step(self, ids: Integers, state: _State) -> tuple[Floats, _State]:
        """Feed `ids` (n,) to the n rows; gives the logits (n, V) and the state after."""
        # Rows that had the same state and are fed the same token share a column from here on.
        pairs = state.columns * self.vocabulary_size + ids
        different, columns = np.unique(pairs, return_inverse=True)
        if len(different) == len(pairs):  # Spare the rows a change of order.
            different, columns = pairs, np.arange(len(pairs))
        parents, tokens = np.divmod(different, self.vocabulary_size)

        layers: list[tuple[Floats, ...]] = []
        activation = self._embedding[tokens].T  # (E, U)
        for layer, old in zip(self._layers, state.layers, strict=True):
            before = tuple(array[:, parents] for array in old)  # (H, U) each
            from_input = self._product(layer.weight_input, activation)
            from_input += layer.bias_input
            from_hidden = from_input
            if layer.weight_hidden is not None and layer.bias_hidden is not None:
                from_hidden = self._product(layer.weight_hidden, before[0])
                from_hidden += layer.bias_hidden
            after = self._cell(from_input, from_hidden, before)
            # The road past the layer; the first has none.
            past = self._residual and bool(layers)
            activation = after[0] + activation if past else after[0]  # (H, U)
            layers.append(after[: self._arrays_per_layer])
        if self._projection is not None:
            activation = self._product(self._projection, activation)  # (E, U)

        logits = np.empty((len(different), self.vocabulary_size), np.float32)
        self._product(self._output, activation, out=logits.T)
        logits += self._output_bias
        if len(different) < len(pairs):
            logits = logits[columns]  # (n, V)
        return logits, _State(tuple(layers), columns)

    def _product(self, weight: Floats, activation: Floats, out: Floats | None = None) -> Floats:
        """`weight @ activation`, (R, I) times (I, U), shared between the threads if it is large."""
        if out is None:
            out = np.empty((weight.shape[0], activation.shape[1]), np.float32)
        if self._pool is None or weight.size * activation.shape[1] < _WORTH_SHARING:
            return np.matmul(weight, activation, out=out)
        edges = [len(weight) * part // self._threads for part in range(self._threads + 1)]
        others = [
            self._pool.submit(np.matmul, weight[first:last], activation, out[first:last])
            for first, last in itertools.pairwise(edges[1:])
        ]
        np.matmul(weight[: edges[1]], activation, out=out[: edges[1]])
        for other in others:
            other.result()
        return out


def engine_for(checkpoint: Checkpoint, device: str = "auto") -> StepModel:
    """The engine that runs a checkpoint's network on a device.

    Args:
        checkpoint: The trained model.
        device: `auto` and `cpu` mean NumPy on the CPU for the networks that it knows and torch on
            the CPU for others; `cuda`, `cuda:N` and `mps` mean torch there. `auto` does not look
            for a GPU: importing torch to find one takes longer than most poems do without.

    Raises:
        PoetgenError: There is no such device here.
    """
    if device in ("auto", "cpu") and NumpyEngine.runs(checkpoint.model):
        return NumpyEngine(checkpoint.model, checkpoint.arrays)
    # By name, so that nothing on the way of a poem on a CPU imports torch.
    torch_engine = importlib.import_module("poetgen.writing.torch_engine")
    engine: StepModel = torch_engine.TorchEngine(checkpoint, "cpu" if device == "auto" else device)
    return engine
