"""Single layers: every path of every table against torch float32 and, if given, against look-up loops.

Products go through the public calls: checks, packing of weights and windows included, nothing cached but what belongs
to a table. Loops get windows that were unfolded before, for free.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from axdnn.benchmark.selection import Shape
from axdnn.benchmark.timing import in_turns, seconds_of
from axdnn.kernels import PATHS, Path, Plan, approx_conv2d, approx_matmul, explain, torch_factors, unfold
from axdnn.records import Multiplier

Job = Callable[[], object]
Loop = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], object]
"""Sums `table[x[i, t], w[j, t]]` over t for uint8 `x` `(m, k)`, `w` `(n, k)` and an int32 table `(256, 256)`."""
Progress = Callable[[str, int, int], None]
LOOP_PRODUCTS = 30_000_000  # a loop is timed on as many windows as come near this
LOOP_GROUPS = 8


def measure_products(
    shapes: Mapping[str, Shape],
    tables: Mapping[str, Multiplier],
    rounds: int,
    loops: Mapping[str, Loop] | None = None,
    within: float = float("inf"),
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Time layers with the threads that torch uses now.

    Args:
        shapes: label -> layer.
        tables: name -> circuit.
        rounds: times each job is run.
        loops: name -> look-up loop of one thread to compare with.
        within: leave out paths that are predicted to take more than so many times as long as the chosen one.
        progress: called with (message, done, total).

    Returns:
        One row a (shape, table, path), with `table` `float32` for torch's own layer; ratios above 1 are faster.
    """
    rows = []
    for i, (label, shape) in enumerate(shapes.items()):
        if progress is not None:
            progress(label, i, len(shapes))
        rows += _measure(label, shape, tables, rounds, loops or {}, within)
    return rows


def layer_jobs(shape: Shape, circuit: Multiplier, paths: tuple[Path, ...] = ("auto",)) -> dict[Path, Job]:
    """Return path -> a call of the layer with random codes."""
    x, w = _random(shape)
    xs, ws = _codes(x, circuit.a_signed), _codes(w, circuit.w_signed)

    def job(path: Path) -> Job:
        if shape.linear:
            return lambda: approx_matmul(xs.flatten(1), ws.flatten(1), circuit, path=path)
        return lambda: approx_conv2d(xs, ws, circuit, shape.stride, shape.padding, 1, shape.groups, path=path)

    return {path: job(path) for path in paths}


def float_job(shape: Shape) -> Job:
    """Return a call of torch's float32 layer."""
    x, w = (codes.float() / 255 for codes in _random(shape))
    if shape.linear:
        return lambda: functional.linear(x.flatten(1), w.flatten(1))
    return lambda: functional.conv2d(x, w, None, shape.stride, shape.padding, 1, shape.groups)


def plan_of(shape: Shape, circuit: Multiplier) -> Plan:
    """Return the plan of the layer."""
    rows, inputs = shape.groups * shape.batch * shape.out**2, shape.batch * shape.inputs
    return explain(
        circuit, rows, shape.terms, shape.outputs // shape.groups, window=shape.kernel**2, groups=shape.groups,
        inputs=inputs * (shape.size + 2 * shape.padding) ** 2,
    )  # fmt: skip


def _measure(
    label: str, shape: Shape, tables: Mapping[str, Multiplier], rounds: int, loops: Mapping[str, Loop], within: float
) -> list[dict[str, Any]]:
    plans = {name: plan_of(shape, circuit) for name, circuit in tables.items()}
    jobs: dict[tuple[str, str], Job] = {("float32", "torch"): float_job(shape)}
    for path in sorted(PATHS, key=lambda path: not path.startswith("native")):  # slow paths last; see `timing`
        for name, circuit in tables.items():
            times = plans[name].predicted_s
            if path != "reference" and path in times and times[path] <= within * times[plans[name].path]:
                jobs[name, path] = layer_jobs(shape, circuit, (path,))[path]
    found = in_turns(jobs, rounds, kind=lambda key: key[1])
    looped = {name: _loop_seconds(loop, shape, next(iter(tables.values()))) for name, loop in loops.items()}
    base, rows = found["float32", "torch"].s, []
    for (name, path), timing in found.items():
        plan, factors = plans.get(name), torch_factors(tables[name]) if name in tables else None
        rows.append({
            "shape": label, "table": name, "rank": None if factors is None else factors.f.shape[1], "path": path,
            "chosen": plan is not None and plan.path == path, "products": shape.products, "s": timing.s,
            "quarters_s": timing.quarters, "products_per_s": shape.products / timing.s,
            "predicted_s": plan.predicted_s[path] if plan else None, "of_float32": base / timing.s,
            **{f"of_{loop}": s / timing.s for loop, s in looped.items()},
        })  # fmt: skip
    return rows


def _random(shape: Shape) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights = (shape.outputs, shape.inputs // shape.groups, shape.kernel, shape.kernel)
    x = torch.randint(0, 256, (shape.batch, shape.inputs, shape.size, shape.size), generator=generator)
    return x.to(torch.uint8), torch.randint(0, 256, weights, generator=generator).to(torch.uint8)


def _codes(rows: torch.Tensor, signed: bool) -> torch.Tensor:
    return (rows ^ 0x80).view(torch.int8) if signed else rows


def _loop_seconds(loop: Loop, shape: Shape, circuit: Multiplier) -> float:
    """Seconds that a loop would take for the whole layer, from a part of its windows."""
    x, w = _random(shape)
    padded = functional.pad(x, (shape.padding,) * 4)
    kernel, steps = (shape.kernel, shape.kernel), ((shape.stride, shape.stride), (1, 1))
    rows = unfold(padded, kernel, *steps, (shape.out, shape.out), shape.groups)
    groups, n = min(shape.groups, LOOP_GROUPS), shape.outputs // shape.groups
    m = max(1, min(rows.shape[1], LOOP_PRODUCTS // (shape.terms * n * groups)))
    part, flat = rows[:groups, :m].contiguous(), w.view(shape.groups, n, shape.terms)
    table = torch.from_numpy(circuit.table.copy())

    def run() -> None:
        for g in range(groups):
            loop(part[g], flat[g], table)

    run()
    middle = statistics.median(seconds_of(run) for _ in range(3))
    return middle * (rows.shape[1] / m) * (shape.groups / groups)
