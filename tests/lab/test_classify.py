"""Training a classifier: it learns, it resumes exactly, and its command says what it does."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from poetgen.cli.lab.classify import classify as command
from poetgen.corpus.store import Details
from poetgen.dataset.encoded import EncodedCorpus, encode_corpus
from poetgen.dataset.labelled import TARGETS, target_in
from poetgen.errors import CheckpointError, PoetgenError, TrainingError
from poetgen.lab.classifier_files import (
    WEIGHTS,
    Description,
    load_classifier,
    read_description,
)
from poetgen.lab.classify import ClassifierTrainer, judge, measure
from poetgen.lab.confusion import judge_by_characters
from poetgen.models.classifier import TREE, ClassifierConfig
from poetgen.training.options import TrainingOptions
from tests.dataset.fakes import ListCorpus

_CHARACTERS = "春夏秋冬风花雪月江山明白云青天不见故人来去何时归一二三十百千万里"
_PAIR = "日夜"


def _poem(draw: np.random.Generator, dynasty: str) -> str:
    """Four lines of five that have 日 and 夜 once each, 日 first where the poem is of Tang."""
    text = draw.choice(list(_CHARACTERS), 20)
    places = np.sort(draw.choice(20, 2, replace=False))
    text[places] = list(_PAIR if dynasty == "唐" else _PAIR[::-1])
    lines = ["".join(line) for line in text.reshape(4, 5)]
    return "，".join(lines) + "。"


@pytest.fixture(scope="module")
def poems() -> list[tuple[str, str]]:
    draw = np.random.default_rng(0)
    return [(_poem(draw, dynasty), dynasty) for _ in range(1000) for dynasty in ("唐", "宋")]


@pytest.fixture
def corpus(poems: list[tuple[str, str]]) -> EncodedCorpus:
    texts, dynasties = zip(*poems, strict=True)
    details = [Details(dynasty=dynasty) for dynasty in dynasties]
    source = ListCorpus(texts, ["五绝"] * len(texts), details=details)
    return encode_corpus(source, min_count=1, split=(80, 5, 15))


def describe(corpus: EncodedCorpus, steps: int, **model: Any) -> Description:
    target = target_in(corpus, TARGETS["dynasty"])
    shape = {"embedding_size": 16, "hidden_size": 24, "dropout": 0.0, **model}
    return Description(
        model=ClassifierConfig(
            vocabulary_size=len(corpus.vocabulary), classes=len(target.classes), **shape
        ),
        target=target,
        script=corpus.script,
        vocabulary_sha256=corpus.vocabulary.sha256,
        corpus={"name": corpus.name, "place": "", "content_hash": corpus.content_hash},
        training=TrainingOptions(
            steps=steps, token_budget=640, learning_rate=1e-2, warmup_steps=10, seed=1
        ),
    )


@pytest.mark.parametrize(
    "model",
    [
        {"encoder": "lstm", "pooling": "attention"},
        {"encoder": TREE, "bidirectional": False},
    ],
)
def test_it_learns_from_poems_what_no_count_of_characters_tells(
    corpus: EncodedCorpus, tmp_path: Path, model: dict[str, Any]
) -> None:
    description = describe(corpus, 120, **model)
    with ClassifierTrainer(corpus, description, tmp_path / "run") as trainer:
        records = list(trainer.run())
    assert records[-1].step == 120
    assert sum(record.validation_nats is not None for record in records) == 20
    classifier = load_classifier(tmp_path / "run")
    test = trainer.parts["test"]
    _, found = measure(classifier.model, test, description.target, torch.device("cpu"))
    bayes = judge_by_characters(trainer.parts["train"], test, found.classes, len(corpus.vocabulary))
    # Of some 280 poems; chance has 6 standard deviations from a half to 0.68.
    assert found.poems > 200
    assert found.accuracy > 0.85
    assert bayes.accuracy < 0.68
    assert classifier.figures["validation_nats"] == trainer.position.best

    draw = np.random.default_rng(7)
    texts = {dynasty: [_poem(draw, dynasty) for _ in range(20)] for dynasty in ("唐", "宋")}
    right = sum(
        judged.best == dynasty for dynasty in texts for judged in judge(classifier, texts[dynasty])
    )
    assert right >= 32  # A coin has so many of 40 once in 10,000 times.


def test_a_run_that_is_stopped_goes_on_to_the_same_weights(
    corpus: EncodedCorpus, tmp_path: Path
) -> None:
    description = describe(corpus, 20, dropout=0.4)
    with ClassifierTrainer(corpus, description, tmp_path / "whole") as trainer:
        whole = [record.loss for record in trainer.run()]
    assert len(whole) == 20
    losses = []
    with ClassifierTrainer(corpus, description, tmp_path / "parts") as trainer:
        for record in trainer.run():
            losses.append(record.loss)
            if record.step == 9:  # It ends after the step that comes then.
                trainer.stop()
    assert (len(losses), trainer.finished) == (10, False)
    with ClassifierTrainer(corpus, description, tmp_path / "parts", resume=True) as trainer:
        losses += [record.loss for record in trainer.run()]
    assert losses == whole
    with ClassifierTrainer(corpus, description, tmp_path / "parts", resume=True) as trainer:
        assert list(trainer.run()) == []
    first, second = (
        load_classifier(tmp_path / name).model.state_dict() for name in ("whole", "parts")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_used_folder_and_a_damaged_file_are_refused(
    corpus: EncodedCorpus, tmp_path: Path
) -> None:
    folder, description = tmp_path / "run", describe(corpus, 2)
    with pytest.raises(CheckpointError, match="no classifier"):
        load_classifier(folder)
    with ClassifierTrainer(corpus, description, folder) as trainer:
        with pytest.raises(CheckpointError, match="no weights yet"):
            load_classifier(folder)
        list(trainer.run())
    assert read_description(folder).to_dict() == description.to_dict()
    with (
        pytest.raises(TrainingError, match="has a training run already"),
        ClassifierTrainer(corpus, description, folder),
    ):
        pass

    path = folder / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        load_classifier(folder)

    text = (folder / "classifier.json").read_text(encoding="utf-8")
    for bad in ("{", text.replace('"gru"', '"bean"'), text.replace('"宋"', '"清"'), "[]"):
        (folder / "classifier.json").write_text(bad, encoding="utf-8")
        with pytest.raises(CheckpointError):
            load_classifier(folder)
    # The weights of one network beside the description of another.
    other = text.replace('"pooling": "last"', '"pooling": "attention"')
    (folder / "classifier.json").write_text(other, encoding="utf-8")
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="belongs to another"):
        load_classifier(folder)


SMALL = ("--hidden-size", "12", "--embedding-size", "8", "--token-budget", "400", "-q")


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    """In this process: a new one spends seconds on importing torch."""
    return CliRunner().invoke(command, arguments)


def write_corpus(folder: Path, poems: list[tuple[str, str]]) -> Path:
    path = folder / "poems.jsonl"
    records = [
        json.dumps({"lines": text[:-1].split("，"), "dynasty": dynasty}, ensure_ascii=False)
        for text, dynasty in poems
    ]
    path.write_text("\n".join(records) + "\n", encoding="utf-8")
    return path


def test_the_command_trains_goes_on_and_answers(
    in_folder: Path, poems: list[tuple[str, str]]
) -> None:
    path = write_corpus(in_folder, poems)
    options = ("--corpus", str(path), "--target", "dynasty", "--pooling", "attention", *SMALL)
    done = run(*options, "--steps", "3", "-o", "mine", "--picture", "confusion.svg")
    assert done.exit_code == 0, done.output
    for words in (
        "dynasty by a bidirectional gru, attention pooling",
        "the first four lines, characters without marks",
        "majority class 50.0%, naive Bayes",
        "precision",
        "confusion.svg",
    ):
        assert words in done.stdout
    svg = (in_folder / "confusion.svg").read_text(encoding="utf-8")
    assert "<!-- 唐 -->" in svg

    again = run("-o", "mine", "--resume", "--steps", "5", "--json", "-q")
    assert again.exit_code == 0, again.output
    record = json.loads(again.stdout)
    assert record["steps"] == 5
    assert record["test"]["majority"] == 0.5
    assert np.sum(record["test"]["confusion"]) == record["test"]["poems"]

    asked = run("--model", "mine", "春風花雪月，江山日白云。", "夜", "--json")
    first, second = map(json.loads, asked.stdout.splitlines())
    assert first["read"] == "春风花雪月江山日白云"
    assert sum(first["probabilities"].values()) == pytest.approx(1)
    assert sum(first["attention"]) == pytest.approx(1)
    assert second["class"] in ("唐", "宋")
    assert "looked at: " in run("--model", "mine", "春风花雪月").stdout


def test_the_sample_is_told_apart_by_form(in_folder: Path) -> None:
    done = run("--encoder", "tree", "--steps", "2", *SMALL)
    assert done.exit_code == 0, done.output
    assert "form by a tree; it reads the first 20 characters, without marks" in done.stdout
    assert "五绝" in done.stdout
    assert (in_folder / "classifiers" / "form-tree" / "classifier.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--encoder", "tree", "--bidirectional"], "--bidirectional does not go with --encoder"),
        (["--encoder", "tree", "--pooling", "attention"], "--pooling attention does not go"),
        (["--target", "dynasty"], "--target dynasty needs poems of two classes"),
        (["--steps", "2", "--minutes", "1"], "--steps and --minutes given"),
        (["--picture", "x.gif"], "cannot draw x.gif"),
        (["--model", "nowhere", "春"], "nowhere is no classifier"),
        (["春"], "TEXT needs --model"),
        (["--model", "x"], "--model needs a TEXT"),
        (["--model", "x", "春", "--hidden-size", "3"], "--hidden-size is for training"),
        (["--resume"], "--resume needs --output"),
    ],
)
def test_a_wrong_request_ends_with_one_line(
    in_folder: Path, arguments: list[str], message: str
) -> None:
    done = run(*arguments)
    assert done.exit_code != 0
    assert isinstance(done.exception, PoetgenError | SystemExit)
    assert message in done.output + str(done.exception)


def test_a_run_that_goes_on_keeps_its_network(in_folder: Path) -> None:
    assert run("--steps", "1", "-o", "mine", *SMALL).exit_code == 0
    for arguments, message in (
        (("--encoder", "lstm"), "--encoder lstm does not go with the run in mine"),
        (("--one-directional",), "--one-directional does not go"),
        (("--target", "dynasty"), "--target dynasty does not go"),
        (("--learning-rate", "0.1"), "--learning-rate 0.1 does not go"),
    ):
        done = run("--resume", "-o", "mine", *arguments)
        assert message in str(done.exception)


def test_ctrl_c_ends_a_run_after_a_step_and_it_says_how_to_go_on(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "poetgen", "lab", "classify", "--output", "mine"),
            *("--hidden-size", "8", "--token-budget", "60", "--steps", "100000"),
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stderr is not None
    while "poems to train on" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=50)
    assert process.returncode == 128 + signal.SIGINT, err
    assert "--output mine --resume" in err
    assert (tmp_path / "mine" / "training_state" / "last.safetensors").is_file()
