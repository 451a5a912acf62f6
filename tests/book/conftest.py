from pathlib import Path

import pytest

from poetgen.book import fonts


@pytest.fixture(autouse=True)
def font_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of fonts there is; empty."""
    folder = tmp_path / "fonts"
    monkeypatch.setattr(fonts, "font_folders", lambda: [tmp_path / "none", folder])
    monkeypatch.setattr(fonts, "_listed_by_fontconfig", list)
    monkeypatch.delenv("POETGEN_FONT", raising=False)
    return folder
