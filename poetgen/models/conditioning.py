"""How a network is told a poem's context other than by reading it first (`--condition`).

What is told is six ids: form, dynasty, and up to four characters of theme
(`poetgen.dataset.context`). With `--condition prefix` they are tokens like any others, and the
recurrence has to keep what they said to the poem's end. Here they become one vector instead,

    c = [e(form); e(dynasty); mean of e(theme)]        e: the tokens' own vectors, and e(<pad>) = 0

    input   x_t = e(w_t) + P c                 at every step: nothing need be kept (Mikolov & Zweig
                                               2012, https://doi.org/10.1109/SLT.2012.6424228)
    state   s_0 = tanh(Q c)                    once, as what the recurrence starts from: of each
                                               layer, each array of its state (Vinyals et al. 2015,
                                               https://arxiv.org/abs/1411.4555, tell a picture so)
    both    both
    none    neither: what is told is read over

Mikolov & Zweig put c beside the token's vector, with a matrix F of its own into the layer. Added,
it is the same with F = W P, W being the matrix that reads the token: no layer grows wider, and so
any cell can be told. There are no biases: of what is left out nothing is added, and a network that
is told nothing starts from zeros.

**Nobody else need know.** Whoever trains, measures or writes feeds the six ids first, in one call
or one at a time. A `Conditioning` keeps them in the network's state: they do not go through the
recurrence, which begins after the sixth, at `<bos>`.

Shapes: B poems, T ids, W ids of context, E embedding_size, H hidden_size, L num_layers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from poetgen.dataset.context import PARTS, WIDTH
from poetgen.dataset.vocabulary import PAD
from poetgen.models.cells import cell_named
from poetgen.models.config import ModelConfig
from poetgen.models.network import State


class Conditioning(nn.Module):
    """Keeps the context, and makes of it what a network's recurrence gets.

    Args:
        config: Its `condition` is another than prefix.
    """

    states = 2
    """How many tensors it keeps in the network's state."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = len(PARTS) * config.embedding_size
        self._arrays = cell_named(config.cell).states
        self._shape = (config.num_layers, config.hidden_size)
        size = self._arrays * config.num_layers * config.hidden_size
        self.to_input, self.to_state = (
            nn.Linear(width, rows, bias=False) if config.condition in (kind, "both") else None
            for kind, rows in (("input", config.embedding_size), ("state", size))
        )

    def start(self, n: int, device: torch.device) -> State:
        """Of `n` rows that have been told nothing yet."""
        return (
            torch.full((WIDTH, n), PAD, device=device),
            torch.zeros(1, n, dtype=torch.int64, device=device),
        )

    def is_even(self, state: State) -> bool:
        """Whether all rows have read as much of their contexts."""
        count = state[1]
        return bool((count == count[:, :1]).all())

    def read(self, ids: Tensor, state: State | None) -> tuple[int, bool, State]:
        """Take the context from the start of what is read.

        Args:
            ids: (B, T) int64.
            state: What an earlier call left, its rows even; None for the start, where no number
                is looked at, so that a GPU need not be waited for.

        Returns:
            How many columns were context; whether the last of it was among them; and what has
            been told: the ids, (W, B) int64, and how many of them were read, (1, B) int64.
        """
        told, count = self.start(len(ids), ids.device) if state is None else state
        before = int(count[0, 0]) if state is not None and len(ids) else 0
        read = min(WIDTH - before, ids.shape[1])
        if not read:
            return 0, False, (told, count)
        told = torch.cat((told[:before], ids[:, :read].t(), told[before + read :]))
        return read, before + read == WIDTH, (told, count + read)

    def vectors(
        self, state: State, embedding: nn.Embedding, *, complete: bool
    ) -> tuple[Tensor | None, State | None]:
        """What a network that has been told something gets from it.

        Args:
            state: What has been told.
            embedding: The tokens' vectors.
            complete: Whether the recurrence starts now.

        Returns:
            What is added to the vector of every token, (B, E), None for nothing; and what the
            recurrence starts from now, (L, B, H) each, None for what it has or for zeros.
        """
        added: Tensor | None = None
        initial: State | None = None
        if self.to_input is not None or (self.to_state is not None and complete):
            context = self._context(state[0], embedding)
            if self.to_input is not None:
                added = self.to_input(context)
            if self.to_state is not None and complete:
                values = torch.tanh(self.to_state(context))  # (B, arrays·L·H)
                layers, size = self._shape
                arrays = values.view(len(values), self._arrays, layers, size).permute(1, 2, 0, 3)
                initial = tuple(arrays.contiguous().unbind())
        return added, initial

    def _context(self, told: Tensor, embedding: nn.Embedding) -> Tensor:
        """c, (B, 3E), of ids (W, B); zeros for what was not told."""
        known = (told != PAD).unsqueeze(2)  # (W, B, 1)
        vectors = embedding(told) * known  # (W, B, E)
        parts = [
            part.sum(0) / there.sum(0).clamp(min=1)
            for part, there in zip(
                torch.split(vectors, list(PARTS)), torch.split(known, list(PARTS)), strict=True
            )
        ]
        return torch.cat(parts, dim=1)


def in_groups(
    hidden: Callable[[Tensor, State], tuple[Tensor, State]],
    ids: Tensor,
    state: State,
    told: State,
) -> tuple[Tensor, State]:
    """Run rows that have read more of their contexts apart from those that have read less.

    Args:
        hidden: `Network.hidden`.
        ids: (B, T) int64.
        state: Of the network.
        told: The part of it that is a `Conditioning`'s.

    Returns:
        What `hidden` does.
    """
    parts, order = [], []
    counts = told[1][0]  # (B,)
    for count in sorted(set(counts.tolist())):
        rows = (counts == count).nonzero().squeeze(1)
        parts.append(hidden(ids[rows], tuple(tensor[:, rows] for tensor in state)))
        order.append(rows)
    back = torch.cat(order).argsort()
    states = zip(*(after for _, after in parts), strict=True)
    return (
        torch.cat([found for found, _ in parts])[back],
        tuple(torch.cat(tensors, dim=1)[:, back] for tensors in states),
    )
