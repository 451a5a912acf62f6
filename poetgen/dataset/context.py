"""What a model is told before a poem: its form, its dynasty, and what it is about.

A poem's context is six ids that the network reads before `<bos>`: a control token for the form, one
for the dynasty, and up to four characters of theme. What is not known or not said is `<pad>`. The
width is the same for every poem, so that poems of one length stay a batch without padding and a
poem's figures do not depend on what it is batched with; the loss does not count these places.

In training each part is left out at random (`KEPT`), and in one poem of five all are, so that one
model writes with any of them and with none. A vocabulary without control tokens makes a model that
reads no context.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from poetgen.dataset.vocabulary import PAD, Vocabulary
from poetgen.errors import TemplateError
from poetgen.verse.forms import FORMS

THEME_LENGTH = 4
"""Characters of theme: two words. Six cost the network 6 % more steps for themes that few titles
have."""

PARTS = (1, 1, THEME_LENGTH)
"""How many ids each part has: form, dynasty, theme."""

WIDTH = sum(PARTS)

KEPT = (0.8, 0.7, 0.8)
"""In training, the chance that a part is told, where any is."""

ALL_WITHHELD = 0.2
"""In training, the chance that nothing is told."""

DYNASTIES = {"唐": "tang", "宋": "song"}
"""The dynasties that a model can be told, with the names that keyboards have."""

_FORMS = {**{form.name: form.alias for form in FORMS}, "词": "ci", "曲": "qu", "其他": "other"}

CONTROLS = (
    *(f"<form:{alias}>" for alias in _FORMS.values()),
    *(f"<dynasty:{alias}>" for alias in DYNASTIES.values()),
)
"""The tokens that stand for forms and dynasties; never written, only read."""


def reads_context(vocabulary: Vocabulary) -> bool:
    """Whether models of this vocabulary are told a context."""
    return CONTROLS[0] in vocabulary


def context_ids(
    vocabulary: Vocabulary, form: str = "", dynasty: str = "", theme: str = ""
) -> tuple[int, ...]:
    """The context that a model reads: `WIDTH` ids, or none where the vocabulary has no controls.

    Args:
        vocabulary: The model's tokens.
        form: A form's Chinese name; one that the model has no token for is not told.
        dynasty: A key of `DYNASTIES`, likewise.
        theme: Up to `THEME_LENGTH` characters.
    """
    if not reads_context(vocabulary):
        return ()
    theme_ids = [vocabulary.id_of(character) for character in theme[:THEME_LENGTH]]
    return (
        _control(vocabulary, "form", _FORMS.get(form)),
        _control(vocabulary, "dynasty", DYNASTIES.get(dynasty)),
        *theme_ids,
        *[PAD] * (THEME_LENGTH - len(theme_ids)),
    )


def contexts_of(
    vocabulary: Vocabulary,
    forms: npt.NDArray[np.int8],
    form_names: tuple[str, ...],
    dynasties: list[str],
    themes: npt.NDArray[Any],
) -> npt.NDArray[Any]:
    """The contexts of many poems: (N, WIDTH), of the dtype of `themes`.

    Args:
        vocabulary: With control tokens.
        forms: (N,) places in `form_names`.
        form_names: The forms' Chinese names.
        dynasties: N of them.
        themes: (N, THEME_LENGTH) ids, PAD where there are fewer.
    """
    known = {name: _control(vocabulary, "dynasty", DYNASTIES.get(name)) for name in set(dynasties)}
    contexts = np.empty((len(forms), WIDTH), themes.dtype)
    of_form = [_control(vocabulary, "form", _FORMS.get(name)) for name in form_names]
    contexts[:, 0] = np.array(of_form, themes.dtype)[forms] if len(forms) else PAD
    contexts[:, 1] = [known[dynasty] for dynasty in dynasties]
    contexts[:, 2:] = themes
    return contexts


def withhold(contexts: npt.NDArray[Any], random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw which parts of each of N contexts are told: (N, WIDTH) bool."""
    draws = random.random((len(contexts), len(PARTS) + 1), np.float32)
    told = draws[:, :-1] < np.array(KEPT, np.float32)
    told &= draws[:, -1:] >= ALL_WITHHELD
    return np.repeat(told, PARTS, axis=1)


def dynasty_named(name: str) -> str:
    """The dynasty of a name, Chinese or ASCII.

    Raises:
        TemplateError: There is no such style; the hint lists those there are.
    """
    for dynasty, alias in DYNASTIES.items():
        if name.strip().lower() in (dynasty, alias):
            return dynasty
    known = ", ".join(f"{dynasty} ({alias})" for dynasty, alias in DYNASTIES.items())
    raise TemplateError(f"--style is '{name}'", hint=f"the styles are {known}")


def _control(vocabulary: Vocabulary, kind: str, alias: str | None) -> int:
    token = f"<{kind}:{alias}>"
    return vocabulary.id_of(token) if token in vocabulary else PAD
