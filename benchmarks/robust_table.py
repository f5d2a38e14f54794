"""A table of small trained networks with their robustness and price, for replaying samplers without training.

    python benchmarks/robust_table.py --data mnist --count 360
    python benchmarks/robust_table.py --data cifar10 --count 360

Topologies are drawn from a space with shrunken widths (see `SPACES`), each is trained once from random weights and
explained once. `--each` assignments of multipliers and skipped shares are then measured on those whose exact network
keeps the floor of clean accuracy, the first one exact and whole; the others bring that one row. What is skipped is
measured twice: the channels of the smallest weights (`values`, all that a search without explanation can go by), and
those of the least conductance (`explained`, as robust XAI-NAS skips).
Every row is written as soon as it is known; a rerun goes on from there, and a larger --count adds rows.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from axdnn.methods import default_options
from axdnn.methods.robust_xai_nas import GRADIENT, Workbench, accuracy, explain, objectives, robust_figure
from axdnn.nas import IntegerCandidate, Layout, layout_of, network_space
from axdnn.records import Scalar, write_atomic
from axdnn.robustness import inner_robustness, integer_victim

RESULTS = Path(__file__).parent / "results"
SPACES: dict[str, dict[str, Any]] = {
    "mnist": {"least": 2, "most": 3, "kernels": [3, 5], "channels": [4, 8, 12], "skips": [0.0, 0.25, 0.5],
              "most_macs": 600_000, "most_weights": 20_000},
    "cifar10": {"least": 2, "most": 4, "kernels": [3, 5], "channels": [6, 10, 16], "skips": [0.0, 0.25, 0.5],
                "most_macs": 1_200_000, "most_weights": 30_000},
}  # fmt: skip
TRAINING: dict[str, dict[str, int]] = {
    "mnist": {"epochs": 3, "images": 8_000},
    "cifar10": {"epochs": 4, "images": 10_000},
}
SKIPPED = 0.3
MULTIPLIERS = "mul8u_2AC,mul8u_185Q,mul8u_12N4,mul8u_18UH,mul8u_T83"
BASES: dict[str, tuple[dict[str, Scalar], ...]] = {
    data: (
        {"operator": "conv", "kernel": 5, "stride": 2, "channels": narrow},
        {"operator": "conv", "kernel": 3, "stride": 1, "channels": wide},
        {"operator": "pool", "kernel": 3, "stride": 1, "channels": wide},
    )
    for data, narrow, wide in (("mnist", 8, 12), ("cifar10", 10, 16))
}


def bench_of(data: str, work: Path, seed: int) -> Workbench:
    """Return the workbench of a table: the unguided arm of the method in its shrunken space."""
    options = default_options(
        data, arm="plain", training=TRAINING[data], space=SPACES[data], base=BASES[data], multipliers=MULTIPLIERS,
        images=150, clean_images=500, calibration_images=64,
    )  # fmt: skip
    return Workbench(work, options, seed)


def topology_of(bench: Workbench, number: int) -> dict[str, Scalar]:
    """Return the candidate that brings topology `number`, exact and whole."""
    space = network_space(bench.space)
    drawn = space.sample(np.random.default_rng((bench.seed, number)))
    exact = bench.space.multipliers[0]
    plain = {path: exact for path in drawn if path.endswith("multiplier")}
    return {**drawn, **plain, **{path: 0.0 for path in drawn if path.endswith("skip")}}


def assigned(bench: Workbench, base: dict[str, Scalar], number: int, place: int) -> dict[str, Scalar]:
    """Return the base under its assignment `place`: 0 is exact, others are drawn, half of them with one multiplier.

    A layer skips with a chance of 30 %.
    """
    if place == 0:
        return base
    rng = np.random.default_rng((bench.seed, number, place))
    space, names = network_space(bench.space), bench.space.multipliers
    uniform = str(rng.choice(names)) if place % 2 else ""
    found = dict(base)
    for path in base:
        if path.endswith("multiplier"):
            found[path] = uniform or str(rng.choice(names))
        elif path.endswith("skip") and rng.random() < SKIPPED:
            found[path] = float(rng.choice(bench.space.skips))
    return space.mend(found, rng)


def measured(
    bench: Workbench, integer: IntegerCandidate, layout: Layout, channels: Mapping[str, np.ndarray] | None = None
) -> dict[str, float]:
    """Return the figures of one assignment on a trained topology; channels of least importance are skipped first."""
    assignment = integer.assignment(layout, channels)
    model, cost = integer.model(assignment), integer.cost(assignment)
    images, labels = bench.held_out
    few = bench.options.images
    victim = integer_victim(model, integer.captured, GRADIENT)
    _, robust, _ = inner_robustness(victim, images[:few], labels[:few], bench.options.eps, seed=bench.seed)
    return {
        "clean_accuracy": accuracy(model, images, labels), "energy_j": cost.energy_j, "latency_s": cost.latency_s,
        "memory_bytes": float(cost.memory_bytes), "multiplier_energy_j": cost.multiplier_energy_j,
        "robust_error": 1.0 - robust[bench.options.eps[0]], **{robust_figure(e): v for e, v in robust.items()},
    }  # fmt: skip


class Table:
    """The table as a file: a head that says how it was made, one line a row."""

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self.path, self.head = path, json.loads(json.dumps(head))
        self.rows: list[dict[str, Any]] = []
        if path.exists():
            found = json.loads(path.read_text())
            self.rows = found.pop("rows")
            if found != self.head:
                raise SystemExit(f"{path} was made otherwise; delete it or give another --out")

    def add(self, row: dict[str, Any]) -> None:
        """Write a row at once, whole or not at all."""
        self.rows.append(row)
        head = json.dumps(self.head, sort_keys=True)[:-1]
        lines = ",\n".join(json.dumps(r, separators=(",", ":")) for r in self.rows)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path, f'{head}, "rows": [\n{lines}\n]}}\n')


def main() -> None:
    """Make the table or go on with it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=sorted(SPACES), default="mnist")
    parser.add_argument("--count", type=int, default=360, help="rows in all")
    parser.add_argument("--each", type=int, default=16, help="assignments of each topology")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/robust_table-DATA.json")
    parser.add_argument("--work", type=Path, help="trained weights; default: runs/robust_table-DATA")
    asked = parser.parse_args()
    work = asked.work or Path("runs") / f"robust_table-{asked.data}"
    bench = bench_of(asked.data, work, asked.seed)
    table = Table(asked.out or RESULTS / f"robust_table-{asked.data}.json", head_of(bench, asked.each))
    number = 0
    while len(table.rows) < asked.count:
        fill(bench, table, number, asked.each, asked.count)
        number += 1


def head_of(bench: Workbench, each: int) -> dict[str, Any]:
    """Return how a table is made."""
    reference = {o.name: o.reference for o in objectives(bench)}
    later = ("members", "suite", "check_images")  # of searches alone
    options = {name: value for name, value in bench.options.plain().items() if name not in later}
    return {"options": options, "seed": bench.seed, "each": each, "reference": reference}


def fill(bench: Workbench, table: Table, number: int, each: int, count: int) -> None:
    """Train and explain one topology and add the rows that it has not yet."""
    began, o = time.process_time(), bench.options
    there = {row["assignment"]: row for row in table.rows if row["topology"] == number}
    if 0 in there and (len(there) == each or not keeps(bench, there[0])):
        return
    base = topology_of(bench, number)
    layout = layout_of(base, bench.space)
    trained = bench.shelf.trained(layout)
    integer = IntegerCandidate(trained.network, layout, bench.calibration, bench.chip, bench.multipliers)
    images, labels = bench.data.tensors("search", o.explain_images)
    found = explain(integer.captured, layout, images, labels, eps=o.eps[0], alpha=o.alpha, steps=o.explain_steps,
                    seed=bench.seed)  # fmt: skip
    rounded = {layer: round(value, 5) for layer, value in found.importance.items()}
    for place in range(each):
        if place in there or len(table.rows) >= count or (place and not keeps(bench, there[0])):
            continue
        candidate = assigned(bench, base, number, place)
        chosen = layout_of(candidate, bench.space)
        row = {"topology": number, "assignment": place, "candidate": candidate, "importance": rounded}
        row["values"] = short(measured(bench, integer, chosen))
        if any(block.skip for block in chosen.blocks):
            row["explained"] = short(measured(bench, integer, chosen, found.channel_arrays()))
        table.add(row)
        there[place] = row
    print(f"topology {number}: {len(there)} rows, {time.process_time() - began:.0f} s of processor", flush=True)


def keeps(bench: Workbench, row: dict[str, Any]) -> bool:
    """Return whether a row keeps the floor of clean accuracy."""
    return bool(row["values"]["clean_accuracy"] >= bench.options.floor)


def short(values: dict[str, float]) -> dict[str, float]:
    """Return figures with six digits."""
    return {name: float(f"{value:.6g}") for name, value in values.items()}


if __name__ == "__main__":
    main()
