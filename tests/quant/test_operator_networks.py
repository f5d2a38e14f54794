"""Counts of the exact operators of whole networks: against what torch is asked to do, and by hand."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from axdnn.models import build_model
from axdnn.quant import capture, fold_batch_norm, network_of


class Calls(TorchDispatchMode):
    """Counts what torch itself is asked to do, by kind, with rules of its own."""

    MATERIAL = ("convolution", "addmm", "mm", "bmm", "native_batch_norm", "_native_batch_norm_legit_no_training",
                "cudnn_batch_norm", "convolution_overrideable")  # fmt: skip
    MOVES = ("view", "t", "transpose", "permute", "expand", "clone", "cat", "slice", "select", "unsqueeze", "squeeze",
             "_unsafe_view", "_reshape_alias", "reshape", "detach", "alias", "unbind", "split", "as_strided", "empty",
             "zeros", "copy_", "squeeze_", "unsqueeze_")  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        one = result[0] if isinstance(result, tuple) else result
        size = one.numel() if isinstance(one, torch.Tensor) else 0
        if name in ("relu", "relu_"):
            self.found["activation"] += size
        elif name in ("hardtanh", "hardtanh_"):
            self.found["activation"] += 2 * size
        elif name in ("gelu", "hardswish"):
            self.found["activation"] += size
        elif name in ("add", "add_"):
            self.found["elementwise"] += size
        elif name == "max_pool2d_with_indices":
            self.found["pooling"] += size * (args[1][0] * args[1][1] - 1)
        elif name == "mean":
            self.found["pooling"] += args[0].numel() + size
        elif name == "native_layer_norm":
            lines = result[1].numel()
            self.found["normalisation"] += 7 * size + 3 * lines
            self.found["normalisation transcendental"] += lines
        elif name in ("_softmax", "_safe_softmax"):
            lines = size // args[0].shape[-1]
            self.found["softmax"] += 4 * size - lines
            self.found["softmax transcendental"] += size + lines
        else:
            assert name in (*self.MATERIAL, *self.MOVES, "mul"), name
        return result


class Inverted(nn.Module):
    """MobileNetV2's block: expansion, depthwise, projection without activation, and a shortcut where shapes allow."""

    def __init__(self, inputs, outputs, stride, factor):
        super().__init__()
        wide = inputs * factor
        sizes = ((inputs, wide, 1, 1, 1), (wide, wide, 3, stride, wide), (wide, outputs, 1, 1, 1))
        parts = [nn.Sequential(nn.Conv2d(a, b, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(b))
                 for a, b, k, s, g in sizes]  # fmt: skip
        self.body = nn.Sequential(parts[0], nn.ReLU6(), parts[1], nn.ReLU6(), parts[2])
        self.joined = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.body(x) if self.joined else self.body(x)


def mobile():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(), Inverted(8, 8, 1, 1),
        Inverted(8, 12, 2, 6), Inverted(12, 12, 1, 6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10),
    )  # fmt: skip


class SmallViT(nn.Module):
    """16 patches of 7 x 7 pixels and a class token, one transformer block."""

    def __init__(self, width=32):
        super().__init__()
        self.patch = nn.Conv2d(1, width, 7, 7)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, 17, width))
        self.block = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.head(self.norm(self.block(x))[:, 0])


def by_kind(network):
    found: Counter = Counter()
    for o in network.exact_operators:
        found[o.kind] += o.operations
        found[f"{o.kind} transcendental"] += o.transcendental
    return found


@pytest.mark.parametrize(
    ("make", "shape", "apart"),
    [
        (lambda: build_model("lenet5", 1, 10, 28), (1, 28, 28), {}),
        (lambda: build_model("resnet20", 3, 10, 32), (3, 32, 32), {}),
        (mobile, (3, 32, 32), {}),
        (SmallViT, (1, 28, 28), {"softmax": 4 * 17 * 17}),  # scores are scaled here, torch scales their operands
    ],
    ids=["lenet5", "resnet20", "mobilenet_v2", "vit"],
)
def test_networks_agree_with_what_torch_is_asked_to_do(make, shape, apart):
    model = make().eval()
    image = torch.rand(1, *shape)
    network = network_of(fold_batch_norm(capture(model, image)), "net")
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad(), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), Calls() as calls:
        model(image)
    torch.backends.mha.set_fastpath_enabled(fused)
    assert by_kind(network) == calls.found + Counter(apart)
    assert all(o.is_counted for o in network.exact_operators)


def test_lenet5_by_hand():
    network = network_of(capture(build_model("lenet5", 1, 10, 28), torch.rand(2, 1, 28, 28)), "net")
    rows = [(o.kind, o.input_words, o.output_words, o.operations) for o in network.exact_operators]
    assert rows == [
        ("activation", 4704, 4704, 4704), ("pooling", 4704, 1176, 3 * 1176),
        ("activation", 1600, 1600, 1600), ("pooling", 1600, 400, 3 * 400),
        ("activation", 120, 120, 120), ("movement", 0, 0, 0), ("activation", 84, 84, 84),
    ]  # fmt: skip


def test_attention_s_softmax_by_hand():
    network = network_of(capture(SmallViT().eval(), torch.rand(2, 1, 28, 28)), "vit")
    soft = next(o for o in network.exact_operators if o.operator == "attention_weights")
    values, lines = 4 * 17 * 17, 4 * 17
    assert (soft.kind, soft.input_words, soft.output_words) == ("softmax", values, values)
    assert (soft.operations, soft.transcendental) == (5 * values - lines, values + lines)
