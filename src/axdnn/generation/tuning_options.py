"""How assignments and training take turns."""

from __future__ import annotations

from dataclasses import dataclass, field

from axdnn.records import require_finite
from axdnn.retraining import FineTuning


@dataclass(frozen=True, kw_only=True)
class TuningOptions:
    """How assignments and training take turns.

    Attributes:
        rounds: assignments that are trained, at most.
        first: predicted loss, before training, of the first one in budgets.
        bolder: factor on it while assignments are accepted.
        alternate: after an accepted training, choose anew under the trained weights and train on from these; else every
            assignment is chosen once, from what the search without training measured, and trained from the weights of
            the exact network.
        fine_tuning: of each.
    """

    rounds: int = 3
    first: float = 4.0
    bolder: float = 2.0
    alternate: bool = False
    fine_tuning: FineTuning = field(default_factory=lambda: FineTuning(epochs=2, distillation=0.5))

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_finite("rounds", self.rounds, 1)
        require_finite("first", self.first, 0.0)
        require_finite("bolder", self.bolder, 1.0)
