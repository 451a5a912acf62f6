"""What the gates of a trained network do over a poem, and which characters its cell keeps.

What a cell wrote at step t is still there at step s as far as the gates in between let it: each of
its units times the product of what they kept, f_{t+1} ⋯ f_s of an LSTM's forget gate, z_{t+1} ⋯ z_s
of a GRU's update gate. How much a unit wrote is i_t |g_t|, or (1 - z_t) |n_t|. The share retained
is the sum over the units of both together, over the sum of what was written.

It follows the memory itself. What reaches the future by another way, through h_{t-1} in the next
step's gates and candidate, is not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from poetgen.checkpoint import Checkpoint
from poetgen.corpus.script import to_simplified
from poetgen.dataset.context import context_ids
from poetgen.dataset.tokenizers import tokenizer_named
from poetgen.dataset.vocabulary import BOS, UNK, Vocabulary
from poetgen.errors import TemplateError
from poetgen.models.language_model import LanguageModel
from poetgen.models.network import from_checkpoint
from poetgen.models.reference_cells import step_of, unroll
from poetgen.verse.poem import Poem

Floats: TypeAlias = npt.NDArray[np.float64]

START = "▷"
"""What stands for the beginning of the poem, which the network reads as a token."""

_OPEN, _SHUT = 0.9, 0.1
# From where a gate counts as open or shut: as in Karpathy, Johnson & Fei-Fei 2015,
# https://arxiv.org/abs/1506.02078.

SUMMARIES: dict[str, Callable[[Floats], Floats]] = {
    "mean": lambda gate: gate.mean(axis=1),
    "open": lambda gate: (gate > _OPEN).mean(axis=1),
    "shut": lambda gate: (gate < _SHUT).mean(axis=1),
}
"""How the (T, H) values of a gate become one a step: the mean of its units, or the share of them
that are open (above 0.9) or shut (below 0.1)."""

_SHOWN = {"lstm": ("forget", "input", "output"), "gru": ("reset", "update")}


@dataclass(frozen=True, slots=True, eq=False)
class GateTrace:
    """The gates of one layer over a poem of T tokens, the start included.

    Attributes:
        tokens: T of them, the first `START`.
        unknown: Those that the model does not know: it read `<unk>` in their place.
        layer: Counted from 1.
        gates: Each gate by its name, (T, H), from 0, shut, to 1, open.
        retained: (T, T), at [t, s] the share of what was written at t that is there after s; NaN
            where s is before t.
    """

    tokens: tuple[str, ...]
    unknown: tuple[str, ...]
    layer: int
    gates: dict[str, Floats]
    retained: Floats

    def after(self, steps: int) -> list[float | None]:
        """Of each token, the share retained `steps` later; None where the poem ends before."""
        T = len(self.tokens)
        return [float(self.retained[t, t + steps]) if t + steps < T else None for t in range(T)]

    def half_lives(self) -> list[float | None]:
        """Of each token, the steps until half is left, between two steps on a straight line.

        None: there is more to the poem's end.
        """
        lives: list[float | None] = []
        for t in range(len(self.tokens)):
            shares = self.retained[t, t:]
            below = np.flatnonzero(shares < 0.5)
            if not len(below):
                lives.append(None)
                continue
            k = int(below[0])  # At least 1: all of it is there at first.
            before, after = float(shares[k - 1]), float(shares[k])
            lives.append(k - 1 + (before - 0.5) / (before - after))
        return lives


def trace_gates(checkpoint: Checkpoint, text: str, layer: int | None = None) -> GateTrace:
    """Let a model read a poem, and see its gates.

    A model that reads a context is told nothing.

    Args:
        checkpoint: The model, of a cell that has gates.
        text: The poem; punctuation that it lacks at its end is added.
        layer: Counted from 1; None for the last, which the output is made of.

    Raises:
        TemplateError: The network's gates cannot be shown, there is no such layer, or no text.
    """
    config = checkpoint.model
    if config.cell not in _SHOWN:
        raise TemplateError(
            f"{checkpoint.name} is an {config.cell}, which has no gates",
            hint=f"show a model of the cell {' or '.join(_SHOWN)}",
        )
    if not config.is_plain:
        raise TemplateError(
            f"{checkpoint.name} has more in it than stacked cells, so its gates cannot be shown",
            hint="show a model that was trained without the laboratory's options",
        )
    layer = config.num_layers if layer is None else layer
    if not 1 <= layer <= config.num_layers:
        raise TemplateError(
            f"--layer is {layer}", hint=f"{checkpoint.name} has layers 1 to {config.num_layers}"
        )
    poem = Poem.from_text(text).text
    if not poem:
        raise TemplateError("there is no text to read", hint="give a poem, or a line of one")
    if checkpoint.script == "simplified":
        poem = to_simplified(poem)
    tokens, ids = tokens_of(poem, checkpoint.vocabulary, checkpoint.tokenizer)

    model = from_checkpoint(checkpoint)
    # Since it is plain.
    assert isinstance(model, LanguageModel)
    assert isinstance(model.recurrent, nn.RNNBase)
    before = context_ids(checkpoint.vocabulary)
    read = torch.tensor([[*before, BOS, *ids]])
    unrolled = unroll(model.recurrent, step_of(config), model.embedding(read))
    seen: dict[str, Floats] = {
        name: gate[0, len(before) :].numpy().astype(np.float64)
        for name, gate in unrolled.gates[layer - 1].items()
    }
    if config.cell == "lstm":
        kept, written = seen["forget"], seen["input"] * np.abs(seen["candidate"])
    else:
        kept, written = seen["update"], (1 - seen["update"]) * np.abs(seen["candidate"])
    return GateTrace(
        tokens=(START, *tokens),
        unknown=tuple(
            dict.fromkeys(token for token, i in zip(tokens, ids, strict=True) if i == UNK)
        ),
        layer=layer,
        gates={name: seen[name] for name in _SHOWN[config.cell]},
        retained=retention(kept, written),
    )


def retention(kept: Floats, written: Floats) -> Floats:
    """The shares of what was written at each step that are there after each step.

    Args:
        kept: (T, H), what the memory is multiplied by at each step.
        written: (T, H), how much each unit wrote, 0 or more.

    Returns:
        (T, T), as in `GateTrace.retained`.
    """
    T = len(kept)
    shares = np.full((T, T), np.nan)
    for t in range(T):
        left = np.cumprod(np.concatenate((np.ones((1, kept.shape[1])), kept[t + 1 :])), axis=0)
        total = written[t].sum()
        # What wrote nothing has nothing to lose.
        shares[t, t:] = left @ written[t] / total if total > 0 else 1.0
    return shares


def tokens_of(poem: str, vocabulary: Vocabulary, tokenizer: str) -> tuple[list[str], list[int]]:
    """What the model reads, and its ids; a word that it does not know is spelled."""
    tokens: list[str] = []
    ids: list[int] = []
    for token in tokenizer_named(tokenizer).tokenize(poem):
        pieces = vocabulary.encode([token])
        tokens += [token] if len(pieces) == 1 else list(token)
        ids += pieces
    return tokens, ids
