from pathlib import Path

import pytest

from poetgen.book import fonts
from poetgen.book.fonts import Face, Faces
from poetgen.errors import PoetgenError
from tests.book.made_fonts import write_collection, write_font, write_variable_font


def test_a_system_without_a_chinese_font_is_told_what_to_install(font_folder: Path) -> None:
    with pytest.raises(PoetgenError, match="no Chinese font was found") as caught:
        Faces().of("春")
    assert "fonts-noto-cjk" in caught.value.hint
    assert "--font" in caught.value.hint


def test_brush_script_is_taken_before_print_and_print_before_sans_serif(font_folder: Path) -> None:
    for name in ("NotoSansCJK-Regular.ttf", "unknown.ttf", "sub/NotoSerifSC-Regular.otf"):
        write_font(font_folder / name, "一春")
    assert Faces().of("春").path.name == "NotoSerifSC-Regular.otf"
    write_font(font_folder / "deep" / "er" / "LXGWWenKai-Regular.ttf", "一春")
    assert Faces().of("春").path.name == "LXGWWenKai-Regular.ttf"


def test_a_character_that_a_font_lacks_is_taken_from_the_next(font_folder: Path) -> None:
    write_font(font_folder / "LXGWWenKai-Regular.ttf", "一春")
    write_font(font_folder / "NotoSerifSC-Regular.ttf", "一春𠮷")
    faces = Faces()
    assert [faces.of(each).path.name[0] for each in "春𠮷春"] == ["L", "N", "L"]
    with pytest.raises(PoetgenError, match=r"no font on this system has '龘' \(U\+9F98\)"):
        faces.of("龘")


def test_the_font_asked_for_comes_first_and_others_help_out(
    font_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_font(font_folder / "LXGWWenKai-Regular.ttf", "一春夏秋")
    mine = write_font(tmp_path / "mine.ttf", "春夏")
    other = write_font(tmp_path / "other.ttf", "春")
    assert Faces(mine).of("春").path == mine
    assert Faces(mine).of("秋").path.parent == font_folder
    monkeypatch.setenv("POETGEN_FONT", str(other))
    assert Faces().of("春").path == other
    assert Faces(mine).of("春").path == mine


def test_fonts_that_fontconfig_lists_are_taken_where_none_is_well_known(
    font_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [tmp_path / "gone.ttf", write_font(tmp_path / "strange.ttf", "一春")]
    monkeypatch.setattr(fonts, "_listed_by_fontconfig", lambda: listed)
    assert Faces().of("春").path == listed[1]


@pytest.mark.parametrize("content", [b"", b"no font", b"ttcf\0\1\0\0", b"\0\1\0\0\xff\xff"])
def test_a_file_that_is_no_font_is_one_clear_error_and_no_hindrance_to_others(
    font_folder: Path, content: bytes
) -> None:
    broken = write_font(font_folder / "LXGWWenKai-Regular.ttf", "一")
    broken.write_bytes(content)
    write_font(font_folder / "NotoSerifSC-Regular.ttf", "一春")
    with pytest.raises(PoetgenError, match=f"the font {broken} cannot be read"):
        Faces(broken)
    assert Faces().of("春").path.name == "NotoSerifSC-Regular.ttf"


def test_a_font_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(PoetgenError, match="No such file"):
        Faces(tmp_path / "none.ttf")


def test_of_a_collection_the_face_for_simplified_chinese_is_taken(tmp_path: Path) -> None:
    path = write_collection(tmp_path / "a.ttc", ("Noto JP", "一"), ("Noto SC", "一春"))
    assert "春" in Face(path)
    path = write_collection(tmp_path / "b.ttc", ("Noto JP", "一"), ("Noto KR", "一春"))
    assert "春" not in Face(path)


def test_an_outline_has_a_thousand_units_to_the_em_and_goes_down(tmp_path: Path) -> None:
    face = Face(write_font(tmp_path / "a.ttf", "回"))
    assert face.outline("回") == "M100 0V-800H900V0Z"
    assert face.advance("回") == 1
    assert face.middle == pytest.approx(0.4)


def test_a_variable_font_is_drawn_at_its_regular_weight(tmp_path: Path) -> None:
    face = Face(write_variable_font(tmp_path / "a.ttf", "回"))
    assert face.outline("回") == "M250 -150V-650H750V-150Z"
    drawn = face.in_pixels(1000).getmask("回").getbbox()
    assert (drawn[2] - drawn[0], drawn[3] - drawn[1]) == pytest.approx((500, 500), abs=2)
