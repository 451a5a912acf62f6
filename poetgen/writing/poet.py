"""The public face of writing: a trained model that writes poems.

It brings checkpoint, template, sampler and engine together; each of them knows only its own part.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, Unpack, cast

from poetgen.checkpoint import load_checkpoint
from poetgen.dataset.vocabulary import UNK, UNKNOWN_NATS, Vocabulary
from poetgen.errors import PoetgenError, TemplateError
from poetgen.verse.forms import PoemForm
from poetgen.verse.patterns import STYLES
from poetgen.verse.phonology import rhyme_book
from poetgen.verse.poem import Poem
from poetgen.verse.prosody import Finding, check
from poetgen.writing.engine import StepModel, engine_for
from poetgen.writing.lexicon import Lexicon
from poetgen.writing.request import (
    OFF,
    Request,
    RulesAsked,
    acrostic_request,
    continuation_request,
    is_regular,
)
from poetgen.writing.sampler import Draft, SamplingOptions, sample, stream
from poetgen.writing.template import Template, compile_template


class Choices(RulesAsked, total=False):
    """The fields of `Rules` and of `SamplingOptions`, as keyword arguments."""

    temperature: float
    top_k: int
    top_p: float
    particles: int
    decoding: Literal["particles", "plain", "beam"]


class Verdict(NamedTuple):
    """What the judge says of a written poem, whether or not rules were asked for.

    Attributes:
        pattern: The tonal pattern that it keeps or comes nearest to: 仄起首句入韵. Empty, like
            group and faults, where the form has no rules.
        rhyme_book: The book that it is judged by.
        rhyme_group: The group that it rhymes in.
        faults: What is wrong.
    """

    pattern: str
    rhyme_book: str
    rhyme_group: str
    faults: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPoem(Poem):
    """A poem that a model wrote.

    Attributes:
        heads: The heads that were asked for; empty in a continuation.
        form: The form that was asked for.
        seed: What it was drawn with: the same request, model, options and seed give it again.
        model: The model's name.
        nats_per_character: The model's own surprise: the negative log probability of everything
            that it was told or chose, marks and end included, a character.
        forced: For each line, for each of its characters, whether the request fixed it.
        pattern, rhyme_book, rhyme_group, faults: As in `Verdict`.
    """

    heads: str
    form: PoemForm
    seed: int
    model: str
    nats_per_character: float
    forced: tuple[tuple[bool, ...], ...]
    pattern: str = ""
    rhyme_book: str = ""
    rhyme_group: str = ""
    faults: tuple[Finding, ...] = ()


class Poet:
    """A trained model that writes poems.

    Args:
        model: The network.
        vocabulary: Its tokens.
        name: What to call it.
        script: The characters that it was trained on: simplified or traditional.
    """

    def __init__(
        self, model: StepModel, vocabulary: Vocabulary, name: str, script: str = "simplified"
    ) -> None:
        self.name = name
        self._model = model
        self._lexicon = Lexicon(vocabulary)
        self._fold = _fold_traditional if script == "traditional" else _fold_simplified

    @classmethod
    def load(cls, name: str | Path | None = None, device: str = "auto") -> Self:
        """Load a trained model.

        Args:
            name: A checkpoint's name or folder; None: the one that ships, else the newest.
            device: auto, cpu, cuda, cuda:N or mps; see `poetgen.writing.engine.engine_for`.

        Raises:
            CheckpointError: There is no such checkpoint, or it is damaged.
            PoetgenError: There is no such device.
        """
        checkpoint = load_checkpoint(name)
        return cls(
            engine_for(checkpoint, device),
            checkpoint.vocabulary,
            checkpoint.name,
            checkpoint.script,
        )

    def acrostic(
        self,
        heads: str,
        form: str = "七绝",
        *,
        at: str | int = "head",
        line_length: int | None = None,
        n: int = 1,
        seed: int | None = None,
        **choices: Unpack[Choices],
    ) -> list[WrittenPoem]:
        """Write acrostics (藏头诗).

        Args:
            heads: The characters to place, one a line.
            form: A form's name, or "free": as many lines as heads.
            at: Where in its line a head stands: "head", "tail", "diagonal", or a number from 1.
            line_length: Characters in a line of the free form.
            n: How many poems.
            seed: Poem k (from 0) is drawn with seed + k; None: a seed that nobody knows before.
            **choices: The fields of `Rules` and of `SamplingOptions`.

        Raises:
            TemplateError: No poem can be as it was asked for.
            PoetgenError: An option out of range.
        """
        rules, options = _parted(choices)
        request = acrostic_request(heads, form, at=at, line_length=line_length, **rules)
        return self._several(request, n, seed, options)

    def continue_poem(
        self,
        text: str,
        form: str | None = None,
        *,
        line_length: int | None = None,
        n: int = 1,
        seed: int | None = None,
        **choices: Unpack[Choices],
    ) -> list[WrittenPoem]:
        """Write poems that begin with `text`: one line or several, the last perhaps cut off.

        Args:
            text: Lines with their marks, or one on each row; printed as they are given.
            form: A form's name, or "free"; None: what the lines imply.
            line_length: Characters in a line of the free form.
            n: How many poems.
            seed: Poem k (from 0) is drawn with seed + k; None: a seed that nobody knows before.
            **choices: The fields of `Rules` and of `SamplingOptions`.

        Raises:
            TemplateError: No poem can be as it was asked for.
            PoetgenError: An option out of range.
        """
        rules, options = _parted(choices)
        request = continuation_request(text, form, line_length=line_length, **rules)
        return self._several(request, n, seed, options)

    def write(
        self,
        requests: Sequence[Request],
        seeds: Sequence[int],
        options: SamplingOptions | None = None,
    ) -> list[WrittenPoem | TemplateError]:
        """Write one poem for each request, all in one batch.

        Args:
            requests: What each poem is to be.
            seeds: One for each request.
            options: How to choose characters; None: the defaults.

        Returns:
            In the order of the requests, a poem or the error that says why there is none.

        Raises:
            PoetgenError: A seed is negative.
        """
        for seed in seeds:
            _check_seed(seed)
        compiled: dict[Request, Template | TemplateError] = {}
        for request in requests:
            if request not in compiled:
                try:
                    compiled[request] = self.template(request)
                except TemplateError as error:
                    compiled[request] = error
        todo = [
            (request, template, seed)
            for request, seed in zip(requests, seeds, strict=True)
            if isinstance(template := compiled[request], Template)
        ]
        results = sample(
            self._model,
            [template for _, template, _ in todo],
            [seed for _, _, seed in todo],
            options or SamplingOptions(),
        )
        poems = iter(
            self._poem(request, template, seed, result.draft)
            for (request, template, seed), result in zip(todo, results, strict=True)
        )
        outcomes = (compiled[request] for request in requests)
        return [o if isinstance(o, TemplateError) else next(poems) for o in outcomes]

    def stream(
        self, request: Request, seed: int, options: SamplingOptions | None = None
    ) -> Iterator[tuple[str, bool]]:
        """Write one poem, yielding it while it is being written.

        Yields:
            Each character, marks included, as soon as it can change no more, and whether the
            request fixed it. Together they are the poem that `write` gives for the same seed.

        Raises:
            TemplateError: No poem can be as it was asked for.
            PoetgenError: The seed is negative.
        """
        _check_seed(seed)
        template = self.template(request)
        return template.spell(stream(self._model, template, seed, options or SamplingOptions()))

    def template(self, request: Request) -> Template:
        """What a request means in this model's vocabulary.

        Raises:
            TemplateError: No poem can be as it was asked for.
        """
        return compile_template(request, self._lexicon, self._fold)

    def _several(
        self, request: Request, n: int, seed: int | None, options: SamplingOptions
    ) -> list[WrittenPoem]:
        if n < 1:
            raise PoetgenError(f"-n is {n}", hint="it must be at least 1")
        first = secrets.randbelow(2**32) if seed is None else seed
        poems = []
        for poem in self.write([request] * n, range(first, first + n), options):
            if isinstance(poem, TemplateError):
                raise poem
            poems.append(poem)
        return poems

    def _poem(self, request: Request, template: Template, seed: int, draft: Draft) -> WrittenPoem:
        spelled = list(template.spell(draft.tokens))
        length = request.form.line_length
        rows = [spelled[i : i + length + 1] for i in range(0, len(spelled), length + 1)]
        lines = tuple("".join(character for character, _ in row[:-1]) for row in rows)
        nats = draft.tokens.count(UNK) * UNKNOWN_NATS - draft.log_probability
        return WrittenPoem(
            lines=lines,
            marks="".join(row[-1][0] for row in rows),
            heads=request.heads,
            form=request.form,
            seed=seed,
            model=self.name,
            nats_per_character=nats / (length * len(lines)),
            forced=tuple(tuple(forced for _, forced in row[:-1]) for row in rows),
            **judge(request, lines)._asdict(),
        )


def judge(request: Request, lines: Sequence[str]) -> Verdict:
    """What the judge says of a poem, by the book and the style that were asked for."""
    rules = request.rules
    if not is_regular(request.form):
        return Verdict("", rules.rhyme_book, "", ())
    style = STYLES[0] if rules.tones == OFF else rules.tones
    report = check(lines, rhyme_book(rules.rhyme_book), style)
    return Verdict(
        report.pattern.name if report.pattern else "",
        report.rhyme_book,
        report.rhyme_group.name if report.rhyme_group else "",
        report.faults,
    )


def _parted(choices: Choices) -> tuple[RulesAsked, SamplingOptions]:
    """What is said of the rules, and the rest."""
    rules = {name: value for name, value in choices.items() if name in RulesAsked.__annotations__}
    rest = {name: value for name, value in choices.items() if name not in rules}
    return cast(RulesAsked, rules), SamplingOptions(**cast(dict[str, Any], rest))


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise PoetgenError(f"--seed is {seed}", hint="it must be 0 or more")


# Imported only for a glyph that the vocabulary lacks: OpenCC takes longer to load than most
# poems take to write.
def _fold_simplified(glyph: str) -> str:
    from poetgen.corpus.script import to_simplified

    return to_simplified(glyph)


def _fold_traditional(glyph: str) -> str:
    from poetgen.corpus.script import to_traditional

    return to_traditional(glyph)
