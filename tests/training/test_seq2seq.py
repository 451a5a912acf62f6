"""That the encoder-decoder learns what nobody can who does not look back.

A poem has two lines of five characters, no two of a line alike, drawn from sixteen; the second
line is the first. Whoever remembers the first line pays ln(16 15 14 13 12) = 13.2 nats for it and
nothing for the second: 1.32 nats a character. Who does not pays twice that, 2.63.
"""

import random
from pathlib import Path
from typing import Any

import torch

from poetgen.corpus.store import Details
from poetgen.dataset.encoded import EncodedCorpus, encode_corpus
from poetgen.dataset.vocabulary import BOS, SPECIALS, Vocabulary
from poetgen.models.config import ModelConfig
from poetgen.models.network import from_checkpoint
from poetgen.models.seq2seq import Seq2Seq
from poetgen.training.evaluation import perplexity
from poetgen.training.options import TrainingOptions
from poetgen.training.recipe import Recipe
from poetgen.training.trainer import Trainer
from tests.training.grammar import GrammarCorpus

CHARACTERS = "春夏秋冬风花雪月山水云天日夜江河"
BLIND = 2.63


class Echoes(GrammarCorpus):
    """Poems whose second line is their first."""

    def __init__(self, poems: int) -> None:
        super().__init__(poems)
        self.name = "echoes"
        self.content_hash = self.info.content_hash = f"echoes-{poems}"
        generator = random.Random(0)
        lines = ["".join(generator.sample(CHARACTERS, 5)) for _ in range(poems)]
        self._texts = [f"{line}，{line}。" for line in lines]

    def details(self) -> list[Details]:
        return [Details()] * len(self._texts)


def train(corpus: EncodedCorpus, folder: Path) -> Seq2Seq:
    config = ModelConfig(
        cell="gru",
        architecture="seq2seq",
        vocabulary_size=len(corpus.vocabulary),
        line_ends=corpus.vocabulary.line_ends,
        embedding_size=48,
        hidden_size=48,
    )
    options = TrainingOptions(
        steps=150, token_budget=416, learning_rate=0.02, device="cpu", threads=1, precision="fp32"
    )
    with Trainer(corpus, config, options, folder, source={"name": corpus.name}) as trainer:
        for _ in trainer.run():
            pass
    model = from_checkpoint(trainer.checkpoint())
    assert isinstance(model, Seq2Seq)
    return model


def test_a_recipe_says_where_lines_end_to_the_network_that_goes_by_it() -> None:
    vocabulary = Vocabulary((*SPECIALS, "。", "春", "，"))
    recipe = Recipe.of_flags("sample", "tiny", {"architecture": "seq2seq"})
    assert recipe.network(vocabulary).line_ends == (4, 6)
    assert Recipe.of_flags("sample", "tiny", {}).network(vocabulary).line_ends == ()


def test_it_repeats_a_line_by_looking_back_at_it(poetgen_home: Path, tmp_path: Path) -> None:
    corpus: Any = Echoes(1500)
    encoded = encode_corpus(corpus, tokenizer="char", min_count=1)
    model = train(encoded, tmp_path / "run")
    validation = encoded.split("validation")
    assert perplexity(model, validation).nats_per_character < 1.6

    # To write a character of the second line it looks at where that character stands in the first.
    poems = [validation.ids[a : a + 13] for a in validation.offsets[:-1].tolist()]
    ids = torch.tensor([[0, 0, 0, 0, 0, 0, *poem.tolist()] for poem in poems])
    assert (ids[:, 6] == BOS).all()
    weights, _ = model.look(ids)  # Read at 12 is the mark; the line stands at 7 to 11.
    looked = torch.stack([weights[:, 12 + i, 7 + i] for i in range(5)], dim=1)
    assert looked.mean() > 0.6

    # And without what it finds there, it is as bad as if it had no source.
    with torch.no_grad():
        model.combination.weight[:, 48:] = 0
    assert perplexity(model, validation).nats_per_character > 0.8 * BLIND
