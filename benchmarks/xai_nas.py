"""XAI-NAS beside its baselines: hypervolume over evaluations and over network images, energy at one point of loss.

    OMP_NUM_THREADS=1 python benchmarks/xai_nas.py                        # ResNet-8 and -14, every arm, ten seeds
    OMP_NUM_THREADS=1 python benchmarks/xai_nas.py --cases resnet8 --arms xai alwann --seeds 0 1
    OMP_NUM_THREADS=1 python benchmarks/xai_nas.py --shares               # reckon anew from the rows that are there

Every arm gets 36 + 5 x 50 evaluations, the same space, images, circuits, recipe and evaluator; evaluations are kept by
content, so that arms and seeds that meet a candidate twice simulate it once, and count it each time. Network images
are all that went through any network: calibration, importance, single layers, evaluations; seconds would depend on what
the cache holds. A row is written as soon as it is there; rows that are there are not run again. Processes may run
side by side on different cases, each with a --results of its own.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from axdnn.methods import XAI_NAS_ARMS as ARMS
from axdnn.methods import SearchOptions, XaiNasRequest, xai_nas
from axdnn.methods.xai_nas import MODELS, evaluated_images
from axdnn.models.machine import one_thread, processor
from axdnn.records import write_atomic
from axdnn.search import load_history

RESULTS = Path(__file__).parent / "results" / "xai_nas.json"
TRIALS = 36 + 5 * 50
DATA = {model: data for data, model in MODELS.items()} | {"resnet14": "cifar10", "resnet20": "cifar10"}
POINT = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=["resnet8", "resnet14"], choices=list(DATA))
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(10)))
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--search-images", type=int, default=1000)
    parser.add_argument("--weight-codes", default="joint", choices=["joint", "alwann"])
    parser.add_argument("--objective", default="multiplier", choices=["multiplier", "energy"])
    parser.add_argument("--shares", action="store_true", help="run nothing")
    parser.add_argument("--work", type=Path, default=Path("runs/xai_nas"), help="folders of the searches")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    with one_thread():
        for seed in args.seeds if not args.shares else ():
            for case in args.cases:
                for arm in args.arms:
                    one(args, case, arm, seed)
    report = read(args.results)
    report["shares"] = shares(report["runs"])
    write(args.results, report)
    for row in report["shares"]:
        print(json.dumps(row))


def read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.exists() else {"runs": []}


def write(file: Path, report: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, json.dumps(report, indent=1) + "\n")


def one(args: argparse.Namespace, case: str, arm: str, seed: int) -> None:
    """Run one row unless it is there already; write it at once."""
    report = read(args.results)
    asked = {
        "case": case, "arm": arm, "seed": seed, "trials": args.trials, "search_images": args.search_images,
        "weight_codes": args.weight_codes, "objective": args.objective,
    }  # fmt: skip
    if any(all(run[k] == v for k, v in asked.items()) for run in report["runs"]):
        return
    out = args.work / "-".join(map(str, asked.values()))
    request = XaiNasRequest(
        arm=arm, search_images=args.search_images, weight_codes=args.weight_codes, objective=args.objective,
    )  # fmt: skip
    began = time.process_time()
    xai_nas(DATA[case], out, model=case, request=request, options=SearchOptions(trials=args.trials, seed=seed))
    report["runs"].append({**asked, **row_of(out), "cpu_s": time.process_time() - began})
    report["machine"] = {"processor": processor(), "torch": torch.__version__, "python": platform.python_version()}
    write(args.results, report)
    row = report["runs"][-1]
    print(f"{case} {arm} {seed}: hypervolume {row['hypervolume'][-1]:.4f} of the reference box, "
          f"{100 * row['energy_at_point']:.2f} % of the energy at 1 point", flush=True)  # fmt: skip


def row_of(out: Path) -> dict[str, Any]:
    """Return what is kept of a search: curves in shares of the reference box, every point, the front's test figures."""
    from axdnn.records import SearchResult, load_record

    result, history = load_record(SearchResult, out / "result.json"), load_history(out / "study.journal", "xai-nas")
    loss, energy = (o.name for o in history.objectives)
    box = history.reference[loss] * history.reference[energy]
    done = [t for t in history.trials if t.outcome == "complete"]
    before = (
        result.network_images
        - evaluated_images(history)
        - result.images.get("test", 0) * (1 + sum("test_loss" in member.figures for member in result.front))
    )
    points = [[t.values[loss], t.values[energy] / history.reference[energy]] for t in done]
    return {
        "evaluations": result.evaluations, "failed": result.failed, "space_size": str(result.space_size),
        "hypervolume": [volume / box for volume in history.hypervolume],
        "images_before": before,
        "network_images": (before + np.cumsum([int(t.notes["images"]) for t in done])).tolist(),
        "points": points,
        "energy_at_point": min((e for lost, e in points if lost <= POINT), default=1.0),
        "test": [
            {"loss": m.objectives[loss], "test_loss": m.figures["test_loss"],
             "energy": m.objectives[energy] / history.reference[energy]}
            for m in result.front if "test_loss" in m.figures
        ],
        "images": dict(result.images),
    }  # fmt: skip


def shares(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say for each case and arm how much of ALWANN's budget it takes to come to ALWANN's final hypervolume."""
    found = []
    for key in sorted({_setting(run) for run in runs}, key=str):
        rival = {run["seed"]: run for run in runs if _setting(run) == key and run["arm"] == "alwann"}
        for arm in ARMS:
            rows = [run for run in runs if _setting(run) == key and run["arm"] == arm]
            pairs = [(run, rival[run["seed"]]) for run in rows if run["seed"] in rival]
            if not pairs:
                continue
            reached = [_reached(run, other) for run, other in pairs]
            at = [one for one in reached if one is not None]
            found.append({
                **dict(zip(SETTING, key, strict=True)), "arm": arm, "seeds": len(pairs), "reached": len(at),
                "share_of_evaluations": _mean([e for e, _ in at]), "share_of_images": _mean([i for _, i in at]),
                "most_share_of_evaluations": max((e for e, _ in at), default=None),
                "hypervolume": _mean([run["hypervolume"][-1] for run, _ in pairs]),
                "energy_at_point": _mean([run["energy_at_point"] for run, _ in pairs]),
            })  # fmt: skip
    return found


SETTING = ("case", "trials", "search_images", "weight_codes", "objective")


def _setting(run: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(run[name] for name in SETTING)


def _reached(run: dict[str, Any], other: dict[str, Any]) -> tuple[float, float] | None:
    """Return the shares of the other's evaluations and images that its final hypervolume takes; None if never."""
    for i, volume in enumerate(run["hypervolume"]):
        if volume >= other["hypervolume"][-1] > 0:
            return (i + 1) / other["evaluations"], run["network_images"][i] / other["network_images"][-1]
    return None


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


if __name__ == "__main__":
    main()
