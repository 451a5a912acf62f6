import math

import numpy as np
import pytest

from poetgen.dataset.encoded import EncodedSplit
from poetgen.dataset.labelled import LabelledPoems
from poetgen.dataset.vocabulary import BOS
from poetgen.lab.confusion import Confusion, judge_by_characters


def test_the_figures_are_those_of_the_table() -> None:
    found = Confusion.of(("a", "b"), np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0]))
    assert found.counts.tolist() == [[2, 1], [1, 1]]
    assert (found.accuracy, found.majority) == (3 / 5, 3 / 5)
    a, b = found.by_class()
    assert (a.poems, a.precision, a.recall) == (3, 2 / 3, 2 / 3)
    assert (b.poems, b.precision, b.recall, b.f1) == (2, 1 / 2, 1 / 2, 1 / 2)


def test_the_interval_is_wilsons() -> None:
    # 60 of 100: Wilson's interval is 0.502 to 0.691.
    found = Confusion(("a", "b"), np.array([[30, 20], [20, 30]]))
    assert found.interval == pytest.approx((0.5020, 0.6906), abs=1e-4)
    certain = Confusion(("a", "b"), np.array([[50, 0], [0, 50]]))
    assert certain.interval == pytest.approx((0.9630, 1.0), abs=1e-4)


def test_a_class_that_nothing_was_taken_for_has_no_precision() -> None:
    found = Confusion(("a", "b"), np.array([[3, 0], [2, 0]]))
    b = found.by_class()[1]
    assert math.isnan(b.precision)
    assert math.isnan(b.f1)
    assert found.to_dict()["classes"]["b"] == {
        "poems": 2,
        "precision": None,
        "recall": 0.0,
        "f1": None,
    }


def _labelled(rows: list[list[int]], labels: list[int]) -> LabelledPoems:
    lengths = np.array([len(row) + 1 for row in rows])
    poems = EncodedSplit(
        name="train",
        ids=np.concatenate([[BOS, *row] for row in rows]).astype(np.uint16),
        offsets=np.concatenate(([0], lengths.cumsum())),
        characters=(lengths - 1).astype(np.int32),
        forms=np.zeros(len(rows), np.int8),
        form_names=("五绝",),
        unknown=0,
    )
    return LabelledPoems(poems, np.array(labels))


def test_naive_bayes_knows_characters_and_no_order() -> None:
    # Class 0 uses 4 often, class 1 uses 5; 6 and 7 stand in both, in another order.
    train = _labelled([[4, 4, 5, 6, 7], [4, 6, 7], [5, 5, 7, 6], [5, 4, 7, 6]], [0, 0, 1, 1])
    test = _labelled([[4, 6, 7], [5], [6, 7], [7, 6]], [0, 1, 0, 1])
    found = judge_by_characters(train, test, ("a", "b"), 8)
    # The last two are alike for it: it says the same of both.
    assert found.counts[:, 0].sum() in (1, 3)
    assert found.counts[0, 0] >= 1
    assert found.counts[1, 1] >= 1


def test_naive_bayes_is_the_formula() -> None:
    train = _labelled([[4, 5], [4, 4], [5, 6]], [0, 0, 1])
    # Of class 0: (3 + 1) / (4 + 8) for 4; of class 1: (0 + 1) / (2 + 8). Priors 2/3 and 1/3.
    # BOS counts as one more of each, as everything unseen does: 8 tokens in all.
    scores = [
        math.log(2 / 3) + 3 * math.log(1 / 12),
        math.log(1 / 3) + 3 * math.log(2 / 10),
    ]
    assert scores[1] > scores[0]
    found = judge_by_characters(train, _labelled([[6, 6, 6]], [1]), ("a", "b"), 8)
    assert found.counts.tolist() == [[0, 0], [0, 1]]
