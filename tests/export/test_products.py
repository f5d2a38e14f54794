"""Products of two activations, fuzzed and at the bounds of float32: the same integers in NumPy, torch, onnxruntime."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn import approximate
from axdnn.evaluation import CodingBank, RowMapping
from axdnn.export import AtenProgram, Program, Step, archive_bytes, lower, onnx_bytes, run_onnx
from axdnn.export.planes import product_planes_of
from axdnn.layers import Calibration, Recipe, build
from axdnn.multipliers import load_multiplier
from axdnn.quant import capture, fold_batch_norm, network_of
from axdnn.records import Multiplier


def product(m: Multiplier, shapes, attrs, **arrays) -> Program:
    """A program that takes codes of both operands as real numbers and gives the sums."""
    steps = []
    for name, shape, signed in zip("ab", shapes, (m.a_signed, m.w_signed), strict=True):
        low, one = -128 * signed, {"unit": np.float32(1)}
        bounds = {"low": low, "high": low + 255, "step": 1, "zero": 0}
        kind = "int8" if signed else "uint8"
        steps.append(Step("quantise", f"{name} codes", (name,), name, (-1, *shape[1:]), kind, bounds, one))
    out = (-1, *np.broadcast_shapes(shapes[0][:-2], shapes[1][:-2])[1:], shapes[0][-2], shapes[1][-1])
    step = Step("matmul", "sums", ("a codes", "b codes"), "product", out, "int64", {"table": "t", **attrs}, arrays)
    inputs = {name: tuple(shape[1:]) for name, shape in zip("ab", shapes, strict=True)}
    return Program(inputs, ("sums",), (*steps, step), {"t": m}, {"network": "one product"})


def run_all(kit, program: Program, a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    """The sums in NumPy, torch and onnxruntime, as int64."""
    values = [v.astype(np.float32) for v in (a, b)]
    tensors = tuple(map(torch.from_numpy, values))
    [onnx] = run_onnx(onnx_bytes(program), tensors)
    read = kit.reader().run(io.BytesIO(archive_bytes(program)), *values)[0]
    return [np.asarray(f).astype(np.int64) for f in (read, AtenProgram(program)(*tensors).numpy(), onnx.numpy())]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_fuzzed_products(kit, seed):
    """Any circuit, zero points of both operands, exact terms, axes ahead: against the definition."""
    rng = np.random.default_rng(seed)
    name = rng.choice(["exact", "mul8s_1L12", "mul8u_17KS", "mul8u_QKX", "wrapped", "noise", "nothing"])
    zeros = Multiplier.from_table(np.zeros((256, 256), int), signed=True, name="nothing")
    special = {
        "noise": kit.full_rank(True),
        "nothing": zeros,
        "wrapped": load_multiplier("mul8u_17KS").sign_magnitude(),
    }
    m = special[name] if name in special else load_multiplier(name)
    batch, heads, rows, k, columns = (int(v) for v in rng.integers(1, 5, 5))
    shapes = ((batch, heads, rows, k), (batch, 1 if rng.integers(2) else heads, k, columns))
    lows = (-128 * m.a_signed, -128 * m.w_signed)
    a, b = (rng.integers(low, low + 256, shape) for low, shape in zip(lows, shapes, strict=True))
    attrs = {"zero": int(rng.integers(lows[0], lows[0] + 256)), "w_zero": 0 if m.w_signed else 100}
    arrays = {"constant": rng.integers(-(2**20), 2**20, 1)}
    if rng.integers(2):
        arrays["terms"] = rng.integers(0, 2, k).astype(np.uint8)
    x, w = m.a_values[a - lows[0]].astype(np.int64), m.w_values[b - lows[1]].astype(np.int64)
    x, w = x[..., :, :, None], w[..., None, :, :]
    looked = m.table[a[..., :, :, None] - lows[0], b[..., None, :, :] - lows[1]].astype(np.int64)
    exact = arrays.get("terms", np.zeros(k))[:, None] == 1
    wanted = (np.where(exact, x * w, looked) - attrs["w_zero"] * x - attrs["zero"] * w).sum(-2) + arrays["constant"]
    for found in run_all(kit, product(m, shapes, attrs, **arrays), a, b):
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("name", ["exact", "mul8u_1JJQ", "mul8s_1KR3", "mul8u_QKX"])
def test_sums_far_beyond_what_float32_holds(kit, name):
    """All products at their largest: their sum passes 2^24, and is odd."""
    m = load_multiplier(name)
    k, top, w_top = 2499, (127 if m.a_signed else 255), (127 if m.w_signed else 255)
    a, b = np.full((2, 1, k), top), np.full((2, k, 2), w_top)
    b[1, 5] -= 1
    row = m.table[top + 128 * m.a_signed].astype(np.int64)
    entry, other = row[w_top + 128 * m.w_signed], row[w_top - 1 + 128 * m.w_signed]
    program = product(m, (a.shape, b.shape), {"zero": 0, "w_zero": 0}, constant=np.zeros(1, np.int64))
    for found in run_all(kit, program, a, b):
        assert (found[0] == k * entry).all()
        assert (found[1] == (k - 1) * entry + other).all()
    planes = product_planes_of(program.steps[-1], m, k, 2**24)
    assert k * entry > 2**24
    assert len(planes.ends) > 1 or planes.looked_up is not None


@pytest.mark.parametrize(
    ("circuit", "coding"),
    [("mul8u_QKX", "sign_magnitude"), pytest.param("mul8u_17KS", "unsigned", marks=pytest.mark.slow),
     pytest.param("mul8s_1KR3", "unsigned", marks=pytest.mark.slow)],
)  # fmt: skip
def test_exact_rows_in_attention(kit, circuit, coding):
    """Arrays that keep exact rows: some terms of a product multiply exactly."""
    module, inputs = kit.kinds().built("attention with weights")
    captured = fold_batch_norm(capture(module, inputs[0]))
    recipe = Recipe(unsigned_coding=coding)
    bank = CodingBank(Calibration(captured, inputs[0][:12]), recipe, rows=RowMapping(rows=4, exact_rows=1))
    codings = {layer: bank.get(layer, load_multiplier(circuit)) for layer in captured.layer_names}
    model = build(bank.calibration, codings, network_of(captured, "attention"), recipe)
    program = lower(model)
    assert any("terms" in step.arrays for step in program.steps if step.op == "matmul")
    x = inputs[0][:3]
    wanted = model(x)
    found = kit.reader().run(io.BytesIO(archive_bytes(program)), x.numpy())[0]
    for result in (AtenProgram(program)(x), torch.from_numpy(found), run_onnx(onnx_bytes(program), (x,))[0]):
        assert torch.equal(result, wanted)


def test_every_value_on_the_way_is_the_same(kit):
    """Codes, sums and real values of every step of attention, unsigned codes."""
    module, inputs = kit.kinds().built("attention with weights")
    circuit, recipe = kit.circuits["f(0,0) != 0"]
    x = inputs[0][:3]
    program = lower(approximate(module, circuit, inputs[0][:12], recipe=recipe))
    program = replace(program, outputs=tuple(step.output for step in program.steps))
    read = kit.reader().run(io.BytesIO(archive_bytes(program)), x.numpy())
    plain, onnx = AtenProgram(program)(x), run_onnx(onnx_bytes(program), (x,))
    for step, a, b, c in zip(program.steps, read, plain, onnx, strict=True):
        sizes = zip(a.shape, step.shape, strict=True)
        assert all(size == told or (told == -1 and size % len(x) == 0) for size, told in sizes), step.output
        assert str(a.dtype) == step.dtype
        assert np.array_equal(a, b.numpy()), step.output
        assert np.array_equal(a, c.numpy()), step.output
