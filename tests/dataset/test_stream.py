"""The stream of truncated BPTT: every token once, in order, from piece to piece."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.dataset.stream import Piece, Stream
from poetgen.dataset.vocabulary import BOS, EOS, PAD
from tests.dataset.fakes import split_of_lengths
from tests.training.grammar import encoded

_LENGTHS = st.lists(st.integers(2, 60), min_size=1, max_size=40)
_SETTINGS = settings(deadline=None, max_examples=80)


def _rows(pieces: list[Piece]) -> np.ndarray:
    """The inputs of each row, all pieces of it one after the other."""
    return np.concatenate([piece.inputs for piece in pieces], axis=1)


@_SETTINGS
@given(
    lengths=_LENGTHS, length=st.integers(1, 50), rows=st.integers(1, 9), seed=st.integers(0, 2**60)
)
def test_every_poem_comes_once_an_epoch_whole_and_every_target_is_the_next_input(
    lengths: list[int], length: int, rows: int, seed: int
) -> None:
    split = split_of_lengths(lengths)
    stream = Stream(split, rows * length + length // 2, length, seed)
    pieces = list(stream.epoch(3))
    assert len(pieces) == len(stream)
    assert stream.rows <= rows
    inputs = _rows(pieces)
    targets = np.concatenate([piece.targets for piece in pieces], axis=1)
    mask = np.concatenate([piece.mask for piece in pieces], axis=1)
    np.testing.assert_array_equal(targets[:, :-1], inputs[:, 1:])
    np.testing.assert_array_equal(targets[:-1, -1], inputs[1:, 0])
    whole = "".join(map(chr, [*inputs.ravel().tolist(), int(targets[-1, -1])]))
    poems = whole.rstrip(chr(PAD)).split(chr(BOS))[1:]
    expected = ["".join(map(chr, split[i][1:].tolist())) for i in range(len(split))]
    assert sorted(poems) == sorted(expected)
    # What is predicted is all text and nothing else.
    assert int(mask.sum()) == split.real_tokens == sum(piece.real_tokens for piece in pieces)
    assert not np.isin(targets[mask], (PAD, BOS)).any()


@_SETTINGS
@given(lengths=_LENGTHS, length=st.integers(1, 50), rows=st.integers(1, 9))
def test_a_step_keeps_to_its_length_and_budget_and_is_like_the_others(
    lengths: list[int], length: int, rows: int
) -> None:
    shapes = [
        piece.inputs.shape
        for piece in Stream(split_of_lengths(lengths), rows * length, length, 0).epoch(0)
    ]
    assert max(T for _, T in shapes) <= length
    assert max(T for _, T in shapes) - min(T for _, T in shapes) <= 1
    assert len({B for B, _ in shapes}) == 1
    assert max(B * T for B, T in shapes) <= rows * length


@_SETTINGS
@given(lengths=_LENGTHS, start=st.integers(0, 40), epoch=st.integers(0, 5))
def test_an_epoch_goes_on_from_any_step_as_if_never_stopped(
    lengths: list[int], start: int, epoch: int
) -> None:
    split = split_of_lengths(lengths)
    whole = list(Stream(split, 24, 8, 7).epoch(epoch))
    rest = list(Stream(split, 24, 8, 7).epoch(epoch, start))
    assert len(rest) == max(0, len(whole) - start)
    for one, two in zip(whole[start:], rest, strict=True):
        np.testing.assert_array_equal(one.ids, two.ids)
        np.testing.assert_array_equal(one.mask, two.mask)
        assert one.first == two.first
    assert [piece.first for piece in whole] == [True] + [False] * (len(whole) - 1)


def test_what_is_told_of_a_poem_stands_before_it_and_is_not_predicted() -> None:
    split = encoded(poems=30).split("train")
    assert split.contexts is not None
    pieces = list(Stream(split, 64, 16, seed=1).epoch(0))
    row = _rows(pieces).ravel()
    mask = np.concatenate([piece.mask for piece in pieces], axis=1).ravel()
    (starts,) = np.nonzero(row == BOS)
    told = np.stack([row[start - 6 : start] for start in starts])
    known = {tuple(context) for context in split.contexts.tolist()}
    hidden = (told == PAD).all(axis=1)
    assert 0 < hidden.mean() < 1  # Withheld of some, as in batches of poems.
    assert all((tuple(c) in known) or (np.array(c) == PAD).any() for c in told.tolist())
    for start in starts[1:]:
        # The mask at i is of the target at i + 1: the seven ids up to BOS are given.
        assert not mask[start - 7 : start].any()
        assert mask[start - 8]  # <eos>
        assert row[start - 7] == EOS


def test_epochs_and_seeds_differ_in_the_order() -> None:
    split = split_of_lengths([10] * 64)
    rows = [
        _rows(list(Stream(split, 64, 16, seed).epoch(epoch)))
        for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0))
    ]
    assert not np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])
    np.testing.assert_array_equal(rows[0], rows[3])


def test_rows_of_a_piece_are_its_rows() -> None:
    piece = next(Stream(split_of_lengths([20] * 9), 40, 10, 0).epoch(0))
    part = piece.rows(slice(1, None, 2))
    np.testing.assert_array_equal(part.ids, piece.ids[1::2])
    np.testing.assert_array_equal(part.mask, piece.mask[1::2])


@pytest.mark.parametrize(("budget", "length"), [(10, 0), (10, 11)])
def test_pieces_that_cannot_be_are_refused(budget: int, length: int) -> None:
    with pytest.raises(ValueError, match="pieces of"):
        Stream(split_of_lengths([10]), budget, length, 0)
