import math
from pathlib import Path

import numpy as np
import pytest

from poetgen.checkpoint import Checkpoint, load_checkpoint, save_weights, write_description
from poetgen.corpus.store import Corpus, open_corpus
from poetgen.dataset.encoded import encode_corpus
from poetgen.errors import CorpusError
from poetgen.models.config import ModelConfig
from poetgen.shipping.measuring import corpus_of, cost_of_storage, held_out, read, training_texts


def write_corpus(folder: Path, poems: int = 400) -> Path:
    """Nonsense in fours and twos of lines, of two dynasties and of none."""
    draw = np.random.default_rng(0)
    rows = ["text,dynasty"]
    for i in range(poems):
        lines = [
            "".join(draw.choice(list("春夏秋冬风花雪月山水云天"), 5)) for _ in range(4 + i % 2 * 4)
        ]
        text = "".join(line + "，。"[n % 2] for n, line in enumerate(lines))
        rows.append(f"{text},{('唐', '宋', '宋', '')[i % 4]}")
    path = folder / "poems.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return open_corpus(write_corpus(tmp_path))


@pytest.fixture
def model(tmp_path: Path, corpus: Corpus) -> Checkpoint:
    return write_model(tmp_path / "model", corpus)


def write_model(folder: Path, corpus: Corpus, forms: tuple[str, ...] = ()) -> Checkpoint:
    """A model of a corpus, with random weights."""
    vocabulary = encode_corpus(corpus).vocabulary
    config = ModelConfig("gru", len(vocabulary), embedding_size=4, hidden_size=6)
    info = corpus.info
    write_description(
        folder,
        model=config,
        tokenizer="char",
        script="simplified",
        vocabulary=vocabulary,
        corpus={
            "name": str(folder.parent / "poems.csv"),
            "content_hash": info.content_hash,
            "licence": "CC0",
            "poems": info.poems,
        },
        training={"steps": 5, "forms": list(forms)},
    )
    draw = np.random.default_rng(1)
    arrays = {
        name: draw.normal(0, 0.5, shape).astype(np.float32)
        for name, shape in config.parameter_shapes().items()
    }
    save_weights(folder, arrays, {})
    return load_checkpoint(folder)


def test_forms_and_dynasties_add_up_to_the_whole(model: Checkpoint, corpus: Corpus) -> None:
    reading = read(model, held_out(model, corpus))
    assert set(reading.by_form) == {"五绝", "五律"}
    assert set(reading.by_dynasty) == {"唐", "宋", "其他"}
    for tallies in (reading.by_form, reading.by_dynasty):
        assert sum(tally.poems for tally in tallies.values()) == reading.whole.poems > 0
        assert sum(t.characters for t in tallies.values()) == reading.whole.characters
        assert math.isclose(sum(t.nats for t in tallies.values()), reading.whole.nats)


def test_a_dynasty_is_measured_by_its_own_poems(model: Checkpoint, corpus: Corpus) -> None:
    poems = held_out(model, corpus)
    details = {poem.text: poem.dynasty for poem in corpus}
    assert poems.dynasties == tuple(
        details[model.vocabulary.decode(poems.split[i].tolist())] for i in range(len(poems.split))
    )


def test_only_the_forms_that_were_trained_on_are_read(tmp_path: Path, corpus: Corpus) -> None:
    model = write_model(tmp_path / "of-fours", corpus, ("五绝",))
    poems = held_out(model, corpus)
    assert set(read(model, poems).by_form) == {"五绝"}
    assert len(poems.dynasties) == len(poems.split)
    assert len(held_out(model, corpus, limit=3).dynasties) == 3
    texts = training_texts(model, corpus)
    assert {len(text) for text in texts} == {24}


def test_what_the_model_is_told_changes_what_it_costs(model: Checkpoint, corpus: Corpus) -> None:
    poems = held_out(model, corpus)
    assert poems.have_context
    untold, told = read(model, poems), read(model, poems, "given")
    assert untold.whole.characters == told.whole.characters
    assert untold.whole.nats != told.whole.nats


def test_training_poems_are_none_of_those_held_out(model: Checkpoint, corpus: Corpus) -> None:
    split = held_out(model, corpus).split
    tested = {model.vocabulary.decode(split[i].tolist()) for i in range(len(split))}
    trained = training_texts(model, corpus)
    assert len(trained) > 0.8 * len(corpus)
    assert not tested & set(trained)


def test_int8_costs_next_to_nothing(model: Checkpoint) -> None:
    cost = cost_of_storage(model, "int8", 10)
    assert cost["poems"] == 10
    assert 0 < abs(cost["perplexity_loss"]) < 0.01
    assert cost_of_storage(model, "float32", 10)["perplexity_loss"] == 0


def test_a_corpus_that_changed_or_went_is_not_measured_on(
    model: Checkpoint, tmp_path: Path
) -> None:
    write_corpus(tmp_path, 300)
    with pytest.raises(CorpusError, match="has changed since"):
        corpus_of(model)
    (tmp_path / "poems.csv").unlink()
    with pytest.raises(CorpusError, match="there is no corpus or file"):
        corpus_of(model)
