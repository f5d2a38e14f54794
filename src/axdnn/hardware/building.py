"""What is built: pods of each kind, their static power and area, in the two readings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.components import pod_area_m2, pod_area_parts_m2, pod_static_w, shared_area_m2, shared_static_w
from axdnn.hardware.pods import allocate
from axdnn.hardware.streaming import LayerTerms
from axdnn.records import Assignment, Coding, Figures, InvalidInputError, Multiplier, Network


class Build(NamedTuple):
    """What is built: pods of each kind, pods a layer of each kind may use, static power, and its area by part."""

    pods: dict[str, int]
    available: dict[str, int]
    static_w: float
    area_m2: dict[str, float]


def _area(
    kinds: Mapping[str, Multiplier], pods: Mapping[str, int], chip: Accelerator, exact: Mapping[Coding, Figures]
) -> dict[str, float]:
    """Area by part, for pods of each kind."""
    parts = {name: pod_area_parts_m2(kinds[name], chip, exact) for name in pods}
    return {
        "multiplier": sum(count * parts[name][0] for name, count in pods.items()),
        "mac_rest": sum(count * parts[name][1] for name, count in pods.items()),
        **{name: float(area) for name, area in shared_area_m2(chip, sum(pods.values())).items()},
    }


def ideal(kinds: Mapping[str, Multiplier], chip: Accelerator, exact: Mapping[Coding, Figures]) -> Build:
    """Every pod is every kind: all pods for every layer, static power of the least kind, area of the largest."""
    largest = max(kinds, key=lambda name: pod_area_m2(kinds[name], chip, exact))
    watts = min(pod_static_w(m, chip, exact) for m in kinds.values()) * chip.pods + shared_static_w(chip, chip.pods)
    every = dict.fromkeys(kinds, chip.pods)
    return Build(every, every, float(watts), _area(kinds, {largest: chip.pods}, chip, exact))


def buildable(
    network: Network,
    assignment: Assignment,
    kinds: Mapping[str, Multiplier],
    chip: Accelerator,
    terms: LayerTerms,
    exact: Mapping[Coding, Figures],
) -> Build:
    """The given allocation of pods, or the one of least energy."""
    pods = _given(assignment, chip) if assignment.pods else {}
    if not pods:
        step, most = chip.pods_together, chip.pods // chip.pods_together
        if len(kinds) > most:
            where = "a pod" if step == 1 else f"each {step} pods"
            raise InvalidInputError(
                f"a buildable {chip.name!r} has at most {most} kinds of multiplier, one {where}, but the assignment "
                f"has {len(kinds)}: {', '.join(kinds)}; use fewer kinds or reading='ideal'"
            )
        choice = np.array([assignment.multipliers[name] for name in network.layer_names])
        latency = terms.timings.cycles[:, step - 1 :: step] / chip.clock_hz
        by_kind = np.stack([latency[choice == name].sum(axis=0) for name in kinds])
        watts = step * np.array([pod_static_w(m, chip, exact) for m in kinds.values()])
        best = allocate(by_kind[None], watts[None], shared_static_w(chip, chip.pods))
        pods = {name: step * int(count) for name, count in zip(kinds, best.pods[0], strict=True)}
    power = sum(count * pod_static_w(kinds[name], chip, exact) for name, count in pods.items())
    power += shared_static_w(chip, sum(pods.values()))
    return Build(pods, pods, float(power), _area(kinds, pods, chip, exact))


def _given(assignment: Assignment, chip: Accelerator) -> dict[str, int]:
    """Check an allocation that the caller gave."""
    pods = dict(sorted(assignment.pods.items()))
    for name, count in pods.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise InvalidInputError(f"`pods` must hold whole numbers >= 0, but got {count!r} for {name!r}")
        if count % chip.pods_together:
            raise InvalidInputError(
                f"`pods` must hold multiples of {chip.pods_together}, `array.pods_together` of {chip.name!r}, "
                f"but got {count} for {name!r}"
            )
    if sum(pods.values()) > chip.pods:
        raise InvalidInputError(
            f"`pods` must sum to at most {chip.pods} on {chip.name!r}, but got {sum(pods.values())}: {pods}"
        )
    for name in assignment.kinds:
        if pods.get(name, 0) < 1:
            raise InvalidInputError(f"`pods` must give every multiplier in use at least one pod, but {name!r} has none")
    return pods
