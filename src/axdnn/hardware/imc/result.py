"""`ImcCost`: what a network costs on an in-memory chip, and why it does not fit where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.imc.gates import Floats, floats
from axdnn.hardware.imc.mapping import Ints
from axdnn.records import InvalidInputError

COMPONENTS = ("cells", "adc", "dac", "adders", "buffer", "interconnect", "programming", "leakage")
"""Where energy goes. `adc` holds sampling and integration, `adders` trees, shift-and-add and joining of row tiles."""
AREA_COMPONENTS = ("cells", "adc", "dac", "adders", "buffer", "interconnect")
BOUNDS = ("compute", "buffer", "programming")
"""What takes most of a layer's time."""


class Shortfall(NamedTuple):
    """A resource that binds: what is needed, what is there, who needs most, and what would make it fit."""

    resource: str
    needed: int
    available: int
    unit: str
    largest: tuple[tuple[str, int], ...]
    levers: tuple[str, ...]

    def __str__(self) -> str:
        who = ", ".join(f"{name} {count}" for name, count in self.largest)
        return (
            f"{self.needed} {self.unit} are needed, but {self.available} are there (largest: {who}); "
            f"what would help: {'; '.join(self.levers)}"
        )


@dataclass(frozen=True, kw_only=True)
class ImcCost:
    """Costs of one inference; arrays of shape `(candidates..., layers)`, or `(candidates...)` where `layers` is absent.

    Without `vary` there is no candidate axis. Infeasible candidates have infinite energy and latency.

    Attributes:
        chip: name of the chip.
        layers: names of the layers.
        energy_j: component -> energy, with layers.
        compute_s: time to compute, with layers: rounds of all passes, or the buffer's transfers if they take longer.
        programming_s: time to write weights that do not stay, with layers.
        bound: index into `BOUNDS`, with layers.
        arrays: arrays that hold the weights, all copies, with layers.
        passes: times that a layer runs because not all its arrays are there at once, with layers.
        loaded: share of a layer's arrays that are written in every inference, with layers.
        utilisation: share of the cells of a layer's arrays that hold weights, with layers.
        adc_bits_missing: bits that the converter lacks to lose nothing, with layers; 0 for digital macros.
        area_m2: component -> area of the chip.
        arrays_needed: arrays for all weights and the largest product of two activations.
        arrays_available: arrays of the chip.
        feasible: whether weights fit or may be reloaded.
        setup_j, setup_s: to write all weights once, before the first inference; not part of the above.
    """

    chip: str
    layers: tuple[str, ...]
    energy_j: dict[str, Floats]
    compute_s: Floats
    programming_s: Floats
    bound: Ints
    arrays: Ints
    passes: Ints
    loaded: Floats
    utilisation: Floats
    adc_bits_missing: Ints
    area_m2: dict[str, Floats]
    arrays_needed: Ints
    arrays_available: Ints
    feasible: npt.NDArray[np.bool_]
    setup_j: Floats
    setup_s: Floats

    @property
    def latency_s(self) -> Floats:
        """Time of each layer."""
        return floats(self.compute_s + self.programming_s)

    @property
    def layer_j(self) -> Floats:
        """Energy of each layer."""
        return floats(sum(self.energy_j.values()))

    @property
    def total_j(self) -> Floats:
        """Energy of the network."""
        return floats(self.layer_j.sum(axis=-1))

    @property
    def total_s(self) -> Floats:
        """Time of the network, layers one after the other."""
        return floats(self.latency_s.sum(axis=-1))

    @property
    def total_m2(self) -> Floats:
        """Area of the chip."""
        return floats(sum(self.area_m2.values()))

    def shortfall(self, *candidate: int) -> Shortfall | None:
        """Why a candidate is infeasible; None if it is not.

        Args:
            candidate: its index, one number an axis of candidates; none without `vary`.

        Raises:
            InvalidInputError: an index that does not name one candidate.
        """
        if len(candidate) != self.feasible.ndim:
            raise InvalidInputError(f"`candidate` must have {self.feasible.ndim} indices, but got {len(candidate)}")
        if bool(self.feasible[candidate]):
            return None
        needed, available = int(self.arrays_needed[candidate]), int(self.arrays_available[candidate])
        arrays: Any = self.arrays[candidate]
        order = np.argsort(-arrays, kind="stable")[:5]
        return Shortfall(
            resource="arrays",
            needed=needed,
            available=available,
            unit="arrays",
            largest=tuple((self.layers[i], int(arrays[i])) for i in order),
            levers=(
                f"`arrays` of at least {needed}",
                "`reload` of 1, at the cost of writing weights in every inference",
                "larger `rows` or `columns`, more `cell_bits`, fewer `weight_bits`",
                "fewer `replicas`, or `pack_groups` where groups are small",
            ),
        )
