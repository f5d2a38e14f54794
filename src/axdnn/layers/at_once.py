"""A layer's codes in one go: sums become codes while they are in the processor's cache."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from axdnn.kernels import Path
from axdnn.kernels.conv_nd import numbers_of
from axdnn.kernels.native_products import Steps
from axdnn.kernels.ready import conv2d_ready, matmul_ready
from axdnn.kernels.requantise import Emit
from axdnn.layers.emission import Emission
from axdnn.layers.integer import IntegerLayer, ScaledSums


class AtOnce(NamedTuple):
    """What calls of a layer have in common while its buffers stay what they are; `steps` is None of a linear layer."""

    buffers: tuple[tuple[torch.Tensor, int], ...]
    emit: Emit | None
    steps: Steps | None


def codes_at_once(layer: ScaledSums, codes: torch.Tensor, wanted: Emission, path: Path) -> torch.Tensor | None:
    """Return what `wanted.emit_sums` makes of the layer's sums, or None where these must be seen on the way.

    Args:
        layer: a convolution over pictures or a linear layer, all of whose terms use the circuit; others give None.
        codes: its input.
        wanted: the form of the result.
        path: of the kernels.
    """
    if not isinstance(layer, IntegerLayer) or layer.node.op not in ("conv2d", "linear"):
        return None
    if layer.terms is not None or len(layer.skipped) or layer.coding.w_zero:
        return None
    known = layer.at_once.get(wanted)
    if known is None or not _unchanged(layer, known):
        known = layer.at_once[wanted] = _prepared(layer, wanted)
    if known.emit is None:
        return None
    if known.steps is None:
        return matmul_ready(layer.multiplier, codes, layer.w_codes, path, known.emit)
    return conv2d_ready(layer.multiplier, codes, layer.w_codes, known.steps, path, known.emit)


def _buffers(layer: IntegerLayer) -> tuple[torch.Tensor, ...]:
    return layer.shift, layer.bias, layer.scale


def _unchanged(layer: IntegerLayer, known: AtOnce) -> bool:
    """Whether buffers are the same tensors and nobody wrote to them; tensors of inference mode do not tell."""
    return all(
        now is then and not now.is_inference() and now._version == version
        for now, (then, version) in zip(_buffers(layer), known.buffers, strict=True)
    )


def _prepared(layer: IntegerLayer, wanted: Emission) -> AtOnce:
    buffers = tuple((tensor, -1 if tensor.is_inference() else tensor._version) for tensor in _buffers(layer))
    constant, levels = layer.known_constant(), wanted.levels
    if constant is None or levels is None:
        return AtOnce(buffers, None, None)
    emit = Emit(constant, wanted.level_unit(layer.scale.double()), levels)
    if layer.node.op == "linear":
        return AtOnce(buffers, emit, None)
    a: dict[str, Any] = layer.node.attrs
    stride, padding, dilation = (_pair(name, a[name]) for name in ("stride", "padding", "dilation"))
    return AtOnce(buffers, emit, Steps(stride, padding, dilation, a["groups"], layer.coding.encoding.zero_point))


def _pair(name: str, value: Any) -> tuple[int, int]:
    first, second = numbers_of(name, value, 2)
    return first, second
