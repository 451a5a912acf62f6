from typing import Any

import numpy as np
import pytest

from poetgen.dataset.context import CONTROLS, WIDTH, context_ids
from poetgen.dataset.vocabulary import BOS, Vocabulary
from poetgen.errors import TemplateError
from poetgen.writing.poet import Poet
from poetgen.writing.request import acrostic_request, continuation_request
from poetgen.writing.theme import theme_characters

from .fakes import CHARACTERS, MarkovModel, RandomTable

SIZE = len(CHARACTERS)
TOLD = Vocabulary((*CHARACTERS.tokens[:4], *CONTROLS, *CHARACTERS.tokens[4:]))


@pytest.mark.parametrize(
    ("text", "theme"),
    [
        ("秋思", "秋思"),
        ("  梅花 ", "梅花"),
        ("边塞，落日", "边塞落日"),
        ("我想念远方的朋友", "远方朋友"),
        ("秋天的傍晚在江边送别友人", "秋天傍晚"),
        ("下雪的時候想起故鄉", "故乡下雪"),
    ],
)
def test_a_theme_is_a_word_or_two_of_what_was_said(text: str, theme: str) -> None:
    assert sorted(theme_characters(text)) == sorted(theme)


@pytest.mark.parametrize("text", ["autumn", "", "！？", "的了吗呢吧"])
def test_what_holds_no_theme_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(TemplateError, match="--theme"):
        theme_characters(text)


def _poet(seed: int = 0) -> tuple[MarkovModel, Poet]:
    model = MarkovModel(len(TOLD), RandomTable(len(TOLD), seed), context=WIDTH)
    return model, Poet(model, TOLD, "fake")


def test_the_model_reads_form_style_and_theme_before_the_poem() -> None:
    model, poet = _poet()
    request = acrostic_request("天地人山", "五绝", theme="江山", style="tang", tones="off")
    fed: list[list[int]] = []
    step = model.step

    def recorded(ids: Any, state: Any) -> Any:
        fed.append(np.unique(ids).tolist())
        return step(ids, state)

    model.step = recorded  # type: ignore[method-assign]
    poet.write([request], [0])
    told = context_ids(TOLD, "五绝", "唐", "江山")
    assert [TOLD.tokens[i] for i in told[:2]] == ["<form:wujue>", "<dynasty:tang>"]
    assert fed[:7] == [[id] for id in (*told, BOS)]


def test_no_control_token_is_ever_written() -> None:
    poet = _poet(1)[1]
    for poem in poet.acrostic("天地人山", "五绝", n=5, seed=0, tones="off", theme="江"):
        assert "<" not in poem.text


def test_a_model_that_cannot_be_told_a_theme_says_so() -> None:
    poet = Poet(MarkovModel(SIZE, RandomTable(SIZE, 0)), CHARACTERS, "fake")
    with pytest.raises(TemplateError, match=r"--theme 江.*not trained"):
        poet.acrostic("天地人山", "五绝", theme="江")
    with pytest.raises(TemplateError, match=r"--style 宋.*not trained"):
        poet.acrostic("天地人山", "五绝", style="宋")


def test_a_continuation_takes_theme_and_style_too() -> None:
    request = continuation_request("白日依山尽", theme="秋思", style="song")
    assert (request.theme, request.style) == ("秋思", "宋")


def test_poems_with_different_themes_in_one_batch_are_those_written_alone() -> None:
    poet = _poet(2)[1]
    requests = [
        acrostic_request("天地人山", "五绝", theme=theme, tones="off")
        for theme in ("江", None, "江山", "天")
    ]
    together = poet.write(requests, range(4))
    assert together == [poet.write([r], [s])[0] for s, r in enumerate(requests)]
