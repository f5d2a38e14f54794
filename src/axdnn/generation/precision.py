"""Exact quantisation with fewer bits, priced with the same circuits: the baseline that needs no approximate product.

A circuit that multiplies exactly whenever the low lines of its operands are 0 is an exact multiplier of fewer bits:
with those lines tied to 0 (`Multiplier.narrowed`) no product is ever wrong, and what a layer loses is the rounding of
its operands alone. The price is that of the whole circuit: what synthesis would remove is not claimed.
Weights are rounded to nearest, scales are clipped where that leaves less error (`Recipe(weight_codes="nearest")`).

Choosing bits by sensitivity follows Z. Dong et al., "HAWQ-V2: Hessian aware trace-weighted quantization of neural
networks", NeurIPS 2020: predicted loss of a layer = sensitivity times squared error of quantisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import NamedTuple

import numpy as np

from axdnn.generation.greedy import greedy
from axdnn.generation.judge import Judge
from axdnn.generation.uniform import uniform
from axdnn.layers import Recipe, coded
from axdnn.multipliers import exact_widths
from axdnn.records import Multiplier

PRECISION = ("uniform_precision", "mixed_precision")


def uniform_precision(judge: Judge, rng: np.random.Generator) -> None:
    """Find the cheapest bit widths that the whole network can have, operands rounded, products exact.

    What makes it exact quantisation are the candidates (`exact_products`) and the recipe (`precision_recipe`), which a
    `Request` for this strategy brings along; the search is that of `uniform`.
    """
    uniform(judge, rng)


def mixed_precision(judge: Judge, rng: np.random.Generator) -> None:
    """Choose bit widths for each layer by energy saved per predicted damage, operands rounded, products exact.

    Candidates and recipe as in `uniform_precision`; the search is that of `greedy`, from the best uniform widths on.
    """
    greedy(judge, rng)


def precision_recipe(recipe: Recipe) -> Recipe:
    """Return a recipe for exact products: weights rounded to nearest, on the codes that the circuit can tell apart."""
    return replace(recipe, weight_codes="nearest", align=True)


def exact_products(multipliers: Sequence[Multiplier], recipe: Recipe) -> tuple[Multiplier, ...]:
    """Return every exact multiplier of 2 to 8 bits an operand that can be had from circuits by tying low lines to 0.

    A circuit counts once for each of the largest pairs of widths at which it is exact, as the recipe wires it. Of those
    with the same signs, one that is as wide on both sides at no more power and area makes another one superfluous.

    Args:
        multipliers: circuits to look through.
        recipe: how unsigned circuits are wired.
    """
    found = [_Widths(circuit, *bits) for circuit in multipliers for bits in exact_widths(coded(circuit, recipe))]
    kept = [
        one for i, one in enumerate(found)
        if not any(other.beats(one, j < i) for j, other in enumerate(found) if j != i)
    ]  # fmt: skip
    return tuple(one.narrowed(recipe) for one in kept)


class _Widths(NamedTuple):
    """A circuit, and widths at which it is exact as it is wired."""

    circuit: Multiplier
    a_bits: int
    w_bits: int

    def narrowed(self, recipe: Recipe) -> Multiplier:
        """Return the circuit with its low lines tied to 0; itself where that changes nothing."""
        wired = coded(self.circuit, recipe)
        # The sign of a sign-magnitude weight is no line of the circuit.
        narrow = self.circuit.narrowed(self.a_bits, self.w_bits - (wired.coding == "sign_magnitude"))
        return self.circuit if np.array_equal(coded(narrow, recipe).table, wired.table) else narrow

    def beats(self, other: _Widths, first: bool) -> bool:
        """Whether this one is as wide and costs no more; of equals the first one counts."""
        if self.circuit.coding != other.circuit.coding:
            return False
        mine, its = self._order, other._order
        return all(a <= b for a, b in zip(mine, its, strict=True)) and (mine != its or first)

    @property
    def _order(self) -> tuple[float, float, int, int]:
        figures = self.circuit.figures
        price = (inf, inf) if figures is None else (figures.power_w, figures.area_m2)
        return (*price, -self.a_bits, -self.w_bits)
