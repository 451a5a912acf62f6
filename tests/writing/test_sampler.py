"""The sampler against models whose every outcome can be counted out."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from poetgen.dataset.vocabulary import BOS, EOS, SPECIALS, Vocabulary
from poetgen.errors import PoetgenError
from poetgen.verse.forms import free_form
from poetgen.writing import sampler
from poetgen.writing.constraint import Constraint
from poetgen.writing.lexicon import Lexicon
from poetgen.writing.options import SamplingOptions
from poetgen.writing.particles import SampleResult
from poetgen.writing.request import Request
from poetgen.writing.sampler import sample, stream
from poetgen.writing.template import compile_template
from tests.writing.fakes import MarkovModel, MarkovTable, Table

Tokens = tuple[int, ...]

LETTERS = Vocabulary((*SPECIALS, *"天地人山水", "，", "。"))
SYLLABLES = Vocabulary((*SPECIALS, *"天地人山水", "，", "。", "天人", "人地", "水人天", "天天"))

FALSE_ALARM_Z = 4.7534
"""The standard normal deviate that is passed with odds of one in a million."""


def template(vocabulary: Vocabulary, heads: str, length: int) -> Constraint:
    request = Request(heads, free_form(len(heads), length))
    return compile_template(request, Lexicon(vocabulary), lambda glyph: glyph)


def count_out(constraint: Constraint, table: Table, temperature: float) -> dict[Tokens, float]:
    """The probability that the model gives to every sequence that the constraint allows."""
    outcomes: dict[Tokens, float] = {}
    waiting: list[tuple[Tokens, Any, float]] = [((), constraint.start(), 0.0)]
    while waiting:
        tokens, cursor, log_probability = waiting.pop()
        if cursor.finished:
            outcomes[tokens] = math.exp(log_probability)
            continue
        next_log_probabilities = table.log_probabilities((BOS, *tokens), temperature)
        waiting += [
            (
                (*tokens, token),
                constraint.advance(cursor, token),
                log_probability + float(next_log_probabilities[token]),
            )
            for token in np.flatnonzero(constraint.allowed([cursor])[0]).tolist()
        ]
    return outcomes


def surprise(drawn: Iterable[Tokens], outcomes: Mapping[Tokens, float]) -> float:
    """How far draws are from a distribution: a standard normal deviate if they follow it.

    Pearson's chi-square over outcomes of at least five expected draws, rarer ones pooled, made
    normal after Wilson & Hilferty (1931).
    """
    counts = Counter(drawn)
    assert set(counts) <= set(outcomes)
    scale = counts.total() / sum(outcomes.values())
    cells, pooled = [], [0.0, 0.0]
    for outcome, probability in outcomes.items():
        cell = [scale * probability, counts[outcome]]
        if cell[0] >= 5:
            cells.append(cell)
        else:
            pooled = [a + b for a, b in zip(pooled, cell, strict=True)]
    if pooled[0] >= 5:
        cells.append(pooled)
    freedom = len(cells) - 1
    assert freedom >= 10
    chi_square = sum((seen - expected) ** 2 / expected for expected, seen in cells)
    spread = 2 / (9 * freedom)
    return float(((chi_square / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread))


def draw(
    vocabulary: Vocabulary,
    table: Table,
    constraint: Constraint,
    count: int,
    options: SamplingOptions,
    first_seed: int = 0,
) -> list[SampleResult]:
    model = MarkovModel(len(vocabulary), table)
    seeds = range(first_seed, first_seed + count)
    return sample(model, [constraint] * count, seeds, options)


CASES = {
    "characters": (LETTERS, "山水天", 2),
    "characters of which some repeat": (LETTERS, "山山", 3),
    "words, which put the particles out of step": (SYLLABLES, "人天", 3),
}


@pytest.mark.parametrize(("vocabulary", "heads", "length"), CASES.values(), ids=CASES)
def test_particles_draw_from_the_model_given_the_constraint(
    vocabulary: Vocabulary, heads: str, length: int
) -> None:
    # Odds of one in a million that a right sampler fails for a fresh seed; these are fixed. The
    # error of a finite N is under the test's resolution: over nine other seeds the deviates had
    # a mean of -0.3. (With twice this scale the weights vary more, and 32 particles are too few.)
    table = MarkovTable(len(vocabulary), seed=3, scale=0.4)
    constraint = template(vocabulary, heads, length)
    results = draw(vocabulary, table, constraint, 400, SamplingOptions(0.8, particles=32))
    drawn = [result.draft.tokens for result in results]
    assert surprise(drawn, count_out(constraint, table, 0.8)) < FALSE_ALARM_Z


@pytest.mark.parametrize(("vocabulary", "heads", "length"), CASES.values(), ids=CASES)
def test_without_weights_the_same_test_fails(
    vocabulary: Vocabulary, heads: str, length: int
) -> None:
    table = MarkovTable(len(vocabulary), seed=3, scale=0.4)
    constraint = template(vocabulary, heads, length)
    options = SamplingOptions(0.8, decoding="plain")
    drawn = [r.draft.tokens for r in draw(vocabulary, table, constraint, 400, options)]
    assert surprise(drawn, count_out(constraint, table, 0.8)) > FALSE_ALARM_Z


@pytest.mark.parametrize(("vocabulary", "heads", "length"), CASES.values(), ids=CASES)
def test_weighted_drafts_are_an_unbiased_estimate_with_any_number_of_particles(
    vocabulary: Vocabulary, heads: str, length: int
) -> None:
    # Exact for three particles as for a thousand, with and without resampling: the mean over runs
    # of Σ weight · f(draft) / N is the model's own sum of probability · f. Each of the functions
    # is a few standard errors off at most: 6 is passed by a normal deviate once in 5e8.
    table = MarkovTable(len(vocabulary), seed=4, scale=0.5)
    constraint = template(vocabulary, heads, length)
    outcomes = count_out(constraint, table, 1.0)
    runs = draw(vocabulary, table, constraint, 1500, SamplingOptions(1.0, particles=3))
    functions = [lambda tokens: 1.0] + [
        lambda tokens, token=token: float(token in tokens) for token in range(4, 7)
    ]
    for function in functions:
        exact = sum(p * function(tokens) for tokens, p in outcomes.items())
        estimates = np.array(
            [
                sum(math.exp(d.log_weight) * function(d.tokens) for d in run.drafts) / 3
                for run in runs
            ]
        )
        error = estimates.std() / math.sqrt(len(runs))
        assert abs(estimates.mean() - exact) < 6 * error
    evidence = np.array([math.exp(run.log_evidence) for run in runs])
    weights = [sum(math.exp(d.log_weight) for d in run.drafts) / 3 for run in runs]
    assert evidence == pytest.approx(np.array(weights))


def test_particles_that_cannot_go_on_die_and_the_rest_stay_exact() -> None:
    # Two characters of three, the second of which must be greater: after the greatest, nothing.
    table = MarkovTable(9, seed=5, scale=1.0)
    ascending = Ascending(size=9, letters=(4, 5, 6), length=2)
    outcomes = count_out(ascending, table, 1.0)
    assert set(outcomes) == {(4, 5), (4, 6), (5, 6)}
    model = MarkovModel(9, table)
    runs = sample(model, [ascending] * 2000, range(2000), SamplingOptions(1.0, particles=3))
    for outcome, probability in outcomes.items():
        estimates = np.array(
            [sum(math.exp(d.log_weight) for d in r.drafts if d.tokens == outcome) / 3 for r in runs]
        )
        # 6 standard errors: a false alarm once in 5e8.
        error = estimates.std() / math.sqrt(len(runs))
        assert abs(estimates.mean() - probability) < 6 * error


@pytest.mark.parametrize("decoding", ["particles", "plain", "beam"])
def test_when_every_particle_dies_there_is_no_draft_and_others_are_served(decoding: str) -> None:
    options = SamplingOptions(particles=4, decoding=decoding)  # type: ignore[arg-type]
    hopeless = Ascending(size=9, letters=(4, 5, 6), length=4)
    easy = Ascending(size=9, letters=(4, 5, 6, 7), length=1)
    model = MarkovModel(9, MarkovTable(9, seed=1, scale=1.0))
    first, second = sample(model, [hopeless, easy], [0, 0], options)
    assert first.drafts == ()
    assert first.log_evidence == -math.inf
    assert len(second.draft.tokens) == 1
    assert len(list(stream(model, hopeless, 0, options))) < 4  # It ends where all have died.


def test_a_wide_beam_finds_the_likeliest_sequence_of_all() -> None:
    table = MarkovTable(len(LETTERS), seed=6, scale=1.0)
    constraint = template(LETTERS, "天水", 3)
    outcomes = count_out(constraint, table, 1.0)
    options = SamplingOptions(particles=len(outcomes), decoding="beam")
    [result] = draw(LETTERS, table, constraint, 1, options)
    best = max(outcomes, key=outcomes.__getitem__)
    assert result.draft.tokens == best
    assert result.draft.log_weight == pytest.approx(math.log(outcomes[best]), abs=1e-4)
    assert {draft.tokens for draft in result.drafts} == set(outcomes)


@pytest.mark.parametrize("decoding", ["particles", "plain", "beam"])
@pytest.mark.parametrize("vocabulary", [LETTERS, SYLLABLES])
def test_a_draft_knows_what_the_model_itself_thinks_of_it(
    vocabulary: Vocabulary, decoding: str
) -> None:
    table = MarkovTable(len(vocabulary), seed=7, scale=3.0)
    options = SamplingOptions(0.5, top_k=3, particles=6, decoding=decoding)  # type: ignore[arg-type]
    for result in draw(vocabulary, table, template(vocabulary, "天人", 4), 5, options):
        assert len(result.drafts) == options.size
        for draft in result.drafts:
            assert draft.tokens[-1] == EOS
            expected = table.log_probability(draft.tokens)
            assert draft.log_probability == pytest.approx(expected, abs=1e-3)


def test_a_poem_does_not_depend_on_what_else_is_in_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = MarkovTable(len(SYLLABLES), seed=8, scale=1.0)
    model = MarkovModel(len(SYLLABLES), table)
    constraints = [template(SYLLABLES, heads, 5) for heads in ("天", "地人", "人人天", "地")]
    seeds = [11, 5, 0, 5]
    options = SamplingOptions(particles=8)
    together = sample(model, constraints, seeds, options)
    alone = [sample(model, [c], [s], options)[0] for c, s in zip(constraints, seeds, strict=True)]
    assert together == alone
    monkeypatch.setattr(sampler, "_LARGEST_LOGITS", 2 * 8 * 4 * len(SYLLABLES))
    assert sample(model, constraints, seeds, options) == together  # In two batches now.


@pytest.mark.parametrize("decoding", ["particles", "plain", "beam"])
@pytest.mark.parametrize("vocabulary", [LETTERS, SYLLABLES])
def test_a_stream_is_the_same_sequence(vocabulary: Vocabulary, decoding: str) -> None:
    table = MarkovTable(len(vocabulary), seed=9, scale=2.0)
    constraint = template(vocabulary, "人天地", 4)
    options = SamplingOptions(particles=6, decoding=decoding)  # type: ignore[arg-type]
    model = MarkovModel(len(vocabulary), table)
    for seed in range(5):
        [result] = sample(model, [constraint], [seed], options)
        assert tuple(stream(model, constraint, seed, options)) == result.draft.tokens


def test_a_stream_gives_what_is_settled_before_the_end() -> None:
    model = MarkovModel(len(LETTERS), MarkovTable(len(LETTERS), seed=9, scale=2.0))
    constraint = template(LETTERS, "人天地", 5)
    streamed = stream(model, constraint, 0, SamplingOptions(particles=32))
    assert LETTERS.tokens[next(streamed)] == "人"
    assert model.steps == 1
    plain = stream(model, constraint, 0, SamplingOptions(decoding="plain"))
    for number, _ in enumerate(plain, 1):
        assert model.steps == 1 + number


def test_the_mask_comes_before_top_k_and_top_p() -> None:
    # What is allowed is the least likely of all: a filter that came first would delete it.
    table = MarkovTable(9, seed=1, scale=1.0)
    table.before[:] = 0
    table.last[:, 4:7] = [-50, -52, -90]
    only = Ascending(size=9, letters=(4, 5, 6), length=1)
    model = MarkovModel(9, table)
    for options in (SamplingOptions(top_k=1), SamplingOptions(top_p=0.01)):
        for result in sample(model, [only] * 20, range(20), options):
            assert result.draft.tokens == (4,)
    seen = {
        result.draft.tokens[0]
        for result in sample(model, [only] * 200, range(200), SamplingOptions(1.0, top_k=2))
    }
    assert seen == {4, 5}
    nucleus = SamplingOptions(1.0, top_p=0.95)  # The first has 0.88, the two together 1 - 4e-18.
    assert {r.draft.tokens[0] for r in sample(model, [only] * 200, range(200), nucleus)} == {4, 5}


@pytest.mark.parametrize("decoding", ["particles", "plain", "beam"])
@pytest.mark.parametrize("temperature", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("huge", [-1e30, -3e38, -math.inf])
def test_what_the_model_calls_impossible_is_written_if_it_must_be(
    huge: float, temperature: float, decoding: str
) -> None:
    table = MarkovTable(9, seed=1, scale=1.0)
    table.before[:] = 0
    table.last[:, 4:7] = huge
    table.last[:, 7] = 3e38
    model = MarkovModel(9, table)
    only = Ascending(size=9, letters=(4, 5), length=1)
    options = SamplingOptions(temperature, decoding=decoding)  # type: ignore[arg-type]
    [result] = sample(model, [only], [0], options)
    assert result.draft.tokens in ((4,), (5,))
    assert math.isfinite(result.draft.log_probability)
    assert math.isfinite(result.draft.log_weight)


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ({"temperature": 0.0}, "--temperature"),
        ({"temperature": math.nan}, "--temperature"),
        ({"top_k": -1}, "--top-k"),
        ({"top_p": 0.0}, "--top-p"),
        ({"top_p": 1.5}, "--top-p"),
        ({"particles": 0}, "--particles"),
        ({"decoding": "greedy"}, "--decoding"),
    ],
)
def test_an_option_out_of_range_is_named(values: Mapping[str, float], flag: str) -> None:
    with pytest.raises(PoetgenError, match=flag):
        SamplingOptions(**values)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Place:
    position: int
    last: int
    finished: bool


@dataclass(frozen=True)
class Ascending:
    """A constraint with dead ends: `length` of the letters, each greater than the one before."""

    size: int
    letters: tuple[int, ...]
    length: int

    prompt = (BOS,)

    def start(self) -> Place:
        return Place(0, 0, finished=False)

    def allowed(self, cursors: Sequence[Place]) -> npt.NDArray[np.bool_]:
        rows = np.zeros((len(cursors), self.size), np.bool_)
        for row, cursor in zip(rows, cursors, strict=True):
            row[[letter for letter in self.letters if letter > cursor.last]] = True
        return rows

    def advance(self, cursor: Place, token: int) -> Place:
        position = cursor.position + 1
        return Place(position, token, position == self.length)


def test_the_way_of_counting_out_is_right() -> None:
    table = MarkovTable(9, seed=2, scale=1.0)
    outcomes = count_out(Ascending(9, (4, 5, 6), 2), table, 1.0)
    for pair in itertools.combinations((4, 5, 6), 2):
        assert math.log(outcomes[pair]) == pytest.approx(table.log_probability(pair), abs=1e-9)
