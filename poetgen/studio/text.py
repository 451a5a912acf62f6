"""The words of the studio: every action with its key, and what a finding means in plain words.

The table of actions is the only place where a key is named: bindings, footer, help and command
palette are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a person can do.

    Attributes:
        name: The method that does it, without `action_`; and its arguments, if it has any.
        keys: Its keys, the one that is shown first.
        title: What it does, in a few words.
        group: Where the help lists it.
        brief: The word of the footer; empty: not in the footer.
    """

    name: str
    keys: tuple[str, ...]
    title: str
    group: str
    brief: str = ""


WRITE, WORK, DRAFTS, KEEP, STUDIO = (
    "Write",
    "Work on it",
    "Drafts and models",
    "Keep it",
    "The studio",
)

ACTIONS = (
    Action("draw('all')", ("d", "f5"), "Draw all that is not locked", WRITE, "draw"),
    Action("draw('line')", ("l",), "Draw this line again", WRITE, "line"),
    Action("draw('rest')", ("t",), "Draw again from here to the end", WRITE, "rest"),
    Action("again", ("r",), "Draw with the seed that it was drawn with", WRITE),
    Action("stop", ("escape",), "Stop drawing; back to the poem", WRITE),
    Action("heads", ("h", "f3"), "Type heads", WRITE),
    Action(
        "settings",
        ("s", "f4"),
        "Settings: form, heads, rules, temperature, theme, seed",
        WRITE,
        "set",
    ),
    Action("next_form", ("f",), "The next form", WRITE),
    Action("next_at", ("a",), "The next place for the heads", WRITE),
    Action("lock", ("space",), "Lock the character, or let it go", WORK, "lock"),
    Action("lock_line", ("k",), "Lock the line, or let it go", WORK),
    Action("clear", ("delete", "backspace"), "Clear the character", WORK),
    Action("clear_line", ("ctrl+k",), "Clear the line", WORK),
    Action("candidates", ("enter",), "Go to the candidates; 1 to 9 take one", WORK),
    Action("undo", ("u", "ctrl+z"), "Undo", WORK, "undo"),
    Action("redo", ("U", "ctrl+y"), "Redo", WORK),
    Action("new", ("n", "ctrl+n"), "A new draft", DRAFTS),
    Action("copy", ("c",), "A copy of this draft", DRAFTS),
    Action("close_draft", ("x",), "Close this draft", DRAFTS),
    Action("next_draft", ("right_square_bracket", "ctrl+right"), "The next draft", DRAFTS),
    Action("last_draft", ("left_square_bracket", "ctrl+left"), "The draft before", DRAFTS),
    Action("side_by_side", ("v", "f6"), "See the drafts side by side", DRAFTS),
    Action("model", ("m", "f7"), "Take another model", DRAFTS, "model"),
    Action("compare", ("M",), "Write it with several models, side by side", DRAFTS),
    Action("save", ("ctrl+s", "f2"), "Save to the poem book", KEEP, "save"),
    Action("book", ("b", "f8"), "Open the poem book", KEEP, "book"),
    Action("export", ("e", "ctrl+e"), "Export: text, Markdown, JSON, a card", KEEP),
    Action("help", ("question_mark", "f1"), "Help", STUDIO, "help"),
    Action("dark", ("f9",), "Dark or light", STUDIO),
    Action("leave", ("q", "ctrl+q"), "Leave; the drafts come back", STUDIO),
)

KEY_NAMES = {
    "question_mark": "?",
    "right_square_bracket": "]",
    "left_square_bracket": "[",
    "escape": "esc",
    "delete": "del",
    "backspace": "backspace",
}
"""Keys whose names are not what stands on them."""


def shown_key(key: str) -> str:
    """How a key is written for a reader."""
    return "+".join(KEY_NAMES.get(part, part) for part in key.split("+")).replace("ctrl+", "^")


FAULTS = {
    "平仄": "the tone is wrong here: level where oblique is called for, or the other way round",
    "孤平": "the line has only one level character beside its foot",
    "三平尾": "the last three characters are all level",
    "失对": "the two lines of a couplet should be opposed in tone at their second character",
    "失粘": "a couplet should begin in the tone in which the one before ended",
    "白脚": "a line that does not rhyme should end oblique",
    "出韵": "this foot does not rhyme with the others",
    "重韵": "the same character rhymes twice; a blemish",
    "撞韵": "a line that should not rhyme nearly does; a blemish",
}
"""What each fault is, for one who has never heard its name."""

MOVING = (
    ("arrows, home, end, click", "move in the poem"),
    ("Chinese characters, paste", "write your own, locked where they stand"),
    ("1 to 9, click", "take a candidate"),
    ("double click", "lock a character, or let it go"),
    ("tab", "from part to part of the screen"),
    ("^p", "the command palette: every action by name"),
)
"""What is done without an action of the table."""

LEGEND = "= head  * locked  ! fault  韵 rhymes"

TOO_SMALL = (
    "{width}x{height} is too small.\nThe studio needs {least_width}x{least_height}.\n"
    "Your drafts are safe."
)

AT_NAMES = {"head": "first", "tail": "last", "diagonal": "diagonal"}


def shown_at(at: str) -> str:
    """Where heads stand, for a reader."""
    return AT_NAMES.get(at, f"no. {at}")
