"""Chinese fonts: which files of this system to draw with, and the outlines of characters in them.

poetgen brings no font: a good one is 10 to 25 MB, and most systems have one. This module knows
nothing of poems.
"""

from __future__ import annotations

import functools
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import ImageFont

from poetgen.errors import PoetgenError

UNITS = 1000
"""Units of `Face.outline` to the em."""

_VARIABLE = "POETGEN_FONT"

# File names less all but their letters; the best for verse first: brush script (楷), then the
# print of books (宋), then sans serif (黑).
_WELL_KNOWN = """
lxgwwenkairegular lxgwwenkaigbregular lxgwwenkaitcregular lxgwwenkaiscreenregular
kaiti stkaiti simkai ukai fandolkairegular
notoserifcjkregular notoserifcjkscregular notoserifscregular notoserifcjktcregular
notoserifcjkvfotf notoserifscwght notoserifscvariablefontwght
sourcehanserifregular sourcehanserifscregular sourcehanserifcnregular
songti stsong simsun uming fandolsongregular
notosanscjkregular notosanscjkscregular notosansscregular notosanscjktcregular
notosanscjkvfotf notosansscwght notosansscvariablefontwght
sourcehansansregular sourcehansansscregular sourcehansanscnregular
pingfang hiraginosansgb stheitilight msyh simhei wqymicrohei wqyzenhei
droidsansfallbackfull droidsansfallback
"""
_ENDINGS = (".ttf", ".otf", ".ttc", ".otc")

_INSTALL = (
    "install one (Debian and Ubuntu: apt install fonts-lxgw-wenkai or fonts-noto-cjk; Fedora: dnf "
    f"install google-noto-serif-cjk-fonts), or name a font file with --font or {_VARIABLE}"
)


class Face:
    """One face of a font file.

    Args:
        path: A TrueType or OpenType font, or a collection of them, of which the face for
            Simplified Chinese is taken, or else the first.

    Raises:
        PoetgenError: The file cannot be read, or is no such font.
    """

    def __init__(self, path: Path) -> None:
        from fontTools.ttLib import TTCollection, TTFont

        self.path = path
        self.index = 0
        try:
            content = path.read_bytes()
            if content.startswith(b"ttcf"):
                faces = TTCollection(io.BytesIO(content), lazy=True).fonts
                names = [str(face["name"].getDebugName(1)) for face in faces]
                self.index = next((i for i, name in enumerate(names) if name.endswith(" SC")), 0)
            self._font: Any = TTFont(io.BytesIO(content), fontNumber=self.index, lazy=True)
            self._cmap: dict[int, str] = self._font.getBestCmap() or {}
            # A variable font may be at its thinnest if nobody says otherwise.
            axes = self._font["fvar"].axes if "fvar" in self._font else []
            self._axes = {
                axis.axisTag: min(max(400.0, axis.minValue), axis.maxValue)
                if axis.axisTag == "wght"
                else float(axis.defaultValue)
                for axis in axes
            }
            self._glyphs: Any = self._font.getGlyphSet(location=self._axes)
            self._scale = 1 / float(self._font["head"].unitsPerEm)
        except Exception as error:  # Of many kinds: fontTools trusts what it reads.
            why = error.strerror if isinstance(error, OSError) and error.strerror else "no font"
            raise PoetgenError(
                f"the font {path} cannot be read: {why}", hint="name a .ttf, .otf or .ttc file"
            ) from error

    def __contains__(self, character: str) -> bool:
        return ord(character) in self._cmap

    def advance(self, character: str) -> float:
        """The width of a character, in em."""
        return float(self._glyphs[self._cmap[ord(character)]].width) * self._scale

    @functools.cached_property
    def middle(self) -> float:
        """How far above the baseline the middle of a Chinese character is, in em."""
        if "回" not in self:
            return 0.38
        from fontTools.pens.boundsPen import BoundsPen

        pen = BoundsPen(self._glyphs)
        self._glyphs[self._cmap[ord("回")]].draw(pen)
        _, bottom, _, top = pen.bounds or (0, 0.38 / self._scale, 0, 0.38 / self._scale)
        return float(top + bottom) / 2 * self._scale

    def outline(self, character: str) -> str:
        """A character as the path of an SVG: `UNITS` to the em, from its place on the baseline."""
        from fontTools.pens.svgPathPen import SVGPathPen
        from fontTools.pens.transformPen import TransformPen

        scale = self._scale * UNITS
        pen = SVGPathPen(self._glyphs, ntos=lambda value: f"{value:.0f}")
        glyph = self._glyphs[self._cmap[ord(character)]]
        glyph.draw(TransformPen(pen, (scale, 0, 0, -scale, 0, 0)))
        return str(pen.getCommands())

    @functools.cache  # noqa: B019  (a process has a handful of faces, for as long as it lives)
    def in_pixels(self, size: int) -> ImageFont.FreeTypeFont:
        """The face for drawing with Pillow, `size` pixels to the em."""
        font = ImageFont.truetype(
            self.path, size, index=self.index, layout_engine=ImageFont.Layout.BASIC
        )
        if self._axes:
            font.set_variation_by_axes(list(self._axes.values()))
        return font


class Faces:
    """Faces to look for a character in, the best first, each opened when it is first needed.

    Args:
        font: The file to look in first; None: the one that `$POETGEN_FONT` names, if any.

    Raises:
        PoetgenError: The file asked for is no font.
    """

    def __init__(self, font: Path | None = None) -> None:
        named = os.environ.get(_VARIABLE)
        font = font or (Path(named).expanduser() if named else None)
        self._open = [Face(font)] if font else []
        self._waiting = _found()

    def of(self, character: str) -> Face:
        """The first face that has this character.

        Raises:
            PoetgenError: None has it, or there is none.
        """
        for face in self._all():
            if character in face:
                return face
        if not self._open:
            raise PoetgenError("no Chinese font was found on this system", hint=_INSTALL)
        raise PoetgenError(
            f"no font on this system has '{character}' (U+{ord(character):04X})", hint=_INSTALL
        )

    def _all(self) -> Iterator[Face]:
        yield from self._open
        for path in self._waiting:
            try:
                face = Face(path)
            except PoetgenError:  # Not asked for by anyone, so no one's mistake.
                continue
            if "一" in face:
                self._open.append(face)
                yield face


def _found() -> Iterator[Path]:
    """The Chinese fonts of this system, the best first."""
    ranks = {name: rank for rank, name in enumerate(_WELL_KNOWN.split())}
    known = []
    for folder in font_folders():
        for parent, _, names in os.walk(folder):
            for name in names:
                path = Path(parent, name)
                rank = ranks.get(re.sub("[^a-z]", "", path.stem.lower()))
                if rank is not None and path.suffix.lower() in _ENDINGS:
                    known.append((rank, path))
    paths = [path for _, path in sorted(known)]
    yield from paths
    yield from (path for path in _listed_by_fontconfig() if path not in paths)


def font_folders() -> list[Path]:
    """The folders that this system keeps its fonts in."""
    home = Path.home()
    if sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
        windows = Path(os.environ.get("WINDIR", "C:/Windows"))
        return [local / "Microsoft" / "Windows" / "Fonts", windows / "Fonts"]
    if sys.platform == "darwin":
        libraries = (home / "Library", Path("/Library"), Path("/System/Library"))
        return [library / "Fonts" for library in libraries]
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    own = os.environ.get("XDG_DATA_HOME") or home / ".local" / "share"
    return [Path(own, "fonts"), home / ".fonts", *(Path(s, "fonts") for s in shared.split(":"))]


def _listed_by_fontconfig() -> list[Path]:
    """All fonts for Chinese, by a program that most Unix desktops have."""
    try:
        done = subprocess.run(
            ["fc-list", ":lang=zh", "--format", "%{file}\n"],
            capture_output=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    paths = {Path(os.fsdecode(line)) for line in done.stdout.splitlines() if line}
    return sorted(path for path in paths if path.suffix.lower() in _ENDINGS)
