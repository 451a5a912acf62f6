"""What would complete a borrowed line is told for every token, and nothing else is."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poetgen.dataset.runs import RunFilter
from poetgen.dataset.vocabulary import Vocabulary
from poetgen.writing.novelty import Novelty
from tests.dataset.test_runs import split_of
from tests.writing.fakes import CHARACTERS, HAN, WORDS

FEW = HAN[:6]


def filter_of(lines: list[str], vocabulary: Vocabulary = CHARACTERS) -> RunFilter:
    return RunFilter.build(split_of([vocabulary.encode(line) for line in lines]), vocabulary)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    corpus=st.lists(st.text(st.sampled_from(FEW), min_size=5, max_size=9), max_size=30),
    before=st.text(st.sampled_from(FEW), max_size=8),
    rest=st.lists(st.sampled_from([None, *FEW]), min_size=1, max_size=5),
    vocabulary=st.sampled_from([CHARACTERS, WORDS]),
)
def test_the_mask_says_what_completing_the_line_would_show(
    corpus: list[str], before: str, rest: list[str | None], vocabulary: Vocabulary
) -> None:
    runs = filter_of(corpus)
    found = Novelty(runs, vocabulary).completions(before, rest)
    for id, token in enumerate(vocabulary.tokens):
        after = rest[len(token) :]
        completes = all(c in HAN + "悠见" for c in token) and len(token) <= len(rest)
        if not completes or None in after:
            assert not found[id]
        else:
            line = before + token + "".join(c for c in after if c)
            assert found[id] == runs.borrowed_line(line), line


def test_only_the_tokens_asked_about_are_looked_at() -> None:
    runs = filter_of(["春夏秋冬山", "春夏秋冬水"])
    novelty = Novelty(runs, CHARACTERS)
    among = np.ones(len(CHARACTERS), np.bool_)
    among[CHARACTERS.id_of("山")] = False
    assert novelty.completions("春夏秋冬", [None])[CHARACTERS.encode("山水")].tolist() == [1, 1]
    found = novelty.completions("春夏秋冬", [None], among)
    assert found[CHARACTERS.encode("山水")].tolist() == [0, 1]


def test_a_line_of_fewer_than_five_is_free() -> None:
    novelty = Novelty(filter_of(["春夏秋冬山"]), CHARACTERS)
    assert not novelty.completions("春夏秋", [None]).any()
