import json
from pathlib import Path

import pytest

from poetgen.corpus.store import open_corpus
from poetgen.errors import PoetgenError
from poetgen.shipping.findings import read_acrostics, read_peers, read_themes
from tests.conftest import RunCli
from tests.shipping.test_measuring import write_corpus, write_model

WAY = {"way": "ours, loose", "heads": 1.0, "form": 1.0, "all_rules": 0.987, "milliseconds": 41.5}
ACROSTICS = {"entries": 30, "judge_wrote_the_poems": True, "ways": [WAY, {**WAY, "way": "plain"}]}
RATIO = {"told": 0.5, "untold": 0.2, "ratio": 2.5, "low": 2.0, "high": 3.125}
THEMES = {
    **dict.fromkeys(("poems_with_theme", "theme_characters", "neighbours"), RATIO),
    "judged_tang": {"nothing": 0.5, "唐": 0.7, "宋": 0.3},
    "poets_judged_right": {"唐": 0.75, "宋": 0.8},
    "by_theme": {"秋思": {}},
}
PEERS = [
    {
        "name": "5-gram | KN",
        "perplexity": 321.5,
        "parameters": 9_000_000,
        "minutes": 1.5,
        "command": "peer x",
    }
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(
        tmp_path / "checkpoints" / "mine", open_corpus(write_corpus(tmp_path / "checkpoints"))
    ).folder


@pytest.fixture(autouse=True)
def places(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()


def test_a_card_says_all_that_it_owes(model: Path, run_cli: RunCli, tmp_path: Path) -> None:
    for name, record in (("a.json", ACROSTICS), ("t.json", THEMES), ("p.json", PEERS)):
        (tmp_path / name).write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / "notes.md").write_text("It is **bad** at everything.\n", encoding="utf-8")
    done = run_cli(
        *("models", "card", "mine", "--acrostics", "a.json", "--themes", "t.json"),
        *(
            "--peers",
            "p.json",
            "--notes",
            "notes.md",
            "--poems",
            "4",
            "--output",
            "checkpoints/mine/card.md",
        ),
    )
    assert done.returncode == 0, done.stderr
    card = (model / "card.md").read_text(encoding="utf-8")
    for said in (
        "# mine",
        "| licence of the data | CC0 |",
        "poetgen train --corpus",
        "told form, dynasty, theme",
        "| 五绝 |",
        "| 唐 |",
        "| 5-gram \\| KN | 321.5 | 9,000,000 | 1.5 |",
        "| **mine, this one** |",
        "| all rules together | 98.7% | 98.7% |",
        "| characters that are its neighbours | 50.0% | 20.0% | 2.50 (2.00 to 3.12) |",
        "told 唐 70%",
        "poetgen acrostic 春夏秋冬 --form 七绝 --model mine --seed 0",
        "It is **bad** at everything.",
        "| poems of the test part, by poets |",
        "--poems=4",
    ):
        assert said in card, said
    assert card.count("poetgen acrostic") == 10
    shown = run_cli("models", "mine")
    assert shown.stdout == card + "\n"


def test_without_files_their_parts_are_left_out(model: Path, run_cli: RunCli) -> None:
    done = run_cli("models", "card", "mine", "--poems", "1", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert "## Acrostics" not in done.stdout
    assert "## Next to others" not in done.stdout
    assert "## What it does badly" in done.stdout


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"ways": [], "entries": 3}', "[[1]]", "3"])
def test_a_file_of_something_else_is_one_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PoetgenError, match=r"x\.json"):
        read_acrostics(path)
    with pytest.raises(PoetgenError, match=r"x\.json"):
        read_themes(path)
    if text != "[]":  # Of no peers there is nothing wrong to say.
        with pytest.raises(PoetgenError, match=r"x\.json"):
            read_peers(path)
