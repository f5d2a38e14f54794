"""The miniature is an oracle: it shares no code with axdnn, and what both compute must be equal."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.data import Dataset, load_dataset
from axdnn.kernels import PATHS, approx_matmul, explain
from axdnn.layers import IntegerLayer, LayerCoding
from axdnn.multipliers import load_multiplier
from axdnn.quant import Encoding, Node
from axdnn.records import InvalidInputError, Multiplier

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "tiny_flow.py"


def load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tiny_flow", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tiny = load_example()


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    given = os.environ.get("AXDNN_CACHE")
    return load_dataset("mnist", cache=given or tmp_path_factory.mktemp("cache"))


def ours(multiplier: object) -> Multiplier:
    return Multiplier.from_table(multiplier.table, signed=True, name=multiplier.name)  # type: ignore[attr-defined]


def int8(seed: int, *shape: int) -> torch.Tensor:
    codes = np.random.default_rng(seed).integers(-128, 128, shape, dtype=np.int8)
    codes.flat[: min(4, codes.size)] = np.array([-128, 127, 0, -1], dtype=np.int8)[: codes.size]
    return torch.from_numpy(codes)


def test_it_stays_small_and_on_its_own() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    imports = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {n.module or "" for n in imports if isinstance(n, ast.ImportFrom)}
    names |= {alias.name for n in imports if isinstance(n, ast.Import) for alias in n.names}
    assert {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) == {"numpy", "torch"}
    for noun in ("Multiplier", "Network", "Assignment", "CostReport", "Evaluation", "Study"):
        assert hasattr(tiny, noun)


def test_its_exact_circuit_is_ours() -> None:
    assert ours(tiny.truncated(0)) == load_multiplier("exact")


@pytest.mark.parametrize("cut", range(15))
def test_truncation_leaves_out_low_bits_and_saves_power(cut: int) -> None:
    made, finer = tiny.truncated(cut), tiny.truncated(max(cut - 1, 0))
    assert made.power <= finer.power <= 1.0
    error = tiny.truncated(0).table.astype(int) - made.table
    bound = sum((k + 1) << k for k in range(min(cut, 8))) + sum((15 - k) << k for k in range(8, cut))
    assert abs(error).max() <= bound
    assert (np.sign(error) * np.sign(made.table) >= 0).all()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("cut", [0, 4, 7, 9, 11])
def test_integer_products_are_equal(cut: int, path: str) -> None:
    x, w, circuit = int8(cut, 70, 33), int8(cut + 100, 9, 33), tiny.truncated(cut)
    try:
        explain(ours(circuit), 70, 33, 9, path)  # type: ignore[arg-type]
    except InvalidInputError:
        pytest.xfail(f"path {path} says that it cannot compute this table exactly")
    found = approx_matmul(x, w, ours(circuit), path=path)  # type: ignore[arg-type]
    assert found.tolist() == tiny.integer_product(x.numpy(), w.numpy(), circuit).tolist()


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.integers(1, 70), st.integers(1, 40), st.integers(1, 8))
def test_integer_products_are_equal_for_any_table(seed: int, m: int, k: int, n: int) -> None:
    table = np.random.default_rng(seed).integers(-(2**20), 2**20, (256, 256), dtype=np.int32)
    x, w = int8(seed, m, k), int8(seed + 1, n, k)
    found = approx_matmul(x, w, Multiplier.from_table(table, signed=True, name="random"))
    assert found.tolist() == tiny.integer_product(x.numpy(), w.numpy(), tiny.Multiplier("random", table, 1.0)).tolist()


def test_codes_are_equal() -> None:
    values = torch.cat([torch.linspace(-3, 3, 5001), torch.tensor([0.0, 1e9, -1e9, 0.5, 1.5, 2.5]) * 0.0125])
    found = Encoding(0.0125, 0, True).quantise(values)
    assert found.tolist() == tiny.quantise(values, 0.0125).tolist()


@pytest.mark.parametrize("cut", [0, 6, 9])
@pytest.mark.parametrize("kind", ["conv2d", "linear"])
def test_quantised_layers_are_equal(kind: str, cut: int) -> None:
    generator = torch.Generator().manual_seed(cut)
    conv = kind == "conv2d"
    x = torch.randn((3, 2, 11, 11) if conv else (5, 40), generator=generator)
    weight = torch.randn((4, 2, 5, 5) if conv else (7, 40), generator=generator)
    bias = torch.zeros(len(weight))
    top, circuit = float(x.abs().max()), tiny.truncated(cut)
    expected = tiny.layer(x, weight, bias, top, circuit)

    encoding, w_scale = Encoding(top / 127, 0, True), float(weight.abs().max()) / 127
    codes = torch.from_numpy(tiny.quantise(weight.flatten(1), w_scale))[None]
    scales = torch.full((1, len(weight)), w_scale, dtype=torch.float64)
    attrs = {"stride": (2, 2), "padding": (0, 0), "dilation": (1, 1), "groups": 1} if conv else {}
    node = Node(name="layer", op=kind, inputs=("x",), attrs=attrs)
    layer = IntegerLayer(node, weight.shape, LayerCoding(ours(circuit), encoding, codes, scales, 0, 0.0))
    layer.set_affine(torch.ones(len(weight), dtype=torch.float64), bias.double())
    sums = layer.sums(encoding.quantise(x))
    real = layer.real(sums)
    assert real.shape == expected.shape
    assert (sums == torch.round(expected.double() / (encoding.scale * w_scale)).long()).all()
    torch.testing.assert_close(real, expected, rtol=1e-6, atol=0.0)


@pytest.mark.data
def test_its_parts_fit_together_on_real_digits(mnist: Dataset) -> None:
    images, labels = mnist.tensors("fit", 6000)
    net = tiny.train(images, labels)
    assert list(net) == ["layer0", "layer1", "layer2"]
    assert [products for _, _, products, _ in net.values()] == [144 * 150, 864 * 32, 320]
    known = {m.name: m for m in map(tiny.truncated, (0, 8, 14))}
    x, y = mnist.tensors("search", 150)
    study = tiny.greedy(net, x, y, known, 0.03)
    exact = study[0]
    assert exact.accuracy > 0.75
    assert exact.cost["multiplier_energy_j"] == pytest.approx(sum(n for _, _, n, _ in net.values()) * 0.07e-12)
    energies = [e.cost["multiplier_energy_j"] for e in study]
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] < energies[0]
    assert all(e.accuracy >= exact.accuracy - 0.03 for e in study)
    again = tiny.evaluate(net, x, y, study[-1].assignment, known)
    assert again == study[-1]


@pytest.mark.data
@pytest.mark.slow
def test_the_whole_example(mnist: Dataset, tmp_path: Path) -> None:
    def idx(images: np.ndarray) -> bytes:
        return bytes(16) + images.tobytes()

    parts = (idx(mnist.train_images), bytes(8) + mnist.train_labels.astype(np.uint8).tobytes())
    parts += (idx(mnist.test_images), bytes(8) + mnist.test_labels.astype(np.uint8).tobytes())
    for name, content in zip(tiny.FILES, parts, strict=True):
        (tmp_path / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), str(tmp_path)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    head, first, last = done.stdout.splitlines()
    assert "multiplier energy" in head
    assert first.startswith("cut0 cut0 cut0")
    assert float(first.split()[-2]) > float(last.split()[-2])
