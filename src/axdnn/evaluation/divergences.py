"""How far assignments move the outputs of a network from those of the exact one, measured on few images and kept."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from axdnn.evaluation.outcomes import read_checked, write_checked
from axdnn.evaluation.simulation import Simulation
from axdnn.evaluation.splits import Split
from axdnn.importance import divergence, log_probabilities
from axdnn.layers import outputs_of
from axdnn.records import Assignment

_FORM = struct.Struct("<4sdI")  # mark, nats, calibration images
_MARK = b"axd1"


@dataclass(frozen=True)
class Divergence:
    """What was measured of one assignment.

    Attributes:
        nats: mean over images of `KL(p_exact || p)` of the softmax outputs.
        calibration_images: images that went through networks to calibrate this one.
    """

    nats: float
    calibration_images: int


def measure_divergences(
    simulation: Simulation, exact: Assignment, assignments: Sequence[Assignment], split: Split
) -> list[Divergence]:
    """Measure assignments on the images of a split, labels unseen; those in the folder are not simulated again.

    Args:
        simulation: runs and keeps them.
        exact: what they are compared with.
        assignments: in any order; neighbours that begin alike share the most.
        split: its images.
    """
    paths = [_path(simulation, assignment, split) for assignment in assignments]
    found = [_read(path) for path in paths]
    new = [i for i, known in enumerate(found) if known is None]
    for i, measured in zip(new, _simulate(simulation, exact, [assignments[i] for i in new], split), strict=True):
        found[i] = measured
        path = paths[i]
        if path is not None:
            write_checked(path, _FORM.pack(_MARK, measured.nats, measured.calibration_images))
    return [known for known in found if known is not None]


@torch.no_grad()
def _simulate(
    simulation: Simulation, exact: Assignment, assignments: Sequence[Assignment], split: Split
) -> list[Divergence]:
    if not assignments:
        return []
    calibration = simulation.bank.calibration
    before, models, calibrated = calibration.network_images, [], []
    for i, assignment in enumerate((exact, *assignments)):
        models.append(simulation.model(assignment))
        calibrated.append(calibration.network_images - before)
        calibration.network_images = before  # part of what is returned, as for one from the folder
        if simulation.progress is not None:
            simulation.progress("calibrate for single layers", i, len(assignments))
    sums = torch.zeros(len(models), dtype=torch.float64)
    reference = torch.empty(0)
    for i, outputs in outputs_of(models, split.images, simulation.shared, source=split.digest):
        if i == 0:
            reference = log_probabilities(outputs)
        sums[i] += divergence(reference, outputs).sum()
    means = (sums / len(split)).tolist()
    return [Divergence(nats, images) for nats, images in zip(means[1:], calibrated[1:], strict=True)]


def _path(simulation: Simulation, assignment: Assignment, split: Split) -> Path | None:
    path = simulation.path(assignment, split)
    return None if path is None else path.with_suffix(".nats")


def _read(path: Path | None) -> Divergence | None:
    body = read_checked(path)
    if body is None or len(body) != _FORM.size:
        return None
    mark, nats, calibration_images = _FORM.unpack(body)
    return Divergence(nats, int(calibration_images)) if mark == _MARK else None
