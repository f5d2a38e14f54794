"""Replays samplers on a table of trained networks: what guidance is worth, with confidence intervals.

    python benchmarks/robust_replay.py --data mnist --seeds 20 --budget 60

Only rows of the table can be evaluated: what a sampler proposes becomes the nearest row that was not looked at.
`guided` and `unguided` begin with the same random rows and make children in the same way (tournaments by rank and
crowding, crossover, one or more fields changed), with the operators of `axdnn.search`; `guided` biases the change by
the importance of the layers, as robust XAI-NAS does. `random` takes rows at random. The hypervolume is that of the rows
above the floor of clean accuracy, as a share of what all rows of the table reach together.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from axdnn.methods.robust_xai_nas import Explained, RobustOptions, guidance_of, nearest, shapes_of
from axdnn.nas import SpaceOptions, layout_of, network_space
from axdnn.records import InfeasibleError, write_atomic
from axdnn.search import crossover, crowding, hypervolume, mutate, ranks

RESULTS = Path(__file__).parent / "results"
SAMPLERS = ("guided", "unguided", "random")
START, CROSSOVER, Z95 = 6, 0.7, 1.959964
NAMES = ("robust_error", "energy_j", "latency_s", "memory_bytes")


class Replay:
    """A table as a search problem.

    Args:
        table: as `robust_table.py` wrote it.
    """

    def __init__(self, table: dict[str, Any]) -> None:
        from axdnn.data import load_dataset
        from axdnn.hardware import load_accelerator

        asked = RobustOptions.from_plain(table["options"])
        pods = load_accelerator(asked.accelerator).pods
        self.options: SpaceOptions = asked.space_options(load_dataset(asked.data), pods)
        self.space = network_space(self.options)
        rows = {self.space.key(row["candidate"]): row for row in table["rows"]}
        self.rows = list(rows.values())
        self.candidates = [row["candidate"] for row in self.rows]
        self.points = np.array([[row["values"][n] for n in NAMES] for row in self.rows])
        self.floor = asked.floor
        self.short = np.array([max(asked.floor - row["values"]["clean_accuracy"], 0.0) for row in self.rows])
        self.reference = [table["reference"][n] for n in NAMES]
        self.features = np.array([features(c, self.options) for c in self.candidates])
        self.explained = [explained(row, self.options) for row in self.rows]
        self.best = self.volume(range(len(self.rows)))

    def volume(self, members: Any) -> float:
        """Return the hypervolume of rows above the floor."""
        kept = [i for i in members if self.short[i] == 0.0]
        return hypervolume(self.points[kept], self.reference) if kept else 0.0

    def run(self, sampler: str, seed: int, budget: int) -> list[float]:
        """Return the share of the table's hypervolume after each evaluation."""
        rng = np.random.default_rng((seed, 7))
        left, seen, curve = set(range(len(self.rows))), list[int](), list[float]()
        first = [int(i) for i in rng.permutation(len(self.rows))[:START]]
        while left and len(seen) < budget:
            if len(seen) < START:
                row = first[len(seen)]
            elif sampler == "random":
                row = int(rng.choice(sorted(left)))
            else:
                row = self.child(seen, left, rng, sampler == "guided")
            left.discard(row)
            seen.append(row)
            curve.append(self.volume(seen) / self.best)
        return curve

    def child(self, seen: list[int], left: set[int], rng: np.random.Generator, guided: bool) -> int:
        """Return the row nearest to a child of the rows seen."""
        order = ranks(self.points[seen], self.short[seen] if self.short[seen].any() else None)
        crowd = np.zeros(len(seen))
        for rank in np.unique(order):
            crowd[order == rank] = crowding(self.points[seen][order == rank])
        one, other = (self._tournament(order, crowd, rng) for _ in range(2))
        parent = self.candidates[seen[one]]
        if one != other and rng.random() < CROSSOVER:
            parent = crossover(self.space, parent, self.candidates[seen[other]], rng)
        guidance = None
        if guided:
            layout = layout_of(parent, self.options)
            known = nearest(layout, [self.explained[i] for i in seen])
            guidance = None if known is None else guidance_of(layout, known, self.options)
        fields = max(1, int(rng.binomial(len(parent), 1.0 / len(parent))))
        try:
            child = mutate(self.space, parent, rng, fields, guidance)
        except InfeasibleError:
            child = self.space.sample(rng)
        free = np.array(sorted(left))
        away = np.abs(self.features[free] - features(child, self.options)).sum(axis=1)
        return int(free[int(away.argmin())])

    @staticmethod
    def _tournament(order: np.ndarray, crowd: np.ndarray, rng: np.random.Generator) -> int:
        a, b = (int(i) for i in rng.integers(len(order), size=2))
        return a if (order[a], -crowd[a]) <= (order[b], -crowd[b]) else b


def features(candidate: dict[str, Any], options: SpaceOptions) -> list[float]:
    """Return a candidate as numbers between which distances make sense: choices span 0..1, absent layers are -1."""

    def place(values: Any, value: Any) -> float:
        ordered = list(values)
        return ordered.index(value) / max(len(ordered) - 1, 1)

    layout = layout_of(candidate, options)
    found = [place(options.multipliers, layout.head_multiplier), place(options.readouts, layout.readout)]
    for i in range(options.most):
        if i >= len(layout.blocks):
            found += [-1.0] * (5 + len(options.operators))
            continue
        b = layout.blocks[i]
        nearest_channels = min(options.channels, key=lambda c: abs(c - b.channels))
        found += [float(b.operator == name) for name in options.operators]
        found += [place(options.kernels, b.kernel), place(options.strides, b.stride) if b.operator == "conv" else 0.0]
        found += [place(options.channels, nearest_channels), place(options.skips, b.skip)]
        found += [place(options.multipliers, b.multiplier)]
    return found


def explained(row: dict[str, Any], options: SpaceOptions) -> Explained:
    """Return the importance that a row holds."""
    layout = layout_of(row["candidate"], options)
    scores = dict(row["importance"])
    return Explained(
        topology=layout.topology, shapes=shapes_of(layout), clean=scores, attacked=scores, importance=scores,
        channels={}, images=0, network_images=0,
    )  # fmt: skip


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return mean and 95 % interval of the mean over seeds."""
    mean, half = float(values.mean()), Z95 * float(values.std(ddof=1)) / len(values) ** 0.5
    return mean, mean - half, mean + half


def main() -> None:
    """Replay and write the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--seeds", type=int, default=20, help="at least 2")
    parser.add_argument("--budget", type=int, default=60, help="evaluations; at most half of the rows makes sense")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    replay = Replay(json.loads((asked.table or RESULTS / f"robust_table-{asked.data}.json").read_text()))
    budget = min(asked.budget, len(replay.rows))
    curves = {s: np.array([replay.run(s, seed, budget) for seed in range(asked.seeds)]) for s in SAMPLERS}
    found: dict[str, Any] = {
        "data": asked.data, "rows": len(replay.rows), "above_floor": int((replay.short == 0).sum()),
        "floor": replay.floor, "seeds": asked.seeds, "budget": budget, "hypervolume_of_all": replay.best,
        "reference": dict(zip(NAMES, replay.reference, strict=True)), "curves": {}, "differences": {},
    }  # fmt: skip
    for sampler, runs in curves.items():
        rows = [interval(runs[:, i]) for i in range(budget)]
        found["curves"][sampler] = [[round(v, 5) for v in row] for row in rows]
    for other in SAMPLERS[1:]:
        mean, low, high = interval(curves["guided"].mean(axis=1) - curves[other].mean(axis=1))
        found["differences"][f"guided - {other}, mean over the curve"] = [mean, low, high]
        print(f"guided - {other}: {mean:+.4f} ({low:+.4f} to {high:+.4f}), mean over the curve, of the table's volume")
    for sampler in SAMPLERS:
        print(sampler, *(f"{i + 1}: {curves[sampler][:, i].mean():.3f}" for i in range(5, budget, max(budget // 6, 1))))
    out = asked.out or RESULTS / f"robust_replay-{asked.data}.json"
    write_atomic(out, json.dumps(found, separators=(",", ":")) + "\n")
    print(f"written: {out}")


if __name__ == "__main__":
    main()
