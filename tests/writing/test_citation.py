"""The nearest line of a corpus, whatever is asked, and an index that mends itself."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poetgen.corpus.store import Corpus, CorpusInfo, read_corpus, write_corpus
from poetgen.errors import CorpusError
from poetgen.writing.citation import Citation, Citations, corpus_of, edit_distance
from poetgen.writing.poet import Poet
from tests.writing.fakes import CHARACTERS, MarkovModel, MarkovTable

POEMS = {
    "一": ["春夏秋冬山", "水风月花鸟", "云雨雪江天", "地人心日夜"],
    "二": ["东西南北一不无", "有来去千万里年", "𠮷春夏秋冬年中", "上下生老时"],
}


def corpus_with(folder: Path, poems: dict[str, list[str]]) -> Corpus:
    info = CorpusInfo("mine", folder, "", "", "", "simplified", len(poems), 0, "")
    texts = ["，".join(lines) + "。" for lines in poems.values()]
    details = [f"{title}\t作者{title}\t唐\t诗" for title in poems]
    write_corpus(folder, info, texts, ["其他"] * len(poems), details)
    return read_corpus(folder)


@pytest.fixture
def citations(tmp_path: Path) -> Citations:
    return Citations(corpus_with(tmp_path / "mine", POEMS))


def test_every_line_of_the_corpus_is_its_own_nearest(citations: Citations) -> None:
    for title, lines in POEMS.items():
        for line in lines:
            assert citations.nearest(line) == Citation(line, line, title, f"作者{title}", len(line))


def test_the_line_with_the_fewest_changes_is_cited(citations: Citations) -> None:
    assert citations.nearest("春夏秋冬里").nearest == "春夏秋冬山"
    assert citations.nearest("春夏秋冬里").shared == 4
    assert citations.nearest("人春夏秋冬年中").nearest == "𠮷春夏秋冬年中"


def test_a_line_with_nothing_in_common_has_none(citations: Citations) -> None:
    for line in ("龘龘龘", "山水", "冬水", "鸟云", "夜", ""):  # No pair goes over a mark.
        assert citations.nearest(line) == Citation(line)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    poems=st.lists(
        st.lists(st.text("春夏秋冬", min_size=1, max_size=7), min_size=1, max_size=4),
        min_size=1,
        max_size=6,
    ),
    line=st.text("春夏秋冬山", min_size=2, max_size=7),
)
def test_the_nearest_shares_a_pair_and_is_as_near_as_any(
    poems: list[list[str]], line: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    named = {str(i): lines for i, lines in enumerate(poems)}
    found = Citations(corpus_with(tmp_path_factory.mktemp("corpus"), named)).nearest(line)
    sharing = [
        other
        for lines in poems
        for other in lines
        if any(line[i : i + 2] in other for i in range(len(line) - 1))
    ]
    if not sharing:
        assert found == Citation(line)
    else:
        assert found.nearest in named[found.title]
        distance = min(edit_distance(line, other) for other in sharing)
        assert edit_distance(line, found.nearest) == distance


@given(st.text("春夏秋", max_size=6), st.text("春夏秋", max_size=6))
def test_the_edit_distance_is_a_distance(one: str, other: str) -> None:
    assert edit_distance(one, one) == 0
    assert edit_distance(one, other) == edit_distance(other, one)
    assert abs(len(one) - len(other)) <= edit_distance(one, other) <= max(len(one), len(other))
    assert edit_distance("春夏秋冬", "夏秋人冬") == 2


def test_the_index_is_kept_and_made_again_when_it_is_damaged(
    tmp_path: Path, poetgen_home: Path
) -> None:
    corpus = corpus_with(tmp_path / "mine", POEMS)
    Citations(corpus)
    (kept,) = (poetgen_home / "cache" / "citations").iterdir()
    whole = kept.read_bytes()
    for damage in (b"", whole[:100], whole[:200] + b"\x00\x01" + whole[202:], b"PK" + whole[5:]):
        kept.write_bytes(damage)
        assert Citations(corpus).nearest("春夏秋冬山").shared == 5


def test_a_corpus_that_is_not_imported_is_named(poetgen_home: Path) -> None:
    model = MarkovModel(len(CHARACTERS), MarkovTable(len(CHARACTERS), 1, 1.0))
    poet = Poet(model, CHARACTERS, "fake")
    for name in ("", "mine"):
        poet.corpus = name
        with pytest.raises(CorpusError, match=f"the corpus '{name}'"):
            corpus_of(poet)
    corpus_with(poetgen_home / "corpora" / "mine", POEMS)
    assert corpus_of(poet).name == "mine"
