"""What training adds to an assignment: bolder choices, fine-tuned with the exact network as teacher.

    OMP_NUM_THREADS=1 python benchmarks/tuning.py --case resnet8 --epochs 3 --rounds 3

Strategy `integer` searches without training, with the splits and the cap of `cases.py`; then assignments beyond the
budget are trained on split `fit`, which no other split shares an image with, and judged on the same splits. The exact
network, whose accuracy is what losses are counted from, is not trained further. Interrupted, it goes on from its caches
and checkpoints. Results go to `results/tuning.json`; the test images are read once, after the choice.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import torch
from cases import CASES

from axdnn.data import load_dataset
from axdnn.evaluation import Split
from axdnn.generation import Request, Run, TuningOptions, TuningResult, tune
from axdnn.methods import splits_of, usual_augmentation
from axdnn.models import resolve_model
from axdnn.models.machine import one_thread, processor
from axdnn.records import write_atomic
from axdnn.retraining import FineTuning

RESULTS = Path(__file__).parent / "results" / "tuning.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="resnet8", choices=[c for c in CASES if CASES[c]["model"]])
    parser.add_argument("--loss", type=float, default=1.0, help="budget, percentage points")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, help="to train on; all of split fit if omitted")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--first", type=float, default=8.0, help="predicted loss of the first assignment, in budgets")
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--distillation", type=float, default=0.7)
    parser.add_argument("--alternate", action="store_true", help="choose anew under the weights that training found")
    parser.add_argument("--work", type=Path, default=Path("runs/tuning"), help="caches and checkpoints")
    args = parser.parse_args()
    with one_thread():
        row = measure(args)
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"runs": []}
    key = ("case", "max_accuracy_loss", "seed", "settings")
    report["runs"] = [r for r in report["runs"] if any(r[k] != row[k] for k in key)] + [row]
    report["machine"] = {"processor": processor(), "torch": torch.__version__, "python": platform.python_version()}
    write_atomic(RESULTS, json.dumps(report, indent=1) + "\n")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    case, work = CASES[args.case], args.work / args.case
    data, trained = load_dataset(case["data"]), resolve_model(case["model"], case["data"])
    calibration, splits = splits_of(data, args.seed, {name: case[name] for name in ("search", "accept")})
    settings = FineTuning(
        epochs=args.epochs, learning_rate=args.rate, distillation=args.distillation, seed=args.seed, batch_size=128
    )
    options = TuningOptions(rounds=args.rounds, first=args.first, fine_tuning=settings, alternate=args.alternate)
    request = Request(
        max_accuracy_loss=args.loss, objective="multiplier", evaluations=case["cap"], seed=args.seed,
        multipliers=case["multipliers"],
    )  # fmt: skip
    (work / "checkpoints").mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()

    def show(message: str, done: int, total: int) -> None:
        print(f"{time.perf_counter() - began:7.0f} s  {message}: {done} of {total}", file=sys.stderr, flush=True)

    run = Run(
        trained.model, calibration[: case["calibration"]], splits, request, name=trained.name, data=case["data"],
        cache=work / "cache", codings=work / "codings", progress=show,
    )  # fmt: skip
    train = Split("fit", *data.tensors("fit", args.images))
    result = tune(run, train, options, augment=usual_augmentation(data), checkpoints=work / "checkpoints")
    row = {
        "case": args.case, "max_accuracy_loss": args.loss, "seed": args.seed, "model": trained.name,
        "settings": {**{k: getattr(settings, k) for k in settings.__dataclass_fields__}, "rounds": args.rounds,
                     "first": args.first, "bolder": options.bolder, "images": len(train),
                     **({"alternate": True} if args.alternate else {})},
        "images": {name: len(split) for name, split in splits.items()}, "cap": case["cap"],
        "wall_s": time.perf_counter() - began, **row_of(result),
    }  # fmt: skip
    print({k: row[k] for k in ("loss_points", "multiplier_energy_lower", "untrained_multiplier_energy_lower")})
    return row


def row_of(r: TuningResult) -> dict[str, Any]:
    chosen = r.untrained_cost if r.chosen is None else r.chosen.cost
    exact = r.exact_cost.multiplier_energy_j
    return {
        "loss_points": 100 * r.test.loss, "accuracy": r.test.accuracy, "baseline_accuracy": r.test.baseline_accuracy,
        "multiplier_energy_lower": exact / chosen.multiplier_energy_j,
        "untrained_multiplier_energy_lower": exact / r.untrained_cost.multiplier_energy_j,
        "multiplier_energy_j": chosen.multiplier_energy_j, "exact_multiplier_energy_j": exact,
        "chip_energy_j": chosen.energy_j, "exact_chip_energy_j": r.exact_cost.energy_j,
        "training_images": r.training_images, "network_images": r.network_images,
        "assignment": dict((r.untrained if r.chosen is None else r.chosen.assignment).multipliers),
        "rounds": [
            {"level": t.level, "stage": t.stage, "accepted": t.accepted, "before_points": 100 * t.before.loss,
             "losses": list(t.losses),
             "multiplier_energy_lower": exact / t.cost.multiplier_energy_j,
             **{f"{name}_points": 100 * a.loss for name, a in t.accuracy.items()}}  # none if it diverged
            for t in r.rounds
        ],
    }  # fmt: skip


if __name__ == "__main__":
    main()
