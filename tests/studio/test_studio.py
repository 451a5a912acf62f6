"""Everything that a person does in the studio, done by keys or by mouse."""

import json
from pathlib import Path

import pytest
from textual import events
from textual.command import CommandPalette
from textual.widgets import Input, OptionList, Select

from poetgen.book.store import Book
from poetgen.studio.screens.book import BookDialog
from poetgen.studio.screens.dialogs import HelpDialog
from poetgen.studio.screens.settings import SettingsDialog
from poetgen.studio.screens.side_by_side import SideBySide
from poetgen.studio.text import ACTIONS
from poetgen.verse.prosody import check
from poetgen.writing.request import FREE
from tests.studio.helpers import GatedModel, fake_poet, fake_shelf, run, studio


def test_heads_can_be_typed_at_once_and_are_seen_in_the_poem(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.type("春夏秋")  # With no key before: the heads have the focus.
            assert s.draft.heads == "春夏秋"
            assert s.desk.grid.page.rows[2] == "秋□□□□□□"
            await s.until(lambda: "3 of 4 heads; 4 of 4 patterns" in s.text("#outlook"))
            await s.type("冬")
            await s.until(lambda: "4 of 4 patterns" in s.text("#outlook"))

    run(scenario())


def test_pasted_traditional_heads_are_taken_as_they_are(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            s.app.post_message(events.Paste("東風夜雪"))
            await s.until(lambda: s.draft.heads == "東風夜雪")
            await s.press("enter")
            await s.drawn()
            assert [row[0] for row in s.draft.rows] == [*"東風夜雪"]

    run(scenario())


def test_a_clash_of_heads_is_a_warning_with_its_reason(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.press("escape", "a")  # Heads last: 春 is level, at the end of a line.
            assert s.draft.settings.at == "tail"
            await s.press("h")
            await s.type("春夏秋冬")
            await s.until(lambda: s.text("#outlook").startswith("! "))
            assert "春 is 平" in s.text("#outlook")
            await s.type("风")
            await s.until(lambda: "5 heads cannot stand" in s.text("#outlook"))
            await s.press("enter")
            assert "5 heads cannot stand" in s.status

    run(scenario())


def test_one_key_writes_the_poem_and_it_keeps_the_rules(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            draft = await s.write()
            assert [row[0] for row in draft.rows] == [*"春夏秋冬"]
            report = check(draft.rows)
            assert report.regulated
            assert report.rhymed
            assert "every rule kept" in s.text("#check-title")
            assert f"seed {draft.seed}" in s.status
            poem = fake_poet().write([draft.again()], [draft.seed or 0])[0]
            assert poem.lines == draft.rows  # type: ignore[union-attr]

    run(scenario())


def test_it_is_written_character_by_character_and_can_be_stopped(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path, shelf=fake_shelf(kind=GatedModel)) as s:
            await s.until(lambda: "ready" in s.text("#title"))
            await s.press("escape", "s")
            s.app.screen.query_one("#particles", Input).value = "1"
            GatedModel.gate.clear()
            await s.press("ctrl+s", "h")
            await s.type("春夏秋冬")
            seen = []
            show = s.desk.show_poem

            def record() -> None:
                show()
                seen.append("".join(s.desk.grid.page.rows))

            s.desk.show_poem = record  # type: ignore[method-assign]
            await s.press("enter")
            await s.until(lambda: "writing" in s.text("#title") and seen[-1][7] != FREE)
            await s.press("right", "down", "left")  # Keys work while it is being drawn.
            assert s.desk.grid.cursor == (1, 0)
            await s.press("escape")
            GatedModel.gate.set()
            await s.until(lambda: not s.desk.so_far)
            assert "stopped" in s.status
            assert not s.draft.is_whole
            await s.press("d")
            await s.drawn()
            written = [28 - row.count(FREE) for row in seen]
            assert set(range(5, 28)) <= set(written)  # Each character was seen on its own.
            GatedModel.gate.clear()
            await s.press("d", "f")  # What is changed meanwhile is not overwritten.
            GatedModel.gate.set()
            await s.until(lambda: not s.desk.so_far)
            assert s.draft.settings.form == "五律"
            assert not s.draft.is_whole

    GatedModel.gate.set()
    run(scenario())


def test_forced_characters_tones_rhymes_and_locks_are_told_without_colour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.write()
            await s.press("right", "space")
            text = s.screen_text()
            assert "[" + s.draft.rows[0][1] + "]" in text
            signs = next(line for line in text.splitlines() if "*" in line)
            assert signs.split("*")[0].strip() in ("=平", "=仄", "=中")
            assert text.count("韵 ") >= 2
            colours = {
                colour
                for strip in s.app.screen._compositor.render_strips()
                for segment in strip
                if segment.style and segment.style.color and segment.style.color.triplet
                for colour in (segment.style.color.triplet,)
            }
            assert all(colour.red == colour.green == colour.blue for colour in colours)
            bold = {
                segment.text
                for strip in s.app.screen._compositor.render_strips()
                for segment in strip
                if segment.style and segment.style.bold and segment.style.underline
            }
            assert set("春夏秋冬") <= bold

    run(scenario())


def test_the_cursor_moves_by_character_and_line_and_by_mouse(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.write()
            for keys, place in (
                (("right", "right"), (0, 2)),
                (("down",), (1, 2)),
                (("end",), (1, 6)),
                (("right",), (2, 0)),
                (("left",), (1, 6)),
                (("home",), (1, 0)),
                (("ctrl+end",), (3, 6)),
                (("right", "down"), (3, 6)),
                (("ctrl+home",), (0, 0)),
            ):
                await s.press(*keys)
                assert s.desk.grid.cursor == place
            await s.pilot.click("#poem", offset=(4 + 4 * 3 + 1, 2 * 2))
            assert s.desk.grid.cursor == (2, 3)
            await s.pilot.click("#poem", offset=(4 + 4 * 5 + 1, 2), times=2)
            await s.pilot.pause()
            assert s.draft.locked == {(1, 5)}

    run(scenario())


def test_candidates_have_the_models_probabilities_under_the_rules(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.write()
            await s.press("down", "right", "right")
            standing = s.draft.rows[1][2]
            await s.asked(1, 2)
            found = fake_poet().candidates(s.draft.open_at((1, 2)), 1, 2, 18)
            assert s.candidates == [each.character for each in found]
            listing = s.desk.query_one("#candidates", OptionList)
            assert f"{found[0].probability:.1%}" in str(listing.get_option_at_index(0).prompt)
            third = s.candidates[2]
            await s.press("3")
            assert s.draft.rows[1][2] == third
            assert (1, 2) in s.draft.locked
            await s.asked(1, 2)
            await s.press("enter")
            assert s.app.focused is listing
            await s.press("end", "enter")
            assert s.draft.rows[1][2] == found[-1].character
            await s.press("u", "u")
            assert s.draft.rows[1][2] == standing
            await s.asked(1, 2)
            await s.press("home")
            await s.pilot.click("#candidates", offset=(3, 1))
            await s.pilot.pause()
            assert s.draft.rows[1][2] == found[1].character
            await s.press("escape", "8", "9")
            await s.pilot.pause(0.3)
            assert check(s.draft.rows).regulated  # Every one of them keeps the rules.

    run(scenario())


def test_candidates_wait_until_all_before_them_is_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.type("春夏秋冬")
            await s.press("escape", "right", "right")
            await s.until(lambda: "once all before it" in s.screen_text(), "the reason is not told")
            await s.press("left")
            await s.asked(0, 1)
            await s.press("1")
            assert s.draft.rows[0][1] != FREE

    run(scenario())


def test_own_characters_are_written_locked_judged_and_taken_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            before = await s.write()
            await s.press("ctrl+end")
            await s.type("夜")
            assert s.draft.rows[3][6] == "夜"
            assert (3, 6) in s.draft.locked
            assert "fault" in s.text("#check-title")
            remarks = s.desk.query_one("#check", OptionList)
            assert "出韵" in str(remarks.get_option_at_index(0).prompt)
            assert "does not rhyme with the others" in str(remarks.get_option_at_index(0).prompt)
            assert "!" in s.screen_text()
            await s.press("ctrl+home")
            await s.pilot.click("#check", offset=(3, 0))
            await s.until(lambda: s.desk.grid.cursor == (3, 6))
            await s.press("u")
            assert s.draft.rows == before.rows
            assert "every rule kept" in s.text("#check-title")
            await s.press("U")
            assert s.draft.rows[3][6] == "夜"
            await s.press("delete")
            assert s.draft.rows[3][6] == FREE
            await s.press("ctrl+home", "delete")
            assert "this is a head" in s.status
            s.desk.grid.post_message(events.Paste("天地，人心。"))
            await s.until(lambda: s.draft.rows[0].startswith("天地人心"))
            assert s.draft.heads == "天夏秋冬"

    run(scenario())


def test_the_rest_is_drawn_again_around_what_is_locked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            before = await s.write()
            await s.press("right", "space", "down", "down", "k")
            await s.press("d")
            await s.until(lambda: s.draft.seed != before.seed)
            after = s.draft
            assert after.rows[0][1] == before.rows[0][1]
            assert after.rows[2] == before.rows[2]
            assert after.rows != before.rows
            assert check(after.rows).regulated
            assert check(after.rows).rhymed
            await s.press("k", "up", "l")  # The third line is let go, the second drawn again.
            await s.until(lambda: s.draft.seed != after.seed)
            line = s.draft
            assert [line.rows[i] for i in (0, 2, 3)] == [after.rows[i] for i in (0, 2, 3)]
            assert line.shown_marks[0] == after.shown_marks[0]
            await s.press("down", "end", "left", "t")
            await s.until(lambda: s.draft.seed != line.seed)
            rest = s.draft
            assert rest.rows[:2] == line.rows[:2]
            assert rest.rows[2][:5] == line.rows[2][:5]
            await s.press("r")
            await s.until(lambda: not s.desk.so_far)
            assert s.draft.rows == rest.rows  # The same seed, and the same kept: the same poem.
            steps = 0
            while not s.draft.is_empty:
                await s.press("u")
                steps += 1
                assert steps < 40
            await s.press(*["U"] * steps)
            assert s.draft.rows == rest.rows

    run(scenario())


def test_settings_change_what_is_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.type("春夏秋冬")
            await s.press("escape", "s")
            dialog = s.app.screen
            assert isinstance(dialog, SettingsDialog)
            dialog.query_one("#form", Select).value = "五律"
            dialog.query_one("#tones", Select).value = "strict"
            dialog.query_one("#rhyme_book", Select).value = "新韵"
            dialog.query_one("#temperature", Input).value = "hot"
            await s.press("ctrl+s")
            assert "'hot' is no number" in s.screen_text()
            dialog.query_one("#temperature", Input).value = "0.5"
            dialog.query_one("#rhyme", Input).value = "夜"
            await s.press("ctrl+s")
            assert isinstance(s.app.screen, SettingsDialog)  # An oblique rhyme.
            dialog.query_one("#rhyme", Input).value = ""
            dialog.query_one("#seed", Input).value = "7"
            await s.press("ctrl+s")
            assert s.on_desk
            settings = s.draft.settings
            assert (settings.form, settings.tones, settings.rhyme_book) == (
                "五律",
                "strict",
                "新韵",
            )
            assert (settings.temperature, settings.seed) == (0.5, 7)
            await s.press("d")
            await s.drawn()
            assert len(s.draft.rows) == 8
            assert s.draft.seed == 7
            await s.press("s", "escape")
            assert s.draft.settings == settings
            await s.press("u", "u")
            assert s.draft.settings.form == "七绝"
            await s.pilot.click("SettingsLine")
            await s.pilot.pause()
            assert isinstance(s.app.screen, SettingsDialog)

    run(scenario())


def test_several_drafts_are_there_side_by_side(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            first = await s.write()
            await s.press("n")
            await s.type("山水云天")
            await s.press("enter")
            await s.drawn()
            await s.press("c")
            assert [draft.heads for draft in s.desk.session.drafts] == [
                "春夏秋冬",
                "山水云天",
                "山水云天",
            ]
            await s.press("left_square_bracket", "left_square_bracket")
            assert s.draft == first
            await s.pilot.click("DraftsBar", offset=(25, 0))
            await s.pilot.pause()
            assert s.draft.heads == "山水云天"
            await s.press("v")
            assert isinstance(s.app.screen, SideBySide)
            text = s.screen_text()
            assert first.rows[1] in text
            assert s.draft.rows[1] in text
            await s.press("left", "enter")
            assert s.draft == first
            await s.press("v", "d")
            await s.until(lambda: len({d.seed for d in s.desk.session.drafts}) == 1)
            await s.press("escape", "x")
            assert len(s.desk.session.drafts) == 2
            await s.press("u")
            assert len(s.desk.session.drafts) == 3

    run(scenario())


def test_models_are_swapped_and_compared_on_the_same_heads_and_seed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.write()
            assert "lstm: ready" in s.text("#title")
            await s.press("m", "down", "enter")
            assert s.draft.settings.model == "gru"
            await s.until(lambda: "gru: ready" in s.text("#title"))
            await s.press("d")
            await s.until(lambda: s.draft.written_by == "gru")
            await s.press("M")
            await s.press("enter")
            assert isinstance(s.app.screen, SideBySide)
            drafts = s.desk.session.drafts
            assert [draft.settings.model for draft in drafts[1:]] == ["lstm", "gru", "rnn"]
            await s.until(
                lambda: (
                    [draft.written_by for draft in s.desk.session.drafts[1:]]
                    == ["lstm", "gru", "rnn"]
                )
            )
            drafts = s.desk.session.drafts[1:]
            assert len({draft.seed for draft in drafts}) == 1
            assert {draft.heads for draft in drafts} == {"春夏秋冬"}
            assert len({draft.rows for draft in drafts}) == 1  # They are the same fake.
            assert "nats a character" in s.screen_text()

    run(scenario())


def test_a_poem_is_saved_found_and_reopened_as_it_was(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.press("escape", "f", "m", "down", "enter")
            await s.press("h")
            await s.type("梅兰松竹")
            await s.press("enter")
            await s.drawn()
            await s.press("right", "space", "ctrl+s")
            s.app.screen.query_one(Input).value = "四君子"
            await s.press("enter")
            await s.until(lambda: "saved" in s.status)
            saved = s.draft
            entry = Book(tmp_path / "book.jsonl").entries()[0]
            assert (entry.title, entry.lines, entry.model) == ("四君子", saved.rows, "gru")
            await s.press("x", "b")
            assert isinstance(s.app.screen, BookDialog)
            await s.type("没有")
            assert "nothing is found" in s.screen_text()
            await s.press("backspace", "backspace")
            await s.type("四君")
            assert saved.rows[1] in s.screen_text()
            await s.press("enter")
            assert s.on_desk
            draft = s.draft
            for field in ("heads", "settings", "rows", "seed", "locked", "kept", "title"):
                assert getattr(draft, field) == getattr(saved, field), field
            assert draft.settings.model == "gru"
            await s.press("r")
            await s.until(lambda: s.draft.nats is not None)
            assert s.draft.rows == saved.rows

    run(scenario())


def test_an_unfinished_poem_is_not_saved_but_stays(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.type("春夏秋冬")
            await s.press("f2")
            assert "still free" in s.status
            await s.press("escape", "e")
            assert "still free" in s.status

    run(scenario())


def test_a_poem_is_exported_and_nothing_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def scenario() -> None:
        async with studio(tmp_path) as s:
            draft = await s.write()
            for choice, kind in enumerate(("txt", "md", "json", "svg", "vertical.svg")):
                await s.press("e", *["down"] * choice, "enter", "enter")
                path = tmp_path / f"春夏秋冬.{kind}"
                await s.until(lambda path=path: path.name in s.status)  # type: ignore[misc]
                content = path.read_text(encoding="utf-8")
                if kind == "json":
                    assert json.loads(content)["lines"] == list(draft.rows)
                elif kind == "txt":
                    assert draft.rows[2] in content
                else:
                    assert draft.rows[2][3] in content
            await s.press("e", "enter", "enter")
            await s.until(lambda: "is there already" in s.status)

    run(scenario())


def test_help_lists_every_action_and_does_what_is_chosen(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.press("question_mark")  # From the heads, where letters are typed.
            assert isinstance(s.app.screen, HelpDialog)
            options = s.app.screen.query_one(OptionList).options
            assert {action.name for action in ACTIONS} <= {option.id for option in options}
            listing = s.app.screen.query_one(OptionList)
            listing.highlighted = next(
                i for i, option in enumerate(options) if option.id == "next_form"
            )
            await s.press("enter")
            assert s.draft.settings.form == "五律"

    run(scenario())


def test_every_action_has_a_key_of_its_own_and_is_in_the_palette(tmp_path: Path) -> None:
    keys = [key for action in ACTIONS for key in action.keys]
    assert len(keys) == len(set(keys))

    async def scenario() -> None:
        async with studio(tmp_path) as s:
            titles = [command.title for command in s.app.get_system_commands(s.app.screen)]
            assert titles == [action.title for action in ACTIONS]
            for action in ACTIONS:
                name = action.name.partition("(")[0]
                assert hasattr(s.desk, f"action_{name}"), name
            await s.press("escape", "ctrl+p")
            assert isinstance(s.app.screen, CommandPalette)
            await s.type("next form")
            await s.until(lambda: "The next form" in s.screen_text())
            await s.press("down", "enter")
            await s.until(lambda: s.draft.settings.form == "五律")

    run(scenario())


def test_dark_and_light_are_remembered(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.type("春")
            await s.press("f9")
            assert not s.app.current_theme.dark
        async with studio(tmp_path) as s:
            assert not s.app.current_theme.dark
            assert s.draft.heads == "春"

    run(scenario())


def test_the_footer_works_by_mouse(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.type("春夏秋冬")
            await s.pilot.click("FooterKey")  # The first one: draw.
            await s.drawn()

    run(scenario())


def test_an_octave_has_its_place_on_every_size(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.press("escape", "f", "f")
            assert s.draft.settings.form == "七律"
            await s.write()
            await s.press("ctrl+end")
            for width, height in ((80, 24), (60, 18), (100, 30), (200, 60)):
                await s.pilot.resize_terminal(width, height)
                last = f"[{s.draft.rows[7][6]}]"
                await s.until(lambda last=last: last in s.screen_text())  # type: ignore[misc]
                text = s.screen_text()
                assert "candidates" in text
                assert "check" in text
                if height >= 24:
                    assert f"  1  {s.draft.rows[0][0]} " in text

    run(scenario())


def test_a_change_of_colours_reaches_every_character(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with studio(tmp_path) as s:
            await s.type("春夏秋冬")
            await s.press("escape")
            dark = s.desk.grid.render_line(0)
            await s.press("f9")
            await s.pilot.pause(0.05)
            assert s.desk.grid.render_line(0).text == dark.text
            assert s.desk.grid.render_line(0) != dark

    run(scenario())
