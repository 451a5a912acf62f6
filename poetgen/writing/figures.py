"""Figures of what a model writes: does it obey, does it repeat itself, does it copy.

They are measured over many acrostics for heads that are drawn at random, so that a good figure is
not the merit of one well-chosen word. It knows poems as text; who wrote them does not matter to
`measure`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from poetgen.verse.forms import FORMS, PoemForm
from poetgen.verse.poem import MARKS, is_han
from poetgen.writing.request import Request

if TYPE_CHECKING:
    from poetgen.dataset.vocabulary import Vocabulary
    from poetgen.writing.options import SamplingOptions
    from poetgen.writing.poet import Poet
    from poetgen.writing.written import WrittenPoem

HEAD_CHOICES = 1000
"""Heads are drawn from so many of the vocabulary's commonest characters."""

_TOGETHER = 16  # Poems in one batch of the network: bounds memory, and how often progress shows.
_BLOCK = 1 << 14  # Corpus poems searched at once: about a million characters, 30 MB of arrays.
_CODE_POINTS = 0x110000
_WITHOUT_MARKS = {ord(mark): None for mark in MARKS}


@dataclass(frozen=True, slots=True)
class WritingFigures:
    """What was measured over some written poems.

    Attributes:
        poems: How many.
        head_exactness: Share of the heads asked for that stand where they belong.
        form_exactness: Share of the poems with the lines and the characters of the form asked
            for, every one of them a Chinese character.
        distinct_1: Different characters, a character written.
        distinct_2: Different pairs of neighbours within a line, a pair written (both: Li et al.
            2016, https://arxiv.org/abs/1510.03055). Both fall as more poems are measured.
        repeated_lines: Share of the lines that were written before, in the same poem or another.
        longest_copied_run: Characters in the longest run that a poem shares with a poem of the
            training corpus, marks left out; None when there was no corpus to compare with.
        copied_run: That run; empty when there is none.
    """

    poems: int
    head_exactness: float
    form_exactness: float
    distinct_1: float
    distinct_2: float
    repeated_lines: float
    longest_copied_run: int | None
    copied_run: str


def random_requests(
    vocabulary: Vocabulary, count: int, seed: int, forms: Sequence[PoemForm] = FORMS
) -> list[Request]:
    """Make requests for acrostics with random heads, one a line, the forms in turn.

    Args:
        vocabulary: Heads are among its `HEAD_CHOICES` first single characters. (A vocabulary
            is sorted by how common a token is.)
        count: How many.
        seed: Decides the heads.
        forms: The forms to ask for.
    """
    characters = [token for token in vocabulary.tokens if is_han(token)][:HEAD_CHOICES]
    generator = np.random.default_rng(seed)
    requests = []
    for i in range(count):
        form = forms[i % len(forms)]
        heads = "".join(
            characters[j] for j in generator.integers(len(characters), size=form.line_count)
        )
        requests.append(Request(heads=heads, form=form))
    return requests


def write_poems(
    poet: Poet,
    requests: Sequence[Request],
    seed: int,
    options: SamplingOptions | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> list[WrittenPoem]:
    """Write a poem for each request, request k with seed + k.

    Args:
        poet: Who writes.
        requests: What to write.
        seed: Of the first poem.
        options: How to choose characters; None: the defaults.
        on_progress: Called with how many more poems are written.

    Raises:
        TemplateError: A request that no poem can fulfil.
    """
    poems: list[WrittenPoem] = []
    for start in range(0, len(requests), _TOGETHER):
        some = requests[start : start + _TOGETHER]
        first = seed + start
        for poem in poet.write(some, range(first, first + len(some)), options):
            if isinstance(poem, Exception):
                raise poem
            poems.append(poem)
        if on_progress is not None:
            on_progress(len(some))
    return poems


def measure(
    poems: Sequence[WrittenPoem], training_texts: Sequence[str] | None = None
) -> WritingFigures:
    """Measure written poems.

    Args:
        poems: At least one acrostic whose heads stand at the beginnings of its lines.
        training_texts: The poems that the model was trained on; None when they are not at hand.
    """
    heads = [
        line[:1] == head
        for poem in poems
        for head, line in zip(poem.heads, poem.lines, strict=False)
    ]
    asked = sum(len(poem.heads) for poem in poems)
    lines = Counter(line for poem in poems for line in poem.lines)
    characters = Counter(character for poem in poems for line in poem.lines for character in line)
    pairs = Counter(pair for poem in poems for line in poem.lines for pair in pairwise(line))
    run = None
    if training_texts is not None:
        run = longest_copied_run([poem.text for poem in poems], training_texts)
    return WritingFigures(
        poems=len(poems),
        head_exactness=sum(heads) / asked,
        form_exactness=sum(map(_keeps_its_form, poems)) / len(poems),
        distinct_1=_distinct(characters),
        distinct_2=_distinct(pairs),
        repeated_lines=1.0 - _distinct(lines),
        longest_copied_run=None if run is None else len(run),
        copied_run=run or "",
    )


def _keeps_its_form(poem: WrittenPoem) -> bool:
    return len(poem.lines) == poem.form.line_count and all(
        len(line) == poem.form.line_length and all(map(is_han, line)) for line in poem.lines
    )


def _distinct(counts: Counter[str] | Counter[tuple[str, str]]) -> float:
    total = counts.total()
    return len(counts) / total if total else 0.0


def longest_copied_run(poems: Sequence[str], corpus: Sequence[str]) -> str:
    """The longest run of characters that one of `poems` shares with a poem of `corpus`.

    Marks are left out on both sides, so that a run may go from one line to the next. Of several
    equally long ones, the first in the corpus.

    It is exact: the runs of `poems` make a trie, and every place of the corpus walks down it as
    far as it can, all places a step at a time.
    """
    trie = _Trie([poem.translate(_WITHOUT_MARKS) for poem in poems])
    longest = ""
    for start in range(0, len(corpus), _BLOCK):
        # A line end is in no poem, so no run goes on from one to the next.
        text = "\n".join(corpus[start : start + _BLOCK]).translate(_WITHOUT_MARKS) + "\n"
        place, length = trie.longest_run(text)
        if length > len(longest):
            longest = text[place : place + length]
    return longest


class _Trie:
    """The runs of some texts. A node is a run; at depth d, the d-th step of every run there."""

    def __init__(self, texts: Sequence[str]) -> None:
        alphabet = sorted(set("".join(texts)))
        self._size = len(alphabet) + 1
        self._numbers = np.zeros(_CODE_POINTS, np.int64)  # 0: a character that no text has.
        self._numbers[[ord(character) for character in alphabet]] = np.arange(1, self._size)
        # _steps[d]: for runs of d + 1 characters, sorted, their first d as a node, and the last.
        self._steps: list[npt.NDArray[np.int64]] = []
        joined = self._numbers[_code_points("\n".join((*texts, "")))]
        places = np.flatnonzero(joined)
        nodes = np.zeros(len(places), np.int64)
        while len(places):
            step = nodes * self._size + joined[places + len(self._steps)]
            known, nodes = np.unique(step, return_inverse=True)
            self._steps.append(known)
            more = joined[places + len(self._steps)] > 0
            places, nodes = places[more], nodes[more]

    def longest_run(self, text: str) -> tuple[int, int]:
        """Where in `text`, which ends with a line end, the longest run is, and its length."""
        numbers = self._numbers[_code_points(text)]
        places = np.flatnonzero(numbers)
        nodes = np.zeros(len(places), np.int64)
        place = length = 0
        for depth, known in enumerate(self._steps):
            step = nodes * self._size + numbers[places + depth]
            nodes = np.minimum(np.searchsorted(known, step), len(known) - 1)
            found = known[nodes] == step
            places, nodes = places[found], nodes[found]
            if not len(places):
                break
            place, length = int(places[0]), depth + 1
        return place, length


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
