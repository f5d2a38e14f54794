"""Codes from sums and from two tensors: bit for bit what the same steps give in torch, on every kind of value."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.kernels import native_variants
from axdnn.kernels.requantise import Codes, Levels, add_codes, requantise

LEVELS = [
    Levels(0, 255, 1, 0, False), Levels(-128, 127, 1, 0, True), Levels(-3, 12, 16, 48, False),
    Levels(-64, 63, 2, -5, True), Levels(7, 7, 1, 3, False),
]  # fmt: skip


def stepwise(value: torch.Tensor, levels: Levels) -> torch.Tensor:
    whole = torch.clamp(torch.round(value), levels.low, levels.high)
    return (whole * levels.step + levels.zero).to(levels.dtype)


VARIANTS = pytest.mark.parametrize("variant", native_variants())


@VARIANTS
@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("shape", [(3, 5), (2, 64), (1, 1), (700, 33), (2, 4, 3, 17)])
def test_sums(variant, levels, shape):
    generator = torch.Generator().manual_seed(1)
    sums = torch.randint(-(2**31) + 2**20, 2**31 - 2**20, shape, generator=generator, dtype=torch.int32)
    bias = torch.randint(-(2**20), 2**20, shape[-1:], generator=generator, dtype=torch.int32)
    for power in (-40, -24, -10, 0):
        unit = torch.rand(shape[-1], generator=generator) * 2.0**power
        got = requantise(sums, bias, unit, levels, variant=variant)
        assert got is not None
        assert got.dtype == levels.dtype
        assert torch.equal(got, stepwise((sums + bias).to(torch.float32) * unit, levels))


def test_halves_go_to_the_even_level():
    sums = torch.arange(-40, 41, dtype=torch.int32).view(-1, 1)
    got = requantise(sums, torch.zeros(1, dtype=torch.int32), torch.tensor([0.5]), LEVELS[1])
    assert got is not None
    assert got.flatten()[::2].tolist() == [x // 2 for x in range(-40, 41, 2)]
    assert got.flatten()[1::2].tolist() == [2 * round(x / 4) for x in range(-39, 41, 2)]


@VARIANTS
def test_every_half_sum_and_its_neighbours_at_the_ends(variant):
    """Values around every rounding and clamping boundary, one float apart."""
    edges = torch.arange(-300, 301).float() / 2
    values = torch.cat([edges, torch.nextafter(edges, edges + 1), torch.nextafter(edges, edges - 1)])
    sums, unit = torch.ones(1, len(values), dtype=torch.int32), values
    for levels in LEVELS:
        got = requantise(sums, torch.zeros(len(values), dtype=torch.int32), unit, levels, variant=variant)
        assert got is not None
        assert torch.equal(got, stepwise(values.view(1, -1), levels))


def test_channels_of_images():
    sums = torch.randint(-999, 999, (2, 6, 5, 3), dtype=torch.int32)  # (b, h, w, c) in memory
    images, bias, unit = sums.permute(0, 3, 1, 2), torch.tensor([1, -2, 3], dtype=torch.int32), torch.rand(3)
    got = requantise(images, bias, unit, LEVELS[0], dim=1)
    assert got is not None
    assert torch.equal(got, stepwise((sums + bias) * unit, LEVELS[0]).permute(0, 3, 1, 2))
    assert requantise(images.contiguous(), bias, unit, LEVELS[0], dim=1) is None, "another layout is left to torch"
    assert requantise(sums.long(), bias, unit, LEVELS[0]) is None


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(LEVELS), st.booleans(), st.booleans(), st.integers(-200, 300), st.integers(-200, 300),
    st.floats(1e-6, 10), st.floats(1e-6, 10), st.floats(1e-3, 1e3),
)  # fmt: skip
def test_all_pairs_of_codes(levels, a_signed, b_signed, a_zero, b_zero, a_scale, b_scale, inverse):
    def codes(signed):
        return torch.arange(-128, 128).to(torch.int8) if signed else torch.arange(256).to(torch.uint8)

    a = codes(a_signed).view(256, 1).expand(256, 256)
    b = codes(b_signed).view(1, 256).expand(256, 256)
    scale = torch.tensor(inverse)
    real = (a.float() - a_zero) * a_scale + (b.float() - b_zero) * b_scale
    for variant in native_variants():
        pair = Codes(a, a_zero, a_scale), Codes(b, b_zero, b_scale)
        got = add_codes(*pair, [(float(scale), levels), (0.75, LEVELS[1])], variant)
        assert got is not None
        assert torch.equal(got[0], stepwise(real * scale, levels))
        assert torch.equal(got[1], stepwise(real * 0.75, LEVELS[1]))


def test_layouts_of_the_addends_may_differ():
    a = torch.randint(0, 256, (2, 5, 4, 3), dtype=torch.uint8)
    b = torch.randint(0, 256, (2, 5, 4, 3), dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    for x, y in ((a, b), (b, a), (b, b)):
        got = add_codes(Codes(x, 3, 0.1), Codes(y, 100, 0.2), [(1.5, LEVELS[0])])
        assert got is not None
        assert torch.equal(got[0], stepwise(((x.float() - 3) * 0.1 + (y.float() - 100) * 0.2) * 1.5, LEVELS[0]))
