"""Exposure bias: what a network loses when it reads its own writing in place of true verse.

Trained under teacher forcing, a network has only ever read true beginnings; when it writes, it
reads its own. Whether that harms, and how much, is measured here in two ways, both in nats per
Chinese character over held-out poems, each with an interval over the poems (95 %, bootstrap).

**Continuations, judged** (after He et al. 2021, https://arxiv.org/abs/1905.10617, who compare what
a model writes after true and after own prefixes). Of each poem, two beginnings of k tokens: the
true one, and one that the network wrote by itself, told the same context. After each it draws a
continuation of m tokens at most, or to the poem's end. A judge, another network or the same, reads
beginning and continuation and says what the continuation costs it:

    C(k) = Σ -ln J(y | beginning, y before) / Σ characters in y,  y over the continuation

If errors pile up, the judge pays more after own beginnings than after true ones, and the more so
the longer they are. By itself, a network's continuations cost it what its own distribution has of
entropy there; a judge that was trained apart also sees where it strays from verse. A network that
only repeats itself is cheap to a judge, so a negative gap is no proof of health.

**True characters, fed back.** With a share p of the inputs as the poem has them and the others the
network's own draws (`poetgen.training.teacher_forcing`), what the poem's next characters cost it:
at p = 1 that is the ordinary measure, at p = 0 the network reads nothing of the poem. It is no
bias alone, for after words that are not the poem's nobody could foretell the poem; but of two
networks that cost the same at p = 1, the one that costs less below relies less on single inputs.
This is what scheduled sampling trains for.

`<unk>` is never drawn, since nobody can judge what is not written. Where a poem has a character
that the vocabulary lacks, it is read as `<unk>`, and costs what it costs in `evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from poetgen.checkpoint import Checkpoint
from poetgen.dataset.batches import Batch, Batches
from poetgen.dataset.encoded import EncodedSplit
from poetgen.dataset.vocabulary import BOS, EOS, PAD, UNK, UNKNOWN_NATS
from poetgen.errors import TrainingError
from poetgen.models.network import Network, from_checkpoint
from poetgen.models.single_steps import single_steps
from poetgen.training.teacher_forcing import draw, draws_for, feed_back
from poetgen.verse.poem import count_han

SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
"""The shares of true inputs at which true characters are measured."""

_TOKENS = 4096  # That go through a network at once.
_RESAMPLES = 1000

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Settings:
    """What is measured.

    Attributes:
        prefixes: The ks: tokens of a beginning, marks included.
        continuation: m, tokens of a continuation at most.
        poems: Held-out poems at most.
        seed: Of all draws.
    """

    prefixes: tuple[int, ...] = (2, 4, 8, 16)
    continuation: int = 8
    poems: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.prefixes or min(self.prefixes) < 1:
            raise TrainingError("--prefixes has a length below 1", hint="such as 2,4,8,16")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure in nats per Chinese character, and where 95 % of its resamples lie."""

    nats: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Continued:
    """What the judge pays for continuations of beginnings of one length.

    Attributes:
        prefix: k.
        true: After true beginnings.
        own: After the network's own.
        gap: The second less the first.
    """

    prefix: int
    true: Estimate
    own: Estimate
    gap: Estimate


@dataclass(frozen=True, slots=True)
class FedBack:
    """What true characters cost the network itself.

    Attributes:
        forced: The share of its inputs that were true.
        cost: In nats per character.
    """

    forced: float
    cost: Estimate


@dataclass(frozen=True, slots=True)
class ExposureBias:
    """Both measures of a network.

    Attributes:
        model, judge: Their names.
        poems: How many were measured.
        continued: By the length of the beginning.
        fed_back: By the share of true inputs.
    """

    model: str
    judge: str
    poems: int
    continued: list[Continued]
    fed_back: list[FedBack]


def measure(
    checkpoint: Checkpoint,
    judge: Checkpoint,
    split: EncodedSplit,
    settings: Settings,
    device: torch.device | str = "cpu",
    on_progress: Callable[[int], None] | None = None,
) -> ExposureBias:
    """Measure the exposure bias of a network.

    Args:
        checkpoint: The network.
        judge: Who judges its continuations; of the same vocabulary.
        split: Held-out poems, in that vocabulary.
        settings: What is measured.
        device: Where it is computed.
        on_progress: Called with the number of poems of each batch when it is done.

    Raises:
        TrainingError: The judge has another vocabulary, or needs to be told a length that the
            network does not say, or no poem is long enough.
    """
    if judge.vocabulary != checkpoint.vocabulary:
        raise TrainingError(
            f"--judge {judge.name} has another vocabulary than {checkpoint.name}",
            hint="take a judge that was trained on the same corpus with the same --tokenizer",
        )
    model, reader = (from_checkpoint(which, device) for which in (checkpoint, judge))
    said, needed = model.config.lengths_in is not None, reader.config.lengths_in is not None
    if needed and not said:
        raise TrainingError(
            f"--judge {judge.name} must be told how long a poem is, and {checkpoint.name} does "
            "not say it",
            hint="take a judge of another --stop than length",
        )
    # EOS and BOS not counted; a true token follows the longest beginning.
    long = np.diff(split.offsets) - 2 > max(settings.prefixes)
    poems = np.flatnonzero(long)[: settings.poems]
    if not len(poems):
        raise TrainingError(
            f"no held-out poem has {max(settings.prefixes) + 1} tokens",
            hint="lower --prefixes",
        )
    chosen = _Chosen(split, poems)
    characters = torch.tensor([count_han(token) for token in checkpoint.vocabulary.tokens])
    batches = Batches(
        chosen.split,
        _TOKENS,
        seed=0,
        shuffle=False,
        context="given",
        lengths_in=model.config.lengths_in,
    )
    N, K = len(poems), len(settings.prefixes)
    costs, counts = np.zeros((2, 2, K, N))  # Of continuations: true and own, by prefix, by poem.
    nats = np.zeros((len(SHARES), N))
    drop = 2 if said and not needed else 0
    with torch.inference_mode():
        for number, batch in enumerate(batches.epoch(0)):
            writer = _Writer(model, np.random.default_rng((settings.seed, number)))
            told = torch.as_tensor(batch.context, device=device)
            true = torch.as_tensor(batch.ids, device=device)
            own = writer.go_on(told, true[:, : batch.given], max(settings.prefixes), ends=False)
            for i, texts in enumerate((true, own)):
                for j, k in enumerate(settings.prefixes):
                    start = texts[:, : batch.given + k]
                    whole = writer.go_on(told, start, settings.continuation, ends=True)
                    after = whole[:, start.shape[1] :]
                    read = torch.cat((whole[:, :1], whole[:, drop:]), dim=1) if drop else whole
                    each = _nats(reader, told, read)[:, -after.shape[1] :]
                    costs[i, j, batch.poems] = each.sum(dim=1).cpu().numpy()
                    counts[i, j, batch.poems] = characters[after.cpu()].sum(dim=1).numpy()
            for j, forced in enumerate(SHARES):
                read = _fed_back(model, batch, told, true, forced, settings.seed, number)
                each = _nats(model, told, true, read)
                nats[j, batch.poems] = each.sum(dim=1).cpu().numpy()
            if on_progress is not None:
                on_progress(len(batch.poems))
    resamples = np.random.default_rng(settings.seed).multinomial(N, [1 / N] * N, _RESAMPLES)
    return ExposureBias(
        checkpoint.name,
        judge.name,
        N,
        [
            Continued(k, *_compared(costs[:, j], counts[:, j], resamples))
            for j, k in enumerate(settings.prefixes)
        ],
        [
            FedBack(forced, _estimate(nats[j], chosen.characters, resamples))
            for j, forced in enumerate(SHARES)
        ],
    )


class _Chosen:
    """Some poems of a split."""

    def __init__(self, split: EncodedSplit, poems: Ints) -> None:
        ids = [split[i] for i in poems.tolist()]
        self.characters = split.characters[poems].astype(np.float64)
        self.split = EncodedSplit(
            name=split.name,
            ids=np.concatenate(ids),
            offsets=np.concatenate(([0], np.cumsum([len(each) for each in ids]))),
            characters=split.characters[poems],
            forms=split.forms[poems],
            form_names=split.form_names,
            unknown=sum(int((each == UNK).sum()) for each in ids),
            contexts=None if split.contexts is None else split.contexts[poems],
        )


class _Writer:
    """Writes on, as the network's distribution has it, one draw a token."""

    def __init__(self, model: Network, random: np.random.Generator) -> None:
        self._model = model
        self._random = random

    def go_on(self, told: Tensor, start: Tensor, tokens: int, *, ends: bool) -> Tensor:
        """Go on with texts.

        Args:
            told: What is read before them, (B, W).
            start: What they begin with, (B, T), BOS first.
            tokens: How many to write.
            ends: Whether a text may end before; PAD comes after EOS then.

        Returns:
            (B, T + tokens).
        """
        with single_steps(start.device):
            return self._write(
                told, start, tokens, (PAD, BOS, UNK) if ends else (PAD, BOS, UNK, EOS)
            )

    def _write(self, told: Tensor, start: Tensor, tokens: int, never: Sequence[int]) -> Tensor:
        text = start
        hidden, state = self._model.hidden(torch.cat((told, start), dim=1))
        over = torch.zeros(len(start), dtype=torch.bool, device=start.device)
        for _ in range(tokens):
            places = torch.from_numpy(self._random.random(len(start), np.float32)).to(start.device)
            ids = draw(self._model.logits(hidden[:, -1]), places, never)
            ids = ids.masked_fill(over, PAD)
            over = over | (ids == EOS)
            text = torch.cat((text, ids.unsqueeze(1)), dim=1)
            # What a row reads after its end does not matter, but must be a token of a text.
            hidden, state = self._model.hidden(ids.masked_fill(over, UNK).unsqueeze(1), state)
        return text


def _fed_back(
    model: Network,
    batch: Batch,
    told: Tensor,
    ids: Tensor,
    forced: float,
    seed: int,
    number: int,
) -> Tensor:
    """A batch's inputs, (B, T), of which a share is true."""
    draws = draws_for(batch, forced, seed, number)
    inputs = ids[:, :-1]
    return inputs if draws is None else feed_back(model, told, inputs, draws)


def _nats(model: Network, told: Tensor, ids: Tensor, inputs: Tensor | None = None) -> Tensor:
    """What each token after the first costs, (B, T) float64; 0 where it is PAD.

    Args:
        model: Who pays.
        told: Read before, (B, W).
        ids: (B, T + 1).
        inputs: (B, T), what is read; None for `ids` themselves.
    """
    inputs = ids[:, :-1] if inputs is None else inputs
    hidden, _ = model.hidden(torch.cat((told, inputs), dim=1))
    scores = model.logits(hidden[:, told.shape[1] :]).float()
    each = functional.cross_entropy(
        scores.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=PAD, reduction="none"
    )
    return (each + UNKNOWN_NATS * (ids[:, 1:].flatten() == UNK)).view(len(ids), -1).double()


def _compared(costs: Floats, counts: Floats, resamples: Ints) -> Sequence[Estimate]:
    """True, own, and own less true, of (2, N) nats and characters."""
    true, own = (
        (nats.sum() / n.sum(), (resamples @ nats) / np.maximum(resamples @ n, 1))
        for nats, n in zip(costs, counts, strict=True)
    )
    gap = own[0] - true[0], own[1] - true[1]
    return [_interval(*each) for each in (true, own, gap)]


def _estimate(nats: Floats, characters: Floats, resamples: Ints) -> Estimate:
    return _interval(nats.sum() / characters.sum(), (resamples @ nats) / (resamples @ characters))


def _interval(value: float, resampled: Floats) -> Estimate:
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Estimate(float(value), float(low), float(high))
