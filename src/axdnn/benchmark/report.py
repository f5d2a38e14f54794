"""The whole measurement as plain data."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from axdnn.benchmark.networks import NETWORK_TABLES, measure_networks
from axdnn.benchmark.products import Loop, measure_products, plan_of
from axdnn.benchmark.selection import QUICK_SHAPES, QUICK_TABLES, SHAPES, Shape, circuits
from axdnn.benchmark.summary import summary, targets
from axdnn.benchmark.threads import measure_speedup, threads
from axdnn.kernels import native_variants
from axdnn.records import processor_name

Progress = Callable[[str, int, int], None]
SPEEDUP_SHAPES = ("ResNet-20 32", "ResNet-18 128", "ViT-S MLP")
SPEEDUP_BATCHES = 16  # times the batch of the other rows: a call of half a millisecond has little to share out
SPEEDUP_TABLES = ("mul8s_1KVM", "mul8s_1KVQ", "mul8u_QKX", "random")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What is measured.

    Attributes:
        shapes: labels of `SHAPES`.
        tables: names of `circuits()`.
        networks: circuits of whole networks; empty for none.
        speedup: whether several threads are compared with one, where there is more than one core.
        rounds: times each job is run, 2 or more.
        within: paths predicted to take more than so many times as long as the chosen one are left out.
    """

    shapes: tuple[str, ...] = QUICK_SHAPES
    tables: tuple[str, ...] = QUICK_TABLES
    networks: tuple[str, ...] = ()
    speedup: bool = False
    rounds: int = 5
    within: float = 20.0

    @staticmethod
    def full(rounds: int = 7) -> Selection:
        """Return everything there is."""
        return Selection(shapes=tuple(SHAPES), tables=tuple(circuits()), networks=NETWORK_TABLES, speedup=True,
                         rounds=rounds, within=float("inf"))  # fmt: skip


def measure(
    selection: Selection,
    number: int,
    loops: Mapping[str, Loop] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure with so many threads.

    Args:
        selection: what is measured.
        number: threads, 1 or more.
        loops: name -> look-up loop of one thread to compare with (`scalar_loop`, `gather_loop`).
        progress: called with (message, done, total).

    Returns:
        `settings` (machine, load average before and after), `rows` (see `measure_products`), `networks`, `speedup`,
        `summary` and `targets`.
    """
    known, load = circuits(), os.getloadavg()
    shapes = {label: SHAPES[label] for label in selection.shapes}
    tables = {name: known[name] for name in selection.tables}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with threads(number):
        rates = plan_of(next(iter(SHAPES.values())), known["random"]).rates
        rows = measure_products(shapes, tables, selection.rounds, loops, selection.within, progress)
        networks = []
        if selection.networks:
            networks = measure_networks(selection.networks, rounds=selection.rounds, progress=progress)
        speedup = []
        if selection.speedup and cores > 1:
            some = {name: known[name] for name in SPEEDUP_TABLES}
            speedup = measure_speedup(speedup_shapes(), some, min(cores, 2), selection.rounds)
    report: dict[str, Any] = {
        "settings": {
            "threads": number, "rounds": selection.rounds, "rates": rates,
            "within": None if math.isinf(selection.within) else selection.within, "variants": list(native_variants()),
            "processor": processor_name(), "cores": cores, "torch": torch.__version__,
            "python": platform.python_version(), "load_before": list(load), "load_after": list(os.getloadavg()),
        },
        "rows": rows, "networks": networks, "speedup": speedup,
    }  # fmt: skip
    return {**report, "summary": summary(rows), "targets": targets(report)}


def speedup_shapes() -> dict[str, Shape]:
    """Return the layers that several threads are compared on, by labels that name the batch."""
    large = {name: SHAPES[name]._replace(batch=SPEEDUP_BATCHES * SHAPES[name].batch) for name in SPEEDUP_SHAPES}
    return {f"{name}, batch {shape.batch}": shape for name, shape in large.items()}
