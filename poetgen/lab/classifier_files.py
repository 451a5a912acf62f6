"""A trained classifier on disk. No pickle, and no file that is half old and half new.

    classifier.json          what it is: network, classes, what it reads, corpus, training; written
                             once, when training starts
    vocab.txt                its tokens; written once
    classifier.safetensors   the best weights so far and, in its metadata, their figures
    training_state/          everything for an exact resume, while training goes on

As with a model that writes (`poetgen.checkpoint`), the weights name the description that they
belong to by its hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from poetgen import __version__, files
from poetgen.dataset.labelled import Target, target_named
from poetgen.dataset.vocabulary import Vocabulary
from poetgen.errors import CheckpointError, PoetgenError
from poetgen.models.classifier import Classifier, ClassifierConfig
from poetgen.models.network import load_arrays, to_arrays
from poetgen.tensors import read_tensors, write_tensors
from poetgen.training.options import TrainingOptions
from poetgen.weights import COPY_AGAIN, check_arrays, figures_in

FORMAT_VERSION = 1
DESCRIPTION, VOCABULARY, WEIGHTS = "classifier.json", "vocab.txt", "classifier.safetensors"


@dataclass(frozen=True, slots=True)
class Description:
    """What a classifier is.

    Attributes:
        model: The network's shape.
        target: What it tells apart, with the classes that it knows.
        script: `"simplified"` or `"traditional"`: what it reads.
        vocabulary_sha256: Of its tokens.
        corpus: Of the corpus: its name, content_hash, licence, poems, and as `place` the name or
            path that it was opened by.
        training: How it is trained.
    """

    model: ClassifierConfig
    target: Target
    script: str
    vocabulary_sha256: str
    corpus: Mapping[str, Any]
    training: TrainingOptions

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "format_version": FORMAT_VERSION,
            "poetgen_version": __version__,
            "model": self.model.to_dict(),
            "target": {"name": self.target.name, "classes": list(self.target.classes)},
            "script": self.script,
            "vocabulary": {"size": self.model.vocabulary_size, "sha256": self.vocabulary_sha256},
            "corpus": dict(self.corpus),
            "training": self.training.to_dict(),
        }

    @property
    def sha256(self) -> str:
        """A hash of what weights depend on."""
        record = self.to_dict()
        bound = {name: record[name] for name in ("model", "target", "script", "vocabulary")}
        return hashlib.sha256(json.dumps(bound, sort_keys=True).encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class TrainedClassifier:
    """A classifier, read and found whole.

    Attributes:
        name: The folder's name.
        description: What it is.
        vocabulary: Its tokens.
        model: The network, ready to predict.
        figures: What was measured when its weights were saved.
    """

    name: str
    description: Description
    vocabulary: Vocabulary
    model: Classifier
    figures: dict[str, Any]


def write_description(folder: Path, description: Description, vocabulary: Vocabulary) -> None:
    """Write what a classifier is: classifier.json and vocab.txt."""
    vocabulary.save(folder / VOCABULARY)
    text = json.dumps(description.to_dict(), ensure_ascii=False, indent=2)
    files.write_text(folder / DESCRIPTION, text + "\n")


def save_weights(
    folder: Path, description: Description, model: Classifier, figures: Mapping[str, Any]
) -> None:
    """Put weights and their figures in place of those in `folder`, all at once."""
    metadata = {
        "description": description.sha256,
        "figures": json.dumps(dict(figures), ensure_ascii=False),
    }
    write_tensors(folder / WEIGHTS, to_arrays(model), metadata)


def read_description(folder: Path) -> Description:
    """Read what a classifier is.

    Raises:
        CheckpointError: There is none, or the file is damaged or of a newer poetgen.
    """
    path = folder / DESCRIPTION
    try:
        record = json.loads(path.read_bytes().decode("utf-8"))
        version = record["format_version"]
        if version == FORMAT_VERSION:
            classes = record["target"]["classes"]
            target = target_named(record["target"]["name"]).narrowed(classes)
            model = ClassifierConfig.from_dict(record["model"])
            if model.classes != len(classes):
                raise ValueError(f"{model.classes} classes, {len(classes)} of them named")
            return Description(
                model=model,
                target=target,
                script=record["script"],
                vocabulary_sha256=record["vocabulary"]["sha256"],
                corpus=dict(record["corpus"]),
                training=TrainingOptions.from_dict(record["training"]),
            )
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(
            f"{folder} is no classifier: it has no {DESCRIPTION}",
            hint="train one: poetgen lab classify --corpus chinese-poetry --output FOLDER",
        ) from None
    except PoetgenError as error:
        raise CheckpointError(f"{path}: {error.message}", hint=COPY_AGAIN) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged ({error})", hint=COPY_AGAIN) from None
    raise CheckpointError(
        f"{path} has format {version}; this poetgen reads format {FORMAT_VERSION}",
        hint="upgrade poetgen, or train anew",
    )


def load_classifier(folder: Path, device: str | torch.device = "cpu") -> TrainedClassifier:
    """Read a classifier, and verify all of it.

    Raises:
        CheckpointError: There is none, it is not whole, or it was not trained to its first
            validation yet.
    """
    description = read_description(folder)
    vocabulary = Vocabulary.load(folder / VOCABULARY)
    if vocabulary.sha256 != description.vocabulary_sha256:
        raise CheckpointError(
            f"{folder / VOCABULARY} is not the vocabulary of this classifier: its hash is not the "
            f"one in {DESCRIPTION}",
            hint=COPY_AGAIN,
        )
    path = folder / WEIGHTS
    if not path.exists():
        raise CheckpointError(
            f"{folder} has no weights yet",
            hint=f"go on with its training: poetgen lab classify --output {folder} --resume",
        )
    arrays, metadata = read_tensors(path)
    if metadata.get("description") != description.sha256:
        raise CheckpointError(
            f"{path} belongs to another {DESCRIPTION} than the one beside it", hint=COPY_AGAIN
        )
    model = Classifier(description.model)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    check_arrays(path, arrays, shapes, DESCRIPTION)
    load_arrays(model, arrays)
    return TrainedClassifier(
        name=folder.resolve().name,
        description=description,
        vocabulary=vocabulary,
        model=model.to(device).eval().requires_grad_(False),
        figures=figures_in(path, metadata),
    )
