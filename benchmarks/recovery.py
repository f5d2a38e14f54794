"""What each step of recovery gains by itself: one circuit in every layer, without training.

    OMP_NUM_THREADS=1 python benchmarks/recovery.py [--models resnet8 resnet20] [--images 2000]

The whole recipe, then the recipe with one step taken away, for a few circuits. Accuracies are of held-out training
images (the accept split), never test images; the exact int8 network under the same recipe stands beside them. Rows are
written one by one, and those that are there already are not repeated. Writes benchmarks/results/recovery.json.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import torch

from axdnn import approximate
from axdnn.data import load_dataset
from axdnn.layers import Recipe
from axdnn.methods import splits_of
from axdnn.models import measure_accuracy, resolve_model
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["resnet8"])
    parser.add_argument("--circuits", nargs="+", default=list(CIRCUITS))
    parser.add_argument("--images", type=int, default=2000, help="of the accept split")
    args = parser.parse_args()
    with one_thread():
        for name in args.models:
            measure(name, args.circuits, args.images)


def measure(name: str, circuits: list[str], images: int) -> None:
    """Measure the steps of one model and write each row at once."""
    trained = resolve_model(name, "cifar10")
    calibration, splits = splits_of(load_dataset("cifar10"), 0, {"accept": images})
    split = splits["accept"]
    for circuit in ("exact", *circuits):
        for step, switches in STEPS.items():
            report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": []}
            key = {"model": name, "circuit": circuit, "step": step, "images": images}
            if any(all(row[k] == v for k, v in key.items()) for row in report["rows"]):
                continue
            model = approximate(trained.model, circuit, calibration, recipe=Recipe(**switches))
            accuracy = measure_accuracy(model, split.images, split.labels)
            report["rows"].append({**key, "switches": switches, "accuracy": accuracy})
            report["machine"] = {
                "processor": processor(),
                "torch": torch.__version__,
                "python": platform.python_version(),
            }
            report["calibration_images"] = len(calibration)
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(RESULTS, json.dumps(report, indent=1) + "\n")
            print(f"{name} {circuit}, {step}: {100 * accuracy:.2f} %", flush=True)


if __name__ == "__main__":
    main()
