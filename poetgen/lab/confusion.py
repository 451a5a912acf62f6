"""How often a classifier is right, and what it takes for what. Needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from poetgen.dataset.labelled import LabelledPoems
from poetgen.dataset.vocabulary import BOS

_DEVIATIONS = 1.96


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """What is to be said of one class.

    Attributes:
        name: Which.
        poems: How many are of it.
        precision: Of the poems that were taken for it, the share that are; NaN of none.
        recall: Of its poems, the share that were taken for it; NaN of none.
    """

    name: str
    poems: int
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of the two."""
        if math.isnan(self.precision) or math.isnan(self.recall):
            return math.nan
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """Poems of each class, by what they were taken for.

    Attributes:
        classes: C names.
        counts: (C, C), at [i, j] the poems of class i that were taken for j.
    """

    classes: tuple[str, ...]
    counts: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls, classes: tuple[str, ...], labels: npt.NDArray[np.int64], judged: npt.NDArray[np.int64]
    ) -> Confusion:
        """Count: the class of each poem (N,), and what it was taken for (N,)."""
        C = len(classes)
        return cls(classes, np.bincount(labels * C + judged, minlength=C * C).reshape(C, C))

    @property
    def poems(self) -> int:
        """How many there are."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """The share that was taken for what it is."""
        return float(self.counts.trace() / self.poems)

    @property
    def majority(self) -> float:
        """The accuracy of always saying the commonest class."""
        return float(self.counts.sum(axis=1).max() / self.poems)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy (Wilson 1927, https://doi.org/10.2307/2276774)."""
        n, p, z = self.poems, self.accuracy, _DEVIATIONS
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)

    def by_class(self) -> list[ClassFigures]:
        """The figures of each class."""
        right = self.counts.diagonal().tolist()
        of, taken = self.counts.sum(axis=1).tolist(), self.counts.sum(axis=0).tolist()
        return [
            ClassFigures(
                name,
                poems=of[i],
                precision=right[i] / taken[i] if taken[i] else math.nan,
                recall=right[i] / of[i] if of[i] else math.nan,
            )
            for i, name in enumerate(self.classes)
        ]

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        return {
            "poems": self.poems,
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "majority": self.majority,
            "classes": {
                each.name: {
                    "poems": each.poems,
                    "precision": _finite(each.precision),
                    "recall": _finite(each.recall),
                    "f1": _finite(each.f1),
                }
                for each in self.by_class()
            },
            "confusion": self.counts.tolist(),
        }


def judge_by_characters(
    train: LabelledPoems, test: LabelledPoems, classes: tuple[str, ...], vocabulary_size: int
) -> Confusion:
    """What naive Bayes makes of the test poems: which class is likeliest to use each character.

    It knows no order and no two characters together, so what a network has beyond it is what the
    network learned of these.
    """
    labels = np.repeat(train.labels, np.diff(train.poems.offsets))
    C, V = len(classes), vocabulary_size
    counts = np.bincount(labels * V + train.poems.ids, minlength=C * V).reshape(C, V) + 1.0
    counts[:, BOS] = 1.0
    likelihoods = np.log(counts / counts.sum(axis=1, keepdims=True))  # (C, V)
    likelihoods[:, BOS] = 0.0
    priors = np.log(np.bincount(train.labels, minlength=C) / len(train))
    scores = np.add.reduceat(likelihoods[:, test.poems.ids], test.poems.offsets[:-1], axis=1)
    return Confusion.of(classes, test.labels, (scores.T + priors).argmax(axis=1))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON has no NaN.
