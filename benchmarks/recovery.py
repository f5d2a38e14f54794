"""What each step of recovery gains by itself: one circuit in every layer, without training.

    OMP_NUM_THREADS=1 python benchmarks/recovery.py [--models resnet8 resnet20] [--images 2000]

The whole recipe, then the recipe with one step taken away, for a few circuits. Accuracies are of held-out training
images (the accept split), never test images; the exact int8 network under the same recipe stands beside them. Then what
compensation gains in each layer: one layer alone approximate, with it and without, accuracy and divergence from the
exact network. Rows are written one by one, and those that are there already are not repeated. Writes
benchmarks/results/recovery.json.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from axdnn import approximate
from axdnn.data import load_dataset
from axdnn.evaluation import Split
from axdnn.layers import Recipe
from axdnn.methods import splits_of
from axdnn.models import TrainedModel, measure_accuracy, resolve_model
from axdnn.models.machine import one_thread, processor
from axdnn.records import write_atomic

RESULTS = Path(__file__).parent / "results" / "recovery.json"
CIRCUITS = ("mul8u_17R6", "mul8u_QKX", "mul8u_R36", "mul8s_1L2N", "mul8s_1L12")
STEPS: dict[str, dict[str, Any]] = {
    "all": {},
    "codes one by one": {"weight_codes": "optimal"},
    "nearest codes": {"weight_codes": "nearest"},
    "no alignment": {"align": False, "weight_codes": "nearest"},
    "no compensation": {"compensate": False},
    "ranges by extremes": {"activation_range": "minmax"},
    "layers on exact inputs": {"in_order": False},
}
"""Name -> what is taken away. Codes that fit best find the circuit's steps by themselves, so alignment is measured with
nearest codes."""
BY_LAYER = ("mul8u_QKX", "mul8u_R36", "mul8s_1L2N")
COMPENSATION = {"with": {}, "without": {"compensate": False}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["resnet8"])
    parser.add_argument("--circuits", nargs="+", default=list(CIRCUITS))
    parser.add_argument("--images", type=int, default=2000, help="of the accept split")
    args = parser.parse_args()
    with one_thread():
        for name in args.models:
            measure(name, args.circuits, args.images)
            by_layer(name, [c for c in args.circuits if c in BY_LAYER], args.images)


def measure(name: str, circuits: list[str], images: int) -> None:
    """Measure the steps of one model and write each row at once."""
    trained, calibration, split = setting(name, images)
    for circuit in ("exact", *circuits):
        for step, switches in STEPS.items():
            key = {"model": name, "circuit": circuit, "step": step, "images": images}
            if known("rows", key):
                continue
            model = approximate(trained.model, circuit, calibration, recipe=Recipe(**switches))
            accuracy = measure_accuracy(model, split.images, split.labels)
            write("rows", {**key, "switches": switches, "accuracy": accuracy}, len(calibration))
            print(f"{name} {circuit}, {step}: {100 * accuracy:.2f} %", flush=True)


def by_layer(name: str, circuits: list[str], images: int) -> None:
    """Measure one layer alone approximate, with compensation and without."""
    trained, calibration, split = setting(name, images)
    exact = approximate(trained.model, "exact", calibration)
    with torch.no_grad():
        wanted = logits(exact, split.images)
    for circuit in circuits:
        for layer in exact.layer_names:
            for kind, switches in COMPENSATION.items():
                key = {"model": name, "circuit": circuit, "layer": layer, "compensation": kind, "images": images}
                if known("layers", key):
                    continue
                assignment = {**dict.fromkeys(exact.layer_names, "exact"), layer: circuit}
                model = approximate(trained.model, assignment, calibration, recipe=Recipe(**switches))
                with torch.no_grad():
                    found = logits(model, split.images)
                accuracy = float(found.argmax(dim=1).eq(split.labels).double().mean())
                nats = float(functional.kl_div(found, wanted, log_target=True, reduction="batchmean"))
                write("layers", {**key, "accuracy": accuracy, "nats": nats}, len(calibration))
                print(f"{name} {circuit} in {layer}, {kind}: {100 * accuracy:.2f} %, {nats:.4f} nats", flush=True)


def setting(name: str, images: int) -> tuple[TrainedModel, torch.Tensor, Split]:
    """Return a trained network, calibration images and the first images of the accept split."""
    calibration, splits = splits_of(load_dataset("cifar10"), 0, {"accept": images})
    return resolve_model(name, "cifar10"), calibration, splits["accept"]


def logits(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logarithms of the probabilities, `(n, classes)`."""
    return torch.cat([functional.log_softmax(model(part).double(), dim=1) for part in images.split(256)])


def known(kind: str, key: dict[str, Any]) -> bool:
    """Whether a row is there already."""
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return any(all(row[k] == v for k, v in key.items()) for row in report.get(kind, []))


def write(kind: str, row: dict[str, Any], calibration: int) -> None:
    """Add a row to the results."""
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    report.setdefault(kind, []).append(row)
    report["machine"] = {"processor": processor(), "torch": torch.__version__, "python": platform.python_version()}
    report["calibration_images"] = calibration
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(RESULTS, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
