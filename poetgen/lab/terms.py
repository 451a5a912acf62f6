"""The terms on which networks are compared: what all of them have in common, and how wide each is
so that it has its share of parameters.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poetgen.errors import TrainingError
from poetgen.lab.gradients import network_named
from poetgen.models.config import ModelConfig
from poetgen.training.recipe import Recipe
from poetgen.verse.forms import FORMS
from poetgen.writing.request import acrostic_request

RECORD = "compare.json"
"""In the folder of a comparison: its terms, and what is finished."""

_MOST_UNITS = 1 << 16
_PER_VOCABULARY = 2
_STEPS_A_MINUTE, _LEAST_STEPS = 25, 10
# From one validation to the next, for each minute of the budget: some twenty validations where a
# minute has 500 steps. The trainer's own choice, one a minute, is too seldom to see when one
# network overtakes another.


@dataclass(frozen=True, slots=True)
class Terms:
    """What all networks of a comparison have in common.

    Attributes:
        cells: The networks, named as in `poetgen.lab.gradients.network_named`.
        corpus: A name, or an absolute path.
        preset: Of the recipe.
        forms: The forms to train, validate and test on; empty for all.
        minutes, steps: The budget of each; one of the two.
        parameters: What the number of parameters is to be; None for twice what the tokens take.
        embedding_size: Width of a token's vector.
        num_layers: Recurrent layers.
        validate_every: In steps; 0 for 25 for each of the minutes, or twenty times in the steps.
        heads: Of the acrostic that each writes at the end.
        seed: Of weights, order, dropout and acrostic.
        device: auto, cpu, cuda or mps.
    """

    cells: tuple[str, ...] = ("rnn", "lstm", "gru")
    corpus: str = "sample"
    preset: str = "tiny"
    forms: tuple[str, ...] = ()
    minutes: float | None = None
    steps: int | None = None
    parameters: int | None = None
    embedding_size: int = 128
    num_layers: int = 1
    validate_every: int = 0
    heads: str = "春夏秋冬"
    seed: int = 0
    device: str = "auto"

    def recipe(self, name: str, hidden_size: int) -> Recipe:
        """How a network of these terms is trained.

        Args:
            name: One of the cells; its matrix is not scaled.
            hidden_size: Its units.

        Raises:
            TrainingError: There is no such network, or a value is out of range.
        """
        network = network_named(name)
        if network.scale != 1:
            raise TrainingError(
                f"--cells has '{name}', whose recurrent matrix is scaled",
                hint="scaled ones are for `lab gradients`",
            )
        given: dict[str, Any] = {
            "cell": network.cell,
            "nonlinearity": network.nonlinearity,
            "recurrent_init": network.recurrent_init,
            "forget_bias": network.forget_bias,
            "hidden_size": hidden_size,
            "embedding_size": self.embedding_size,
            "num_layers": self.num_layers,
            "forms": self.forms,
            "seed": self.seed,
            "device": self.device,
            "validate_every": self._validate_every(),
            "patience": 0,  # Equal time is all of it.
        }
        budget = {"minutes": self.minutes, "steps": self.steps}
        given |= {flag: value for flag, value in budget.items() if value is not None}
        return Recipe.of_flags(self.corpus, self.preset, given)

    def _validate_every(self) -> int:
        if self.validate_every or self.minutes is None or not math.isfinite(self.minutes):
            return self.validate_every
        return max(_LEAST_STEPS, round(_STEPS_A_MINUTE * self.minutes))

    def target(self, vocabulary_size: int) -> int:
        """How many parameters each is to have."""
        by_tokens = vocabulary_size * (self.embedding_size + 1)
        return self.parameters or _PER_VOCABULARY * by_tokens

    def form(self) -> str:
        """The form of the acrostics: the first that they learn and that has a line for each head.

        Raises:
            TemplateError: The heads are no heads.
        """
        names = [form.name for form in FORMS if form.line_count == len(self.heads)]
        learned = [name for name in names if name in self.forms]
        form = (learned or names or ["free"])[0]
        acrostic_request(self.heads, form).layout()
        return form


def fit_hidden_size(model: Mapping[str, Any], vocabulary_size: int, parameters: int) -> int:
    """The hidden size with which a network's number of parameters is nearest to a target.

    Args:
        model: The other fields of its `ModelConfig`.
        vocabulary_size: Tokens.
        parameters: The target.

    Raises:
        TrainingError: One unit is too many already.
    """

    def count(hidden_size: int) -> int:
        fields = {**model, "hidden_size": hidden_size, "vocabulary_size": vocabulary_size}
        return ModelConfig(**fields).parameter_count()

    if count(1) > parameters:
        raise TrainingError(
            f"--parameters is {parameters:,}, but with a single unit the {model['cell']} has "
            f"{count(1):,}",
            hint="give more parameters, or a lower --embedding-size",
        )
    if count(_MOST_UNITS) <= parameters:
        raise TrainingError(
            f"--parameters is {parameters:,}: more than {_MOST_UNITS:,} units of the "
            f"{model['cell']} have",
            hint="give fewer parameters",
        )
    # The number rises with the hidden size but for one place: as wide as a token's vector, a
    # network needs no projection. So the nearest is searched for below it and from it on.
    width = int(model["embedding_size"])
    candidates: set[int] = set()
    for first, end in ((1, width), (width, _MOST_UNITS)):
        low, high = first, end
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if count(middle) <= parameters else (low, middle)
        candidates |= {size for size in (low, low + 1) if size < end}
    return min(candidates, key=lambda size: (abs(count(size) - parameters), size))


def read_terms(folder: Path) -> Terms | None:
    """The terms of the comparison in a folder; None when there is none.

    Raises:
        TrainingError: The file is damaged.
    """
    path = folder / RECORD
    try:
        terms = json.loads(path.read_text(encoding="utf-8"))["terms"]
        return Terms(**{**terms, "cells": tuple(terms["cells"]), "forms": tuple(terms["forms"])})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError):
        raise TrainingError(
            f"{path} is damaged", hint="compare anew, with another --output"
        ) from None


_MAY_CHANGE = ("cells", "minutes", "steps", "heads", "device", "validate_every")
# The budget only to a larger one: what was trained for less goes on.


def refuse_other(folder: Path, terms: Terms, *, resume: bool) -> None:
    """Make sure that a comparison destroys nothing and mixes nothing.

    Raises:
        TrainingError: `folder` is not empty and there is nothing to resume, or on other terms.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    before = read_terms(folder)
    if before is None or not resume:
        raise TrainingError(
            f"{folder} is not an empty folder" if before is None else f"{folder} has a comparison",
            hint="give another --output"
            if before is None
            else "go on with it: --resume; or give another --output",
        )
    for field in dataclasses.fields(Terms):
        was, asked = getattr(before, field.name), getattr(terms, field.name)
        if field.name not in _MAY_CHANGE and asked != was:
            flag = "--form" if field.name == "forms" else f"--{field.name.replace('_', '-')}"
            raise TrainingError(
                f"{flag} is not as it was when the comparison in {folder} began",
                hint=f"leave {flag} out, or compare anew with another --output",
            )
