"""What a run says of its steps: figures still on their way, a line of the log, and a record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from poetgen.errors import TrainingError
from poetgen.training.evaluation import Perplexity


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where a run stands after a step.

    Attributes:
        step: Steps made.
        total_steps: Steps in the budget; None when the budget is time.
        share: The share of the budget used, 0 to 1.
        epoch: Passes through the training poems, begun ones included.
        loss: Of this step's batch, in nats a token; where its own output is fed back to the
            network, given that.
        learning_rate: That this step was made with.
        teacher_forcing: The share of its inputs that were read as the poems have them.
        gradient_norm: Before clipping.
        clipped_share: Of all steps so far, those whose gradient was clipped.
        tokens_per_second: Real tokens, padding not counted, since the record before.
        seconds: Spent on training so far, over all processes.
        seconds_left: An estimate.
        validation: What the validation after this step measured; None when there was none.
        is_best: Whether that is the best so far, so that its weights were kept.
    """

    step: int
    total_steps: int | None
    share: float
    epoch: int
    loss: float
    learning_rate: float
    teacher_forcing: float
    gradient_norm: float
    clipped_share: float
    tokens_per_second: float
    seconds: float
    seconds_left: float
    validation: Perplexity | None = None
    is_best: bool = False


@dataclass(frozen=True, slots=True)
class Learned:
    """What a step made known; reading a tensor of it waits for the device.

    Attributes:
        learning_rate, teacher_forcing: That it was made with.
        loss: Of its batch, in all processes.
        gradient_norm: Before clipping.
        clipped: Whether the gradient was clipped.
    """

    learning_rate: float
    teacher_forcing: float
    loss: Tensor
    gradient_norm: Tensor
    clipped: Tensor


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was made, and when.

    Attributes:
        step: Which, the first being 1.
        epoch: In which pass through the poems, the first being 1.
        seconds: Spent on training by then.
        tokens: Real tokens in its batch.
        learned: What it made known.
    """

    step: int
    epoch: int
    seconds: float
    tokens: int
    learned: Learned

    def record(self, *, may_overflow: bool) -> dict[str, Any]:
        """Its line of the log.

        Args:
            may_overflow: Whether a gradient may be infinite: with fp16 that is in order, the
                scaler leaves such a step out.

        Raises:
            TrainingError: The loss or the gradient is no number.
        """
        learned = self.learned
        loss, norm = learned.loss.item(), learned.gradient_norm.item()
        finite = math.isfinite(norm)
        if not math.isfinite(loss) or not (finite or may_overflow):
            raise TrainingError(
                f"the loss is {loss} and the gradient's norm {norm} at step {self.step}",
                hint=f"lower --learning-rate (it was {learned.learning_rate:.1e} there) or "
                "--clip-norm; the best checkpoint so far is intact",
            )
        return {
            "step": self.step,
            "epoch": self.epoch,
            "seconds": self.seconds,
            "tokens": self.tokens,
            "loss": loss,
            "learning_rate": learned.learning_rate,
            "teacher_forcing": learned.teacher_forcing,
            "gradient_norm": norm,
            "clipped": finite and bool(learned.clipped.item()),
        }
