"""Baselines at one point: same evaluator, images, cache, prices and cap; the gap of each to exact quantisation.

    OMP_NUM_THREADS=1 python benchmarks/baselines.py              # all rows that results/baselines-lenet5.json lacks
    OMP_NUM_THREADS=1 python benchmarks/baselines.py --case resnet8 --rows integer mixed_precision

All rows minimise the energy of the multipliers on the splits of `cases.py`; that of the chip and of the paper's
equations stand beside it. Rows of one cap may be
compared; those with another cap or other circuits say so by name. The gap is how many times less multiplier energy
a row needs than the best row of exact products of fewer bits (`uniform_precision`, `mixed_precision`, and the integer
programme on the same exact circuits with either weight codes, all at the small cap); below 1 the row needs more. The
test images decide nothing: every row reads them once, after its choice is made.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import torch
from cases import CASES, network_of, row_of

from axdnn.data import load_dataset
from axdnn.generation import PaperOptions, ProbeOptions, Request, exact_products, generate, precision_recipe
from axdnn.importance import SCORERS
from axdnn.layers import Recipe
from axdnn.methods import splits_of
from axdnn.models.machine import one_thread, processor
from axdnn.multipliers import load_set
from axdnn.records import save_record, write_atomic

RESULTS = Path(__file__).parent / "results"
FOUR = "mul8s_1KV6,mul8u_R36,mul8u_13QR,mul8u_17MN"
EXACT_ONLY = (
    "uniform_precision", "mixed_precision", "integer, exact products", "integer, exact products, joint codes"
)  # fmt: skip
ALWANN = Recipe(weight_codes="alwann")
SKIP = 0.7


def rows() -> dict[str, dict[str, Any]]:
    """Name of a row -> what its request has that the others have not."""
    exact = exact_products(load_set("evoapprox8b"), precision_recipe(Recipe()))
    plain = (
        "integer",
        "paper",
        "greedy",
        "noise_greedy",
        "taylor",
        "agn",
        "uniform",
        "random",
        "nsga2",
        *EXACT_ONLY[:2],
    )
    found: dict[str, dict[str, Any]] = {name: {"strategy": name} for name in plain}
    found["integer, exact products"] = {
        "strategy": "integer", "multipliers": exact, "recipe": precision_recipe(Recipe())
    }  # fmt: skip
    if "learned_noise" in SCORERS:
        found["agn, learned_noise"] = {"strategy": "agn", "score": "learned_noise"}
    found["integer, exact products, joint codes"] = {
        "strategy": "integer", "multipliers": exact, "recipe": Recipe()
    }  # fmt: skip
    found["integer, without probes"] = {"strategy": "integer", "probing": ProbeOptions(choices=0)}
    found["integer, codes one by one"] = {"strategy": "integer", "recipe": Recipe(weight_codes="optimal")}
    found["paper, both"] = {"strategy": "paper", "paper": PaperOptions(skip=SKIP, remove=True)}
    found["paper, skip only"] = {
        "strategy": "paper", "paper": PaperOptions(skip=SKIP, remove=True, multipliers=False)
    }  # fmt: skip
    found["nsga2, ALWANN's weights"] = {"strategy": "nsga2", "recipe": ALWANN}
    found["exhaustive, 4 circuits"] = {"strategy": "exhaustive", "multipliers": FOUR, "evaluations": 1040}
    found["integer, 4 circuits"] = {"strategy": "integer", "multipliers": FOUR}
    found["nsga2, 4 circuits"] = {"strategy": "nsga2", "multipliers": FOUR}
    found["nsga2, 1,000 evaluations"] = {"strategy": "nsga2", "evaluations": 1000}
    found["nsga2, 300 evaluations"] = {"strategy": "nsga2", "evaluations": 300}
    found["nsga2, ALWANN's weights, 1,000 evaluations"] = {
        "strategy": "nsga2", "recipe": ALWANN, "evaluations": 1000
    }  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="lenet5", choices=list(CASES))
    parser.add_argument("--model", help="of the foreign network: file.py:function")
    parser.add_argument("--weights", type=Path, help="of the foreign network")
    parser.add_argument("--rows", nargs="+", default=list(rows()), choices=list(rows()))
    parser.add_argument("--loss", type=float, default=1.0, help="budget, percentage points")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs/baselines"), help="cache and whole results")
    args = parser.parse_args()
    with one_thread():
        for name in args.rows:
            one(args, name)


def one(args: argparse.Namespace, name: str) -> None:
    """Run one row unless it is there already; write it at once, with the gaps as they are then."""
    file = RESULTS / f"baselines-{args.case}.json"
    report: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"runs": []}
    key = {"row": name, "max_accuracy_loss": args.loss, "seed": args.seed}
    if any(all(run[k] == v for k, v in key.items()) for run in report["runs"]):
        return
    case, work = CASES[args.case], args.work / args.case
    trained = network_of(args.case, args.model, args.weights)
    images = {split: case[split] for split in ("search", "accept")}
    calibration, splits = splits_of(load_dataset(case["data"]), args.seed, images)
    options = {"evaluations": case["cap"], "multipliers": case["multipliers"], **rows()[name]}
    request = Request(max_accuracy_loss=args.loss, objective="multiplier", seed=args.seed, **options)
    began = time.process_time()
    result = generate(
        trained.model, calibration[: case["calibration"]], splits, request, name=trained.name, data=case["data"],
        cache=work / "cache", codings=work / "codings",
    )  # fmt: skip
    save_record(work / f"{name.replace(' ', '-')}-{args.loss:g}-{args.seed}.json", result)
    row = {**key, **row_of(result), "strategy": result.strategy, "cap": request.evaluations, "score": request.score,
           "weight_codes": request.recipe.weight_codes, "cpu_s": time.process_time() - began}  # fmt: skip
    report["runs"].append(row)
    for run in report["runs"]:
        run["gap_to_exact_products"] = gap(run, report["runs"])
    report["settings"] = {
        **{k: v for k, v in case.items() if k != "cap"}, "model": trained.name, "objective": "multiplier",
        "accelerator": "tpu_v4, streaming, buildable, batch 1", "test": len(splits["test"]),
    }  # fmt: skip
    report["machine"] = {"processor": processor(), "torch": torch.__version__, "python": platform.python_version()}
    write_atomic(file, json.dumps(report, indent=1) + "\n")
    told = f"{row['loss_points']:.2f} points, multipliers {row['multiplier_energy_lower']:.1f} times lower"
    print(f"{name} {args.loss:g}: {told}, {row['evaluations']} evaluations, {row['wall_s']:.0f} s", flush=True)


def gap(run: dict[str, Any], runs: list[dict[str, Any]]) -> float | None:
    """How many times less multiplier energy a run needs than the best exact products; None where none was run."""
    same = [r for r in runs if (r["max_accuracy_loss"], r["seed"]) == (run["max_accuracy_loss"], run["seed"])]
    best = min((r["multiplier_energy_j"] for r in same if r["row"] in EXACT_ONLY), default=None)
    return None if best is None else best / float(run["multiplier_energy_j"])


if __name__ == "__main__":
    main()
