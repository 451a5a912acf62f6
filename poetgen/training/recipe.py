"""What a run was asked to do: from flags and a preset, or from a run that goes on. No torch."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poetgen import files
from poetgen.dataset.vocabulary import Vocabulary
from poetgen.errors import TrainingError
from poetgen.models.cells import cell_named
from poetgen.models.config import ModelConfig
from poetgen.training.combinations import check_combination
from poetgen.training.options import BUDGETS, RECIPE, TrainingOptions, flag_of, preset_named

STATE_FOLDER = "training_state"

_CELL = "lstm"  # Where none is asked for; as in `ModelConfig`.
_OF_THE_VOCABULARY = {"vocabulary_size", "line_ends"}
_MODEL_FIELDS = {field.name for field in dataclasses.fields(ModelConfig)} - _OF_THE_VOCABULARY
_TRAINING_FIELDS = {field.name for field in dataclasses.fields(TrainingOptions)}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a run was asked to do, kept beside its snapshots so that `--resume` needs no more.

    Attributes:
        corpus: The corpus, as a name or an absolute path.
        model: Fields of `ModelConfig`, but those that the vocabulary gives; see `network`.
        training: The options.
    """

    corpus: str
    model: Mapping[str, Any]
    training: TrainingOptions

    @classmethod
    def of_flags(cls, corpus: str, preset: str, given: Mapping[str, Any]) -> Recipe:
        """Make the recipe of a new run.

        Args:
            corpus: The corpus.
            preset: The preset that fills in what is not given.
            given: Fields of `ModelConfig` and `TrainingOptions` that were asked for.

        Raises:
            TrainingError: No such preset, or a value out of range.
        """
        chosen = _of_preset(preset, given.get("cell", _CELL))
        training = _only({**chosen, **given}, _TRAINING_FIELDS)
        model = _only({**chosen, **given}, _MODEL_FIELDS)
        options = TrainingOptions(**_with_one_budget(training, given))
        # Complains now, not after the corpus is read.
        check_combination(ModelConfig(vocabulary_size=5, **model), options)
        return cls(corpus=corpus, model=model, training=options)

    def resumed_with(
        self, folder: Path, corpus: str | None, preset: str | None, given: Mapping[str, Any]
    ) -> Recipe:
        """Make the recipe of a run that goes on: this one, with what may change changed.

        Args:
            folder: The run's folder, for the message.
            corpus: Another place of the same corpus; None for the old one.
            preset: A preset that must be the one that the run began with; None for whatever.
            given: Fields that were asked for. The budget and what does not decide the outcome
                may change; anything else must be as it was.

        Raises:
            TrainingError: A flag asks for another network or another training.
        """
        asked = dict(given)
        if preset is not None:
            asked = {**_of_preset(preset, self.model.get("cell", _CELL)), **given}
            for name in BUDGETS:
                if name not in given:
                    asked.pop(name, None)
        was = ModelConfig(vocabulary_size=5, **self.model).to_dict()
        was |= {name: getattr(self.training, name) for name in RECIPE}
        for name, value in asked.items():
            if name in was and was[name] != value:
                raise TrainingError(
                    f"{flag_of(name)} is {_shown(value)}, but the run in {folder} began with "
                    f"{_shown(was[name])}",
                    hint=f"leave {flag_of(name)} out, or train anew with another --output",
                )
        training = {**dataclasses.asdict(self.training), **_only(asked, _TRAINING_FIELDS)}
        return Recipe(
            corpus=corpus or self.corpus,
            model=self.model,
            training=TrainingOptions(**_with_one_budget(training, given)),
        )

    def network(self, vocabulary: Vocabulary) -> ModelConfig:
        """The shape of the network that reads and writes the tokens of `vocabulary`."""
        return ModelConfig(
            vocabulary_size=len(vocabulary),
            line_ends=vocabulary.line_ends if self.model.get("architecture") == "seq2seq" else (),
            **self.model,
        )

    def save(self, folder: Path) -> None:
        """Write it to a run's folder."""
        record = {
            "corpus": self.corpus,
            "model": dict(self.model),
            "training": self.training.to_dict(),
        }
        text = json.dumps(record, ensure_ascii=False, indent=2)
        files.write_text(folder / STATE_FOLDER / "recipe.json", text + "\n")

    @classmethod
    def load(cls, folder: Path) -> Recipe | None:
        """Read it from a run's folder; None when there is none.

        Raises:
            TrainingError: The file is damaged.
        """
        path = folder / STATE_FOLDER / "recipe.json"
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                corpus=record["corpus"],
                model=record["model"],
                training=TrainingOptions.from_dict(record["training"]),
            )
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError, KeyError, TrainingError):
            raise TrainingError(
                f"{path} is damaged", hint="train anew, with another --output"
            ) from None


def _of_preset(name: str, cell: str) -> dict[str, Any]:
    """The fields that a preset fills in for a network of this cell."""
    preset = preset_named(name)
    share = cell_named(cell).learning_rate_share
    learning_rate = share * preset.training["learning_rate"]
    return {**preset.model, **preset.training, "learning_rate": learning_rate}


def _only(values: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}


def _with_one_budget(training: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    # A budget that is asked for takes the place of the preset's or the old one. Two that are
    # asked for are TrainingOptions' to refuse.
    if any(name in given for name in BUDGETS):
        return {
            name: value for name, value in training.items() if name not in BUDGETS or name in given
        }
    return training


def _shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
