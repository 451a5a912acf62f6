"""The cells past the textbooks and what is built around cells: that training makes use of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poetgen.checkpoint import load_checkpoint
from poetgen.dataset.encoded import EncodedCorpus
from poetgen.training.progress import TrainingProgress
from tests.training.grammar import WITH_MEMORY, WITHOUT_MEMORY, encoded
from tests.training.test_trainer import finish, losses, make

WITH_LAST_TOKEN = 2.131
"""Of the grammar, what the last token alone leaves open, in nats a token: after a mark ln 8, after
the second mark nothing, after a character the mark that comes every seventh time, or ln 8."""

RUN: dict[str, Any] = {
    "steps": 200,
    "token_budget": 512,
    "patience": 0,
    "validate_every": 200,
}

WITHOUT_ANY = 2.372
"""What the tokens' frequencies leave open."""


@pytest.fixture
def corpus(poetgen_home: Path) -> EncodedCorpus:
    return encoded(poems=2000)


def end_of(records: list[TrainingProgress]) -> float:
    return float(np.mean([record.loss for record in records[-20:]]))


@pytest.mark.parametrize(
    ("cell", "shape", "rate"),
    [
        # In a single layer a state is a running mean: it learns less, and more slowly.
        ("mingru", {"num_layers": 2}, 0.02),
        ("minlstm", {"num_layers": 2}, 0.02),
        ("mingru", {"num_layers": 3, "residual": True}, 0.02),
        ("gru", {"transition_depth": 2}, 0.02),
    ],
)
def test_a_network_learns_what_only_a_memory_can(
    cell: str, shape: dict[str, Any], rate: float, corpus: EncodedCorpus, tmp_path: Path
) -> None:
    records = finish(
        make(corpus, tmp_path / "run", cell=cell, shape=shape, learning_rate=rate, **RUN)
    )
    assert WITH_MEMORY - 0.05 < end_of(records) < WITHOUT_MEMORY - 0.3


def test_an_irnn_trains_without_blowing_up(corpus: EncodedCorpus, tmp_path: Path) -> None:
    shape = {"nonlinearity": "relu", "recurrent_init": "identity"}
    records = finish(make(corpus, tmp_path / "run", cell="rnn", shape=shape, **RUN))
    # It keeps its whole state at the start, and so its gradients; clipping holds them.
    assert max(record.gradient_norm for record in records[:10]) < 50
    assert end_of(records) < WITHOUT_MEMORY + 0.05 < WITH_LAST_TOKEN


def test_the_output_recurrent_network_learns_what_the_last_token_says_and_no_more(
    corpus: EncodedCorpus, tmp_path: Path
) -> None:
    records = finish(make(corpus, tmp_path / "run", cell="output", **RUN))
    assert WITH_LAST_TOKEN - 0.03 < end_of(records) < WITH_LAST_TOKEN + 0.06 < WITHOUT_ANY


@pytest.mark.parametrize(
    ("cell", "shape"),
    [
        ("mingru", {"num_layers": 2, "residual": True, "dropout": 0.3}),
        ("lstm", {"num_layers": 2, "residual": True, "dropout": 0.3, "weight_drop": 0.3}),
        ("gru", {"transition_depth": 2, "weight_drop": 0.3}),
    ],
)
def test_a_run_goes_on_bit_for_bit_and_its_checkpoint_keeps_the_shape(
    cell: str, shape: dict[str, Any], poetgen_home: Path, tmp_path: Path
) -> None:
    corpus = encoded(poems=200)
    whole: dict[str, Any] = {"cell": cell, "shape": shape, "steps": 16, "patience": 0}
    finish(make(corpus, tmp_path / "whole", **whole))
    with make(corpus, tmp_path / "parts", **whole) as trainer:
        for progress in trainer.run():
            if progress.step >= 7:
                trainer.stop()
    finish(make(corpus, tmp_path / "parts", resume=True, **whole))
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    one, two = (load_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    assert one.model.to_dict() | shape == one.model.to_dict()
    assert all(np.array_equal(one.arrays[name], two.arrays[name]) for name in one.arrays)
