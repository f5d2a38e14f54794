"""Every kind of layer, function and move in every format: the same bits, any batch size."""

from __future__ import annotations

import io
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from axdnn import approximate
from axdnn.export import AtenProgram, Program, archive_bytes, archive_program, export_model, lower, onnx_bytes, run_onnx
from axdnn.layers import ApproxModel
from axdnn.quant.functions import FUNCTIONS
from axdnn.records import UnsupportedOperatorError

NETS = (
    "vit", "lstm", "gru", "plain recurrent", "conv1d", "conv3d", "transposed", "transposed lines", "gated",
    "two inputs and results", "shared", "attention with weights", "any leading axes",
)  # fmt: skip
CASES = ("signed", "sign-magnitude", "unsigned", "f(0,0) != 0", "full rank, signed", "full rank, sign-magnitude",
         "full rank, unsigned")  # fmt: skip
USUAL = {net: CASES[i % len(CASES)] for i, net in enumerate(NETS)}  # the others are long together
Tensors = tuple[torch.Tensor, ...]


def listed(results: torch.Tensor | Tensors) -> Tensors:
    return (results,) if isinstance(results, torch.Tensor) else results


def run(kit, program: Program, to: str, inputs: Tensors) -> Tensors:
    """Write a program in a format and compute it."""
    if to == "onnx":
        found = run_onnx(onnx_bytes(program), inputs)
        assert found is not None
        return found
    if to == "aten":  # what the pt2 file is traced from, after a round trip through an archive
        return listed(AtenProgram(archive_program(archive_bytes(program)))(*inputs))
    read = kit.reader().run(io.BytesIO(archive_bytes(program)), *(x.numpy() for x in inputs))
    return tuple(torch.from_numpy(value) for value in read)


def same(kit, model: ApproxModel, inputs: Tensors, formats=("aten", "npz", "onnx")) -> Program:
    """The results of a network in each format, all at once and for one example alone."""
    program = lower(model)
    for to in formats:
        for given in (inputs, tuple(x[:1] for x in inputs)):
            wanted = listed(model(*given))
            for found, value in zip(run(kit, program, to, given), wanted, strict=True):
                assert found.dtype == value.dtype
                assert torch.equal(found, value), (to, int((found != value).sum()))
    assert all(len(value.unique()) > 2 for value in listed(model(*inputs)))
    return program


@cache
def made(kit, net: str, case: str) -> tuple[ApproxModel, Tensors]:
    module, inputs = kit.kinds().built(net)
    circuit, recipe = kit.circuits[case]
    few = tuple(x[:16] for x in inputs)
    return approximate(module, circuit, few if len(few) > 1 else few[0], recipe=recipe), tuple(x[-5:] for x in inputs)


def test_every_network_of_every_kind_is_here(kit):
    assert set(NETS) == set(kit.kinds().NETWORKS)


@pytest.mark.parametrize(
    ("net", "case"),
    [pytest.param(n, c, marks=() if USUAL[n] == c and n != "vit" else pytest.mark.slow) for n in NETS for c in CASES],
)
def test_every_kind_of_layer(kit, net, case):
    model, inputs = made(kit, net, case)
    same(kit, model, inputs)


@pytest.mark.parametrize("net", [*(pytest.param(n, marks=pytest.mark.slow) for n in NETS[:-1]), NETS[-1]])
def test_saved_torch_programs(kit, tmp_path, net):
    model, inputs = made(kit, net, USUAL[net])
    done = export_model(model, tmp_path / "net.pt2", "pt2", inputs)
    assert done.check == "results on 4 inputs identical in torch.export.load"
    module = torch.export.load(done.path).module()
    for count in (1, 3):
        given = tuple(x[:count] for x in inputs)
        for found, value in zip(listed(module(*given)), listed(model(*given)), strict=True):
            assert torch.equal(found, value)


def test_calls_of_a_layer_share_what_they_hold(kit):
    model, _ = made(kit, "gru", USUAL["gru"])
    steps = [step for step in lower(model).steps if step.node.startswith("rnn.weight_hh") and step.op == "linear"]
    assert len({id(step.arrays["w"]) for step in steps}) == 1 < len(steps)
    names = [name for name, _ in AtenProgram(lower(model)).named_buffers() if name.endswith("_g")]
    assert len(names) == len(model.layer_names)


class Moved(nn.Module):
    """A layer, a move of its result, and a layer along the last axis."""

    def __init__(self, move, x: torch.Tensor) -> None:
        super().__init__()
        self.move, self.first = move, nn.Conv2d(3, 8, 1)
        self.last = nn.Linear(move(torch.zeros(len(x), 8, *x.shape[2:])).shape[-1], 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.move(self.first(x)))


MOVES = {
    "slice": lambda x: x[:, 1:7:2, ::3, 2:],
    "select": lambda x: x[:, :, 1],
    "two selections": lambda x: x.transpose(0, 1)[2][:, 1],
    "chunks": lambda x: torch.cat(list(x.chunk(3, 1))[::-1], 1),
    "split and unbind": lambda x: torch.stack([x.split([3, 5], 1)[0].unbind(1)[2], x.unbind(1)[7]], 1),
    "flip": lambda x: x.flip((1, 3)),
    "roll": lambda x: x.roll((1, -2), (2, 3)),
    "pixel shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "channel shuffle": lambda x: F.channel_shuffle(x, 4),
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "narrow": lambda x: x.narrow(3, 1, 2).repeat_interleave(2, 3),
    "repeat": lambda x: x[:, :, :1].repeat(1, 2, 3, 1),
    "border": lambda x: F.pad(F.relu(x), (1, 2, 0, 1)),
    "border that cuts": lambda x: F.pad(x, (-1, 2, 1, -2, -1, 0)),
    "expansion": lambda x: x[:, :, :1].expand(-1, -1, 3, -1) + x[:, :, :3],
    "batch second": lambda x: x.permute(1, 0, 3, 2)[3:5].roll(1, 0).permute(1, 0, 2, 3),
    "batch last": lambda x: F.pad(x.permute(1, 2, 3, 0)[:, 1], (0, 0, 1, 0)).flip(1).permute(2, 0, 1),
    "batch merged": lambda x: x.transpose(1, 2).reshape(-1, 8, 4)[:, 2:].reshape(-1, 4, 6, 4).flatten(2),
}  # fmt: skip


@pytest.mark.parametrize("move", MOVES)
def test_moves(kit, move):
    torch.manual_seed(0)
    x = kit.images(12, 3, 4, 4)
    module = Moved(MOVES[move], x).eval()
    case = ("in steps", "unsigned")[len(move) % 2]
    model = approximate(module, kit.circuits[case][0], x, recipe=kit.circuits[case][1])
    assert same(kit, model, (x[:3],)).inexact == ()


class Used(nn.Module):
    """Functions of a linear layer's results, and a linear layer after them."""

    def __init__(self, function, width: int = 6, **parts: nn.Module) -> None:
        super().__init__()
        self.function, self.fc = function, nn.Linear(6, 6)
        self.last = nn.Linear(width, 3)
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.function(self, self.fc(x), x))


def causal(m, y, x):
    return F.scaled_dot_product_attention(y, y, y, is_causal=True)


def masked(kind):
    def attend(m, y, x):
        allowed = torch.tensor([[True, False, True, True, True]])
        return F.scaled_dot_product_attention(y, y, y, attn_mask=allowed if kind is bool else 0.3 * allowed)

    return attend


FUNCTION_NETS = {
    "softmax": (lambda m, y, x: y.softmax(1), {}),
    "log_softmax": (lambda m, y, x: y.log_softmax(-1), {}),
    "attention_weights": (causal, {}),
    "mask": (masked(bool), {}),
    "bias": (masked(float), {}),
    "layer_norm": (lambda m, y, x: m.norm(y), {"norm": nn.LayerNorm((5, 6))}),
    "plain layer_norm": (lambda m, y, x: F.layer_norm(y, (6,)), {}),
    "rms_norm": (lambda m, y, x: m.norm(y), {"norm": nn.RMSNorm(6)}),
    "rms_norm with eps": (lambda m, y, x: m.norm(y), {"norm": nn.RMSNorm(6, 1e-3)}),
    "group_norm": (lambda m, y, x: m.norm(y.transpose(1, 2)).transpose(1, 2), {"norm": nn.GroupNorm(3, 6)}),
    "instance_norm": (lambda m, y, x: F.instance_norm(y), {}),
    "affine": (lambda m, y, x: y * torch.arange(1.0, 7.0) + torch.linspace(0, 1, 30).view(5, 6), {}),
    "mul": (lambda m, y, x: y * torch.sigmoid(m.fc(y)), {}),
    "div": (lambda m, y, x: y / (1 + y.abs()), {}),
    "combine": (lambda m, y, x: y - 0.5 * m.fc(y).mean(1, keepdim=True), {}),
    "sum": (lambda m, y, x: torch.sub(y, y.sum(1, keepdim=True), alpha=0.3), {}),
    "mean": (lambda m, y, x: y.mean((1,)), {}),
    "amax": (lambda m, y, x: y.amax(1), {}),
    "maximum": (lambda m, y, x: torch.maximum(y, m.fc(y)), {}),
    "minimum": (lambda m, y, x: torch.minimum(y, m.fc(y)), {}),
    "lstm_cell": (lambda m, y, x: m.rnn(y)[0], {"rnn": nn.LSTM(6, 6, batch_first=True)}),
    "gru_cell": (lambda m, y, x: m.rnn(y)[0], {"rnn": nn.GRU(6, 6, batch_first=True)}),
    "rnn_tanh_cell": (lambda m, y, x: m.rnn(y)[0], {"rnn": nn.RNN(6, 6, batch_first=True)}),
    "rnn_relu_cell": (lambda m, y, x: m.rnn(y)[0], {"rnn": nn.RNN(6, 6, batch_first=True, nonlinearity="relu")}),
    "avg_pool3d": (lambda m, y, x: F.avg_pool3d(y.view(-1, 1, 5, 3, 2), 2, 1, 1).flatten(3)[:, 0, :, :6], {}),
    "ceiling": (lambda m, y, x: F.avg_pool3d(y.view(-1, 1, 5, 3, 2), (2, 2, 2), (2, 2, 1), (1, 0, 1), ceil_mode=True,
                                             count_include_pad=False).flatten(3)[:, 0], {}),
    "ceiling with border": (lambda m, y, x: F.avg_pool3d(y.view(-1, 1, 5, 3, 2), (2, 2, 2), (2, 2, 1), (1, 1, 1),
                                                         ceil_mode=True).flatten(3)[:, 0], {}),
}  # fmt: skip


VARIANTS = ("mask", "bias", "plain layer_norm", "rms_norm with eps", "instance_norm", "ceiling with border")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in VARIANTS else ()) for n in FUNCTION_NETS]
)
def test_functions(kit, name):
    """On these inputs no format rounds otherwise; a network may in a value in many millions."""
    torch.manual_seed(0)
    function, parts = FUNCTION_NETS[name]
    x = kit.images(16, 5, 6)
    probe = Used(function, **parts)
    width = probe.function(probe, probe.fc(x), x).shape[-1]
    model = approximate(kit.lively(Used(function, width, **parts)), "mul8s_1L12", x)
    program = same(kit, model, (x[:4],))
    used = {step.attrs["function"] for step in program.steps if step.op == "function"}
    assert name not in FUNCTIONS or name in used


def test_words(kit, tmp_path):
    """Inputs are real numbers in every format; whole ones stand for words."""
    torch.manual_seed(0)
    words = torch.randint(0, 9, (12, 5), generator=torch.Generator().manual_seed(0))
    module = nn.Sequential(nn.Embedding(9, 6), nn.Flatten(), nn.Linear(30, 3)).eval()
    model = approximate(module, "mul8s_1L12", words)
    same(kit, model, (words.float(),))
    for to in ("onnx", "npz"):
        done = export_model(model, tmp_path / f"net.{to}", to, words)
        assert done.check.startswith("results on 4 inputs identical")


def test_every_function_has_a_network():
    assert set(FUNCTIONS) <= {*FUNCTION_NETS, "embedding"}  # words have a test of their own


@pytest.mark.parametrize("seed", [pytest.param(i, marks=pytest.mark.slow if i > 5 else ()) for i in range(14)])
def test_transposed_convolutions(kit, seed):
    """Any stride, dilation, border, number of axes, and phases that no tap meets."""
    g = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)

    def numbers(low, high, count):
        return torch.randint(low, high, (count,), generator=g).tolist()

    dims, groups = 1 + seed % 3, 1 + seed % 2
    stride, dilation, kernel = (numbers(1, 4, dims) for _ in range(3))
    padding = [min(1, d * (k - 1)) for d, k in zip(dilation, kernel, strict=True)]
    extra = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
    kind = getattr(nn, f"ConvTranspose{dims}d")
    layer = kind(2 * groups, 2 * groups, kernel, stride, padding, extra, groups, dilation=dilation)
    x = kit.images(6, 2 * groups, *numbers(2, 5, dims)) + 0.7
    case = CASES[seed % len(CASES)]
    model = approximate(nn.Sequential(layer).eval(), kit.circuits[case][0], x, recipe=kit.circuits[case][1])
    assert any(step.op == "conv" for step in same(kit, model, (x[:3],)).steps)


def test_what_mixes_examples_is_refused_by_name(kit, tmp_path):
    x = kit.images(8, 3, 4, 4)
    module = Moved(lambda x: x.flip(0), x).eval()
    model = approximate(module, "exact", x)
    with pytest.raises(UnsupportedOperatorError, match=r"'flip' \(reshape\): it mixes examples"):
        export_model(model, tmp_path / "net.npz", "npz")


def test_a_function_may_round_otherwise_but_not_by_much(kit, tmp_path):
    """Only networks with such functions get a tolerance, and what differs is counted."""
    x = kit.images(8, 5, 6)
    for function, name in ((lambda m, y, x: y.softmax(-1), "softmax"), (lambda m, y, x: y.amax(1), "")):
        torch.manual_seed(0)
        model = approximate(Used(function).eval(), "exact", x)
        for factor, error in ((1.001, not name), (1.2, True)):

            def changed(module, inputs, result, factor=factor):
                result = result.clone()
                result[0, ..., 0] *= factor
                return result

            hook = model.register_forward_hook(changed)
            try:
                if error:
                    with pytest.raises(AssertionError, match="nothing was written"):
                        export_model(model, tmp_path / "net.npz", "npz", x)
                else:
                    done = export_model(model, tmp_path / "net.npz", "npz", x)
                    assert done.check.startswith("5 of 60 results on 4 inputs differ in the archive read back")
                    assert done.check.endswith("rounded otherwise in softmax")
            finally:
                hook.remove()
