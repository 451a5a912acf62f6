"""Of several drafts the best is known, and twins are seen for what they are."""

from poetgen.dataset.runs import RunFilter
from poetgen.writing.ranking import MOST_BORROWED, Appraisal, Variety, appraise
from tests.dataset.test_runs import split_of
from tests.writing.fakes import CHARACTERS

HEADED = ((True, False, False, False, False),) * 2


def filter_of(*lines: str) -> RunFilter:
    return RunFilter.build(split_of([CHARACTERS.encode(line) for line in lines]), CHARACTERS)


def appraised(*lines: str, nats: float = 4.0, runs: RunFilter | None = None) -> Appraisal:
    return appraise(lines, HEADED, nats, runs)


def test_of_equal_drafts_the_likelier_is_better() -> None:
    assert (
        appraised("春夏秋冬山", "水风月花鸟", nats=4.0).order
        < appraised("春夏秋冬山", "水风月花鸟", nats=4.1).order
    )


def test_a_character_that_comes_again_costs_but_not_side_by_side_nor_where_it_was_asked_for() -> (
    None
):
    fresh = appraised("春夏秋冬山", "水风月花鸟")
    assert fresh.repeated == 0
    assert appraised("春夏秋山山", "水风月花鸟").repeated == 0
    assert appraised("春夏秋冬山", "春风月花鸟").repeated == 0  # The heads were asked for.
    assert appraised("春夏秋水山", "水风月花鸟").repeated == 1  # The model chose the first.
    again = appraised("春夏秋冬山", "水风夏秋鸟")
    assert again.repeated == 2
    assert again.cost > fresh.cost


def test_runs_of_the_corpus_cost_and_too_many_are_refused_behind_all_others() -> None:
    runs = filter_of("春夏秋冬山")
    borrowed = appraised("春夏秋冬山", "水风月花鸟", nats=1.0, runs=runs)
    new = appraised("春夏秋冬云", "水风月花鸟", nats=9.0, runs=runs)
    assert (borrowed.borrowed_share, new.borrowed_share) == (0.5, 0.0)
    assert borrowed.order[1]
    assert not new.order[1]
    assert new.order < borrowed.order
    assert 0 < MOST_BORROWED < 0.5


def test_what_was_asked_for_is_not_borrowed() -> None:
    runs = filter_of("春夏秋冬山")
    forced = ((True,) * 5, (False,) * 5)
    found = appraise(("春夏秋冬山", "水风月花鸟"), forced, 4.0, runs)
    assert (found.borrowed, found.borrowed_share) == (0, 0.0)


def test_cliches_cost() -> None:
    runs = filter_of(*["春夏秋"] * 9)
    assert appraised("春夏秋冬山", "水风月花鸟", runs=runs).cliches == 1
    assert (
        appraised("春夏秋冬山", "水风月花鸟", runs=runs).cost
        > appraised("春夏冬秋山", "水风月花鸟", runs=runs).cost
    )


def test_without_a_filter_nothing_is_said_of_borrowing() -> None:
    assert appraised("春夏秋冬山", "水风月花鸟").borrowed_share is None
    assert not appraised("春夏秋冬山", "水风月花鸟").order[1]


def test_poems_that_differ_in_little_but_their_heads_are_twins() -> None:
    variety = Variety(9)
    assert variety.adds(("春夏秋冬山", "水风月花鸟"), HEADED)
    assert not variety.adds(("春夏秋冬山", "水风月花鸟"), HEADED)
    assert not variety.adds(("云夏秋冬山", "雨风月地天"), HEADED)  # Six of eight chosen are alike.
    assert variety.adds(("春夏秋人地", "水风月天心"), HEADED)  # Four of eight.
    assert variety.adds(("春日夜东西", "水南北一不"), HEADED)
    assert not variety.adds(("春日夜东西", "水南北一江"), HEADED)
