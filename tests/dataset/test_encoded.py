import multiprocessing
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen import folders
from poetgen.dataset import encoded
from poetgen.dataset.context import CONTROLS
from poetgen.dataset.encoded import EncodedCorpus, default_min_count, encode_corpus, encode_with
from poetgen.dataset.encoding import Table, numbering_of
from poetgen.dataset.splits import PARTS
from poetgen.dataset.tokenizers import tokenizer_named
from poetgen.dataset.vocabulary import BOS, EOS, SPECIALS, UNK, Vocabulary
from poetgen.errors import CorpusError, VocabularyError
from tests.dataset.fakes import ListCorpus

_CHARACTERS = "春夏秋冬风花雪月江山明日白云青天不见故人来去何时归一二三十百千万里"


def _poems(count: int, seed: int = 0) -> list[str]:
    draw = np.random.default_rng(seed)
    poems = []
    for _ in range(count):
        lines = draw.choice(list(_CHARACTERS), (int(draw.integers(1, 5)), 5))
        poems.append("".join("".join(line) + "，" for line in lines)[:-1] + "。")
    return poems


def _decoded(corpus: EncodedCorpus) -> list[str]:
    return [
        corpus.vocabulary.decode(split[i].tolist())
        for split in corpus.splits.values()
        for i in range(len(split))
    ]


@pytest.mark.parametrize("tokenizer", ["char", "word"])
def test_every_poem_is_in_one_part_and_decodes_to_its_own_text(tokenizer: str) -> None:
    poems = _poems(200)
    corpus = encode_corpus(ListCorpus(poems), tokenizer, min_count=1)
    assert sum(split.unknown for split in corpus.splits.values()) == 0
    assert Counter(_decoded(corpus)) == Counter(poems)
    for split in corpus.splits.values():
        for i in range(len(split)):
            assert split[i][0] == BOS
            assert split[i][-1] == EOS


def test_what_is_kept_of_a_poem_is_its_own() -> None:
    poems = _poems(300)
    forms = [f"{len(poem)}" for poem in poems]
    corpus = encode_corpus(ListCorpus(poems, forms), min_count=1)
    for split in corpus.splits.values():
        for i in range(len(split)):
            text = corpus.vocabulary.decode(split[i].tolist())
            assert split.form_names[split.forms[i]] == str(len(text))
            assert split.characters[i] == sum(c in _CHARACTERS for c in text)
        assert split.real_tokens == sum(len(split[i]) - 1 for i in range(len(split)))


def test_the_vocabulary_knows_the_training_poems_alone() -> None:
    poems = [f"第{chr(0x4E00 + 3 * i)}首。" for i in range(100)]
    corpus = encode_corpus(ListCorpus(poems), min_count=1)
    for name, split in corpus.splits.items():
        assert split.unknown == (0 if name == "train" else len(split))
    known = set(corpus.vocabulary.tokens) - {*SPECIALS, *CONTROLS, "第", "首", "。"}
    assert len(known) == len(corpus.split("train"))


def test_a_rare_word_is_spelled() -> None:
    poems = ["明月光，"] * 20 + [f"{c}地上。" for c in _CHARACTERS]
    vocabulary = Vocabulary.build({"明月光": 9, "，": 9, "上": 9}, min_count=9)
    split = encode_with(ListCorpus(poems), vocabulary, "word", "simplified")
    assert split[0].tolist() == [BOS, *vocabulary.encode(["明月光", "，"]), EOS]
    assert split[20].tolist() == [BOS, UNK, UNK, vocabulary.id_of("上"), UNK, EOS]
    assert split.characters[20] == 3


@pytest.mark.parametrize("tokenizer", ["char", "word"])
@settings(deadline=None, max_examples=60)
@given(
    texts=st.lists(st.text(alphabet=_CHARACTERS + "，。𠮷x\ud800", max_size=12), max_size=6),
    kept=st.integers(0, 5),
)
def test_whole_arrays_are_encoded_as_the_vocabulary_encodes_one_token_after_the_other(
    tokenizer: str, texts: list[str], kept: int
) -> None:
    texts = [text.replace("\ud800", "?") for text in texts]
    cutter = tokenizer_named(tokenizer)
    counts = Counter(token for text in texts for token in cutter.tokenize(text)[:kept])
    vocabulary = Vocabulary((*SPECIALS, *sorted(counts)))
    split = encode_with(ListCorpus(texts), vocabulary, tokenizer, "simplified")
    assert [split[i].tolist() for i in range(len(split))] == [
        [BOS, *vocabulary.encode(cutter.tokenize(text)), EOS] for text in texts
    ]
    assert split.unknown == sum(vocabulary.encode(cutter.tokenize(t)).count(UNK) for t in texts)


def test_block_by_block_comes_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = ListCorpus(_poems(100))
    at_once = encode_corpus(corpus, "word", min_count=1)
    shutil.rmtree(folders.cache_folder())
    monkeypatch.setattr(encoded, "_BLOCK", 7)
    in_blocks = encode_corpus(corpus, "word", min_count=1)
    assert in_blocks.vocabulary == at_once.vocabulary
    for name in PARTS:
        np.testing.assert_array_equal(in_blocks.split(name).ids, at_once.split(name).ids)
        np.testing.assert_array_equal(in_blocks.split(name).offsets, at_once.split(name).offsets)


def test_the_second_time_no_text_is_read() -> None:
    corpus = ListCorpus(_poems(50))
    first = encode_corpus(corpus)
    assert corpus.times_read == 1
    second = encode_corpus(corpus)
    assert corpus.times_read == 1
    assert _decoded(second) == _decoded(first)
    assert isinstance(second.split("train").ids.base, np.memmap)


@pytest.mark.parametrize(
    "options", [{"min_count": 3}, {"tokenizer": "word"}, {"split": (80, 10, 10)}]
)
def test_other_options_are_encoded_anew(options: dict[str, object]) -> None:
    corpus = ListCorpus(_poems(50))
    encode_corpus(corpus, min_count=1)
    encode_corpus(corpus, **{"min_count": 1, **options})  # type: ignore[arg-type]
    assert corpus.times_read == 2


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        _flip,
        Path.unlink,
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
    ],
    ids=["flip", "unlink", "truncate", "empty"],
)
@pytest.mark.parametrize("name", ["meta.json", "vocab.txt", "train.ids", "test.offsets"])
def test_a_damaged_cache_is_made_again_without_a_word(damage: object, name: str) -> None:
    corpus = ListCorpus(_poems(50))
    before = _decoded(encode_corpus(corpus))
    (path,) = (folders.cache_folder() / "encoded").glob(f"*/{name}")
    damage(path)  # type: ignore[operator]
    assert _decoded(encode_corpus(corpus)) == before
    assert corpus.times_read == 2


def test_what_a_killed_build_left_is_cleared_away() -> None:
    corpus = ListCorpus(_poems(50))
    encode_corpus(corpus)
    (folder,) = (path for path in (folders.cache_folder() / "encoded").iterdir() if path.is_dir())
    left = folder.rename(folder.with_name(f"{folder.name}.abc.tmp"))
    encode_corpus(corpus)
    assert not left.exists()
    assert folder.is_dir()


def test_a_build_that_fails_leaves_nothing() -> None:
    corpus = ListCorpus(_poems(50))
    with pytest.raises(VocabularyError):
        encode_corpus(corpus, min_count=10**9)
    assert [p for p in (folders.cache_folder() / "encoded").iterdir() if p.is_dir()] == []


def _encode_in_a_process(seed: int) -> int:
    return len(encode_corpus(ListCorpus(_poems(300, seed)), "char").split("train"))


def test_processes_that_encode_the_same_corpus_at_once_all_get_it() -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        lengths = pool.map(_encode_in_a_process, [0, 0, 0], chunksize=1)
    assert len(set(lengths)) == 1
    made = [path for path in (folders.cache_folder() / "encoded").iterdir() if path.is_dir()]
    assert len(made) == 1


def test_token_counts_are_of_what_is_predicted_in_training() -> None:
    corpus = encode_corpus(ListCorpus(_poems(100)), min_count=1)
    train = corpus.split("train")
    predicted = Counter(token for i in range(len(train)) for token in train[i][1:].tolist())
    counts = corpus.token_counts()
    assert {i: n for i, n in enumerate(counts.tolist()) if n} == dict(predicted)
    assert counts.sum() == train.real_tokens


def test_a_part_under_an_existing_vocabulary_is_the_part_of_the_encoded_corpus() -> None:
    corpus = ListCorpus(_poems(200))
    whole = encode_corpus(corpus, min_count=1)
    for name in PARTS:
        part = encode_with(corpus, whole.vocabulary, "char", "simplified", part=name)
        np.testing.assert_array_equal(part.ids, whole.split(name).ids)
        np.testing.assert_array_equal(part.characters, whole.split(name).characters)


def test_a_corpus_in_the_other_script_is_refused() -> None:
    vocabulary = Vocabulary.build({"春": 1}, 1)
    corpus = ListCorpus(["春。"], script="traditional")
    with pytest.raises(CorpusError, match="traditional") as caught:
        encode_with(corpus, vocabulary, "char", "simplified")
    assert "--script simplified" in caught.value.hint


def test_an_empty_corpus_is_one_clear_error() -> None:
    with pytest.raises(CorpusError, match="has no poems"):
        encode_corpus(ListCorpus([]))


def test_a_part_without_poems_can_be_opened() -> None:
    corpus = encode_corpus(ListCorpus(_poems(20)), min_count=1, split=(100, 0, 0))
    for name in ("validation", "test"):
        assert len(corpus.split(name)) == 0
        assert corpus.split(name).real_tokens == 0


def test_ids_are_as_narrow_as_the_vocabulary_allows() -> None:
    numbering = numbering_of(tokenizer_named("char"))
    numbers, lengths = numbering.number(["春"])
    seen = numbers.astype(np.int64)
    small = Vocabulary((*SPECIALS, "春"))
    # 70,000 tokens; the last id does not fit 16 bits.
    large = Vocabulary((*SPECIALS, *(f"t{i}" for i in range(70_000)), "春"))
    assert Table(numbering, seen, small).dtype == np.uint16
    ids, _, _ = Table(numbering, seen, large).encode(numbers, lengths)
    assert ids.dtype == np.uint32
    assert ids.tolist() == [BOS, 70_004, EOS]


def test_the_poems_read_so_far_are_reported() -> None:
    seen: list[tuple[int, int]] = []
    encode_corpus(ListCorpus(_poems(50)), progress=lambda *counts: seen.append(counts))
    assert seen == [(50, 50)]


def test_min_count_grows_with_the_corpus() -> None:
    assert default_min_count(5_000) == 2
    assert default_min_count(18_700_000) == 10
