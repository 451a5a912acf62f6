"""Drafts are values: what may be changed in them, and what is asked of a model for them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.book.settings import settings_of
from poetgen.book.store import BookEntry
from poetgen.errors import PoetgenError, TemplateError
from poetgen.studio.drafts import Draft, Settings
from poetgen.studio.judging import judge_draft
from poetgen.studio.screens.desk_keeping import draft_of
from poetgen.studio.session import Session
from poetgen.studio.workers import Drawing
from poetgen.writing.options import SamplingOptions
from poetgen.writing.request import FREE, acrostic_request, continuation_request
from poetgen.writing.written import WrittenPoem
from tests.studio.helpers import fake_poet

LINES = ("春风又绿江南岸", "夏日清阴一树高", "秋水长天同一色", "冬来雪满旧溪桥")


def written(heads: str = "春夏秋冬", **changes: object) -> Draft:
    draft = Draft(heads=heads)
    return draft.drawn(draft.drawing(), LINES, "，。，。", 7, "lstm", 4.0)


def test_heads_stand_in_the_poem_while_they_are_typed() -> None:
    draft = Draft().with_heads("春夏")
    assert draft.rows == ("春□□□□□□", "夏□□□□□□", FREE * 7, FREE * 7)
    assert set(draft.head_places) == {(0, 0), (1, 0)}
    draft = draft.with_settings(at="tail")
    assert draft.rows[:2] == ("□□□□□□春", "□□□□□□夏")


def test_four_heads_stand_in_the_odd_lines_of_eight_and_eight_in_all() -> None:
    draft = Draft(heads="平安喜乐", settings=Settings(form="七律"))
    assert [line for line, _ in draft.head_places] == [0, 2, 4, 6]
    assert [line for line, _ in draft.with_heads("平安喜乐年年有余").head_places] == [*range(8)]


def test_more_heads_than_lines_are_told_and_lost_neither() -> None:
    draft = Draft().with_heads("春夏秋冬风")
    with pytest.raises(TemplateError, match="5 heads"):
        draft.drawing()
    assert draft.heads == "春夏秋冬风"


def test_what_is_locked_is_kept_and_the_rest_is_free() -> None:
    draft = written().with_lock([(1, 2), (1, 3)])
    request = draft.drawing()
    assert request.heads == "春夏秋冬"
    assert request.kept == ("春□□□□□□", "夏□清阴□□□", "秋□□□□□□", "冬□□□□□□")


def test_a_line_or_the_rest_is_drawn_and_all_else_kept_with_its_marks() -> None:
    draft = written().with_lock([(2, 6)])
    assert draft.drawing("line", (1, 3)).kept == (
        LINES[0] + "，",
        "夏□□□□□□",
        LINES[2] + "，",
        LINES[3] + "。",
    )
    assert draft.drawing("rest", (1, 3)).kept == (
        LINES[0] + "，",
        "夏日清□□□□",
        "秋□□□□□色",
        "冬□□□□□□",
    )


def test_nothing_left_to_draw_is_said() -> None:
    draft = written()
    draft = draft.with_lock(place for line in range(4) for place in draft.line_places(line))
    with pytest.raises(TemplateError, match="leave nothing to write"):
        draft.drawing()


def test_own_characters_are_locked_and_flow_on_through_the_lines() -> None:
    draft = written().put((0, 5), "天地人")
    assert draft.rows[0] == "春风又绿江天地"
    assert draft.rows[1] == "人日清阴一树高"
    assert draft.heads == "春人秋冬"  # What stands where a head stood is the head.
    assert draft.locked == {(0, 5), (0, 6)}
    assert draft.nats is None
    assert draft.put((3, 5), "天地人").rows[3] == "冬来雪满旧天地"
    with pytest.raises(PoetgenError, match="x is not a Chinese character"):
        draft.put((0, 1), "x")


def test_a_head_that_moves_takes_its_character_along() -> None:
    draft = written().with_settings(at="2")
    assert draft.rows[0] == "□春又绿江南岸"
    assert written().with_heads("东夏秋冬").rows[0] == "东风又绿江南岸"


def test_a_poem_of_another_shape_begins_again() -> None:
    draft = written().with_lock([(0, 1)]).with_settings(form="五绝")
    assert draft.rows == ("春□□□□", "夏□□□□", "秋□□□□", "冬□□□□")
    assert not draft.locked


def test_locking_what_is_locked_lets_it_go_and_heads_need_no_lock() -> None:
    draft = written().with_lock(written().line_places(0))
    assert len(draft.locked) == 6
    assert not draft.with_lock(draft.line_places(0)).locked
    assert not Draft(heads="春").with_lock([(0, 0), (0, 1)]).locked  # A head; and a free place.


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("heads"), st.text("春夏秋冬x ", max_size=9)),
            st.tuples(st.just("put"), st.text("天地人", min_size=1, max_size=9)),
            st.tuples(st.just("form"), st.sampled_from(["五绝", "七绝", "五律", "七律", "free"])),
            st.tuples(st.just("at"), st.sampled_from(["head", "tail", "diagonal", "2", "7"])),
            st.tuples(st.just("lock"), st.just("")),
            st.tuples(st.just("clear"), st.just("")),
        ),
        max_size=12,
    ),
    st.integers(0, 40),
)
def test_whatever_is_done_the_draft_is_whole_lines_and_comes_back_from_disk(
    deeds: list[tuple[str, str]], index: int
) -> None:
    draft = Draft()
    for deed, value in deeds:
        place = draft.after((0, 0), index)
        match deed:
            case "heads":
                draft = draft.with_heads(value)
            case "put":
                draft = draft.put(place, value)
            case "lock":
                draft = draft.with_lock([place])
            case "clear":
                draft = draft.cleared([place])
            case _:
                draft = draft.with_settings(**{deed: value})
        form = draft.form
        assert len(draft.rows) == form.line_count
        assert {len(row) for row in draft.rows} == {form.line_length}
        assert all(0 <= line < form.line_count for line, _ in draft.locked)
        assert all(draft.character(place) != FREE for place in draft.locked)
        judge_draft(draft)
        assert Draft.from_json(draft.to_json()) == draft


def test_a_damaged_draft_on_disk_is_a_clear_error() -> None:
    for damage in ({}, {**Draft().to_json(), "locked": 3}, {**Draft().to_json(), "settings": None}):
        with pytest.raises(PoetgenError, match="damaged"):
            Draft.from_json(damage)


def test_settings_that_are_strange_are_the_defaults() -> None:
    assert Settings.from_json({"form": 3, "temperature": "hot", "at": 2, "seed": -1}) == Settings(
        at="2"
    )
    assert Settings.from_json({"temperature": 1, "seed": 5, "new": 1}).temperature == 1.0


def test_the_judge_speaks_of_own_changes_and_is_silent_about_free_places() -> None:
    assert judge_draft(Draft()).summary == "nothing is written yet"
    assert "no fault so far" in judge_draft(Draft(heads="春夏秋冬")).summary
    judgement = judge_draft(written().put((3, 6), "岸"))
    assert judgement.faults >= {(3, 6)}
    remark = next(r for r in judgement.remarks if r.place == (3, 6))
    assert "出韵" in remark.text or "平仄" in remark.text
    assert " - " in remark.text  # And in plain words.


def test_undo_and_redo_go_back_through_everything() -> None:
    session = Session()
    states = [session.state]
    session.change(session.draft.with_heads("春"), "heads")
    states.append(session.state)
    session.add([Draft(heads="秋")], "new")
    states.append(session.state)
    session.close()
    states.append(session.state)
    for i in range(50):
        session.change(session.draft.with_heads("春夏秋冬"[: i % 4 + 1]), "heads")
        if session.state is not states[-1]:
            states.append(session.state)
    for state in states[-2::-1]:
        assert session.undo() is not None
        assert session.state == state
    assert session.undo() is None
    for state in states[1:]:
        assert session.redo() is not None
        assert session.state == state
    assert session.redo() is None


def test_letters_of_a_word_are_one_step_of_undo() -> None:
    session = Session()
    for end in range(1, 5):
        session.change(session.draft.with_heads("春夏秋冬"[:end]), "heads", "heads")
    assert session.steps == (1, 0)
    session.undo()
    assert session.draft.heads == ""
    session.redo()
    assert session.draft.heads == "春夏秋冬"


def test_closing_the_last_draft_leaves_a_new_one_with_its_settings() -> None:
    session = Session([Draft(heads="春", settings=Settings(form="五律"))])
    session.close()
    assert session.draft.is_empty
    assert session.draft.settings.form == "五律"


@pytest.mark.parametrize("options", [{}, {"top_k": 3, "particles": 2, "decoding": "plain"}])
@pytest.mark.parametrize("begun", [False, True])
def test_a_poem_kept_by_the_command_line_is_drawn_again_as_it_was(
    options: dict[str, Any], begun: bool
) -> None:
    poet = fake_poet()
    request = continuation_request("春风日夜归江水，天", "七绝") if begun else None
    request = request or acrostic_request("春夏秋冬", at="2", rhyme_book="新韵")
    chosen = SamplingOptions(**options)
    poem = poet.write([request], [5], chosen, rank=False)[0]
    assert isinstance(poem, WrittenPoem)
    entry = BookEntry.of(poem, settings_of(request, chosen, rank=False))
    draft = draft_of(entry)
    assert draft.rows == poem.lines
    drawing = Drawing(draft.id, draft.again(), draft.settings, entry.seed)
    *_, again = drawing.write(poet)
    assert isinstance(again, WrittenPoem)
    assert again.text == poem.text
