"""The computed parts of docs/hardware.md, from benchmarks/results/validity.json and hardware.json, and the designs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from axdnn.hardware import list_machines, load_machine
from axdnn.hardware.technology import TABLES, parameters

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
ENUMERATED = (
    ("dataflows `ws`, `os`, `is`: tiles and words", "a walk over tiles", "0", "-"),
    ("DRAM words, flush-when-full", "a literal replica of scalesim's buffers, and its rows",
     "0 for weights, outputs, products and inputs that fit", "inputs of convolutions that do not fit (up to 138 % off)"),
    ("many chips at a time (`price_chips`, `sweep`)", "`estimate` of each chip", "rounding", "chips with exact rows"),
    ("allocation of pods to multipliers", "enumeration", "0", "-"),
    ("networks on chip: hops, sharing of links", "enumeration of small networks", "0",
     "queueing; comparing areas of kinds"),
    ("banks of arrays: area, static power, which array runs a layer", "one-pod chips; enumeration of all routings", "1e-9",
     "energy of the network between memories and arrays (not priced)"),
    ("operator counts", "literal algorithms; torch's own calls on 4 networks", "0", "border windows of padded pools"),
    (
        "operator counts of ONNX files", "the captured torch model, 7 exported networks", "0",
        "what an exporter writes out counts as its parts",
    ),
    ("vector unit", "a scalar walk (no hardware)", "1 cycle", "absolute energy of softmax and norms (0.1 to 5 x)"),
    ("in-memory counts", "a literal loop", "0", "-"),
    ("bit-true sums in memory", "the integer product, with lossless converters", "0", "wire resistance, drift"),
    ("mapping to cores, in series", "enumeration of all mappings", "1e-9", "transfers that overlap computing"),
    ("mapping to cores, pipelined", "enumeration; a written-out DP", "1e-8",
     "links with contention; beyond 20 layers read the gap that it states"),
    ("`isaac`", "published powers of its parts (chip figures are quoted from memory)", "8 % (power of parts)",
     "cell physics, writes"),
    ("`neurram`, `sram_cim`, `npu_cim`, `tpu_v3_bank`, `eyeriss_like`, `edge_16x16`", "nothing at chip level", "unknown",
     "comparison with silicon"),
)  # fmt: skip


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ("---",) * len(heads), *rows))


def _load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())


def validity() -> str:
    """Return models against references, and how far they are off."""
    rows = []
    for one in _load("validity")["checked"]:
        off = ", ".join(f"{key} {_off(value)}" for key, value in one["off"].items())
        rows.append((one["model"], f"{one['against']} ({one['rows']})", off, one["not_for"]))
    return _table(("model", "checked against", "worst deviation", "not for"), rows)


def _off(value: float) -> str:
    return "0" if value == 0 else f"{100 * value:.1g} %" if value < 0.01 else f"{100 * value:.0f} %"


def enumerated() -> str:
    """Return models that tests compare with something slower or more literal."""
    return _table(("model", "checked against", "worst deviation", "not for"), list(ENUMERATED))


def speed() -> str:
    """Return configurations a second."""
    report = _load("hardware")
    whole, forms, tool = report["whole_models"], report["closed_forms"], report["scalesim"]
    rows = [
        ("cycles, buffer and DRAM words of an array", f"{forms['layer_configurations_s'] / 1e6:.1f} M layers"),
        ("cycles alone", f"{forms['cycles_alone_s'] / 1e6:.0f} M layers"),
        ("whole systolic model: stalls, network, energy, area", f"{whole['systolic_s'] / 1e6:.1f} M layers"),
        ("whole in-memory model", f"{whole['in_memory_s'] / 1e6:.1f} M layers"),
        ("mapping of 20 layers to 3 cores", f"{whole['mapped_networks_s'] / 1e3:.0f} k networks"),
    ]
    return (
        f"{_table(('model', 'a second, one core'), rows)}\n\n"
        f"scalesim {tool['version']} in the same run, on {tool['layer_configurations']} small layers: the closed forms of its "
        f"counts are {report['ratio']:.1e} times as fast, the whole systolic model {report['ratio_of_whole_model']:.1e} times. "
        "The tool's time grows with the layer, ours does not."
    )


def machines() -> str:
    """Return all machines that ship."""
    rows = [(f"`{name}`", kind, load_machine(name).description) for name, kind in list_machines().items()]
    return _table(("name", "kind", "what it is"), rows)


def library() -> str:
    """Return how many parameters the technology library has, by trust."""
    rows = parameters()
    counts = {trust: sum(row.trust == trust for row in rows) for trust in ("run", "source", "memory", "assumption")}
    return (
        f"The technology library holds {len(rows)} more numbers in {len(TABLES)} tables: {counts['run']} computed by us "
        f"from measurements, {counts['source']} read in a named source, {counts['memory']} quoted from memory and "
        f"{counts['assumption']} labelled assumptions."
    )


BLOCKS = {"validity": validity, "validity_enumerated": enumerated, "hardware_speed": speed, "machines": machines,
          "technology": library}  # fmt: skip
