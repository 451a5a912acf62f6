"""Teacher forcing, and its cure: in training the network reads some of what it wrote itself.

A language model is trained to say what follows a true beginning, x_1 … x_{t-1}: the teacher, not
the network, holds the pen (teacher forcing, Williams & Zipser 1989). When it writes, it reads its
own output, which in training it never saw, and a slip may lead where it knows nothing: exposure
bias (`poetgen.lab.exposure` measures it). Scheduled sampling (Bengio et al. 2015,
https://arxiv.org/abs/1506.03099) closes the gap by degrees. At step t, with probability 1 - p,

    x̂_t ~ P(· | x̂_1 … x̂_{t-1})    else    x̂_t = x_t

is what is read next, while what is to be predicted stays the true x_{t+1}. p, the share that the
teacher forces, begins at 1 and falls (`TrainingOptions.teacher_forcing_at`). No gradient goes
through a draw. It is not a cure for nothing: what is minimised is no longer a likelihood, and its
minimum, for p → 0, not the true distribution (Huszár 2015, https://arxiv.org/abs/1511.05101).

**Two passes instead of one loop.** Fed back on the fly, the network would have to be run, and
gone back through, one step at a time. But a draw is a constant to the gradient. So a first pass,
without gradients, runs step by step and writes down x̂; a second one reads x̂ as if it were a poem
and is the ordinary pass of training, whole sequences at once. Both compute the same states, so the
losses and gradients are those of the loop. It needs only what every `Network` has, `hidden` with a
state and `logits`, and knows no cell and no architecture. It goes through a stream too.

The draws are made by the whole network, dropout being off in the first pass: so it writes. They
follow from (seed, step) and are made for all rows of a batch before any process takes its own, so
that a run that is resumed, or shared out, makes the same ones.

Never replaced: `<bos>`, the context, a length that is said before the text, padding, and in a
stream whatever stands between two poems or at the start of a piece, where the scores are those of
the step before. Never drawn: the specials but `<unk>`, since in writing nothing is read after
`<eos>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from poetgen.dataset.batches import Sequences
from poetgen.dataset.vocabulary import BOS, EOS, PAD
from poetgen.models.network import Network, State
from poetgen.models.single_steps import single_steps

_NEVER_DRAWN = (PAD, BOS, EOS)


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """What is drawn for a batch before the network is asked.

    Attributes:
        fed_back: (B, T) bool, which inputs are to be the network's own.
        places: (B, T) float32 in [0, 1), where in its cumulative distribution each of these lies.
    """

    fed_back: npt.NDArray[np.bool_]
    places: npt.NDArray[np.float32]

    def rows(self, chosen: slice) -> Draws:
        """The draws for some of the rows."""
        return Draws(self.fed_back[chosen], self.places[chosen])


def draws_for(batch: Sequences, forced: float, seed: int, step: int) -> Draws | None:
    """Draw which of a batch's inputs are fed back; the same for the same seed and step.

    Args:
        batch: All of it, whoever takes which rows later.
        forced: p, the share of the inputs that stay as they are, in [0, 1].
        seed: The run's.
        step: Steps made before this one.

    Returns:
        The draws; None, at no cost, where every input stays.
    """
    if forced >= 1.0:
        return None
    # An input can be the network's own where it was to be predicted, a place before, and where
    # something is to be predicted from it.
    mask = batch.mask
    can = np.zeros_like(mask)
    can[:, 1:] = mask[:, :-1] & mask[:, 1:]
    can[:, : batch.given] = False
    coins, places = np.random.default_rng((seed, step, 2)).random((2, *mask.shape), np.float32)
    return Draws(can & (coins >= forced), places)


@torch.no_grad()
def feed_back(
    model: Network, context: Tensor, inputs: Tensor, draws: Draws, state: State | None = None
) -> Tensor:
    """Replace inputs by what the network itself would have written there.

    Args:
        model: The network; its mode, and all random numbers, are as before afterwards.
        context: What is read first, (B, W) int64.
        inputs: (B, T) int64.
        draws: Which inputs, and with what luck; none of them the first.
        state: What the network starts from; None for its start.

    Returns:
        (B, T) int64, a copy where anything is replaced.
    """
    columns = np.flatnonzero(draws.fed_back.any(axis=0)).tolist()
    if not columns:
        return inputs
    mixed = inputs.clone()
    places = torch.from_numpy(draws.places).to(inputs.device)
    was_training = model.training
    model.eval()
    try:
        with single_steps(inputs.device):
            read = 0
            for t in columns:
                # Up to the next place that needs one, nothing is drawn: a stretch at once.
                ids = mixed[:, read:t]
                if read == 0:
                    ids = torch.cat((context, ids), dim=1)
                hidden, state = model.hidden(ids, state)
                rows = torch.from_numpy(np.flatnonzero(draws.fed_back[:, t])).to(inputs.device)
                scores = model.logits(hidden[rows, -1])  # (n, V)
                mixed[rows, t] = draw(scores, places[rows, t])
                read = t
    finally:
        model.train(was_training)
    return mixed


def draw(scores: Tensor, places: Tensor, never: Sequence[int] = _NEVER_DRAWN) -> Tensor:
    """Draw from softmax(scores), by default without what no poem has inside it.

    Args:
        scores: (n, V).
        places: (n,) in [0, 1): where in the cumulative distribution each draw lies, so that
            equally distributed places make draws of the distribution itself.
        never: Ids that are left out.

    Returns:
        (n,) int64.
    """
    left_out = torch.tensor(never, device=scores.device)
    scores = scores.float().index_fill(1, left_out, -torch.inf)
    cumulative = scores.softmax(dim=1).cumsum(dim=1)  # (n, V)
    wanted = places.unsqueeze(1) * cumulative[:, -1:]
    found = torch.searchsorted(cumulative, wanted, right=True).squeeze(1)
    return found.clamp(max=scores.shape[1] - 1)  # Where the product was rounded up to the end.
