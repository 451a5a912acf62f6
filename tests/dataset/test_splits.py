import numpy as np

from poetgen.dataset.splits import assign_parts, hash_poems

_TEXTS = [f"第{i}首，其文如此。" for i in range(5000)]
_HASHES = hash_poems(_TEXTS)


def test_a_poem_stays_in_its_part_in_another_order_and_another_corpus() -> None:
    parts = dict(zip(_TEXTS, assign_parts(_HASHES).tolist(), strict=True))
    some = _TEXTS[::-2]
    assert [parts[text] for text in some] == assign_parts(hash_poems(some)).tolist()


def test_the_shares_are_those_asked_for() -> None:
    # Binomial: 1 % of 5000 is 50 ± 7; a false alarm beyond 5 standard deviations is 1 in 2 million.
    counts = np.bincount(assign_parts(_HASHES), minlength=3)
    assert counts.sum() == 5000
    assert abs(counts[1] - 50) < 36
    assert abs(counts[2] - 50) < 36


def test_a_small_corpus_still_has_poems_to_validate_and_to_test_on() -> None:
    for size in range(3, 400):
        counts = np.bincount(assign_parts(_HASHES[:size]), minlength=3)
        least = min(16, max(1, size // 10))
        assert counts.sum() == size
        assert counts[0] >= 1
        assert min(counts[1:]) >= least


def test_a_small_corpus_is_split_alike_in_any_order() -> None:
    some = _TEXTS[:50]
    parts = dict(zip(some, assign_parts(hash_poems(some)).tolist(), strict=True))
    assert [parts[text] for text in some[::-1]] == assign_parts(hash_poems(some[::-1])).tolist()


def test_a_part_without_a_share_stays_empty() -> None:
    for size in (10, 5000):
        assert not assign_parts(_HASHES[:size], (100, 0, 0)).any()
        assert 2 not in assign_parts(_HASHES[:size], (90, 10, 0))


def test_two_poems_or_none_are_all_for_training() -> None:
    assert assign_parts(_HASHES[:2]).tolist() == [0, 0]
    assert assign_parts(_HASHES[:0]).tolist() == []
