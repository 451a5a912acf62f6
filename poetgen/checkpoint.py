"""A trained model on disk: find it, load it, save it. Needs no torch, holds no pickle.

A checkpoint is a folder:

    config.json         what the model is: network, tokenizer, script, vocabulary's hash, corpus,
                        training options; written once, when training starts
    vocab.txt           its tokens, one a line; written once
    model.safetensors   the best weights so far and, in its metadata, their figures
    runs.safetensors    the runs of the training poems, to keep off them (`poetgen.dataset.runs`);
                        written once; optional
    card.md             what a reader should know of it; optional
    training_state/     everything for an exact resume, while training goes on
    metrics.jsonl       the figures of the training, a line each time

What changes while training is one file, so a better checkpoint replaces the last by one rename and
no crash can leave weights beside the wrong figures. The weights also name the description that they
belong to by its hash, so no copying by hand can leave them beside the wrong vocabulary.

It does not know how a network computes, nor what is in `training_state/`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from poetgen import __version__, files, folders
from poetgen.dataset.tokenizers import TOKENIZERS
from poetgen.dataset.vocabulary import Vocabulary
from poetgen.errors import CheckpointError, PoetgenError, TrainingError, VocabularyError
from poetgen.models.config import ModelConfig
from poetgen.quantization import restored, stored
from poetgen.tensors import read_metadata, read_tensors, write_tensors
from poetgen.weights import COPY_AGAIN, check_arrays, figures_in

FORMAT_VERSION = 1
CONFIG, VOCABULARY, WEIGHTS, CARD = "config.json", "vocab.txt", "model.safetensors", "card.md"
TRAINING_STATE = "training_state"
DEFAULT = "lstm"
"""The shipped checkpoint that is meant when none is named."""

_SCRIPTS = ("simplified", "traditional")
_FIELDS: dict[str, type] = {
    "poetgen_version": str,
    "model": dict,
    "tokenizer": str,
    "script": str,
    "vocabulary": dict,
    "corpus": dict,
    "training": dict,
}


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A trained model, read and found whole.

    Attributes:
        folder: Where it lies.
        name: The folder's name.
        model: The network's shape.
        tokenizer: `"char"` or `"word"`.
        script: `"simplified"` or `"traditional"`: what it reads and writes.
        vocabulary: Its tokens.
        arrays: Its weights in float32, by the names of `ModelConfig.parameter_shapes`.
        figures: What was measured when these weights were saved.
        config: All of config.json.
    """

    folder: Path
    name: str
    model: ModelConfig
    tokenizer: str
    script: str
    vocabulary: Vocabulary
    arrays: dict[str, npt.NDArray[np.float32]]
    figures: dict[str, Any]
    config: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CheckpointSummary:
    """A checkpoint as a list shows it: its weights are neither read nor verified.

    Attributes:
        name, folder: As of a checkpoint.
        where: The place that it was found in: `./checkpoints`, `home` or `shipped`.
        model: The network's shape; None when config.json cannot be read.
        figures, config: As of a checkpoint; empty when they cannot be read.
        problem: Why it cannot be used, in one line; empty when nothing is seen to be wrong.
    """

    name: str
    folder: Path
    where: str
    model: ModelConfig | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


def write_description(
    folder: Path,
    *,
    model: ModelConfig,
    tokenizer: str,
    script: str,
    vocabulary: Vocabulary,
    corpus: Mapping[str, Any],
    training: Mapping[str, Any],
) -> None:
    """Write what a model is: config.json and vocab.txt.

    Args:
        folder: The checkpoint's folder; made when it is not there.
        model: The network's shape.
        tokenizer: The tokenizer's name.
        script: `"simplified"` or `"traditional"`.
        vocabulary: As many tokens as the model has.
        corpus: Its name, content_hash, licence and number of poems.
        training: The options of the training, for the record.
    """
    vocabulary.save(folder / VOCABULARY)
    config = {
        "format_version": FORMAT_VERSION,
        "poetgen_version": __version__,
        "model": model.to_dict(),
        "tokenizer": tokenizer,
        "script": script,
        "vocabulary": {"size": len(vocabulary), "sha256": vocabulary.sha256},
        "corpus": dict(corpus),
        "training": dict(training),
    }
    files.write_text(folder / CONFIG, json.dumps(config, ensure_ascii=False, indent=2) + "\n")


def save_weights(
    folder: Path,
    arrays: Mapping[str, npt.NDArray[Any]],
    figures: Mapping[str, Any],
    storage: str = "float32",
) -> None:
    """Put weights and their figures in place of those in `folder`, all at once.

    Args:
        folder: A folder that `write_description` wrote to.
        arrays: Every array of the model, float32 or float16.
        figures: What was measured of these weights; anything that JSON can hold.
        storage: One of `poetgen.quantization.STORAGES`.

    Raises:
        CheckpointError: The folder has no description or another model's, or an array holds NaN
            or, in this storage, would hold an infinite number.
        OSError: The disk is full; the old weights are untouched.
    """
    config, model = _read_config(folder)
    path = folder / WEIGHTS
    _check_arrays(path, arrays, model)
    small = stored(arrays, storage)
    if storage != "float32":
        _check_arrays(path, restored(path, small), model)
    metadata = {
        "description": _description_hash(config),
        "figures": json.dumps(dict(figures), ensure_ascii=False),
    }
    write_tensors(path, small, metadata)


def load_checkpoint(name: str | Path | None = None) -> Checkpoint:
    """Load a model by name or path, and verify all of it.

    Args:
        name: As for `find_checkpoint`.

    Raises:
        CheckpointError: There is no such checkpoint, or it is not whole; the message says which
            file is wrong and in what.
    """
    folder = find_checkpoint(name)
    _check_files(folder)
    config, model = _read_config(folder)
    try:
        vocabulary = Vocabulary.load(folder / VOCABULARY)
    except VocabularyError as error:
        raise CheckpointError(error.message, hint=COPY_AGAIN) from None
    expected = config["vocabulary"]
    if len(vocabulary) != expected["size"]:
        raise CheckpointError(
            f"{folder / VOCABULARY} has {len(vocabulary):,} tokens, where {CONFIG} says "
            f"{expected['size']:,}",
            hint=COPY_AGAIN,
        )
    if vocabulary.sha256 != expected["sha256"]:
        raise CheckpointError(
            f"{folder / VOCABULARY} is not the vocabulary of this model: its hash is not the one "
            f"in {CONFIG}",
            hint=COPY_AGAIN,
        )
    path = folder / WEIGHTS
    arrays, metadata = read_tensors(path)
    if metadata.get("description") != _description_hash(config):
        raise CheckpointError(
            f"{path} belongs to another {CONFIG} than the one beside it", hint=COPY_AGAIN
        )
    arrays = restored(path, arrays)
    _check_arrays(path, arrays, model)
    return Checkpoint(
        folder=folder,
        name=folder.resolve().name,
        model=model,
        tokenizer=config["tokenizer"],
        script=config["script"],
        vocabulary=vocabulary,
        arrays=arrays,
        figures=figures_in(path, metadata),
        config=config,
    )


def find_checkpoint(name: str | Path | None = None) -> Path:
    """Find the folder of a model.

    Args:
        name: A path, or a name that is looked for in `./checkpoints`, in the user's data folder
            and among those that ship with poetgen. None means the shipped `lstm`, or, while none
            ships, the newest that was trained here.

    Raises:
        CheckpointError: There is none; the hint lists those there are, or says how to train one.
    """
    if name is None:
        return _default_checkpoint()
    given = Path(name).expanduser()
    places = [given]
    if len(given.parts) == 1:
        places += [root / given for root in _roots().values()]
    for place in places:
        if _looks_like_one(place):
            return place
    if given.is_file():
        raise CheckpointError(f"{given} is a file", hint="a checkpoint is the folder it lies in")
    for place in places:
        if place.is_dir():
            raise CheckpointError(
                f"{place} is a folder, but no checkpoint: it has no {CONFIG}", hint=_alternatives()
            )
    raise CheckpointError(f"there is no checkpoint '{name}'", hint=_alternatives())


def list_checkpoints() -> list[CheckpointSummary]:
    """All checkpoints in the places where names are looked for, broken ones included."""
    return [
        summary_of(folder, where)
        for where, root in _roots().items()
        if root.is_dir()
        for folder in sorted(root.iterdir())
        # A hidden one is being made, or was left by a crash of what made it.
        if not folder.name.startswith(".") and _looks_like_one(folder)
    ]


def summary_of(folder: Path, where: str = "") -> CheckpointSummary:
    """What a list shows of the checkpoint in `folder`."""
    name = folder.resolve().name
    config: dict[str, Any] = {}
    model = None
    try:
        config, model = _read_config(folder)
        _check_files(folder)
        figures = figures_in(folder / WEIGHTS, read_metadata(folder / WEIGHTS))
    except PoetgenError as error:
        return CheckpointSummary(name, folder, where, model, config=config, problem=error.message)
    return CheckpointSummary(name, folder, where, model, figures, config)


def _roots() -> dict[str, Path]:
    """Where names are looked for, in this order; in a working copy the first is the last too."""
    roots = {
        "./checkpoints": Path("checkpoints"),
        "home": folders.data_folder() / "checkpoints",
        "shipped": folders.shipped_folder("checkpoints"),
    }
    unique: dict[Path, str] = {}
    for where, root in roots.items():
        unique.setdefault(root.resolve(), where)
    return {where: roots[where] for where in unique.values()}


def _looks_like_one(folder: Path) -> bool:
    return any((folder / name).exists() for name in (CONFIG, WEIGHTS, TRAINING_STATE))


def _default_checkpoint() -> Path:
    shipped = folders.shipped_folder("checkpoints") / DEFAULT
    if (shipped / WEIGHTS).is_file():
        return shipped
    candidates = [summary.folder for summary in list_checkpoints() if not summary.problem]
    if candidates:
        return max(candidates, key=lambda folder: (folder / WEIGHTS).stat().st_mtime_ns)
    raise CheckpointError("there is no trained model yet", hint=_alternatives())


def _alternatives() -> str:
    names = [summary.name for summary in list_checkpoints() if not summary.problem]
    if names:
        return f"the checkpoints are {', '.join(names)}"
    return "train one in a minute: poetgen train --corpus sample --preset tiny --output my-model"


def _check_files(folder: Path) -> None:
    missing = [name for name in (CONFIG, VOCABULARY, WEIGHTS) if not (folder / name).is_file()]
    if missing == [WEIGHTS] and (folder / TRAINING_STATE).exists():
        raise CheckpointError(
            f"{folder} has no finished weights yet",
            hint=f"go on with its training: poetgen train --output {folder} --resume",
        )
    if missing:
        raise CheckpointError(f"{folder} has no {' and no '.join(missing)}", hint=COPY_AGAIN)


def _read_config(folder: Path) -> tuple[dict[str, Any], ModelConfig]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing", hint=COPY_AGAIN) from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON: {error}", hint=COPY_AGAIN) from None
    version = config.get("format_version") if isinstance(config, dict) else None
    if type(version) is not int:
        raise CheckpointError(f"{path} has no format_version", hint="it was not made by poetgen")
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} was made by poetgen {config.get('poetgen_version')} (format {version}; this "
            f"is poetgen {__version__}, which reads up to {FORMAT_VERSION})",
            hint="upgrade poetgen",
        )
    for name, kind in _FIELDS.items():
        if not isinstance(config.get(name), kind):
            found = f"is {config[name]!r}" if name in config else "is missing"
            raise CheckpointError(f"{path}: the field '{name}' {found}", hint=COPY_AGAIN)
    for name, known in (("tokenizer", tuple(TOKENIZERS)), ("script", _SCRIPTS)):
        if config[name] not in known:
            raise CheckpointError(
                f"{path}: the field '{name}' is '{config[name]}'",
                hint=f"this poetgen knows {' and '.join(known)}",
            )
    try:
        model = ModelConfig.from_dict(config["model"])
    except TrainingError as error:
        raise CheckpointError(f"{path}: {error.message}", hint=error.hint) from None
    vocabulary = config["vocabulary"]
    if type(vocabulary.get("size")) is not int or not isinstance(vocabulary.get("sha256"), str):
        raise CheckpointError(f"{path}: the field 'vocabulary' has no size or no sha256")
    if vocabulary["size"] != model.vocabulary_size:
        raise CheckpointError(
            f"{path}: the model has {model.vocabulary_size:,} tokens and the vocabulary "
            f"{vocabulary['size']:,}"
        )
    return config, model


def _description_hash(config: Mapping[str, Any]) -> str:
    """A hash of what weights depend on; a new licence or another training budget is no matter."""
    bound = {name: config[name] for name in ("model", "tokenizer", "script", "vocabulary")}
    return hashlib.sha256(json.dumps(bound, sort_keys=True).encode("ascii")).hexdigest()


def _check_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]], model: ModelConfig) -> None:
    # A config that claims a billion layers must not have all their names written out.
    layers = model.num_layers * model.transition_depth
    if layers > len(arrays):
        raise CheckpointError(f"{path}: {len(arrays)} arrays for {layers} layers")
    check_arrays(path, arrays, model.parameter_shapes(), CONFIG)
