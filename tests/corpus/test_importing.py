"""What is kept of an import, and what is left when it does not end well."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest

from poetgen.corpus import importing, store
from poetgen.corpus.importing import ImportOptions, default_name, import_corpus
from poetgen.corpus.store import open_corpus
from poetgen.errors import CorpusError
from tests.corpus.collections import write_folder, write_zip

SPRING = "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。"
CLIMB = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"
STUDY = "少年易老学难成，一寸光阴不可轻。未觉池塘春草梦，阶前梧叶已秋声。"


@pytest.fixture
def poems(tmp_path: Path) -> Path:
    path = tmp_path / "poems.txt"
    path.write_text(f"{SPRING}\n{CLIMB}\n{SPRING}\n{STUDY}\n", encoding="utf-8")
    return path


def test_an_imported_corpus_opens_by_its_name(tmp_path: Path) -> None:
    info = import_corpus(write_zip(tmp_path / "any.zip"), "mine")
    corpus = open_corpus("mine")
    assert corpus.info == info
    assert corpus.texts() == [SPRING, STUDY, "山一程，水一程，夜深千帐灯。"]
    assert corpus.forms() == ["五绝", "七绝", "词"]
    first, _, last = corpus
    assert (first.text, first.title, first.author, first.dynasty) == (
        SPRING, "春曉", "孟浩然", "唐",
    )  # fmt: skip
    assert last.genre == "词"
    assert len(corpus) == info.poems == 3
    assert info.characters == 20 + 28 + 11
    assert info.report["came_in"] == 4
    assert info.report["dropped"] == {"unreadable characters": 1}
    assert info.report["forms"] == {"五绝": 1, "七绝": 1, "词": 1}
    assert [i.name for i in store.list_corpora()] == ["mine"]


def test_zip_and_folder_have_the_same_content_hash(tmp_path: Path) -> None:
    of_zip = import_corpus(write_zip(tmp_path / "any.zip"), "a")
    of_folder = import_corpus(write_folder(tmp_path), "b")
    assert of_zip.content_hash == of_folder.content_hash
    traditional = ImportOptions(script="traditional")
    assert import_corpus(tmp_path / "any.zip", "c", traditional).content_hash != of_zip.content_hash


def test_duplicates_are_counted_and_the_first_stays(poems: Path) -> None:
    info = import_corpus(poems, "mine")
    assert info.report["dropped"] == {"duplicate": 1}
    assert open_corpus("mine").texts() == [SPRING, CLIMB, STUDY]


def test_only_the_chosen_forms_stay(poems: Path) -> None:
    info = import_corpus(poems, "mine", ImportOptions(forms=("七绝",)))
    assert info.report["dropped"] == {"another form": 3}
    assert open_corpus("mine").texts() == [STUDY]


def test_a_path_is_cleaned_once_and_then_comes_from_the_cache(
    poems: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_corpus(poems)
    assert first.name == "poems"

    def fail(*_: object) -> None:
        raise AssertionError("cleaned again")

    monkeypatch.setattr(importing, "clean_batch", fail)
    assert open_corpus(str(poems)).texts() == first.texts()


def test_an_evaluation_gets_every_poem_of_its_file(poems: Path) -> None:
    assert open_corpus(poems, deduplicate=False).texts() == [SPRING, CLIMB, SPRING, STUDY]


def test_the_sample_is_there_without_an_import() -> None:
    sample = open_corpus("sample")
    assert len(sample) >= 150
    assert set(sample.forms()) == {"五绝", "七绝"}
    assert sample.info.licence == "CC0-1.0"
    assert sample.info.report["dropped"] == {}


def test_an_unknown_corpus_says_which_there_are(poems: Path) -> None:
    import_corpus(poems, "mine")
    with pytest.raises(CorpusError) as caught:
        open_corpus("nine")
    assert "sample, mine" in caught.value.hint


def test_a_damaged_corpus_is_an_error(poems: Path) -> None:
    file = import_corpus(poems, "mine").folder / "poems.txt"
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    with pytest.raises(CorpusError, match="damaged"):
        open_corpus("mine")
    file.write_bytes(whole.replace("春".encode(), "夏".encode(), 1))
    with pytest.raises(CorpusError, match="damaged"):
        open_corpus("mine").texts()
    file.write_bytes(b"{}\n")
    with pytest.raises(CorpusError, match="damaged"):
        open_corpus("mine")
    file.write_bytes(whole.replace(b'"format_version": 1', b'"format_version": 9'))
    with pytest.raises(CorpusError, match="format 9"):
        open_corpus("mine")


@pytest.mark.parametrize("name", ["sample", "", "..", "a/b", ".hidden", "x\n", "春" * 101])
def test_a_name_that_is_no_name_is_refused(poems: Path, name: str) -> None:
    with pytest.raises(CorpusError):
        import_corpus(poems, name)


def test_the_collection_is_named_after_itself(tmp_path: Path, poems: Path) -> None:
    assert default_name(write_zip(tmp_path / "master.zip")) == "chinese-poetry"
    assert default_name(write_folder(tmp_path)) == "chinese-poetry"
    assert default_name(poems) == "poems"


def test_strict_refuses_what_has_a_bad_part_and_leaves_the_old_corpus(poems: Path) -> None:
    import_corpus(poems, "mine")
    poems.write_bytes(CLIMB.encode() + b"\n\xff\n")
    with pytest.raises(CorpusError, match="line 2, byte 73: not UTF-8"):
        import_corpus(poems, "mine", ImportOptions(strict=True))
    assert len(open_corpus("mine")) == 3
    info = import_corpus(poems, "mine")
    assert open_corpus("mine").texts() == [CLIMB]
    assert len(info.report["problems"]) == 1


def test_a_file_of_which_nothing_is_left_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "poems.txt"
    path.write_text("hello\n\nworld\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"no poem is left .* 2 another script"):
        import_corpus(path, "mine")
    assert store.list_corpora() == []


def test_a_file_in_another_encoding_is_one_error_that_says_how_to_convert_it(poems: Path) -> None:
    poems.write_bytes(f"{SPRING}\n{CLIMB}\n".encode("gb18030"))
    with pytest.raises(CorpusError, match="line 1, byte 0: not UTF-8") as caught:
        import_corpus(poems, "mine")
    assert "iconv" in caught.value.hint


def test_titles_cannot_break_the_store(tmp_path: Path) -> None:
    path = tmp_path / "poems.jsonl"
    record = {"text": SPRING, "title": "a\tb\nc\x1d\ud800", "author": "\u2028x"}
    path.write_text(json.dumps(record), encoding="utf-8")
    import_corpus(path, "mine")
    (poem,) = open_corpus("mine")
    assert (poem.title, poem.author) == ("a b c", "x")


def test_two_imports_of_one_name_do_not_meet(poems: Path) -> None:
    store.corpora_folder().mkdir(parents=True)
    with (
        filelock.FileLock(store.corpora_folder() / ".mine.lock"),
        pytest.raises(CorpusError, match="another import of 'mine' is running"),
    ):
        import_corpus(poems, "mine")


_PAUSE = """
import os, sys, time
from pathlib import Path
from poetgen import files
from poetgen.corpus import importing
def stuck(descriptor):
    print("writing", flush=True)
    time.sleep(60)
os.fsync = stuck
importing.import_corpus(Path(sys.argv[1]), "mine")
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_kill_in_the_middle_of_a_write_leaves_the_old_corpus(poems: Path) -> None:
    before = import_corpus(poems, "mine")
    poems.write_text(CLIMB, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-c", _PAUSE, str(poems)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert open_corpus("mine").info == before
    assert open_corpus("mine").texts() == [SPRING, CLIMB, STUDY]
    after = import_corpus(poems, "mine")
    assert open_corpus("mine").texts() == [CLIMB]
    assert [file.name for file in after.folder.iterdir()] == ["poems.txt"]


@pytest.mark.skipif(os.name == "nt", reason="needs SIGINT")
def test_ctrl_c_exits_130_and_leaves_nothing_half(poems: Path, poetgen_home: Path) -> None:
    code = _PAUSE.replace(
        'importing.import_corpus(Path(sys.argv[1]), "mine")',
        "from poetgen.cli.main import main\nmain(['corpus', 'import', sys.argv[1]])",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(poems)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors.strip()) == (130, "interrupted")
    assert list((poetgen_home / "corpora" / "poems").iterdir()) == []


def test_part_of_the_real_corpus_comes_through_as_verse(real_corpus: Path) -> None:
    info = import_corpus(real_corpus, "real", ImportOptions(parts=("caocao", "nalan", "wudai")))
    assert info.poems > 500
    assert info.poems > 0.9 * info.report["came_in"]
    texts = "".join(open_corpus("real").texts())
    assert not set("（）[]{}《》□「」 \n0123456789") & set(texts)
