"""The networks that choices are made for, the images and the cap each gets, and what is kept of a result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from axdnn.models import TrainedModel, resolve_model
from axdnn.records import GenerationResult

SMALL_SET = (
    "mul8s_1KV6,mul8s_1KVQ,mul8s_1L2J,mul8s_1L2H,mul8s_1L2L,mul8s_1KXF,mul8s_1L2N,mul8s_1L12,mul8u_13QR,mul8u_17MJ,"
    "mul8u_17R6,mul8u_18DU,mul8u_R36"
)
RESNET = {
    "data": "cifar10",
    "search": 5000,
    "accept": 5000,
    "calibration": 256,
    "cap": 20,
    "multipliers": "evoapprox8b",
}
# Images of the search, accept and calibration splits, cap of full evaluations, multipliers.
CASES: dict[str, dict[str, Any]] = {
    "lenet5": {"model": "lenet5", **RESNET, "data": "mnist", "cap": 30},
    "resnet8": {"model": "resnet8", **RESNET},
    "resnet14": {"model": "resnet14", **RESNET},
    "resnet20": {"model": "resnet20", **RESNET},
    "resnet18": {"model": "", **RESNET, "search": 1000, "accept": 2000, "calibration": 128, "cap": 12,
                 "multipliers": SMALL_SET},
}  # fmt: skip
"""`resnet18` is a foreign network, given by its file and weights (docs/your_own_model.md says where they are). It was
trained by others on all 50,000 training images, the held-out ones included: its losses on the search and accept splits
are optimistic, the figure on the test images is not."""


def network_of(case: str, model: str | None, weights: Path | None) -> TrainedModel:
    """Return the trained network of a case; the foreign one from `model` and `weights`."""
    settings = CASES[case]
    if not settings["model"] and not model:
        raise SystemExit(f"case {case} is a foreign network: give --model resnet.py:ResNet18 --weights model_test.pt")
    return resolve_model(settings["model"] or model, settings["data"], weights=weights)


def row_of(r: GenerationResult) -> dict[str, Any]:
    """Return what is kept of a result."""
    assert r.paper_literal is not None
    assert r.baseline_paper_literal is not None
    return {
        "status": r.status, "accuracy": r.accuracy, "baseline_accuracy": r.baseline_accuracy,
        "float_accuracy": r.float_accuracy, "loss_points": 100 * (r.baseline_accuracy - r.accuracy),
        "multiplier_energy_j": r.multiplier_energy_j, "baseline_multiplier_energy_j": r.baseline_multiplier_energy_j,
        "multiplier_energy_lower": r.baseline_multiplier_energy_j / r.multiplier_energy_j,
        "streaming_energy_j": r.energy_j, "baseline_streaming_energy_j": r.baseline_energy_j,
        "paper_literal_energy_j": r.paper_literal.energy_j,
        "baseline_paper_literal_energy_j": r.baseline_paper_literal.energy_j,
        "evaluations": r.evaluations, "network_images": r.network_images, "wall_s": r.wall_s,
        "images": dict(r.images), "assignment": dict(r.assignment), "skipped": dict(r.skipped),
        "accept_loss_points": 100 * r.chosen.accuracy["accept"].loss,
        "accept_bound_points": 100 * r.chosen.accuracy["accept"].loss_bound,
        "scores": [msgspec.to_builtins(s) for s in r.scores],
        "probes": int(next((n.split()[0] for n in r.notes if "choices were probed" in n), 0)),
        "reference_check": r.provenance.get("reference_check", ""),
    }  # fmt: skip
