"""Runs the examples of the course and writes into its pages what they print and draw.

    python docs/learn/make.py          every page
    python docs/learn/make.py 2 3      pages 2 and 3

A page's examples are its blocks of `sh` (poetgen's commands) and `python`. They run in order, in
one folder that is empty at first, so that a block can use what one before it trained; those after
the last of which the page shows something are the reader's, and only the test runs them. Comments
say what is done with a block:

    <!-- small: --steps 4 -->     before it: flags that a test puts after each of its commands, so
                                  that they take no time; the last of a flag given twice counts
    <!-- output --> <!-- end -->  after it: between them stands what it printed

The picture `pictures/NAME` of a page is the file NAME that one of its examples drew, in whatever
folder. Each page has a twin in Chinese with the same examples; they run once and go into both. So
no number and no picture of the course is made by hand; `tests/test_learn.py` holds the pages to it.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PICTURES = "pictures"
WIDTH = 96
"""Columns of the tables."""

_COLOURS, _WIDEST = 128, 1100
# Of a picture, and its pixels: matplotlib's PNG takes four times the room of one with a palette.
# MAXCOVERAGE keeps the lines' colours apart; MEDIANCUT, Pillow's default, made blue lines green.

_EXAMPLE = re.compile(
    r"(?:^<!-- small: (?P<small>[^\n]*?) -->\n)?"
    r"^```(?P<language>sh|python)\n(?P<code>.*?)^```\n"
    r"(?:\n?^<!-- output -->\n(?P<output>.*?)^<!-- end -->\n)?",
    re.DOTALL | re.MULTILINE,
)
_PICTURE = re.compile(rf"!\[[^\]]*\]\({PICTURES}/([^)]+)\)")


@dataclass(frozen=True, slots=True)
class Example:
    """A block of a page.

    Attributes:
        language: `sh` or `python`.
        code: What stands in it.
        small: The flags that a test adds to its commands.
        output: What the page shows of it; None where it shows nothing.
    """

    language: str
    code: str
    small: str
    output: str | None

    def commands(self, *, small: bool = False) -> list[list[str]]:
        """The arguments of each command in a block of `sh`.

        Raises:
            ValueError: It has a command that is not poetgen's.
        """
        commands = []
        for line in self.code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if not words:
                continue
            if words[0] != "poetgen":
                raise ValueError(f"no command of poetgen: {line}")
            commands.append(words[1:] + (shlex.split(self.small) if small else []))
        return commands


def pages() -> list[Path]:
    """The pages in English, in order."""
    return sorted(path for path in FOLDER.glob("[1-9]-*.md") if path.suffixes == [".md"])


def twin_of(page: Path) -> Path:
    """The same page in Chinese."""
    return page.with_suffix(".zh-CN.md")


def examples_in(text: str) -> list[Example]:
    """The examples of a page, in order."""
    found = []
    for match in _EXAMPLE.finditer(text):
        output = match["output"]
        if output is not None:
            output = "\n".join(line for line in output.splitlines() if not line.startswith("```"))
        found.append(Example(match["language"], match["code"], match["small"] or "", output))
    return found


def pictures_in(text: str) -> list[str]:
    """The names of a page's pictures, in order."""
    return _PICTURE.findall(text)


def with_outputs(text: str, printed: list[str]) -> str:
    """A page with what its examples printed."""
    outputs = iter(printed)

    def renewed(match: re.Match[str]) -> str:
        output = next(outputs, None)
        if match["output"] is None or output is None:
            return match[0]
        head = match[0].partition("<!-- output -->")[0]
        return f"{head}<!-- output -->\n```text\n{output}\n```\n<!-- end -->\n"

    return _EXAMPLE.sub(renewed, text)


def _shown(examples: list[Example], pictures: list[str]) -> list[Example]:
    """The examples as far as the page shows what they do; those after are the reader's."""
    last = max(
        (
            i
            for i, example in enumerate(examples)
            if example.output is not None or any(name in example.code for name in pictures)
        ),
        default=-1,
    )
    return examples[: last + 1]


def _run(example: Example, folder: Path) -> str:
    """What an example prints at full size."""
    if example.language == "python":
        calls = [[sys.executable, "-c", example.code]]
    else:
        calls = [[sys.executable, "-m", "poetgen", *words] for words in example.commands()]
    printed = []
    for call in calls:
        done = subprocess.run(
            call,
            cwd=folder,
            env={**os.environ, "COLUMNS": str(WIDTH)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        )
        printed.append(done.stdout)
    return tidy("".join(printed))


def tidy(printed: str) -> str:
    """What was printed, without spaces at the ends of its lines."""
    return "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())


def _keep_picture(drawn: Path) -> None:
    from PIL import Image

    with Image.open(drawn) as picture:
        small = picture.convert("RGB")
        small.thumbnail((_WIDEST, _WIDEST), Image.Resampling.LANCZOS)
        small = small.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(FOLDER / PICTURES / drawn.name, optimize=True)


def drawn_in(folder: Path, name: str) -> Path:
    """Where an example put a picture.

    Raises:
        FileNotFoundError: None drew it.
    """
    for path in sorted(folder.rglob(name)):
        return path
    raise FileNotFoundError(f"no example drew {name}")


def make(page: Path) -> None:
    """Run a page's examples, and renew the page, its twin and its pictures."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        printed = []
        for example in _shown(examples_in(text), pictures_in(text)):
            print(example.code, end="", file=sys.stderr)
            printed.append(_run(example, Path(folder)))
        for name in pictures_in(text):
            _keep_picture(drawn_in(Path(folder), name))
    for path in (page, twin_of(page)):
        text = path.read_text(encoding="utf-8")
        path.write_text(with_outputs(text, printed), encoding="utf-8")


def main() -> None:
    """Make the pages that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("numbers", nargs="*", metavar="PAGE", help="their numbers; none: all")
    numbers = parser.parse_args().numbers
    (FOLDER / PICTURES).mkdir(exist_ok=True)
    for page in pages():
        if not numbers or page.name.partition("-")[0] in numbers:
            make(page)


if __name__ == "__main__":
    main()
