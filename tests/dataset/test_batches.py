import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.dataset.batches import Batch, Batches
from poetgen.dataset.vocabulary import BOS, EOS, PAD
from tests.dataset.fakes import split_of_lengths

_LENGTHS = st.lists(st.integers(2, 90), min_size=1, max_size=80)
_BUDGETS = st.integers(1, 600)
_SETTINGS = settings(deadline=None, max_examples=80)


def _same(a: Batch, b: Batch) -> bool:
    return np.array_equal(a.ids, b.ids) and np.array_equal(a.poems, b.poems)


@_SETTINGS
@given(lengths=_LENGTHS, budget=_BUDGETS, seed=st.integers(0, 2**63), shuffle=st.booleans())
def test_every_poem_comes_once_an_epoch_whole(
    lengths: list[int], budget: int, seed: int, shuffle: bool
) -> None:
    split = split_of_lengths(lengths)
    batches = Batches(split, budget, seed, shuffle=shuffle)
    seen = []
    for batch in batches.epoch(3):
        for row, length, poem in zip(batch.ids, batch.lengths, batch.poems, strict=True):
            np.testing.assert_array_equal(row[:length], split[int(poem)])
            assert (row[length:] == PAD).all()
            seen.append(int(poem))
    assert sorted(seen) == list(range(len(lengths)))


@_SETTINGS
@given(lengths=_LENGTHS, budget=_BUDGETS)
def test_no_batch_costs_more_than_the_budget_but_a_longer_poem_alone(
    lengths: list[int], budget: int
) -> None:
    for batch in Batches(split_of_lengths(lengths), budget, seed=0).epoch(0):
        assert batch.inputs.size <= budget or len(batch.poems) == 1


@_SETTINGS
@given(lengths=_LENGTHS, budget=st.integers(1, 5000))
def test_padding_is_under_two_percent_of_what_is_computed(lengths: list[int], budget: int) -> None:
    batches = Batches(split_of_lengths(lengths), budget, seed=0)
    made = list(batches.epoch(0))
    computed = sum(batch.inputs.size for batch in made)
    padding = computed - sum(batch.real_tokens for batch in made)
    assert padding < 0.02 * computed
    assert batches.padding_share == pytest.approx(padding / computed, abs=1e-12)
    assert len(batches) == len(made)


@_SETTINGS
@given(lengths=_LENGTHS, budget=_BUDGETS, start=st.integers(0, 100), epoch=st.integers(0, 5))
def test_an_epoch_goes_on_from_any_batch_as_if_never_stopped(
    lengths: list[int], budget: int, start: int, epoch: int
) -> None:
    split = split_of_lengths(lengths)
    whole = list(Batches(split, budget, seed=7).epoch(epoch))
    # Another object, as another process would have, which has served other epochs before.
    other = Batches(split, budget, seed=7)
    list(other.epoch(epoch + 1))
    rest = list(other.epoch(epoch, start))
    assert len(rest) == max(0, len(whole) - start)
    assert all(_same(a, b) for a, b in zip(whole[start:], rest, strict=True))


def test_epochs_and_seeds_differ_in_the_order_and_in_who_shares_a_batch() -> None:
    split = split_of_lengths([10] * 64 + [20] * 64)
    orders = [
        [tuple(batch.poems) for batch in Batches(split, 90, seed).epoch(epoch)]
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
    ]
    # Two shuffles of 128 poems agree by chance with odds of less than 1 in 64 factorial.
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]
    assert {frozenset(batch) for batch in orders[0]} != {frozenset(batch) for batch in orders[1]}


def test_without_shuffling_poems_come_from_the_shortest_to_the_longest() -> None:
    split = split_of_lengths([9, 3, 6, 3, 9])
    poems = [int(p) for b in Batches(split, 8, 0, shuffle=False).epoch(0) for p in b.poems]
    assert poems == [1, 3, 2, 0, 4]


def test_targets_are_the_inputs_a_place_on_and_the_mask_hides_the_padding() -> None:
    split = split_of_lengths([52, 51])
    (batch,) = Batches(split, 102, 0, shuffle=False).epoch(0)
    assert batch.ids.shape == (2, 52)
    assert batch.ids.dtype == np.int64
    assert batch.inputs[:, 0].tolist() == [BOS, BOS]
    np.testing.assert_array_equal(batch.targets[:, :-1], batch.inputs[:, 1:])
    assert batch.targets[1, -1] == EOS
    assert batch.mask.sum(axis=1).tolist() == [50, 51]
    assert batch.real_tokens == batch.mask.sum() == 101
    assert (batch.targets[~batch.mask] == PAD).all()


def test_a_poem_longer_than_max_length_is_cut_there_without_an_end() -> None:
    split = split_of_lengths([30, 5])
    rows = {
        int(poem): row[:length]
        for batch in Batches(split, 100, 0, max_length=12).epoch(0)
        for row, length, poem in zip(batch.ids, batch.lengths, batch.poems, strict=True)
    }
    np.testing.assert_array_equal(rows[0], split[0][:12])
    assert EOS not in rows[0]
    np.testing.assert_array_equal(rows[1], split[1])


def test_the_budget_is_filled_where_lengths_allow() -> None:
    # 7-character quatrains and 5-character ones, as most of a corpus is.
    batches = Batches(split_of_lengths([34] * 500 + [26] * 500), 3300, 0)
    assert len(batches) == 5 + 4
    assert batches.padding_share == 0


def test_no_poems_are_no_batches() -> None:
    batches = Batches(split_of_lengths([]), 100, 0)
    assert len(batches) == 0
    assert list(batches.epoch(0)) == []


@pytest.mark.parametrize(("budget", "longest"), [(0, None), (10, 1)])
def test_a_budget_that_holds_nothing_is_refused(budget: int, longest: int | None) -> None:
    with pytest.raises(ValueError, match=r"a (token budget|max_length) of"):
        Batches(split_of_lengths([5]), budget, 0, max_length=longest)
