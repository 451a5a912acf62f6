import hashlib
from collections import Counter
from pathlib import Path

import pytest

from poetgen.dataset.vocabulary import BOS, EOS, PAD, SPECIALS, UNK, Vocabulary
from poetgen.errors import VocabularyError


def test_the_commonest_token_comes_first_and_ties_go_by_code_point() -> None:
    vocabulary = Vocabulary.build({"月": 2, "乙": 2, "一": 2, "春": 5}, min_count=1)
    assert vocabulary.tokens == (*SPECIALS, "春", "一", "乙", "月")


def test_the_order_of_the_counts_does_not_matter() -> None:
    counts = Counter("春江潮水连海平，海上明月共潮生。")
    backwards = dict(reversed(counts.items()))
    assert Vocabulary.build(counts, 1) == Vocabulary.build(backwards, 1)


def test_what_is_seen_less_than_min_count_is_unknown() -> None:
    vocabulary = Vocabulary.build({"春": 3, "江": 2}, min_count=3)
    assert "春" in vocabulary
    assert "江" not in vocabulary
    assert vocabulary.id_of("江") == UNK


def test_every_common_character_is_a_token_even_if_it_is_only_seen_in_words() -> None:
    vocabulary = Vocabulary.build({"明月": 2, "明日": 1, "月光": 1}, min_count=3)
    assert set(vocabulary.tokens[4:]) == {"明", "月"}


def test_an_unknown_word_is_spelled_and_an_unknown_character_is_unk() -> None:
    vocabulary = Vocabulary.build({"明月": 2, "江": 2}, min_count=2)
    spelled = [vocabulary.id_of("江"), vocabulary.id_of("月"), UNK]
    assert vocabulary.encode(["明月", "江月x"]) == [vocabulary.id_of("明月"), *spelled]


def test_specials_decode_to_nothing() -> None:
    vocabulary = Vocabulary.build({"春": 1}, 1)
    assert vocabulary.decode([BOS, 4, UNK, EOS, PAD]) == "春"


def test_lines_end_with_the_marks_that_are_known() -> None:
    vocabulary = Vocabulary((*SPECIALS, "。", "春", "，", "《"))
    assert vocabulary.line_ends == (4, 6)


def test_no_token_can_break_the_file_or_pose_as_a_special() -> None:
    counts = {"春": 1, "\n": 9, "\u2028": 9, "": 9, "\ud800": 9, "<unk>": 9, "a b": 9}
    vocabulary = Vocabulary.build(counts, min_count=9)
    assert vocabulary.tokens[:4] == SPECIALS
    assert not any(token.split() != [token] for token in vocabulary.tokens)
    assert "\ud800" not in vocabulary


def test_a_min_count_that_nothing_reaches_is_an_error_that_names_the_flag() -> None:
    with pytest.raises(VocabularyError, match="5 times") as caught:
        Vocabulary.build({"春": 4}, 5)
    assert "--min-count" in caught.value.hint


def test_save_and_load_give_the_same_vocabulary(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build(Counter("春江花月夜，𠮷〇。"), 1)
    path = tmp_path / "vocab.txt"
    vocabulary.save(path)
    assert Vocabulary.load(path) == vocabulary
    assert hashlib.sha256(path.read_bytes()).hexdigest() == vocabulary.sha256
    assert path.read_text(encoding="utf-8").splitlines() == list(vocabulary.tokens)


def test_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    vocabulary = Vocabulary.build({"春": 1, "江": 1}, 1)
    path = tmp_path / "vocab.txt"
    path.write_bytes("".join(f"{token}\r\n" for token in vocabulary.tokens).encode())
    assert Vocabulary.load(path).sha256 == vocabulary.sha256


_HEAD = "\n".join(SPECIALS) + "\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "does not begin with"),
        ("春\n江\n".encode(), "does not begin with"),
        (f"{_HEAD}春\n江\n春\n".encode(), "line 7 repeats line 5"),
        (f"{_HEAD}春\n\n江\n".encode(), "line 6"),
        (f"{_HEAD}春 江\n".encode(), "line 5"),
        (f"{_HEAD}春".encode()[:-1], "not UTF-8 at byte 24"),
    ],
)
def test_a_file_that_is_no_vocabulary_is_one_clear_error(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    with pytest.raises(VocabularyError, match=said) as caught:
        Vocabulary.load(path)
    assert str(path) in caught.value.message


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match="is missing"):
        Vocabulary.load(tmp_path / "vocab.txt")
