"""What is captured, under which names, and that the model stays as it was."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from axdnn.quant import capture
from axdnn.records import UnsupportedOperatorError

IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 0.7


def ops(captured):
    return [node.op for node in captured.nodes.values()]


def check(model, images=IMAGES):
    captured = capture(model, images)
    model.eval()
    with torch.no_grad():
        for size in (1, 3, 4):
            torch.testing.assert_close(captured(images[:size]), model(images[:size]), rtol=1e-5, atol=1e-5)
    return captured


def test_modules_functional_calls_and_tensor_methods_are_captured_alike(made):
    conv, fc = nn.Conv2d(3, 4, 3, 2, 1), nn.Linear(16, 5)
    modules = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), fc)

    def functional(self, x):
        x = F.conv2d(x, self.conv.weight, self.conv.bias, stride=2, padding=1)
        return F.linear(torch.flatten(F.max_pool2d(F.relu(x), 2), 1), self.fc.weight, self.fc.bias)

    def methods(self, x):
        x = F.max_pool2d(self.conv(x).relu(), (2, 2))
        return self.fc(x.view(x.size(0), -1))

    def scattered(self, x):
        x = F.max_pool2d(torch.clamp_min(self.conv(x), 0), kernel_size=2, stride=2)
        return self.fc(x.contiguous().flatten(start_dim=1))

    graphs = [check(model) for model in (
        modules, made(functional, conv=conv, fc=fc), made(methods, conv=conv, fc=fc), made(scattered, conv=conv, fc=fc)
    )]  # fmt: skip
    assert {tuple(ops(g)) for g in graphs} == {
        ("input", "conv2d", "clamp", "max_pool2d", "reshape", "linear", "output")
    }
    assert [g.layer_names for g in graphs] == [("0", "4"), *[("conv", "fc")] * 3]
    assert {g.captured_by for g in graphs} == {"torch.export"}


ACTIVATIONS = [
    nn.ReLU6(), nn.Hardtanh(-0.5, 0.7), nn.Tanh(), nn.Sigmoid(), nn.SiLU(), nn.GELU(), nn.GELU(approximate="tanh"),
    nn.Hardswish(), nn.Hardsigmoid(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.Softplus(2.0), nn.Mish(), nn.Dropout(0.5),
    nn.Dropout2d(0.5), nn.Identity(), nn.AvgPool2d(2), nn.AvgPool2d(3, 2, 1),
    nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 1, 1, 2),
    nn.MaxPool2d(3, 2, ceil_mode=True), nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveAvgPool2d((2, 4)), nn.AdaptiveAvgPool2d(8),
    nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False), nn.Flatten(), nn.Flatten(2), nn.ReLU(inplace=True),
]  # fmt: skip


@pytest.mark.parametrize("module", ACTIVATIONS, ids=repr)
def test_operators_between_layers(module, alive):
    check(alive(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), module)))


FUNCTIONS = {
    "clamp": lambda s, x: s.conv(x).clamp(-0.3, 0.4),
    "clamp_max": lambda s, x: s.conv(x).clamp_max(0.1),
    "clamp one side": lambda s, x: torch.clamp(s.conv(x), max=0.2),
    "crossed clamp": lambda s, x: torch.clamp(s.conv(x), 0.5, 0.2),
    "mean": lambda s, x: s.conv(x).mean([2, 3]),
    "mean keepdim": lambda s, x: s.conv(x).mean((-2, -1), keepdim=True),
    "residual": lambda s, x: F.relu(s.conv(x) + s.other(x)),
    "twice": lambda s, x: (lambda y: y + y)(s.conv(x)),
    "in-place add": lambda s, x: s.conv(x).add_(s.other(x)).relu_(),
    "cat": lambda s, x: torch.cat([s.conv(x), s.other(x), x], dim=1),
    "cat last": lambda s, x: torch.cat([s.conv(x), s.other(x)], -1),
    "permute": lambda s, x: s.conv(x).permute(0, 2, 3, 1).flatten(1),
    "transpose": lambda s, x: s.conv(x).flatten(2).transpose(1, 2),
    "unsqueeze": lambda s, x: s.conv(x).mean((2, 3)).unsqueeze(-1).squeeze(2),
    "neg abs exp": lambda s, x: (-s.conv(x)).abs().exp(),
    "add number": lambda s, x: s.conv(x) + 3,
    "number minus": lambda s, x: 1.5 - s.conv(x),
    "minus number": lambda s, x: s.conv(x) - 0.5,
    "times number": lambda s, x: 2 * s.conv(x) * 0.25,
    "over number": lambda s, x: s.conv(x) / 3.0,
    "in-place number": lambda s, x: s.conv(x).mul_(2.0).sub_(0.25).div_(4),
    "sub alpha": lambda s, x: torch.sub(s.conv(x), 0.5, alpha=3),
    "add alpha": lambda s, x: torch.add(s.conv(x), s.channel.view(4, 1, 1), alpha=3),
    "add to constant alpha": lambda s, x: torch.add(s.channel.view(4, 1, 1), s.conv(x), alpha=3),
    "sub from constant alpha": lambda s, x: torch.sub(s.channel.view(4, 1, 1), s.conv(x), alpha=3),
    "normalise": lambda s, x: s.conv((x - s.mean) / s.std),
    "normalise with literals": lambda s, x: s.conv((x - torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1)) * 2.0),
    "layer scale": lambda s, x: s.conv(x) * s.channel[:, None, None] + s.other(x),
    "matmul": lambda s, x: s.conv(x).mean((2, 3)) @ s.matrix,
    "torch.mm": lambda s, x: torch.mm(s.conv(x).mean((2, 3)), s.matrix) + s.row,
    "to float": lambda s, x: s.conv(x.to(torch.float32)).float().detach(),
    "grouped": lambda s, x: F.conv2d(s.conv(x), s.kernel, padding=1, groups=4, dilation=(1, 2), stride=(2, 1)),
    "same": lambda s, x: F.conv2d(s.conv(x), s.kernel, padding="same", groups=4, dilation=2),
    "product of activations": lambda s, x: s.conv(x) @ s.other(x).transpose(-1, -2),
    "addmm": lambda s, x: torch.addmm(s.row, s.conv(x).mean((2, 3)), s.matrix),
    "gate": lambda s, x: s.conv(x) * s.other(x).sigmoid(),
    "gate of channels": lambda s, x: s.conv(x) * s.other(x).mean((2, 3), keepdim=True),
    "difference": lambda s, x: s.conv(x) - s.other(x),
    "ratio": lambda s, x: s.conv(x) / (s.other(x).exp() + 1.0),
    "sum with alpha": lambda s, x: torch.add(s.conv(x), s.other(x), alpha=2),
    "larger": lambda s, x: torch.maximum(s.conv(x), torch.minimum(s.other(x), x[:, :1])),
    "broadcast sum": lambda s, x: s.conv(x) + s.other(x).mean((2, 3), keepdim=True),
    "position": lambda s, x: s.conv(x + s.position),
    "position times": lambda s, x: s.conv(s.position * x),
    "class token": lambda s, x: torch.cat([s.token.expand(x.shape[0], -1, -1), s.conv(x).flatten(2)], 2),
    "repeated token": lambda s, x: torch.cat([s.token.repeat(x.shape[0], 1, 1), s.conv(x).flatten(2)], 2),
    "softmax": lambda s, x: torch.softmax(s.conv(x), 1) + F.log_softmax(s.conv(x), -1),
    "layer norm": lambda s, x: F.layer_norm(s.conv(x), (8,), s.eight, s.eight),
    "group norm": lambda s, x: F.group_norm(s.conv(x), 2, s.channel, s.channel),
    "instance norm": lambda s, x: F.instance_norm(s.conv(x)),
    "rms norm": lambda s, x: F.rms_norm(s.conv(x), (8,), s.eight),
    "means and sums": lambda s, x: s.conv(x).mean(1) + s.conv(x).sum(1) + s.conv(x).amax(1),
    "slices": lambda s, x: s.conv(x)[:, 1:3, ::2] - s.conv(x)[:, -2:, 1::2],
    "chunks": lambda s, x: (lambda a, b: a * b)(*s.conv(x).chunk(2, 1)),
    "parts": lambda s, x: torch.stack(s.conv(x).unbind(1)[:3], 1) + s.conv(x).split([3, 1], 1)[0],
    "stack": lambda s, x: torch.stack([s.conv(x), s.other(x)], 1).flatten(1, 2),
    "pad": lambda s, x: F.pad(s.conv(x).relu(), (1, 2, 0, 1)),
    "moves": lambda s, x: F.pixel_shuffle(s.conv(x), 2).flip(2).roll(1, -1).movedim(1, -1).unsqueeze(1),
    "nearest": lambda s, x: F.interpolate(s.conv(x), scale_factor=2, mode="nearest"),
    "batch to the back and front": lambda s, x: s.conv(x).permute(1, 2, 3, 0).permute(3, 0, 1, 2),
    "batch merged and parted": lambda s, x: s.conv(x).transpose(0, 1).reshape(-1, 64).view(4, -1, 64).transpose(0, 1),
    "causal attention": lambda s, x: F.scaled_dot_product_attention(
        *s.conv(x).chunk(2, 1), s.other(x)[:, :2], is_causal=True, scale=0.3
    ),
    "masked attention": lambda s, x: F.scaled_dot_product_attention(s.conv(x), s.other(x), s.conv(x), s.mask),
    "transposed": lambda s, x: F.conv_transpose2d(
        s.conv(x), s.kernel.view(4, 1, 3, 3), stride=2, output_padding=1, padding=1, groups=4, dilation=(1, 2)
    ),
    "valid": lambda s, x: F.conv2d(s.conv(x), s.kernel, padding="valid", groups=4),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functional_forms(made, name):
    functional_form(made, name, "torch.export")


def functional_form(made, name, captured_by):
    parts = {
        "conv": nn.Conv2d(3, 4, 3, padding=1), "other": nn.Conv2d(3, 4, 1, bias=False),
        "kernel": nn.Parameter(torch.randn(4, 1, 3, 3)),
        "mean": torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1), "std": torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1),
        "position": torch.randn(1, 3, 8, 8), "token": nn.Parameter(torch.randn(1, 4, 1)), "eight": torch.randn(8),
        "mask": torch.ones(8, 8).tril().bool(),
        "channel": nn.Parameter(torch.randn(4)), "matrix": nn.Parameter(torch.randn(4, 6)), "row": torch.randn(6),
    }  # fmt: skip
    captured = check(made(FUNCTIONS[name], **parts))
    assert captured.layer_names[0] == "conv"
    assert captured.captured_by == captured_by


@pytest.mark.parametrize("export", [True, False])
def test_in_place_changes_reach_later_readers(made, monkeypatch, export):
    if not export:
        monkeypatch.setattr(torch.export, "export", None)

    def forward(self, x):
        y = self.conv(x)
        self.relu(y)  # the result is not used, the change is
        y += self.skip(x)
        y.mul_(2.0)
        return y

    check(made(forward, conv=nn.Conv2d(3, 4, 1), skip=nn.Conv2d(3, 4, 1), relu=nn.ReLU(inplace=True)))


def test_layers_carry_the_users_paths(made, alive):
    block = nn.Sequential()
    block.add_module("conv-a", nn.Conv2d(3, 4, 1))
    shared = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = self.shared(self.shared(self.stages[0](x)))
        return self.output(F.conv2d(x, self.kernel).mean((2, 3)))

    kernel = nn.Parameter(torch.randn(5, 4, 1, 1))
    model = made(forward, stages=nn.ModuleList([block]), shared=shared, kernel=kernel, output=nn.Linear(5, 2))
    captured = check(model)
    assert captured.layer_names == ("stages.0.conv-a", "shared", "kernel", "output#layer")
    assert [node.name for node in captured.calls("shared")] == ["shared", "shared#2"]
    assert captured.output == "output#layer"


def test_names_of_operators_and_of_layers_do_not_collide(made):
    parts = {"relu": nn.Conv2d(3, 3, 1), "add": nn.Conv2d(3, 3, 1), "x": nn.Conv2d(3, 3, 1),
             "input": nn.Conv2d(3, 3, 1),
             "conv2d_1": nn.Conv2d(3, 3, 1), "conv2d": nn.Conv2d(3, 3, 1)}  # fmt: skip

    def forward(self, x):
        y = F.relu(self.conv2d_1(x))
        z = F.relu(self.conv2d(y) + self.relu(y))
        return self.add(z) + self.x(self.input(z))

    captured = check(made(forward, **parts))
    assert captured.layer_names == ("conv2d_1", "conv2d", "relu", "add", "input#layer", "x")
    assert len(captured.nodes) == 12


def test_parametrised_weights_are_computed_once_and_keep_the_layers_name(made):
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    linear = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 2))
    model = made(lambda s, x: s.linear(s.conv(x).mean((2, 3))), conv=conv, linear=linear)
    captured = check(model)
    assert captured.layer_names == ("conv", "linear")
    torch.testing.assert_close(captured.layer("conv").weight, conv.weight)


def test_make_fx_takes_over_where_export_fails(made):
    def forward(self, x):
        size = int(x.shape[0])  # export makes the batch size a constant here
        return self.fc(F.max_pool2d(F.relu(self.bn(self.conv(x))), 2).view(size, -1))

    parts = {"conv": nn.Conv2d(3, 4, 3, padding=1), "bn": nn.BatchNorm2d(4), "fc": nn.Linear(64, 5)}
    captured = check(made(forward, **parts))
    assert captured.captured_by == "make_fx"
    assert captured.layer_names == ("conv", "fc")
    assert ops(captured) == ["input", "conv2d", "batch_norm", "clamp", "max_pool2d", "reshape", "linear", "output"]


def test_make_fx_captures_every_functional_form(made, monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("no export today")

    monkeypatch.setattr(torch.export, "export", refuse)
    for name in FUNCTIONS:
        functional_form(made, name, "make_fx")
    captured = capture(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Dropout(), nn.Hardtanh(), nn.AvgPool2d(2)), IMAGES)
    assert captured.captured_by == "make_fx"


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.ReLU(inplace=True))
    model.train()
    model[1].eval()  # a frozen batch norm
    before = copy.deepcopy(model.state_dict())
    images = IMAGES.clone()
    captured = capture(model, images)
    assert [m.training for m in model.modules()] == [True, True, False, True, True]
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert torch.equal(images, IMAGES)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any(p.requires_grad for p in captured.state_dict().values())
    with torch.no_grad():
        model[0].weight.zero_()
    assert captured.layer("0").weight.any()  # a copy
    with pytest.raises(UnsupportedOperatorError):
        capture(model.append(nn.Softmax(0)), images)
    assert [m.training for m in model.modules()] == [True, True, False, True, True, True]


def test_a_single_result_in_a_tuple_is_the_result(made):
    captured = capture(made(lambda s, x: (s.conv(x),), conv=nn.Conv2d(3, 4, 1)), IMAGES)
    assert captured(IMAGES).shape == (4, 4, 8, 8)


def test_autocast_outside_does_not_leak_in():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        captured = capture(model, IMAGES)
    with torch.no_grad():
        torch.testing.assert_close(captured(IMAGES), model(IMAGES))
