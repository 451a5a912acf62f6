"""The recurrent cells behind `--cell`. To add one, add its entry to `CELLS`.

A cell's job, in four lines: from the token's vector x_t and the state h_{t-1} that came with it,
make the next state h_t, which is also the output. What differs is how much of the old state is
kept and who decides:

    rnn      h_t = tanh(W x_t + U h_{t-1} + b)                     everything is rewritten
    lstm     c_t = f_t * c_{t-1} + i_t * g_t;  h_t = o_t * tanh(c_t)   three gates guard a memory c
    gru      h_t = (1 - z_t) * n_t + z_t * h_{t-1}                 one gate trades new for old
    mingru   h_t = (1 - z_t) * h_{t-1} + z_t * n_t                 and sees nothing but x_t
    minlstm  h_t = f_t * h_{t-1} + i_t * n_t                       so do two that add up to 1
    output   h_t = tanh(W x_t + b)                                 nothing but the last output, x_t

The gate matrices of a layer lie one under the other, in PyTorch's order: lstm i f g o, gru r z n;
mingru z n, minlstm f i n. Around a cell, `poetgen.models.stack` puts layers one on top of the
other, and `poetgen.models.deep_transition` several into one step.

This module imports torch only inside the builders, so that a checkpoint can be read without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from poetgen.errors import TrainingError

if TYPE_CHECKING:
    from torch import nn

    from poetgen.models.config import ModelConfig

Shapes: TypeAlias = dict[str, tuple[int, ...]]
"""Parameters by name."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as the registry knows it.

    Attributes:
        name: What `--cell` calls it.
        gates: Blocks of hidden_size rows in its weight matrices.
        states: Arrays of shape (num_layers, B, hidden_size) that it carries from step to step.
        layers: Makes num_layers of a config's layers, the first of which reads vectors of the
            given width. A layer is called as torch's are, batch first: (B, T, width) and a state
            to (B, T, hidden_size) and a state, where a state is None for zeros, an array, or a
            tuple of two or none, (layers, B, hidden_size) each. Of a cell that does not stack
            itself, the number is 1.
        parameters: The names and shapes of the parameters of a single layer, by its width and by
            hidden_size. The names say what `LanguageModel.initialise` and `--weight-drop` do to
            them: weight_ih… leads into a layer, weight_hh… from one step to the next.
        stacks_itself: Whether `layers` makes any number of them; parameters of layer i then have
            names that end in _li.
        deepens: Whether `--transition-depth` may put several of its layers into one step.
        forget_gate: Which of its gates, if any, `--forget-bias` is for.
        learning_rate_share: Of a preset's learning rate, what this cell bears.
    """

    name: str
    gates: int
    states: int
    layers: Callable[[ModelConfig, int, int], nn.Module]
    parameters: Callable[[int, int], Shapes]
    stacks_itself: bool = False
    deepens: bool = False
    forget_gate: int | None = None
    learning_rate_share: float = 1.0

    @property
    def is_recurrent(self) -> bool:
        """Whether a matrix leads from one step to the next."""
        return any(name.startswith("weight_hh") for name in self.parameters(1, 1))

    def build(self, config: ModelConfig) -> nn.Module:
        """The layers of a network, called as torch's own are, batch first."""
        if not _is_stacked(self, config):
            return self.layers(config, config.embedding_size, config.num_layers)
        from poetgen.models.stack import Stack

        if config.transition_depth == 1:
            return Stack(config, lambda width: self.layers(config, width, 1))
        from poetgen.models.deep_transition import DeepTransition

        return Stack(config, lambda width: DeepTransition(config, width))

    def shapes(self, config: ModelConfig) -> Shapes:
        """The names and shapes of the parameters of what `build` makes of the same config."""
        shapes: Shapes = {}
        for layer in range(config.num_layers):
            width = config.hidden_size if layer else config.embedding_size
            single = self.parameters(width, config.hidden_size)
            if not _is_stacked(self, config):
                for name, shape in single.items():
                    shapes[_of_layer(name, layer)] = shape
                continue
            for depth in range(config.transition_depth):
                for name, shape in single.items():
                    # Only the first layer inside a step reads what comes in.
                    if depth == 0 or not name.startswith("weight_ih"):
                        shapes[f"{layer}.{_of_layer(name, depth)}"] = shape
        return shapes

    def names_in(self, config: ModelConfig, layer: int) -> dict[str, str]:
        """What `shapes` calls the parameters of a layer, by their names in `parameters`."""
        if _is_stacked(self, config):
            return {name: f"{layer}.{name}" for name in self.parameters(1, 1)}
        return {name: _of_layer(name, layer) for name in self.parameters(1, 1)}

    def check(self, config: ModelConfig) -> None:
        """See that a config asks of this cell only what it can do.

        Raises:
            TrainingError: Two flags that do not go together, both named.
        """
        if config.nonlinearity == "relu" and self.name != "rnn":
            raise TrainingError(
                f"--nonlinearity relu does not go with --cell {self.name}",
                hint="only the rnn cell has a choice of nonlinearity",
            )
        if config.residual and config.num_layers == 1:
            raise TrainingError(
                "--residual does not go with --num-layers 1",
                hint="it joins a layer to the one below; give --num-layers 2 or more",
            )
        if config.transition_depth > 1 and not self.deepens:
            able = " or ".join(cell.name for cell in CELLS.values() if cell.deepens)
            raise TrainingError(
                f"--transition-depth {config.transition_depth} does not go with --cell {self.name}",
                hint="its step is elementwise, so that all steps can be made at once; "
                f"--cell {able} can be deepened",
            )
        if config.weight_drop and not self.is_recurrent:
            raise TrainingError(
                f"--weight-drop {config.weight_drop} does not go with --cell {self.name}",
                hint="it drops numbers of recurrent matrices, and this cell has none; --dropout "
                "drops units of any",
            )


def _is_stacked(cell: Cell, config: ModelConfig) -> bool:
    return not cell.stacks_itself or config.residual or config.transition_depth > 1


def _of_layer(name: str, layer: int) -> str:
    return name.removesuffix("_l0") + f"_l{layer}"


def _with_recurrence(gates: int) -> Callable[[int, int], Shapes]:
    """The parameters of a layer of torch's: of each gate, two matrices and two biases."""
    return lambda inputs, hidden: {
        "weight_ih_l0": (gates * hidden, inputs),
        "weight_hh_l0": (gates * hidden, hidden),
        "bias_ih_l0": (gates * hidden,),
        "bias_hh_l0": (gates * hidden,),
    }


def _of_inputs_alone(gates: int) -> Callable[[int, int], Shapes]:
    """The parameters of a layer whose gates see its input only."""
    return lambda inputs, hidden: {
        "weight_ih_l0": (gates * hidden, inputs),
        "bias_ih_l0": (gates * hidden,),
    }


def _build_rnn(config: ModelConfig, inputs: int, num_layers: int) -> nn.Module:
    from poetgen.models.cpu_layers import RNN

    return RNN(
        inputs,
        config.hidden_size,
        num_layers,
        nonlinearity=config.nonlinearity,
        batch_first=True,
        dropout=_between(num_layers, config),
    )


def _build_lstm(config: ModelConfig, inputs: int, num_layers: int) -> nn.Module:
    from poetgen.models.cpu_layers import LSTM

    return LSTM(
        inputs,
        config.hidden_size,
        num_layers,
        batch_first=True,
        dropout=_between(num_layers, config),
    )


def _build_gru(config: ModelConfig, inputs: int, num_layers: int) -> nn.Module:
    from poetgen.models.cpu_layers import GRU

    return GRU(
        inputs,
        config.hidden_size,
        num_layers,
        batch_first=True,
        dropout=_between(num_layers, config),
    )


def _between(num_layers: int, config: ModelConfig) -> float:
    # torch warns when a single layer is given dropout, since there is no "between" then.
    return config.dropout if num_layers > 1 else 0.0


def _build_mingru(config: ModelConfig, inputs: int, _: int) -> nn.Module:
    from poetgen.models.min_cells import MinGRU

    return MinGRU(inputs, config.hidden_size)


def _build_minlstm(config: ModelConfig, inputs: int, _: int) -> nn.Module:
    from poetgen.models.min_cells import MinLSTM

    return MinLSTM(inputs, config.hidden_size)


def _build_output(config: ModelConfig, inputs: int, _: int) -> nn.Module:
    from poetgen.models.output_recurrence import OutputRecurrence

    return OutputRecurrence(inputs, config.hidden_size)


CELLS: dict[str, Cell] = {
    cell.name: cell
    for cell in (
        Cell(
            "rnn",
            gates=1,
            states=1,
            layers=_build_rnn,
            parameters=_with_recurrence(1),
            stacks_itself=True,
            deepens=True,
            # Nothing gates what goes into its state: at `small` it went from perplexity 2,400 up
            # to 5,600 at the preset's rate, and down to 1,200 in 150 steps at a third of it. So
            # does the IRNN: nearly every step of its first 200 is clipped, from a norm of 1 to 6.
            learning_rate_share=1 / 3,
        ),
        Cell(
            "lstm",
            gates=4,
            states=2,
            layers=_build_lstm,
            parameters=_with_recurrence(4),
            stacks_itself=True,
            deepens=True,
            forget_gate=1,
        ),
        Cell(
            "gru",
            gates=3,
            states=1,
            layers=_build_gru,
            parameters=_with_recurrence(3),
            stacks_itself=True,
            deepens=True,
        ),
        # The three that follow bear a preset's rate: on quatrains, at H = 256, none of 220 steps
        # had a gradient whose norm was above 0.3.
        Cell(
            "mingru",
            gates=2,
            states=1,
            layers=_build_mingru,
            parameters=_of_inputs_alone(2),
        ),
        Cell(
            "minlstm",
            gates=3,
            states=1,
            layers=_build_minlstm,
            parameters=_of_inputs_alone(3),
            forget_gate=0,
        ),
        Cell(
            "output",
            gates=1,
            states=0,
            layers=_build_output,
            parameters=_of_inputs_alone(1),
        ),
    )
}


def cell_named(name: str) -> Cell:
    """Find a cell.

    Raises:
        TrainingError: There is no such cell; the hint lists those there are.
    """
    try:
        return CELLS[name]
    except KeyError:
        raise TrainingError(
            f"--cell is '{name}'", hint=f"the cells are {', '.join(CELLS)}"
        ) from None
