"""Small collections in the layout of chinese-poetry."""

import json
import zipfile
from pathlib import Path
from typing import Any

ROOT = "chinese-poetry-master"

TANG = [
    {
        "title": "春曉",
        "author": "孟浩然",
        "paragraphs": ["春眠不覺曉，處處聞啼鳥。", "夜來風雨聲，花落知多少。"],
    },
    {"title": "殘", "author": "", "paragraphs": ["春眠不覺曉，處處聞□鳥。"]},
]
SONG = [
    {
        "title": "偶成",
        "author": "某",
        "paragraphs": ["少年易老學難成，一寸光陰不可輕。", "未覺池塘春草夢，階前梧葉已秋聲。"],
    }
]
CI = [{"rhythmic": "如梦令", "author": "某", "paragraphs": ["山一程，水一程，夜深千帐灯。"]}]

FILES: dict[str, Any] = {
    f"{ROOT}/全唐诗/poet.tang.0.json": TANG,
    f"{ROOT}/全唐诗/poet.song.0.json": SONG,
    f"{ROOT}/全唐诗/唐诗三百首.json": TANG,
    f"{ROOT}/宋词/ci.song.0.json": CI,
    f"{ROOT}/宋词/author.song.json": [{"name": "某"}],
}


def as_bytes(content: Any) -> bytes:
    if isinstance(content, bytes):
        return content
    return json.dumps(content, ensure_ascii=False).encode("utf-8")


def write_zip(path: Path, files: dict[str, Any] | None = None) -> Path:
    """A zip whose names are UTF-8 without the flag that says so, as GitHub's are."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (FILES if files is None else files).items():
            archive.writestr(name, as_bytes(content))
    # zipfile always sets the flag; take it out of both headers of every entry.
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset + 1] &= ~0x08
            at = data.find(signature, at + 4)
    path.write_bytes(data)
    return path


def write_folder(path: Path) -> Path:
    for name, content in FILES.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(as_bytes(content))
    return path / ROOT
