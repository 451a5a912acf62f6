"""How well a model predicts verse: perplexity per Chinese character, on one scale for all models.

The measure is exp(N / C): N, the nats spent on everything that is predicted — characters,
punctuation and `<eos>` — and C, the number of Chinese characters. Counted so, it does not depend on
the tokenizer (a word of two characters is predicted once and counted twice), on padding, or on what
shares a batch, so that rnn, lstm and gru, character and word models compare.

A model that says `<unk>` has not yet said which character it means. It is charged for saying so
`UNKNOWN_NATS` more: otherwise a smaller vocabulary would always measure better.

This module does not know where the poems come from, nor what the characters are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from poetgen.dataset.batches import Batches
from poetgen.dataset.encoded import EncodedSplit
from poetgen.dataset.vocabulary import PAD, UNK, UNKNOWN_NATS
from poetgen.errors import TrainingError
from poetgen.models.network import Network

TOKEN_BUDGET = 8192
"""Tokens that go through the network at once. At a vocabulary of 8,000 the logits of that many
take 260 MB; the measure itself does not depend on it."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What predicting some poems cost.

    Attributes:
        nats: The negative log probability of every predicted token, in nats, with ln(30000)
            more for each `<unk>`.
        characters: Chinese characters in the poems.
        tokens: Predicted tokens: all but `<bos>`; a poem's length is one where it is predicted.
        poems: Poems.
        unknown_characters: Predicted tokens that are `<unk>`, each of them one character.
    """

    nats: float
    characters: int
    tokens: int
    poems: int
    unknown_characters: int

    @property
    def nats_per_character(self) -> float:
        """Nats for each Chinese character; infinite when there is none."""
        return self.nats / self.characters if self.characters else math.inf

    @property
    def per_character(self) -> float:
        """Perplexity per Chinese character."""
        return _exp(self.nats_per_character)

    @property
    def per_token(self) -> float:
        """Perplexity per token: compares only models that share a tokenizer and a vocabulary."""
        return _exp(self.nats / self.tokens if self.tokens else math.inf)


@dataclass(frozen=True, slots=True)
class Perplexity(Tally):
    """A `Tally` of all the poems, and one for each form among them.

    Attributes:
        by_form: The tallies by the form's name, in the split's own order of forms.
    """

    by_form: dict[str, Tally] = field(default_factory=dict)


def perplexity(
    model: nn.Module,
    split: EncodedSplit,
    *,
    token_budget: int = TOKEN_BUDGET,
    device: torch.device | str = "cpu",
    context: Literal["none", "given"] = "none",
    on_progress: Callable[[int], None] | None = None,
) -> Perplexity:
    """Measure how well `model` predicts the poems of `split`.

    The model is put into evaluation mode for it and back into the mode it was in. No random number
    is drawn, so that measuring in the middle of training changes nothing about the training.

    Args:
        model: A `Network`: (ids (B, T), state) -> (logits (B, T, V), state).
        split: The poems, encoded with the model's own vocabulary.
        token_budget: The most tokens in the network at once. A longer poem goes through in
            stretches, its state carried over.
        device: Where the model is.
        context: Whether the model is told each poem's form, dynasty and theme before it; where the
            split has contexts. Only "none" compares with models that cannot be told.
        on_progress: Called with the number of poems of each batch when it is done.

    Raises:
        TrainingError: There is no poem in the split, or `token_budget` is less than 1.
    """
    if token_budget < 1:
        raise TrainingError(f"a token budget of {token_budget}", hint="it must be at least 1")
    if not len(split):
        raise TrainingError(f"there is no poem in the {split.name} split to evaluate on")
    poems = len(split)
    nats = np.zeros(poems)
    tokens = np.zeros(poems, np.int64)
    unknown = np.zeros(poems, np.int64)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), torch.autocast(torch.device(device).type, enabled=False):
            batches = Batches(
                split,
                token_budget,
                seed=0,
                shuffle=False,
                context=context,
                lengths_in=model.config.lengths_in if isinstance(model, Network) else None,
            )
            for batch in batches.epoch(0):
                ids = torch.as_tensor(batch.ids, device=device)
                told = torch.as_tensor(batch.context, device=device)
                nats[batch.poems] = _nats_of_poems(model, told, ids, token_budget).cpu().numpy()
                tokens[batch.poems] = batch.lengths - 1
                unknown[batch.poems] = (batch.targets == UNK).sum(axis=1)
                if on_progress is not None:
                    on_progress(len(batch.poems))
    finally:
        model.train(was_training)
    nats += unknown * UNKNOWN_NATS
    characters = np.asarray(split.characters, np.int64)
    forms = np.asarray(split.forms)

    def tally(chosen: np.ndarray) -> Tally:
        # fsum, so that the sum does not depend on the order in which batches came.
        return Tally(
            nats=math.fsum(nats[chosen]),
            characters=int(characters[chosen].sum()),
            tokens=int(tokens[chosen].sum()),
            poems=int(chosen.sum()),
            unknown_characters=int(unknown[chosen].sum()),
        )

    whole = tally(np.ones(poems, bool))
    by_form = {
        name: tally(forms == code)
        for code, name in enumerate(split.form_names)
        if (forms == code).any()
    }
    return Perplexity(
        whole.nats,
        whole.characters,
        whole.tokens,
        whole.poems,
        whole.unknown_characters,
        by_form=by_form,
    )


def _nats_of_poems(
    model: nn.Module, context: torch.Tensor, ids: torch.Tensor, token_budget: int
) -> torch.Tensor:
    """The nats of each poem of a batch, float64 (B,).

    From contexts (B, W), which are read and not counted, and ids (B, T+1) padded with PAD.
    """
    inputs, targets = ids[:, :-1], ids[:, 1:]
    total = torch.zeros(len(ids), dtype=torch.float64, device=ids.device)
    stretch = max(1, token_budget // len(ids))
    state = model(context)[1] if context.shape[1] else None
    for start in range(0, inputs.shape[1], stretch):
        logits, state = model(inputs[:, start : start + stretch], state)
        nats = functional.cross_entropy(
            logits.float().flatten(0, 1),
            targets[:, start : start + stretch].flatten(),
            ignore_index=PAD,
            reduction="none",
        )
        total += nats.double().view(len(ids), -1).sum(dim=1)
    return total


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
