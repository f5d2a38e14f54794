"""Sums that become codes at once, and calls that are planned once, give what they give step by step."""

import pytest
import torch

from axdnn.kernels import approx_conv2d, approx_matmul, native_variants
from axdnn.kernels.native_products import Steps, conv_digits
from axdnn.kernels.native_tables import native_digits
from axdnn.kernels.ready import conv2d_ready, matmul_ready
from axdnn.kernels.requantise import Emit, Levels, requantise
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError

CASES = {
    "one scale": ("mul8s_1KVQ", (3, 20, 9, 9), (37, 20, 3, 3), Steps((1, 2), (1, 0), (1, 1), 1, 3)),
    "several scales": ("mul8u_R36", (2, 16, 7, 6), (18, 16, 3, 3), Steps(padding=(1, 1), pad_code=9)),
    "groups": ("mul8u_R36", (2, 12, 8, 8), (21, 4, 3, 3), Steps(groups=3)),
    "depthwise": ("mul8s_1KVP", (2, 70, 6, 9), (140, 1, 3, 3), Steps(padding=(1, 1), groups=70)),
    "pixels of several blocks": ("mul8s_1KV6", (1, 3, 40, 50), (5, 3, 1, 1), Steps()),
    "passes": ("mul8s_1KVA@v2022", (1, 512, 3, 4), (430, 512, 3, 3), Steps()),
}


def operands(name, x_shape, w_shape):
    circuit, draw = load_multiplier(name), torch.Generator().manual_seed(0)
    x, w = (torch.randint(0, 256, shape, dtype=torch.uint8, generator=draw) for shape in (x_shape, w_shape))
    return circuit, x.view(torch.int8) if circuit.a_signed else x, w.view(torch.int8) if circuit.w_signed else w


def emission(outputs):
    draw = torch.Generator().manual_seed(1)
    bias = torch.randint(-90_000, 90_000, (outputs,), dtype=torch.int32, generator=draw)
    return Emit(bias, torch.rand(outputs, generator=draw) / 300, Levels(-17, 110, 1, 5, True))


@pytest.mark.parametrize("variant", native_variants())
@pytest.mark.parametrize("case", CASES)
def test_codes_at_once_are_those_of_the_sums(case, variant):
    name, x_shape, w_shape, steps = CASES[case]
    circuit, x, w = operands(name, x_shape, w_shape)
    emit = emission(w_shape[0])
    sums = conv_digits(native_digits(circuit), x, w, steps, variant)
    codes = conv_digits(native_digits(circuit), x, w, steps, variant, emit)
    assert codes.dtype == torch.int8
    assert codes.float().std() > 5
    assert torch.equal(codes, requantise(sums, *emit, variant="portable"))


@pytest.mark.parametrize("case", CASES)
def test_planned_calls_give_the_reference(case):
    name, x_shape, w_shape, steps = CASES[case]
    circuit, x, w = operands(name, x_shape, w_shape)
    ready = conv2d_ready(circuit, x, w, steps, "native_factorised")
    if case == "passes":  # the reference takes minutes
        want = approx_conv2d(x, w, circuit, *steps[:3], steps.groups, steps.pad_code, path="native_lookup")
    else:
        want = approx_conv2d(x, w, circuit, *steps[:3], steps.groups, steps.pad_code, path="reference")
    assert torch.equal(ready, want)
    emit = emission(w_shape[0])
    codes = conv2d_ready(circuit, x, w, steps, "native_factorised", emit)
    assert torch.equal(codes, requantise(want.contiguous(memory_format=torch.channels_last), *emit, dim=1))


def test_planned_products_have_the_rows_of_any_leading_dimensions():
    circuit, x, w = operands("mul8s_1L12", (2, 3, 5, 40), (7, 40))
    want = approx_matmul(x, w, circuit, path="reference")
    assert torch.equal(matmul_ready(circuit, x, w, "native_factorised"), want)
    assert torch.equal(matmul_ready(circuit, x, w.T.contiguous().T, "native_factorised"), want)
    emit = emission(7)
    assert torch.equal(matmul_ready(circuit, x, w, "native_factorised", emit), requantise(want, *emit))


@pytest.mark.parametrize("path", ["reference", "native_lookup", "factorised", "no such path"])
def test_other_paths_are_not_planned_here(path):
    circuit, x, w = operands("mul8s_1L12", (2, 3, 5, 5), (4, 3, 2, 2))
    assert conv2d_ready(circuit, x, w, Steps(), path) is None


def test_what_is_wrong_is_left_to_who_says_so():
    """Also after a call of the same kind was planned: checks may not be skipped by what is remembered."""
    circuit, x, w = operands("mul8s_1L12", (2, 3, 5, 5), (4, 3, 2, 2))
    assert approx_conv2d(x, w, circuit).dtype == torch.int32
    for bad_x, bad_w, options in (
        (x.view(torch.uint8), w, {}), (x, w[:, :2], {}), (x, w, {"groups": 2}), (x, w, {"stride": True}),
        (x, w, {"dilation": 5}), (x[0], w, {}), (x, w, {"pad_code": 300}),
    ):  # fmt: skip
        with pytest.raises(InvalidInputError):
            approx_conv2d(bad_x, bad_w, circuit, **options)
    assert conv2d_ready(circuit, x.view(torch.uint8), w, Steps(), "auto") is None
    assert conv2d_ready(circuit, x[:0], w, Steps(), "auto") is None
