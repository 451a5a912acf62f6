"""The runs of a corpus in a few megabytes: nothing is lost, and mistakes are as rare as said."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poetgen.dataset.encoded import EncodedSplit
from poetgen.dataset.runs import FALSE_POSITIVES, FILE, RunFilter, code_points, keys_of
from poetgen.dataset.vocabulary import BOS, EOS, SPECIALS, Vocabulary
from poetgen.errors import CheckpointError
from poetgen.tensors import write_tensors

HAN = [chr(0x4E00 + i) for i in range(300)] + ["𠮷"]
MARKS = "，。"
CHARACTERS = Vocabulary((*SPECIALS, *MARKS, *HAN))
WORDS = Vocabulary((*CHARACTERS.tokens, HAN[0] + HAN[1], HAN[2] + HAN[3] + HAN[4], "，。"))
CORPUS = {"content_hash": "abc"}


def split_of(poems: list[list[int]]) -> EncodedSplit:
    rows = [[BOS, *poem, EOS] for poem in poems]
    return EncodedSplit(
        name="train",
        ids=np.array([id for row in rows for id in row], np.uint16),
        offsets=np.cumsum([0, *map(len, rows)]),
        characters=np.array([len(poem) for poem in poems], np.int32),
        forms=np.zeros(len(poems), np.int8),
        form_names=("七绝",),
        unknown=0,
    )


def filter_of(texts: list[str], vocabulary: Vocabulary = CHARACTERS) -> RunFilter:
    return RunFilter.build(split_of([vocabulary.encode(text) for text in texts]), vocabulary)


lines = st.text(st.sampled_from(HAN), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(lines, min_size=1, max_size=5), max_size=5))
def test_every_line_of_the_corpus_is_found_whatever_the_corpus(poems: list[list[str]]) -> None:
    runs = filter_of(["，".join(poem) + "。" for poem in poems])
    expected = {line[i : i + 5] for poem in poems for line in poem for i in range(len(line) - 4)}
    assert runs.runs == len(expected)
    for poem in poems:
        for line in poem:
            assert runs.contains_runs(line) == [True] * (len(line) - 4)
            assert runs.borrowed_line(line) == (len(line) >= 5)


def test_no_run_goes_over_a_mark_a_poem_or_an_unknown_character() -> None:
    a, b, c, d, e, f = HAN[:6]
    runs = filter_of([f"{a}{b}{c}，{d}{e}{f}。", f"{a}{b}{c}", f"{d}{e}", f"{a}{b}龘{c}{d}{e}"])
    assert runs.runs == 0
    assert not runs.borrowed_line(a + b + c + d + e)


def test_words_give_the_runs_of_their_characters() -> None:
    a, b, c, d, e, f = HAN[:6]
    words = [a + b, c + d + e, f]
    runs = RunFilter.build(split_of([[WORDS.id_of(word) for word in words]]), WORDS)
    assert runs.runs == 2
    assert runs.borrowed_line("".join(words))


def test_as_much_is_mistaken_as_is_said_and_no_more() -> None:
    # 20,000 draws at 0.82 %: 164 expected, standard deviation 13; six of them are allowed.
    random = np.random.default_rng(0)
    texts = ["".join(random.choice(HAN, 60)) for _ in range(300)]
    runs = filter_of(texts)
    known = {text[i : i + 5] for text in texts for i in range(56)}
    fresh = {"".join(random.choice(HAN, 5)) for _ in range(20_000)} - known
    mistaken = sum(runs.borrowed_line(run) for run in fresh)
    assert round(FALSE_POSITIVES, 4) == 0.0082
    assert abs(mistaken - FALSE_POSITIVES * len(fresh)) < 6 * 13


def test_ten_bits_a_run_is_all_it_takes(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    runs = filter_of(["".join(random.choice(HAN, 100)) for _ in range(300)])
    runs.save(tmp_path / FILE, CORPUS)
    assert (tmp_path / FILE).stat().st_size < runs.runs * 10 / 8 + 40_000


def test_the_commonest_runs_of_three_are_cliches() -> None:
    a, b, c, d, e, f = HAN[:6]
    runs = filter_of([f"{a}{b}{c}。"] * 5 + [f"{d}{e}{f}。"] * 4)
    assert runs.contains_cliches(d + a + b + c + d + e + f).tolist() == [0, 1, 0, 0, 0]


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    runs = filter_of(["".join(HAN[:40])] * 6)
    runs.save(tmp_path / FILE, CORPUS)
    again = RunFilter.load(tmp_path / FILE, CORPUS)
    assert again is not None
    assert again.runs == runs.runs == 36
    line = "".join(HAN[3:12]) + "𠮷"
    assert again.contains_runs(line) == runs.contains_runs(line)
    assert again.contains_cliches(line).tolist() == runs.contains_cliches(line).tolist()
    assert runs.contains_cliches(line).any()


def test_a_checkpoint_without_a_filter_has_none(tmp_path: Path) -> None:
    assert RunFilter.load(tmp_path / FILE, CORPUS) is None


def test_a_filter_of_another_corpus_a_damaged_one_and_none_at_all_are_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / FILE
    filter_of(["".join(HAN[:40])]).save(path, CORPUS)
    with pytest.raises(CheckpointError, match="another corpus"):
        RunFilter.load(path, {"content_hash": "xyz"})
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        RunFilter.load(path, CORPUS)
    write_tensors(path, {"bits": np.zeros(3, np.float32)}, {"corpus": "abc", "runs": "1"})
    with pytest.raises(CheckpointError, match="no filter"):
        RunFilter.load(path, CORPUS)


@settings(deadline=None)
@given(st.text(st.sampled_from(HAN), min_size=5, max_size=400))
def test_one_run_is_looked_up_as_many_are(line: str) -> None:
    runs = filter_of(["".join(HAN[i : i + 7]) for i in range(0, 280, 7)])
    for text in (line, line + "".join(HAN[14:21])):
        keys = keys_of(np.lib.stride_tricks.sliding_window_view(code_points(text), 5))
        assert runs.contains_runs(text) == runs.contains(keys).tolist()


def test_a_line_may_hold_anything() -> None:
    runs = filter_of(["".join(HAN[:40])])
    for line in ("", "一", "\ud800" * 7, "abcdefg", "\0" * 9):
        assert not runs.borrowed_line(line)
    assert len(code_points("𠮷\ud800a")) == 3
