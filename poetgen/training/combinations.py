"""What does not go together, of a network and of how it is trained: an error names both flags."""

from __future__ import annotations

from poetgen.errors import TrainingError
from poetgen.models.config import ModelConfig
from poetgen.training.options import TrainingOptions

_IN_A_STREAM = {
    "architecture": (("lm",), "looks back to lines that may be pieces ago"),
    "condition": (("prefix",), "must know where a poem begins, which a piece need not have"),
    "stop": (("eos", "bernoulli"), "must know a poem's length before it, not in a stream"),
}
"""Fields of `ModelConfig`: the values that truncated BPTT goes with, and why others do not."""


def check_combination(model: ModelConfig, options: TrainingOptions) -> None:
    """Make sure that a network can be trained so.

    Raises:
        TrainingError: It cannot.
    """
    if model.stop == "length" and options.tokenizer == "word":
        raise TrainingError(
            "--stop length does not go with --tokenizer word",
            hint="a form says how many characters a poem has, but not how many words; give "
            "--tokenizer char",
        )
    if not options.bptt:
        return
    for name, (needed, reason) in _IN_A_STREAM.items():
        value = getattr(model, name)
        if value not in needed:
            raise TrainingError(
                f"--bptt {options.bptt} does not go with --{name} {value}",
                hint=f"such a network {reason}; leave --bptt out, or take --{name} "
                f"{' or '.join(needed)}",
            )
