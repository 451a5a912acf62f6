"""Ten poems that nobody chose: fixed heads, fixed forms, the seeds 0 to 9, the first that comes."""

from __future__ import annotations

from dataclasses import dataclass

from poetgen.errors import TemplateError
from poetgen.writing.poet import Poet
from poetgen.writing.written import WrittenPoem

ASKED = (
    ("春夏秋冬", "七绝"),
    ("风花雪月", "五绝"),
    ("梅兰竹菊", "七绝"),
    ("琴棋书画", "五绝"),
    ("平安喜乐", "七绝"),
    ("山高水长", "五绝"),
    ("人工智能", "七绝"),
    ("一帆风顺", "五绝"),
    ("江山如画岁月如歌", "七律"),
    ("百年好合永结同心", "五律"),
)
"""Heads and form of each, the i-th with seed i."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One of them.

    Attributes:
        command: What writes it.
        poem: It; None where the model does not write it.
        refusal: Why not.
    """

    command: str
    poem: WrittenPoem | None
    refusal: str = ""


def write_samples(poet: Poet, model: str) -> list[Sample]:
    """Write them as `poetgen acrostic` does.

    Args:
        poet: Who writes.
        model: The name that a user calls it by.
    """
    samples = []
    for seed, (heads, form) in enumerate(ASKED):
        command = f"poetgen acrostic {heads} --form {form} --model {model} --seed {seed}"
        try:
            (poem,) = poet.acrostic(heads, form, seed=seed)
        except TemplateError as error:
            samples.append(Sample(command, None, error.message))
        else:
            samples.append(Sample(command, poem))
    return samples
