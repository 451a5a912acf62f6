"""Exposure bias: a network with none, one with much, and the command."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from poetgen.checkpoint import Checkpoint
from poetgen.cli.lab.exposure import exposure as command
from poetgen.dataset.encoded import EncodedCorpus
from poetgen.dataset.vocabulary import BOS, EOS, PAD, UNK
from poetgen.errors import TrainingError
from poetgen.lab import exposure
from poetgen.lab.exposure import SHARES, Settings, measure
from poetgen.models.config import ModelConfig
from poetgen.models.network import build_network, from_checkpoint, to_arrays
from tests.conftest import RunCli
from tests.training.grammar import encoded

SMALL = Settings(prefixes=(1, 4), continuation=5, poems=10)


@pytest.fixture
def corpus(poetgen_home: Path) -> EncodedCorpus:
    return encoded(poems=400)


def checkpoint(corpus: EncodedCorpus, seed: int = 1, **shape: Any) -> Checkpoint:
    shape = {"embedding_size": 8, "hidden_size": 16, **shape}
    config = ModelConfig(vocabulary_size=len(corpus.vocabulary), **shape)
    model = build_network(config)
    model.initialise(corpus.token_counts(), seed)
    with torch.no_grad():
        model.embedding.weight.mul_(20)
    return Checkpoint(
        folder=Path(),
        name=f"model-{seed}",
        model=config,
        tokenizer="char",
        script="simplified",
        vocabulary=corpus.vocabulary,
        arrays=to_arrays(model),
        figures={},
        config={},
    )


class Table(nn.Module):
    """A network whose next token depends on the last one alone: (V, V) log probabilities."""

    def __init__(self, config: ModelConfig, table: Tensor) -> None:
        super().__init__()
        self.config = config
        self.table = table

    def hidden(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        return ids.unsqueeze(2).float(), state

    def logits(self, hidden: Tensor) -> Tensor:
        return self.table[hidden.squeeze(-1).long()]


@pytest.mark.parametrize("confused", [False, True])
def test_a_bias_that_is_made_is_found_and_none_where_there_is_none(
    confused: bool, corpus: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network writes one character over and over. The judge expects it after any other, and,
    where it is `confused`, does not after itself."""
    V, stuck = len(corpus.vocabulary), corpus.vocabulary.id_of("春")
    wrote = torch.full((V, V), -20.0)
    wrote[:, stuck] = 0.0
    thinks = torch.zeros(V, V)
    thinks[:, stuck] = 6.0
    if confused:
        thinks[stuck, stuck] = 0.0
    one, two = checkpoint(corpus, 1), checkpoint(corpus, 2)
    tables = {"model-1": wrote, "model-2": thinks}
    monkeypatch.setattr(
        exposure, "from_checkpoint", lambda c, device: Table(c.model, tables[c.name])
    )
    settings = dataclasses.replace(SMALL, continuation=1, poems=40)
    found = measure(one, two, corpus.split("test"), settings)
    cheap, dear = (-thinks[row].log_softmax(0)[stuck].item() for row in (UNK, stuck))
    own = found.continued[0].own
    assert own.nats == own.low == own.high == pytest.approx(dear, rel=1e-5)
    gap = found.continued[0].gap
    if confused:
        assert dear > cheap + 2
        assert gap.low > 0.5  # Some true beginnings end with it too.
    else:
        assert gap.nats == pytest.approx(0.0, abs=1e-6)


def test_figures_are_those_of_the_definition(corpus: EncodedCorpus) -> None:
    """At p = 1 the ordinary nats per character; at p = 0 nothing of the poem is read."""
    from poetgen.training.evaluation import perplexity
    from poetgen.training.selection import select_poems

    model = checkpoint(corpus)
    test = corpus.split("test")
    found = measure(model, model, test, SMALL)
    assert [each.forced for each in found.fed_back] == list(SHARES)
    assert found.poems == 10
    network = from_checkpoint(model)
    first = perplexity(network, select_poems(test, limit=10), context="given")
    assert first.unknown_characters == 0
    cost = found.fed_back[0].cost
    assert cost.nats == pytest.approx(first.nats_per_character, rel=1e-6)
    assert all(each.cost.low <= each.cost.nats <= each.cost.high for each in found.fed_back)
    assert found.fed_back[-1].cost.nats != cost.nats
    for row in found.continued:
        assert row.gap.nats == pytest.approx(row.own.nats - row.true.nats)
        assert row.gap.low < row.gap.nats < row.gap.high


def test_the_same_seed_measures_the_same_and_another_does_not(corpus: EncodedCorpus) -> None:
    model, test = checkpoint(corpus), corpus.split("test")
    one = measure(model, model, test, SMALL)
    assert measure(model, model, test, SMALL) == one
    other = measure(model, model, test, dataclasses.replace(SMALL, seed=5))
    assert other.continued != one.continued


@pytest.mark.parametrize(
    "shape", [{"stop": "bernoulli"}, {"stop": "length"}, {"condition": "both"}]
)
def test_networks_of_every_kind_are_measured(shape: dict[str, Any], corpus: EncodedCorpus) -> None:
    plain, model = checkpoint(corpus, 2), checkpoint(corpus, **shape)
    found = measure(model, plain, corpus.split("test"), SMALL)
    assert all(0 < row.own.nats < 100 for row in found.continued)
    assert all(0 < each.cost.nats < 100 for each in found.fed_back)
    if shape.get("stop") == "length":
        with pytest.raises(TrainingError, match="--judge model-1 must be told"):
            measure(plain, model, corpus.split("test"), SMALL)


def test_what_is_written_holds_no_special_and_ends_once(corpus: EncodedCorpus) -> None:
    network = from_checkpoint(checkpoint(corpus))
    with torch.no_grad():
        network.output.bias[[PAD, BOS, UNK]] = 30.0
        network.output.bias[EOS] = 3.0
    writer = exposure._Writer(network, np.random.default_rng(0))
    told, start = torch.zeros(200, 0, dtype=torch.int64), torch.full((200, 1), BOS)
    with torch.inference_mode():
        endless = writer.go_on(told, start, 9, ends=False)
        assert not torch.isin(endless[:, 1:], torch.tensor([PAD, BOS, EOS, UNK])).any()
        texts = writer.go_on(told, start, 9, ends=True)[:, 1:].tolist()
    assert {tuple(endless.shape)} == {(200, 10)}
    assert any(EOS in text for text in texts)
    for text in texts:
        end = text.index(EOS) if EOS in text else len(text)
        assert not {PAD, BOS, UNK} & set(text[:end])
        assert set(text[end + 1 :]) <= {PAD}


def test_a_judge_of_another_vocabulary_is_refused(corpus: EncodedCorpus) -> None:
    other = dataclasses.replace(
        checkpoint(corpus, 2), vocabulary=type(corpus.vocabulary)(corpus.vocabulary.tokens[:-1])
    )
    with pytest.raises(TrainingError, match="--judge model-2 has another vocabulary"):
        measure(checkpoint(corpus), other, corpus.split("test"), SMALL)
    long = Settings(prefixes=(500,))
    model = checkpoint(corpus)
    with pytest.raises(TrainingError, match="no held-out poem has 501 tokens"):
        measure(model, model, corpus.split("test"), long)


def test_the_command_measures_a_trained_model(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = ("--preset", "tiny", "--hidden-size", "8", "--embedding-size", "8", "-q")
    forcing = ("--teacher-forcing", "linear", "--teacher-forcing-end", "0.2")
    trained = run_cli("train", *tiny, *forcing, "--steps", "2", "--output", "run", timeout=110)
    assert trained.returncode == 0, trained.stderr
    # In this process: a new one spends seconds on importing torch.
    monkeypatch.chdir(tmp_path)
    wishes = ["run", "--prefixes", "2,4", "--poems", "10", "--device", "cpu"]
    result = CliRunner().invoke(command, [*wishes, "-o", "bias.svg"])
    assert result.exit_code == 0, result.output
    for word in ("2 tokens", "4 tokens", "after own", "100%", "0%", "bias.svg"):
        assert word in result.output
    assert "its own beginnings" in (tmp_path / "bias.svg").read_text(encoding="utf-8")
    record = json.loads(CliRunner().invoke(command, [*wishes, "--json"]).stdout)
    assert [row["prefix"] for row in record["continued"]] == [2, 4]
    assert record["judge"] == "run"


@pytest.mark.parametrize("wrong", ["two", "0,4", ""])
def test_a_wrong_length_of_a_beginning_names_its_flag(wrong: str) -> None:
    result = CliRunner().invoke(command, ["run", "--prefixes", wrong])
    assert result.exit_code == 1
    assert "--prefixes" in str(result.exception)
