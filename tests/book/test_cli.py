import json
from pathlib import Path

import pytest

from poetgen.book.store import Book
from tests.book.entries import LINES, entry
from tests.book.made_fonts import write_font
from tests.cli.random_model import write_random_model
from tests.conftest import RunCli


@pytest.fixture
def saved(poetgen_home: Path) -> Book:
    """A book of two poems, the newer in the free form."""
    book = Book(poetgen_home / "book.jsonl")
    book.append(entry(id="aa11", title="四时"))
    book.append(
        entry(id="bb22", lines=("山高月小", "水落石出"), marks="，。", heads="山水", form="自由")
    )
    return book


def test_a_poem_saved_by_acrostic_is_in_the_book_with_all_it_takes_to_write_it_again(
    run_cli: RunCli, tmp_path: Path, poetgen_home: Path
) -> None:
    model = write_random_model(tmp_path / "model")
    wanted = ("--model", str(model), "--at", "tail", "--temperature", "0.8", "--tones", "off")
    done = run_cli("acrostic", "春夏秋冬", *wanted, "-n", "2", "--seed", "5", "--save", "--json")
    poems = list(map(json.loads, done.stdout.splitlines()))
    kept = Book(poetgen_home / "book.jsonl").entries()
    assert [poem["id"] for poem in poems] == [each.id for each in kept]
    assert [poem["text"] for poem in poems] == [each.text for each in kept]
    assert done.stderr.splitlines() == [f"saved as {each.id}" for each in kept]
    settings = kept[0].settings
    assert (settings["form"], settings["at"], settings["tones"]) == ("七绝", "tail", "off")
    assert (settings["temperature"], settings["model"]) == (0.8, str(model))
    again = run_cli(
        "acrostic", kept[1].heads, *wanted, "--seed", str(kept[1].seed), "--json", "--quiet"
    )
    assert json.loads(again.stdout)["lines"] == list(kept[1].lines)


def test_a_poem_that_cannot_be_saved_is_shown_and_the_status_is_1(
    run_cli: RunCli, tmp_path: Path, poetgen_home: Path
) -> None:
    poetgen_home.mkdir()
    (poetgen_home / "book.jsonl").mkdir()
    model = write_random_model(tmp_path / "model")
    for more in ((), ("--json",)):
        done = run_cli("acrostic", "春夏秋冬", "--model", str(model), "--save", *more)
        assert done.returncode == 1
        assert "春" in done.stdout
        assert "cannot be written" in done.stderr


def test_the_list_has_a_poem_a_line_the_newest_last(run_cli: RunCli, saved: Book) -> None:
    rows = run_cli("book", "list").stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["aa11", "bb22"]
    for told in ("2026-11-01", "七绝", "《四时》", "春夏秋冬", LINES[0], "lstm"):
        assert told in rows[0]
    records = [json.loads(row) for row in run_cli("book", "list", "--json").stdout.splitlines()]
    assert [record["text"] for record in records] == [each.text for each in saved.entries()]


def test_an_empty_book_says_how_to_save_a_poem(run_cli: RunCli) -> None:
    listed = run_cli("book", "list")
    assert (listed.returncode, listed.stdout) == (0, "")
    assert "--save" in listed.stderr
    for command in ("show", "export"):
        done = run_cli("book", command)
        assert done.returncode == 1
        assert "the poem book is empty" in done.stderr


def test_a_damaged_line_is_told_of_and_hides_no_poem(run_cli: RunCli, saved: Book) -> None:
    with saved.path.open("a", encoding="utf-8") as file:
        file.write('{"id": \x1b[31m\n')
    done = run_cli("book", "list")
    assert len(done.stdout.splitlines()) == 2
    assert "book.jsonl, line 3 is cut off or damaged" in done.stderr


def test_a_search_that_finds_nothing_has_status_1(run_cli: RunCli, saved: Book) -> None:
    assert run_cli("book", "search", "聽鐘").stdout.split()[0] == "aa11"
    nothing = run_cli("book", "search", "雪")
    assert (nothing.returncode, nothing.stdout) == (1, "")


def test_a_poem_is_shown_by_the_beginning_of_its_id_and_the_newest_without(
    run_cli: RunCli, saved: Book
) -> None:
    assert run_cli("book", "show", "aa").stdout.startswith(f"四时\n\n{LINES[0]}，\n")
    assert run_cli("book", "show").stdout == "山高月小，\n水落石出。\n"
    assert json.loads(run_cli("book", "show", "aa", "--json").stdout)["seed"] == 7
    assert "no poem 'cc'" in run_cli("book", "show", "cc").stderr


def test_a_title_and_a_note_can_be_given_and_taken_away(run_cli: RunCli, saved: Book) -> None:
    assert run_cli("book", "edit", "--title", " 赤壁 ", "--note", "夜").returncode == 0
    assert (saved.entries()[1].title, saved.entries()[1].note) == ("赤壁", "夜")
    run_cli("book", "edit", "bb", "--title", "")
    assert (saved.entries()[1].title, saved.entries()[1].note) == ("", "夜")
    assert run_cli("book", "edit").returncode == 2


def test_removing_is_all_or_nothing_and_says_what_is_gone(run_cli: RunCli, saved: Book) -> None:
    assert run_cli("book", "remove", "aa", "cc").returncode == 1
    assert len(saved.entries()) == 2
    done = run_cli("book", "remove", "aa", "aa11")
    assert (done.returncode, done.stdout) == (0, "")
    assert "春夏秋冬" in done.stderr
    assert [each.id for each in saved.entries()] == ["bb22"]


def test_the_ending_of_the_file_says_what_to_export(
    run_cli: RunCli, saved: Book, tmp_path: Path
) -> None:
    font = write_font(tmp_path / "a.ttf", "山高月小水落石出藏头诗之印二〇六年十一月日，。")
    beginnings = {
        "a.txt": "山高月小，".encode(),
        "a.md": "**山**高月小".encode(),
        "a.json": b'{"id": "bb22"',
        "A.SVG": b"<svg",
        "a.png": b"\x89PNG",
    }
    for name, beginning in beginnings.items():
        card = ("--font", str(font)) if name[-3:].lower() in ("svg", "png") else ()
        done = run_cli("book", "export", "-o", name, *card)
        assert (done.stdout, done.stderr) == (f"{name}\n", "")
        assert (tmp_path / name).read_bytes().startswith(beginning)
    shown = run_cli("book", "export", "--format", "svg", "--vertical", "--font", str(font)).stdout
    assert shown.startswith("<svg")


def test_a_file_is_replaced_only_by_force(run_cli: RunCli, saved: Book, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine", encoding="utf-8")
    done = run_cli("book", "export", "-o", "a.txt")
    assert done.returncode == 1
    assert "a.txt is there already" in done.stderr
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "mine"
    assert run_cli("book", "export", "-o", "a.txt", "--force").returncode == 0
    assert (tmp_path / "a.txt").read_text(encoding="utf-8").startswith("山高")


def test_what_is_for_cards_is_refused_for_text(run_cli: RunCli, saved: Book) -> None:
    for option in (["--vertical"], ["--seal", "王"]):
        done = run_cli("book", "export", *option)
        assert done.returncode == 2
        assert "for cards" in done.stderr


def test_a_seal_and_a_font_that_cannot_be_used_are_one_clear_error(
    run_cli: RunCli, saved: Book, tmp_path: Path
) -> None:
    (tmp_path / "a.ttf").write_bytes(b"no font")
    for option in (["--seal", "一二三四五六七八九"], ["--font", "a.ttf"]):
        done = run_cli("book", "export", "-o", "a.svg", *option)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "a.svg").exists()
