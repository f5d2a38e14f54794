"""Fine-tune an approximate network: exact integers forward, a chosen gradient of the products backward."""

from axdnn.retraining.fine_tune import FineTuning, fine_tune
from axdnn.retraining.model import TrainableModel, trainable
from axdnn.retraining.recalibrate import recalibrate
from axdnn.retraining.slopes import Gradient, GradientRule, slopes, smoothed_difference

__all__ = [
    "FineTuning", "Gradient", "GradientRule", "TrainableModel", "fine_tune", "recalibrate", "slopes",
    "smoothed_difference", "trainable",
]  # fmt: skip
