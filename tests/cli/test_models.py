import json
from pathlib import Path

import pytest

from tests.conftest import RunCli
from tests.test_checkpoint import make


@pytest.fixture
def made(poetgen_home: Path, tmp_path: Path) -> Path:
    """Two models at home and one here, in a folder of its own to run in."""
    make(poetgen_home / "checkpoints" / "春[b]风")
    unfinished = make(poetgen_home / "checkpoints" / "unfinished", weights=False)
    (unfinished / "training_state").mkdir()
    make(tmp_path / "checkpoints" / "here")
    return poetgen_home / "checkpoints"


def test_the_list_shows_every_model_and_what_is_wrong(run_cli: RunCli, made: Path) -> None:
    done = run_cli("models")
    assert done.returncode == 0
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert rows["here"][1:4] == ["gru", "2×8", "941"]
    assert rows["here"][-3:] == ["sample", "123.50", "./checkpoints"]
    assert rows["春[b]风"][-3:] == ["sample", "123.50", "home"]
    assert rows["unfinished"][-1] == "home"
    assert "unfinished" in done.stderr
    assert "no finished weights yet" in done.stderr


def test_columns_stand_under_each_other_whatever_the_script(run_cli: RunCli, made: Path) -> None:
    from rich.cells import cell_len

    lines = run_cli("models").stdout.splitlines()
    starts = {cell_len(line[: line.index("2×8")]) for line in lines if "2×8" in line}
    assert len(starts) == 1


def test_a_pipe_cuts_no_name(run_cli: RunCli, poetgen_home: Path) -> None:
    name = "春江花月夜" * 10
    make(poetgen_home / "checkpoints" / name)
    assert name in run_cli("models", env={"COLUMNS": "30"}).stdout


def test_the_list_as_json_is_an_object_a_line(run_cli: RunCli, made: Path) -> None:
    done = run_cli("models", "--json")
    records = {record["name"]: record for record in map(json.loads, done.stdout.splitlines())}
    assert done.stderr == ""
    # The models that ship, if any, come last.
    assert list(records)[:3] == ["here", "unfinished", "春[b]风"]
    here = records["here"]
    assert (here["cell"], here["num_layers"], here["hidden_size"]) == ("gru", 2, 8)
    assert (here["corpus"], here["script"], here["tokenizer"]) == ("sample", "simplified", "char")
    assert (here["validation_perplexity"], here["problem"]) == (123.5, "")
    assert here["figures"]["step"] == 30
    assert "no finished weights" in records["unfinished"]["problem"]


def test_a_model_without_a_card_shows_its_facts(run_cli: RunCli, made: Path) -> None:
    done = run_cli("models", "here")
    assert done.returncode == 0
    for fact in ("gru, 2 × 8", "11 tokens (char)", "190 poems", "CC0-1.0", "123.50", "0.1.0"):
        assert fact in done.stdout


def test_a_card_is_shown_without_its_escape_sequences(run_cli: RunCli, made: Path) -> None:
    card = "# 春风\n\nA card with [/x] and \x1b[31mred\x1b[0m.\n"
    (made / "春[b]风" / "card.md").write_text(card, encoding="utf-8")
    done = run_cli("models", "春[b]风")
    assert "A card with [/x] and" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_model_as_json_has_its_config_and_card(run_cli: RunCli, made: Path) -> None:
    (made / "春[b]风" / "card.md").write_text("# 春风\n", encoding="utf-8")
    record = json.loads(run_cli("models", "春[b]风", "--json").stdout)
    assert record["card"] == "# 春风\n"
    assert record["config"]["training"] == {"steps": 30}


def test_a_damaged_model_is_one_line_and_a_hint(run_cli: RunCli, made: Path) -> None:
    path = made / "春[b]风" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    done = run_cli("models", "春[b]风")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "is cut short" in done.stderr
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]


def test_a_name_that_is_not_there_lists_those_that_are(run_cli: RunCli, made: Path) -> None:
    done = run_cli("models", "nope")
    assert done.returncode == 1
    assert "here" in done.stderr.splitlines()[1]


def test_the_word_show_may_be_left_out_and_options_may_come_first(
    run_cli: RunCli, made: Path
) -> None:
    short = run_cli("models", "--json", "here")
    assert short.returncode == 0, short.stderr
    assert short.stdout == run_cli("models", "show", "here", "--json").stdout
    told = run_cli("models", "--help").stdout
    for command in ("show", "pack", "card"):
        assert f"\n  {command} " in told
