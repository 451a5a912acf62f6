"""What decides where a poem ends (`--stop`); Goodfellow et al. 2016, Deep Learning, ch. 10.2.3.

    eos         a symbol for the end, one score among those of the characters: the plain output
                layer, which needs nothing of this module (Schmidhuber 2012)
    bernoulli   a unit of its own beside the output, at every step
    length      the length is decided before the poem begins, and what is left is fed at each step
                (Goodfellow et al. 2014, https://arxiv.org/abs/1312.6082, decide it so)

The two of this module split each step in two decisions, whether the poem ends and, if not, with
which token it goes on, with z the log odds that it ends and y the output's scores:

    P(<eos>) = sigmoid(z),     P(w) = (1 - sigmoid(z)) · softmax(y)_w    over all w but <eos>

These are `logits`: log probabilities over the whole vocabulary, and one distribution. So the loss,
the perplexity, the sampler and its masks work as they do with the plain output, and all three kinds
are measured on one scale. <pad> and <bos>, which never follow anything, have no share in the
softmax: the tokens that have are a stretch of the output's rows, which costs no copy of them.

**bernoulli**: z_t = v · f_t + d, of the features f_t that the output scores.

**length**: the length n is the first token after `<bos>` (`poetgen.dataset.lengths`). There,
P(n) = softmax(N f + m)_n, from what the network was told; before every later token, n - t are left,
and the network reads

    x_t = e(w_t) + l(n - t)        l: a vector for each number; at the length itself, no e

When nothing is left the poem ends, before it does not: z is +∞ or -∞, and nothing is learned of it.
Of "200 tokens or more" l is one vector; after 200 of them a poem ends at each step with a chance of
1 in 201, so that every poem has a probability. The count is part of the network's state, and starts
at any `<bos>`; which decision a step is goes to `logits` in a column beside the features.

Dropped: the length as one more symbol before `<bos>`. It would be neither context, which costs no
nats, nor text, and everybody who reads poems would have to know of it.

Shapes: B poems, T tokens, V vocabulary_size, E embedding_size, F the output's width, M lengths.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from poetgen.dataset.lengths import FIRST, lengths_known
from poetgen.dataset.vocabulary import BOS, EOS, UNK
from poetgen.models.config import ModelConfig
from poetgen.models.network import Scored, State

_TEXT = UNK
"""The first id that can go on a poem. Before it are only <pad>, <bos> and, last, <eos>."""

_NEVER = -1e4
"""A log probability, or log odds, whose exponential is 0 in any type; finite, as sums must be."""


class Stop(nn.Module, ABC):
    """Decides at each step whether the poem ends, apart from what it would go on with."""

    @abstractmethod
    def log_odds(self, features: Tensor, decisions: Tensor) -> Tensor:
        """The log odds that the poem ends, (…), of features (…, F) and columns (…, 0 or 1)."""

    def logits(self, features: Tensor, decisions: Tensor, scores: Tensor) -> Tensor:
        """The log probabilities of the next token: (…, V).

        Args:
            features: What the output layer scored, (…, F).
            decisions: Which decisions are taken, (…, 0 or 1).
            scores: The output layer's, (…, V).
        """
        z = self.log_odds(features, decisions).float().unsqueeze(-1)
        goes_on = functional.logsigmoid(-z) + scores[..., _TEXT:].float().log_softmax(-1)
        never = torch.full_like(z, _NEVER).expand(*z.shape[:-1], EOS)
        return torch.cat((never, functional.logsigmoid(z), goes_on), dim=-1)

    def scored(
        self, features: Tensor, decisions: Tensor, targets: Tensor, weight: Tensor, bias: Tensor
    ) -> Scored:
        """The loss of the same, without the log probabilities of a whole vocabulary.

        Args:
            features: Of N positions, (N, F).
            decisions: (N, 0 or 1).
            targets: The tokens that came, (N,).
            weight: Of the output layer, (V, F).
            bias: Of the output layer, (V,).
        """
        ends = targets == EOS
        z = self.log_odds(features, decisions).float()
        nats = functional.softplus(torch.where(ends, -z, z)).sum()
        # In a stream a piece may have no target at all; its one stand-in counts for nothing.
        going = (targets[~ends] - _TEXT).clamp(min=0)
        return Scored(features[~ends], weight[_TEXT:], bias[_TEXT:], going, nats)

    def start_at(self, token_counts: np.ndarray) -> None:
        """Start at the tokens' frequencies, (V,), where that means anything."""


class BernoulliStop(Stop):
    """A unit that says how likely the poem ends here."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.unit = nn.Linear(config.output_size, 1)

    def log_odds(self, features: Tensor, decisions: Tensor) -> Tensor:
        """The unit's z = v · f + d, in fp32: one unit costs nothing."""
        with torch.autocast(features.device.type, enabled=False):
            odds: Tensor = self.unit(features.float()).squeeze(-1)
        return odds

    @torch.no_grad()
    def start_at(self, token_counts: np.ndarray) -> None:
        """Start d at the share of the predicted tokens that are <eos>."""
        ends = float(token_counts[EOS]) + 1.0
        self.unit.bias.fill_(math.log(ends / (float(np.sum(token_counts)) + 1.0 - ends + 1.0)))


class Counted(NamedTuple):
    """What the count says of the tokens that a network reads.

    Attributes:
        vectors: What is added to the tokens' vectors, (B, T, E).
        is_length: Which tokens are lengths and have no vector of their own, (B, T, 1) bool.
        decisions: Which decision is taken after each, (B, T, 1), as a float.
        state: After the last.
    """

    vectors: Tensor
    is_length: Tensor
    decisions: Tensor
    state: State


class LengthStop(Stop):
    """Decides the length first and counts what is left."""

    # Where a row stands: before <bos>, after <bos>, in a poem of a known length, or of M or more.
    _BEFORE, _ASKED, _EXACT, _OR_MORE = range(4)
    # The decisions: on which text to go, nothing (the poem ends), both, or the length.
    _GO_ON, _END, _EITHER, _LENGTH = range(4)
    states: ClassVar[int] = 1
    """How many tensors it keeps in the network's state."""
    _odds: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self._known = lengths_known(config.vocabulary_size)
        self.lengths = nn.Linear(config.output_size, self._known)
        self.left = nn.Embedding(self._known + 1, config.embedding_size)
        odds = torch.tensor((_NEVER, -_NEVER, -math.log(self._known), _NEVER))
        self.register_buffer("_odds", odds, persistent=False)

    def start(self, n: int, device: torch.device) -> State:
        """What is left and where a row stands, (2, n) int64."""
        return (torch.full((2, n), self._BEFORE, device=device),)

    def count(self, ids: Tensor, state: State | None) -> Counted:
        """Count what is left at each of some tokens.

        Nothing here waits for a number, so that a GPU need not be waited for either.

        Args:
            ids: (B, T) int64.
            state: What an earlier call left; None for the start.
        """
        ((left, stands),) = self.start(len(ids), ids.device) if state is None else state
        left, stands = left.unsqueeze(1), stands.unsqueeze(1)  # (B, 1)
        M, T = self._known, ids.shape[1]
        t = torch.arange(T, device=ids.device).expand_as(ids)
        is_bos = ids == BOS
        # The column after the last <bos> so far holds the length; after one of an earlier call,
        # that is the first column.
        said_at = torch.where(is_bos, t, -1).cummax(1).values + 1
        said = (said_at > 0) | (stands == self._ASKED)
        n = ids.gather(1, said_at.clamp(max=T - 1)) - FIRST + 1
        stands = torch.where(said, torch.where(n >= M, self._OR_MORE, self._EXACT), stands)
        stands = torch.where(is_bos, self._ASKED, stands)
        left = (torch.where(said, n + said_at, left - 1) - t).clamp(0, M)
        counts = stands >= self._EXACT
        decisions = torch.where(
            counts & (left == 0), torch.where(stands == self._EXACT, self._END, self._EITHER), 0
        )
        decisions = torch.where(stands == self._ASKED, self._LENGTH, decisions)
        vectors = self.left(torch.where(stands == self._EXACT, left, M)) * counts.unsqueeze(2)
        return Counted(
            vectors,
            (counts & said & (t == said_at)).unsqueeze(2),
            decisions.unsqueeze(2).to(vectors.dtype),
            (torch.stack((left[:, -1], stands[:, -1])),),
        )

    def log_odds(self, features: Tensor, decisions: Tensor) -> Tensor:
        """The poem never ends here, or certainly, or with a chance of 1 in M + 1."""
        return self._odds[decisions.squeeze(-1).long()]

    def logits(self, features: Tensor, decisions: Tensor, scores: Tensor) -> Tensor:
        """The log probabilities of the next token, or, after <bos>, of a length: (…, V)."""
        text = super().logits(features, decisions, scores)
        chances = self.lengths(features).float().log_softmax(-1)  # (…, M)
        after = text.shape[-1] - FIRST - self._known
        lengths = functional.pad(chances, (FIRST, after), value=_NEVER)
        return torch.where(decisions == self._LENGTH, lengths, text)

    def scored(
        self, features: Tensor, decisions: Tensor, targets: Tensor, weight: Tensor, bias: Tensor
    ) -> Scored:
        """The loss of the same."""
        asked = decisions.squeeze(-1) == self._LENGTH
        chances = self.lengths(features[asked]).float()
        nats = functional.cross_entropy(chances, targets[asked] - FIRST, reduction="sum")
        rest = super().scored(features[~asked], decisions[~asked], targets[~asked], weight, bias)
        return rest._replace(nats=nats if rest.nats is None else rest.nats + nats)


def build_stop(config: ModelConfig) -> Stop | None:
    """What decides where a poem ends; None where the output layer does."""
    kinds: dict[str, type[BernoulliStop | LengthStop]] = {
        "bernoulli": BernoulliStop,
        "length": LengthStop,
    }
    return kinds[config.stop](config) if config.stop in kinds else None
