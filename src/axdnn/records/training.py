"""`Training`: what fine-tuning was done for a result, and what there was without it."""

from __future__ import annotations

from axdnn.records.codec import Record
from axdnn.records.evaluation import Accuracy, Evaluation


class TrainedChoice(Record, frozen=True, kw_only=True):
    """One assignment whose network was fine-tuned.

    Attributes:
        level: predicted loss before its training, in budgets.
        before: accuracy on the search split before its training.
        evaluation: assignment and cost; accuracy after training, `accept` only if the search split allowed it.
        losses: mean training loss of each epoch.
        stage: which weights it began with: 0 the network's own, n those of the n-th training accepted before it.
    """

    level: float
    before: Accuracy
    evaluation: Evaluation
    losses: tuple[float, ...]
    stage: int = 0


class Training(Record, frozen=True, kw_only=True):
    """Fine-tuning of assignments bolder than the search without training accepted.

    Attributes:
        epochs: of each assignment.
        images: that were trained on, all of split `fit` or its first ones.
        training_images: images through the networks under training: epochs x images x assignments.
        settings: of the training and of its rounds, as text.
        rounds: all assignments trained, in order.
        untrained: the choice without training, with its accuracy on the test split.
        weights_file: in the run's folder, of the chosen network; empty where no trained one was accepted.
        weights_sha256: checksum of that file.
    """

    epochs: int
    images: int
    training_images: int
    settings: dict[str, str]
    rounds: tuple[TrainedChoice, ...]
    untrained: Evaluation
    weights_file: str = ""
    weights_sha256: str = ""

    @property
    def chosen(self) -> bool:
        """Whether the result is a trained network."""
        return bool(self.weights_sha256)
