"""Convolutions of codes against a one-product-at-a-time oracle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axdnn.kernels import PATHS, approx_conv2d, approx_matmul
from axdnn.multipliers import load_multiplier

CIRCUITS = ["mul8s_1KR3", "mul8u_13QR", "mul8u_17KS"]


@st.composite
def problems(draw):
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    c_group, n = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    reach = [dilation[i] * (kernel[i] - 1) + 1 - 2 * padding[i] for i in range(2)]
    size = [max(reach[i], 1) + draw(st.integers(0, 3)) for i in range(2)]
    shapes = (draw(st.integers(0, 2)), groups * c_group, *size), (groups * n, c_group, *kernel)
    return shapes, stride, padding, dilation, groups, draw(st.integers(0, 255)), draw(st.integers(0, 99))


def check(circuit, conv, codes, usable, problem):
    (x_shape, w_shape), stride, padding, dilation, groups, pad, seed = problem
    x, w = codes(circuit, "a", *x_shape, seed=seed), codes(circuit, "w", *w_shape, seed=seed + 1)
    pad_code = pad - (128 if circuit.a_signed else 0)
    want = conv(circuit, x, w, stride, padding, dilation, groups, pad_code)
    for path in usable(circuit, w[0].numel()):
        before = x.clone()
        got = approx_conv2d(x, w, circuit, stride, padding, dilation, groups, pad_code, path=path)
        np.testing.assert_array_equal(got.numpy(), want)
        assert torch.equal(x, before)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(problem=problems(), kind=st.sampled_from(["random", "rank1", "wide"]), signed=st.booleans())
def test_every_path_equals_the_oracle(table, conv, codes, usable, problem, kind, signed):
    check(table(kind, signed), conv, codes, usable, problem)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(problem=problems(), name=st.sampled_from(CIRCUITS), wrap=st.booleans())
def test_library_circuits_and_sign_magnitude_wraps(conv, codes, usable, problem, name, wrap):
    circuit = load_multiplier(name)
    check(circuit.sign_magnitude() if wrap and circuit.coding == "unsigned" else circuit, conv, codes, usable, problem)


@pytest.mark.parametrize("kind", ["random", "rank1", "rank20"])
@pytest.mark.parametrize("multiplicity", [1, 2])
def test_depthwise(table, conv, codes, usable, kind, multiplicity):
    problem = ((2, 6, 7, 5), (6 * multiplicity, 1, 3, 3)), (2, 1), (1, 1), (1, 1), 6, 200, 3
    check(table(kind), conv, codes, usable, problem)


@pytest.mark.parametrize("kind", ["random", "rank1"])
def test_non_contiguous_and_channels_last_inputs(table, conv, codes, usable, kind):
    circuit = table(kind)
    base = codes(circuit, "a", 2, 9, 8, 4).permute(0, 3, 1, 2)
    views = [
        base,
        base[:, :, ::2, 1:],
        base[:1].expand(3, -1, -1, -1),
        base.contiguous(memory_format=torch.channels_last),
    ]
    w = codes(circuit, "w", 3, 3, 5, 4, seed=1).permute(2, 3, 0, 1)
    for x in views:
        want = conv(circuit, x, w, (1, 2), (1, 0), (1, 1), 1, -7)
        for path in usable(circuit, w[0].numel()):
            got = approx_conv2d(x, w, circuit, (1, 2), (1, 0), pad_code=-7, path=path)
            np.testing.assert_array_equal(got.numpy(), want)


@pytest.mark.parametrize("path", PATHS)
def test_empty_batch_and_empty_channels(table, path):
    circuit = table("rank1")
    for batch, c_in, c_out in ((0, 3, 4), (2, 3, 0), (2, 0, 4)):
        x, w = torch.zeros(batch, c_in, 5, 5, dtype=torch.int8), torch.zeros(c_out, c_in, 3, 3, dtype=torch.int8)
        got = approx_conv2d(x, w, circuit, padding=1, path=path)
        assert got.shape == (batch, c_out, 5, 5)
        assert not got.any()


def test_batch_split_and_threads_do_not_change_a_bit(table, codes, usable):
    for kind in ("random", "rank20"):
        circuit = table(kind)
        x, w = codes(circuit, "a", 17, 8, 9, 9), codes(circuit, "w", 12, 8, 3, 3, seed=1)
        for path in usable(circuit, 72):
            torch.set_num_threads(1)
            one = approx_conv2d(x, w, circuit, padding=1, path=path)
            parts = [approx_conv2d(part, w, circuit, padding=1, path=path) for part in x.split([1, 16])]
            assert torch.equal(one, torch.cat(parts))
            for threads in (2, 3, 40):
                torch.set_num_threads(threads)
                assert torch.equal(one, approx_conv2d(x, w, circuit, padding=1, path=path))


def test_one_by_one_kernel_equals_the_matrix_product(table, codes):
    for kind in ("random", "rank1"):
        circuit = table(kind)
        x, w = codes(circuit, "a", 2, 7, 3, 4), codes(circuit, "w", 5, 7, 1, 1, seed=1)
        rows = x.permute(0, 2, 3, 1).reshape(-1, 7)
        want = approx_matmul(rows, w.flatten(1), circuit, path="reference").view(2, 3, 4, 5).permute(0, 3, 1, 2)
        assert torch.equal(approx_conv2d(x, w, circuit), want)
