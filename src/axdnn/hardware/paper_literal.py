"""The cost model `paper_literal`: reports, energies and tables from XAI-Gen's equations (see `paper_equations`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from axdnn.hardware.accelerator import Accelerator, load_accelerator
from axdnn.hardware.components import Floats, exact_figures
from axdnn.hardware.estimate import kinds_in_use
from axdnn.hardware.paper_equations import PaperConstants, Terms, paper_sources, paper_terms, pod_w
from axdnn.hardware.skipping import thinned
from axdnn.hardware.table import CostTable
from axdnn.records import (
    Assignment,
    Coding,
    CostReport,
    Figures,
    InvalidInputError,
    LayerCost,
    Multiplier,
    Network,
)

PAPER_MODEL = "paper_literal"
PAPER_COMPONENTS = ("mac", "memory")
NOTES = (
    "paper_literal: equations 1 and 2 of XAI-Gen (ISQED 2025) as printed, for comparison with the paper only; never "
    "put its figures in one column with those of the streaming model",
    "the paper's exact baselines (15, 45, 60, 70, printed as uW, most likely µJ) cannot be reproduced from its "
    "constants: with all pods charged LeNet-5 is 9 times below, ResNet-18, -34 and -50 are 1.7 to 2.4 times below",
    "a cycle a weight group: the activations that stream past a weight are not counted, so the energy is far below "
    "that of the products themselves",
    "half of every pod is exact, so no multiplier saves more than the other half: 1.54 times with mul8s_1L2N",
    "latency is the sum of c_l T; memory footprint, area, utilisation and stalls are not in the paper and read 0. "
    "Any pod runs any chosen multiplier, as the equations have it (ideal reading)",
)


def paper_energy_j(
    network: Network,
    multipliers: Sequence[Multiplier],
    accelerator: str | Accelerator | PaperConstants = "xai_gen",
    exact: Mapping[Coding, Figures] | None = None,
) -> Floats:
    """Energy of every layer with every multiplier, joules, shape `(L, M)`: a choice costs the sum of its entries."""
    constants, reference = _constants(accelerator)[1], exact_figures(exact)
    terms = paper_terms(network, constants)
    return terms.memory_j[:, None] + _mac_j(terms, multipliers, constants, reference)


def paper_table(
    network: Network,
    multipliers: Sequence[Multiplier],
    accelerator: str | Accelerator | PaperConstants = "xai_gen",
    exact: Mapping[Coding, Figures] | None = None,
) -> CostTable:
    """Return the same as a `CostTable`, for searches: nothing static, no area, latency c_l T on any number of pods.

    Raises:
        InvalidInputError: no multipliers, one without figures, or a network without layers.
        UnknownNameError: unknown accelerator.
    """
    if not multipliers:
        raise InvalidInputError("a cost table needs at least one multiplier")
    constants, reference = _constants(accelerator)[1], exact_figures(exact)
    terms = paper_terms(network, constants)
    mac_j = _mac_j(terms, multipliers, constants, reference)
    nothing = np.zeros(len(multipliers))
    return CostTable(
        layers=network.layer_names,
        multipliers=tuple(m.name for m in multipliers),
        dynamic_j=mac_j + terms.memory_j[:, None],
        multiplier_j=mac_j,
        latency_s=np.repeat((terms.cycles * constants.period_s)[:, None], constants.pods, axis=1),
        static_w_pod=nothing,
        static_w_shared=0.0,
        area_m2_pod=nothing,
        area_m2_shared=0.0,
        model=PAPER_MODEL,
    )


def paper_literal(
    network: Network,
    assignment: Assignment,
    accelerator: str | Accelerator | PaperConstants = "xai_gen",
    *,
    multipliers: Mapping[str, Multiplier],
    exact: Mapping[Coding, Figures] | None = None,
) -> CostReport:
    """Price an assignment by the paper's equations; see `PaperConstants` for the readings and `NOTES` for the limits.

    Args:
        network: shapes.
        assignment: multiplier of each layer; with `skip` and `absent`, the weights that are left are priced.
        accelerator: gives pods, array and clock; `PaperConstants` gives everything.
        multipliers: name -> multiplier with figures, at least those in the assignment.
        exact: figures of the exact circuits by coding; default: those of the shipped library.

    Raises:
        UnknownNameError: unknown accelerator, layer or multiplier.
        InvalidInputError: a layer without multiplier, a multiplier without figures, illegal constants.
    """
    label, constants = _constants(accelerator)
    reference, kinds = exact_figures(exact), kinds_in_use(network, assignment, multipliers)
    network = thinned(network, assignment)
    terms = paper_terms(network, constants)
    used = constants.pods if constants.charged == "all" else 1
    watts = {name: used * pod_w(m, constants, reference) for name, m in kinds.items()}
    layers = []
    for i, layer in enumerate(network.layers):
        name, seconds = assignment.multipliers[layer.name], float(terms.cycles[i]) * constants.period_s
        layers.append(
            LayerCost(
                layer=layer.name,
                multiplier=name,
                pods=used,
                macs=layer.macs,
                cycles=math.ceil(terms.cycles[i]),
                latency_s=seconds,
                utilisation=0.0,
                bound="not modelled",
                energy_j={"mac": seconds * watts[name], "memory": float(terms.memory_j[i])},
                traffic_bytes={"accesses": float(terms.accesses[i])},
            )
        )
    return CostReport(
        network=network.name,
        accelerator=label,
        model=PAPER_MODEL,
        reading="ideal",
        layers=tuple(layers),
        pods=dict.fromkeys(kinds, used),
        energy_j=sum(layer.total_energy_j for layer in layers),
        latency_s=sum(layer.latency_s for layer in layers),
        memory_bytes=0,
        area_m2=0.0,
        multiplier_energy_j=sum(layer.energy_j["mac"] for layer in layers),
        notes=NOTES,
        sources=paper_sources(constants, kinds, reference),
    )


def _mac_j(
    terms: Terms, multipliers: Sequence[Multiplier], constants: PaperConstants, exact: Mapping[Coding, Figures]
) -> Floats:
    """Second term of equation 2, `(L, M)`."""
    used = constants.pods if constants.charged == "all" else 1
    watts = np.array([used * pod_w(m, constants, exact) for m in multipliers])
    return np.asarray((terms.cycles * constants.period_s)[:, None] * watts)


def _constants(accelerator: str | Accelerator | PaperConstants) -> tuple[str, PaperConstants]:
    if isinstance(accelerator, PaperConstants):
        return "constants of the caller", accelerator
    chip = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
    return chip.name, PaperConstants.of(chip)
