"""Layers between the state and the scores."""

import torch

from poetgen.models.config import ModelConfig
from poetgen.models.deep_output import DeepOutput
from poetgen.models.language_model import LanguageModel

SHAPE = {"vocabulary_size": 11, "embedding_size": 6, "hidden_size": 8}


def test_a_depth_of_three_is_two_rectified_layers() -> None:
    torch.manual_seed(0)
    deep = DeepOutput(ModelConfig(**SHAPE, output_depth=3))  # type: ignore[arg-type]
    hidden = torch.randn(2, 5, 8)
    first, second = deep
    expected = torch.relu(second(torch.relu(first(hidden))))
    assert torch.equal(deep(hidden), expected)
    assert len(deep) == 2


def test_a_depth_of_one_is_the_plain_output() -> None:
    model = LanguageModel(ModelConfig(**SHAPE))  # type: ignore[arg-type]
    assert model.deep_output is None
    assert model.config.is_plain


def test_the_layers_are_between_what_is_read_and_what_is_scored() -> None:
    config = ModelConfig(**SHAPE, output_depth=2)  # type: ignore[arg-type]
    model = LanguageModel(config)
    model.initialise(seed=1)
    ids = torch.tensor([[1, 4, 5]])
    hidden, _ = model.eval().hidden(ids)
    assert model.deep_output is not None
    expected = model.output(model.projection(model.deep_output(hidden)), model.embedding.weight)  # type: ignore[misc]
    assert torch.equal(model(ids)[0], expected)
    assert not config.is_plain
