import numpy as np
import pytest

from poetgen.corpus.store import Details
from poetgen.dataset.batches import Batches
from poetgen.dataset.context import (
    ALL_WITHHELD,
    CONTROLS,
    KEPT,
    WIDTH,
    context_ids,
    dynasty_named,
    withhold,
)
from poetgen.dataset.encoded import EncodedSplit, encode_with
from poetgen.dataset.vocabulary import PAD, SPECIALS, Vocabulary
from poetgen.errors import TemplateError

from .fakes import ListCorpus

VOCABULARY = Vocabulary((*SPECIALS, *CONTROLS, *"，。春江花月夜秋思"))
POEMS = [
    ("春江花月夜，春江花月夜。", "五绝", Details("秋思", "", "唐")),
    ("秋思秋思秋，花月花月花。", "七律", Details("花月夜  其二", "", "宋")),
    ("春江花月夜，秋江花月夜。", "词", Details("二首", "", "明")),
]


def _split(vocabulary: Vocabulary = VOCABULARY) -> EncodedSplit:
    texts, forms, details = zip(*POEMS, strict=True)
    corpus = ListCorpus(texts, forms, details=details)
    return encode_with(corpus, vocabulary, "char", "simplified")


def _shown(ids: np.ndarray) -> list[str]:
    return [VOCABULARY.tokens[i] for i in ids if i != PAD]


def test_a_poem_brings_its_form_its_dynasty_and_the_words_of_its_title() -> None:
    contexts = _split().contexts
    assert contexts is not None
    assert contexts.shape == (3, WIDTH)
    assert _shown(contexts[0]) == ["<form:wujue>", "<dynasty:tang>", "秋", "思"]
    assert _shown(contexts[1]) == ["<form:qilv>", "<dynasty:song>", "花", "月"]
    assert _shown(contexts[2]) == ["<form:ci>"]


def test_a_vocabulary_without_control_tokens_has_no_contexts() -> None:
    bare = Vocabulary((*SPECIALS, *"，。春江花月夜秋思"))
    assert _split(bare).contexts is None
    assert context_ids(bare, "七绝", "唐", "秋思") == ()
    (batch,) = Batches(_split(bare), 100, 0, context="given").epoch(0)
    assert batch.context.shape == (3, 0)


def test_what_is_not_said_is_padding_of_the_same_width() -> None:
    assert context_ids(VOCABULARY) == (PAD,) * WIDTH
    told = context_ids(VOCABULARY, "自由", "", "秋思春江花月")
    assert len(told) == WIDTH
    assert _shown(np.array(told)) == ["秋", "思", "春", "江"]


def test_control_tokens_are_no_text() -> None:
    assert VOCABULARY.decode(range(len(VOCABULARY))) == "，。春江花月夜秋思"


@pytest.mark.parametrize(("context", "told"), [("none", 0), ("given", 8)])
def test_a_batch_has_the_contexts_beside_the_poems(context: str, told: int) -> None:
    (batch,) = Batches(_split(), 100, 0, shuffle=False, context=context).epoch(0)  # type: ignore[arg-type]
    assert batch.context.shape == (3, WIDTH)
    assert np.count_nonzero(batch.context != PAD) == told + (context == "given")


def test_each_part_is_told_as_often_as_it_is_to_be_and_as_a_whole() -> None:
    # Within five standard deviations of 20,000 draws: a false alarm in two million runs.
    told = withhold(np.zeros((20_000, WIDTH), np.uint16), np.random.default_rng(0))
    expected = np.array(KEPT) * (1 - ALL_WITHHELD)
    np.testing.assert_allclose(told.mean(axis=0)[[0, 1, 2]], expected, atol=5 * 0.5 / 141)
    assert (told[:, 2:] == told[:, 2:3]).all()
    nothing = ALL_WITHHELD + (1 - ALL_WITHHELD) * np.prod(1 - np.array(KEPT))
    assert abs((~told.any(axis=1)).mean() - nothing) < 5 * 0.5 / 141


def test_what_is_told_differs_from_epoch_to_epoch_and_is_the_same_when_done_again() -> None:
    split = _split()
    batches = Batches(split, 100, 7, shuffle=False, context="drawn")
    epochs = [next(batches.epoch(i)).context.tolist() for i in range(30)]
    assert epochs == [next(batches.epoch(i)).context.tolist() for i in range(30)]
    assert len({str(epoch) for epoch in epochs}) > 5


def test_a_style_is_a_dynasty_by_any_of_its_names() -> None:
    assert dynasty_named(" Tang ") == dynasty_named("唐") == "唐"
    with pytest.raises(TemplateError, match="--style is '清'"):
        dynasty_named("清")
