"""The public face of writing: a trained model that writes poems.

It brings checkpoint, template, sampler, ranking and engine together; each of them knows only its
own part.
"""

from __future__ import annotations

import dataclasses
import itertools
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self, Unpack

from poetgen.checkpoint import Checkpoint, load_checkpoint
from poetgen.dataset.runs import FILE as RUNS
from poetgen.dataset.runs import RunFilter
from poetgen.dataset.vocabulary import Vocabulary
from poetgen.errors import PoetgenError, TemplateError
from poetgen.writing.aims import Aims, Outlook
from poetgen.writing.asked import OFF, RulesAsked
from poetgen.writing.candidates import Candidate, candidates
from poetgen.writing.drafted import Manner, best_draft, poem_of
from poetgen.writing.engine import StepModel, engine_for
from poetgen.writing.freely import AS_IT_IS, FreePoem, write_freely
from poetgen.writing.lexicon import Lexicon
from poetgen.writing.novelty import Novelty
from poetgen.writing.options import SamplingOptions
from poetgen.writing.particles import Draft, SampleResult
from poetgen.writing.ranking import Appraisal, Variety, order
from poetgen.writing.request import Request, acrostic_request, continuation_request, told
from poetgen.writing.sampler import sample, stream
from poetgen.writing.sounds import sounds_of
from poetgen.writing.template import Template, compile_template, told_context
from poetgen.writing.written import WrittenPoem

_TRIES = 3
"""Seeds that are tried for a poem that is to differ from the others."""

_TOGETHER = 32
"""Poems written in one batch."""


class Choices(RulesAsked, total=False):
    """What is asked of a poem and the fields of `SamplingOptions`, as keyword arguments."""

    theme: str | None
    style: str | None
    temperature: float
    top_k: int
    top_p: float
    particles: int
    decoding: Literal["particles", "plain", "beam"]


class Poet:
    """A trained model that writes poems.

    Args:
        model: The network.
        vocabulary: Its tokens.
        name: What to call it.
        script: The characters that it was trained on: simplified or traditional.
        runs: The runs of its training poems; None: nothing keeps it off them.
        says_length: Whether it is told a poem's length (`poetgen.dataset.lengths`).

    Attributes:
        corpus: The name of the corpus that it was trained on; empty when nobody says.
        manner: What judges the style of drafts where one is asked for; None for nobody.
    """

    def __init__(
        self,
        model: StepModel,
        vocabulary: Vocabulary,
        name: str,
        script: str = "simplified",
        runs: RunFilter | None = None,
        *,
        says_length: bool = False,
    ) -> None:
        self.name = name
        self._says_length = says_length
        self.corpus = ""
        self.manner: Manner | None = None
        self._model = model
        self._lexicon = Lexicon(vocabulary)
        self._runs = runs
        self._novelty = Novelty(runs, vocabulary) if runs else None
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
        return cls.of(checkpoint, engine_for(checkpoint, device))

    @classmethod
    def of(cls, checkpoint: Checkpoint, model: StepModel) -> Self:
        """The poet that a checkpoint describes, when its network is at hand already.

        Raises:
            CheckpointError: The filter of its training poems is damaged.
        """
        corpus = checkpoint.config.get("corpus", {})
        runs = RunFilter.load(checkpoint.folder / RUNS, corpus)
        poet = cls(
            model,
            checkpoint.vocabulary,
            checkpoint.name,
            checkpoint.script,
            runs,
            says_length=checkpoint.model.lengths_in is not None,
        )
        poet.corpus = str(corpus.get("name", ""))
        return poet

    def acrostic(
        self,
        heads: str,
        form: str = "七绝",
        *,
        at: str | int = "head",
        line_length: int | None = None,
        n: int = 1,
        seed: int | None = None,
        rank: bool = True,
        **choices: Unpack[Choices],
    ) -> list[WrittenPoem]:
        """Write acrostics (藏头诗), the best first.

        Args:
            heads: The characters to place, one a line.
            form: A form's name, or "free": as many lines as heads.
            at: Where in its line a head stands: "head", "tail", "diagonal", or a number from 1.
            line_length: Characters in a line of the free form.
            n: How many poems; fewer are given where so many different ones cannot be found.
            seed: The first to draw with, the next poem with the next, and so on, leaving out
                those that give a twin; None: a seed that nobody knows before. Each poem names
                its own, which gives it again.
            rank: Whether to take the best draft of each poem's particles, and to leave out twins.
                If not, each poem is the draft that was drawn, in the order of the seeds.
            **choices: theme, style, and the fields of `Rules` and of `SamplingOptions`.

        Raises:
            TemplateError: No poem can be as it was asked for.
            PoetgenError: An option out of range.
        """
        asked, options = _parted(choices)
        request = acrostic_request(heads, form, at=at, line_length=line_length, **asked)
        return self._several(request, n, seed, options, rank)

    def continue_poem(
        self,
        text: str,
        form: str | None = None,
        *,
        line_length: int | None = None,
        n: int = 1,
        seed: int | None = None,
        rank: bool = True,
        **choices: Unpack[Choices],
    ) -> list[WrittenPoem]:
        """Write poems that begin with `text`: one line or several, the last perhaps cut off.

        Args:
            text: Lines with their marks, or one on each row; printed as they are given.
            form: A form's name, or "free"; None: what the lines imply.
            line_length: Characters in a line of the free form.
            n: As in `acrostic`.
            seed: As in `acrostic`.
            rank: As in `acrostic`.
            **choices: theme, style, and the fields of `Rules` and of `SamplingOptions`.

        Raises:
            TemplateError: No poem can be as it was asked for.
            PoetgenError: An option out of range.
        """
        asked, options = _parted(choices)
        request = continuation_request(text, form, line_length=line_length, **asked)
        return self._several(request, n, seed, options, rank)

    def write_freely(
        self,
        seeds: Sequence[int],
        options: SamplingOptions | None = None,
        *,
        theme: str | None = None,
        style: str | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[FreePoem]:
        """Write poems of whatever form the model likes, by no rule but its own.

        Args:
            seeds: One for each poem.
            options: How to choose characters; None: from the model's own distribution.
            theme: As in `acrostic_request`.
            style: Likewise.
            on_progress: Called with how many more poems are written.

        Raises:
            TemplateError: The model cannot be told a theme or a style, or these say nothing.
            PoetgenError: A seed is negative.
        """
        for seed in seeds:
            _check_seed(seed)
        asked = told(theme, style)
        return write_freely(
            self._model,
            self._lexicon.vocabulary,
            seeds,
            options or AS_IT_IS,
            context=told_context(self._lexicon, self._fold, "", asked["theme"], asked["style"]),
            says_length=self._says_length,
            on_progress=on_progress,
        )

    def write(
        self,
        requests: Sequence[Request],
        seeds: Sequence[int],
        options: SamplingOptions | None = None,
        *,
        rank: bool = True,
    ) -> list[WrittenPoem | TemplateError]:
        """Write one poem for each request, all in one batch.

        Args:
            requests: What each poem is to be.
            seeds: One for each request.
            options: How to choose characters; None: the defaults.
            rank: Whether to take the best draft of each poem's particles, or the one drawn.

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
            self._poem(request, template, seed, result, rank)
            for (request, template, seed), result in zip(todo, results, strict=True)
        )
        outcomes = (compiled[request] for request in requests)
        return [o if isinstance(o, TemplateError) else next(poems) for o in outcomes]

    def write_different(
        self,
        request: Request,
        n: int,
        seeds: Iterator[int],
        options: SamplingOptions | None = None,
    ) -> Iterator[WrittenPoem]:
        """Write poems for one request, no two of which are the same but for a little.

        Args:
            request: What they are to be.
            n: How many.
            seeds: What to draw with, in this order; a seed whose poem is a twin of one before is
                left out. At most three for each poem are tried; of a beam, which they do not
                change, one.
            options: How to choose characters; None: the defaults.

        Yields:
            At most n poems, the best first; of many, the best of each 32 first, as they are done.

        Raises:
            TemplateError: No poem can be as it was asked for.
            PoetgenError: A seed is negative.
        """
        options = options or SamplingOptions()
        variety = Variety(n)
        left = 1 if options.decoding == "beam" else _TRIES * n
        for start in range(0, n, _TOGETHER):
            wanted = min(_TOGETHER, n - start)
            found: list[WrittenPoem] = []
            while len(found) < wanted and left:
                batch = list(itertools.islice(seeds, min(wanted - len(found), left)))
                left -= len(batch)
                for poem in self.write([request] * len(batch), batch, options):
                    if isinstance(poem, TemplateError):
                        raise poem
                    if variety.adds(poem.lines, poem.forced):
                        found.append(poem)
            yield from _best_first(found, request)

    def stream(
        self,
        request: Request,
        seed: int,
        options: SamplingOptions | None = None,
        *,
        rank: bool = True,
    ) -> Generator[tuple[str, bool], None, WrittenPoem]:
        """Write one poem, yielding it while it is being written.

        Yields:
            Each character, marks included, as soon as it can change no more, and whether the
            request fixed it.

        Returns:
            The poem: the one that `write` gives for the same seed.

        Raises:
            TemplateError: No poem can be as it was asked for.
            PoetgenError: The seed is negative.
        """
        _check_seed(seed)
        return self._stream(request, self.template(request), seed, options, rank)

    def _stream(
        self,
        request: Request,
        template: Template,
        seed: int,
        options: SamplingOptions | None,
        rank: bool,
    ) -> Generator[tuple[str, bool], None, WrittenPoem]:
        found: list[tuple[Draft, Appraisal]] = []

        def choose(result: SampleResult) -> Draft:
            best = best_draft(request, template, result, self._runs, rank=rank, manner=self.manner)
            found.append(best)
            return found[0][0]

        tokens = stream(self._model, template, seed, options or SamplingOptions(), choose)
        yield from template.spell(tokens)
        for _ in tokens:  # The poem may be spelled before it is chosen: nothing was left to choose.
            pass
        return poem_of(request, template, seed, self.name, *found[0])

    def candidates(self, request: Request, line: int, place: int, k: int = 9) -> list[Candidate]:
        """What may stand in a free place, given what stands before it and all that is kept.

        Args:
            request: The poem, its kept lines free in this place and in none before it.
            line: The line, from 0.
            place: The place in it, from 0.
            k: How many at most.

        Returns:
            The likeliest first.

        Raises:
            TemplateError: No poem can be as it was asked for; or the place is not free, or one
                before it is.
        """
        template = self.template(request)
        return candidates(self._model, self._lexicon.vocabulary, template, line, place, k)

    def outlook(self, request: Request) -> Outlook:
        """What the rules leave to a request in this model's vocabulary, and what clashes.

        Raises:
            TemplateError: No poem can be as it was asked for, whatever clashes; or the vocabulary
                cannot rhyme it.
        """
        if request.rules.tones == OFF:
            request.layout()
            return Outlook()
        return Aims(request, sounds_of(self._lexicon, request.rules.rhyme_book)).outlook()

    def template(self, request: Request) -> Template:
        """What a request means in this model's vocabulary.

        Raises:
            TemplateError: No poem can be as it was asked for.
        """
        return compile_template(
            request, self._lexicon, self._fold, self._novelty, says_length=self._says_length
        )

    def _several(
        self, request: Request, n: int, seed: int | None, options: SamplingOptions, rank: bool
    ) -> list[WrittenPoem]:
        if n < 1:
            raise PoetgenError(f"-n is {n}", hint="it must be at least 1")
        first = secrets.randbelow(2**32) if seed is None else seed
        if rank:
            different = self.write_different(request, n, itertools.count(first), options)
            return _best_first(different, request)
        poems = []
        for poem in self.write([request] * n, range(first, first + n), options, rank=False):
            if isinstance(poem, TemplateError):
                raise poem
            poems.append(poem)
        return poems

    def _poem(
        self, request: Request, template: Template, seed: int, result: SampleResult, rank: bool
    ) -> WrittenPoem:
        best = best_draft(request, template, result, self._runs, rank=rank, manner=self.manner)
        return poem_of(request, template, seed, self.name, *best)


def _best_first(poems: Iterable[WrittenPoem], request: Request) -> list[WrittenPoem]:
    def place(poem: WrittenPoem) -> tuple[int, bool, float]:
        faults = 0 if request.rules.tones == OFF else len(poem.faults)
        return order(faults, poem.borrowed_share, poem.cost)

    return sorted(poems, key=place)


def _parted(choices: Choices) -> tuple[dict[str, Any], SamplingOptions]:
    """What is asked of the poem, and how to choose its characters."""
    names = {field.name for field in dataclasses.fields(SamplingOptions)}
    options: Any = {name: value for name, value in choices.items() if name in names}
    asked = {name: value for name, value in choices.items() if name not in names}
    return asked, SamplingOptions(**options)


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
