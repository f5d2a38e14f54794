"""The images of a split that the exact network is least sure of: those on which approximate networks differ from it."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
import torch

from axdnn.evaluation.outcomes import read_checked, write_checked
from axdnn.evaluation.simulation import Simulation
from axdnn.evaluation.splits import Split
from axdnn.layers import outputs_of
from axdnn.records import Assignment

_HEAD = struct.Struct("<4sII")  # mark, images, calibration images
_MARK = b"axm1"


def margins(simulation: Simulation, assignment: Assignment, split: Split) -> tuple[npt.NDArray[np.float32], int]:
    """Return by how much the largest output of each image exceeds the second, and the images that calibrated for it.

    Found in the folder, or simulated and kept there.

    Args:
        simulation: runs and keeps assignments.
        assignment: whose outputs, `(n, classes)`.
        split: its images.
    """
    path = simulation.path(assignment, split)
    path = None if path is None else path.with_suffix(".margins")
    body = read_checked(path)
    if body is not None and len(body) == _HEAD.size + 4 * len(split):
        mark, images, calibration_images = _HEAD.unpack_from(body)
        if mark == _MARK and images == len(split):
            return np.frombuffer(body[_HEAD.size :], dtype=np.float32), int(calibration_images)
    found, calibration_images = _simulate(simulation, assignment, split)
    if path is not None:
        write_checked(path, _HEAD.pack(_MARK, len(split), calibration_images) + found.tobytes())
    return found, calibration_images


@torch.no_grad()
def _simulate(
    simulation: Simulation, assignment: Assignment, split: Split
) -> tuple[npt.NDArray[np.float32], int]:  # fmt: skip
    calibration = simulation.bank.calibration
    before = calibration.network_images
    model = simulation.model(assignment)
    spent = calibration.network_images - before
    calibration.network_images = before  # part of what is returned, as for one from the folder
    parts = []
    for _, outputs in outputs_of([model], split.images, simulation.shared, source=split.digest):
        best = outputs.topk(min(2, outputs.shape[1]), dim=1).values
        parts.append(best[:, 0] - best[:, -1])
    return torch.cat(parts).to(torch.float32).numpy(), spent


def least_sure(split: Split, margin: npt.NDArray[np.float32], images: int) -> Split:
    """Return the images of least margin, in the order of the split."""
    chosen = torch.from_numpy(np.sort(np.argsort(margin, kind="stable")[:images]))
    return Split(f"{split.name}, least sure", split.images[chosen], split.labels[chosen])
