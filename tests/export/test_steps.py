"""Single layers, fuzzed and at the bounds of float32 and int32: the same integers in NumPy, torch and onnxruntime."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.export import AtenProgram, Program, Step, archive_bytes, lower, onnx_bytes, run_onnx
from axdnn.export.planes import planes_of
from axdnn.multipliers import load_multiplier
from axdnn.records import Multiplier, UnsupportedOperatorError


def one_layer(op: str, m: Multiplier, shape, w, attrs, out, **arrays) -> Program:
    """A program that takes codes as real numbers and gives a layer's sums."""
    low, kind = (-128, "int8") if m.a_signed else (0, "uint8")
    bounds = {"low": low, "high": low + 255, "step": 1, "zero": 0}
    one = {"unit": np.float32(1)}
    arrays = {"w": w.astype(np.int8 if m.w_signed else np.uint8), **arrays}
    arrays.setdefault("constant", np.zeros((len(w), *[1] * (w.ndim - 2)), np.int64))
    steps = (
        Step("quantise", "codes", ("x",), "x", (-1, *shape), kind, bounds, one),
        Step(op, "sums", ("codes",), "layer", (-1, *out), "int64", {"table": "t", **attrs}, arrays),
    )
    return Program({"x": shape}, ("sums",), steps, {"t": m}, {"network": "one layer"})


def run_all(kit, program: Program, x: np.ndarray) -> list[np.ndarray]:
    """The first output in NumPy, torch and onnxruntime, as int64."""
    x = x.astype(np.float32)
    results = run_onnx(onnx_bytes(program), (torch.from_numpy(x),))
    assert results is not None
    read = kit.reader().run(io.BytesIO(archive_bytes(program)), x)[0]
    found = (read, AtenProgram(program)(torch.from_numpy(x)).numpy(), results[0].numpy())
    return [np.asarray(f).astype(np.int64) for f in found]


def literal(m: Multiplier, x: int, w: int) -> int:
    return int(m.table[x + 128 * m.a_signed, w + 128 * m.w_signed])


@pytest.mark.parametrize("name", ["exact", "mul8u_1JJQ", "mul8s_1KR3", "mul8u_QKX"])
@pytest.mark.parametrize("op", ["linear", "conv"])
def test_sums_far_beyond_what_float32_holds(kit, name, op):
    """All products at their largest: 6000 of them pass 2^24 several times over, and the sum is odd."""
    m = load_multiplier(name)
    k, top = 5999, (127 if m.a_signed else 255)
    w_top = 127 if m.w_signed else 255
    x, w = np.full((2, k), top), np.full((3, k), w_top)
    x[1, 0] -= 1
    attrs = {"zero": 0, "w_zero": 0}
    wanted = sum(literal(m, top, w_top) for _ in range(k))
    if op == "conv":
        x, w = x.reshape(2, k, 1, 1), w.reshape(3, k, 1, 1)
        attrs |= {"kernel": [1, 1], "pads": [0] * 4, "stride": [1, 1], "dilation": [1, 1], "groups": 1}
    program = one_layer(op, m, x.shape[1:], w, attrs, (3, *x.shape[2:]))
    for found in run_all(kit, program, x):
        assert (found[0] == wanted).all()
        assert (found[1] == wanted - literal(m, top, w_top) + literal(m, top - 1, w_top)).all()
    assert wanted > 2**24
    planes = planes_of(program.steps[1], m, 2**24)
    assert len(planes.ends) > 1 or planes.columns is not None


def test_a_window_that_no_sum_of_float32_holds_is_refused_by_name(kit):
    """600 x 255 x 255 passes 2^24, and a convolution cannot cut inside its window; NumPy and float64 can do it."""
    m = load_multiplier("mul8u_1JJQ")
    w, x = np.full((1, 1, 600, 1), 255), np.full((1, 1, 600, 1), 255)
    attrs = {"kernel": [600, 1], "pads": [0] * 4, "stride": [1, 1], "dilation": [1, 1], "groups": 1, "zero": 0}
    for more in ({"w_zero": 128}, {"w_zero": 0}):
        program = one_layer("conv", m, x.shape[1:], w, {**attrs, **more}, (1, 1, 1))
        if more["w_zero"]:
            with pytest.raises(UnsupportedOperatorError, match="'layer'"):
                onnx_bytes(program)
        else:
            assert [found.item() for found in run_all(kit, program, x)] == [600 * 255 * 255] * 3
        assert AtenProgram(program)(torch.from_numpy(x).float()).item() == 600 * 255 * (255 - more["w_zero"])


def test_sums_beyond_int32(kit):
    """A full-rank table of the largest entries there are."""
    table = np.full((256, 256), 2**31 - 1) - np.random.default_rng(0).integers(0, 99, (256, 256))
    m = Multiplier.from_table(table, signed=True, name="large")
    x, w = np.arange(-64, 64).reshape(1, 128), np.arange(-128, 256).reshape(3, 128) % 256 - 128
    program = one_layer("linear", m, (128,), w, {"zero": 0, "w_zero": 0}, (3,))
    wanted = [sum(literal(m, int(a), int(b)) for a, b in zip(x[0], row, strict=True)) for row in w]
    assert min(wanted) > 2**37
    for found in run_all(kit, program, x):
        assert found[0].tolist() == wanted


def kinds_of(rng: np.random.Generator, shape) -> dict[str, np.ndarray]:
    return {"terms": rng.integers(0, 3, shape).astype(np.uint8)} if rng.integers(2) else {}


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 2, 3]))
@settings(max_examples=40)
def test_fuzzed_convolutions(kit, seed, dims):
    """Any stride, dilation, border, groups, size, circuit, kinds of terms, zero points; lines, images and volumes."""
    rng = np.random.default_rng(seed)
    name = rng.choice(["exact", "mul8s_1L12", "mul8u_17KS", "mul8u_QKX", "wrapped", "noise"])
    m = kit.full_rank(True) if name == "noise" else load_multiplier("mul8u_17KS" if name == "wrapped" else name)
    m = m.sign_magnitude() if name == "wrapped" else m
    groups, c, n = (int(v) for v in rng.integers(1, 4, 3))
    kernel, stride, dilation = (rng.integers(1, 4, dims).tolist() for _ in range(3))
    padding = rng.integers(0, 3, dims).tolist()
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    sizes = [v + int(rng.integers(0, 4)) for v in least]
    low, w_low = -128 * m.a_signed, -128 * m.w_signed
    x = rng.integers(low, low + 256, (2, groups * c, *sizes))
    w = rng.integers(w_low, w_low + 256, (groups * n, c, *kernel))
    attrs = {
        "kernel": kernel, "stride": stride, "dilation": dilation, "pads": 2 * padding, "groups": groups,
        "zero": int(rng.integers(low, low + 256)), "w_zero": 0 if m.w_signed else 128,
    }  # fmt: skip
    steps = zip(sizes, padding, dilation, kernel, stride, strict=True)
    out = (groups * n, *((size + 2 * p - d * (k - 1) - 1) // t + 1 for size, p, d, k, t in steps))
    constant = rng.integers(-(2**31), 2**31, (groups * n, *[1] * dims))
    program = one_layer("conv", m, x.shape[1:], w, attrs, out, constant=constant, **kinds_of(rng, w.shape))
    read, plain, onnx = run_all(kit, program, x)
    assert read.shape == (2, *out)
    assert np.array_equal(read, plain)
    assert np.array_equal(read, onnx)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2))
@settings(max_examples=20)
def test_fuzzed_linear_layers(kit, seed, more):
    """Any rank of the input, against products looked up one by one."""
    rng = np.random.default_rng(seed)
    m = load_multiplier(rng.choice(["mul8s_1KR3", "mul8u_17KS", "mul8u_QKX", "mul8u_2HH.T"]))
    low, k, n = -128 * m.a_signed, int(rng.integers(1, 9)), int(rng.integers(1, 5))
    x = rng.integers(low, low + 256, (3, *rng.integers(1, 4, more), k))
    w = rng.integers(low, low + 256, (n, k))
    w_zero = 0 if m.w_signed else 128
    kinds = kinds_of(rng, w.shape)
    program = one_layer("linear", m, x.shape[1:], w, {"zero": 0, "w_zero": w_zero}, (*x.shape[1:-1], n), **kinds)
    products = np.stack([m.table[x[..., None, :] - low, w - low], x[..., None, :] * w, np.zeros((*x.shape[:-1], n, k))])
    terms = kinds.get("terms", np.zeros_like(w))
    picked = sum(np.where(terms == kind, products[kind], 0) for kind in range(3))
    wanted = (picked - w_zero * np.where(terms == 2, 0, x[..., None, :])).sum(-1)
    for found in run_all(kit, program, x):
        assert np.array_equal(found, wanted)


def test_every_value_on_the_way_is_the_same(kit):
    """Codes, sums and real values of every step, not the results alone."""
    for net in ("windows", "paths", "moved"):
        model, x = kit.made(net, "f(0,0) != 0")
        program = lower(model)
        program = replace(program, outputs=tuple(step.output for step in program.steps))
        read = kit.reader().run(io.BytesIO(archive_bytes(program)), x.numpy())
        plain, onnx = AtenProgram(program)(x), run_onnx(onnx_bytes(program), (x,))
        for step, a, b, c in zip(program.steps, read, plain, onnx, strict=True):
            assert a.shape == tuple(b.shape) == tuple(c.shape)
            assert a.shape == tuple(len(x) if size < 0 else size for size in step.shape)
            assert str(a.dtype) == step.dtype
            assert np.array_equal(a, b.numpy()), step.output
            assert np.array_equal(a, c.numpy()), step.output
