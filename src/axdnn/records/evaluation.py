"""`Evaluation`: accuracy and cost of one candidate, with what made the numbers."""

from __future__ import annotations

from axdnn.records.assignment import Assignment
from axdnn.records.codec import Record


class Accuracy(Record, frozen=True, kw_only=True):
    """Accuracy of one assignment on one split.

    Attributes:
        split: e.g. `"search"`, `"accept"`, `"test"`.
        images: number of images that made it.
        accuracy: fraction correct, 0..1.
        baseline_accuracy: the exact-multiplier int8 network on the same images.
        loss_bound: one-sided 95 % upper bound of `baseline_accuracy - accuracy`, paired by image.
    """

    split: str
    images: int
    accuracy: float
    baseline_accuracy: float
    loss_bound: float

    @property
    def loss(self) -> float:
        """`baseline_accuracy - accuracy`, a fraction; negative when the approximate network is better."""
        return self.baseline_accuracy - self.accuracy


class Evaluation(Record, frozen=True, kw_only=True):
    """One candidate: assignment, accuracies by split, cost.

    Attributes:
        assignment: the candidate.
        accuracy: split name -> Accuracy.
        energy_j, latency_s, memory_bytes, area_m2, multiplier_energy_j: totals of the cost report (headline reading).
        predicted_loss: what the strategy expected on the search split, a fraction; None if it made no prediction.
        strategy: who proposed it.
        accepted: whether the loss bounds on the search and then on the accept split are within the budget; False also
            for a choice that was not sent to the accept split (`accuracy` has no `"accept"` then); None if not judged.
    """

    assignment: Assignment
    accuracy: dict[str, Accuracy]
    energy_j: float
    latency_s: float
    memory_bytes: int
    area_m2: float
    multiplier_energy_j: float
    predicted_loss: float | None = None
    strategy: str = ""
    accepted: bool | None = None
