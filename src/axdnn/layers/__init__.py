"""Approximate integer layers: choosing codes, converting a model, computing with it."""

from axdnn.layers.activations import SHARED_BYTES, ActivationCache
from axdnn.layers.closed_forms import regress
from axdnn.layers.coding import LayerCoding, coded, fit_coding, screen_noise
from axdnn.layers.convert import Multipliers, approximate, build, resolve
from axdnn.layers.digest import digest_of
from axdnn.layers.integer import IntegerLayer, ScaledSums
from axdnn.layers.model import ApproxModel
from axdnn.layers.prefix import BATCH, outputs_of, prefix_order
from axdnn.layers.recipe import Recipe
from axdnn.layers.samples import Calibration, LayerSample

__all__ = [
    "BATCH", "SHARED_BYTES", "ActivationCache", "ApproxModel", "Calibration", "IntegerLayer", "LayerCoding",
    "LayerSample", "Multipliers", "Recipe", "ScaledSums", "approximate", "build", "coded", "digest_of", "fit_coding",
    "outputs_of", "prefix_order", "regress", "resolve", "screen_noise",
]  # fmt: skip
