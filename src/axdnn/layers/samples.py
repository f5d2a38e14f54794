"""What calibration images look like inside the float network: sampled rows and targets of each layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from axdnn.kernels import conv_output_size, unfold
from axdnn.quant import CapturedModel, Encoding, Node, RangeRule, plain_encoding
from axdnn.records import InvalidInputError

CACHE_BYTES = 1 << 29
SAMPLE_PRODUCTS = 4_000_000  # products of one look at a layer; large layers are sampled more thinly
MIN_ROWS = 128
UNFOLDED_VALUES = 1 << 28


@dataclass(frozen=True)
class LayerSample:
    """Rows of a layer's unfolded float input and what the layer makes of them.

    Attributes:
        rows: `(groups, r, k)` float32. weight: `(groups, n, k)` float32. target: `(groups, r, n)`, bias left out.
        low, high: range of the input over all calibration images.
        terms: which of the k terms multiply exactly, uint8 `(k,)` as `approx_matmul` takes it; None if none does.
    """

    rows: torch.Tensor
    weight: torch.Tensor
    target: torch.Tensor
    low: float
    high: float
    terms: torch.Tensor | None = None


class Calibration:
    """Calibration images and what the float network computes from them; made once, shared by every assignment.

    Attributes:
        model: the captured float network, batch norm folded.
        images: float32 `(n, ...)`.
        samples: layer name -> LayerSample.
        encodings: (node name, input index) -> encoding, for operators that are not layers.
        network_images: images sent through the network so far.
    """

    def __init__(
        self, model: CapturedModel, images: torch.Tensor, fit_rows: int = 512, seed: int = 0, rule: RangeRule = "error"
    ) -> None:
        self.model, self.images = model, check_images(images, model.input_shape)
        self.samples: dict[str, LayerSample] = {}
        self.encodings: dict[tuple[str, int], Encoding] = {}
        self.network_images = len(images)
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

        self.network_images += len(self.images)
        with torch.no_grad():
            self.model.run(self.images, keep)
        return found

    def _visit(self, node: Node, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if node.is_layer:
            if not torch.isfinite(output).all():
                raise InvalidInputError(f"layer {node.name!r} is not finite on the calibration images")
            self.samples[node.name] = self._sample(node, inputs[0])
            if self._targets is not None:
                self._targets[node.name] = output
                if sum(t.numel() for t in self._targets.values()) * 4 > CACHE_BYTES:
                    self._targets = None
        elif node.op in ("add", "avg_pool2d", "unary", "batch_norm"):
            for i, value in enumerate(inputs):
                self.encodings[node.name, i] = plain_encoding(value, self._rule)

    def _sample(self, node: Node, x: torch.Tensor) -> LayerSample:
        layer = self.model.layer(node.name)
        groups = node.attrs.get("groups", 1)
        weight = layer.weight.flatten(1).view(groups, layer.weight.shape[0] // groups, -1)
        count = min(self._rows, max(MIN_ROWS, SAMPLE_PRODUCTS // weight.numel()))
        rows = _pick_linear(x, count, self._generator) if node.op == "linear" else self._pick_conv(node, x, count)
        target = torch.bmm(rows, weight.transpose(1, 2))
        return LayerSample(rows, weight, target, float(x.min()), float(x.max()))

    def _pick_conv(self, node: Node, x: torch.Tensor, count: int) -> torch.Tensor:
        a, weight = node.attrs, self.model.layer(node.name).weight
        pad_h, pad_w = a["padding"]
        # The unfolded chunk is held at once.
        chunk = max(1, min(32, UNFOLDED_VALUES // max(1, weight[0].numel() * a["groups"] * x[0, 0].numel())))
        picked = []
        for first in range(0, len(x), chunk):
            part = functional.pad(x[first : first + chunk], (pad_w, pad_w, pad_h, pad_h)).contiguous()
            size = conv_output_size(part, weight, a["stride"], a["dilation"])
            kernel = (weight.shape[2], weight.shape[3])
            rows = unfold(part, kernel, a["stride"], a["dilation"], size, a["groups"])
            share = -(-count * len(part) // len(x))
            order = torch.randperm(rows.shape[1], generator=self._generator)[:share]
            picked.append(rows[:, order])
        return torch.cat(picked, dim=1)[:, :count].contiguous()


def _pick_linear(x: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    rows = x.reshape(-1, x.shape[-1])
    order = torch.randperm(len(rows), generator=generator)[:count]
    return rows[order].unsqueeze(0).contiguous()


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
