import pytest

from poetgen.shipping.memorisation import Borrowed, borrowed

TRAINING = ["春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。", "朝辞白帝彩云间，千里江陵一日还。"]


def of(*poems: str) -> Borrowed:
    (found,) = borrowed([poems], TRAINING)
    return found


def test_a_line_is_borrowed_whole_or_not_at_all() -> None:
    found = of("处处闻啼鸟，天天闻啼鸟。")
    assert (found.lines, found.borrowed_lines) == (2, 1)
    assert (found.runs, found.borrowed_runs) == (2, 1)
    assert found.line_share == found.run_share == 0.5


def test_a_part_of_a_line_is_a_borrowed_run_and_no_borrowed_line() -> None:
    found = of("暮辞白帝彩云间。")
    assert (found.lines, found.borrowed_lines) == (1, 0)
    assert (found.runs, found.borrowed_runs) == (3, 2)


def test_no_run_goes_on_from_a_line_to_the_next_or_from_a_poem_to_the_next() -> None:
    assert of("觉晓处处闻。").borrowed_runs == 0
    assert of("多少朝辞白。").borrowed_runs == 0
    assert of("春眠不，觉晓。").runs == 0


def test_lines_too_short_to_tell_anything_do_not_count() -> None:
    assert of("花落。").lines == 0
    assert (of().line_share, of().run_share) == (0.0, 0.0)


def test_groups_are_measured_each_by_itself() -> None:
    mine, theirs = borrowed([["春花秋月夜。"], ["花落知多少。"] * 3], TRAINING)
    assert (mine.poems, mine.borrowed_lines) == (1, 0)
    assert (theirs.poems, theirs.borrowed_lines, theirs.borrowed_runs) == (3, 3, 3)


def test_poems_far_into_the_training_text_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poetgen.shipping.memorisation._BLOCK", 1)
    assert of("千里江陵一日还。").borrowed_lines == 1
