"""ALWANN's weight map against its definition, and what conversion makes of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from axdnn import approximate
from axdnn.layers import Recipe
from axdnn.layers.alwann import alwann_map, mapped
from axdnn.multipliers import load_multiplier
from axdnn.records import Multiplier


def circuits() -> Iterator[Multiplier]:
    yield load_multiplier("mul8s_1L12.T")
    yield load_multiplier("mul8s_1KX5")
    yield load_multiplier("mul8u_QKX")
    yield load_multiplier("mul8u_17MJ").sign_magnitude()


def literal_map(m: Multiplier) -> list[int]:
    """For each weight, every candidate: the sum over all activations of |a w - M(a, w')|."""
    a, found = m.a_values.astype(np.int64), []
    for w in range(256):
        exact = a * int(m.w_values[w])
        best, least = w, int(np.abs(exact - m.table[:, w]).sum())
        for candidate in range(256):
            error = int(np.abs(exact - m.table[:, candidate]).sum())
            if error < least:
                best, least = candidate, error
        found.append(best)
    return found


@pytest.mark.parametrize("m", circuits(), ids=lambda m: f"{m.name} {m.coding}")
def test_the_map_is_the_definition_for_every_weight(m: Multiplier) -> None:
    assert list(alwann_map(m)) == literal_map(m)


def test_exact_products_map_every_weight_to_itself() -> None:
    for m in (load_multiplier("exact"), load_multiplier("mul8u_1JJQ"), load_multiplier("mul8u_1JJQ").sign_magnitude()):
        # Minus zero is the one weight that another column equals, and it keeps its own.
        assert alwann_map(m) == tuple(range(256))


def test_codes_go_through_the_map() -> None:
    for m in circuits():
        low = 128 if m.w_signed else 0
        codes = torch.arange(-low, 256 - low).to(torch.int8 if m.w_signed else torch.uint8).view(2, 128)
        stored = mapped(codes, m)
        assert stored.dtype == codes.dtype
        assert (stored.long() + low).flatten().tolist() == list(alwann_map(m))


def test_fewer_bits_stay_on_their_grid() -> None:
    m = load_multiplier("mul8u_17MJ").sign_magnitude()
    assert {column % 8 for column in alwann_map(m, 3)[::8]} == {0}


@pytest.mark.parametrize("unsigned", ["sign_magnitude", "unsigned"])
def test_a_converted_layer_stores_mapped_codes(unsigned: str) -> None:
    torch.manual_seed(0)
    model, images = torch.nn.Linear(20, 6), torch.rand(64, 20)
    recipe = Recipe(weight_codes="alwann", unsigned_coding=unsigned, activation_range="minmax")  # type: ignore[arg-type]
    plain = Recipe(weight_codes="nearest", align=False, unsigned_coding=unsigned, activation_range="minmax")  # type: ignore[arg-type]
    for name in ("mul8u_17MJ", "mul8u_18UH"):
        made = approximate(model, name, images, recipe=recipe)
        other = approximate(model, name, images, recipe=plain).layer(made.layer_names[0])
        layer = made.layer(made.layer_names[0])
        assert torch.equal(layer.coding.w_codes, mapped(other.coding.w_codes, layer.coding.multiplier))
        assert not torch.equal(layer.coding.w_codes, other.coding.w_codes)
        fast = made(images)
        made.path = "reference"
        assert torch.equal(fast, made(images))
