"""The peers: the n-gram model is one, the networks are as large as promised, runs are kept."""

import json
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmarks.peers import __main__ as program
from benchmarks.peers import recipes
from benchmarks.peers.kneser_ney import KneserNey, discounts_of
from benchmarks.peers.networks import CommonLSTM, Transformer, TransformerShape
from poetgen.dataset.encoded import EncodedSplit
from poetgen.dataset.vocabulary import BOS, EOS, PAD, UNK, UNKNOWN_NATS
from poetgen.errors import TrainingError
from poetgen.models.config import ModelConfig
from poetgen.training.evaluation import perplexity
from poetgen.training.options import preset_named

A, B, C = 4, 5, 6
SIZE = 9
WRITTEN = [token for token in range(SIZE) if token not in (PAD, BOS)]


def text_of(poems: Sequence[Sequence[int]]) -> np.ndarray:
    return np.array([id for poem in poems for id in (BOS, *poem, EOS)], np.uint16)


def next_chances(model: KneserNey, poem: Sequence[int]) -> dict[int, float]:
    """How likely each token is after a poem's beginning."""
    rows = np.array([[BOS, *poem, token] for token in WRITTEN])
    nats = model.nats(rows.ravel()).reshape(rows.shape)[:, -1]
    return dict(zip(WRITTEN, np.exp(-nats).tolist(), strict=True))


def split_of(poems: Sequence[Sequence[int]], forms: Sequence[int]) -> EncodedSplit:
    ids = text_of(poems)
    return EncodedSplit(
        name="test",
        ids=ids,
        offsets=np.cumsum([0, *(len(poem) + 2 for poem in poems)]),
        characters=np.array([len(poem) for poem in poems], np.int32),
        forms=np.array(forms, np.int8),
        form_names=("五绝", "词", "七绝"),
        unknown=int((ids == UNK).sum()),
    )


POEMS = st.lists(st.lists(st.sampled_from([A, B, C, UNK]), max_size=12), min_size=1, max_size=40)


@given(POEMS, st.lists(st.sampled_from(WRITTEN[1:]), max_size=7), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_the_chances_after_any_context_are_positive_and_add_up_to_1(
    poems: list[list[int]], context: list[int], order: int
) -> None:
    chances = next_chances(KneserNey(text_of(poems), SIZE, order), context)
    assert sum(chances.values()) == pytest.approx(1.0, abs=1e-9)
    assert min(chances.values()) > 0


def test_the_chances_add_up_where_the_discounts_come_from_the_text() -> None:
    generator = np.random.default_rng(0)
    poems = (generator.zipf(1.5, (400, 9)) % (SIZE - A) + A).tolist()
    model = KneserNey(text_of(poems), SIZE)
    for poem in poems[:20]:
        assert sum(next_chances(model, poem[:6]).values()) == pytest.approx(1.0, abs=1e-9)


def test_a_bigram_worked_by_hand() -> None:
    # Poems A B and A C and A B; too few for discounts of their own: 1/2, 1, 3/2.
    model = KneserNey(text_of([[A, B], [A, C], [A, B]]), SIZE, 2)
    # Single tokens count by what they follow: A follows BOS; B and C follow A; EOS follows B and C.
    # 5 in all; the discounts take 1/2 from A, B and C and 1 from EOS, shared by 7 tokens.
    uniform = Fraction(5, 2) / 5 / 7
    single = {t: Fraction(1, 2) / 5 + uniform for t in (A, B, C)} | {EOS: Fraction(1, 5) + uniform}
    # After A: B twice and C once, of 3; the discounts take 1 + 1/2.
    left = Fraction(3, 2) / 3
    expected = {t: left * single.get(t, uniform) for t in WRITTEN}
    expected[B] += Fraction(1, 3)
    expected[C] += Fraction(1, 2) / 3
    assert next_chances(model, [A]) == pytest.approx({t: float(p) for t, p in expected.items()})
    # After BOS: A three times of three; the discount takes 3/2.
    assert next_chances(model, [])[A] == pytest.approx(float(Fraction(1, 2) + single[A] / 2))


def test_the_discounts_are_chen_and_goodmans() -> None:
    counts = np.repeat([1, 2, 3, 4, 9], [40, 12, 6, 4, 5])
    y = 40 / (40 + 2 * 12)
    wanted = (1 - 2 * y * 12 / 40, 2 - 3 * y * 6 / 12, 3 - 4 * y * 4 / 6)
    assert discounts_of(counts) == pytest.approx(wanted)


def test_a_context_that_was_never_seen_backs_off_to_the_shorter_one() -> None:
    poems = [[A, B, C], [A, B, A], [C, B, C], [B, C, A]]
    longer, shorter = (KneserNey(text_of(poems), SIZE, order) for order in (3, 2))
    assert next_chances(longer, [UNK, B]) == pytest.approx(next_chances(longer, [A, A, UNK, B]))
    # Nothing follows UNK or is followed by it: what is left are single tokens.
    singles = next_chances(longer, [UNK])
    assert singles == pytest.approx(next_chances(shorter, [UNK]))
    assert singles[B] > singles[UNK] > 0
    assert next_chances(longer, [A, B])[C] != pytest.approx(next_chances(longer, [UNK, B])[C])


def test_tokens_that_are_never_written_take_no_share() -> None:
    text = text_of([[A, B]])
    less, more = KneserNey(text, SIZE), KneserNey(text, SIZE, impossible=(PAD, BOS, 7, 8))
    assert next_chances(more, [])[A] > next_chances(less, [])[A]


class AsNetwork(nn.Module):
    """An n-gram model as `perplexity` takes it."""

    def __init__(self, model: KneserNey) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, state: None = None) -> tuple[Tensor, None]:
        logits = torch.full((*ids.shape, SIZE), -torch.inf)
        for b, row in enumerate(ids.tolist()):
            for t in range(len(row)):
                chances = next_chances(self.model, row[1 : t + 1])
                logits[b, t, WRITTEN] = torch.tensor(list(chances.values())).log()
        return logits, None


def test_an_ngram_model_is_measured_as_networks_are() -> None:
    model = KneserNey(text_of([[A, B, C], [A, UNK, B, B], [C, A]]), SIZE)
    split = split_of([[A, B], [UNK, C, B], [A, A, UNK, UNK]], [0, 2, 0])
    wanted = perplexity(AsNetwork(model), split)
    found = recipes.tally_of(split, model.nats(split.ids))
    assert found.nats == pytest.approx(wanted.nats, rel=1e-6)
    assert (found.characters, found.tokens, found.poems) == (9, 12, 3)
    assert found.unknown_characters == 3
    assert found.nats > 3 * UNKNOWN_NATS
    assert list(found.by_form) == list(wanted.by_form) == ["五绝", "七绝"]
    for form, tally in found.by_form.items():
        assert tally.nats == pytest.approx(wanted.by_form[form].nats, rel=1e-6)
        assert tally.tokens == wanted.by_form[form].tokens
        assert tally.unknown_characters == wanted.by_form[form].unknown_characters


@pytest.mark.parametrize("preset", ["small", "base"])
def test_the_transformer_is_as_large_as_poetgens_network(preset: str) -> None:
    size = dict(preset_named(preset).model)
    wanted = ModelConfig(vocabulary_size=7000, **size).parameter_count()
    shape = TransformerShape.with_parameters(wanted, 7000, 66, size["embedding_size"])
    assert 0.99 * wanted <= shape.parameters <= wanted
    assert 3 * shape.width < shape.feedforward < 6 * shape.width


def test_a_shape_counts_the_parameters_that_its_network_has() -> None:
    shape = TransformerShape(SIZE, 12, 16, layers=2, heads=2, feedforward=24)
    assert recipes.count(Transformer(shape, torch.ones(SIZE))) == shape.parameters


def test_a_transformer_that_cannot_be_is_refused() -> None:
    with pytest.raises(TrainingError, match="too few"):
        TransformerShape.with_parameters(1_000_000, 7000, 66, 384)
    with pytest.raises(TrainingError, match="--width is 200"):
        TransformerShape.with_parameters(9_000_000, 7000, 66, 200)


def test_no_network_sees_what_it_is_to_predict() -> None:
    shape = TransformerShape(SIZE, 12, 16, layers=2, heads=2, feedforward=24)
    ids = torch.tensor([[BOS, A, B, C, A, B]])
    other = ids.clone()
    other[0, 4:] = C
    for model in (Transformer(shape, torch.ones(SIZE)), CommonLSTM(SIZE)):
        before, after = model(ids)[0], model(other)[0]
        assert torch.allclose(before[:, :4], after[:, :4], atol=1e-6)
        assert not torch.allclose(before[:, 4:], after[:, 4:], atol=1e-6)


def test_a_transformer_starts_from_the_frequencies() -> None:
    shape = TransformerShape(SIZE, 12, 16, layers=1, heads=1, feedforward=24)
    counts = torch.tensor([0, 0, 10, 0, 500, 300, 90, 90, 10])
    logits = Transformer(shape, counts)(torch.tensor([[BOS, A]]))[0][0, 1]
    frequencies = ((counts + 1) / (counts + 1).sum()).log()
    assert torch.allclose(logits.log_softmax(-1), frequencies, atol=0.5)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, poetgen_home: Path, tmp_path: Path) -> Any:
    """The program on the built-in poems, for seconds."""
    monkeypatch.setenv("POETGEN_HOME", str(poetgen_home))
    monkeypatch.setattr(recipes, "COMMON_BATCH", 2)
    monkeypatch.setattr(recipes, "TOKEN_BUDGET", 64)
    output = tmp_path / "peers.json"

    def run_program(*options: str) -> list[dict[str, Any]]:
        asked = "--corpus sample --preset tiny --minutes 0.002 --threads 1"
        program.main([*asked.split(), "--output", str(output), *options])
        records: list[dict[str, Any]] = json.loads(output.read_text(encoding="utf-8"))
        return records

    return run_program


def test_all_peers_stand_in_one_table_and_in_the_file(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    records = run()
    assert [record["name"] for record in records] == [
        "kneser-ney",
        "common",
        "transformer",
        "poetgen lstm",
    ]
    shown = capsys.readouterr().out
    for record in records:
        assert shown.count(record["name"]) == 2  # In all, and by form.
        assert record["perplexity"] == pytest.approx(math.exp(record["nats_per_character"]))
        assert 1 < record["perplexity"] < 1e6
        assert record["tokens_seen"] > 0
        assert set(record["by_form"]) <= {"五绝", "七绝", "五律", "七律"}
        assert f"--only {record['name'].split()[0]}" in record["command"]
    by_name = {record["name"]: record for record in records}
    ratio = by_name["transformer"]["parameters"] / by_name["poetgen lstm"]["parameters"]
    assert 0.97 < ratio <= 1.0


def test_a_run_goes_on_with_the_peers_that_the_file_lacks(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run("--only", "kneser-ney")

    def fail(*_: object) -> None:
        raise AssertionError("measured twice")

    monkeypatch.setitem(program.PEERS, "kneser-ney", fail)
    both = run("--only", "kneser-ney,common")
    assert both[:1] == first
    assert [record["name"] for record in both] == ["kneser-ney", "common"]
    # Another budget is another run, and the old one stays.
    assert len(run("--only", "common", "--minutes", "0.003")) == 3


def test_a_file_of_something_else_is_left_alone(run: Any, tmp_path: Path) -> None:
    output = tmp_path / "peers.json"
    output.write_text('{"some": "thing"}', encoding="utf-8")
    with pytest.raises(SystemExit, match=r"peers\.json does not hold"):
        run("--only", "kneser-ney")
    assert output.read_text(encoding="utf-8") == '{"some": "thing"}'
