"""A checkpoint with random weights: what it writes is nonsense, but in the form asked for."""

from pathlib import Path

import numpy as np

from poetgen.checkpoint import save_weights, write_description
from poetgen.dataset.vocabulary import SPECIALS, Vocabulary
from poetgen.models.config import ModelConfig

CHARACTERS = (
    "春夏秋冬风花雪月山水云天日夜江河湖海松竹梅兰来去归行人心思梦长短高低白青红绿金玉"
    "光香霜阳凉黄乡前边烟泉船不有一路客石流楼舟愁"
)
"""Enough to write an octave by the rules: 阳 and 先 have all the feet of one."""


def write_random_model(
    folder: Path,
    cell: str = "lstm",
    seed: int = 0,
    corpus: str = "none",
    architecture: str = "lm",
) -> Path:
    """Write a small model that knows `CHARACTERS` and the marks of verse."""
    vocabulary = Vocabulary((*SPECIALS, *"，。！？；：、", *CHARACTERS))
    config = ModelConfig(
        cell=cell,
        vocabulary_size=len(vocabulary),
        embedding_size=8,
        hidden_size=16,
        architecture=architecture,
        line_ends=() if architecture == "lm" else vocabulary.line_ends,
    )
    rng = np.random.default_rng(seed)
    arrays = {
        name: rng.normal(0, 0.5, shape).astype(np.float32)
        for name, shape in config.parameter_shapes().items()
    }
    write_description(
        folder,
        model=config,
        tokenizer="char",
        script="simplified",
        vocabulary=vocabulary,
        corpus={"name": corpus, "content_hash": "", "licence": "CC0", "poems": 0},
        training={},
    )
    save_weights(folder, arrays, {})
    return folder
