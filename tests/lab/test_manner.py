"""A classifier that judges drafts: what it says, and that it is heard."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from poetgen.cli.acrostic import acrostic as command
from poetgen.dataset.context import CONTROLS, WIDTH
from poetgen.dataset.labelled import TARGETS, Target
from poetgen.dataset.vocabulary import Vocabulary
from poetgen.errors import PoetgenError, TrainingError
from poetgen.lab.classifier_files import (
    Description,
    load_classifier,
    save_weights,
    write_description,
)
from poetgen.lab.classify import judge
from poetgen.lab.manner import manner_by
from poetgen.models.classifier import Classifier, ClassifierConfig
from poetgen.training.options import TrainingOptions
from poetgen.writing.poet import Poet
from poetgen.writing.ranking import MANNER, appraise
from tests.writing.fakes import CHARACTERS, MarkovModel, RandomTable

LINES = ("春夏秋冬山", "水风月花鸟", "云雨雪江天", "地人心日夜")


def make_classifier(folder: Path, target: Target) -> Path:
    config = ClassifierConfig(
        vocabulary_size=len(CHARACTERS), classes=len(target.classes), hidden_size=8
    )
    description = Description(
        config, target, "simplified", CHARACTERS.sha256, {}, TrainingOptions(steps=1)
    )
    model = Classifier(config)
    model.initialise(3)
    write_description(folder, description, CHARACTERS)
    save_weights(folder, description, model, {})
    return folder


def test_manner_is_the_log_odds_of_the_style_asked_for(tmp_path: Path) -> None:
    folder = make_classifier(tmp_path / "judge", TARGETS["dynasty"])
    manner = manner_by(folder)
    share = judge(load_classifier(folder), ["，".join(LINES)])[0].probabilities["唐"]
    assert 0.01 < share < 0.99
    assert abs(share - 0.5) > 1e-4
    odds = manner("唐", LINES)
    assert 1 / (1 + 2.718281828**-odds) == pytest.approx(share, abs=1e-6)
    assert manner("宋", LINES) == pytest.approx(-odds)
    with pytest.raises(TrainingError, match="which is no style"):
        manner_by(make_classifier(tmp_path / "form", TARGETS["form"]))


def test_what_a_judge_says_counts_in_nats_a_character() -> None:
    forced = [[False] * len(line) for line in LINES]

    def cost(manner: float) -> float:
        return appraise(LINES, forced, 4.0, None, manner).cost

    assert cost(2.0) == pytest.approx(cost(0.0) - 2 * MANNER)
    assert appraise(LINES, forced, 4.0, None).cost == cost(0.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("--judge", "--style")),
        (("--style", "唐", "--no-rank"), ("--judge", "--no-rank")),
        (("--style", "唐"), ("nowhere", "no classifier")),
    ],
)
def test_a_judge_without_a_matter_is_an_error_that_names_the_flags(
    arguments: Sequence[str], words: Sequence[str]
) -> None:
    done = CliRunner().invoke(command, ["春夏秋冬", "--judge", "nowhere", *arguments])
    assert isinstance(done.exception, PoetgenError)
    assert all(word in str(done.exception) for word in words)


def test_of_the_drafts_the_one_that_the_judge_prefers_is_shown_where_a_style_is_asked_for() -> None:
    vocabulary = Vocabulary((*CHARACTERS.tokens[:4], *CONTROLS, *CHARACTERS.tokens[4:]))
    model = MarkovModel(len(vocabulary), RandomTable(len(vocabulary), 0), context=WIDTH)
    poet, heard = Poet(model, vocabulary, "fake"), []

    def mountains(style: str, lines: Sequence[str]) -> float:
        heard.append(style)
        return 50.0 * "".join(lines).count("山")

    def count(style: str | None) -> int:
        poems = poet.acrostic("天地人心", "五绝", n=6, seed=0, tones="off", style=style)
        return sum(poem.text.count("山") for poem in poems)

    before = count("唐")
    poet.manner = mountains
    assert count("唐") > before
    assert set(heard) == {"唐"}
    heard.clear()
    count(None)
    assert heard == []
