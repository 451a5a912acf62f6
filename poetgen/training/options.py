"""How a network is trained: one frozen record, its presets, and the learning rate. No torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from poetgen.errors import TrainingError

_WARMUP_SHARE = 0.1
_FORCED_AT_THE_END = 0.5
_STEEPNESS = 100.0
# k of the inverse sigmoid: of 100, a twentieth of the way is made in the first fifth of the budget.


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """The recipe of a training run, and how it is carried out.

    Of `steps`, `epochs` and `minutes` exactly one is set: the budget, over which the learning rate
    falls to zero. The fields in `RECIPE` decide what is computed, so a run that is resumed keeps
    them; the others may change from one part of a run to the next.

    Attributes:
        steps, epochs: Budget in optimiser steps, or in passes through the training poems.
        minutes: Budget in time, everything that the trainer does included.
        tokenizer: How the corpus is cut into tokens.
        min_count: How often a token must be seen to be known; None for what its size calls for.
        forms: The forms to train and validate on, by their Chinese names; empty for all.
        token_budget: Tokens in a batch, padding included.
        max_length: A longer poem is cut after so many tokens.
        learning_rate: Its highest value.
        warmup_steps: Steps over which the learning rate rises to it, or a tenth of the budget
            where that is shorter.
        weight_decay: AdamW's, on matrices other than the embedding.
        clip_norm: The global norm that a step's gradient is scaled down to; 0 for none.
        clip_value: What each number of a gradient is cut off at, before that; 0 for none.
        label_smoothing: Share of each target that is spread over the whole vocabulary (Szegedy et
            al. 2016). The loss that is minimised and logged is then not the cross entropy alone.
        average: The share of an average of all weights so far that each step leaves as it is; the
            average is what is validated and kept. 0 keeps the weights of the last step.
        bptt: 0 for sequences that are poems, through the whole of which gradients go back; else
            the poems are one stream, read in pieces of so many tokens, of which each begins with
            the state that the one before ended with, and gradients go back to its first token
            (truncated backpropagation through time; see `poetgen.dataset.stream`).
        teacher_forcing: A name in `TEACHER_FORCING`: how the share of the characters that are
            read as the poem has them, not as the network would have written them, goes down from
            1 (see `poetgen.training.teacher_forcing`).
        teacher_forcing_end: That share at the end of the budget; None for 1 of constant and 0.5
            of the others. Of constant, the share from the first step on.
        seed: Of the weights, the order of the poems, dropout, and what is fed back.
        patience: Validations in a row without a better one before training stops; 0 for never.
        validate_every: Steps from one validation to the next; 0 for twenty in the budget, or, where
            it is time, one a minute if those are fewer.
        snapshot_every: Steps from one snapshot to the next; 0 for one a minute.
        device: auto, cpu, cuda or mps.
        precision: auto, fp32, bf16 (on a GPU or a CPU that has it) or fp16 (on cuda).
        threads: Of the CPU; 0 for as many as torch takes by itself.

    Raises:
        TrainingError: A value out of range; the message names the flag that sets it.
    """

    steps: int | None = None
    epochs: int | None = None
    minutes: float | None = None
    tokenizer: str = "char"
    min_count: int | None = None
    forms: tuple[str, ...] = ()
    token_budget: int = 1024
    max_length: int = 200
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    clip_value: float = 0.0
    label_smoothing: float = 0.0
    average: float = 0.0
    bptt: int = 0
    teacher_forcing: str = "constant"
    teacher_forcing_end: float | None = None
    seed: int = 0
    patience: int = 5
    validate_every: int = 0
    snapshot_every: int = 0
    device: str = "auto"
    precision: str = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        budgets = [name for name in BUDGETS if getattr(self, name) is not None]
        if len(budgets) != 1:
            raise TrainingError(
                f"{' and '.join(map(flag_of, budgets)) or 'no budget'} given",
                hint=f"give one of {', '.join(map(flag_of, BUDGETS))}",
            )
        for name in ("min_count", "warmup_steps", "seed", "patience", "validate_every"):
            self._at_least(name, 0)
        for name in ("snapshot_every", "threads", "bptt"):
            self._at_least(name, 0)
        for name in ("weight_decay", "clip_norm", "clip_value"):
            self._at_least(name, 0)
        for name in ("steps", "epochs", "token_budget"):
            self._at_least(name, 1)
        self._at_least("max_length", 2)
        for name in ("minutes", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise TrainingError(f"{flag_of(name)} is {value}", hint="it must be above 0")

        for name in ("label_smoothing", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise TrainingError(
                    f"{flag_of(name)} is {getattr(self, name)}", hint="it must be in [0, 1)"
                )
        if self.bptt > self.token_budget:
            raise TrainingError(
                f"--bptt {self.bptt} does not go with --token-budget {self.token_budget}",
                hint="a step is at least one piece of --bptt tokens; raise --token-budget",
            )
        if self.teacher_forcing not in TEACHER_FORCING:
            raise TrainingError(
                f"--teacher-forcing is '{self.teacher_forcing}'",
                hint=f"it must be {' or '.join(TEACHER_FORCING)}",
            )
        end = self.teacher_forcing_end
        if end is not None and not 0 <= end <= 1:
            raise TrainingError(f"--teacher-forcing-end is {end}", hint="it must be in [0, 1]")

    def _at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value is not None and not least <= value < math.inf:
            raise TrainingError(f"{flag_of(name)} is {value}", hint=f"it must be at least {least}")

    def total_steps(self, epoch_steps: int) -> int | None:
        """The budget in steps, with `epoch_steps` batches an epoch; None when it is time."""
        return self.epochs * epoch_steps if self.epochs is not None else self.steps

    def share(self, step: int, seconds: float, epoch_steps: int) -> float:
        """The share of the budget, 0 to 1, that `step` steps in `seconds` seconds have used."""
        if self.minutes is not None:
            return min(1.0, seconds / (60 * self.minutes))
        return min(1.0, step / (self.total_steps(epoch_steps) or 1))

    def learning_rate_at(self, step: int, share: float) -> float:
        """The learning rate of a step: a linear rise, then half a cosine down to zero.

        Args:
            step: Steps made before this one.
            share: The share of the budget that they used.
        """
        # Of the two roads up, the faster: a run of 60 steps must not spend them all on warming up.
        risen = max((step + 1) / max(self.warmup_steps, 1), share / _WARMUP_SHARE)
        return self.learning_rate * min(1.0, risen) * 0.5 * (1.0 + math.cos(math.pi * share))

    def teacher_forcing_at(self, share: float) -> float:
        """The share of characters that are read as the poem has them, in a step.

        With s the share of the budget that is used and p the share at the end,

            linear            1 - (1 - p) s
            inverse-sigmoid   p + (1 - p) (f(s) - f(1)) / (f(0) - f(1)),  f(s) = k / (k + k^2s)

        The second is Bengio et al.'s k / (k + exp(i / k)) of step i, stretched so that half the
        way is made at half the budget, and so that it begins at 1 and ends at p.

        Args:
            share: The share of the budget that was used before the step, 0 to 1.
        """
        end = self.teacher_forcing_end
        if self.teacher_forcing == "constant":
            return 1.0 if end is None else end
        left = 1.0 - share
        if self.teacher_forcing == "inverse-sigmoid":
            start, last = (_inverse_sigmoid(s) for s in (0.0, 1.0))
            left = (_inverse_sigmoid(share) - last) / (start - last)
        end = _FORCED_AT_THE_END if end is None else end
        return end + (1.0 - end) * left

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; `from_dict` is the way back."""
        return {**dataclasses.asdict(self), "forms": list(self.forms)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make options of what `to_dict` gave."""
        return cls(**{**values, "forms": tuple(values.get("forms", ()))})


def _inverse_sigmoid(share: float) -> float:
    return 1.0 / (1.0 + float(_STEEPNESS ** (2.0 * share - 1.0)))


BUDGETS = ("steps", "epochs", "minutes")

TEACHER_FORCING = ("constant", "linear", "inverse-sigmoid")
"""The schedules of `--teacher-forcing`."""

RECIPE = (
    "tokenizer",
    "min_count",
    "forms",
    "token_budget",
    "max_length",
    "learning_rate",
    "warmup_steps",
    "weight_decay",
    "clip_norm",
    "clip_value",
    "label_smoothing",
    "average",
    "bptt",
    "teacher_forcing",
    "teacher_forcing_end",
    "seed",
)
"""The options that decide what is computed; the budget does too, but may be extended."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A size of network with a recipe that suits it.

    Attributes:
        purpose: What it is for, in a few words.
        model: Fields of `ModelConfig`.
        training: Fields of `TrainingOptions`, with a budget.
    """

    purpose: str
    model: Mapping[str, Any]
    training: Mapping[str, Any]


PRESETS: dict[str, Preset] = {
    "tiny": Preset(
        "seconds on the built-in sample",
        # 159 poems are memorised in a minute, so most units are dropped; without, validation is
        # at its best after 60 steps. A network so small is faster on one core than on two.
        {"embedding_size": 128, "hidden_size": 128, "num_layers": 1, "dropout": 0.6},
        {
            "steps": 400,
            "token_budget": 512,
            "learning_rate": 3e-3,
            "warmup_steps": 20,
            "threads": 1,
        },
    ),
    "small": Preset(
        "half an hour on two CPU cores",
        {"embedding_size": 384, "hidden_size": 768, "num_layers": 1, "dropout": 0.0},
        {"minutes": 30.0, "token_budget": 1024, "learning_rate": 3e-3},
    ),
    "base": Preset(
        "an hour or two on a GPU",
        {"embedding_size": 512, "hidden_size": 1024, "num_layers": 2, "dropout": 0.2},
        {"epochs": 10, "token_budget": 16384, "learning_rate": 3e-3},
    ),
}


def preset_named(name: str) -> Preset:
    """Find a preset.

    Raises:
        TrainingError: There is no such preset; the hint lists those there are.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise TrainingError(
            f"--preset is '{name}'", hint=f"the presets are {', '.join(PRESETS)}"
        ) from None


def flag_of(name: str) -> str:
    """The flag that sets a field."""
    return "--form" if name == "forms" else "--" + name.replace("_", "-")
