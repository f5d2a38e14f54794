"""How far the cost models are off what they can be checked against: writes benchmarks/results/validity.json.

    python benchmarks/validity.py [--shared FOLDER]

Reference rows are in tests/reference. Published chip measurements are other projects' data and are read from a folder
beside this repository; without it their rows keep what the committed result says. docs/hardware.md shows the result.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from axdnn.hardware import array_counts, cycles, read_gemm_csv, sosa_point
from axdnn.hardware.imc import voltage_fit
from axdnn.hardware.technology import cacti_sram
from axdnn.records import write_atomic

ROOT = Path(__file__).resolve().parents[1]
REFERENCE, RESULT = ROOT / "tests" / "reference", ROOT / "benchmarks" / "results" / "validity.json"
WORDS = ("ifmap_reads", "filter_reads", "ofmap_writes")
Found = dict[str, Any]


def rows(name: str) -> list[dict[str, str]]:
    with (REFERENCE / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def row(model: str, against: str, count: int, off: dict[str, float], not_for: str) -> Found:
    return {"model": model, "against": against, "rows": count, "off": off, "not_for": not_for}


def scalesim() -> Found:
    """As products: that the inputs of convolutions overlap matters to DRAM alone, which tests compare."""
    worst = dict.fromkeys(("cycles", "SRAM words", "utilisation"), 0.0)
    told = rows("scalesim_layers")
    for r in told:
        kb, shape = int(r["sram_kB_each"]), f"x,{r['M']},{r['K']},{r['N']}"
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            file.write(f"name,m,k,n\n{shape}\n")
            file.flush()
            layers = read_gemm_csv(file.name)
        c = array_counts(layers, int(r["array_rows"]), int(r["array_cols"]), r["dataflow"], sram_kb=(kb, kb, kb))
        pairs = {
            "cycles": [(c.total_cycles[0], r["total_cycles"])],
            "SRAM words": [(getattr(c, f"sram_{key}")[0], r[f"sram_{key}"]) for key in WORDS],
            "utilisation": [(c.overall_util_pct[0], r["overall_util_pct"])],
        }
        for key, both in pairs.items():
            worst[key] = max(worst[key], *(abs(float(ours) / float(theirs) - 1) for ours, theirs in both))
    return row("systolic array, timing `scalesim3`", "scalesim 3.0.0, ResNet-18", len(told), worst,
               "time of hardware: folds in series, one cycle short, no drain with `os`")  # fmt: skip


def sosa() -> Found:
    told, worst = rows("sosa_analytic"), 0.0
    for r in told:
        point = sosa_point([(1, 1, 1)], int(r["rows"]), int(r["cols"]), int(r["pods"]))
        parts = (point.sram_w, "sram"), (point.mac_w, "mac"), (point.interconnect_w, "ict")
        for ours, key in parts:
            worst = max(worst, abs(ours / float(r[f"power_{key}_W"]) - 1))
    return row("SOSA power (`sosa_point`)", "the authors' formulas at 400 W", len(told), {"power": worst},
               "16-bit sums are theirs: a chip of ours with 32-bit sums moves more")  # fmt: skip


def tpu() -> Found:
    told = [r for r in rows("tpu_v4_gemm_fit") if 2048 <= min(int(r[k]) for k in "mnk") <= 4096]
    off = [
        float(cycles(int(r["m"]), int(r["k"]), int(r["n"]), 128, 128, "ws", "pipelined", 4)) / 1.05e3
        / float(r["fitted_tpu_v4_us"]) - 1 for r in told
    ]  # fmt: skip
    return row("timing `pipelined`, 4 pods of 128 x 128", "a published fit of TPU v4 kernels, 2048 to 4096", len(told),
               {"time": max(map(abs, off))}, "smaller products (fixed costs of a kernel); no proof of TPU v4: "
               "whether one core or two ran is not stated")  # fmt: skip


def macros() -> Found:
    test = module("imc/test_sram_macro")
    worst = 0.0
    for kind in ("aimc", "dimc"):
        mine = [r for r in test.ROWS if r["kind"].lower() == kind]
        macro = test.macro_of(kind, mine)
        for ours, key in ((macro.clock_s * 1e9, "tclk_ns"), (macro.logic_m2 * 1e6, "area_mm2_no_cells"),
                          (macro.cycle_j * 1e12, "E_cycle_pJ"), (macro.mac_j * 1e15, "fJ_per_MAC")):  # fmt: skip
            worst = max(worst, float(np.abs(ours / test.column(key, mine) - 1).max()))
    off = {"clock, area, energy": worst}
    return row("SRAM macro (`sram_macro`)", "zigzag-dse 3.9.1", len(test.ROWS), off, "nodes other than 28 nm")


def memories() -> Found:
    told = rows("cacti_sram")
    off: dict[str, float] = {}
    for r in told:
        if r["banks"] != "1":
            continue
        ours = cacti_sram(1024 * float(r["size_kB"]), float(r["tech_nm"]), int(r["block_bits"]))
        parts = (
            ("read", ours.read_j_b, "read_pJ_per_byte", 1e-12), ("write", ours.write_j_b, "write_pJ_per_byte", 1e-12),
            ("area", ours.area_m2, "area_mm2", 1e-6), ("access", ours.access_s, "access_ns", 1e-9),
        )  # fmt: skip
        for name, value, key, unit in parts:
            off[name] = max(off.get(name, 0.0), abs(float(value) / (float(r[key]) * unit) - 1))
    return row("SRAM (`cacti_sram`)", "CACTI 7 sweep, 22 to 65 nm", len(told), off,
               "below 22 nm (a published 7 nm memory draws 4.3 times as much)")  # fmt: skip


def silicon(shared: Path) -> list[Found]:
    test = module("imc/test_silicon")
    ratios = {
        c: [g / w for g, w in zip(made(), test.silicon(shared, c), strict=True)] for c, made in test.CHIPS.items()
    }
    known = set(ratios) - test.UNKNOWN_SPARSITY
    parts = {
        "energy (4 chips)": max(abs(ratios[c][2] - 1) for c in known),
        "delay (7)": max(abs(r[1] - 1) for r in ratios.values()),
        "area (6)": max(abs(r[0] - 1) for c, r in ratios.items() if c != "AIMC1"),
    }
    off: dict[str, float] = {"delay": 0.0, "energy": 0.0}
    for chip, (macro, share) in test.REGULAR.items():
        energy = sum(float(v) * (share if part in test.SWITCHED else 1) for part, v in macro.energy_j.items())
        _, delay_s, mac_j = test.silicon(shared, chip)
        both = ("delay", float(macro.clock_s / delay_s)), ("energy", energy / float(macro.macs_per_cycle) / mac_j)
        for key, r in both:
            off[key] = max(off[key], r - 1, 1 / r - 1)
    v, value = test.points(shared, "Wang", "efficiency")
    trends = {"energy, Wang": test.spread(1 / value, voltage_fit("wang_c2c").energy(v))}
    v, value = test.points(shared, "Jia", "efficiency_1b")
    trends["energy, Jia"] = test.spread(1 / value, voltage_fit("jia_charge").energy(v))
    fit, worst = voltage_fit("sinangil_sram"), 0.0
    for metric, condition, _ in test.SINANGIL:
        v, value = test.points(shared, "Sinangil", metric, condition)
        worst = max(worst, test.spread(value if metric.startswith("energy") else 1 / value, fit.energy(v)))
    trends["energy, Sinangil"] = worst
    return [
        row("parts of SRAM macros, a chip's structure given", "published chips", 7, parts, "chips of unknown sparsity"),
        row("SRAM macro from sizes and activity alone", "published chips", 4, off, "absolute figures of one chip"),
        row("voltage fits of in-memory macros", "published chips", 3, trends, "voltages outside those measured"),
    ]


def module(name: str) -> ModuleType:
    """A test file, whose checks these are."""
    spec = importlib.util.spec_from_file_location(name.replace("/", "_"), ROOT / "tests" / "hardware" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    args = parser.parse_args()
    checks: tuple[Callable[[], Found], ...] = (scalesim, sosa, tpu, macros, memories)
    found = [check() for check in checks]
    if (args.shared / "reference" / "cim_silicon_refs.csv").exists():
        found += silicon(args.shared)
    else:
        found += json.loads(RESULT.read_text())["checked"][len(checks) :]
    for one in found:
        one["off"] = {key: float(value) for key, value in one["off"].items()}
        print(one["model"], one["off"])
    write_atomic(RESULT, json.dumps({"checked": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
