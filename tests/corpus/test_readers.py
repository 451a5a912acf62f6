"""What is read of good files and bad ones."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from poetgen.corpus import chinese_poetry
from poetgen.corpus.batch import Batch
from poetgen.corpus.readers import LONGEST_LINE, read_poems
from poetgen.errors import CorpusError
from tests.corpus.collections import CI, FILES, ROOT, SONG, TANG, as_bytes, write_folder, write_zip

SPRING = "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。"
CLIMB = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"


def read(path: Path, **options: Any) -> tuple[list[Batch], list[str]]:
    problems: list[CorpusError] = []
    batches = list(read_poems(path, problems.append, **options))
    return batches, [error.message for error in problems]


def texts(path: Path, **options: Any) -> list[str]:
    batches, problems = read(path, **options)
    assert problems == []
    return [text for batch in batches for text in batch.texts]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def joined(record: dict[str, Any]) -> str:
    return "\n".join(record["paragraphs"])


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_a_collection_is_read_part_by_part(tmp_path: Path, kind: str) -> None:
    path = write_zip(tmp_path / "any.zip") if kind == "zip" else write_folder(tmp_path)
    batches, problems = read(path)
    assert problems == []
    assert [batch.texts for batch in batches] == [
        [joined(record) for record in part] for part in (TANG, SONG, CI)
    ]
    assert [set(batch.genres) for batch in batches] == [{"诗"}, {"诗"}, {"词"}]
    assert batches[2].titles == ["如梦令"]
    assert batches[0].dynasties == ["唐", "唐"]


def test_only_the_chosen_parts_are_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "any.zip")
    assert texts(path, parts=("song",)) == [joined(SONG[0])]
    with pytest.raises(CorpusError, match="no file of yuanqu"):
        read(path, parts=("yuanqu",))


def test_files_come_in_the_order_of_their_numbers() -> None:
    names = [f"全唐诗/poet.tang.{n}.json" for n in (10000, 0, 2000)]
    found = chinese_poetry.find_files([*names, "全唐诗/error/poet.tang.0.json"], ("tang",))
    assert [name for name, _ in found] == [names[1], names[2], names[0]]


def test_a_twin_in_another_script_is_no_part() -> None:
    twins = ["全唐诗/poet.tang.0.simplified.json", "宋词/ci.song.0.simplified.json"]
    assert chinese_poetry.find_files(twins, tuple(chinese_poetry.PARTS)) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[{]", "line 1, column 3: not JSON"),
        (b'["\xff"]', "byte 2: not UTF-8"),
        (b"{}", "holds one dict, not a list"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_file_of_a_collection_costs_that_file(
    tmp_path: Path, content: bytes, message: str
) -> None:
    name = f"{ROOT}/全唐诗/poet.tang.0.json"
    path = write_zip(tmp_path / "any.zip", {**FILES, name: content})
    batches, problems = read(path)
    assert [batch.texts for batch in batches] == [[joined(SONG[0])], [joined(CI[0])]]
    assert len(problems) == 1
    assert name in problems[0]
    assert message in problems[0]


@pytest.mark.parametrize("record", [7, "x", None, {}, {"paragraphs": [1]}, {"paragraphs": 2}])
def test_a_bad_record_costs_that_record(tmp_path: Path, record: Any) -> None:
    name = f"{ROOT}/全唐诗/poet.tang.0.json"
    path = write_zip(tmp_path / "any.zip", {name: [TANG[0], record, TANG[1]]})
    batches, problems = read(path)
    assert batches[0].texts == [joined(TANG[0]), joined(TANG[1])]
    assert len(problems) == 1
    assert "record 2" in problems[0]


def test_a_truncated_zip_is_one_clear_error(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "any.zip")
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(CorpusError, match="no whole zip file"):
        read(path)


def test_a_damaged_entry_costs_that_entry(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "any.zip")
    with zipfile.ZipFile(path) as archive:
        info = archive.infolist()[0]
    data = bytearray(path.read_bytes())
    data[info.header_offset + 60 + len(info.filename.encode("cp437"))] ^= 0xFF
    path.write_bytes(data)
    batches, problems = read(path)
    assert len(batches) == 2
    assert "poet.tang.0.json is damaged" in problems[0]


@pytest.mark.parametrize("name", ["../out.json", "/etc/out.json", "a/../../b.json", "C:/out.json"])
def test_an_entry_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    path = write_zip(tmp_path / "any.zip", {**FILES, name: b"[]"})
    with pytest.raises(CorpusError, match="outside the archive"):
        read(path)


def test_a_zip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "any.zip")
    monkeypatch.setattr(chinese_poetry, "LARGEST_FILE", 100)
    with pytest.raises(CorpusError, match="too many"):
        read(path)


@pytest.mark.parametrize("field", ["lines", "text", "content", "paragraphs"])
def test_jsonl_has_the_poem_under_any_usual_name(tmp_path: Path, field: str) -> None:
    lines = [{field: SPRING}, {field: [SPRING[:12], SPRING[12:]], "title": "春晓"}]
    path = tmp_path / "poems.jsonl"
    write(path, "\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    batches, problems = read(path)
    assert problems == []
    assert batches[0].texts == [SPRING, SPRING[:12] + "\n" + SPRING[12:]]
    assert batches[0].titles == ["", "春晓"]


def test_a_bad_line_of_jsonl_costs_that_line(tmp_path: Path) -> None:
    good = json.dumps({"text": SPRING}).encode()
    bad = [b"{", b'{"text": 1}', b"[]", b'{"text": "\xff"}', b'{"a": ' + b"[" * 90_000]
    path = write(tmp_path / "poems.jsonl", b"\n".join([good, *bad, b"", good]))
    batches, problems = read(path)
    assert batches[0].texts == [SPRING, SPRING]
    assert [f"line {n}" in problem for n, problem in enumerate(problems, 2)] == [True] * 5
    assert f"byte {path.read_bytes().index(0xFF)}" in problems[3]


def test_a_huge_line_costs_that_line_and_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "poems.txt"
    with path.open("wb") as file:
        file.write(b"x" * (3 * LONGEST_LINE) + b"\n" + SPRING.encode() + b"\n")
    batches, problems = read(path)
    assert batches[0].texts == [SPRING]
    assert "line 1: longer than" in problems[0]


@pytest.mark.parametrize("heading", ["text", "内容", "poem"])
def test_csv_has_the_poem_in_a_column_of_a_usual_name(tmp_path: Path, heading: str) -> None:
    content = f'题目,{heading},作者\n春晓,"{SPRING}",孟浩然\n'
    batches, problems = read(write(tmp_path / "poems.csv", "\ufeff" + content))
    assert problems == []
    assert (batches[0].texts, batches[0].authors) == ([SPRING], ["孟浩然"])


def test_a_csv_without_the_column_names_those_it_has(tmp_path: Path) -> None:
    path = write(tmp_path / "poems.csv", "a,b\n1,2\n")
    with pytest.raises(CorpusError, match="line 1: no column of poems among a, b"):
        read(path)
    with pytest.raises(CorpusError, match="no column 'c'"):
        read(path, column="c")
    assert texts(path, column="b") == ["2"]


def test_a_short_row_of_csv_costs_that_row(tmp_path: Path) -> None:
    path = write(tmp_path / "poems.csv", f"a,text\n1\n2,{SPRING}\n")
    batches, problems = read(path)
    assert batches[0].texts == [SPRING]
    assert "line 2" in problems[0]


@pytest.mark.parametrize(
    "content",
    [
        f"{SPRING}\n{CLIMB}\n",
        f"{SPRING}\r\n\r\n{CLIMB}",
        "\ufeff" + f"{SPRING[:12]}\n{SPRING[12:]}\n\n{CLIMB[:12]}\n{CLIMB[12:]}\n",
        f"春晓\n孟浩然\n{SPRING[:12]}\n{SPRING[12:]}\n\n\n登鹳雀楼\n{CLIMB}",
    ],
)
def test_plain_text_is_a_poem_a_line_or_a_block(tmp_path: Path, content: str) -> None:
    found = texts(write(tmp_path / "poems.txt", content))
    assert [text.replace("\n", "") for text in found] == [SPRING, CLIMB]


def test_lines_without_marks_make_a_block(tmp_path: Path) -> None:
    path = write(tmp_path / "poems.txt", "春眠不觉晓\n处处闻啼鸟\n\n白日依山尽\n黄河入海流\n")
    assert texts(path) == ["春眠不觉晓\n处处闻啼鸟", "白日依山尽\n黄河入海流"]


def test_a_heading_is_title_and_author(tmp_path: Path) -> None:
    batches, _ = read(write(tmp_path / "poems.txt", f"春晓\n孟浩然\n{SPRING}\n"))
    assert (batches[0].titles, batches[0].authors) == (["春晓"], ["孟浩然"])


@pytest.mark.parametrize("name", ["poems.txt", "poems.csv", "poems.jsonl", "poems.json"])
def test_an_empty_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorpusError, match="is empty"):
        read(write(tmp_path / name, " \n"))


def test_a_json_list_is_read_and_one_object_is_not(tmp_path: Path) -> None:
    path = tmp_path / "poems.json"
    assert texts(write(path, as_bytes([{"text": SPRING}]))) == [SPRING]
    with pytest.raises(CorpusError, match="not JSON"):
        read(write(path, b"[1, 2"))


def test_parts_and_columns_are_refused_where_there_are_none(tmp_path: Path) -> None:
    path = write(tmp_path / "poems.txt", SPRING)
    with pytest.raises(CorpusError, match="no parts"):
        read(path, parts=("tang",))
    with pytest.raises(CorpusError, match="no columns"):
        read(path, column="text")
