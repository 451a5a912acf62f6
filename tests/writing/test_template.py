"""What may stand where: masks, habits, and the way back to text."""

from collections.abc import Iterator

import numpy as np
import pytest

from poetgen.dataset.vocabulary import EOS, SPECIALS, UNK, Vocabulary
from poetgen.errors import TemplateError
from poetgen.verse.forms import free_form
from poetgen.writing.lexicon import Lexicon
from poetgen.writing.request import Request, acrostic_request
from poetgen.writing.template import Cursor, Template, compile_template
from tests.writing.fakes import CHARACTERS, HAN, WORDS

FOLDS = {"東": "东", "風": "风", "鳥": "鸟"}


def fold(glyph: str) -> str:
    return FOLDS.get(glyph, glyph)


def compiled(
    heads: str, length: int, vocabulary: Vocabulary = CHARACTERS, at: str | int = "head"
) -> Template:
    request = Request(heads, free_form(len(heads), length), at)
    return compile_template(request, Lexicon(vocabulary), fold)


def allowed(template: Template, cursor: Cursor, vocabulary: Vocabulary = CHARACTERS) -> set[str]:
    [row] = template.allowed([cursor])
    return {vocabulary.tokens[token] for token in np.flatnonzero(row)}


def after(template: Template, text: list[str], vocabulary: Vocabulary = CHARACTERS) -> Cursor:
    """The cursor after these tokens, each of which must have been allowed."""
    cursor = template.start()
    for token in text:
        assert token in allowed(template, cursor, vocabulary)
        cursor = template.advance(cursor, vocabulary.tokens.index(token))
    return cursor


def test_a_free_place_takes_any_character_and_nothing_else() -> None:
    template = compiled("春", 3, at=2)
    assert allowed(template, template.start()) == set(HAN)


def test_a_head_its_mark_and_the_end_are_the_only_choice() -> None:
    template = compiled("春夏", 2)
    assert allowed(template, template.start()) == {"春"}
    assert allowed(template, after(template, ["春", "天"])) == {"，", "；", "？", "！"}
    end = after(template, ["春", "天", "，", "夏", "日", "。"])
    assert allowed(template, end) == {SPECIALS[EOS]}
    assert not end.finished
    assert template.advance(end, EOS).finished


def test_a_character_returns_in_its_line_only_beside_itself() -> None:
    template = compiled("春", 6)
    assert "春" in allowed(template, after(template, ["春"]))
    assert "春" not in allowed(template, after(template, ["春", "春"]))  # No third.
    line = after(template, ["春", "山", "水", "水"])
    assert set(HAN) - allowed(template, line) == {"春", "山", "水"}


def test_a_character_that_must_still_come_is_not_used_up_before() -> None:
    template = compiled("春", 5, at="tail")
    assert "春" not in allowed(template, after(template, ["山"]))
    assert "春" in allowed(template, after(template, ["山", "水", "天"]))  # Beside the tail.


def test_heads_are_exempt_from_the_habits() -> None:
    template = compiled("春春", 3)
    after(template, ["春", "春", "天", "，", "春", "天", "地", "。", "<eos>"])
    first = Request("", free_form(2, 3), first_lines=("山水山，", "山"))
    continued = compile_template(first, Lexicon(CHARACTERS), fold)
    assert "水" in allowed(continued, after(continued, ["山", "水", "山", "，", "山"]))


def test_no_line_is_written_twice() -> None:
    template = compiled("春春春", 3)
    cursor = after(template, ["春", "天", "日", "，", "春", "天", "月", "。", "春", "天"])
    assert {"日", "月"} & allowed(template, cursor) == set()
    tail = compiled("春春", 3, at="tail")
    assert "日" not in allowed(tail, after(tail, ["天", "日", "春", "，", "天"]))


def test_a_word_that_would_complete_an_earlier_line_is_not_used() -> None:
    template = compiled("天天", 3, WORDS)
    cursor = after(template, ["天", "江", "山", "，", "天"], WORDS)
    assert "江山" not in allowed(template, cursor, WORDS)
    assert {"江", "山水", "秋月"} <= allowed(template, cursor, WORDS)


def test_habits_give_way_where_they_would_leave_nothing() -> None:
    few = Vocabulary((*SPECIALS, *"天地", "，", "。"))
    template = compiled("天天", 4, few)
    assert allowed(template, after(template, ["天", "地", "地"], few), few) == {"天", "地"}


def test_a_word_stays_in_its_line_and_keeps_the_heads() -> None:
    template = compiled("夏", 3, WORDS, at=2)
    start = allowed(template, template.start(), WORDS)
    assert {"春夏秋冬", "人不见", "春风", "，。"} & start == set()
    assert {"山", "春", "夏"} <= start  # Two of the head side by side are allowed.
    longer = compiled("夏", 4, WORDS, at=2)
    assert "春夏秋冬" in allowed(longer, longer.start(), WORDS)
    last = after(template, ["山", "夏"], WORDS)
    assert all(len(token) == 1 for token in allowed(template, last, WORDS))


def test_words_keep_the_habits_too() -> None:
    template = compiled("春", 7, WORDS)
    start = allowed(template, after(template, ["春"], WORDS), WORDS)
    assert "山中山" not in start
    assert {"悠悠", "来来去", "心中有"} <= start
    cursor = after(template, ["春", "心", "水"], WORDS)
    assert {"心中有", "春风"} & allowed(template, cursor, WORDS) == set()
    cursor = after(template, ["春", "山", "月"], WORDS)
    assert "月月" not in allowed(template, cursor, WORDS)  # It would be three.
    assert "月" in allowed(template, cursor, WORDS)


def test_a_head_the_model_knows_only_folded_is_told_folded_and_printed_as_asked() -> None:
    template = compiled("東", 2)
    assert allowed(template, template.start()) == {"东"}
    tokens = [CHARACTERS.id_of(token) for token in ("东", "山", "！")] + [EOS]
    assert list(template.spell(tokens)) == [("東", True), ("山", False), ("！", False)]


@pytest.mark.parametrize("vocabulary", [CHARACTERS, WORDS])
def test_a_head_the_model_does_not_know_is_unk_to_it_and_printed_as_asked(
    vocabulary: Vocabulary,
) -> None:
    template = compiled("龘", 2, vocabulary, at="tail")
    cursor = after(template, ["山"], vocabulary)
    assert allowed(template, cursor, vocabulary) == {SPECIALS[UNK]}
    cursor = template.advance(cursor, UNK)
    assert cursor.line == "山龘"
    assert "".join(c for c, _ in template.spell([vocabulary.id_of("山"), UNK])) == "山龘"


def test_folding_is_asked_for_unknown_heads_only() -> None:
    asked: list[str] = []

    def remember(glyph: str) -> str:
        asked.append(glyph)
        return glyph

    compile_template(acrostic_request("春夏秋龘"), Lexicon(CHARACTERS), remember)
    assert asked == ["龘"]


def test_a_word_over_a_folded_head_is_printed_with_the_glyph_asked_for() -> None:
    template = compiled("風", 2, WORDS, at="tail")
    assert "春风" in allowed(template, template.start(), WORDS)
    spelled = list(template.spell([WORDS.id_of("春风")]))
    assert spelled == [("春", False), ("風", True)]


def test_a_vocabulary_without_marks_still_ends_its_lines() -> None:
    bare = Vocabulary((*SPECIALS, *HAN))
    template = compiled("春夏", 2, bare)
    cursor = after(template, ["春", "山"], bare)
    assert allowed(template, cursor, bare) == {SPECIALS[UNK]}
    text = "".join(c for c, _ in template.spell([bare.id_of("春"), bare.id_of("山"), UNK]))
    assert text == "春山，"


def test_a_place_that_no_token_fits_is_named_before_any_model_is_asked() -> None:
    two_at_a_time = Vocabulary((*SPECIALS, "江山", "春风", "，", "。"))
    with pytest.raises(TemplateError, match="line 1, character 3: no token of this model can"):
        compiled("江", 3, two_at_a_time, at=1)


def test_spelling_follows_tokens_as_they_come() -> None:
    template = compiled("春", 2)
    taken: list[int] = []

    def coming() -> Iterator[int]:
        for token in ("春", "山", "。"):
            taken.append(CHARACTERS.id_of(token))
            yield taken[-1]

    spelled = template.spell(coming())
    assert next(spelled) == ("春", True)
    assert len(taken) == 1
