"""How a poem's length is said."""

import numpy as np
import pytest

from poetgen.dataset.batches import Batches
from poetgen.dataset.lengths import FIRST, LONGEST, length_id, lengths_known
from poetgen.dataset.vocabulary import BOS, EOS
from tests.dataset.fakes import split_of_lengths


def test_every_length_up_to_the_longest_has_an_id_of_its_own_in_the_vocabulary() -> None:
    for size in (5, 40, 8000):
        ids = [length_id(n, size) for n in range(1, lengths_known(size) + 1)]
        assert ids == list(range(FIRST, FIRST + lengths_known(size)))
        assert max(ids) < size
        assert length_id(10_000, size) == ids[-1]
    assert lengths_known(8000) == LONGEST


@pytest.mark.parametrize("longest", [None, 5])
def test_a_batch_says_how_long_each_poem_is_even_if_it_is_cut(longest: int | None) -> None:
    split = split_of_lengths([4, 7, 7])
    options = {"shuffle": False, "max_length": longest}
    plain = list(Batches(split, 100, 0, **options).epoch(0))  # type: ignore[arg-type]
    said = list(Batches(split, 100, 0, **options, lengths_in=90).epoch(0))  # type: ignore[arg-type]
    for one, other in zip(plain, said, strict=True):
        assert np.array_equal(np.delete(other.ids, 1, axis=1), one.ids)
        assert (other.ids[:, 0] == BOS).all()
        whole = np.diff(split.offsets)[other.poems] - 2
        assert other.ids[:, 1].tolist() == [length_id(n, 90) for n in whole.tolist()]
        assert other.real_tokens == one.real_tokens + len(one.poems) == other.mask.sum()
        assert (one.given, other.given) == (1, 2)
        assert other.rows(slice(1)).given == 2
        if longest is None:
            assert (other.ids[np.arange(len(whole)), other.lengths - 1] == EOS).all()
