"""Which tokens and which --min-count a language model of a corpus should have.

For each choice: the vocabulary's size, tokens a poem, hidden characters per million, and the nats
per Chinese character that an interpolated Kneser-Ney bigram over the tokens takes for the
validation poems (Chen & Goodman 1999), everything predicted counted as `poetgen evaluate` counts
it. A bigram is no LSTM, but it ranks the choices in a minute each, and all on one scale.

    python benchmarks/tokenizers.py --corpus chinese-poetry
"""

import argparse
import math

import numpy as np
import numpy.typing as npt

from poetgen.corpus.store import open_corpus
from poetgen.dataset.encoding import Table, count_unknown, numbering_of
from poetgen.dataset.splits import PARTS, assign_parts, hash_poems
from poetgen.dataset.tokenizers import CharTokenizer, WordTokenizer
from poetgen.dataset.vocabulary import BOS, PAD, Vocabulary

_DISCOUNT = 0.75
_HIDDEN = math.log(30_000)  # What the character that an <unk> hides costs, on top of the <unk>.


def bigram_nats(train: npt.NDArray[np.int64], test: npt.NDArray[np.int64], size: int) -> float:
    """The nats that a bigram of `train` takes for `test`; both hold poems from BOS to EOS."""
    pairs = (train[:-1] * size + train[1:])[train[1:] != BOS]
    keys, counts = np.unique(pairs, return_counts=True)
    before = np.bincount(keys // size, weights=counts, minlength=size)
    followers = np.bincount(keys // size, minlength=size)
    continuation = np.bincount(keys % size, minlength=size) + 0.1
    continuation[[PAD, BOS]] = 0
    continuation /= continuation.sum()

    asked = (test[:-1] * size + test[1:])[test[1:] != BOS]
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    count = np.where(keys[place] == asked, counts[place], 0)
    context = asked // size
    total = np.maximum(before[context], 1)
    left = np.where(before[context] > 0, _DISCOUNT * followers[context] / total, 1.0)
    chance = np.maximum(count - _DISCOUNT, 0) / total + left * continuation[asked % size]
    return -float(np.log(chance).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", default="chinese-poetry")
    parser.add_argument("--min-counts", type=int, nargs="+", default=[5, 10, 20, 50, 100])
    options = parser.parse_args()

    texts = open_corpus(options.corpus).texts()
    parts = assign_parts(hash_poems(texts))
    split = [[text for text, p in zip(texts, parts, strict=True) if p == i] for i in range(2)]
    print(f"{len(split[0]):,} {PARTS[0]} poems, {len(split[1]):,} {PARTS[1]} poems")
    print("tokenizer  hmm  min_count  vocabulary  tokens/poem  hidden/million  nats/character")
    for tokenizer, hmm in (
        (CharTokenizer(), "-"),
        (WordTokenizer(hmm=False), "off"),
        (WordTokenizer(hmm=True), "on"),
    ):
        numbering = numbering_of(tokenizer)
        numbered = [numbering.number(poems) for poems in split]
        counts = np.bincount(numbered[0][0], minlength=numbering.size)
        seen = np.flatnonzero(counts + np.bincount(numbered[1][0], minlength=numbering.size))
        named = {numbering.token(i): int(counts[i]) for i in np.flatnonzero(counts).tolist()}
        for min_count in options.min_counts:
            vocabulary = Vocabulary.build(named, min_count)
            table = Table(numbering, seen, vocabulary)
            train, lengths, _ = table.encode(*numbered[0])
            test, _, characters = table.encode(*numbered[1])
            hidden, total = count_unknown(test), int(characters.sum())
            nats = bigram_nats(train.astype(np.int64), test.astype(np.int64), len(vocabulary))
            print(
                f"{tokenizer.name:9}  {hmm:3}  {min_count:9}  {len(vocabulary):10}  "
                f"{len(train) / len(lengths) - 1:11.2f}  {1e6 * hidden / total:14.0f}  "
                f"{(nats + hidden * _HIDDEN) / total:14.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
