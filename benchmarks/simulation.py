"""Speed of exact simulation: every path against torch float32 and against the look-up loops that others use.

    python benchmarks/simulation.py [--quick]        # writes benchmarks/results/simulation.json

One process, one thread unless `--threads` says more; interleaved rounds, medians, spread (quarter points). Products go
through the public calls, packing of weights and windows included, nothing cached but the factors of a table. Look-up
loops get codes unfolded beforehand, for free. Ratios are the result; the absolute figures only order them.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from axdnn.kernels import approx_conv2d, explain, native_variants, unfold
from axdnn.models.machine import processor
from axdnn.multipliers import list_multipliers, load_multiplier
from axdnn.records import Multiplier, write_atomic

RESULTS = Path(__file__).parent / "results"
# batch, input channels, size, output channels, kernel, stride, padding, groups
SHAPES: dict[str, tuple[int, ...]] = {
    "LeNet-5 conv2": (128, 6, 14, 16, 5, 1, 0, 1),
    "ResNet-20 16": (32, 16, 32, 16, 3, 1, 1, 1),
    "ResNet-20 32": (32, 32, 16, 32, 3, 1, 1, 1),
    "ResNet-20 64": (32, 64, 8, 64, 3, 1, 1, 1),
    "ResNet-18 64": (8, 64, 32, 64, 3, 1, 1, 1),
    "ResNet-18 128": (8, 128, 16, 128, 3, 1, 1, 1),
    "ResNet-18 256": (8, 256, 8, 256, 3, 1, 1, 1),
    "ResNet-18 512": (8, 512, 4, 512, 3, 1, 1, 1),
    "ResNet-18 128 stride 2": (8, 64, 32, 128, 3, 2, 1, 1),
    "MobileNetV2 expand": (4, 32, 28, 192, 1, 1, 0, 1),
    "MobileNetV2 depthwise": (4, 192, 28, 192, 3, 1, 1, 192),
    "ViT-S projection": (197, 384, 1, 384, 1, 1, 0, 1),
    "ViT-S MLP": (197, 384, 1, 1536, 1, 1, 0, 1),
}
UNSIGNED = ("mul8u_17KS", "mul8u_18DU", "mul8u_2AC", "mul8u_R36", "mul8u_QKX")
LOOP_PRODUCTS = 30_000_000  # a loop is timed on as many images as come near this


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="three shapes, three tables, nothing written")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    shapes = dict(list(SHAPES.items())[4:7]) if args.quick else SHAPES
    tables = circuits()[:: 6 if args.quick else 1]
    loops = build_loops()
    rows = []
    for label, shape in shapes.items():
        rows += measure(label, shape, tables, loops, args.rounds)
        print(label, "done", flush=True)
    report = {
        "threads": args.threads, "rounds": args.rounds, "variants": list(native_variants()), "processor": processor(),
        "torch": torch.__version__, "python": platform.python_version(), "rows": rows, "summary": summary(rows),
    }  # fmt: skip
    print(json.dumps(report["summary"], indent=1))
    if not args.quick:
        name = "simulation.json" if args.threads == 1 else f"simulation-{args.threads}-threads.json"
        write_atomic(RESULTS / name, json.dumps(report, indent=1) + "\n")


def circuits() -> list[Multiplier]:
    """All signed tables, unsigned ones of low and high rank as networks use them, and a random table."""
    signed = sorted({m.id: m for m in map(load_multiplier, names("signed"))}.values(), key=lambda m: m.name)
    wrapped = [load_multiplier(name).sign_magnitude() for name in UNSIGNED]
    entries = np.random.default_rng(0).integers(-16384, 16385, (256, 256))
    return [*signed, *wrapped, Multiplier.from_table(entries, signed=True, name="random")]


def names(coding: str) -> list[str]:
    return [row.name for row in list_multipliers("evoapprox8b") if row.coding == coding and not row.name.endswith(".T")]


def measure(
    label: str, shape: tuple[int, ...], tables: list[Multiplier], loops: ctypes.CDLL, rounds: int
) -> list[dict[str, Any]]:
    b, c, size, o, kernel, stride, padding, groups = shape
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (b, c, size, size), generator=generator, dtype=torch.uint8)
    w = torch.randint(0, 256, (o, c // groups, kernel, kernel), generator=generator, dtype=torch.uint8)
    image, weight = torch.randn(b, c, size, size, generator=generator), torch.randn(w.shape, generator=generator)
    jobs: dict[tuple[str, str], Callable[[], Any]] = {
        ("float32", ""): lambda: functional.conv2d(image, weight, None, stride, padding, 1, groups)
    }
    out = (size + 2 * padding - kernel) // stride + 1
    products = b * out * out * o * w[0].numel()
    for circuit in tables:
        codes = (_codes(x, circuit.a_signed), _codes(w, circuit.w_signed))
        plan = explain(circuit, groups * b * out * out, w[0].numel(), o // groups)
        for path in ("auto", *(p for p in plan.predicted_s if p.startswith("native") and p != plan.path)):
            jobs[circuit.name, path] = lambda c=circuit, xw=codes, p=path: approx_conv2d(
                *xw, c, stride, padding, 1, groups, path=p
            )
    found = timed(jobs, rounds)
    share = {}
    for name in ("scalar_loop", "gather_loop"):
        share[name] = loop_seconds(loops, name, x, w, tables[0], shape, out) / products
    base = found["float32", ""][0]
    return [
        {
            "shape": label, "table": table, "path": path, "products": products, "s": middle, "quarters": quarters,
            "of_float32": base / middle, **{f"of_{n}": s * products / middle for n, s in share.items()},
            "chosen": "" if table == "float32" else plan_of(table, tables, shape, out, path),
        }
        for (table, path), (middle, quarters) in found.items()
    ]  # fmt: skip


def plan_of(table: str, tables: list[Multiplier], shape: tuple[int, ...], out: int, path: str) -> str:
    circuit = next(t for t in tables if t.name == table)
    b, c, _, o, kernel, _, _, groups = shape
    k = c // groups * kernel * kernel
    return explain(circuit, groups * b * out * out, k, o // groups).path if path == "auto" else path


def timed(jobs: dict[tuple[str, str], Callable[[], Any]], rounds: int) -> dict[tuple[str, str], tuple[float, Any]]:
    """Return median seconds and quarter points; one run of each job a round, so that all see the same machine."""
    for job in jobs.values():
        job()
    seen: dict[tuple[str, str], list[float]] = {key: [] for key in jobs}
    for _ in range(rounds):
        for key, job in jobs.items():
            began = time.perf_counter()
            job()
            seen[key].append(time.perf_counter() - began)
    return {k: (statistics.median(v), statistics.quantiles(v, n=4)[::2]) for k, v in seen.items()}


def loop_seconds(
    loops: ctypes.CDLL,
    name: str,
    x: torch.Tensor,
    w: torch.Tensor,
    circuit: Multiplier,
    shape: tuple[int, ...],
    out: int,
) -> float:
    """Return the seconds that a look-up loop would take for the whole shape, from a part of its windows."""
    _, _, _, o, kernel, stride, padding, groups = shape
    padded = functional.pad(x, (padding,) * 4)
    rows = unfold(padded.contiguous(), (kernel, kernel), (stride, stride), (1, 1), (out, out), groups)
    k, n = rows.shape[2], o // groups
    m = max(1, min(rows.shape[1], LOOP_PRODUCTS // (k * n * min(groups, 8))))
    part, flat = rows[:, :m].contiguous(), w.view(groups, n, k).contiguous()
    table, sums = torch.from_numpy(circuit.table.copy()), torch.empty(m, n, dtype=torch.int32)
    tried = min(groups, 8)

    def run() -> float:
        began = time.perf_counter()
        for g in range(tried):
            pointers = [ctypes.c_void_p(t.data_ptr()) for t in (part[g], flat[g], table, sums)]
            getattr(loops, name)(*pointers[:3], *map(ctypes.c_int64, (m, k, n)), pointers[3])
        return time.perf_counter() - began

    run()
    return statistics.median(run() for _ in range(3)) * (rows.shape[1] / m) * (groups / tried)


def build_loops() -> ctypes.CDLL:
    folder = Path(tempfile.mkdtemp())
    target = folder / "loops.so"
    source = Path(__file__).parent / "loops" / "loops.cpp"
    subprocess.run(["c++", "-std=c++17", "-O3", "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
    return ctypes.CDLL(str(target))


def _codes(rows: torch.Tensor, signed: bool) -> torch.Tensor:
    return (rows ^ 0x80).view(torch.int8) if signed else rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Geometric means and worst cases of the chosen path, as ratios."""
    auto = [r for r in rows if r["path"] == "auto"]
    convolutions = [r for r in auto if "ViT" not in r["shape"] and "depthwise" not in r["shape"]]
    signed = [r for r in convolutions if r["table"].startswith("mul8s")]
    large = [r for r in auto if r["products"] >= 10_000_000]
    return {
        "signed tables, convolutions: times float32": _told(signed, "of_float32"),
        "signed tables, convolutions: times the scalar loop": _told(signed, "of_scalar_loop"),
        "signed tables, convolutions: times the gather loop": _told(signed, "of_gather_loop"),
        "all tables, 10 M products and more: times float32": _told(large, "of_float32"),
        "all tables, 10 M products and more: times the scalar loop": _told(large, "of_scalar_loop"),
        "by table: times float32": {t: _told([r for r in convolutions if r["table"] == t], "of_float32")["mean"]
                                    for t in dict.fromkeys(r["table"] for r in convolutions)},
    }  # fmt: skip


def _told(rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    if not rows:
        return {"mean": None, "least": None, "at": ""}
    worst = min(rows, key=lambda r: r[key])
    mean = float(np.exp(np.mean([np.log(r[key]) for r in rows])))
    return {"mean": round(mean, 2), "least": round(worst[key], 2), "at": f"{worst['table']}, {worst['shape']}"}


if __name__ == "__main__":
    main()
