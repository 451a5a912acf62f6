"""Simplified, Traditional and the variants of a character."""

import numpy as np
import pytest

from poetgen.corpus import script
from poetgen.errors import PoetgenError
from tests.conftest import REAL_CORPUS


def test_variants_that_opencc_leaves_are_folded() -> None:
    assert script.to_simplified("峯鴈隠髪餘郤嶽") == "峰雁隐发余却岳"


def test_a_character_follows_its_neighbours() -> None:
    assert script.to_simplified("乾坤，乾枯") == "乾坤，干枯"


def test_folding_ends_in_standard_characters_that_fold_no_further() -> None:
    for group in script._VARIANTS.split():
        assert script.to_simplified(group) == group[0] * len(group)


def test_half_a_surrogate_pair_is_an_error() -> None:
    with pytest.raises(PoetgenError, match="U\\+D800"):
        script.to_simplified("春\ud800")


def test_traditional_comes_from_simplified() -> None:
    assert script.to_traditional("春来江水绿如蓝") == "春來江水綠如藍"


def _simplified(text: str) -> str:
    code_points = np.frombuffer(text.encode("utf-32-le"), "<u4")
    is_end = np.isin(code_points, [ord("，"), ord("。"), ord("\n")])
    return script.simplified(code_points, is_end).tobytes().decode("utf-32-le")


def test_the_fast_road_says_what_opencc_says() -> None:
    text = "乾坤今古，乾枯藉慰深沈。\n慰藉憑藉，覆於宮商角徵羽。\n峯迴路轉，餘韻鍾聲。\n"
    assert _simplified(text) == script.to_simplified(text)


@pytest.mark.skipif(not REAL_CORPUS.is_file(), reason="the real corpus is not here")
def test_the_fast_road_says_what_opencc_says_on_real_verse() -> None:
    from poetgen.corpus.chinese_poetry import read_collection

    def fail(error: Exception) -> None:
        raise error

    for number, batch in enumerate(read_collection(REAL_CORPUS, ("tang",), fail)):
        text = "\n".join(batch.texts) + "\n"
        assert _simplified(text) == script.to_simplified(text)
        if number == 8:
            break
