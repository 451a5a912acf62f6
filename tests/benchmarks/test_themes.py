import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import themes
from benchmarks.themes import judge_of, main, neighbours_of, ratio_of, shares
from poetgen.corpus.store import open_corpus
from tests.shipping.test_measuring import write_corpus, write_model


def test_the_list_has_forty_different_themes_that_a_model_can_be_told() -> None:
    from poetgen.writing.theme import theme_characters

    assert len(set(themes.THEMES)) == len(themes.THEMES) == 40
    assert [theme_characters(theme) for theme in themes.THEMES] == list(themes.THEMES)


def test_neighbours_are_what_stands_with_a_theme_and_seldom_elsewhere() -> None:
    texts = ["秋思月霜的"] * 40 + ["春风月花的"] * 60
    near = neighbours_of(["秋思", "春风"], texts)
    assert near == {"秋思": frozenset("月霜的"), "春风": frozenset("月花的")}
    ranked = neighbours_of(["秋思"], [*texts, "霜" * 5] * 5 + ["秋思" + c for c in "天地人和"])
    assert "天" not in ranked["秋思"]  # Once in 204 poems is not to be seen in a few.


def test_a_rare_word_is_looked_for_by_its_characters() -> None:
    texts = ["思秋月霜的"] * 40 + ["秋思"] * 3
    assert neighbours_of(["秋思"], texts)["秋思"] == frozenset("月霜的")


def test_shares_count_poems_and_characters() -> None:
    assert shares(["秋月春花", "一二三四"], "秋思", frozenset("月花")) == (0.5, 1 / 8, 2 / 8)


def test_a_ratio_has_an_interval_that_holds_it_and_shrinks_with_more_themes() -> None:
    draw = np.random.default_rng(0)
    told, untold = draw.uniform(0.2, 0.4, 400), draw.uniform(0.1, 0.2, 400)
    few, many = ratio_of(told[:20], untold[:20], 0), ratio_of(told, untold, 0)
    for ratio in (few, many):
        assert ratio.low < ratio.ratio < ratio.high
        assert ratio.low < 2 < ratio.high
    assert many.high - many.low < few.high - few.low
    assert ratio_of(told, told, 0).ratio == 1


def test_the_judge_goes_by_what_each_dynasty_says_however_many_poems_it_has() -> None:
    judge = judge_of(["月月月花"] * 3 + ["茶茶茶花"] * 30, ["唐"] * 3 + ["宋"] * 30)
    assert judge("月花")
    assert not judge("茶花")
    assert not judge("茶月茶")


def test_a_whole_run_says_what_was_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_model(tmp_path / "model", open_corpus(write_corpus(tmp_path)))
    out = tmp_path / "figures.json"
    arguments = ["--themes", "春风,秋月", "--poems", "3", "--form", "五绝", "--json", str(out)]
    main([str(model.folder), *arguments])
    record = json.loads(out.read_text(encoding="utf-8"))
    assert set(record["by_theme"]) == {"春风", "秋月"}
    assert [len(each["poems"]) for each in record["by_theme"].values()] == [3, 3]
    assert set(record["judged_tang"]) == {"nothing", "唐", "宋"}
    assert record["poems_with_theme"]["untold"] > 0
    assert "poems with a character" in capsys.readouterr().out
