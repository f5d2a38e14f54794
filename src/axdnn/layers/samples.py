"""What calibration images look like inside the float network: sampled rows and targets of each layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from axdnn.kernels import FlatConv, conv_output_size, flatten_conv, unfold
from axdnn.layers.joint_codes import MOMENT_ROWS, Covariance, block_covariance
from axdnn.quant import TRANSPOSED_OPS, CapturedModel, Encoding, Inputs, Node, RangeRule, plain_encoding
from axdnn.records import InvalidInputError

CACHE_BYTES = 1 << 29
SAMPLE_PRODUCTS = 4_000_000  # products of one look at a layer; large layers are sampled more thinly
MIN_ROWS = 128
UNFOLDED_VALUES = 1 << 28


@dataclass(frozen=True)
class LayerSample:
    """Rows of a layer's unfolded float input and what the layer makes of them.

    Attributes:
        rows: `(groups, r, k)` float32. weight: `(groups, n, k)` float32. target: `(groups, r, n)`, bias left out. Of a
            product of activations some of its matrices, the second transposed, take the place of groups.
        low, high: range of the input over all calibration images.
        w_low, w_high: of the second operand of a product, else None.
        terms: which of the k terms multiply exactly, uint8 `(k,)` as `approx_matmul` takes it; None if none does.
        covariance: of the terms, from more rows than are kept, see `block_covariance`; None of a product.
    """

    rows: torch.Tensor
    weight: torch.Tensor
    target: torch.Tensor
    low: float
    high: float
    terms: torch.Tensor | None = None
    w_low: float | None = None
    w_high: float | None = None
    covariance: Covariance | None = None


class Calibration:
    """Calibration images and what the float network computes from them; made once, shared by every assignment.

    Attributes:
        model: the captured float network, batch norm folded.
        images: float32 `(n, ...)`; a tuple of them for a model of several inputs.
        count: number of images.
        samples: layer name -> LayerSample.
        encodings: (node name, input index) -> encoding, for operators that are not layers.
        network_images: images sent through the network so far.
    """

    def __init__(
        self, model: CapturedModel, images: Inputs, fit_rows: int = 512, seed: int = 0, rule: RangeRule = "error"
    ) -> None:
        self.model, self.images = model, check_inputs(images, model.input_shapes)
        self.count = len(self.images[0]) if isinstance(self.images, tuple) else len(self.images)
        self.samples: dict[str, LayerSample] = {}
        self.encodings: dict[tuple[str, int], Encoding] = {}
        self.network_images = self.count
        self._targets: dict[str, torch.Tensor] | None = {}
        self._rule: RangeRule = rule
        self._rows, self._generator = fit_rows, torch.Generator().manual_seed(seed)
        with torch.no_grad():
            model.run(self.images, self._visit)

    def targets(self) -> dict[str, torch.Tensor]:
        """Layer name -> float pre-activation on all calibration images (recomputed when too large to keep)."""
        if self._targets is not None:
            return self._targets
        found: dict[str, torch.Tensor] = {}

        def keep(node: Node, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            if node.is_layer:
                found[node.name] = output

        self.network_images += self.count
        with torch.no_grad():
            self.model.run(self.images, keep)
        return found

    def _visit(self, node: Node, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if node.is_layer:
            if not torch.isfinite(output).all():
                raise InvalidInputError(f"layer {node.layer_name!r} is not finite on the calibration images")
            known = self.samples.get(node.layer_name)
            sample = self._product(inputs) if node.op == "matmul" else self._sample(node, inputs[0])
            self.samples[node.layer_name] = sample if known is None else _joined(known, sample)
            if self._targets is not None:
                self._targets[node.name] = output
                if sum(t.numel() for t in self._targets.values()) * 4 > CACHE_BYTES:
                    self._targets = None
        elif node.op in ("add", "avg_pool2d", "unary", "batch_norm"):
            for i, value in enumerate(inputs):
                self.encodings[node.name, i] = plain_encoding(value, self._rule)

    def _sample(self, node: Node, x: torch.Tensor) -> LayerSample:
        layer = self.model.layer(node.layer_name)
        groups = node.attrs.get("groups", 1)
        weight = layer.weight.flatten(1).view(groups, layer.weight.shape[0] // groups, -1)
        calls = len(self.model.calls(node.layer_name))
        count = -(-min(self._rows, max(MIN_ROWS, SAMPLE_PRODUCTS // weight.numel())) // calls)
        many = max(count, MOMENT_ROWS // calls)
        every = _pick_linear(x, many, self._generator) if node.op == "linear" else self._pick_conv(node, x, many)
        rows = every[:, :: max(1, every.shape[1] // count)][:, :count].contiguous()
        target = torch.bmm(rows, weight.transpose(1, 2))
        covariance = block_covariance(every)
        return LayerSample(rows, weight, target, float(x.min()), float(x.max()), covariance=covariance)

    def _product(self, operands: tuple[torch.Tensor, ...]) -> LayerSample:
        """Sample whole matrices of a product of activations, and some of their rows."""
        a, b = operands[0], operands[1].transpose(-1, -2)
        lead = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = (t.expand(*lead, *t.shape[-2:]).reshape(-1, *t.shape[-2:]) for t in (a, b))
        rows = torch.randperm(a.shape[1], generator=self._generator)[: self._rows]
        budget = max(1, min(SAMPLE_PRODUCTS // (len(rows) * b[0].numel()), self._rows // len(rows) + 1))
        some = torch.randperm(len(a), generator=self._generator)[:budget]
        x, w = a[some][:, rows].contiguous(), b[some].contiguous()
        low, high, w_low, w_high = (float(v) for t in (a, b) for v in (t.min(), t.max()))
        return LayerSample(x, w, torch.bmm(x, w.transpose(1, 2)), low, high, None, w_low, w_high)

    def _pick_conv(self, node: Node, x: torch.Tensor, count: int) -> torch.Tensor:
        groups, weight = node.attrs["groups"], self.model.layer(node.layer_name).weight
        # The unfolded chunk is held at once.
        chunk = max(1, min(32, UNFOLDED_VALUES // max(1, weight[0].numel() * groups * x[0, 0].numel())))
        picked = []
        for first in range(0, len(x), chunk):
            flat = _flat(node, x[first : first + chunk], tuple(weight.shape[2:]))
            pad_h, pad_w = flat.padding
            part = functional.pad(flat.x, (pad_w, pad_w, pad_h, pad_h)).contiguous()
            kernel = weight.new_empty(1, 1, *flat.kernel)
            size = conv_output_size(part, kernel, flat.stride, flat.dilation)
            rows = unfold(part, flat.kernel, flat.stride, flat.dilation, size, groups)
            share = -(-count * len(x[first : first + chunk]) // len(x))
            order = torch.randperm(rows.shape[1], generator=self._generator)[:share]
            rows = rows[:, order]
            if node.op in TRANSPOSED_OPS:  # whose kernel meets the inputs the other way round
                rows = rows.unflatten(2, (weight.shape[1], -1)).flip(3).flatten(2)
            picked.append(rows)
        return torch.cat(picked, dim=1)[:, :count].contiguous()


def _flat(node: Node, x: torch.Tensor, kernel: tuple[int, ...]) -> FlatConv:
    """Return the input of a convolution as pictures; of a transposed one with zeros between its values."""
    a = node.attrs
    if node.op not in TRANSPOSED_OPS:
        return flatten_conv(x, kernel, a["stride"], a["padding"], a["dilation"], 0.0)
    sizes = [(size - 1) * s + 1 for size, s in zip(x.shape[2:], a["stride"], strict=True)]
    spread = x.new_zeros(*x.shape[:2], *sizes)
    spread[(slice(None), slice(None), *(slice(None, None, s) for s in a["stride"]))] = x
    border = [d * (k - 1) - p for d, k, p in zip(a["dilation"], kernel, a["padding"], strict=True)]
    far = [low + extra for low, extra in zip(border, a["output_padding"], strict=True)]
    ends = [v for pair in reversed(list(zip(border, far, strict=True))) for v in pair]
    none, one = (0,) * len(kernel), (1,) * len(kernel)
    return flatten_conv(functional.pad(spread, ends), kernel, one, none, a["dilation"], 0.0)


def _joined(one: LayerSample, other: LayerSample) -> LayerSample:
    """Return the samples of two calls of a layer together."""
    rows, target = (torch.cat(pair, dim=1) for pair in ((one.rows, other.rows), (one.target, other.target)))
    covariance = None
    if one.covariance is not None and other.covariance is not None:
        covariance = tuple((a + b) / 2 for a, b in zip(one.covariance, other.covariance, strict=True))
    return LayerSample(
        rows, one.weight, target, min(one.low, other.low), max(one.high, other.high), covariance=covariance
    )  # fmt: skip


def _pick_linear(x: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    rows = x.reshape(-1, x.shape[-1])
    order = torch.randperm(len(rows), generator=generator)[:count]
    return rows[order].unsqueeze(0).contiguous()


def check_inputs(images: Inputs, shapes: tuple[tuple[int, ...], ...]) -> Inputs:
    """Return calibration inputs as float32 tensors, as many as the model takes.

    Raises:
        InvalidInputError: as `check_images`, or another number of inputs.
    """
    given = images if isinstance(images, tuple) else (images,)
    if len(given) != len(shapes):
        raise InvalidInputError(f"the model takes {len(shapes)} inputs, but the calibration data has {len(given)}")
    checked = tuple(check_images(part, shape) for part, shape in zip(given, shapes, strict=True))
    return checked if isinstance(images, tuple) else checked[0]


def check_images(images: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Return calibration images as a float32 tensor.

    Raises:
        InvalidInputError: not a tensor, empty, another shape than `shape`, or not finite.
    """
    if not isinstance(images, torch.Tensor):
        raise InvalidInputError(f"calibration images must be a tensor (n, ...), but got {type(images).__name__}")
    if images.dim() < 2 or len(images) == 0:
        raise InvalidInputError(f"calibration images must not be empty, but got shape {tuple(images.shape)}")
    if tuple(images.shape[1:]) != tuple(shape):
        raise InvalidInputError(
            f"calibration images must have shape (n, {', '.join(map(str, shape))}), but got {tuple(images.shape)}"
        )
    images = images.detach().to(torch.float32)
    if not torch.isfinite(images).all():
        raise InvalidInputError("calibration images must be finite, but some values are NaN or infinite")
    return images
