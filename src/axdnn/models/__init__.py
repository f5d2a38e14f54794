"""Small known networks, their weights, and the training that made them."""

from axdnn.models.loading import load_model, shipped_recipes
from axdnn.models.normalising import input_text
from axdnn.models.onnx_network import network_from_onnx
from axdnn.models.recipes import Recipe, default_recipe
from axdnn.models.resolving import model_identity, model_label, resolve_model
from axdnn.models.train_to_file import checkpoints_of, train_to_file
from axdnn.models.trained import TrainedModel, measure_accuracy
from axdnn.models.training import train
from axdnn.models.weights_file import load_weights, save_weights
from axdnn.models.zoo import build_model, list_models

__all__ = [
    "Recipe",
    "TrainedModel",
    "build_model",
    "checkpoints_of",
    "default_recipe",
    "input_text",
    "list_models",
    "load_model",
    "load_weights",
    "measure_accuracy",
    "model_identity",
    "model_label",
    "network_from_onnx",
    "resolve_model",
    "save_weights",
    "shipped_recipes",
    "train",
    "train_to_file",
]
