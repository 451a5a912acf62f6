"""What a model's card says, found out: how it predicts, what it writes, what it borrows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poetgen.checkpoint import Checkpoint
from poetgen.errors import PoetgenError
from poetgen.shipping.measuring import Reading, forms_of, held_out, read, training_texts
from poetgen.shipping.memorisation import Borrowed, borrowed
from poetgen.shipping.samples import Sample, write_samples
from poetgen.verse.forms import FORMS
from poetgen.writing.engine import engine_for
from poetgen.writing.figures import random_requests, write_poems
from poetgen.writing.poet import Poet

if TYPE_CHECKING:
    from poetgen.corpus.store import Corpus

FREELY = "written freely, nothing forbidden"
AS_ASKED = "acrostics, as the command writes them"
BY_POETS = "poems of the test part, by poets"

_SEED = 0


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found out about a model.

    Attributes:
        untold: What the test poems cost it, told nothing of them.
        told: The same when it is told form, dynasty and theme; None where it cannot be told.
        samples: Poems that nobody chose.
        borrowed: What kinds of poems borrow from the training poems, by the kind's name.
        acrostics: What `benchmarks.acrostics` saved; None where there is nothing.
        themes: What `benchmarks.themes` saved; None where there is nothing.
        peers: What other models reach: name, perplexity, parameters, minutes, command of each.
    """

    untold: Reading
    told: Reading | None
    samples: Sequence[Sample]
    borrowed: Mapping[str, Borrowed]
    acrostics: Mapping[str, Any] | None = None
    themes: Mapping[str, Any] | None = None
    peers: Sequence[Mapping[str, Any]] = field(default=())


def find_out(
    checkpoint: Checkpoint,
    corpus: Corpus,
    poems: int,
    say: Callable[[str], None],
    acrostics: Mapping[str, Any] | None = None,
    themes: Mapping[str, Any] | None = None,
    peers: Sequence[Mapping[str, Any]] = (),
) -> Findings:
    """Measure a model.

    Args:
        checkpoint: The model.
        corpus: What it was trained on.
        poems: How many it is to write of each kind, to see what they borrow.
        say: Told what is being done.
        acrostics: As in `Findings`.
        themes: As in `Findings`.
        peers: As in `Findings`.
    """
    tested = held_out(checkpoint, corpus)
    say(f"reading {len(tested.split):,} test poems")
    untold = read(checkpoint, tested)
    told = None
    if tested.have_context:
        say("reading them once more, told of each what it is")
        told = read(checkpoint, tested, "given")
    engine = engine_for(checkpoint)
    poet = Poet.of(checkpoint, engine)
    say(f"writing {poems:,} poems of each kind")
    free = [poem.text for poem in poet.write_freely(range(_SEED, _SEED + poems))]
    forms = [form for form in FORMS if form.name in forms_of(checkpoint)] or FORMS
    requests = random_requests(checkpoint.vocabulary, poems, _SEED, forms)
    asked = [poem.text for poem in write_poems(poet, requests, _SEED)]
    human = [
        checkpoint.vocabulary.decode(tested.split[i].tolist()) for i in range(len(tested.split))
    ]
    say("looking for what they borrow")
    found = borrowed([free, asked, human], training_texts(checkpoint, corpus))
    say("writing ten samples")
    return Findings(
        untold=untold,
        told=told,
        samples=write_samples(poet, checkpoint.name),
        borrowed=dict(zip((FREELY, AS_ASKED, BY_POETS), found, strict=True)),
        acrostics=acrostics,
        themes=themes,
        peers=peers,
    )


def read_acrostics(path: Path) -> dict[str, Any]:
    """What `python -m benchmarks.acrostics --output FILE` saved.

    Raises:
        PoetgenError: The file is something else.
    """
    record = _json(path)
    try:
        ways = [(way["way"], way["heads"], way["all_rules"]) for way in record["ways"]]
        known = bool(ways) and isinstance(record["entries"], int)
    except (TypeError, KeyError):
        known = False
    if not known:
        raise PoetgenError(
            f"{path} has no figures of the acrostic benchmark",
            hint="python -m benchmarks.acrostics MODEL --output FILE makes them",
        )
    found: dict[str, Any] = record
    return found


def read_themes(path: Path) -> dict[str, Any]:
    """What `python -m benchmarks.themes --json FILE` saved.

    Raises:
        PoetgenError: The file is something else.
    """
    record = _json(path)
    try:
        for name in ("poems_with_theme", "theme_characters", "neighbours"):
            _ = [
                record[name][figure] + 0.0 for figure in ("told", "untold", "ratio", "low", "high")
            ]
        for name in ("judged_tang", "poets_judged_right"):
            _ = [share + 0.0 for share in record[name].values()]
        len(record["by_theme"])
    except (TypeError, KeyError, AttributeError):
        raise PoetgenError(
            f"{path} has no figures of themes",
            hint="python -m benchmarks.themes MODEL --json FILE makes them",
        ) from None
    found: dict[str, Any] = record
    return found


def read_peers(path: Path) -> list[dict[str, Any]]:
    """The figures of other models: a list of objects.

    Raises:
        PoetgenError: The file is something else.
    """
    records = _json(path)
    try:
        if not isinstance(records, list):
            raise TypeError
        for record in records:
            float(record["perplexity"]), int(record["parameters"]), float(record["minutes"])
            str(record["name"]), str(record["command"])
    except (TypeError, KeyError, ValueError):
        raise PoetgenError(
            f"{path} is no list of models with name, perplexity, parameters, minutes and command",
            hint="python -m benchmarks.peers --output FILE makes one",
        ) from None
    found: list[dict[str, Any]] = records
    return found


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise PoetgenError(f"{path} is not JSON: {error}") from None
