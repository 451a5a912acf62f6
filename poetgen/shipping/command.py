"""The command that trains a model as a given one was trained, from what its checkpoint says."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

from poetgen.errors import TrainingError
from poetgen.models.config import ModelConfig
from poetgen.training.options import PRESETS, TrainingOptions, flag_of
from poetgen.training.recipe import Recipe

_WHERE_AND_WHEN = ("device", "threads", "snapshot_every")
"""Options that say how a machine is used, and nothing of what comes out."""


def training_command(config: Mapping[str, Any]) -> str:
    """The `poetgen train` that a checkpoint's description came from; empty where it cannot be told.

    Args:
        config: All of config.json.
    """
    try:
        options = TrainingOptions.from_dict(config["training"])
        wanted = {**ModelConfig.from_dict(config["model"]).to_dict(), **dataclasses.asdict(options)}
        del wanted["line_ends"]  # The vocabulary gives them.
    except (TrainingError, TypeError):
        return ""
    corpus, cell = str(config["corpus"].get("name", "")), config["model"]["cell"]
    lists = [(name, _given(wanted, corpus, name, cell)) for name in PRESETS]
    # What a run was begun with is not kept; the preset that leaves least to say is as good.
    preset, given = min(lists, key=lambda each: len(each[1]))
    flags = ["--corpus", corpus, "--cell", cell, "--preset", preset]
    for name, value in given.items():
        flags += _flag(name, value)
    return shlex.join(["poetgen", "train", *flags])


def _given(wanted: Mapping[str, Any], corpus: str, preset: str, cell: str) -> dict[str, Any]:
    """What has to be said beside the preset."""
    recipe = Recipe.of_flags(corpus, preset, {"cell": cell})
    model = ModelConfig(vocabulary_size=wanted["vocabulary_size"], **recipe.model)
    there = {**model.to_dict(), **dataclasses.asdict(recipe.training)}
    there["bidirectional"] = wanted["architecture"] == "seq2seq"  # Where nobody says otherwise.
    return {
        name: value
        for name, value in wanted.items()
        if value != there[name] and value is not None and name not in _WHERE_AND_WHEN
    }


def _flag(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag_of(name) if value else flag_of("no_" + name)]
    if isinstance(value, tuple):
        return [flag_of(name), ",".join(value)]
    return [flag_of(name), f"{value:g}" if isinstance(value, float) else str(value)]
