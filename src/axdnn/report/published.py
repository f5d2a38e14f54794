"""What XAI-Gen published, as data: Table I, its baselines, its multipliers, its readings of importance, and notes.

Numbers are as printed. Where the print is inconsistent, the note says so; nothing is corrected or filled in.

References:
    A. Siddique, M. Khalil, K. A. Hoque, "Explainable AI-Guided Efficient Approximate DNN Generation for Multi-Pod
    Systolic Arrays", ISQED 2025, arXiv:2503.16583: Table I, sections III and V, figures 6 and 7.
    V. Mrazek et al., EvoApproxLib (DATE 2017): power of the multipliers (headers of the Verilog files, 45 nm).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

CITATION = (
    'A. Siddique, M. Khalil, K. A. Hoque, "Explainable AI-Guided Efficient Approximate DNN Generation for Multi-Pod '
    'Systolic Arrays", ISQED 2025, arXiv:2503.16583'
)

PAPER_MULTIPLIERS: Mapping[str, str] = {
    "M1": "mul8s_1KV6", "M2": "mul8s_1KV8@v2022", "M3": "mul8s_1KV9", "M4": "mul8s_1KVP", "M5": "mul8s_1L2J",
    "M6": "mul8s_1L2L", "M7": "mul8s_1L2N",
}  # fmt: skip
"""The paper's name -> name in the library; M1 is exact."""

EXACT_MW, CHEAPEST_MW = 0.425, 0.126
"""Published power of M1 and M7, milliwatts (EvoApproxLib)."""

PAPER_BUDGET = 0.02
"""The paper's quality constraint Q_c: baseline accuracy minus two points, as a fraction."""

LENET_UNITS = ("conv1", "conv2", "conv3", "fc1", "fc2")
RESNET_UNITS = ("conv1", "B1", "B2", "B3", "B4", "fc")


class PaperNetwork(NamedTuple):
    """A network of the paper: data set, units, accuracy and energy (as printed, "uW") with exact multipliers."""

    name: str
    data: str
    units: tuple[str, ...]
    accuracy: float
    energy: float


class PaperRow(NamedTuple):
    """A row of Table I.

    Attributes:
        network: name in `PAPER_NETWORKS`.
        skip: share of neurons skipped, by unit, 0..1.
        multipliers: M1..M7 by unit, as printed; one row names a multiplier less than there are units.
        accuracy: fraction. energy: as printed, "uW".
    """

    network: str
    skip: tuple[float, ...]
    multipliers: tuple[str, ...]
    accuracy: float
    energy: float

    @property
    def missing(self) -> int:
        """How many units have no multiplier in print; which ones is not known."""
        return len(self.skip) - len(self.multipliers)


PAPER_NETWORKS: Mapping[str, PaperNetwork] = {
    network.name: network
    for network in (
        PaperNetwork("LeNet-5", "MNIST", LENET_UNITS, 0.98, 15.0),
        PaperNetwork("ResNet-18", "CIFAR-10", RESNET_UNITS, 0.91, 45.0),
        PaperNetwork("ResNet-34", "CIFAR-10", RESNET_UNITS, 0.92, 60.0),
        PaperNetwork("ResNet-50", "ImageNet", RESNET_UNITS, 0.90, 70.0),
    )
}


def _row(network: str, skip: str, multipliers: str, accuracy: int, energy: float) -> PaperRow:
    shares = tuple(int(s) / 100 for s in skip.split())
    return PaperRow(network, shares, tuple(f"M{m}" for m in multipliers.split()), accuracy / 100, energy)


TABLE_ONE: tuple[PaperRow, ...] = (
    _row("LeNet-5", "5 0 10 15 70", "2 1 3 6 7", 94, 2),
    _row("LeNet-5", "5 0 5 10 60", "3 1 3 6 7", 94, 3),
    _row("LeNet-5", "5 0 5 20 50", "2 1 2 6 7", 95, 4),
    _row("ResNet-18", "0 5 5 10 15 70", "1 2 2 5 6 7", 88, 26),
    _row("ResNet-18", "0 5 5 10 20 70", "1 2 2 3 4 5", 86, 20),
    _row("ResNet-18", "0 5 10 15 15 60", "4 1 5 6 7", 87, 17),  # five of six multipliers are printed
    _row("ResNet-34", "0 5 10 15 15 50", "1 2 2 3 3 7", 81, 38),
    _row("ResNet-34", "0 5 10 15 15 70", "1 2 2 4 4 5", 89, 35),
    _row("ResNet-34", "0 5 10 30 35 75", "1 2 3 3 6 7", 88, 34),
    _row("ResNet-50", "0 10 10 15 25 55", "1 2 2 3 6 7", 91, 42),
    _row("ResNet-50", "0 15 20 25 30 60", "1 2 3 4 5 6", 89, 40),
    _row("ResNet-50", "0 15 30 30 35 35", "1 2 3 3 6 7", 90, 41),
)


class Reading(NamedTuple):
    """Importance of a unit, read off a figure: range over the target classes that go together."""

    low: float
    high: float


PAPER_PROFILES: Mapping[str, tuple[Reading, ...]] = {
    "LeNet-5": (Reading(640, 810), Reading(1000, 1280), Reading(550, 670), Reading(470, 570), Reading(80, 150)),
    "ResNet-18": (Reading(3300, 4200), Reading(2200, 2700), Reading(1900, 2300), Reading(1800, 2200),
                  Reading(1200, 1450), Reading(70, 250)),
    "ResNet-34": (Reading(2350, 3250), Reading(1050, 1650), Reading(400, 800), Reading(150, 470), Reading(150, 500),
                  Reading(20, 170)),
    "ResNet-50": (Reading(1700, 2200), Reading(1250, 1600), Reading(650, 900), Reading(150, 320), Reading(80, 250),
                  Reading(50, 50)),
}  # fmt: skip
"""Network -> importance by unit in figures 6 and 7, read by eye: good to about a tenth of the largest. One class of
ResNet-50 lies far above the others (about 6400, 2850, 2500, 2850, 1850) and is not in the ranges."""


def claimed_ratio(network: str) -> float:
    """Return the paper's exact energy over the lowest one in its Table I, both as printed."""
    return PAPER_NETWORKS[network].energy / min(row.energy for row in TABLE_ONE if row.network == network)


def violating_rows() -> tuple[PaperRow, ...]:
    """Return the rows of Table I whose accuracy is below the paper's own constraint, baseline minus two points."""
    return tuple(r for r in TABLE_ONE if r.accuracy < PAPER_NETWORKS[r.network].accuracy - PAPER_BUDGET - 1e-9)


def half_array_limit() -> float:
    """Return the most that approximation alone saves in energy when half of every pod stays exact (equation 2)."""
    return 2 * EXACT_MW / (EXACT_MW + CHEAPEST_MW)


def paper_name(multiplier: str) -> str:
    """Return the paper's name of a multiplier of the library (M1..M7), or the empty string."""
    return next((short for short, name in PAPER_MULTIPLIERS.items() if name == multiplier), "")


def paper_network(model: str, data: str) -> PaperNetwork | None:
    """Return the paper's network of that name and data set (`resnet.py:ResNet18`, `cifar10`), or None."""
    return next((n for n in PAPER_NETWORKS.values() if named_like(model, n.name) and _same_data(data, n.data)), None)


def named_like(model: str, network: str) -> bool:
    """Whether a model's name holds the name of a network, whatever the case and punctuation."""
    return re.search(rf"{_plain(network)}(?!\d)", _plain(model)) is not None


def _same_data(ours: str, theirs: str) -> bool:
    return re.match(rf"{_plain(theirs)}(?!\d)", _plain(ours)) is not None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def accuracy_notes() -> tuple[str, ...]:
    """Return what to know about the published accuracies, computed from the data above."""
    outside = violating_rows()
    kept = " and ".join(name for name in PAPER_NETWORKS if name not in {row.network for row in outside})
    return (
        f"The paper's own quality constraint (baseline minus {100 * PAPER_BUDGET:g} points) is violated in "
        f"{len(outside)} of the {len(TABLE_ONE)} rows of its Table I: all but those of {kept}.",
    )


def energy_notes() -> tuple[str, ...]:
    """Return what to know about the published energies, computed from the data above."""
    claims = ", ".join(f"{claimed_ratio(name):.3g}" for name in PAPER_NETWORKS)
    energies = ", ".join(f"{network.energy:g}" for network in PAPER_NETWORKS.values())
    return (
        "Published energies carry the unit uW in print; they are energies, most likely \u00b5J. They stand as printed.",
        f"The published exact energies ({energies}) cannot be reproduced from the published constants: equation 2 "
        "with all pods charged gives 1.7 to 2.4 times less for the ResNets and 9 times less for LeNet-5.",
        f"Energy reductions by the table's own numbers: {claims} times ({_listed(tuple(PAPER_NETWORKS))}); the text "
        "claims 7, 2.6, 2 and 2.",
        "Half of every pod is exact, so approximation alone lowers the energy of equation 2 at most "
        f"{half_array_limit():.2f} times; what goes beyond comes from skipped neurons.",
    )


SEARCH_NOTE = "Search time saved, as published: 5 times in the abstract, 18 times in the conference programme."


def paper_notes() -> tuple[str, ...]:
    """Return everything a reader of the published numbers must know."""
    return (f"Published: {CITATION}.", *accuracy_notes(), *energy_notes(), SEARCH_NOTE)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
