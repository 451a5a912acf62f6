"""What the models are asked to do, off the screen's thread.

Models are loaded once and kept, the last few of them. One thing at a time is asked of them: two
at once would only be slower. What comes of it is posted to the screen as messages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING

from textual.dom import DOMNode
from textual.message import Message
from textual.worker import Worker, get_current_worker

from poetgen.errors import PoetgenError
from poetgen.studio.drafts import Settings
from poetgen.writing.request import Request

if TYPE_CHECKING:
    from poetgen.writing.aims import Outlook
    from poetgen.writing.candidates import Candidate
    from poetgen.writing.poet import Poet
    from poetgen.writing.written import WrittenPoem

_KEPT = 4
"""Models that stay in memory: one of each cell, and one more."""

CANDIDATES = 18
"""How many candidates are shown for a place."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that there is.

    Attributes:
        name: Its name.
        about: Its cell, for a reader; or what is wrong with it.
        usable: Whether it can be loaded, as far as one sees.
    """

    name: str
    about: str
    usable: bool = True


def _load(name: str | None) -> Poet:
    from poetgen.writing.poet import Poet

    return Poet.load(name)


def _there_are() -> list[ModelInfo]:
    from poetgen.checkpoint import list_checkpoints

    return [
        ModelInfo(
            each.name, each.problem or (each.model.cell if each.model else ""), not each.problem
        )
        for each in list_checkpoints()
    ]


class Shelf:
    """The models at hand.

    Args:
        load: Loads a model by its name; None: the one to begin with.
        there_are: Lists those there are.
    """

    def __init__(
        self,
        load: Callable[[str | None], Poet] = _load,
        there_are: Callable[[], list[ModelInfo]] = _there_are,
    ) -> None:
        self.there_are = there_are
        self.busy = threading.Lock()
        self._load = load
        self._loaded: dict[str, Poet] = {}
        self._loading = threading.Lock()

    def ready(self, name: str) -> bool:
        """Whether a model is loaded."""
        return name in self._loaded

    def name_of(self, name: str) -> str:
        """What a loaded model calls itself; the name that it was asked for by until then."""
        poet = self._loaded.get(name)
        return poet.name if poet else name

    def poet(self, name: str) -> Poet:
        """A model, loaded if it is not yet.

        Args:
            name: Its name; empty: the one to begin with.

        Raises:
            PoetgenError: There is no such model, or it is damaged.
        """
        with self._loading:
            poet = self._loaded.pop(name, None) or self._load(name or None)
            self._loaded[name] = poet  # The one that was used last is last.
            for longest_unused in list(self._loaded)[:-_KEPT]:
                del self._loaded[longest_unused]
            return poet


@dataclass(frozen=True, slots=True)
class Drawing:
    """A poem to draw.

    Attributes:
        draft: The id of the draft that it is for.
        request: What to ask.
        settings: Of which model, and how it is to choose.
        seed: With which seed.
    """

    draft: str
    request: Request
    settings: Settings
    seed: int

    def write(self, poet: Poet) -> Iterator[tuple[str, bool] | WrittenPoem]:
        """Write it: each character and whether it was fixed, and at last the poem.

        Raises:
            PoetgenError: No poem can be so.
        """
        from poetgen.writing.options import SamplingOptions

        names = [each.name for each in fields(SamplingOptions)]
        options = SamplingOptions(**{name: getattr(self.settings, name) for name in names})
        poem = yield from poet.stream(self.request, self.seed, options, rank=self.settings.rank)
        yield poem


class Loaded(Message):
    """A model is loaded, or cannot be: then `error` says why."""

    def __init__(self, model: str, error: PoetgenError | None = None) -> None:
        super().__init__()
        self.model, self.error = model, error


class Written(Message):
    """The next characters of a drawing."""

    def __init__(self, drawing: Drawing, text: str) -> None:
        super().__init__()
        self.drawing, self.text = drawing, text


class Drawn(Message):
    """A drawing ended: with a poem, with an error, or, stopped, with neither."""

    def __init__(
        self,
        drawing: Drawing,
        poem: WrittenPoem | None = None,
        error: PoetgenError | None = None,
    ) -> None:
        super().__init__()
        self.drawing, self.poem, self.error = drawing, poem, error


@dataclass(frozen=True, slots=True)
class Question:
    """What to find out of a draft: what its heads leave possible, and who may stand in a place.

    Attributes:
        model: Whom to ask.
        asked: The request by heads and settings; None: do not ask.
        slot: The request with the place open; None: do not ask.
        place: The place.
    """

    model: str
    asked: Request | None = None
    slot: Request | None = None
    place: tuple[int, int] = (0, 0)


class Answered(Message):
    """The answer to a question; `problem` says why there are no candidates, or no outlook."""

    def __init__(
        self,
        question: Question,
        outlook: Outlook | None,
        candidates: Sequence[Candidate],
        warning: str,
        problem: str,
    ) -> None:
        super().__init__()
        self.question, self.outlook, self.candidates = question, outlook, candidates
        self.warning, self.problem = warning, problem


class Workshop:
    """Has the models work in threads, and posts what comes of it to `screen`."""

    def __init__(self, shelf: Shelf, screen: DOMNode) -> None:
        self.shelf = shelf
        self._screen = screen
        self._drawing: Worker[None] | None = None

    def load(self, model: str) -> None:
        """Load a model in the background: `Loaded` comes of it."""
        self._start(partial(self._load, model), "load", exclusive=False)

    def draw(self, drawings: Sequence[Drawing]) -> None:
        """Draw poems, one after the other: `Written` and `Drawn` come of it."""
        self._drawing = self._start(partial(self._draw, drawings), "draw")

    def stop(self) -> None:
        """Stop drawing."""
        if self._drawing is not None:
            self._drawing.cancel()

    def ask(self, question: Question) -> None:
        """Ask: `Answered` comes of it, unless another question comes first."""
        self._start(partial(self._ask, question), "ask")

    def _start(self, work: Callable[[], None], group: str, exclusive: bool = True) -> Worker[None]:
        return self._screen.run_worker(
            work, thread=True, group=group, exclusive=exclusive, exit_on_error=True
        )

    def _load(self, model: str) -> None:
        try:
            self.shelf.poet(model)
        except (PoetgenError, OSError) as error:
            self._screen.post_message(Loaded(model, _told(error)))
        else:
            self._screen.post_message(Loaded(model))

    def _draw(self, drawings: Sequence[Drawing]) -> None:
        worker = get_current_worker()
        for drawing in drawings:
            if worker.is_cancelled:
                self._screen.post_message(Drawn(drawing))
                continue
            try:
                poem = self._write(drawing, worker)
            except (PoetgenError, OSError) as error:
                self._screen.post_message(Drawn(drawing, error=_told(error)))
            else:
                self._screen.post_message(Drawn(drawing, poem))

    def _write(self, drawing: Drawing, worker: Worker[None]) -> WrittenPoem | None:
        poet = self.shelf.poet(drawing.settings.model)
        with self.shelf.busy:
            for step in drawing.write(poet):
                if worker.is_cancelled:
                    return None
                if not isinstance(step, tuple):
                    return step
                self._screen.post_message(Written(drawing, step[0]))
        return None

    def _ask(self, question: Question) -> None:
        worker = get_current_worker()
        if not self.shelf.ready(question.model):
            return
        outlook, candidates, warning, problem = None, [], "", ""
        with self.shelf.busy:
            if worker.is_cancelled:
                return
            poet = self.shelf.poet(question.model)
            try:
                outlook = poet.outlook(question.asked) if question.asked else None
            except PoetgenError as error:
                warning = error.message
            try:
                if question.slot:
                    candidates = poet.candidates(question.slot, *question.place, k=CANDIDATES)
            except PoetgenError as error:
                problem = error.message
        self._screen.post_message(Answered(question, outlook, candidates, warning, problem))


def _told(error: PoetgenError | OSError) -> PoetgenError:
    return error if isinstance(error, PoetgenError) else PoetgenError(str(error))
