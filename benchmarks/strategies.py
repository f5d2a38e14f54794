"""Compare the strategies of `generate` at one cap of full evaluations: LeNet-5 on MNIST, several seeds.

    OMP_NUM_THREADS=1 python benchmarks/strategies.py

The seed selects the calibration images and drives the samples and the strategy. Strategies of one seed share a cache
folder: cache hits count as evaluations, so the figures are those of separate runs; wall times are not (the first
strategy pays for the codings). Prints a table and writes everything to benchmarks/results/strategies.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from axdnn.data import load_dataset
from axdnn.generation import STRATEGIES, Request, generate
from axdnn.methods import CALIBRATION_IMAGES, splits_of
from axdnn.models import load_model
from axdnn.models.machine import one_thread, processor
from axdnn.records import GenerationResult

RESULTS = Path(__file__).parent / "results" / "strategies.json"
COLUMNS = ("energy_ratio", "multiplier_energy_ratio", "loss_points", "evaluations", "network_images", "wall_s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=list(STRATEGIES))
    parser.add_argument("--model", default="lenet5")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--loss", type=float, default=1.0, help="budget, percentage points")
    parser.add_argument("--multipliers", default="evoapprox8b")
    parser.add_argument("--accelerator", default="tpu_v4")
    parser.add_argument("--evaluations", type=int, default=30)
    parser.add_argument("--cache", type=Path, help="kept between runs; a temporary folder if omitted")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    with one_thread(), tempfile.TemporaryDirectory() as temporary:
        rows = study(args, args.cache or Path(temporary))
    means = {s: mean_of([r for r in rows if r["strategy"] == s]) for s in args.strategies}
    write(args, rows, means)
    print(f"\n{'mean of ' + str(args.seeds) + ' seeds':18} " + " ".join(f"{c:>24}" for c in COLUMNS))
    for name, mean in means.items():
        print(f"{name:18} " + " ".join(f"{mean[c]:24.6g}" for c in COLUMNS))


def study(args: argparse.Namespace, cache: Path) -> list[dict[str, Any]]:
    data, trained = load_dataset(args.data), load_model(args.model, args.data)
    rows = []
    for seed in range(args.first, args.first + args.seeds):
        calibration, splits = splits_of(data, seed)
        for strategy in args.strategies:
            request = Request(
                max_accuracy_loss=args.loss, multipliers=args.multipliers, accelerator=args.accelerator,
                strategy=strategy, evaluations=args.evaluations, seed=seed,
            )  # fmt: skip
            result = generate(
                trained.model, calibration, splits, request,
                name=args.model, data=args.data, cache=cache / str(seed), codings=cache / "codings",
            )  # fmt: skip
            rows.append(row_of(result))
            print(f"seed {seed} {strategy:8} " + " ".join(f"{c}={rows[-1][c]:.6g}" for c in COLUMNS), flush=True)
    return rows


def row_of(r: GenerationResult) -> dict[str, Any]:
    return {
        "seed": r.seed, "strategy": r.strategy, "status": r.status, "energy_j": r.energy_j,
        "baseline_energy_j": r.baseline_energy_j, "energy_ratio": r.energy_j / r.baseline_energy_j,
        "multiplier_energy_j": r.multiplier_energy_j, "baseline_multiplier_energy_j": r.baseline_multiplier_energy_j,
        "multiplier_energy_ratio": r.multiplier_energy_j / r.baseline_multiplier_energy_j,
        "accuracy": r.accuracy, "baseline_accuracy": r.baseline_accuracy, "float_accuracy": r.float_accuracy,
        "loss_points": 100 * (r.baseline_accuracy - r.accuracy), "evaluations": r.evaluations,
        "network_images": r.network_images, "wall_s": r.wall_s, "assignment": dict(r.assignment),
        "accept_loss_points": 100 * r.chosen.accuracy["accept"].loss,
        "accept_bound_points": 100 * r.chosen.accuracy["accept"].loss_bound,
    }  # fmt: skip


def mean_of(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {c: float(np.mean([r[c] for r in rows])) for c in (*COLUMNS, "energy_j", "multiplier_energy_j")}


def write(args: argparse.Namespace, rows: list[dict[str, Any]], means: Mapping[str, Any]) -> None:
    settings = {k: v for k, v in vars(args).items() if k not in ("cache", "out")}
    report = {
        "settings": {
            **settings, "calibration_images": CALIBRATION_IMAGES, "cost_model": "streaming, buildable, batch 1",
            "baseline": "exact-multiplier int8 network on the same images", "splits": "whole",
        },
        "machine": {"processor": processor(), "torch": torch.__version__, "python": platform.python_version()},
        "mean": means,
        "runs": rows,
    }  # fmt: skip
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
