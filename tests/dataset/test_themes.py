import numpy as np

from poetgen.dataset.themes import themes_of
from poetgen.dataset.vocabulary import PAD, SPECIALS, Vocabulary

TEXTS = ["秋日登楼望，秋日满江楼。", "梅花开一树，秋日见梅花。", "登楼秋日晚，梅花雪里香。", "登楼"]
VOCABULARY = Vocabulary((*SPECIALS, *dict.fromkeys("".join(TEXTS)), *"王定国竹寄其二"))


def _themes(*titles: str, script: str = "simplified") -> list[str]:
    rows = themes_of(titles, TEXTS, VOCABULARY, script)
    assert rows.shape == (len(titles), 4)
    return ["".join(VOCABULARY.tokens[i] for i in row if i != PAD) for row in rows]


def test_words_of_verse_are_kept_and_names_and_numbers_are_not() -> None:
    assert _themes("次韵王定国秋日见寄二首  其一") == ["秋日"]
    assert _themes("秋日登楼", "登楼见梅花") == ["秋日登楼", "登楼梅花"]


def test_a_theme_has_no_more_than_two_words() -> None:
    assert _themes("秋日登楼见梅花") == ["秋日登楼"]


def test_a_title_without_a_word_of_verse_gives_its_first_characters() -> None:
    assert _themes("雪竹", "寄雪二首") == ["雪竹", "雪"]


def test_a_title_of_nothing_but_numbers_and_occasions_gives_nothing() -> None:
    assert _themes("其二", "", "寄见") == ["", "", ""]


def test_a_traditional_title_is_read_in_the_script_of_the_corpus() -> None:
    assert _themes("登樓") == ["登楼"]
    assert _themes("登樓", script="traditional") == ["登"]


def test_no_text_and_no_title_are_no_error() -> None:
    assert themes_of([], [], VOCABULARY, "simplified").shape == (0, 4)
    assert (themes_of(["秋日"], [], VOCABULARY, "simplified")[0, :2] > 0).all()


def test_a_theme_does_not_depend_on_the_titles_around_it() -> None:
    titles = ["秋日登楼", "其二", "雪竹", "", "登楼见梅花"]
    together = themes_of(titles, TEXTS, VOCABULARY, "simplified")
    alone = [themes_of([title], TEXTS, VOCABULARY, "simplified")[0] for title in titles]
    np.testing.assert_array_equal(together, alone)
