"""`axdnn estimate` on a bank of arrays: how its multipliers are wired, and how its figures come about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from axdnn.cli.estimate_more import show_explained

if TYPE_CHECKING:
    from axdnn.hardware import ArrayBank
    from axdnn.records import Assignment, Multiplier, Network


def bank_multipliers(bank: ArrayBank) -> dict[str, Multiplier]:
    """Return the circuits of the arrays, wired as `generate` wires them."""
    from axdnn.layers import Recipe, coded
    from axdnn.multipliers import load_multiplier

    return {array.multiplier: coded(load_multiplier(array.multiplier), Recipe()) for array in bank.arrays}


def explain_on_bank(
    network: Network, assignment: Assignment | None, bank: ArrayBank, layer: str,
    multipliers: Mapping[str, Multiplier], batch: int, format: str,
) -> None:  # fmt: skip
    """Print formula, inputs and sources of a layer's figures on its array, or of the `chip` its area and memory."""
    from axdnn.hardware import explain_bank, explain_bank_layer

    if layer == "chip" and layer not in network.layer_names:
        parts = explain_bank(network, assignment, bank, multipliers=multipliers, batch=batch)
        show_explained(layer, parts, format)
        return
    index, parts = explain_bank_layer(network, assignment, bank, layer, multipliers=multipliers, batch=batch)
    show_explained(f"{layer} on array {index} ({bank.arrays[index].label})", parts, format)
