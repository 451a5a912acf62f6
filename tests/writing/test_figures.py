import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.dataset.vocabulary import SPECIALS, Vocabulary
from poetgen.errors import TemplateError
from poetgen.verse.forms import FORMS, PoemForm, form_named, free_form
from poetgen.writing.figures import (
    longest_copied_run,
    measure,
    random_requests,
    write_poems,
)
from poetgen.writing.poet import Poet
from poetgen.writing.request import Request
from poetgen.writing.written import WrittenPoem
from tests.writing.fakes import CHARACTERS, MarkovModel, RandomTable


def _poem(heads: str, form: PoemForm, *lines: str) -> WrittenPoem:
    return WrittenPoem(
        lines=lines, heads=heads, form=form, seed=0, model="m", nats_per_character=1.0, forced=()
    )


def test_the_figures_are_those_counted_by_hand() -> None:
    form = free_form(2, 3)
    figures = measure(
        [
            _poem("甲丁", form, "甲乙丙", "丁乙丙"),
            _poem("甲丁", form, "甲乙丙", "戊己"),  # one head missed, one line too short
        ],
        training_texts=["乙丙，丁乙", "己庚。"],
    )
    assert figures.poems == 2
    assert figures.head_exactness == 3 / 4
    assert figures.form_exactness == 1 / 2
    assert figures.distinct_1 == pytest.approx(6 / 11)  # 甲乙丙丁戊己
    assert figures.distinct_2 == pytest.approx(4 / 7)  # 甲乙 乙丙 丁乙 戊己
    assert figures.repeated_lines == 1 / 4
    assert figures.longest_copied_run == 4
    assert figures.copied_run == "乙丙丁乙"


def test_a_foreign_letter_breaks_the_form() -> None:
    form = free_form(1, 3)
    assert measure([_poem("甲", form, "甲乙x")]).form_exactness == 0


def test_a_poem_with_too_few_lines_misses_the_heads_of_the_others() -> None:
    assert measure([_poem("甲乙", free_form(2, 2), "甲丙")]).head_exactness == 1 / 2


def test_without_a_corpus_the_copied_run_is_unknown() -> None:
    figures = measure([_poem("甲", free_form(1, 3), "甲乙丙")])
    assert figures.longest_copied_run is None


def test_a_poem_that_shares_nothing_copies_nothing() -> None:
    figures = measure([_poem("甲", free_form(1, 3), "甲乙丙")], training_texts=["丁戊。"])
    assert (figures.longest_copied_run, figures.copied_run) == (0, "")


def test_a_run_goes_over_a_mark_but_not_into_the_next_poem() -> None:
    assert longest_copied_run(["甲乙，丙丁。"], ["戊甲。乙丙丁己。"]) == "甲乙丙丁"
    assert longest_copied_run(["甲乙丙丁。"], ["戊甲乙。", "丙丁己。"]) == "甲乙"
    assert longest_copied_run(["甲乙。", "丙丁。"], ["甲乙丙丁。"]) == "甲乙"


def _longest_by_force(poems: list[str], corpus: list[str]) -> int:
    runs = [
        end - start
        for poem in poems
        for start in range(len(poem))
        for end in range(start + 1, len(poem) + 1)
        if any(poem[start:end] in text for text in corpus)
    ]
    return max(runs, default=0)


TEXTS = st.lists(st.text("甲乙丙𠀀", max_size=9), max_size=5)


@given(poems=TEXTS, corpus=TEXTS)
@settings(deadline=None, max_examples=300)
def test_the_longest_run_is_the_one_that_trying_all_finds(
    poems: list[str], corpus: list[str]
) -> None:
    found = longest_copied_run(poems, corpus)
    assert len(found) == _longest_by_force(poems, corpus)
    assert not found or any(found in poem for poem in poems)
    assert not found or any(found in text for text in corpus)


def test_the_longest_run_is_found_in_a_large_corpus() -> None:
    generator = random.Random(1)
    characters = [chr(0x4E00 + i) for i in range(500)]
    corpus = ["".join(generator.choices(characters, k=20)) for _ in range(40_000)]
    poem = corpus[33_333][4:15] + "龍龍" + corpus[39_999][:9]
    assert longest_copied_run([poem], corpus).startswith(corpus[33_333][4:15])


def test_requests_ask_for_all_forms_in_turn_with_heads_of_the_vocabulary() -> None:
    requests = random_requests(CHARACTERS, 8, seed=3)
    assert [request.form for request in requests] == [*FORMS, *FORMS]
    for request in requests:
        assert len(request.heads) == request.form.line_count
        assert all(head in CHARACTERS for head in request.heads)
        request.layout()
    assert requests == random_requests(CHARACTERS, 8, seed=3)
    assert requests != random_requests(CHARACTERS, 8, seed=4)


def test_heads_are_single_characters_though_tokens_are_words() -> None:
    vocabulary = Vocabulary((*SPECIALS, "春风", "，", "。", "春"))
    (request,) = random_requests(vocabulary, 1, 0, [form_named("五绝")])
    assert request.heads == "春春春春"


def test_what_a_model_of_random_numbers_writes_is_exact() -> None:
    poet = Poet(MarkovModel(len(CHARACTERS), RandomTable(len(CHARACTERS), 1)), CHARACTERS, "random")
    requests = random_requests(CHARACTERS, 18, seed=0)
    seen: list[int] = []
    poems = write_poems(poet, requests, seed=5, on_progress=seen.append)
    assert [poem.seed for poem in poems] == list(range(5, 23))
    assert sum(seen) == 18
    figures = measure(poems)
    assert (figures.head_exactness, figures.form_exactness) == (1.0, 1.0)


def test_a_request_that_cannot_be_served_is_an_error() -> None:
    poet = Poet(MarkovModel(len(CHARACTERS), RandomTable(len(CHARACTERS), 1)), CHARACTERS, "random")
    with pytest.raises(TemplateError):
        write_poems(poet, [Request(heads="x", form=form_named("五绝"))], seed=0)
