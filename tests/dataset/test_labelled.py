"""Poems with a class: balanced, cut, and with nothing left that gives the class away."""

from collections.abc import Mapping

import numpy as np
import pytest

from poetgen.corpus.store import Details
from poetgen.dataset.encoded import EncodedCorpus, encode_corpus
from poetgen.dataset.labelled import (
    TARGETS,
    LabelledPoems,
    labelled_parts,
    read_ids,
    target_in,
    target_named,
)
from poetgen.dataset.splits import PARTS
from poetgen.dataset.vocabulary import BOS, UNK
from poetgen.errors import CorpusError, TrainingError
from poetgen.verse.forms import FORMS
from tests.dataset.fakes import ListCorpus

_CHARACTERS = "春夏秋冬风花雪月江山明日白云青天不见故人来去何时归一二三十百千万里"

# Tang has more of the poems of five, Song of those of seven, and most of all.
COUNTS = {"唐": (60, 20, 50, 20), "宋": (40, 90, 60, 80)}


def make_corpus(counts: Mapping[str, tuple[int, ...]] = COUNTS, free: int = 40) -> EncodedCorpus:
    draw = np.random.default_rng(0)
    texts, forms, details = [], [], []
    for dynasty, of_form in counts.items():
        for form, count in zip(FORMS, of_form, strict=True):
            for _ in range(count):
                lines = draw.choice(list(_CHARACTERS), (form.line_count, form.line_length))
                texts.append("".join("".join(line) + "，" for line in lines))
                forms.append(form.name)
                details.append(Details(dynasty=dynasty))
    for _ in range(free):
        texts.append("".join(draw.choice(list(_CHARACTERS), 9)) + "。")
        forms.append("其他")
        details.append(Details(dynasty="唐"))
    corpus = ListCorpus(texts, forms, details=details)
    return encode_corpus(corpus, min_count=1, split=(60, 20, 20))


CORPUS_FORMS = {name: i for i, name in enumerate(form.name for form in FORMS)}


def forms_of(labelled: LabelledPoems) -> np.ndarray:
    names = [
        CORPUS_FORMS[name] for name in np.array(labelled.poems.form_names)[labelled.poems.forms]
    ]
    return np.array(names)


def test_of_each_form_there_are_as_many_tang_poems_as_song_poems() -> None:
    parts = labelled_parts(make_corpus(), TARGETS["dynasty"])
    assert set(parts) == set(PARTS)
    for labelled in parts.values():
        forms = forms_of(labelled)
        counts = np.zeros((len(FORMS), 2), int)
        np.add.at(counts, (forms, labelled.labels), 1)
        assert (counts[:, 0] == counts[:, 1]).all()
    # 40 of 五绝, 20 of 七绝, 50 of 五律, 20 of 七律, and as many again; chance decides the parts.
    assert 180 < sum(map(len, parts.values())) <= 260


def test_a_dynasty_is_told_from_the_characters_of_four_lines() -> None:
    corpus = make_corpus()
    for part, labelled in labelled_parts(corpus, TARGETS["dynasty"]).items():
        texts = {
            corpus.vocabulary.decode(corpus.split(part)[i].tolist()).replace("，", ""): i
            for i in range(len(corpus.split(part)))
        }
        for i in range(len(labelled)):
            ids = labelled.poems[i].tolist()
            read = corpus.vocabulary.decode(ids)
            form = FORMS[forms_of(labelled)[i]]
            assert ids[0] == BOS
            assert len(read) == len(ids) - 1 == 4 * form.line_length
            assert sum(text.startswith(read) for text in texts) == 1


def test_a_form_is_told_from_as_many_characters_whichever_it_is() -> None:
    corpus = make_corpus()
    for labelled in labelled_parts(corpus, TARGETS["form"]).values():
        assert set(np.diff(labelled.poems.offsets).tolist()) == {21}
        assert (labelled.labels == forms_of(labelled)).all()
        assert len(set(np.bincount(labelled.labels, minlength=4).tolist())) == 1
        assert "，" not in corpus.vocabulary.decode(labelled.poems.ids.tolist())


def test_every_time_it_is_the_same_poems() -> None:
    first, second = (labelled_parts(make_corpus(), TARGETS["dynasty"]) for _ in range(2))
    for part in PARTS:
        assert np.array_equal(first[part].poems.ids, second[part].poems.ids)


def test_an_unknown_character_is_read_as_one() -> None:
    corpus = make_corpus()
    text = "春夏秋冬风，龘花雪月江。"
    read, ids = read_ids(TARGETS["dynasty"], corpus.vocabulary, text)
    assert read == "春夏秋冬风龘花雪月江"
    assert [i for i, each in enumerate(ids) if each == UNK] == [5]


def test_a_text_that_is_asked_about_is_cut_like_those_of_training() -> None:
    corpus = make_corpus()
    text = "\n".join(_CHARACTERS[i : i + 7] for i in range(5))
    assert read_ids(TARGETS["dynasty"], corpus.vocabulary, text)[0] == text.replace("\n", "")[:28]
    assert read_ids(TARGETS["form"], corpus.vocabulary, text)[0] == text.replace("\n", "")[:20]
    with pytest.raises(TrainingError, match="'abc'"):
        read_ids(TARGETS["form"], corpus.vocabulary, "abc")


def test_classes_that_a_corpus_lacks_are_left_out() -> None:
    corpus = make_corpus({"唐": (60, 60, 0, 0), "宋": (0, 0, 0, 0)})
    target = target_in(corpus, TARGETS["form"])
    assert target.classes == ("五绝", "七绝")
    parts = labelled_parts(corpus, target)
    assert set(parts["train"].labels.tolist()) == {0, 1}


def test_one_class_is_nothing_to_tell_apart() -> None:
    corpus = make_corpus({"唐": (60, 60, 0, 0), "宋": (0, 0, 0, 0)})
    with pytest.raises(CorpusError, match=r"--target dynasty .* 唐"):
        target_in(corpus, TARGETS["dynasty"])
    with pytest.raises(TrainingError, match="--target is 'poet'"):
        target_named("poet")


def test_classes_that_are_never_alike_are_too_few() -> None:
    corpus = make_corpus({"唐": (80, 0, 0, 0), "宋": (0, 80, 0, 0)}, free=0)
    target = target_in(corpus, TARGETS["dynasty"])
    with pytest.raises(CorpusError, match="too few poems"):
        labelled_parts(corpus, target)
