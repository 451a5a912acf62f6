"""The course in docs/learn: its examples run, and its pages show what they print and draw.

At full size `docs/learn/make.py` runs them; here they run with the flags that each block says make
it small, so that the figures differ. What must be the same is the shape: as many lines, with the
same words, and as many figures in each.
"""

import contextlib
import importlib.util
import io
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from poetgen.cli.main import cli

LEARN = Path(__file__).resolve().parents[1] / "docs" / "learn"
TITLES = 8
LARGEST_PICTURE = 60_000


def _load_make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("learn_make", LEARN / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Where dataclasses look for their module.
    spec.loader.exec_module(module)
    return module


make = _load_make()
PAGES: list[Path] = make.pages()
INDEXES = [LEARN / "README.md", LEARN / "README.zh-CN.md"]
TEXTS = [*INDEXES, *PAGES, *(make.twin_of(page) for page in PAGES)]

_NUMBER = re.compile(r"(?:> )?[-+]?(?:\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?|inf|nan)%?")
_CHINESE = re.compile(r"[\u3400-\u9fff，。；？！、]+")


def _shape(printed: str) -> list[str]:
    """Lines with # for every number and 字 for every piece of Chinese, single spaces between."""
    lines = []
    for line in printed.splitlines():
        line = _NUMBER.sub("#", _CHINESE.sub("字", line))
        lines.append(" ".join(line.split()))
    return lines


def _run_small(code: str, language: str, commands: list[list[str]]) -> str:
    if language == "python":
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, "an example", "exec"), {"__name__": "__main__"})
        return printed.getvalue()
    printed_of_all = ""
    for command in commands:
        done = CliRunner().invoke(cli, command, standalone_mode=False)
        assert done.exception is None, (command, done.exception, done.output)
        assert done.return_value in (None, 0), (command, done.output)
        printed_of_all += done.stdout
    return printed_of_all


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_example_runs_and_prints_what_its_page_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(make.WIDTH))
    text = page.read_text(encoding="utf-8")
    for example in make.examples_in(text):
        commands = example.commands(small=True) if example.language == "sh" else []
        printed = _run_small(example.code, example.language, commands)
        if example.output is not None:
            assert _shape(make.tidy(printed)) == _shape(example.output), example.code
    for name in make.pictures_in(text):
        assert make.drawn_in(tmp_path, name).is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_and_its_twin_have_the_same_examples_figures_and_pictures(page: Path) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (page, make.twin_of(page))]
    examples = [[(e.language, e.small, e.output) for e in make.examples_in(t)] for t in texts]
    assert examples[0] == examples[1]
    codes = [[_without_comments(e.code) for e in make.examples_in(text)] for text in texts]
    assert codes[0] == codes[1]
    assert make.pictures_in(texts[0]) == make.pictures_in(texts[1])


def _without_comments(code: str) -> str:
    return re.sub(r" *#.*", "", code)


@pytest.mark.parametrize("path", TEXTS[2:], ids=lambda path: path.name)
def test_every_figure_in_a_sentence_stands_in_what_an_example_printed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    shown = " ".join(e.output or "" for e in make.examples_in(text))
    numbers = set(_FIGURE.findall(shown))
    sentences = re.sub(
        r"^```.*?^```|`[^`]*`|\]\([^)]*\)", " ", text, flags=re.DOTALL | re.MULTILINE
    )
    assert [n for n in _FIGURE.findall(sentences) if n not in numbers] == []


# With a point, a power of ten or a %: what was measured. Whole numbers also count things.
_FIGURE = re.compile(r"(?<![\d.,])(?:[\d,]+\.\d+(?:e[-+]?\d+)?%?|\d+e[-+]?\d+|\d+%)")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    local = [target.partition("#")[0] for target in targets if "://" not in target]
    assert local
    assert [target for target in local if not (LEARN / target).exists()] == []


@pytest.mark.parametrize("index", INDEXES, ids=lambda path: path.name)
def test_the_index_lists_all_pages_and_links_to_those_there_are(index: Path) -> None:
    text = index.read_text(encoding="utf-8")
    listed = re.findall(r"^(\d)\. ", text, re.MULTILINE)
    assert listed == [str(n + 1) for n in range(TITLES)]
    for page in PAGES:
        name = page.name if index == INDEXES[0] else make.twin_of(page).name
        assert f"({name})" in text


def test_every_picture_is_shown_and_small() -> None:
    shown = {name for page in PAGES for name in make.pictures_in(page.read_text(encoding="utf-8"))}
    kept = {path.name: path.stat().st_size for path in (LEARN / make.PICTURES).iterdir()}
    assert set(kept) == shown
    assert max(kept.values()) < LARGEST_PICTURE
