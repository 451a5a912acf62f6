import json
import os
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import pytest

from poetgen.book.store import Book, BookEntry
from poetgen.errors import PoetgenError
from tests.book.entries import LINES, entry, written

# A process that adds poems until told how many, or is killed. Its arguments: the file, the first
# letters of its ids, the number of poems, and the most bytes that any file may have.
_WRITER = """
import resource, sys
from dataclasses import replace
from pathlib import Path
from poetgen.book.store import Book
from poetgen.errors import PoetgenError
from tests.book.entries import entry

path, name, count, most = sys.argv[1:]
if int(most):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), int(most)))
book = Book(Path(path))
for number in range(int(count)):
    try:
        book.append(entry(id=f"{name}{number}"))
    except PoetgenError as error:
        print(error.message)
        break
    print(f"{name}{number}", flush=True)
"""


def writer(path: Path, name: str, count: int, most: int = 0) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), name, str(count), str(most)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "book.jsonl"


def test_a_poem_comes_back_as_it_was_kept(path: Path) -> None:
    kept = BookEntry.of(written(), {"at": "head", "temperature": 0.9}, title="四季", note="一\n二")
    Book(path).append(kept)
    assert Book(path).entries() == [kept]
    assert (kept.lines, kept.marks, kept.heads, kept.form) == (
        LINES,
        "，。，。",
        "春夏秋冬",
        "七绝",
    )
    assert (kept.model, kept.seed, kept.settings["temperature"]) == ("lstm", 7, 0.9)
    assert datetime.fromisoformat(kept.saved_at).tzinfo is not None


def test_the_book_lies_in_the_data_folder_and_need_not_be_there(poetgen_home: Path) -> None:
    assert Book().entries() == []
    Book().append(entry())
    assert (poetgen_home / "book.jsonl").is_file()


def test_the_newest_poem_is_the_last(path: Path) -> None:
    for name in "ab":
        Book(path).append(entry(id=name))
    assert [each.id for each in Book(path).entries()] == ["a", "b"]


def test_every_poem_has_an_id_of_its_own() -> None:
    assert len({BookEntry.of(written(), {}).id for _ in range(100)}) == 100


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_line_that_a_crash_cut_off_costs_no_other_poem(path: Path, cut: int) -> None:
    book = Book(path)
    book.append(entry(id="a"))
    book.append(entry(id="b"))
    path.write_bytes(path.read_bytes()[:-cut])
    book.append(entry(id="c"))
    contents = book.read()
    # With only its line end gone, the poem itself is whole.
    assert [each.id for each in contents.entries] == (["a", "b", "c"] if cut == 1 else ["a", "c"])
    assert contents.problems == ([] if cut == 1 else [f"{path}, line 2 is cut off or damaged"])


def test_a_line_cut_within_a_character_costs_no_other_poem(path: Path) -> None:
    Book(path).append(entry(id="a"))
    with path.open("ab") as file:
        file.write('{"lines": ["春'.encode()[:-1])
    Book(path).append(entry(id="b"))
    assert [each.id for each in Book(path).entries()] == ["a", "b"]


def test_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    writers = [writer(path, name, 100) for name in "abc"]
    for each in writers:
        each.communicate(timeout=60)
    contents = Book(path).read()
    assert contents.problems == []
    assert sorted(each.id for each in contents.entries) == sorted(
        f"{name}{number}" for name in "abc" for number in range(100)
    )


def test_threads_that_write_at_once_lose_nothing(path: Path) -> None:
    book = Book(path)

    def write(name: str) -> None:
        for number in range(20):
            book.append(entry(id=f"{name}{number}"))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(book.entries()) == 80


def test_what_a_killed_process_had_saved_is_there(path: Path) -> None:
    process = writer(path, "a", 100_000)
    assert process.stdout
    said = [process.stdout.readline().strip() for _ in range(20)]
    process.kill()
    rest, _ = process.communicate()
    said += rest.split("\n")[:-1]  # Its very last line may be cut off.
    Book(path).append(entry(id="next"))
    ids = [each.id for each in Book(path).entries()]
    assert set(said) <= set(ids)
    assert ids[-1] == "next"


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on the size of files")
def test_a_disk_that_fills_up_is_one_clear_error_and_leaves_the_book_as_it_was(path: Path) -> None:
    Book(path).append(entry(id="a"))
    before = path.read_bytes()
    said, _ = writer(path, "b", 5, most=len(before) + 20).communicate(timeout=60)
    assert said.startswith(f"the poem book {path} cannot be written")
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    with pytest.raises(PoetgenError, match="cannot be written"):
        Book(blocked / "book.jsonl").append(entry())


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_clear_error_and_can_be_read(path: Path) -> None:
    Book(path).append(entry())
    path.parent.joinpath(".book.jsonl.lock").unlink(missing_ok=True)
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with pytest.raises(PoetgenError, match="cannot be written"):
            Book(path).append(entry(id="b"))
        assert len(Book(path).entries()) == 1
    finally:
        path.parent.chmod(0o700)


def test_a_book_that_is_a_folder_is_one_clear_error(path: Path) -> None:
    path.mkdir()
    with pytest.raises(PoetgenError, match="cannot be read"):
        Book(path).entries()


def test_a_removed_poem_is_gone_and_its_line_is_kept(path: Path) -> None:
    book = Book(path)
    for name in "ab":
        book.append(entry(id=name))
    before = path.read_bytes()
    book.remove("a")
    assert [each.id for each in book.entries()] == ["b"]
    assert path.read_bytes().startswith(before)
    with pytest.raises(PoetgenError, match="no poem 'a'"):
        book.remove("a")


def test_a_removed_poem_can_be_put_back(path: Path) -> None:
    book = Book(path)
    book.append(entry())
    book.remove(entry().id)
    book.append(entry())
    assert book.entries() == [entry()]


def test_a_poem_with_the_same_id_takes_the_place_of_the_other(path: Path) -> None:
    book = Book(path)
    for name, title in (("a", ""), ("b", ""), ("a", "四季")):
        book.append(entry(id=name, title=title))
    assert [(each.id, each.title) for each in book.entries()] == [("a", "四季"), ("b", "")]


@pytest.mark.parametrize(
    "text",
    ["春夏", "秋水一江", "木阴阴鸟不鸣。", "雨過草初生", "聽鐘聲", "LSTM", "七绝"],
)
def test_a_search_finds_heads_verse_model_and_form_in_either_script(path: Path, text: str) -> None:
    Book(path).append(entry())
    Book(path).append(
        entry(id="b", lines=("白日",), marks="。", heads="白", model="gru", form="无")
    )
    assert [each.id for each in Book(path).search(text)] == [entry().id]


@pytest.mark.parametrize(
    ("kept", "text"), [("乾坤", "乾"), ("乾坤", "乾坤"), ("萬里", "万"), ("A", "a")]
)
def test_a_search_finds_titles_and_notes_in_either_script(path: Path, kept: str, text: str) -> None:
    Book(path).append(entry(id="a", title=kept))
    Book(path).append(entry(id="b", note=kept))
    Book(path).append(entry(id="c"))
    assert [each.id for each in Book(path).search(text)] == ["a", "b"]


def test_the_beginning_of_an_id_is_enough(path: Path) -> None:
    book = Book(path)
    for name in ("ab1", "ab2", "b"):
        book.append(entry(id=name))
    assert book.find("ab2").id == "ab2"
    assert book.find("b").id == "b"
    with pytest.raises(PoetgenError, match="2 poems") as caught:
        book.find("ab")
    assert "ab1, ab2" in caught.value.hint
    for unknown in ("c", ""):
        with pytest.raises(PoetgenError, match=f"no poem '{unknown}'"):
            book.find(unknown)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lines": None}, "field 'lines' is not a list"),
        ({"lines": []}, "field 'lines' is not a list of lines"),
        ({"lines": ["春", 3]}, "field 'lines' is not a list of lines"),
        ({"marks": "，"}, "field 'marks' is not one of"),
        ({"marks": "xxxx"}, "field 'marks' is not one of"),
        ({"seed": "7"}, "field 'seed' is not a whole number"),
        ({"seed": True}, "field 'seed' is not a whole number"),
        ({"settings": []}, "field 'settings' is not an object"),
        ({"saved_at": "yesterday"}, "field 'saved_at' is not a time"),
        ({"id": ""}, "field 'id' is empty"),
        ({"heads": "\ud800"}, "is cut off or damaged"),
    ],
)
def test_a_damaged_line_is_told_of_by_file_line_and_field(
    path: Path, change: dict[str, object], said: str
) -> None:
    Book(path).append(entry())
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**entry(id="b").to_json(), **change}) + "\n")
    contents = Book(path).read()
    assert contents.entries == [entry()]
    assert len(contents.problems) == 1
    assert contents.problems[0].startswith(f"{path}, line 2")
    assert said in contents.problems[0]


def test_a_missing_field_is_named_and_a_field_of_later_versions_does_no_harm() -> None:
    record = entry().to_json()
    assert BookEntry.from_json({**record, "colour": "red"}, "here") == entry()
    del record["model"]
    with pytest.raises(PoetgenError, match="here has no field 'model'"):
        BookEntry.from_json(record, "here")
    with pytest.raises(PoetgenError, match="here is not a JSON object"):
        BookEntry.from_json([], "here")


def test_half_a_surrogate_pair_is_refused_and_nothing_is_written(path: Path) -> None:
    with pytest.raises(PoetgenError, match=r"U\+D800"):
        Book(path).append(entry(note="\ud800"))
    assert not path.exists()
