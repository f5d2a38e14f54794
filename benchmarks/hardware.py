"""Closed forms of the hardware models against the tool that they reproduce: speed, and whether the counts are equal.

    OMP_NUM_THREADS=1 python benchmarks/hardware.py [--scalesim PYTHON]

A layer-configuration is a layer on an array in a dataflow. Times cycles, buffer and DRAM words of a few small layers on
a few arrays, repeated in NumPy arrays so that a call has many of them; the median of some runs. Then the whole models,
with stalls, network, energy and area. With `--scalesim`, the Python of an environment that has scalesim 3.0.0 (and
numpy below 2.4, which it needs), that tool runs the same layers once: its time without starting Python, and in how many
rows each column of its reports differs from the closed forms. The tool's time grows with the layer, the closed forms'
does not. Writes benchmarks/results/hardware.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from axdnn.hardware import (
    Chips,
    array_counts,
    buffer_accesses,
    cycles,
    flushed_words,
    layer_arrays,
    load_accelerator,
    price_chips,
    read_topology_csv,
)
from axdnn.hardware.imc import imc_cost, load_imc_chip
from axdnn.hardware.mapping import Problem, sequential_many
from axdnn.models.machine import processor
from axdnn.multipliers import load_multiplier
from axdnn.records import Layer, Network, write_atomic

RESULTS = Path(__file__).parent / "results" / "hardware.json"
FLOWS = ("os", "ws", "is")
# name, ifmap height and width, filter height and width, channels, filters, stride: without padding
LAYERS = (
    "late,6,6,3,3,128,128,1", "small,14,14,3,3,16,40,1", "strided,28,28,1,1,64,128,2", "first,24,20,5,3,3,20,1",
    "gemm,96,200,1,200,1,96,1", "narrow,300,40,1,40,1,7,1", "vector,1,512,1,512,1,250,1",
)  # fmt: skip
ARRAYS = ((8, 8, 1), (16, 12, 2), (32, 32, 8), (7, 5, 3))  # rows, columns, kB of each buffer
SCALESIM = """
import csv, io, json, sys, time, contextlib, pathlib
from scalesim.scale_sim import scalesim
folder = pathlib.Path(sys.argv[1])
found = {}
for run in sorted(p.name for p in folder.glob('*.cfg')):
    name = run.removesuffix('.cfg')
    with contextlib.redirect_stdout(io.StringIO()):
        sim = scalesim(save_disk_space=True, verbose=False, config=str(folder / run),
                       topology=str(folder / 'layers.csv'), layout=str(folder / 'layout.csv'))
        began = time.perf_counter()
        sim.run_scale(top_path=str(folder))
        seconds = time.perf_counter() - began
    reports = [list(csv.DictReader((folder / name / f).open(), skipinitialspace=True))
               for f in ('COMPUTE_REPORT.csv', 'DETAILED_ACCESS_REPORT.csv')]
    found[name] = {'seconds': seconds, 'layers': [{**a, **b} for a, b in zip(*reports)]}
print(json.dumps(found))
"""
CONFIG = """[general]
run_name = {name}
[run_presets]
InterfaceBandwidth = CALC
UseRamulatorTrace = False
[architecture_presets]
ArrayHeight = {rows}
ArrayWidth = {columns}
IfmapSramSzkB = {kb}
FilterSramSzkB = {kb}
OfmapSramSzkB = {kb}
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Dataflow = {flow}
ReadRequestBuffer = 32
WriteRequestBuffer = 32
Bandwidth = 10
[layout]
IfmapCustomLayout = False
FilterCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
"""
COLUMNS = {
    "total_cycles": "Total Cycles", "stall_cycles": "Stall Cycles", "overall_util_pct": "Overall Util %",
    "mapping_eff_pct": "Mapping Efficiency %", "sram_ifmap_reads": "SRAM IFMAP Reads",
    "sram_filter_reads": "SRAM Filter Reads", "sram_ofmap_writes": "SRAM OFMAP Writes",
    "dram_ifmap_reads": "DRAM IFMAP Reads", "dram_filter_reads": "DRAM Filter Reads",
    "dram_ofmap_writes": "DRAM OFMAP Writes",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configurations", type=int, default=300_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scalesim", metavar="PYTHON", help="Python of an environment with scalesim 3.0.0")
    parser.add_argument("--counts", type=Path, help="write the tool's counts into this CSV as well")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    report: dict[str, Any] = {
        "machine": {"processor": processor(), "python": platform.python_version(), "numpy": np.__version__},
        "closed_forms": closed_forms(args.configurations, args.repeats),
        "whole_models": whole_models(args.configurations, args.repeats),
    }
    if args.scalesim:
        report["scalesim"] = tool(args.scalesim, args.counts)
        rates = report["closed_forms"]["layer_configurations_s"], report["scalesim"]["layer_configurations_s"]
        report["ratio"] = rates[0] / rates[1]
        report["ratio_of_whole_model"] = report["whole_models"]["systolic_s"] / rates[1]
    for name, value in report.items():
        print(f"{name}: {value}", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(args.out, json.dumps(report, indent=1) + "\n")


def closed_forms(count: int, repeats: int) -> dict[str, Any]:
    """Layer-configurations a second, of the layers and arrays below over and over, in one process."""
    with tempfile.TemporaryDirectory() as name:
        layers = read_topology_csv(topology(Path(name)))
    times = max(count // (len(FLOWS) * len(LAYERS) * len(ARRAYS)), 1)
    m, k, n, distinct = (
        np.tile(np.repeat(x, len(ARRAYS)), times) for x in (layers.m, layers.k, layers.n, layers.distinct_inputs)
    )
    rows, columns, kb = (np.tile(x, times * len(LAYERS)) for x in np.array(ARRAYS).T)
    size = 1024 * kb

    def all_counts() -> None:
        for flow in FLOWS:
            cycles(m, k, n, rows, columns, flow, "scalesim3")
            buffer_accesses(m, k, n, rows, columns, flow, scalesim_slip=True)
            flushed_words(m, k, n, rows, columns, flow, size, size, size, distinct)

    def only_cycles() -> None:
        for flow in FLOWS:
            cycles(m, k, n, rows, columns, flow, "scalesim3")

    done = len(m) * len(FLOWS)
    return {
        "layer_configurations": done,
        "layer_configurations_s": done / seconds(all_counts, repeats),
        "cycles_alone_s": done / seconds(only_cycles, repeats),
    }


def whole_models(count: int, repeats: int) -> dict[str, float]:
    """Configurations a second of the models with stalls, network, energy and area, through the public calls.

    A systolic configuration is a layer on a chip; an in-memory one a layer on a chip of macros; a mapping is a network
    of 20 layers on 3 cores.
    """
    rng = np.random.default_rng(0)
    shapes = rng.integers(1, (4000, 2000, 500), (20, 3))
    layers = tuple(
        Layer(name=f"l{i}", kind="linear", m=m, k=k, n=n, input_words=m * k, output_words=m * n, in_shape=(k,),
              out_shape=(n,)) for i, (m, k, n) in enumerate(shapes.tolist())
    )  # fmt: skip
    network, exact = Network(name="random", layers=layers), load_multiplier("exact")
    chips = max(count // len(layers), 1)
    varied = Chips.varied(
        load_accelerator("tpu_v4"), rows=rng.integers(8, 256, chips), columns=rng.integers(8, 256, chips),
        pods=rng.integers(1, 9, chips), dram_bandwidth_b_s=rng.uniform(1e11, 2e12, chips),
    )  # fmt: skip
    arrays, cim = layer_arrays(network), load_imc_chip("sram_cim")
    macros = {"rows": 2.0 ** rng.integers(5, 9, chips), "vdd_v": rng.uniform(0.7, 0.9, chips)}
    latency, energy = rng.uniform(1, 2, (2, chips, 20, 3))
    problem = Problem(latency_s=latency[0], energy_j=energy[0], edge_bytes=1e3, link_bandwidth_b_s=1e9)
    return {
        "systolic_s": chips * 20 / seconds(lambda: price_chips(arrays, varied, exact), repeats),
        "in_memory_s": chips * 20 / seconds(lambda: imc_cost(network, cim, vary=macros), repeats),
        "mapped_networks_s": chips / seconds(lambda: sequential_many(problem, latency, energy, "energy"), repeats),
    }


def topology(folder: Path) -> Path:
    """Write the layers as the tool reads them."""
    path = folder / "layers.csv"
    head = "name,ifmap_h,ifmap_w,filt_h,filt_w,channels,filters,stride,\n"
    path.write_text(head + "".join(f"{layer},\n" for layer in LAYERS))
    return path


def seconds(function: Callable[[], None], repeats: int) -> float:
    """Median wall time of some runs after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return median(times[1:])


def tool(python: str, counts: Path | None) -> dict[str, Any]:
    """Run scalesim on the layers, and compare its reports with the closed forms."""
    runs = {f"{flow}_{r}x{c}_{kb}": (flow, r, c, kb) for flow in FLOWS for r, c, kb in ARRAYS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        layers = read_topology_csv(topology(folder))
        (folder / "layout.csv").write_text("name,\n")
        for run, (flow, r, c, kb) in runs.items():
            config = CONFIG.format(name=run, rows=r, columns=c, kb=kb, flow=flow)
            (folder / f"{run}.cfg").write_text(config)
        done = subprocess.run(
            [python, "-c", SCALESIM, name], capture_output=True, text=True, check=False, cwd=name
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"scalesim failed: {done.stderr[-2000:]}")
        found = json.loads(done.stdout.splitlines()[-1])
    differ = dict.fromkeys(COLUMNS, 0)
    rows = []
    for run, (flow, r, c, kb) in runs.items():
        ours = array_counts(layers, r, c, flow, "scalesim3", (kb, kb, kb))  # type: ignore[arg-type]
        for i, theirs in enumerate(found[run]["layers"]):
            values = {key: float(theirs[column]) for key, column in COLUMNS.items()}
            for key, value in values.items():
                differ[key] += bool(abs(getattr(ours, key)[i] - value) > 1e-12 * abs(value))
            numbers = {key: v if key.endswith("_pct") else int(v) for key, v in values.items()}
            rows.append({"topology_row": LAYERS[i], "dataflow": flow, "array_rows": r, "array_cols": c,
                         "sram_kB_each": kb, **numbers})  # fmt: skip
    if counts:
        counts.write_text("".join(f"{line}\n" for line in table(rows)))
    total = sum(run["seconds"] for run in found.values())
    return {"version": "3.0.0", "layer_configurations": len(rows), "layer_configurations_s": len(rows) / total,
            "rows_that_differ": differ}  # fmt: skip


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Lines of a CSV; topology rows are quoted."""
    cells = ([f'"{v}"' if isinstance(v, str) and "," in v else repr(v).strip("'") for v in r.values()] for r in rows)
    return [",".join(rows[0]), *(",".join(row) for row in cells)]


if __name__ == "__main__":
    main()
