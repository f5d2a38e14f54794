"""What a search minimises: the energy of the chip, of its multipliers alone, or of the paper's equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from axdnn.hardware import Accelerator, CostTable, cost_table, paper_table
from axdnn.records import Multiplier, Network

Objective = Literal["energy", "multiplier", "paper_literal"]
OBJECTIVES: tuple[Objective, ...] = ("energy", "multiplier", "paper_literal")


def objective_table(
    network: Network, multipliers: Sequence[Multiplier], chip: Accelerator, objective: Objective
) -> CostTable:
    """Return a table whose energies are what the search minimises; kinds of multipliers are limited by pods in each.

    Args:
        network: shapes.
        multipliers: candidates as they are wired.
        chip: priced on.
        objective: `energy`: the whole chip, `streaming` model, `buildable` reading. `multiplier`: the multipliers' own
            energy in the same model; what kinds cost each other in pods is left out. `paper_literal`: equations 1 and
            2 of XAI-Gen on the paper's chip (preset `xai_gen`).
    """
    if objective == "paper_literal":
        return paper_table(network, multipliers)
    table = cost_table(network, multipliers, chip)
    if objective == "energy":
        return table
    nothing = np.zeros_like(table.static_w_pod)
    return msgspec.structs.replace(table, dynamic_j=table.multiplier_j, static_w_pod=nothing, static_w_shared=0.0)
