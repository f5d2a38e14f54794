"""Compare all strategies on several networks at 1 and 2 points: LeNet-5, ResNet-8 and -20, and a foreign ResNet-18.

    OMP_NUM_THREADS=1 python benchmarks/networks.py --case lenet5
    OMP_NUM_THREADS=1 python benchmarks/networks.py --case resnet18 --model resnet.py:ResNet18 --weights model_test.pt

Every strategy gets the same candidates, images, cap of full evaluations and cache, and minimises the energy of the
multipliers (`objective="multiplier"`), so that what kinds cost each other in pods does not decide between them; the
energies of the chip (`streaming`, `buildable`) and of the paper's equations (`paper_literal`) are reported beside it,
never in one column. Cache hits count as evaluations and images. A finished run is kept in the result file and not
repeated; the wall time of a strategy that ran later is shorter by what the cache held already (`runs_before`).

The foreign ResNet-18 was trained by others on all 50,000 training images, the held-out ones included: its losses on the
search and accept splits are optimistic, the figure on the test images is not.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import msgspec
import torch

from axdnn.data import load_dataset
from axdnn.generation import PaperOptions, Request, generate
from axdnn.methods import splits_of
from axdnn.models import resolve_model
from axdnn.models.machine import one_thread, processor
from axdnn.records import GenerationResult, save_record, write_atomic

RESULTS = Path(__file__).parent / "results"
STRATEGIES = ("paper", "integer", "greedy", "uniform", "random")
SMALL_SET = (
    "mul8s_1KV6,mul8s_1KVQ,mul8s_1L2J,mul8s_1L2H,mul8s_1L2L,mul8s_1KXF,mul8s_1L2N,mul8s_1L12,mul8u_13QR,mul8u_17MJ,"
    "mul8u_17R6,mul8u_18DU,mul8u_R36"
)
# Images of the search, accept and calibration splits, cap of full evaluations, multipliers.
CASES: dict[str, dict[str, Any]] = {
    "lenet5": {"model": "lenet5", "data": "mnist", "search": 5000, "accept": 5000, "calibration": 256, "cap": 30,
               "multipliers": "evoapprox8b"},
    "resnet8": {"model": "resnet8", "data": "cifar10", "search": 5000, "accept": 5000, "calibration": 256, "cap": 20,
                "multipliers": "evoapprox8b"},
    "resnet20": {"model": "resnet20", "data": "cifar10", "search": 5000, "accept": 5000, "calibration": 256, "cap": 20,
                 "multipliers": "evoapprox8b"},
    "resnet18": {"model": "", "data": "cifar10", "search": 300, "accept": 600, "calibration": 64, "cap": 10,
                 "multipliers": SMALL_SET},
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=list(CASES), required=True)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=list(STRATEGIES))
    parser.add_argument("--losses", nargs="+", type=float, default=[1.0, 2.0], help="budgets, percentage points")
    parser.add_argument("--model", help="of the foreign network: file.py:function")
    parser.add_argument("--weights", type=Path, help="of the foreign network")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--skip", type=float, default=0.0, help="share of neurons that `paper` skips; a case of its own"
    )
    parser.add_argument("--only-skip", action="store_true", help="`paper` chooses no multipliers")
    parser.add_argument("--work", type=Path, default=Path("runs/networks"), help="cache and whole results")
    args = parser.parse_args()
    with one_thread():
        for loss in args.losses:
            for strategy in args.strategies:
                one(args, strategy, loss)


def one(args: argparse.Namespace, strategy: str, loss: float) -> None:
    """Run one strategy at one budget unless its row is there already; write the row at once."""
    case = CASES[args.case]
    file = RESULTS / f"networks-{args.case}.json"
    report = json.loads(file.read_text()) if file.exists() else {"runs": []}
    key = {"strategy": strategy, "max_accuracy_loss": loss, "seed": args.seed, "skip": args.skip, "kind": kind_of(args)}
    if any(all(run[k] == v for k, v in key.items()) for run in report["runs"]):
        return
    images = {name: case[name] for name in ("search", "accept")}
    trained = resolve_model(args.model or case["model"], case["data"], weights=args.weights)
    calibration, splits = splits_of(load_dataset(case["data"]), args.seed, images)
    request = Request(
        max_accuracy_loss=loss, strategy=strategy, objective="multiplier", evaluations=case["cap"], seed=args.seed,
        multipliers=case["multipliers"],
        paper=PaperOptions(skip=args.skip, remove=args.skip > 0, multipliers=not args.only_skip),
    )  # fmt: skip
    work, began = args.work / args.case, time.process_time()
    result = generate(
        trained.model, calibration[: case["calibration"]], splits, request, name=trained.name, data=case["data"],
        cache=work / "cache", codings=work / "codings",
    )  # fmt: skip
    row = {**key, **row_of(result), "cpu_s": time.process_time() - began, "runs_before": len(report["runs"])}
    save_record(work / f"{strategy}-{loss:g}-{kind_of(args)}-{args.skip:g}.json", result)
    report["settings"] = {
        **{k: v for k, v in case.items() if k != "model"}, "model": trained.name, "objective": "multiplier",
        "accelerator": "tpu_v4, streaming, buildable, batch 1", "paper_literal": "xai_gen", "test": len(splits["test"]),
    }  # fmt: skip
    report["machine"] = {"processor": processor(), "torch": torch.__version__, "python": platform.python_version()}
    report["runs"].append(row)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, json.dumps(report, indent=1) + "\n")
    told = f"{row['loss_points']:.2f} points, multipliers {row['multiplier_energy_lower']:.1f} times lower"
    print(
        f"{args.case} {strategy} {loss:g}: {told}, {row['evaluations']} evaluations, {row['wall_s']:.0f} s", flush=True
    )


def kind_of(args: argparse.Namespace) -> str:
    if args.skip == 0:
        return "multipliers only"
    return "skip only" if args.only_skip else "both"


def row_of(r: GenerationResult) -> dict[str, Any]:
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
        "reference_check": r.provenance.get("reference_check", ""),
    }  # fmt: skip


if __name__ == "__main__":
    main()
