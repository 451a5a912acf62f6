import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poetgen.dataset.tokenizers import CharTokenizer, Tokenizer, WordTokenizer, tokenizer_named
from poetgen.errors import VocabularyError
from poetgen.verse.poem import MARKS

_VERSE = st.text(alphabet="床前明月光疑是地上霜〇𠮷" + MARKS, max_size=60)
_TOKENIZERS = pytest.mark.parametrize(
    "tokenizer", [CharTokenizer(), WordTokenizer(), WordTokenizer(hmm=True)]
)


@_TOKENIZERS
@settings(deadline=None, max_examples=50)
@given(text=_VERSE)
def test_tokens_joined_are_the_text_again(tokenizer: Tokenizer, text: str) -> None:
    assert "".join(tokenizer.tokenize(text)) == text


@_TOKENIZERS
@settings(deadline=None, max_examples=50)
@given(text=_VERSE)
def test_a_mark_is_always_a_token_of_its_own(tokenizer: Tokenizer, text: str) -> None:
    tokens = tokenizer.tokenize(text)
    assert [t for t in tokens if set(t) & set(MARKS)] == [c for c in text if c in MARKS]


def test_words_come_from_the_dictionary() -> None:
    assert tokenizer_named("word").tokenize("床前明月光，") == ["床", "前", "明月光", "，"]


def test_a_tokenizer_that_is_not_there_is_an_error_that_lists_those_that_are() -> None:
    with pytest.raises(VocabularyError, match="'bpe'") as caught:
        tokenizer_named("bpe")
    assert "char, word" in caught.value.hint


def test_cutting_words_says_nothing_and_leaves_no_file(tmp_path: Path) -> None:
    program = (
        "from poetgen.dataset.tokenizers import tokenizer_named\n"
        "print(tokenizer_named('word').tokenize('明月光'))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("['明月光']", "")
    assert list(tmp_path.iterdir()) == []


def test_characters_need_no_jieba() -> None:
    program = (
        "import sys\n"
        "from poetgen.dataset.tokenizers import tokenizer_named\n"
        "tokenizer_named('char').tokenize('明月光')\n"
        "assert 'jieba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_version_tells_the_ways_of_cutting_apart() -> None:
    versions = {CharTokenizer().version, WordTokenizer().version, WordTokenizer(hmm=True).version}
    assert len(versions) == 3
