"""Speed of exact simulation: every path against torch float32 and against the look-up loops that others use.

    python benchmarks/simulation.py [--quick] [--threads N]     # writes benchmarks/results/simulation[-N-threads].json

One process; interleaved rounds, medians, spread (quarter points). `axdnn bench --full` is the same without the loops,
which need a C++ compiler. Ratios are the result; the absolute figures only order them.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from axdnn import benchmark, kernels
from axdnn.records import write_atomic
from axdnn.report import print_table

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a few layers and tables, nothing written")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    kernels.calibrate(progress)
    selection = benchmark.Selection(rounds=args.rounds) if args.quick else benchmark.Selection.full(args.rounds)
    report = benchmark.measure(selection, args.threads, loops(), progress)
    print_table(benchmark.product_table(report))
    if not args.quick:
        print_table(benchmark.network_table(report))
        if report["speedup"]:
            print_table(benchmark.speedup_table(report))
    print_table(benchmark.target_table(report))
    if not args.quick:
        name = "simulation.json" if args.threads == 1 else f"simulation-{args.threads}-threads.json"
        write_atomic(HERE / "results" / name, json.dumps(report, indent=1) + "\n")


def progress(message: str, done: int, total: int) -> None:
    print(f"{message} {done}/{total}", file=sys.stderr, flush=True)


def loops() -> dict[str, benchmark.Loop]:
    """Compile the look-up loops."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "loops.so"
        source = HERE / "loops" / "loops.cpp"
        subprocess.run(["c++", "-std=c++17", "-O3", "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
        library = ctypes.CDLL(str(target))

    def bound(name: str) -> benchmark.Loop:
        function = getattr(library, name)
        function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 3 + [ctypes.c_void_p]

        def loop(x: torch.Tensor, w: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
            (m, k), n = x.shape, len(w)
            sums = torch.empty(m, n, dtype=torch.int32)
            function(x.data_ptr(), w.data_ptr(), table.data_ptr(), m, k, n, sums.data_ptr())
            return sums

        return loop

    return {name: bound(name) for name in ("scalar_loop", "gather_loop") if hasattr(library, name)}


if __name__ == "__main__":
    main()
