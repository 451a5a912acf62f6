"""From a request to what may stand where: the constraint that the sampler writes under.

A template is a row of slots, one a character: the places of a line, the mark that closes it, and
the end of the poem. A token covers as many slots as it has characters and stays in its line. Three
kinds of rule meet here:

- what was asked for (heads, form): compiled ahead to a mask over the vocabulary for each slot. If
  a mask is empty no poem can be written, and compiling says so;
- the rules of tone and rhyme, where they are asked for: see `poetgen.writing.rules`;
- the habits of verse: no character twice in a line but side by side (叠字), none in both lines of
  a middle couplet of regulated verse, no line twice, none that stands in the corpus. They depend
  on what a particle has written, and give way where they would leave nothing to write.

It knows the vocabulary, not the model: nothing here is a probability.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from poetgen.dataset.context import context_ids, reads_context
from poetgen.dataset.lengths import length_id
from poetgen.dataset.vocabulary import BOS, EOS, UNK
from poetgen.errors import TemplateError
from poetgen.writing.asked import OFF
from poetgen.writing.lexicon import Lexicon, Mask
from poetgen.writing.novelty import Novelty
from poetgen.writing.request import Request
from poetgen.writing.rules import Regulation, Standing
from poetgen.writing.sounds import sounds_of


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one character stands, or the mark after a line, or the end of the poem.

    Attributes:
        kind: "fixed" to a glyph, "free" for any Chinese character, "mark", or "end".
        line: Its line, from 0.
        place: Its place in the line, from 0.
        shown: The glyph to print for a fixed slot; the marks to choose from for a mark.
        said: What the model is told stands in a fixed slot: the glyph, or the form of it that the
            vocabulary knows.
    """

    kind: Literal["fixed", "free", "mark", "end"]
    line: int
    place: int
    shown: str = ""
    said: str | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far one particle has come; never changed, only followed by another.

    Attributes:
        position: The slot to fill next.
        finished: Whether there is none.
        line: The characters of the current line so far, as the model was told them.
        lines: The lines before it.
        standing: Where it stands under the rules of tone and rhyme; None without them.
    """

    position: int
    finished: bool = False
    line: str = ""
    lines: tuple[str, ...] = ()
    standing: Standing | None = None


class Template:
    """A request compiled for a vocabulary: the sampler's constraint, and the way back to text.

    Attributes:
        prompt: What the model reads before the poem: its context, if it can be told any, BOS, and
            the poem's length, if it is to know it.
        slots: What the poem consists of.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        lexicon: Lexicon,
        regulation: Regulation | None = None,
        novelty: Novelty | None = None,
        context: Sequence[int] = (),
        *,
        says_length: bool = False,
    ) -> None:
        self.slots = tuple(slots)
        # All but the last, the end. Each is a token: such a model's are single characters.
        length = length_id(len(self.slots) - 1, len(lexicon.vocabulary))
        self.prompt = (*context, BOS, *([length] if says_length else ()))
        self._novelty = novelty
        self._regulation = regulation
        self._lexicon = lexicon
        self._vocabulary = lexicon.vocabulary
        self._rests = tuple(self._rest(position) for position in range(len(self.slots)))
        self._masks = tuple(self._mask(position) for position in range(len(self.slots)))
        # What is fixed in the other line of the couplet, for each line of the two middle couplets.
        self._couplets: dict[int, set[str]] = {}
        if self.slots[-1].line == 8:
            for slot in self.slots:
                if 2 <= slot.line <= 5:
                    self._couplets.setdefault(slot.line ^ 1, set()).update(slot.said or "")

    @property
    def forces_faults(self) -> bool:
        """Whether what is fixed breaks a rule, whatever is written around it."""
        return self._regulation is not None and bool(self._regulation.clashes)

    def start(self) -> Cursor:
        """Before the first slot."""
        return Cursor(0, standing=self._regulation.start() if self._regulation else None)

    def allowed(self, cursors: Sequence[Cursor]) -> Mask:
        """Which tokens may come next, for each of n particles: (n, V) bool, no row empty."""
        rows = np.empty((len(cursors), len(self._vocabulary)), np.bool_)
        for row, cursor in zip(rows, cursors, strict=True):
            row[:] = self._masks[cursor.position]
            if self.slots[cursor.position].kind in ("fixed", "free"):
                if self._regulation and cursor.standing:
                    row &= self._regulation.allowed(cursor.standing)
                    _keep(row, self._part_the_couplet, cursor)
                _keep(row, self._keep_habits, cursor)
                _keep(row, self._borrow_nothing, cursor)
        return rows

    def advance(self, cursor: Cursor, token: int) -> Cursor:
        """The cursor after a token that `allowed` allowed."""
        slot = self.slots[cursor.position]
        if slot.kind == "end":
            return replace(cursor, position=cursor.position + 1, finished=True)
        if slot.kind == "mark":
            lines = (*cursor.lines, cursor.line)
            return Cursor(cursor.position + 1, False, "", lines, cursor.standing)
        said = slot.said if token == UNK and slot.said else self._vocabulary.tokens[token]
        standing = cursor.standing
        if self._regulation and standing:
            standing = self._regulation.advance(standing, token)
        position = cursor.position + len(said)
        return Cursor(position, False, cursor.line + said, cursor.lines, standing)

    def spell(self, tokens: Iterable[int]) -> Iterator[tuple[str, bool]]:
        """The characters to print for tokens, marks included, each as soon as its token is there.

        Yields:
            The character, and whether the request fixed it.
        """
        position = 0
        for token in tokens:
            slot = self.slots[position]
            if slot.kind == "end":
                return
            # `<unk>` is the one character of a slot that tells what to show.
            for character in slot.shown[0] if token == UNK else self._vocabulary.tokens[token]:
                slot = self.slots[position]
                fixed = slot.kind == "fixed"
                yield (slot.shown if fixed else character), fixed
                position += 1

    def _rest(self, position: int) -> tuple[str | None, ...]:
        """What must stand in the places of the line from `position` on, None where it is free."""
        rest: list[str | None] = []
        while self.slots[position].kind in ("fixed", "free"):
            rest.append(self.slots[position].said)
            position += 1
        return tuple(rest)

    def _mask(self, position: int) -> Mask:
        """Which tokens may stand at `position` by what was asked for: (V,) bool."""
        slot = self.slots[position]
        if slot.kind in ("mark", "end"):
            mask = np.zeros(len(self._vocabulary), np.bool_)
            known = [mark for mark in slot.shown if mark in self._vocabulary]
            # A model that never saw any of the marks is told `<unk>`.
            mask[EOS if slot.kind == "end" else self._vocabulary.encode(known) or UNK] = True
            return mask
        mask = self._lexicon.fitting(self._rests[position])
        if not mask.any():
            raise TemplateError(
                f"line {slot.line + 1}, character {slot.place + 1}: no token of this model can "
                "stand there",
                hint="its vocabulary lacks Chinese characters of their own; use another model",
            )
        return mask

    def _part_the_couplet(self, row: Mask, cursor: Cursor) -> None:
        """Take out of `row` what stands in the other line of a middle couplet of eight lines."""
        slot = self.slots[cursor.position]
        if slot.line not in self._couplets:
            return
        rest = self._rests[cursor.position]
        other = self._couplets[slot.line] | set(
            cursor.lines[slot.line - 1] if slot.line % 2 else ""
        )
        for offset in range(min(self._lexicon.longest, len(rest))):
            if rest[offset] is None:
                for character in other:
                    row[self._lexicon.having(character, offset)] = False

    def _borrow_nothing(self, row: Mask, cursor: Cursor) -> None:
        """Take out of `row` what would complete a line of the training poems."""
        rest = self._rests[cursor.position]
        if self._novelty and None in rest:
            row &= ~self._novelty.completions(cursor.line, rest, row)

    def _keep_habits(self, row: Mask, cursor: Cursor) -> None:
        """Take out of `row` what would repeat a character in the line, or an earlier line."""
        lexicon = self._lexicon
        rest = self._rests[cursor.position]
        if None not in rest:
            return
        row[lexicon.repeating] = False

        # A character that stands in the line already, or must stand later, may come again only
        # beside it, and only if it stands there once.
        first = len(cursor.line)
        standing: defaultdict[str, list[int]] = defaultdict(list)
        for place, character in enumerate((*cursor.line, *rest)):
            if character is not None:
                standing[character].append(place)
        for offset in range(min(lexicon.longest, len(rest))):
            if rest[offset] is None:
                place = first + offset
                for character, places in standing.items():
                    if len(places) > 1 or abs(places[0] - place) != 1:
                        row[lexicon.having(character, offset)] = False

        # A token that leaves nothing free in the line must not complete an earlier line.
        free_places = max(offset for offset, said in enumerate(rest) if said is None) + 1
        for earlier in cursor.lines:
            for length in range(free_places, min(lexicon.longest, len(rest)) + 1):
                end = first + length
                if earlier[:first] == cursor.line and earlier[end:] == "".join(
                    said for said in rest[length:] if said
                ):
                    token = earlier[first:end]
                    if token in self._vocabulary:
                        row[self._vocabulary.id_of(token)] = False


def _keep(row: Mask, rule: Callable[[Mask, Cursor], None], cursor: Cursor) -> None:
    """Apply a rule that takes tokens out of `row`, unless it would leave none."""
    before = row.copy()
    rule(row, cursor)
    if not row.any():
        row[:] = before


def compile_template(
    request: Request,
    lexicon: Lexicon,
    fold: Callable[[str], str],
    novelty: Novelty | None = None,
    *,
    says_length: bool = False,
) -> Template:
    """Compile a request for a vocabulary.

    Args:
        request: What the poem is to be.
        lexicon: The vocabulary's tokens.
        fold: Gives the usual form of a Traditional or variant character. Asked only about glyphs
            that the vocabulary does not have; what it cannot fold is `<unk>` to the model, and
            printed as it was asked for.
        novelty: Knows the lines of the training poems, if anything does.
        says_length: Whether the model is told how long the poem is (`poetgen.dataset.lengths`).

    Raises:
        TemplateError: No poem can be as it was asked for: see `Request.layout` and `Regulation`;
            or the vocabulary has no token for a place; or the model cannot be told a theme.
    """
    slots = []
    for number, line in enumerate(request.layout()):
        for place, glyph in enumerate(line.glyphs):
            if glyph is None:
                slots.append(Slot("free", number, place))
            else:
                slots.append(Slot("fixed", number, place, glyph, _said(glyph, lexicon, fold)))
        slots.append(Slot("mark", number, len(line.glyphs), line.marks))
    slots.append(Slot("end", request.form.line_count, 0))
    rules = request.rules
    sounds = None if rules.tones == OFF else sounds_of(lexicon, rules.rhyme_book)
    regulation = Regulation(request, sounds) if sounds else None
    context = told_context(lexicon, fold, request.form.name, request.theme, request.style)
    return Template(slots, lexicon, regulation, novelty, context, says_length=says_length)


def told_context(
    lexicon: Lexicon, fold: Callable[[str], str], form: str, theme: str, style: str
) -> tuple[int, ...]:
    """What the model is told before the poem.

    Args:
        lexicon: The vocabulary's tokens.
        fold: As for `compile_template`.
        form: A form's Chinese name; what is empty is not told.
        theme: As in `Request`.
        style: Likewise.

    Raises:
        TemplateError: There is a theme or a style, and the model cannot be told any.
    """
    for flag, value in (("--theme", theme), ("--style", style)):
        if value and not reads_context(lexicon.vocabulary):
            raise TemplateError(
                f"{flag} {value}: this model was not trained to be told a theme or a style",
                hint=f"leave {flag} out, or use another --model",
            )
    said = "".join(_said(glyph, lexicon, fold) for glyph in theme)
    return context_ids(lexicon.vocabulary, form, style, said)


def _said(glyph: str, lexicon: Lexicon, fold: Callable[[str], str]) -> str:
    """The glyph, or what it folds to if only that is in the vocabulary."""
    if glyph in lexicon.vocabulary:
        return glyph
    folded = fold(glyph)
    return folded if len(folded) == 1 and folded in lexicon.vocabulary else glyph
