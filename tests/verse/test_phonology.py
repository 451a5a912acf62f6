import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.errors import TemplateError
from poetgen.verse.phonology import RHYME_BOOKS, rhyme_book


def _names(name: str, character: str) -> list[str]:
    return [group.tone + group.name for group in rhyme_book(name).readings(character)]


@pytest.mark.parametrize(
    ("name", "groups", "level"), [("平水韵", 106, 30), ("新韵", 28, 14), ("通韵", 32, 16)]
)
def test_each_book_has_its_number_of_groups(name: str, groups: int, level: int) -> None:
    book = rhyme_book(name)
    assert len(book.groups) == groups
    assert sum(group.is_level for group in book.groups) == level
    assert all(book.members(group) for group in book.groups if group.name not in ("儿", "欸"))


def test_both_scripts_of_a_character_have_its_readings() -> None:
    for simplified, traditional in ("东東", "风風", "间間", "楼樓", "门門", "闻聞"):
        assert _names("平水韵", simplified) == _names("平水韵", traditional)
        assert _names("新韵", simplified) == _names("新韵", traditional)


def test_an_old_entering_tone_is_oblique_by_the_old_book_and_level_by_the_new() -> None:
    for character in "白国一竹绝":
        assert rhyme_book().tones(character) == "仄"
        assert rhyme_book("新韵").tones(character) == "平"


def test_a_polyphone_keeps_all_its_readings_for_judging() -> None:
    assert rhyme_book().tones("看思论教") == "中中中中"
    assert _names("平水韵", "看") == ["平寒", "去翰"]


def test_a_rare_reading_does_not_count_for_writing() -> None:
    book = rhyme_book()
    assert book.tones("知空不看") == "中中中中"
    # 知 is oblique in 7 of 2,822 places, 空 in 1 of 1,263, 不 level in 10 of 1,661.
    assert book.for_writing.tones("知空不看") == "平平仄中"
    assert [group.tone for group in book.for_writing.readings("知")] == ["平"]
    assert book.for_writing.near(book.group_named("东")) == book.near(book.group_named("东"))
    assert rhyme_book("新韵").for_writing is rhyme_book("新韵")


def test_a_reading_that_verse_does_not_use_does_not_count_for_judging() -> None:
    book = rhyme_book()
    # 空 is oblique in 1 of 1,263 places, 中 in 20 of 3,567; 汉 is too rare to tell.
    assert book.for_judging.tones("空中看汉") == "平中中中"
    assert [group.name for group in book.for_judging.readings("空")] == ["东"]
    assert [group.name for group in book.readings("空")] == ["东", "董", "送"]
    assert rhyme_book("新韵").for_judging is rhyme_book("新韵")


@pytest.mark.parametrize(
    ("character", "readings"),
    [
        ("佳", ["平佳", "平麻"]),  # Verse rhymes it in 麻 three times in four.
        ("蜂", ["平东", "平冬"]),
        ("茸", ["平东", "平冬", "上肿"]),
        ("龙龍", ["平冬"]),
        ("师師", ["平支"]),
        ("浮", ["平尤"]),
        ("了", ["上筱"]),
        ("同", ["平东"]),
        ("衡", ["平庚"]),
        ("污汙", ["平虞", "平麻", "去遇"]),
    ],
)
def test_readings_that_rhyme_books_and_verse_agree_on(character: str, readings: list[str]) -> None:
    for form in character:
        assert _names("平水韵", form) == readings


def test_the_books_disagree_where_they_should() -> None:
    assert [g.title for g in rhyme_book().rhymes("东", "风")] == ["上平声一东"]
    assert rhyme_book().rhymes("东", "冬") == ()
    assert rhyme_book().rhymes("英", "雄") == ()
    assert rhyme_book("新韵").rhymes("英", "雄")
    assert rhyme_book("通韵").rhymes("英", "雄") == ()


def test_nothing_borrows_from_beside_an_oblique_group() -> None:
    for name in RHYME_BOOKS:
        book = rhyme_book(name)
        for group in book.groups:
            assert bool(book.near(group)) == group.is_level


def test_the_volumes_of_the_level_tone_are_numbered_apart() -> None:
    book = rhyme_book()
    titles = {group.title for group in book.groups}
    assert {"上平声十五删", "下平声一先", "下平声十五咸", "上声一董", "入声十七洽"} <= titles


def test_a_first_line_may_borrow_from_neighbours_only() -> None:
    book = rhyme_book()
    assert [g.name for g in book.group_masks(book.near(book.group_named("微")))] == list("支微齐")
    assert [g.name for g in book.group_masks(book.near(book.group_named("尤")))] == ["尤"]
    modern = rhyme_book("新韵")
    assert [g.name for g in modern.group_masks(modern.near(modern.group_named("麻")))] == ["麻"]


@pytest.mark.parametrize("name", ["东", "平东", "上平声一东", "東", "风", " 东 "])
def test_a_group_is_found_by_its_name_or_a_character_of_it(name: str) -> None:
    assert rhyme_book().group_named(name).title == "上平声一东"


@pytest.mark.parametrize("name", ["x", "", "春风", "月"])
def test_a_group_that_is_not_there_is_an_error_that_lists_those_that_are(name: str) -> None:
    if name == "月":  # A name of an oblique group is a name.
        assert rhyme_book().group_named(name).tone == "入"
        return
    with pytest.raises(TemplateError, match="no level rhyme group") as caught:
        rhyme_book().group_named(name)
    assert "东冬江" in caught.value.hint


@pytest.mark.parametrize("name", ["平水韵", "pingshui", "PINGSHUI", "中华新韵", "通韻"])
def test_a_book_is_opened_by_any_of_its_names_once(name: str) -> None:
    assert rhyme_book(name) is rhyme_book(rhyme_book(name).name)


def test_a_book_that_is_not_there_is_an_error_that_lists_those_that_are() -> None:
    with pytest.raises(TemplateError, match="词林正韵") as caught:
        rhyme_book("词林正韵")
    assert all(name in caught.value.hint for name in RHYME_BOOKS)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=20))
def test_tones_of_any_text_are_a_class_a_character(text: str) -> None:
    for name in RHYME_BOOKS:
        tones = rhyme_book(name).tones(text)
        assert len(tones) == len(text)
        assert set(tones) <= set("平仄中")


def test_an_unknown_character_may_be_either_and_rhymes_with_nothing() -> None:
    book = rhyme_book()
    assert book.tones("□A") == "中中"
    assert "□" not in book
    assert "东风" not in book
    assert "东" in book
    assert book.readings("□") == ()
