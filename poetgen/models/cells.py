"""The recurrent cells behind `--cell`. To add one, add its entry to `CELLS`.

A cell's job, in four lines: from the token's vector x_t and the state h_{t-1} that came with it,
make the next state h_t, which is also the output. What differs is how much of the old state is
kept and who decides:

    rnn    h_t = tanh(W x_t + U h_{t-1} + b)                     everything is rewritten
    lstm   c_t = f_t * c_{t-1} + i_t * g_t;  h_t = o_t * tanh(c_t)   three gates guard a memory c
    gru    h_t = (1 - z_t) * n_t + z_t * h_{t-1}                 one gate trades new for old

The gate matrices of a layer lie one under the other, in PyTorch's order: lstm i f g o, gru r z n.
This module imports torch only inside the builders, so that a checkpoint can be read without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetgen.errors import TrainingError

if TYPE_CHECKING:
    from torch import nn

    from poetgen.models.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as the registry knows it.

    Attributes:
        name: What `--cell` calls it.
        gates: Blocks of hidden_size rows in its weight matrices.
        states: Arrays of shape (num_layers, B, hidden_size) that it carries from step to step.
        build: Makes the layers of a network, batch first.
        learning_rate_share: Of a preset's learning rate, what this cell bears.
    """

    name: str
    gates: int
    states: int
    build: Callable[[ModelConfig], nn.RNNBase]
    learning_rate_share: float = 1.0


def _build_rnn(config: ModelConfig) -> nn.RNNBase:
    from poetgen.models.cpu_layers import RNN

    return RNN(
        config.embedding_size,
        config.hidden_size,
        config.num_layers,
        nonlinearity=config.nonlinearity,
        batch_first=True,
        dropout=_between_layers(config),
    )


def _build_lstm(config: ModelConfig) -> nn.RNNBase:
    from poetgen.models.cpu_layers import LSTM

    return LSTM(
        config.embedding_size,
        config.hidden_size,
        config.num_layers,
        batch_first=True,
        dropout=_between_layers(config),
    )


def _build_gru(config: ModelConfig) -> nn.RNNBase:
    from poetgen.models.cpu_layers import GRU

    return GRU(
        config.embedding_size,
        config.hidden_size,
        config.num_layers,
        batch_first=True,
        dropout=_between_layers(config),
    )


def _between_layers(config: ModelConfig) -> float:
    # torch warns when a single layer is given dropout, since there is no "between" then.
    return config.dropout if config.num_layers > 1 else 0.0


CELLS: dict[str, Cell] = {
    cell.name: cell
    for cell in (
        # Nothing gates what goes into its state: at `small` it went from perplexity 2,400 up to
        # 5,600 at the preset's rate, and down to 1,200 in 150 steps at a third of it.
        Cell("rnn", gates=1, states=1, build=_build_rnn, learning_rate_share=1 / 3),
        Cell("lstm", gates=4, states=2, build=_build_lstm),
        Cell("gru", gates=3, states=1, build=_build_gru),
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
