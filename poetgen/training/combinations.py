"""What does not go together, of a network and of how it is trained: an error names both flags."""

from __future__ import annotations

from poetgen.errors import TrainingError
from poetgen.models.config import ModelConfig
from poetgen.training.options import TrainingOptions

_IN_A_STREAM = {
    "architecture": ("lm", "reads a poem's beginning apart from its end, and a stream has neither"),
    "condition": ("prefix", "must know where a context ends, which a piece of a stream cannot say"),
    "stop": ("eos", "counts from where a poem begins, which may be pieces ago"),
}
"""Fields of `ModelConfig`: the value that truncated BPTT goes with, and why another does not."""


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
        if value != needed:
            raise TrainingError(
                f"--bptt {options.bptt} does not go with --{name} {value}",
                hint=f"such a network {reason}; leave --bptt out, or take --{name} {needed}",
            )
