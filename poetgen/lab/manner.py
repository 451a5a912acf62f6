"""A classifier as a judge of manner: how much rather lines are of one dynasty than of the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from poetgen.errors import TrainingError
from poetgen.lab.classifier_files import load_classifier
from poetgen.lab.classify import judge

_SMALLEST = 1e-6
# A probability below it says no more than that the classifier is sure.


def manner_by(folder: Path) -> Callable[[str, Sequence[str]], float]:
    """What says how much rather lines are in a style than not, in nats of log odds.

    Args:
        folder: A classifier of dynasties.

    Raises:
        CheckpointError: There is none, or it is damaged.
        TrainingError: It tells other things apart.
    """
    classifier = load_classifier(folder)
    target = classifier.description.target
    if target.name != "dynasty":
        raise TrainingError(
            f"--judge {folder} tells {' '.join(target.classes)} apart, which is no style",
            hint="train one: poetgen lab classify --corpus chinese-poetry --target dynasty",
        )

    def manner(style: str, lines: Sequence[str]) -> float:
        share = judge(classifier, ["\n".join(lines)])[0].probabilities[style]
        return math.log(max(share, _SMALLEST) / max(1 - share, _SMALLEST))

    return manner
