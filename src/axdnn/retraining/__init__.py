"""Fine-tune an approximate network: exact integers forward, a chosen gradient of the products backward."""

from axdnn.retraining.augmentation import ShiftAndMirror
from axdnn.retraining.exchange import Exchange
from axdnn.retraining.fine_tune import DivergedError, FineTuning, fine_tune
from axdnn.retraining.float_weights import latent_weights, trained_float
from axdnn.retraining.model import TrainableModel, trainable
from axdnn.retraining.recalibrate import recalibrate
from axdnn.retraining.requests import require_trainable
from axdnn.retraining.saved_network import network_bytes, read_network
from axdnn.retraining.slopes import Gradient, GradientRule, slopes, smoothed_difference

__all__ = [
    "DivergedError", "Exchange", "FineTuning", "Gradient", "GradientRule", "ShiftAndMirror", "TrainableModel",
    "fine_tune", "latent_weights", "network_bytes", "read_network", "recalibrate", "require_trainable", "slopes",
    "smoothed_difference", "trainable", "trained_float",
]  # fmt: skip
