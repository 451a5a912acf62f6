"""A training run that a test may kill."""

from pathlib import Path

from poetgen.models.config import ModelConfig
from poetgen.training.options import TrainingOptions
from poetgen.training.trainer import Trainer
from tests.training.grammar import encoded

STEPS = 40


def train(folder: Path, cell: str) -> None:
    """Train 40 steps in `folder`, from wherever its snapshots stand, saving at every step."""
    corpus = encoded(poems=60)
    trainer = Trainer(
        corpus,
        # Wide enough that a snapshot, of 4 MB, takes a while to write.
        ModelConfig(
            cell=cell,
            vocabulary_size=len(corpus.vocabulary),
            embedding_size=64,
            hidden_size=256,
            dropout=0.2,
        ),
        TrainingOptions(
            steps=STEPS,
            token_budget=64,
            validate_every=15,
            snapshot_every=1,
            patience=0,
            threads=1,
            device="cpu",
        ),
        folder,
        source={"name": "grammar", "content_hash": corpus.content_hash, "licence": "", "poems": 60},
        resume=True,
    )
    with trainer:
        for _ in trainer.run():
            pass
