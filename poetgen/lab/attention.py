"""Where the decoder of a trained network looks while it writes the lines of a poem.

The decoder reads the token that opens a line, then the line's own, and from each it says what comes
next. Of each token of a line these are the weights α_ts with which the source, what is told of the
poem and the lines before, went into what was expected in its place (`poetgen.models.attention`).
They say where the decoder looked and not why: o_s, what is found there, knows of its whole line and
of all before it (Jain & Wallace 2019, https://arxiv.org/abs/1902.10186).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from poetgen.checkpoint import Checkpoint
from poetgen.corpus.script import to_simplified
from poetgen.dataset.context import context_ids
from poetgen.dataset.vocabulary import BOS, PAD, UNK
from poetgen.errors import TemplateError
from poetgen.lab.gates import START, tokens_of
from poetgen.models.network import from_checkpoint
from poetgen.models.seq2seq import Seq2Seq
from poetgen.verse.forms import form_named
from poetgen.verse.poem import Poem
from poetgen.writing.theme import theme_characters

Floats: TypeAlias = npt.NDArray[np.float64]

NOT_TOLD = "·"
"""What stands for a part of the context that is not told, which the network reads as a token."""


@dataclass(frozen=True, slots=True, eq=False)
class LineAttention:
    """Where the decoder looked while it wrote one line of n tokens.

    Attributes:
        number: Which line, counted from 1.
        written: Its n tokens, its mark included.
        source: The S tokens that it could look at.
        weights: (n, S), a row the weights of one token's; they add up to 1.
        parts: Where in the source what is told, and each line before, begins.
    """

    number: int
    written: tuple[str, ...]
    source: tuple[str, ...]
    weights: Floats
    parts: tuple[int, ...]

    @property
    def by_part(self) -> Floats:
        """(n, number): of each token, the share of what is told and of each line before."""
        return np.add.reduceat(self.weights, self.parts, axis=1)

    def most(self, token: int, n: int = 3) -> list[tuple[str, float]]:
        """The n tokens of the source that one written token looked at most, and their shares."""
        row = self.weights[token]
        return [(self.source[s], float(row[s])) for s in np.argsort(-row, kind="stable")[:n]]


@dataclass(frozen=True, slots=True, eq=False)
class AttentionTrace:
    """Where the decoder looked while it wrote a poem.

    Attributes:
        lines: Those that were asked for, in their order.
        unknown: Tokens that the model does not know: it read `<unk>` in their place.
    """

    lines: tuple[LineAttention, ...]
    unknown: tuple[str, ...]


def trace_attention(
    checkpoint: Checkpoint, text: str, *, line: int | None = None, form: str = "", theme: str = ""
) -> AttentionTrace:
    """Let a model write a poem that is there already, and see where it looks.

    Args:
        checkpoint: The model, of the architecture seq2seq.
        text: The poem; punctuation that it lacks at its end is added.
        line: Counted from 1; None for every line.
        form: The form that the model is told, by any of its names; empty: none.
        theme: The theme that it is told; empty: none.

    Raises:
        TemplateError: The model has no attention, there is no text or no such line or form, or the
            theme is none.
    """
    if checkpoint.model.architecture != "seq2seq":
        raise TemplateError(
            f"{checkpoint.name} is a language model, which has no attention",
            hint="show a model that was trained with --architecture seq2seq",
        )
    poem = Poem.from_text(text).text
    form = form_named(form).name if form else ""
    theme = theme_characters(theme) if theme else ""
    if not poem:
        raise TemplateError("there is no text to read", hint="give a poem, or a line of one")
    if checkpoint.script == "simplified":
        poem, theme = to_simplified(poem), to_simplified(theme)
    tokens, ids = tokens_of(poem, checkpoint.vocabulary, checkpoint.tokenizer)
    told = context_ids(checkpoint.vocabulary, form, theme=theme)
    read = np.array([*told, BOS, *ids])
    # The form, the dynasty, the theme: what a context is made of.
    names = [NOT_TOLD if i == PAD else n for i, n in zip(told, (form, "", *theme), strict=False)]
    names += [NOT_TOLD] * (len(told) - len(names))
    labels = (*names, START, *tokens)

    model = from_checkpoint(checkpoint)
    assert isinstance(model, Seq2Seq)  # By its architecture.
    looked, _ = model.look(torch.from_numpy(read)[None])
    weights = looked[0].numpy().astype(np.float64)  # (T, T)

    openers = np.flatnonzero(np.isin(read, (BOS, *checkpoint.model.line_ends)))
    ends = [*openers[1:].tolist(), len(read) - 1]
    lines = []
    for number, (opener, end) in enumerate(zip(openers.tolist(), ends, strict=True), 1):
        if end > opener and line in (None, number):  # Nothing is written after the last mark.
            lines.append(
                LineAttention(
                    number=number,
                    written=labels[opener + 1 : end + 1],
                    source=labels[: opener + 1],
                    weights=weights[opener:end, : opener + 1],
                    parts=(0, *(openers[: number - 1] + 1).tolist()),
                )
            )
    if not lines:
        count = sum(end > opener for opener, end in zip(openers, ends, strict=True))
        raise TemplateError(f"--line is {line}", hint=f"the poem has lines 1 to {count}")
    unknown = tuple(token for token, i in zip(tokens, ids, strict=True) if i == UNK)
    return AttentionTrace(tuple(lines), tuple(dict.fromkeys(unknown)))
