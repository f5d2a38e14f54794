"""What a multiplier for each group of output channels brings over one a layer.

    OMP_NUM_THREADS=1 python benchmarks/channel_groups.py     # all rows that results/channel_groups.json lacks
    OMP_NUM_THREADS=1 python benchmarks/channel_groups.py --case lenet5 --groups 1 2 --seeds 0

Strategy `integer` minimises the energy of the multipliers on the splits of `cases.py`, at the cap of full
evaluations given there, whatever the number of groups: more groups are more to choose with as many looks. The energy of
the chip is that of all parts one after the other, each reading the inputs of its layer again. Every row has a cache of
its own, so that its seconds are those of a run from nothing. The test images decide nothing.
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
from axdnn.generation import Request, generate
from axdnn.methods import splits_of
from axdnn.models import resolve_model
from axdnn.models.machine import one_thread, processor
from axdnn.records import save_record, write_atomic

FILE = Path(__file__).parent / "results" / "channel_groups.json"
PLAN: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = (
    ("lenet5", (1, 2, 4), (0, 1, 2)),
    ("resnet8", (1, 2), (0,)),
)
"""Case, groups and seeds of what is run without options."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=[c for c in CASES if CASES[c]["model"]], help="default: the whole plan")
    parser.add_argument("--groups", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--loss", type=float, default=1.0, help="budget, percentage points")
    parser.add_argument("--work", type=Path, default=Path("runs/channel_groups"), help="caches and whole results")
    args = parser.parse_args()
    plan = PLAN if args.case is None else ((args.case, tuple(args.groups), tuple(args.seeds)),)
    with one_thread():
        for case, groups, seeds in plan:
            for seed in seeds:
                for count in groups:
                    one(case, count, seed, args.loss, args.work)


def one(name: str, groups: int, seed: int, loss: float, work: Path) -> None:
    """Run one row unless it is there already; write it at once."""
    key = {"case": name, "channel_groups": groups, "max_accuracy_loss": loss, "seed": seed}
    if any(all(run[k] == v for k, v in key.items()) for run in known()["runs"]):
        return
    case, own = CASES[name], work / name / f"{groups}-{loss:g}-{seed}"
    trained = resolve_model(case["model"], case["data"])
    images = {split: case[split] for split in ("search", "accept")}
    calibration, splits = splits_of(load_dataset(case["data"]), seed, images)
    request = Request(
        max_accuracy_loss=loss, objective="multiplier", seed=seed, evaluations=case["cap"],
        multipliers=case["multipliers"], channel_groups=groups,
    )  # fmt: skip
    began = time.process_time()
    result = generate(
        trained.model, calibration[: case["calibration"]], splits, request, name=trained.name, data=case["data"],
        cache=own / "cache", codings=own / "codings",
    )  # fmt: skip
    save_record(own / "result.json", result)
    row = {**key, **row_of(result), "strategy": result.strategy, "cap": request.evaluations,
           "layers": len(result.network.layers), "latency_s": result.latency_s,
           "baseline_latency_s": result.baseline_latency_s, "memory_bytes": result.memory_bytes,
           "channels": {k: v for k, v in result.provenance.items() if k.startswith("channels of ")},
           "cpu_s": time.process_time() - began}  # fmt: skip
    report = known()
    report["runs"].append(row)
    report["cases"][name] = {
        **{k: v for k, v in case.items() if k != "cap"}, "model": trained.name, "objective": "multiplier",
        "accelerator": "tpu_v4, streaming, buildable, batch 1", "test": len(splits["test"]),
    }  # fmt: skip
    report["machine"] = {"processor": processor(), "torch": torch.__version__, "python": platform.python_version()}
    write_atomic(FILE, json.dumps(report, indent=1) + "\n")
    told = f"{row['loss_points']:.2f} points, multipliers {row['multiplier_energy_lower']:.1f} times lower"
    print(f"{name} {groups} groups, seed {seed}: {told}, {row['evaluations']} evaluations, {row['wall_s']:.0f} s",
          flush=True)  # fmt: skip


def known() -> dict[str, Any]:
    """Return the rows that are there already."""
    found: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {"cases": {}, "runs": []}
    return found


if __name__ == "__main__":
    main()
