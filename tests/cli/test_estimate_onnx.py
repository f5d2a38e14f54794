"""ONNX files as networks: the same layers as the torch model's own capture, and the same price."""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from axdnn.models import build_model, network_from_onnx
from axdnn.quant import capture, fold_batch_norm, network_of
from axdnn.records import InvalidInputError, MissingPackageError, Network, UnsupportedOperatorError

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT


class Attention(nn.Module):
    """Products of activations, a linear layer without bias, and a block that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.out = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8, bias=False)
        self.block = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, d = x.shape
        q, k = (layer(x).view(b, t, 2, d // 2).transpose(1, 2) for layer in (self.q, self.k))
        y = (torch.softmax(q @ k.transpose(-1, -2), -1) @ k).transpose(1, 2).reshape(b, t, d)
        return self.block(self.block(self.out(y)))


def transposed() -> nn.Module:
    up = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2)
    depthwise = nn.Conv2d(6, 6, 3, dilation=2, groups=6, padding=2, bias=False)
    return nn.Sequential(up, nn.ReLU(), depthwise, nn.Flatten(), nn.Linear(600, 3))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "lenet5": (lambda: build_model("lenet5", 1, 10, 28), (1, 28, 28)),
    "cnn_small": (lambda: build_model("cnn_small", 1, 10, 28), (1, 28, 28)),
    "resnet8": (lambda: build_model("resnet8", 3, 10, 32), (3, 32, 32)),
    "attention": (Attention, (6, 8)),
    "transposed": (transposed, (4, 5, 5)),
    "line": (lambda: nn.Sequential(nn.Conv1d(2, 4, 5, 2), nn.BatchNorm1d(4), nn.ConvTranspose1d(4, 2, 4, 2)), (2, 30)),
    "volume": (lambda: nn.Sequential(nn.Conv3d(2, 4, 3), nn.ReLU(), nn.ConvTranspose3d(4, 2, 2, 2)), (2, 6, 6, 6)),
}


def exported(model: nn.Module, shape: tuple[int, ...], path: Path, batch: int = 2, free: bool = True) -> Path:
    axes = {"input": {0: "batch"}} if free else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model.eval(), (torch.zeros(batch, *shape),), str(path), dynamo=False, input_names=["input"],
                          dynamic_axes=axes)  # fmt: skip
    return path


def captured(model: nn.Module, shape: tuple[int, ...]) -> Network:
    return network_of(fold_batch_norm(capture(model.eval(), torch.zeros(2, *shape))), "net")


@pytest.mark.parametrize("name", NETS)
def test_the_network_is_that_of_the_torch_model(name: str, tmp_path: Path) -> None:
    """Layers with all their attributes, edges, live values; products of activations are named by the file."""
    make, shape = NETS[name]
    model = make()
    found = network_from_onnx(exported(model, shape, tmp_path / f"{name}.onnx"))
    told = captured(model, shape)
    renamed = json.loads(json.dumps([str(x) for x in found.layers]).replace("MatMul", "matmul"))
    assert renamed == [str(x) for x in told.layers]
    assert [tuple(n.replace("MatMul", "matmul") for n in edge) for edge in found.edges] == list(told.edges)
    assert found.peak_activation_words == told.peak_activation_words
    assert (found.name, found.input_shape, found.captured_by) == (name, shape, "onnx")
    assert (found.macs, found.weights) == (told.macs, told.weights)


@pytest.mark.parametrize(("batch", "free"), [(1, False), (3, False), (2, True)])
def test_the_batch_becomes_one(batch: int, free: bool, tmp_path: Path) -> None:
    path = exported(build_model("cnn_small", 1, 10, 28), (1, 28, 28), tmp_path / "net.onnx", batch, free)
    assert network_from_onnx(path).layers == captured(build_model("cnn_small", 1, 10, 28), (1, 28, 28)).layers


def written(path: Path, nodes: list[Any], shape: tuple[Any, ...], **stored: tuple[int, ...]) -> Path:
    tensors = [onnx.numpy_helper.from_array(np.ones(size, dtype=np.float32), name) for name, size in stored.items()]
    inputs, outputs = (helper.make_tensor_value_info(n, FLOAT, s) for n, s in (("x", shape), ("y", None)))
    graph = helper.make_graph(nodes, "g", [inputs], [outputs], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def sizes(network: Network) -> list[tuple[Any, ...]]:
    return [(x.name, x.kind, x.m, x.k, x.n, x.groups, x.has_bias) for x in network.layers]


def test_products_on_either_side(tmp_path: Path) -> None:
    """Weights on the left, transposed, in a batch, and an addition that is no bias."""
    nodes = [
        helper.make_node("MatMul", ["w", "x"], ["a"], name="/left/MatMul"),
        helper.make_node("MatMul", ["a", "v"], ["b"], name="/many/MatMul"),
        helper.make_node("Add", ["b", "wide"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "u", "bias"], ["y"], name="/fc/Gemm", transB=1),
    ]
    stored = {"w": (6, 5), "v": (2, 7, 3), "wide": (2, 6, 3), "u": (4, 36), "bias": (4,)}
    network = network_from_onnx(written(tmp_path / "x.onnx", nodes, ("b", 2, 5, 7), **stored))
    assert sizes(network) == [
        ("left", "linear", 14, 5, 6, 1, False),
        ("many", "linear", 6, 7, 3, 2, False),
        ("fc", "linear", 1, 36, 4, 1, True),
    ]
    assert [(o.operator, o.operations) for o in network.exact_operators] == [("affine", 36), ("reshape", 0)]


def test_integer_operators(tmp_path: Path) -> None:
    quant = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"])]
    scales = ("s", "z", "w", "s", "zw", "s", "z")
    quant += [
        helper.make_node("QLinearConv", ["q", *scales], ["c"], name="/conv/Conv", group=2),
        helper.make_node("Reshape", ["c", "flat"], ["d"]),
        helper.make_node("MatMulInteger", ["d", "v"], ["e"], name="/fc/MatMul"),
        helper.make_node("Cast", ["e"], ["y"], to=FLOAT),
    ]
    numbers = {
        "s": np.float32(1), "z": np.uint8(0), "zw": np.int8(0), "w": np.ones((6, 2, 3, 3), np.int8),
        "v": np.ones((6 * 16, 10), np.int8), "flat": np.array([1, -1]),
    }  # fmt: skip
    path = written(tmp_path / "x.onnx", quant, ("b", 4, 6, 6))
    model = onnx.load(path)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), n) for n, v in numbers.items())
    path.write_bytes(model.SerializeToString())
    assert sizes(network_from_onnx(path)) == [
        ("conv", "conv2d", 16, 18, 3, 2, False),
        ("fc", "linear", 1, 96, 10, 1, False),
    ]


def test_weights_beside_the_file_are_not_needed(tmp_path: Path) -> None:
    path = exported(build_model("lenet5", 1, 10, 28), (1, 28, 28), tmp_path / "lenet5.onnx")
    told = network_from_onnx(path)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=1000)
    (tmp_path / "weights.bin").unlink()
    assert network_from_onnx(path) == told


def test_padding_that_the_operator_chooses(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "c.weight"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2])
    network = network_from_onnx(written(tmp_path / "x.onnx", [node], (4, 3, 9, 8), **{"c.weight": (8, 3, 3, 3)}))
    (layer,) = network.layers
    assert (layer.name, layer.out_shape, layer.padding) == ("c", (8, 5, 4), (1, 0))
    assert (layer.m, layer.k, layer.n) == (20, 27, 8)


@pytest.mark.parametrize(
    ("nodes", "shape", "error", "said"),
    [
        ([helper.make_node("Relu", ["x"], ["y"])], ("b", 3), InvalidInputError, "must hold a layer"),
        ([helper.make_node("MatMul", ["x", "w"], ["y"])], ("b", "t", 3), InvalidInputError, r"'x' .* axes \[1\]"),
        ([helper.make_node("MatMul", ["x", "w"], ["y"])], ("b", 4), InvalidInputError, "shapes do not fit"),
        ([helper.make_node("Einsum", ["x", "w"], ["y"], equation="ij,jk->ik")], ("b", 3), UnsupportedOperatorError,
         "Einsum 'y' multiplies"),
        ([helper.make_node("Own", ["x", "w"], ["y"], domain="me")], ("b", 3), UnsupportedOperatorError, "domain 'me'"),
    ],
)  # fmt: skip
def test_what_cannot_be_counted(
    nodes: list[Any], shape: tuple[Any, ...], error: type[Exception], said: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said):
        network_from_onnx(written(tmp_path / "x.onnx", nodes, shape, w=(3, 2)))


def test_the_price_is_that_of_the_torch_model(axdnn: Callable[..., Any], tmp_path: Path) -> None:
    path = exported(build_model("lenet5", 1, 10, 28), (1, 28, 28), tmp_path / "lenet5.onnx")
    for options in ((), ("--accelerator", "edge_16x16", "--multiplier", "mul8s_1L2N")):
        done = [axdnn("estimate", "--model", model, *options, "--format", "json") for model in (path, "lenet5")]
        assert [d.code for d in done] == [0, 0]
        found, told = (json.loads(d.out) for d in done)
        assert told["operators"]
        for report in (found, told):  # a file has names of its own for operators that are no layers
            for operator in report["operators"]:
                del operator["name"]
        assert found == told


def test_wrong_files_and_options(axdnn: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "noise.onnx"
    path.write_bytes(b"\x00no model")
    for arguments, said in (
        ((path,), "ONNX model"), ((tmp_path / "absent.onnx",), "absent.onnx"), ((tmp_path,), "known"),
        ((path, "--data", "mnist", "--weights", "w.pt"), "--data, --weights must be left out"),
    ):  # fmt: skip
        done = axdnn("estimate", "--model", *arguments)
        assert (done.code, done.out) == (2, "")
        assert said in done.err
    find = importlib.util.find_spec
    monkeypatch.setattr("axdnn.models.onnx_reading.find_spec", lambda name: None if name == "onnx" else find(name))
    with pytest.raises(MissingPackageError, match=r"axdnn\[onnx\]"):
        network_from_onnx(path)
