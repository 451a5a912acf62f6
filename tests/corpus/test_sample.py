"""What the built-in sample promises: our own quatrains, well formed, none of them borrowed."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import opencc
import pytest

from poetgen.folders import shipped_folder
from poetgen.verse import forms
from poetgen.verse.poem import Poem, is_han

SAMPLE = shipped_folder("corpora") / "sample"


@pytest.fixture(scope="module")
def entries() -> list[dict[str, Any]]:
    text = (SAMPLE / "poems.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_the_sample_holds_at_least_150_poems(entries: list[dict[str, Any]]) -> None:
    assert len(entries) >= 150


def test_every_poem_has_a_title_of_its_own_and_our_name(entries: list[dict[str, Any]]) -> None:
    assert all(set(entry) == {"title", "author", "lines"} for entry in entries)
    assert {entry["author"] for entry in entries} == {"poetgen"}
    titles = [entry["title"] for entry in entries]
    assert all(titles)
    assert len(set(titles)) == len(titles)


def test_every_poem_is_a_quatrain_of_five_or_seven(entries: list[dict[str, Any]]) -> None:
    found = [forms.form_of(entry["lines"]) for entry in entries]
    assert {form.name if form else None for form in found} == {"五绝", "七绝"}


def test_lines_hold_chinese_characters_only(entries: list[dict[str, Any]]) -> None:
    odd = [line for entry in entries for line in entry["lines"] if not all(map(is_han, line))]
    assert odd == []


def test_no_line_stands_twice(entries: list[dict[str, Any]]) -> None:
    lines = [line for entry in entries for line in entry["lines"]]
    assert len(set(lines)) == len(lines)


def test_every_poem_is_the_same_after_its_running_text(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        poem = Poem(tuple(entry["lines"]), title=entry["title"], author=entry["author"])
        assert Poem.from_text(poem.text, title=poem.title, author=poem.author) == poem


def test_the_sample_is_in_simplified_script(entries: list[dict[str, Any]]) -> None:
    lines = "\n".join(line for entry in entries for line in entry["lines"])
    assert opencc.OpenCC("t2s").convert(lines) == lines


def test_the_readme_counts_what_the_file_holds(entries: list[dict[str, Any]]) -> None:
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    characters = "".join(line for entry in entries for line in entry["lines"])
    five = sum(len(entry["lines"][0]) == 5 for entry in entries)
    for figure in (
        f"{len(entries)} quatrains",
        f"{five} of five",
        f"{len(entries) - five} of seven",
        f"{len(characters):,} characters",
        f"{len(set(characters)):,} of them",
    ):
        assert figure in re.sub(r"\s+", " ", readme)


def test_the_licence_is_cc0() -> None:
    licence = (SAMPLE / "LICENSE").read_text(encoding="utf-8")
    assert "SPDX-License-Identifier: CC0-1.0" in licence
    assert "https://creativecommons.org/publicdomain/zero/1.0/" in licence


def test_no_line_stands_in_the_real_corpus(
    entries: list[dict[str, Any]], real_corpus: Path
) -> None:
    """All of Tang and a tenth of Song: the whole collection was compared when they were written."""
    with zipfile.ZipFile(real_corpus) as archive:
        names = [
            name
            for name in archive.namelist()
            if re.search(r"poet\.(tang\.\d+|song\.\d+0000)\.", name)
        ]
        poems = [poem for name in names for poem in json.loads(archive.read(name))]
    text = "\n".join(paragraph for poem in poems for paragraph in poem["paragraphs"])
    theirs = set(re.findall(r"\w+", opencc.OpenCC("t2s").convert(text)))
    assert "疑是地上霜" in theirs
    assert theirs.isdisjoint(line for entry in entries for line in entry["lines"])
