"""`axdnn estimate` with sweeps, explanations, batches and machines of other kinds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from axdnn.hardware import load_machine
from axdnn.models import load_model
from axdnn.multipliers import load_multiplier
from axdnn.quant import capture, fold_batch_norm, network_of
from axdnn.records import Assignment, Sweep, from_json

Command = Callable[..., Any]


def test_a_sweep_is_printed_and_drawn(axdnn: Command, tmp_path: Path) -> None:
    asked = ("estimate", "--model", "lenet5", "--sweep", "array=16x16,32x32", "--sweep", "pods=1,2,4")
    done = axdnn(*asked, "--output", tmp_path / "points.png")
    assert done.code == 0
    assert "of 6 points are best" in done.out
    assert (tmp_path / "points.png").read_bytes()[:4] == b"\x89PNG"
    assert done.err.strip().endswith("points.png")
    record = from_json(Sweep, axdnn(*asked, "--format", "json").out)
    assert len(record.points) == 6
    rows = list(csv.DictReader(io.StringIO(axdnn(*asked, "--format", "csv").out)))
    assert [float(r["energy_j"]) for r in rows] == [p.energy_j for p in record.points]
    assert [float(r["array.pods"]) for r in rows] == [p.values["array.pods"] for p in record.points]


def test_a_point_is_the_estimate_of_that_chip(axdnn: Command) -> None:
    done = axdnn("estimate", "--model", "lenet5", "--multiplier", "mul8s_1L2N", "--sweep", "pods=8", "--batch", "4",
                 "--format", "json")  # fmt: skip
    alone = axdnn("estimate", "--model", "lenet5", "--multiplier", "mul8s_1L2N", "--batch", "4", "--format", "json")
    (point,), report = from_json(Sweep, done.out).points, json.loads(alone.out)
    assert point.energy_j == pytest.approx(report["energy_j"])
    assert point.latency_s == pytest.approx(report["latency_s"])
    assert report["batch"] == 4


def test_a_layer_is_explained(axdnn: Command) -> None:
    told = json.loads(axdnn("estimate", "--model", "lenet5", "--explain", "conv2", "--format", "json").out)
    report = json.loads(axdnn("estimate", "--model", "lenet5", "--format", "json").out)
    (layer,) = (x for x in report["layers"] if x["layer"] == "conv2")
    assert {p["name"]: p["value"] for p in told} == {**layer["energy_j"], "cycles": layer["cycles"]}
    assert "Jouppi" in told[0]["inputs"]["multiply_j"]["source"]
    shown = axdnn("estimate", "--model", "lenet5", "--explain", "conv2").out
    assert "conv2, dram:" in shown
    chip = json.loads(axdnn("estimate", "--model", "lenet5", "--explain", "chip", "--format", "json").out)
    assert {p["name"].removeprefix("area: "): p["value"] for p in chip if p["unit"] == "m2"} == report[
        "area_breakdown_m2"
    ]
    assert "HBM2" in shown
    in_memory = axdnn("estimate", "--model", "lenet5", "--accelerator", "isaac", "--explain", "conv2").out
    assert "conv2, adc:" in in_memory
    assert "= conversions * convert_j" in in_memory
    for layer, said in (("conv2", "conv2 on npu, dram:"), ("fc1", "fc1 on cim, cells:")):
        assert said in axdnn("estimate", "--model", "lenet5", "--accelerator", "npu_cim", "--explain", layer).out


def test_a_layer_at_a_lowered_clock_is_explained(axdnn: Command) -> None:
    given = ("estimate", "--model", "lenet5", "--accelerator", "edge_16x16", "--multiplier", "mul8s_1KVA@v2022",
             "--delay-limits-clock", "--format", "json")  # fmt: skip
    told = {p["name"]: p for p in json.loads(axdnn(*given, "--explain", "conv2").out)}
    (layer,) = (x for x in json.loads(axdnn(*given).out)["layers"] if x["layer"] == "conv2")
    assert {name: p["value"] for name, p in told.items()} == {**layer["energy_j"], "cycles": layer["cycles"]}
    clock = told["static"]["inputs"]["clock_hz"]
    assert clock["value"] == pytest.approx(layer["cycles"] / layer["latency_s"])
    assert clock["value"] < 500e6
    assert "for mul8s_1KVA@v2022, slower than the exact circuit" in clock["source"]


@pytest.mark.parametrize("name", ["isaac", "sram_cim", "npu_cim"])
def test_what_is_explained_is_the_report_of_chips_without_pods(axdnn: Command, name: str) -> None:
    asked = ("estimate", "--model", "lenet5", "--accelerator", name, "--batch", "2", "--format", "json")
    report = json.loads(axdnn(*asked).out)
    for layer in report["layers"]:
        told = json.loads(axdnn(*asked, "--explain", layer["layer"]).out)
        assert {p["name"]: p["value"] for p in told} == {**layer["energy_j"], "latency": layer["latency_s"]}
    chip = json.loads(axdnn(*asked, "--explain", "chip").out)
    assert {p["name"]: p["value"] for p in chip} == {
        **{f"area: {part}": value for part, value in report["area_breakdown_m2"].items()},
        **{f"memory: {part}": value for part, value in report["memory_breakdown_bytes"].items()},
    }


def test_a_multiplier_in_the_pods_of_a_system(axdnn: Command) -> None:
    """It prices the layers on systolic cores, those in memory have none; the explanation is of the same circuit."""
    asked = ("estimate", "--model", "lenet5", "--accelerator", "npu_cim", "--format", "json")
    exact, cheap = (json.loads(axdnn(*asked, *more).out) for more in ((), ("--multiplier", "mul8s_1L2N")))
    network = network_of(
        fold_batch_norm(capture(load_model("lenet5", "mnist").model, torch.zeros(1, 1, 28, 28))), "lenet5"
    )
    given = Assignment(multipliers=dict.fromkeys(network.layer_names, "mul8s_1L2N"))
    report = load_machine("npu_cim").cost(network, given, multipliers={"mul8s_1L2N": load_multiplier("mul8s_1L2N")})
    assert cheap["energy_j"] == report.energy_j < exact["energy_j"]
    cores = {layer["layer"]: layer["bound"] for layer in cheap["layers"]}
    assert set(cores.values()) == {"npu", "cim"}
    for before, after in zip(exact["layers"], cheap["layers"], strict=True):
        spent = [layer["energy_j"].get("multiplier", 0.0) for layer in (before, after)]
        assert spent[1] < spent[0] if after["bound"] == "npu" else spent == [0.0, 0.0]
    told = json.loads(axdnn(*asked, "--multiplier", "mul8s_1L2N", "--explain", "conv2").out)
    (layer,) = (x for x in cheap["layers"] if x["layer"] == "conv2")
    assert {p["name"]: p["value"] for p in told} == {**layer["energy_j"], "latency": layer["latency_s"]}


@pytest.mark.parametrize("name", ["isaac", "neurram", "sram_cim", "npu_cim", "eyeriss_like", "tpu_v3"])
def test_every_kind_of_machine(axdnn: Command, name: str) -> None:
    report = json.loads(axdnn("estimate", "--model", "lenet5", "--accelerator", name, "--format", "json").out)
    assert report["accelerator"] == name
    assert sum(sum(x["energy_j"].values()) for x in report["layers"]) == pytest.approx(report["energy_j"])
    assert axdnn("estimate", "--model", "lenet5", "--accelerator", name).out.startswith(f"lenet5 on {name}")
    assert name in axdnn("accelerators", "show", name).out


@pytest.mark.parametrize(("arguments", "said"), [
    (("--sweep", "pods"), "--sweep must be KEY=VALUE"),
    (("--sweep", "pods=1,,2"), "--sweep must be KEY=VALUE"),
    (("--sweep", "pods=1", "--sweep", "pods=2"), "--sweep pods stands twice"),
    (("--sweep", "pod=1"), "unknown parameter 'pod'"),
    (("--sweep", "pods=0"), "`array.pods`.value must be a whole number in 1..512"),
    (("--sweep", "pods=1", "--output", "x.pdf"), "--output must end in .png, .csv or .json"),
    (("--output", "x.png"), "--output goes with --sweep"),
    (("--sweep", "pods=1", "--explain", "conv2"), "--explain must be left out beside --sweep"),
    (("--explain", "conv9"), "conv2"),
    (("--sweep", "pods=1", "--cost-model", "paper_literal"), "--sweep and --explain are for --cost-model streaming"),
    (("--accelerator", "isaac", "--multiplier", "mul8s_1L2N"), "--multiplier must be left out beside --accelerator"),
    (("--accelerator", "isaac", "--sweep", "pods=1"), "--sweep must be left out beside --accelerator isaac"),
    (("--format", "csv"), "--format csv goes with --gemm-csv, --topology-csv or --sweep"),
    (("--batch", "2", "--cost-model", "paper_literal"), "--batch is for --cost-model streaming"),
    (("--accelerator", "isaac", "--delay-limits-clock"), "--delay-limits-clock must be left out beside --accelerator"),
    (("--accelerator", "npu_cim", "--delay-limits-clock"), "--delay-limits-clock must be left out beside"),
    (("--sweep", "pods=1", "--delay-limits-clock"), "--delay-limits-clock must be left out beside --sweep"),
    (("--voltage", "0.8", "--delay-limits-clock", "--cost-model", "paper_literal"),
     "--delay-limits-clock, --voltage must be left out beside --cost-model paper_literal"),
    (("--explain", "chip", "--reading", "ideal"), "--reading must be buildable beside --explain chip, but got ideal"),
])  # fmt: skip
def test_faults(axdnn: Command, arguments: tuple[str, ...], said: str) -> None:
    done = axdnn("estimate", "--model", "lenet5", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
