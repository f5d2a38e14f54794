"""Make a trained model approximate."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from axdnn.layers.activations import ActivationCache
from axdnn.layers.closed_forms import regress
from axdnn.layers.coding import LayerCoding, fit_coding, sample_affine
from axdnn.layers.integer import IntegerLayer, ScaledSums
from axdnn.layers.model import ApproxModel
from axdnn.layers.prefix import Fits
from axdnn.layers.product import IntegerProduct
from axdnn.layers.recipe import Recipe
from axdnn.layers.samples import Calibration
from axdnn.multipliers import load_multiplier, require_own_name
from axdnn.quant import CapturedModel, Inputs, capture, check_absent, check_skip, fold_batch_norm, network_of
from axdnn.records import ExactOperator, InvalidInputError, Multiplier, Network, unknown_name

Multipliers = str | Multiplier | Mapping[str, str | Multiplier]
BIAS_STEPS = 2**28  # of the largest bias; leaves room for a gain of 1/4 and the offset of the compensation


def approximate(
    model: nn.Module,
    multipliers: Multipliers,
    calibration: torch.Tensor | tuple[torch.Tensor, ...] | Iterable[torch.Tensor],
    *,
    recipe: Recipe | None = None,
    name: str = "",
) -> ApproxModel:
    """Turn a trained model into an integer network that multiplies with the chosen circuits.

    Args:
        model: trained `torch.nn.Module`, see `axdnn.quant.capture`.
        multipliers: one catalogue name or `Multiplier` for every layer, or a mapping from layer name or pattern
            (`"stage1.*"`) to one; a full name wins over a pattern, an earlier pattern over a later one. Layers that
            nothing names keep the exact signed multiplier and are listed in `exact_layers`.
        calibration: inputs `(n, ...)`, or batches of them; 128 to 256 images are usual. For a model of several inputs
            a tuple of tensors with the same n.
        recipe: switches; see `Recipe`.
        name: label of the network.

    Returns:
        A module that computes with the chosen multiplier in each layer.

    Raises:
        UnknownNameError: a multiplier or layer name is not known.
        InvalidInputError: empty or wrongly shaped calibration data.
        UnsupportedOperatorError: the model cannot be captured.
    """
    images = _images(calibration)
    captured = fold_batch_norm(capture(model, images))
    if not captured.layer_names:
        raise InvalidInputError("the model has no convolution or linear layer")
    recipe = recipe or Recipe()
    chosen, exact = resolve(multipliers, captured.layer_names)
    data = Calibration(captured, images, recipe.fit_rows, recipe.seed, recipe.activation_range)
    codings = {layer: fit_coding(data.samples[layer], m, recipe) for layer, m in chosen.items()}
    return build(data, codings, network_of(captured, name or type(model).__name__), recipe, exact)


def build(
    data: Calibration,
    codings: Mapping[str, LayerCoding],
    network: Network,
    recipe: Recipe,
    exact_layers: tuple[ExactOperator, ...] = (),
    skip: Mapping[str, Sequence[int]] | None = None,
    absent: Mapping[str, Sequence[int]] | None = None,
    cache: ActivationCache | None = None,
) -> ApproxModel:
    """Assemble an approximate network from fitted codings and calibrate its scales and biases.

    Args:
        data: calibration of the captured model.
        codings: layer name -> coding.
        network: description of the captured model.
        recipe: switches.
        exact_layers: listed in the result.
        skip: layer name -> output channels that are not computed and hand on 0.
        absent: layer name -> input channels or features whose terms are left out.
        cache: of this calibration; what it has from networks that begin alike is not calibrated again.

    Raises:
        UnknownNameError: no such layer in `skip` or `absent`.
        InvalidInputError: channels that a layer does not have, or all of them; a cache of another calibration.
    """
    captured = data.model
    if cache is not None and cache.calibration is not data:
        raise InvalidInputError("`cache` must be of the calibration that is built on, but it is of another one")
    check_skip(captured, skip or {})
    check_absent(captured, absent or {})
    left_out = {name: ((skip or {}).get(name, ()), (absent or {}).get(name, ())) for name in captured.layer_names}
    layers = {name: _integer(captured, name, codings[name], *left_out[name]) for name in captured.layer_names}
    model = ApproxModel(captured, layers, data.encodings, network, exact_layers)
    if recipe.compensate:
        _compensate(model, data, recipe, cache)
    return model.eval()


def _integer(
    captured: CapturedModel, name: str, coding: LayerCoding, skip: Sequence[int], absent: Sequence[int]
) -> ScaledSums:
    """Return a layer with neither gain nor offset but its own bias."""
    node, layer = captured.nodes[name], captured.layer(name)
    if node.op == "matmul":
        product = IntegerProduct(node, coding)
        product.set_affine(torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
        return product
    fitted = fitting_bias(coding, layer.bias.double())
    made = IntegerLayer(node, layer.weight.shape, fitted, skip, absent)
    made.set_affine(torch.ones(made.scale.shape, dtype=torch.float64), layer.bias.double())
    return made


def _compensate(model: ApproxModel, data: Calibration, recipe: Recipe, cache: ActivationCache | None) -> None:
    """Regress each layer's sums on its exact pre-activation over the calibration images, layers in order.

    A layer that is called several times keeps one gain and offset, regressed on its sampled rows before all others. The
    images are counted whether or not all of them had to be computed.
    """
    captured = data.model
    several = {name for name in captured.layer_names if len(captured.calls(name)) > 1}
    for name in several:
        gain, offset = sample_affine(data.samples[name], model.layer(name).coding)
        model.layer(name).set_affine(gain, offset + captured.layer(name).bias.double())
    targets = data.targets()
    fits = None if cache is None else Fits(cache, model, recipe.in_order)
    left = frozenset(captured.layer_names if fits is None else fits.left) - several

    def fit(layer: ScaledSums, codes: tuple[torch.Tensor, ...]) -> None:
        if layer.node.name not in left:
            return
        z = layer.by_channel(layer.raw_sums(*codes, path=model.path)).double()
        y = layer.by_channel(targets[layer.node.name]).double()
        gain, offset = regress((z * layer.real_unit).unsqueeze(0), y.unsqueeze(0))
        layer.set_affine(gain.flatten(), offset.flatten())
        if fits is not None:
            fits.keep(layer)

    data.network_images += data.count
    if recipe.in_order:
        model.run(data.images, fit, None if fits is None else fits.recall(model, data.count, left))
    elif left:
        inputs: dict[str, tuple[torch.Tensor, ...]] = {}
        captured.run(data.images, lambda node, x, _: inputs.update({node.name: x}) if node.is_layer else None)
        for name in captured.layer_names:
            layer = model.layer(name)
            fit(layer, tuple(e.emit(x) for e, x in zip(layer.forms, inputs[name], strict=True)))


def resolve(
    multipliers: Multipliers, layers: tuple[str, ...]
) -> tuple[dict[str, Multiplier], tuple[ExactOperator, ...]]:
    """Return layer -> multiplier for every layer, and the layers nothing names (exact, with the reason).

    Raises:
        UnknownNameError: a multiplier is not known, or a pattern names no layer.
    """
    if not isinstance(multipliers, Mapping):
        one = _load(multipliers)
        return dict.fromkeys(layers, one), ()
    chosen: dict[str, Multiplier] = {}
    if not all(isinstance(key, str) for key in multipliers):
        raise InvalidInputError("the keys of `multipliers` must be layer names or patterns")
    for key, value in sorted(multipliers.items(), key=lambda item: item[0] not in layers):
        matches = [key] if key in layers else [name for name in layers if fnmatch.fnmatchcase(name, key)]
        if not matches:
            raise unknown_name("layer or pattern", key, layers)
        multiplier = _load(value)
        for name in matches:
            chosen.setdefault(name, multiplier)
    exact = load_multiplier("exact")
    left = tuple(
        ExactOperator(name=name, operator="layer", reason="no entry of `multipliers` names it")
        for name in layers
        if name not in chosen
    )
    return {name: chosen.get(name, exact) for name in layers}, left


def _load(value: str | Multiplier) -> Multiplier:
    if isinstance(value, Multiplier):
        require_own_name(value)
        return value
    if isinstance(value, str):
        return load_multiplier(value)
    raise InvalidInputError(f"a multiplier must be a catalogue name or a Multiplier, but got {type(value).__name__}")


def _images(calibration: torch.Tensor | tuple[torch.Tensor, ...] | Iterable[torch.Tensor]) -> Inputs:
    if isinstance(calibration, tuple) and all(isinstance(part, torch.Tensor) for part in calibration):
        parts = tuple(_finite(part) for part in calibration)
        if len({len(part) for part in parts}) != 1:
            raise InvalidInputError(f"calibration inputs must be as many each, but got {[len(p) for p in parts]}")
        return parts if len(parts) > 1 else parts[0]
    return _finite(calibration if isinstance(calibration, torch.Tensor) else _joined(calibration))


def _finite(images: torch.Tensor) -> torch.Tensor:
    if images.dim() < 2 or images.numel() == 0:
        raise InvalidInputError(f"calibration data must not be empty, but got shape {tuple(images.shape)}")
    images = images.detach().float() if images.is_floating_point() else images
    if not torch.isfinite(images).all():
        raise InvalidInputError("calibration images must be finite, but some values are NaN or infinite")
    return images


def _joined(calibration: Iterable[torch.Tensor]) -> torch.Tensor:
    if not isinstance(calibration, Iterable) or isinstance(calibration, str | Mapping):
        raise InvalidInputError(f"calibration data must be a tensor or tensors, but got {type(calibration).__name__}")
    batches = [b[0] if isinstance(b, list | tuple) and b else b for b in calibration]
    if not batches or not all(isinstance(b, torch.Tensor) and b.dim() >= 2 for b in batches):
        raise InvalidInputError("calibration data must hold at least one batch of inputs, each a tensor (n, ...)")
    shapes = {tuple(b.shape[1:]) for b in batches}
    if len(shapes) > 1:
        raise InvalidInputError(f"calibration batches must hold inputs of one shape, but got {sorted(shapes)}")
    return torch.cat(batches)


def fitting_bias(coding: LayerCoding, bias: torch.Tensor) -> LayerCoding:
    """Return a coding under which the bias fits int32: channels whose weights vanish beside their bias become zero.

    Args:
        coding: of a layer.
        bias: real, float64 `(c_out,)`.
    """
    bias = bias.view(coding.w_scale.shape)
    needed = bias.abs() / (BIAS_STEPS * coding.encoding.scale)
    lost = coding.w_scale < needed
    if not lost.any():
        return coding
    zero = torch.tensor(coding.w_zero, dtype=coding.w_codes.dtype)
    codes = torch.where(lost.unsqueeze(-1), zero, coding.w_codes)
    return replace(coding, w_codes=codes, w_scale=torch.where(lost, needed, coding.w_scale))
