"""Depthwise windows of 3 x 3, for which there are native kernels of their own, against plain NumPy indexing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.kernels import native_variants
from axdnn.kernels.native_products import NativeDigits, Steps, conv_digits
from axdnn.kernels.native_tables import native_digits
from axdnn.kernels.requantise import Emit, Levels, requantise
from axdnn.multipliers import list_multipliers, load_multiplier
from axdnn.records import Multiplier

MANY_SCALES = ("mul8u_17C8@v2022", "mul8u_18DU", "mul8u_2AC", "mul8u_R36")
ORDERS = [torch.contiguous_format, torch.channels_last]


def with_digits() -> list[Multiplier]:
    """Every circuit of the library that is multiplied by digits, unsigned ones with sign and magnitude around them."""
    loaded = [load_multiplier(row.name) for row in list_multipliers("evoapprox8b") if not row.name.endswith(".T")]
    both = [form for m in loaded for form in ([m] if m.coding == "signed" else [m, m.sign_magnitude()])]
    return [m for m in {m.id: m for m in both}.values() if native_digits(m) is not None]


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def literal(circuit: Multiplier, x: torch.Tensor, w: torch.Tensor, steps: Steps) -> torch.Tensor:
    """Sums of table entries in int64, one tap at a time; `(b, h, w, o)`, for codes as bytes."""
    (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), groups, pad = steps
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (pad_h, pad_h), (pad_w, pad_w)), constant_values=pad)
    table, flips = circuit.table.astype(np.int64), (128 * circuit.a_signed, 128 * circuit.w_signed)
    padded = padded.repeat(len(w) // groups, axis=1)  # each channel once for each of its outputs
    high, wide = (padded.shape[i] - d * (w.shape[i] - 1) for i, d in ((2, dilation_h), (3, dilation_w)))
    sums = np.int64(0)
    for y, z in np.ndindex(*w.shape[2:]):
        seen = padded[:, :, y * dilation_h :, z * dilation_w :][:, :, :high:stride_h, :wide:stride_w]
        sums = sums + table[seen ^ flips[0], (w[:, 0, y, z].numpy() ^ flips[1])[:, None, None]]
    return torch.from_numpy(sums).permute(0, 2, 3, 1)


def digits_of(circuit: Multiplier) -> NativeDigits:
    digits = native_digits(circuit)
    assert digits is not None
    return digits


def check(circuit: Multiplier, x: torch.Tensor, w: torch.Tensor, steps: Steps) -> None:
    want = literal(circuit, x, w, steps)
    for variant in native_variants():
        got = conv_digits(digits_of(circuit), x, w, steps, variant)
        assert got.shape == want.shape
        assert torch.equal(got.long(), want), variant


def depthwise(channels: int, stride: tuple[int, int] = (1, 1), padding: tuple[int, int] = (1, 1)) -> Steps:
    return Steps(stride, padding, groups=channels, pad_code=77)


@pytest.mark.parametrize("circuit", with_digits(), ids=lambda m: f"{m.name}-{m.coding}")
def test_every_table(circuit):
    """Each number of digit pairs and each scale that there is, with pairs of rows and a row left over."""
    check(circuit, random(2, 59, 5, 7, seed=0), random(59, 1, 3, 3, seed=1), depthwise(59))


@pytest.mark.parametrize("name", ["mul8s_1L2N", "mul8u_18DU"])
@pytest.mark.parametrize("height", range(1, 6))
def test_heights_widths_borders_and_strides(name, height):
    """Rows come in pairs, columns in threes; the border is of a code that is not zero."""
    for width, border, stride in itertools.product(range(1, 10), itertools.product(range(3), range(3)), range(1, 4)):
        if height + 2 * border[0] < 3 or width + 2 * border[1] < 3:
            continue
        for both in {(stride, stride), (1, stride), (stride, 1)}:
            x, w = random(1, 19, height, width, seed=width), random(19, 1, 3, 3, seed=height)
            check(load_multiplier(name), x, w, depthwise(19, both, border))


@pytest.mark.parametrize("first", range(1, 201, 20))
def test_channels(first):
    """Blocks of 32, 16 and 8 channels and what is left of them, in both orders of the memory."""
    circuit = load_multiplier("mul8u_18DU").sign_magnitude()
    for channels in range(max(first, 2), first + 20):
        x, w = random(1, channels, 3, 5, seed=channels), random(channels, 1, 3, 3, seed=1)
        check(circuit, x.contiguous(memory_format=ORDERS[channels % 2]), w, depthwise(channels))


@pytest.mark.parametrize("name", ["mul8s_1KV6", "mul8u_R36"])
def test_all_65536_products_at_every_tap(name):
    """Channel c reads code c everywhere, and its taps hold weights that between them take every code."""
    circuit, codes = load_multiplier(name), torch.arange(256)
    x = codes.to(torch.uint8).view(1, 256, 1, 1).expand(1, 256, 4, 5).contiguous()
    rows = codes.numpy() ^ (128 * circuit.a_signed)
    taps = torch.tensor([0, 1, 3, 7, 17, 40, 90, 151, 231]).view(1, 1, 3, 3)
    for shift in range(256):
        w = ((codes * 5 + shift).view(256, 1, 1, 1) + taps) % 256
        want = circuit.table.astype(np.int64)[rows[:, None], (w.numpy() ^ (128 * circuit.w_signed)).reshape(256, 9)]
        for variant in native_variants():
            got = conv_digits(digits_of(circuit), x, w.to(torch.uint8), Steps(groups=256), variant)
            assert torch.equal(got.long(), torch.from_numpy(want.sum(1)).expand(1, 2, 3, 256)), variant


# outputs of a channel, window, stride, dilation
NEIGHBOURS = [
    (1, (3, 3), (1, 3), (1, 1)),
    (1, (3, 3), (3, 2), (1, 1)),
    (1, (3, 3), (1, 1), (1, 2)),
    (1, (3, 3), (1, 1), (2, 1)),
    (2, (3, 3), (1, 1), (1, 1)),
    (1, (2, 3), (1, 1), (1, 1)),
    (1, (3, 2), (1, 1), (1, 1)),
    (1, (3, 4), (2, 2), (1, 1)),
    (1, (5, 5), (1, 1), (1, 1)),
]


@pytest.mark.parametrize("name", ["mul8s_1KVQ", *MANY_SCALES])
@pytest.mark.parametrize(("outputs", "kernel", "stride", "dilation"), NEIGHBOURS)
def test_the_windows_next_to_them(name, outputs, kernel, stride, dilation):
    """What a kernel for windows of 3 x 3 must leave to the general one, or must not."""
    x, w = random(2, 70, 8, 9, seed=2), random(70 * outputs, 1, *kernel, seed=3)
    check(load_multiplier(name), x, w, Steps(stride, (1, 2), dilation, 70, 200))


@pytest.mark.parametrize("corner", itertools.product((0, 255), (0, 255)))
def test_sums_that_wrap_and_come_back(corner):
    """The widest entries whose sums of nine still fit; digit products and their scales go beyond on the way."""
    most = (2**31 - 1) // 9
    entries = np.full((256, 256), -most)
    entries[128:, 128:] = most
    circuit = Multiplier.from_table(entries, signed=False, name="widest")
    x = torch.full((1, 35, 5, 5), corner[0], dtype=torch.uint8)
    w = torch.full((35, 1, 3, 3), corner[1], dtype=torch.uint8)
    check(circuit, x, w, Steps(groups=35))


def test_images_of_several_bands():
    """The last band has fewer rows than the others; codes of sums are those of the sums."""
    circuit = load_multiplier("mul8s_1KVA@v2022")
    x, w = random(2, 120, 45, 44, seed=4), random(120, 1, 3, 3, seed=5)
    draw = torch.Generator().manual_seed(6)
    bias = torch.randint(-90_000, 90_000, (120,), dtype=torch.int32, generator=draw)
    emit = Emit(bias, torch.rand(120, generator=draw) / 300, Levels(-17, 110, 1, 5, True))
    for steps in (depthwise(120), depthwise(120, (2, 2))):
        check(circuit, x, w, steps)
        for variant in native_variants():
            sums = conv_digits(digits_of(circuit), x, w, steps, variant)
            codes = conv_digits(digits_of(circuit), x, w, steps, variant, emit)
            assert torch.equal(codes, requantise(sums, *emit, variant="portable")), variant


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_layer(data):
    channels, batch = data.draw(st.integers(2, 200)), data.draw(st.integers(1, 3))
    stride = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    border = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    size = [data.draw(st.integers(max(1, 3 - 2 * b), 12)) for b in border]
    circuit = load_multiplier(data.draw(st.sampled_from(["mul8s_1KV6", "mul8s_1KVQ", *MANY_SCALES])))
    circuit = circuit.sign_magnitude() if circuit.coding == "unsigned" else circuit
    x = random(batch, channels, *size, seed=data.draw(st.integers(0, 99)))
    x = x.contiguous(memory_format=data.draw(st.sampled_from(ORDERS)))
    w = random(channels, 1, 3, 3, seed=data.draw(st.integers(0, 99)))
    check(circuit, x, w, Steps(stride, border, (1, 1), channels, data.draw(st.integers(0, 255))))
