"""A corpus as ids, split by poem, memory-mapped from the cache.

`encode_corpus` does the work once for a corpus and its options and keeps the result; the second
time it opens files, and reads no text at all. It works block by block and the ids stay on disk,
so memory grows with the number of poems (some 20 bytes each), not with their text.

    encoded/KEY/                 KEY is a hash of the corpus' content and every option
        meta.json                sizes and checksums; says what the other files must be
        vocab.txt
        PART.ids                 uint16 or uint32: the poems of a part in a row, each BOS … EOS
        PART.offsets             int64 (N + 1,): where each begins
        PART.characters          int32 (N,): Chinese characters in each
        PART.forms               int8 (N,): its form, as a place in meta.json's list
        PART.contexts            like ids (N, WIDTH): see `poetgen.dataset.context`

All of it can be made again, so whatever is missing or damaged is made again without a word.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import filelock
import numpy as np
import numpy.typing as npt

from poetgen import folders
from poetgen.dataset.context import CONTROLS, WIDTH, contexts_of, reads_context
from poetgen.dataset.encoding import Ints, Table, count_unknown, numbering_of
from poetgen.dataset.splits import PARTS, SHARES, assign_parts, hash_poems
from poetgen.dataset.themes import themes_of
from poetgen.dataset.tokenizers import Tokenizer, tokenizer_named
from poetgen.dataset.vocabulary import BOS, Vocabulary
from poetgen.errors import CorpusError, PoetgenError

if TYPE_CHECKING:
    from poetgen.corpus.store import Corpus

_FORMAT = 2  # Raise it when the same corpus and options come to other files.
_BLOCK = 1 << 15  # Poems at a time: some 2 M characters, 50 MB of arrays on the way.
_FILES: dict[str, np.dtype[Any]] = {
    "offsets": np.dtype(np.int64),
    "characters": np.dtype(np.int32),
    "forms": np.dtype(np.int8),
}

Progress = Callable[[int, int], None]
"""Called with the poems read so far and the poems there are."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedSplit:
    """Some poems as ids.

    Attributes:
        name: `"train"`, `"validation"`, `"test"`, or another name for another choice of poems.
        ids: All poems in a row, each from BOS to EOS; uint16 or uint32, often memory-mapped.
        offsets: (N + 1,) int64: poem i is `ids[offsets[i]:offsets[i + 1]]`.
        characters: (N,) Chinese characters in each poem.
        forms: (N,) the form of each poem, as a place in `form_names`.
        form_names: The names of the forms of the whole corpus.
        unknown: How many of `ids` are UNK.
        contexts: (N, WIDTH) what a model may be told of each poem before it, see
            `poetgen.dataset.context`; None where the vocabulary has no words for it.
    """

    name: str
    ids: npt.NDArray[Any]
    offsets: npt.NDArray[np.int64]
    characters: npt.NDArray[np.int32]
    forms: npt.NDArray[np.int8]
    form_names: tuple[str, ...]
    unknown: int
    contexts: npt.NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.characters)

    def __getitem__(self, i: int) -> npt.NDArray[Any]:
        if not -len(self) <= i < len(self):
            raise IndexError(f"poem {i} of {len(self)}")
        i %= len(self)
        return self.ids[self.offsets[i] : self.offsets[i + 1]]

    @property
    def real_tokens(self) -> int:
        """How many tokens a model predicts: all but each poem's BOS."""
        return len(self.ids) - len(self)


@dataclass(frozen=True, slots=True, eq=False)
class EncodedCorpus:
    """A corpus as ids, split by poem, with the vocabulary of its training part.

    Attributes:
        name, content_hash, script: Of the corpus.
        vocabulary: Built from the training part alone.
        tokenizer: The tokenizer's name.
        splits: By the names in `poetgen.dataset.splits.PARTS`.
    """

    name: str
    content_hash: str
    script: str
    vocabulary: Vocabulary
    tokenizer: str
    splits: dict[str, EncodedSplit]

    def split(self, name: str) -> EncodedSplit:
        """The poems of `"train"`, `"validation"` or `"test"`."""
        return self.splits[name]

    def token_counts(self) -> npt.NDArray[np.int64]:
        """(V,) how often each token is to be predicted in the training part; BOS never is."""
        ids = self.split("train").ids
        counts = np.zeros(len(self.vocabulary), np.int64)
        for start in range(0, len(ids), 1 << 22):  # bincount makes int64 of what it is given.
            counts += np.bincount(ids[start : start + (1 << 22)], minlength=len(counts))
        counts[BOS] = 0
        return counts


def encode_corpus(
    corpus: Corpus,
    tokenizer: str = "char",
    min_count: int | None = None,
    split: tuple[int, int, int] = SHARES,
    progress: Progress | None = None,
) -> EncodedCorpus:
    """Encode a corpus, or open what was encoded before.

    Args:
        corpus: The corpus.
        tokenizer: `"char"` or `"word"`.
        min_count: How often a token must be seen in training to be in the vocabulary; None for
            `default_min_count` of the corpus' size.
        split: The shares of training, validation and test.
        progress: Called while the texts are read; not when the cache has them.

    Raises:
        CorpusError: The corpus is empty or damaged.
        VocabularyError: There is no such tokenizer, or nothing is seen `min_count` times.
        OSError: The cache cannot be written.
    """
    cutter = tokenizer_named(tokenizer)
    if min_count is None:
        min_count = default_min_count(corpus.info.characters)
    options = {
        "format": _FORMAT,
        "content_hash": corpus.content_hash,
        "tokenizer": cutter.version,
        "min_count": min_count,
        "split": list(split),
    }
    key = hashlib.sha256(json.dumps(options, sort_keys=True).encode("utf-8")).hexdigest()[:20]
    root = folders.cache_folder() / "encoded"
    folder = root / key
    found = _open(folder)
    if found is None:
        root.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(root / f"{key}.lock"):
            found = _open(folder)  # Another process may have built it while this one waited.
            if found is None:
                # Whoever built before us and died left a folder; only the lock's holder has one.
                for stale in root.glob(f"{key}.*.tmp"):
                    shutil.rmtree(stale, ignore_errors=True)
                temporary = Path(tempfile.mkdtemp(dir=root, prefix=f"{key}.", suffix=".tmp"))
                try:
                    _build(temporary, corpus, cutter, min_count, split, progress)
                    shutil.rmtree(folder, ignore_errors=True)
                    temporary.rename(folder)
                finally:
                    shutil.rmtree(temporary, ignore_errors=True)
                found = _open(folder)
    if found is None:
        raise CorpusError(
            f"the encoded corpus in {folder} cannot be read back", hint="check that disk"
        )
    vocabulary, splits = found
    return EncodedCorpus(
        name=corpus.name,
        content_hash=corpus.content_hash,
        script=corpus.info.script,
        vocabulary=vocabulary,
        tokenizer=tokenizer,
        splits=splits,
    )


def encode_with(
    corpus: Corpus,
    vocabulary: Vocabulary,
    tokenizer: str,
    script: str,
    part: str | None = None,
) -> EncodedSplit:
    """Encode a corpus, or a part of it, with the vocabulary of an existing model, in memory.

    Args:
        corpus: The corpus.
        vocabulary: The model's tokens.
        tokenizer: The model's tokenizer.
        script: The model's script.
        part: `"train"`, `"validation"` or `"test"`: the poems that `encode_corpus` would put
            there, with its default shares. None: all poems.

    Raises:
        CorpusError: The corpus is in the other script, or damaged.
    """
    if corpus.info.script != script:
        raise CorpusError(
            f"the corpus {corpus.name} has {corpus.info.script} characters and the model "
            f"{script} ones",
            hint=f"import the corpus again with --script {script}",
        )
    numbering = numbering_of(tokenizer_named(tokenizer))
    texts, names = corpus.texts(), corpus.forms()
    form_names = tuple(sorted(set(names)))
    forms = _form_codes(names, form_names)
    parts = assign_parts(hash_poems(texts))
    chosen = parts == PARTS.index(part) if part is not None else np.ones(len(texts), np.bool_)
    contexts = _contexts(corpus, texts, vocabulary, forms, form_names, parts, chosen)
    numbers, lengths = numbering.number(list(itertools.compress(texts, chosen)))
    table = Table(numbering, np.unique(numbers).astype(np.int64), vocabulary)
    ids, lengths, characters = table.encode(numbers, lengths)
    return EncodedSplit(
        name=part or "all",
        ids=ids,
        offsets=_offsets([lengths]),
        characters=characters.astype(np.int32),
        forms=forms[chosen],
        form_names=form_names,
        unknown=count_unknown(ids),
        contexts=contexts,
    )


def default_min_count(characters: int) -> int:
    """How often a token must be seen to be in the vocabulary of a corpus of this many characters.

    9 for the whole chinese-poetry collection (16.5 M); 2 for a small corpus, where it is the least
    that shows a model in training what an unknown character is. On the collection, by the nats per
    character of a bigram (`python benchmarks/tokenizers.py --min-counts 2 5 10 20 50`):

        min_count                         2       5      10      20      50
        characters in the vocabulary   9289    7826    7012    6294    5355
        hidden, per million             233     559     903    1509    3642
        nats                         6.6569  6.6581  6.6593  6.6628  6.6758

    10 gives away 0.002 nats, and the softmax, the larger part of a small network's work, is a
    quarter cheaper than at 2. What is left out is never lost as a head: it is written as asked.
    """
    return max(2, 1 + characters // 2_000_000)


def _build(
    folder: Path,
    corpus: Corpus,
    tokenizer: Tokenizer,
    min_count: int,
    shares: tuple[int, int, int],
    progress: Progress | None,
) -> None:
    """Encode `corpus` into the files of `folder`."""
    numbering = numbering_of(tokenizer)
    hashes, lengths = [], []
    numbered = folder / "numbers"
    with numbered.open("wb") as file:
        texts = corpus.texts()
        for start in range(0, len(texts), _BLOCK):
            block = texts[start : start + _BLOCK]
            numbers, block_lengths = numbering.number(block)
            numbers.tofile(file)
            lengths.append(block_lengths)
            hashes.append(hash_poems(block))
            if progress is not None:
                progress(start + len(block), len(texts))
    if not lengths:
        raise CorpusError(f"the corpus {corpus.name} has no poems")
    parts = assign_parts(np.concatenate(hashes), shares)

    in_training = np.zeros(numbering.size, np.int64)
    elsewhere = np.zeros(numbering.size, np.int64)
    for numbers, block_lengths, block_parts in _blocks(numbered, lengths, parts):
        trained = np.repeat(block_parts == 0, block_lengths)
        in_training += np.bincount(numbers[trained], minlength=numbering.size)
        elsewhere += np.bincount(numbers[~trained], minlength=numbering.size)
    vocabulary = Vocabulary.build(
        {numbering.token(i): int(in_training[i]) for i in np.flatnonzero(in_training).tolist()},
        min_count,
        CONTROLS,
    )
    table = Table(numbering, np.flatnonzero(in_training + elsewhere), vocabulary)

    names = corpus.forms()
    form_names = tuple(sorted(set(names)))
    forms = _form_codes(names, form_names)
    everyone = np.ones(len(texts), np.bool_)
    contexts = _contexts(corpus, texts, vocabulary, forms, form_names, parts, everyone)
    assert contexts is not None, "this vocabulary has control tokens"
    writers = [_PartWriter(folder, part) for part in PARTS]
    for numbers, block_lengths, block_parts in _blocks(numbered, lengths, parts):
        for i, writer in enumerate(writers):
            mine = block_parts == i
            writer.write(
                *table.encode(numbers[np.repeat(mine, block_lengths)], block_lengths[mine])
            )
    numbered.unlink()
    meta = {
        "ids": str(table.dtype),
        "form_names": form_names,
        "parts": {
            writer.part: writer.finish(forms[parts == i], contexts[parts == i])
            for i, writer in enumerate(writers)
        },
    }
    vocabulary.save(folder / "vocab.txt")
    meta["checksums"] = {path.name: _checksum(path) for path in sorted(folder.iterdir())}
    record = {"meta": meta, "checksum": _checksum_of(meta)}
    (folder / "meta.json").write_text(json.dumps(record), encoding="utf-8")


def _contexts(
    corpus: Corpus,
    texts: Sequence[str],
    vocabulary: Vocabulary,
    forms: npt.NDArray[np.int8],
    form_names: tuple[str, ...],
    parts: npt.NDArray[np.uint8],
    chosen: npt.NDArray[np.bool_],
) -> npt.NDArray[Any] | None:
    """What a model may be told of the chosen poems; None where the vocabulary has no words for it.

    All but the last are of all the corpus' poems: the training part says what a word of verse is.
    """
    if not reads_context(vocabulary):
        return None
    details = list(itertools.compress(corpus.details(), chosen))
    training = list(itertools.compress(texts, parts == PARTS.index("train")))
    themes = themes_of([each.title for each in details], training, vocabulary, corpus.info.script)
    dynasties = [each.dynasty for each in details]
    return contexts_of(vocabulary, forms[chosen], form_names, dynasties, themes)


def _blocks(
    path: Path, lengths: Sequence[Ints], parts: npt.NDArray[np.uint8]
) -> Iterator[tuple[npt.NDArray[np.uint32], Ints, npt.NDArray[np.uint8]]]:
    """The numbers of a block of poems, how many each has, and each poem's part."""
    start = 0
    with path.open("rb") as file:
        for block in lengths:
            numbers = np.fromfile(file, np.uint32, int(block.sum()))
            yield numbers, block, parts[start : start + len(block)]
            start += len(block)


class _PartWriter:
    """Writes the files of one part, its ids block by block."""

    def __init__(self, folder: Path, part: str) -> None:
        self.part = part
        self._folder = folder
        self._lengths: list[Ints] = []
        self._characters: list[Ints] = []
        self._unknown = 0
        self._ids: BinaryIO = (folder / f"{part}.ids").open("wb")

    def write(self, ids: npt.NDArray[Any], lengths: Ints, characters: Ints) -> None:
        ids.tofile(self._ids)
        self._lengths.append(lengths)
        self._characters.append(characters)
        self._unknown += count_unknown(ids)

    def finish(self, forms: npt.NDArray[np.int8], contexts: npt.NDArray[Any]) -> dict[str, int]:
        self._ids.close()
        arrays = {
            "offsets": _offsets(self._lengths),
            "characters": np.concatenate(self._characters).astype(_FILES["characters"]),
            "forms": forms,
            "contexts": contexts,
        }
        for name, array in arrays.items():
            array.tofile(self._folder / f"{self.part}.{name}")
        return {"poems": len(forms), "unknown": self._unknown}


def _open(folder: Path) -> tuple[Vocabulary, dict[str, EncodedSplit]] | None:
    """What `_build` wrote to `folder`; None when it is not there or not as it was written."""
    try:
        record = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        meta = record["meta"]
        if _checksum_of(meta) != record["checksum"]:
            return None
        for name, checksum in meta["checksums"].items():
            if _checksum(folder / name) != checksum:
                return None
        vocabulary = Vocabulary.load(folder / "vocab.txt")
        splits = {}
        for part in PARTS:
            arrays = {
                name: _mapped(folder / f"{part}.{name}", dtype)
                for name, dtype in {
                    "ids": np.dtype(meta["ids"]),
                    "contexts": np.dtype(meta["ids"]),
                    **_FILES,
                }.items()
            }
            arrays["contexts"] = arrays["contexts"].reshape(-1, WIDTH)
            splits[part] = EncodedSplit(
                name=part,
                form_names=tuple(meta["form_names"]),
                unknown=meta["parts"][part]["unknown"],
                **arrays,
            )
    # A cache is made again whatever is wrong with it, be it a file or what a file says.
    except (OSError, ValueError, KeyError, TypeError, AttributeError, PoetgenError):
        return None
    return vocabulary, splits


def _mapped(path: Path, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    # Nothing can be mapped of an empty file, such as the ids of an empty test part.
    # asarray: a plain array over the same mapping, without the subclass' cost at every index.
    return np.asarray(np.memmap(path, dtype, "r")) if path.stat().st_size else np.zeros(0, dtype)


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _checksum_of(meta: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(meta, sort_keys=True).encode("ascii"))


def _offsets(lengths: Sequence[Ints]) -> npt.NDArray[np.int64]:
    ends = np.cumsum(np.concatenate(lengths))
    return np.concatenate((np.zeros(1, np.int64), ends))


def _form_codes(forms: Sequence[str], form_names: Sequence[str]) -> npt.NDArray[np.int8]:
    codes = {name: code for code, name in enumerate(form_names)}
    return np.fromiter((codes[form] for form in forms), np.int8, len(forms))
