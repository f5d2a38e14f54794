"""Multipliers alone, skipped neurons alone, and both chosen together, by the integer programme at one point.

    OMP_NUM_THREADS=1 python benchmarks/skipping.py              # LeNet-5, three seeds, rows that the results lack
    OMP_NUM_THREADS=1 python benchmarks/skipping.py --case resnet8 --seeds 0
    OMP_NUM_THREADS=1 python benchmarks/skipping.py --objective energy --seeds 0

Splits, circuits and cap of full evaluations are those of `cases.py`; all three kinds share them and the cache. What
levels of skipping do is measured besides (counted as images). The test images decide nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import torch
from cases import CASES, row_of

from axdnn.data import load_dataset
from axdnn.generation import OBJECTIVES, Request, SkipOptions, generate
from axdnn.methods import splits_of
from axdnn.models import resolve_model
from axdnn.models.machine import one_thread, processor
from axdnn.records import save_record, write_atomic

RESULTS = Path(__file__).parent / "results" / "skipping.json"
KINDS: dict[str, SkipOptions | None] = {
    "multipliers only": None, "skip only": SkipOptions(multipliers=False), "both": SkipOptions(),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="lenet5", choices=[c for c in CASES if CASES[c]["model"]])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--loss", type=float, default=1.0, help="budget, percentage points")
    parser.add_argument("--objective", default="multiplier", choices=OBJECTIVES)
    parser.add_argument("--work", type=Path, default=Path("runs/skipping"), help="cache and whole results")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    with one_thread():
        for seed in args.seeds:
            for kind in args.kinds:
                one(args, kind, seed)


def one(args: argparse.Namespace, kind: str, seed: int) -> None:
    """Run one row unless it is there already; write it at once."""
    report: dict[str, Any] = json.loads(args.results.read_text()) if args.results.exists() else {"runs": []}
    key = {"case": args.case, "kind": kind, "objective": args.objective, "max_accuracy_loss": args.loss, "seed": seed}
    if any(all(run[k] == v for k, v in key.items()) for run in report["runs"]):
        return
    case, work = CASES[args.case], args.work / args.case
    trained = resolve_model(case["model"], case["data"])
    images = {split: case[split] for split in ("search", "accept")}
    calibration, splits = splits_of(load_dataset(case["data"]), seed, images)
    request = Request(
        max_accuracy_loss=args.loss, objective=args.objective, seed=seed, evaluations=case["cap"],
        multipliers=case["multipliers"], skip=KINDS[kind],
    )  # fmt: skip
    began = time.process_time()
    result = generate(
        trained.model, calibration[: case["calibration"]], splits, request, name=trained.name, data=case["data"],
        cache=work / "cache", codings=work / "codings",
    )  # fmt: skip
    save_record(work / f"{args.objective}-{kind.replace(' ', '-')}-{args.loss:g}-{seed}.json", result)
    row = {**key, **row_of(result), "data": case["data"], "cap": case["cap"], "cpu_s": time.process_time() - began,
           "checked": [note for note in result.notes if "inferred" in note]}  # fmt: skip
    report["runs"].append(row)
    report["machine"] = {"processor": processor(), "torch": torch.__version__, "python": platform.python_version()}
    args.results.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(args.results, json.dumps(report, indent=1) + "\n")
    told = f"{row['loss_points']:.2f} points, multipliers {row['multiplier_energy_lower']:.2f} times lower"
    print(f"{args.case} {kind} {seed}: {told}, {row['evaluations']} evaluations, {row['wall_s']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
