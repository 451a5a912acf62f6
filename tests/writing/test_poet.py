"""From a request to a poem, whatever the model says."""

import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from poetgen import checkpoint
from poetgen.checkpoint import load_checkpoint
from poetgen.corpus.script import to_simplified
from poetgen.dataset.runs import RunFilter
from poetgen.dataset.vocabulary import UNK, Vocabulary
from poetgen.errors import PoetgenError, TemplateError
from poetgen.models.config import ModelConfig
from poetgen.verse.forms import FORMS, PoemForm, form_named, free_form
from poetgen.verse.poem import MARKS, is_han
from poetgen.writing import poet as poet_module
from poetgen.writing.options import SamplingOptions
from poetgen.writing.poet import Poet
from poetgen.writing.request import Request, acrostic_request, continuation_request
from poetgen.writing.sampler import sample
from poetgen.writing.written import WrittenPoem
from tests.cli.random_model import write_random_model
from tests.dataset.test_runs import split_of
from tests.writing.fakes import CHARACTERS, HAN, WORDS, MarkovModel, MarkovTable, RandomTable

STRANGE = "龘𠮷東風"
"""Characters that no fake vocabulary has: rare, of another plane, Traditional."""


def random_poet(vocabulary: Vocabulary, seed: int, scale: float = 2.0, holes: float = 0.0) -> Poet:
    size = len(vocabulary)
    return Poet(MarkovModel(size, RandomTable(size, seed, scale, holes)), vocabulary, "random")


@pytest.fixture(scope="module")
def poet() -> Poet:
    table = MarkovTable(len(CHARACTERS), seed=1, scale=1.0)
    return Poet(MarkovModel(len(CHARACTERS), table), CHARACTERS, "fake")


forms = st.sampled_from(FORMS) | st.builds(free_form, st.integers(1, 5), st.integers(2, 9))
glyphs = st.sampled_from(HAN + STRANGE)
options = st.builds(
    SamplingOptions,
    temperature=st.sampled_from([0.01, 0.7, 1.0, 100.0]),
    top_k=st.sampled_from([0, 1, 3, 1000]),
    top_p=st.sampled_from([1.0, 0.5, 1e-9]),
    particles=st.sampled_from([1, 2, 7]),
    decoding=st.sampled_from(["particles", "plain", "beam"]),
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    form: PoemForm = draw(forms)
    if draw(st.integers(0, 3)) == 0:
        length = form.line_length
        whole = draw(st.integers(0, form.line_count - 1))
        lines = [draw(st.text(glyphs, min_size=length, max_size=length)) for _ in range(whole)]
        lines = [line + draw(st.sampled_from(["", *MARKS])) for line in lines]
        lines.append(draw(st.text(glyphs, min_size=1, max_size=length - 1)))
        return Request("", form, first_lines=tuple(lines))
    number = draw(st.sampled_from([form.line_count, 4 if form.line_count == 8 else 0])) or 1
    number = form.line_count if number not in (4, 8) else number
    heads = draw(st.text(glyphs, min_size=number, max_size=number))
    ats: list[str | int] = ["head", "tail", draw(st.integers(1, form.line_length))]
    if number <= form.line_length:
        ats.append("diagonal")
    return Request(heads, form, draw(st.sampled_from(ats)))


@settings(deadline=None, max_examples=120)
@given(
    request=requests(),
    seed=st.integers(0, 2**40),
    options=options,
    vocabulary=st.sampled_from([CHARACTERS, WORDS]),
    logits=st.tuples(
        st.integers(0, 9), st.sampled_from([0.1, 5.0, 1e4]), st.sampled_from([0, 0.9])
    ),
)
def test_a_poem_is_exactly_what_was_asked_whatever_the_model_says(
    request: Request,
    seed: int,
    options: SamplingOptions,
    vocabulary: Vocabulary,
    logits: tuple[int, float, float],
) -> None:
    poet = random_poet(vocabulary, *logits)
    [poem] = poet.write([request], [seed], options)
    assert isinstance(poem, WrittenPoem)
    layout = request.layout()
    assert len(poem.lines) == request.form.line_count
    known = set("".join(vocabulary.tokens[4:]))
    for line, asked, mark, forced in zip(poem.lines, layout, poem.marks, poem.forced, strict=True):
        assert len(line) == request.form.line_length
        assert mark in asked.marks
        assert forced == tuple(glyph is not None for glyph in asked.glyphs)
        for character, glyph in zip(line, asked.glyphs, strict=True):
            assert is_han(character)
            assert character == glyph if glyph else character in known
        written = [c for c, glyph in zip(line, asked.glyphs, strict=True) if glyph is None]
        for character in written:  # Once, or twice side by side.
            assert line.count(character) == 1 or (
                line.count(character) == 2 and character * 2 in line
            )
    free = [line for line, asked in zip(poem.lines, layout, strict=True) if None in asked.glyphs]
    assert len(set(free)) == len(free)
    assert poem.nats_per_character >= 0
    assert math.isfinite(poem.nats_per_character)
    assert "".join(c for c, _ in poet.stream(request, seed, options)) == poem.text


def test_the_same_seed_gives_the_same_poem(poet: Poet) -> None:
    several = poet.acrostic("春夏秋冬", n=3, seed=40)
    assert {poem.seed for poem in several} == {40, 41, 42}
    assert len({poem.text for poem in several}) == 3
    for poem in several:
        assert poet.acrostic("春夏秋冬", seed=poem.seed) == [poem]
    assert poet.acrostic("春夏秋冬") != poet.acrostic("春夏秋冬")  # Without one: any.


def test_the_best_of_several_is_first(poet: Poet) -> None:
    costs = [poem.cost for poem in poet.acrostic("春夏秋冬", n=5, seed=1)]
    assert costs == sorted(costs)


def test_the_best_draft_is_shown_and_the_one_drawn_where_that_is_asked_for(poet: Poet) -> None:
    request = acrostic_request("春夏秋冬")
    template = poet.template(request)
    seeds = range(20)
    results = sample(poet._model, [template] * 20, seeds, SamplingOptions())
    drawn = poet.acrostic("春夏秋冬", n=20, seed=0, rank=False)
    best = [poem for poem in poet.write([request] * 20, seeds) if isinstance(poem, WrittenPoem)]
    for seed, one, other, result in zip(seeds, drawn, best, results, strict=True):
        texts = {"".join(c for c, _ in template.spell(draft.tokens)) for draft in result.drafts}
        assert one.text == "".join(c for c, _ in template.spell(result.draft.tokens))
        assert other.text in texts
        assert other.cost <= one.cost
        for poem, rank in ((one, False), (other, True)):
            assert poem.seed == seed
            streamed = poet.stream(request, seed, rank=rank)
            assert "".join(character for character, _ in streamed) == poem.text
    assert sum(poem.cost for poem in best) < sum(poem.cost for poem in drawn)


def test_several_poems_differ_and_a_twins_seed_is_left_out() -> None:
    poet = random_poet(CHARACTERS, seed=3, scale=3.0)
    options = SamplingOptions(temperature=0.3, particles=1)
    request = acrostic_request("春夏", "free", line_length=3, tones="off")
    alone = {seed: poet.write([request], [seed], options)[0] for seed in range(18)}
    assert len({poem.text for poem in alone.values() if isinstance(poem, WrittenPoem)}) < 18
    several = list(poet.write_different(request, 6, itertools.count(), options))
    assert [alone[poem.seed] for poem in several] == several
    for one, other in itertools.combinations(several, 2):
        agree = [a == b for a, b in zip(one.text, other.text, strict=True)]
        assert sum(agree) - 4 <= 2  # Beside two heads and two marks, at most half of four.


def test_a_beam_writes_one_poem_however_many_are_asked_for(poet: Poet) -> None:
    assert len(poet.acrostic("春夏秋冬", n=3, decoding="beam", particles=4)) == 1


@settings(deadline=None, max_examples=40)
@example(acrostic_request("月来上无風", "free", line_length=8, tones="off"), WORDS, 46, "plain")
@given(
    request=requests(),
    vocabulary=st.sampled_from([CHARACTERS, WORDS]),
    seed=st.integers(0, 1000),
    decoding=st.sampled_from(["particles", "plain", "beam"]),
)
def test_no_line_stands_in_the_corpus_whatever_the_model_says(
    request: Request,
    vocabulary: Vocabulary,
    seed: int,
    decoding: Literal["particles", "plain", "beam"],
) -> None:
    # The corpus is what the same model wrote before, so it would write it again.
    options = SamplingOptions(temperature=0.3, particles=3, decoding=decoding)
    size = len(vocabulary)
    model = MarkovModel(size, RandomTable(size, seed, 5.0))
    before = Poet(model, vocabulary, "random").write([request] * 3, [seed, 1, 2], options)
    texts = [vocabulary.encode(poem.text) for poem in before if isinstance(poem, WrittenPoem)]
    runs = RunFilter.build(split_of(texts), vocabulary)
    poet = Poet(model, vocabulary, "random", runs=runs)
    [poem] = poet.write([request], [seed], options)
    assert isinstance(poem, WrittenPoem)
    for line, forced in zip(poem.lines, poem.forced, strict=True):
        # A head in Traditional is looked up as the model reads it.
        assert all(forced) or not runs.borrowed_line(to_simplified(line))
    assert "".join(c for c, _ in poet.stream(request, seed, options)) == poem.text
    if request.form.line_length < 5:
        assert poem.borrowed_share is None


def test_a_checkpoint_keeps_off_its_corpus_and_works_where_nothing_is_known_of_it(
    tmp_path: Path,
) -> None:
    folder = write_random_model(tmp_path / "mine")
    [poem] = Poet.load(folder).acrostic("春夏秋冬", "五绝", seed=1)
    assert poem.borrowed_share is None
    vocabulary = load_checkpoint(folder).vocabulary
    runs = RunFilter.build(split_of([vocabulary.encode(poem.text)]), vocabulary)
    runs.save(folder / "runs.safetensors", {"content_hash": ""})
    poet = Poet.load(folder)
    [other] = poet.acrostic("春夏秋冬", "五绝", seed=1)
    assert not set(poem.lines) & set(other.lines)
    assert other.borrowed_share == 0.0
    assert poet.corpus == "none"


def test_a_poem_tells_what_it_is(poet: Poet) -> None:
    [poem] = poet.acrostic("春夏 秋冬", form="wujue", at="tail", seed=1, temperature=0.5)
    assert (poem.heads, poem.form, poem.model) == ("春夏秋冬", form_named("五绝"), "fake")
    assert [line[-1] for line in poem.lines] == list("春夏秋冬")
    assert poem.forced[0] == (False, False, False, False, True)


def test_a_batch_serves_the_others_when_one_request_cannot_be_met(poet: Poet) -> None:
    heads = ["春夏秋冬", "春夏", "东西南北", "xyz!", "春夏秋冬"]
    outcomes = poet.write([acrostic_request(each) for each in heads], [3, 3, 3, 3, 3])
    assert [isinstance(outcome, WrittenPoem) for outcome in outcomes] == [1, 0, 1, 0, 1]
    assert isinstance(outcomes[1], TemplateError)
    assert "2 heads" in outcomes[1].message
    assert isinstance(outcomes[2], WrittenPoem)
    assert outcomes[2].heads == "东西南北"
    assert outcomes[0] == outcomes[4] == poet.acrostic("春夏秋冬", seed=3)[0]
    assert poet.write([], []) == []


def test_a_single_request_that_cannot_be_met_is_raised(poet: Poet) -> None:
    with pytest.raises(TemplateError):
        poet.acrostic("春夏")
    with pytest.raises(TemplateError):
        poet.continue_poem("天")
    with pytest.raises(TemplateError):
        poet.stream(acrostic_request("春夏"), seed=0)


@pytest.mark.parametrize(("n", "seed", "flag"), [(0, 1, "-n"), (1, -1, "--seed")])
def test_numbers_out_of_range_are_named(poet: Poet, n: int, seed: int, flag: str) -> None:
    with pytest.raises(PoetgenError, match=f"^{flag} is"):
        poet.acrostic("春夏秋冬", n=n, seed=seed)


def test_nats_are_the_models_own_and_unk_costs_what_it_hides() -> None:
    table = MarkovTable(len(CHARACTERS), seed=2, scale=1.0)
    poet = Poet(MarkovModel(len(CHARACTERS), table), CHARACTERS, "fake")
    [poem] = poet.acrostic("春龘", "free", line_length=3, seed=5, temperature=0.3)
    tokens = [CHARACTERS.id_of(character) for character in (*poem.text, "<eos>")]
    assert tokens.count(UNK) == 1
    nats = math.log(30_000) - table.log_probability(tokens)
    assert poem.nats_per_character == pytest.approx(nats / 6, abs=1e-5)


def test_a_continuation_begins_with_the_text_as_it_was_given(poet: Poet) -> None:
    [poem] = poet.continue_poem("白日依山盡？黃河入海流", seed=1)
    assert poem.lines[:2] == ("白日依山盡", "黃河入海流")
    assert poem.marks[0] == "？"
    assert (len(poem.lines), poem.form) == (4, form_named("五绝"))
    streamed = poet.stream(continuation_request("白日依山盡？黃河入海流"), 1)
    assert "".join(character for character, _ in streamed) == poem.text


def test_opencc_is_loaded_for_unknown_glyphs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fold(glyph: str) -> str:
        asked.append(glyph)
        return "东"

    monkeypatch.setattr(poet_module, "_fold_simplified", fold)
    poet = random_poet(CHARACTERS, seed=1)
    poet.acrostic("春夏秋冬")
    assert asked == []
    [poem] = poet.acrostic("東夏秋冬")
    assert poem.lines[0][0] == "東"
    assert asked == ["東"]


@pytest.mark.parametrize(
    ("script", "head", "known"), [("simplified", "東", "东"), ("traditional", "东", "東")]
)
def test_a_head_in_the_other_script_is_known_to_the_model(
    script: str, head: str, known: str
) -> None:
    vocabulary = Vocabulary((*CHARACTERS.tokens[:44], "東") if known == "東" else CHARACTERS.tokens)
    vocabulary = Vocabulary([t for t in vocabulary.tokens if t != head])
    table = MarkovTable(len(vocabulary), 1, 1.0)
    poet = Poet(MarkovModel(len(vocabulary), table), vocabulary, "fake", script)
    template = poet.template(acrostic_request(head, "free", line_length=2))
    [row] = template.allowed([template.start()])
    assert [vocabulary.tokens[i] for i in np.flatnonzero(row)] == [known]
    assert poet.acrostic(head, "free", line_length=2)[0].text[0] == head


def test_a_checkpoint_writes_without_torch_or_opencc(tmp_path: Path) -> None:
    config = ModelConfig(
        cell="gru", vocabulary_size=len(CHARACTERS), embedding_size=4, hidden_size=6
    )
    random = np.random.default_rng(0)
    arrays = {
        name: random.standard_normal(shape).astype(np.float32)
        for name, shape in config.parameter_shapes().items()
    }
    folder = tmp_path / "mine"
    checkpoint.write_description(
        folder,
        model=config,
        tokenizer="char",
        script="simplified",
        vocabulary=CHARACTERS,
        corpus={},
        training={},
    )
    checkpoint.save_weights(folder, arrays, {})
    program = (
        "import sys; from poetgen import Poet\n"
        f"[poem] = Poet.load({str(folder)!r}).acrostic('春夏秋冬', seed=1)\n"
        "assert not {'torch', 'opencc', 'jieba'} & set(sys.modules)\n"
        "sys.stdout.buffer.write(f'{poem.model} {poem.text}'.encode())"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    name, text = ran.stdout.decode("utf-8").split()
    assert name == "mine"
    assert text == Poet.load(folder).acrostic("春夏秋冬", seed=1)[0].text


def test_what_is_borrowed_is_the_same_whichever_characters_the_heads_are_written_in() -> None:
    options = SamplingOptions(temperature=0.3, particles=3)
    size = len(CHARACTERS)
    model = MarkovModel(size, RandomTable(size, 1, 5.0))

    def request(head: str) -> Request:
        return acrostic_request(head * 2, "free", line_length=6, tones="off")

    before = Poet(model, CHARACTERS, "random").write([request("风")] * 3, [1, 2, 3], options)
    texts = [CHARACTERS.encode(poem.text) for poem in before if isinstance(poem, WrittenPoem)]
    poet = Poet(model, CHARACTERS, "random", runs=RunFilter.build(split_of(texts), CHARACTERS))
    [simplified, traditional] = poet.write([request("风"), request("風")], [4, 4], options)
    assert isinstance(simplified, WrittenPoem)
    assert isinstance(traditional, WrittenPoem)
    assert traditional.lines == tuple(line.replace("风", "風") for line in simplified.lines)
    # Of four runs of five, the one that begins with a head.
    assert simplified.borrowed_share == 0.25
    assert traditional.borrowed_share == 0.25
    assert traditional.cost == simplified.cost
