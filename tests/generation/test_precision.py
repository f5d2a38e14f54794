"""Exact quantisation with fewer bits: no product is wrong, the prices are the circuits', bits follow sensitivity."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from axdnn.evaluation import Split
from axdnn.generation import Request, exact_products, generate, precision_recipe
from axdnn.kernels import approx_matmul
from axdnn.layers import Recipe, approximate, coded
from axdnn.multipliers import classify, exact_widths, load_multiplier, load_set
from axdnn.records import GenerationResult, Multiplier

Small = tuple[nn.Module, torch.Tensor, dict[str, Split]]
BOTH = pytest.mark.parametrize("strategy", ["uniform_precision", "mixed_precision"])
NAMES = "mul8s_1L2L,mul8s_1L2N,mul8s_1KVA@v2022,mul8u_QKX,mul8u_12N4,mul8u_13QR"
PLAIN = Recipe(fit_rows=64)


@pytest.fixture(scope="module")
def library() -> tuple[Multiplier, ...]:
    return exact_products(load_set("evoapprox8b"), precision_recipe(Recipe()))


def bits(m: Multiplier) -> tuple[int, int]:
    kind = classify(coded(m, PLAIN))
    assert kind.kind in ("exact", "reduced_precision"), m.name
    return kind.a_bits, kind.w_bits


def test_every_candidate_is_an_exact_product_of_fewer_bits(library: tuple[Multiplier, ...]) -> None:
    for m in library:
        wired = coded(m, PLAIN)
        a_bits, w_bits = bits(m)
        a, w = wired.a_values, wired.w_values
        step = 2 if wired.coding == "sign_magnitude" else 1
        rows = a % 2 ** (8 - a_bits) == 0
        columns = w % (step * 2 ** (8 - w_bits)) == 0
        assert np.array_equal(wired.table[np.ix_(rows, columns)], np.multiply.outer(a[rows], w[columns]))
        assert load_multiplier(m.name) == m, "the name says which lines are tied, so that a result can be rebuilt"
        assert m.figures == load_multiplier(m.name).figures


def test_nothing_cheaper_as_wide_was_left_out(library: tuple[Multiplier, ...]) -> None:
    """Every circuit of the library at each of its widths is there, or something as wide and as cheap is."""
    known = [(m, *bits(m)) for m in library]
    for circuit in load_set("evoapprox8b"):
        for a_bits, w_bits in exact_widths(coded(circuit, PLAIN)):
            assert any(
                m.coding == circuit.coding and a >= a_bits and w >= w_bits
                and m.figures.power_w <= circuit.figures.power_w and m.figures.area_m2 <= circuit.figures.area_m2
                for m, a, w in known
            ), circuit.name  # fmt: skip
    assert {(8, 8), (5, 5), (8, 2), (4, 4)} <= {(a, w) for _, a, w in known}


def test_the_request_brings_recipe_and_candidates() -> None:
    asked = Request(strategy="mixed_precision", multipliers=NAMES, recipe=Recipe(align=False, fit_rows=64))
    assert (asked.recipe.weight_codes, asked.recipe.align, asked.recipe.fit_rows) == ("nearest", True, 64)
    assert "mul8u_QKX.8x1" in {m.name for m in asked.candidates()}
    assert Request(strategy="greedy", multipliers=NAMES).recipe == Recipe()


def run(small: Small, **options: Any) -> GenerationResult:
    model, calibration, splits = small
    settings = {"max_accuracy_loss": 8.0, "multipliers": NAMES, "evaluations": 14, "recipe": PLAIN}
    return generate(model, calibration, splits, Request(**{**settings, "objective": "multiplier", **options}))


@BOTH
def test_a_run_chooses_exact_products_within_the_budget(small: Small, strategy: str) -> None:
    result = run(small, strategy=strategy)
    assert result.status == "met"
    assert result.chosen.accuracy["accept"].loss_bound <= 0.08
    chosen = [load_multiplier(name) for name in result.assignment.values()]
    assert all(bits(m) != (8, 8) for m in chosen)
    assert len({bits(m) for m in chosen}) == 1 or strategy == "mixed_precision"
    assert any("exact products of fewer bits" in note for note in result.notes)


def test_mixed_costs_no_more_than_uniform(small: Small) -> None:
    energies = {s: run(small, strategy=s).multiplier_energy_j for s in ("uniform_precision", "mixed_precision")}
    assert energies["mixed_precision"] <= energies["uniform_precision"] * (1 + 1e-9)


@pytest.mark.parametrize("name", ["mul8u_QKX.8x1", "mul8u_12N4.4x3", "mul8s_1L2N", "mul8s_1KVA@v2022.6x6"])
def test_products_of_a_converted_layer_are_exact(small: Small, name: str) -> None:
    """Sums of the circuit are sums of the numbers that the codes stand for: only operands were rounded."""
    model, images, _ = small
    recipe = precision_recipe(PLAIN)
    made = approximate(model, name, images, recipe=recipe)
    for layer_name in made.layer_names:
        coding = made.layer(layer_name).coding
        m = coding.multiplier
        low = -128 if m.a_signed else 0
        codes = coding.encoding.quantise(torch.linspace(-2, 3, coding.w_codes.shape[2])[None, None])
        sums = approx_matmul(codes, coding.w_codes, m)
        a = torch.from_numpy(m.a_values.astype(np.int64))[codes.long() - low]
        w = torch.from_numpy(m.w_values.astype(np.int64))[coding.w_codes.long() + (128 if m.w_signed else 0)]
        assert torch.equal(sums.long(), torch.einsum("grk,gnk->grn", a, w))


def test_scales_are_clipped_where_that_leaves_less_error(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two bits the largest weights are rare: a tighter scale rounds all the others better."""
    model, images, _ = small

    def noises() -> np.ndarray:
        made = approximate(model, "mul8s_1L12.T", images, recipe=precision_recipe(PLAIN))
        return np.array([made.layer(name).coding.noise for name in made.layer_names])

    searched = noises()
    monkeypatch.setattr(sys.modules["axdnn.layers.coding"], "NEAREST_RATIOS", ())
    unclipped = noises()
    assert (searched <= unclipped).all()
    assert (searched < unclipped).any()
