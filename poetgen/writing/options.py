"""How tokens are chosen: one frozen record, checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from poetgen.errors import PoetgenError


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How to choose tokens.

    Attributes:
        temperature: What logits are divided by: below 1 the likely becomes likelier.
        top_k: Draw from the k likeliest of what is allowed (and what ties with them); 0: from all.
        top_p: Draw from the fewest tokens that hold this share of what is allowed. Neither filter
            changes what a particle weighs.
        particles: The sequences that compete to be one poem.
        decoding: "particles"; "plain": one particle, which nothing can kill; "beam": keep the
            likeliest sequences, with no draw, so that temperature, top-k, top-p and seed have no
            say.

    Raises:
        PoetgenError: A value out of range; the message names the flag that sets it.
    """

    temperature: float = 0.9
    top_k: int = 0
    top_p: float = 1.0
    particles: int = 32
    decoding: Literal["particles", "plain", "beam"] = "particles"

    def __post_init__(self) -> None:
        for flag, fits, wanted in (
            ("temperature", 0.01 <= self.temperature <= 100, "be from 0.01 to 100"),
            ("top_k", self.top_k >= 0, "be 0 (all) or more"),
            ("top_p", 0 < self.top_p <= 1, "be above 0 and at most 1"),
            ("particles", 1 <= self.particles <= 4096, "be from 1 to 4096"),
            (
                "decoding",
                self.decoding in ("particles", "plain", "beam"),
                "be particles, plain or beam",
            ),
        ):
            if not fits:
                raise PoetgenError(
                    f"--{flag.replace('_', '-')} is {getattr(self, flag)}",
                    hint=f"it must {wanted}",
                )

    @property
    def size(self) -> int:
        """The particles that there can be."""
        return 1 if self.decoding == "plain" else self.particles
