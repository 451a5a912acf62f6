import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from poetgen.checkpoint import load_checkpoint
from poetgen.cli.lab.compare import compare as command
from poetgen.errors import TrainingError
from poetgen.lab.compare import Comparison, Outcome, Turn, losers_best, records
from poetgen.lab.terms import RECORD, Terms, read_terms
from poetgen.training.recipe import Recipe
from tests.conftest import RunCli

SMALL = Terms(cells=("rnn:relu", "lstm"), steps=4, parameters=30_000, embedding_size=16)


def _outcome(name: str, *validated: tuple[float, float]) -> Outcome:
    return Outcome(
        name=name,
        checkpoint=name,
        hidden_size=1,
        parameters=1,
        steps=1,
        seconds=1.0,
        tokens_per_second=1.0,
        validated=validated,
        perplexity=None,
        test_perplexity=None,
        gradient_norm=1.0,
        largest_gradient_norm=1.0,
        clipped=0.0,
        poem="",
    )


def test_the_losers_best_is_reached_between_two_validations_on_a_straight_line() -> None:
    winner = _outcome("winner", (10, 7.0), (20, 5.0), (30, 4.0))
    loser = _outcome("loser", (10, 8.0), (20, 5.5), (30, 6.0))
    assert losers_best([winner, loser]) == 5.5
    assert winner.seconds_to(5.5) == pytest.approx(17.5)
    assert loser.seconds_to(5.5) == 20
    assert winner.seconds_to(7.5) == 10  # Before the first validation nothing is known.
    assert loser.seconds_to(5.0) is None
    found = {
        record["name"]: record["seconds_to_losers_best"] for record in records([winner, loser])
    }
    assert found == {"winner": pytest.approx(17.5), "loser": 20}


def test_without_a_validation_nobody_has_lost() -> None:
    assert losers_best([_outcome("a")]) is None
    assert records([_outcome("a")])[0]["seconds_to_losers_best"] is None


def _run(folder: Path, terms: Terms = SMALL, *, resume: bool = False) -> tuple[Comparison, int]:
    """The comparison, and the steps that were made."""
    comparison = Comparison(terms, folder, resume=resume)
    return comparison, sum(isinstance(record, Turn) for record in comparison.run())


def test_each_becomes_an_ordinary_checkpoint_with_as_many_parameters(tmp_path: Path) -> None:
    comparison, steps = _run(tmp_path / "all")
    assert steps == 8
    assert [outcome.name for outcome in comparison.outcomes] == ["rnn:relu", "lstm"]
    for contestant, outcome in zip(comparison.contestants, comparison.outcomes, strict=True):
        checkpoint = load_checkpoint(outcome.checkpoint)
        assert checkpoint.folder == contestant.folder
        assert checkpoint.model == contestant.config
        assert checkpoint.model.hidden_size == outcome.hidden_size
        assert Recipe.load(contestant.folder) == contestant.recipe  # `train --resume` goes on.
        assert outcome.parameters == pytest.approx(30_000, rel=0.01)
        assert outcome.steps == 4
        assert len(outcome.validated) == 4
        assert outcome.perplexity == math.exp(min(nats for _, nats in outcome.validated))
        assert outcome.test_perplexity is not None
        assert 1 < outcome.test_perplexity < math.inf
        assert 0 < outcome.gradient_norm <= outcome.largest_gradient_norm
        assert outcome.tokens_per_second > 0
        heads = [line[0] for line in outcome.poem.replace("，", "。").split("。") if line]
        assert heads == list("春夏秋冬")


def test_what_is_finished_is_not_trained_again_and_another_may_join(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    first, _ = _run(folder)
    log = (folder / "lstm" / "metrics.jsonl").read_bytes()
    again, steps = _run(folder, read_terms(folder) or SMALL, resume=True)
    assert steps == 0
    assert again.outcomes == first.outcomes
    more = dataclasses.replace(SMALL, cells=(*SMALL.cells, "mingru"))
    joined, steps = _run(folder, more, resume=True)
    assert steps == 4
    assert [outcome.name for outcome in joined.outcomes] == ["rnn:relu", "lstm", "mingru"]
    assert (folder / "lstm" / "metrics.jsonl").read_bytes() == log


def test_a_stop_keeps_what_is_finished_and_the_rest_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    comparison = Comparison(SMALL, folder, resume=False)
    made: list[tuple[str, int]] = []
    for record in comparison.run():
        if isinstance(record, Turn):
            made.append((record.contestant.name, record.progress.step))
            if len(made) == 5:
                comparison.stop()  # It ends after the next step, which is "in hand".
    assert made[-1] == ("lstm", 2)
    assert comparison.stopping
    assert [outcome.name for outcome in comparison.outcomes] == ["rnn:relu"]
    assert [cell["name"] for cell in _saved(folder)] == ["rnn:relu"]
    rest, steps = _run(folder, resume=True)
    assert steps == 2
    assert len(rest.outcomes) == 2
    # As if it had never stopped.
    whole, _ = _run(tmp_path / "whole")
    for mine, other in zip(rest.outcomes, whole.outcomes, strict=True):
        assert mine.perplexity == other.perplexity
        assert mine.poem == other.poem


def _saved(folder: Path) -> Sequence[dict[str, object]]:
    cells = json.loads((folder / RECORD).read_text(encoding="utf-8"))["cells"]
    assert isinstance(cells, list)
    return cells


def test_a_network_named_twice_or_unknown_is_one_clear_error(tmp_path: Path) -> None:
    for cells in (("lstm", "lstm"), ("lstm", "qrnn"), ("rnn:x2",)):
        with pytest.raises(TrainingError, match="--cell"):
            Comparison(dataclasses.replace(SMALL, cells=cells), tmp_path / "all", resume=False)
        assert not (tmp_path / "all").exists()


def test_the_command_shows_tables_poems_and_a_picture(run_cli: RunCli, tmp_path: Path) -> None:
    small = ("--parameters", "30000", "--embedding-size", "16", "--steps", "3")
    asked = ("--cells", "gru,output", "--form", "五绝", "--heads", "平安喜乐")
    result = run_cli("lab", "compare", *asked, *small, timeout=110)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""  # No terminal, no display.
    for words in ("on test poems", "s to the loser's best", "clipped", "gru: 平", "output: 平"):
        assert words in result.stdout
    assert result.stdout.endswith("compare.png\n")
    folder = tmp_path / "compare-sample"
    assert (folder / "compare.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(TrainingError, match="has a comparison") as refusal:
        Comparison(SMALL, folder, resume=False)
    assert "--resume" in refusal.value.hint


def test_json_is_one_object_and_resume_remembers_what_was_asked(tmp_path: Path) -> None:
    folder = str(tmp_path / "all")
    small = ["--parameters", "30000", "--embedding-size", "16", "--output", folder, "--json"]
    first = CliRunner().invoke(command, ["--cells", "mingru", "--steps", "2", *small])
    (line,) = first.stdout.splitlines()
    record = json.loads(line)
    assert (record["steps"], record["minutes"], record["parameters"]) == (2, None, 30_000)
    (cell,) = record["cells"]
    assert cell["name"] == "mingru"
    assert cell["seconds_to_losers_best"] is not None
    second = CliRunner().invoke(command, ["--resume", "--output", folder, "--json"])
    assert json.loads(second.stdout)["cells"] == record["cells"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cells", "rnn,abc"], "abc"),
        (["--steps", "3", "--minutes", "1"], "--steps and --minutes"),
        (["--minutes", "-1"], "--minutes"),
        (["--heads", "abcd"], "a"),
        (["--parameters", "10"], "--parameters is 10"),
        (["--corpus", "nothing-like-it"], "nothing-like-it"),
    ],
)
def test_a_wrong_request_ends_with_one_line_and_leaves_no_folder(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    folder = tmp_path / "all"
    done = CliRunner().invoke(command, [*arguments, "--output", str(folder)])
    assert done.exit_code == 1
    assert message in str(done.exception)
    assert not folder.exists()
