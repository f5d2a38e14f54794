"""`axdnn estimate` of layers from a file, `axdnn accelerators validate`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
REFERENCE = Path(__file__).parents[1] / "reference" / "scalesim_layers.csv"
INTEGERS = (
    "macs", "folds", "total_cycles", "stall_cycles", "sram_ifmap_reads", "sram_filter_reads", "sram_ofmap_writes",
    "dram_filter_reads", "dram_ofmap_writes", "array_rows", "array_cols", "sram_kB_each", "M", "K", "N",
    "usable_words_Cb",
)  # fmt: skip
GEMM = "name,m,k,n\na,841,64,128\nb,1,512,1000\n"


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    path = tmp_path / "layers.csv"
    path.write_text(GEMM)
    return path


def test_the_reference_is_reproduced_from_both_kinds_of_file(axdnn: Command, tmp_path: Path) -> None:
    """One call for each array and dataflow: products in order, and the topology, whose inputs overlap."""
    with REFERENCE.open(newline="") as file:
        told = list(csv.DictReader(file))
    keys = list(dict.fromkeys((r["array_rows"], r["array_cols"], r["dataflow"], r["sram_kB_each"]) for r in told))
    compared = 0
    for rows, columns, flow, kb in keys:
        mine = [r for r in told if (r["array_rows"], r["dataflow"]) == (rows, flow)]
        gemm, topology = tmp_path / "gemm.csv", tmp_path / "topology.csv"
        gemm.write_text("n,name,m,k\n" + "".join(f"{r['N']},l{i},{r['M']},{r['K']}\n" for i, r in enumerate(mine)))
        topology.write_text("".join(f"{r['topology_row']},\n" for r in mine))
        options = ("--array", f"{rows}x{columns}", "--dataflow", flow, "--sram-kb", kb, "--format", "json")
        for option, path in (("--gemm-csv", gemm), ("--topology-csv", topology)):
            done = axdnn("estimate", option, path, *options)
            assert (done.code, done.err) == (0, "")
            found = json.loads(done.out)
            assert list(found) == ["layers"]
            for ours, row in zip(found["layers"], mine, strict=True):
                compared += 1
                for key in INTEGERS:
                    assert type(ours[key]) is int
                    assert ours[key] == int(row[key]), (row, key)
                for key in ("overall_util_pct", "mapping_eff_pct"):
                    assert ours[key] == float(row[key])
                if option == "--topology-csv" and row["ifmap_fits"] == "1":
                    assert ours["dram_ifmap_reads"] == int(row["dram_ifmap_reads"])
    assert compared == 2 * 80


def test_defaults_and_formats_agree(axdnn: Command, layers: Path) -> None:
    plain = axdnn("estimate", "--gemm-csv", layers, "--format", "json")
    said = ("--array", "128x128", "--dataflow", "ws", "--timing", "scalesim3", "--sram-kb", "256,256,256", "--pods", 1)
    assert plain == axdnn("estimate", "--gemm-csv", layers, *said, "--format", "json")
    found = json.loads(plain.out)["layers"]
    assert [row["name"] for row in found] == ["a", "b"]
    rows = list(csv.DictReader(io.StringIO(axdnn("estimate", "--gemm-csv", layers, "--format", "csv").out)))
    assert rows == [{key: str(value) for key, value in row.items()} for row in found]
    table = axdnn("estimate", "--gemm-csv", layers)
    assert table.code == 0
    total = sum(row["total_cycles"] for row in found)
    assert f"{total:,}" in table.out
    assert "128x128 array, ws, timing scalesim3" in table.out


def test_options_reach_the_counts(axdnn: Command, layers: Path) -> None:
    def cycles(*options: object) -> list[int]:
        done = axdnn("estimate", "--gemm-csv", layers, "--array", "32X32", "--format", "json", *options)
        return [row["total_cycles"] for row in json.loads(done.out)["layers"]]

    assert cycles("--timing", "paper") == [2 * 4 * (94 + 841), 16 * 32 * (94 + 1)]
    assert cycles("--timing", "pipelined") == [8 * 841 + 94, 512 * 32 + 94]
    assert cycles("--timing", "sosa") == [8 * 27 * 32, 512 * 32]
    assert cycles("--timing", "sosa", "--pods", 100) == [3 * 32, 6 * 32]
    buffers = axdnn("estimate", "--gemm-csv", layers, "--sram-kb", "1,2,4", "--format", "json")
    first = json.loads(buffers.out)["layers"][0]
    assert [first[key] for key in ("sram_ifmap_kB", "sram_filter_kB", "sram_ofmap_kB")] == [1, 2, 4]
    assert first["sram_kB_each"] is None
    assert first["usable_words_Cb"] == 500


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--dataflow", "xs"), ("--dataflow", "ws, os, is", "'xs'")),
        (("--timing", "scalesim"), ("--timing", "scalesim3, paper, pipelined, sosa, sosa_cold")),
        (("--timing", "sosa", "--dataflow", "os"), ("must be ws", "sosa")),
        (("--array", "32"), ("--array", "32x32", "'32'")),
        (("--array", "0x8"), ("rows", "0")),
        (("--array", "8x99999"), ("columns", "65536")),
        (("--sram-kb", "1,2"), ("--sram-kb", "ifmap,filter,ofmap")),
        (("--sram-kb", "0"), ("sram_kb", "0")),
        (("--sram-kb", "1.5"), ("--sram-kb",)),
        (("--pods", 2), ("`pods` must be 1", "scalesim3", "pipelined")),
        (("--batch", 4), ("--batch", "left out")),
        (("--delay-limits-clock",), ("--delay-limits-clock", "left out")),
        (
            ("--dataflow", "rs", "--timing", "x", "--array", "8", "--sram-kb", "-1"),
            ("--dataflow must", "--timing must", "--array must", "--sram-kb must"),
        ),
        (
            ("--array", "0x99999", "--pods", 2, "--sram-kb", "0"),
            ("`rows` must", "`columns` must", "`sram_kb` must", "`pods` must be 1"),
        ),
        (("--pods", 0, "--timing", "sosa"), ("pods",)),
        (("--topology-csv", "layers.csv"), ("not both",)),
        (("--model", "lenet5"), ("--model", "left out")),
        (("--accelerator", "tpu_v4"), ("--accelerator", "left out")),
        (("--cost-model", "paper_literal"), ("--cost-model",)),
        (("--format", "yaml"), ("table", "json", "csv")),
    ],
)
def test_wrong_options(options: tuple[object, ...], said: tuple[str, ...], axdnn: Command, layers: Path) -> None:
    refused(axdnn("estimate", "--gemm-csv", layers, *options), *said)


def refused(done: Any, *said: str) -> None:
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert all(word in done.err for word in said), done.err


def test_faults_of_a_file_come_together(axdnn: Command, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("name,m,k,n\na,0,1,1\nb,1,x,1\n,1,1,4294967296\n")
    refused(axdnn("estimate", "--gemm-csv", path), "bad.csv", "line 2: `m`", "line 3: `k`", "line 4: `n`", "`name`")
    refused(axdnn("estimate", "--gemm-csv", path, "--dataflow", "rs"), "--dataflow must be", "line 2: `m`")
    refused(axdnn("estimate", "--gemm-csv", tmp_path / "absent.csv"), "absent.csv")


def test_options_of_the_other_kind(axdnn: Command) -> None:
    refused(axdnn("estimate"), "--model, --gemm-csv or --topology-csv must be given")
    for option, value in (("--dataflow", "ws"), ("--array", "8x8"), ("--timing", "paper"), ("--sram-kb", "1")):
        refused(axdnn("estimate", "--model", "lenet5", option, value), option, "--gemm-csv")
    refused(axdnn("estimate", "--model", "lenet5", "--format", "csv"), "csv", "--gemm-csv")


def test_validate(axdnn: Command, tmp_path: Path) -> None:
    text = (resources.files("axdnn.hardware") / "designs" / "tpu_v4.yaml").read_text(encoding="utf-8")
    good, bad, text_file = tmp_path / "good.yaml", tmp_path / "bad.yaml", tmp_path / "notes.txt"
    good.write_text(text)
    text_file.write_text(text)
    bad.write_text(text.replace("pods:", "pds:").replace("unit: GB/s", "unit: GB"))
    fine = axdnn("accelerators", "validate", good, text_file)
    assert (fine.code, fine.err) == (0, "")
    assert fine.out.splitlines()[0] == f"{good}: valid (tpu_v4: 8 pods of 128 x 128)"
    done = axdnn("accelerators", "validate", good, bad, tmp_path / "absent.yaml")
    assert done.code == 2
    assert done.out.splitlines() == fine.out.splitlines()[:1]
    lines = done.err.splitlines()
    assert len(lines) == 2 + text.count("unit: GB/s") + 1
    assert all(line.startswith("error: ") and ".yaml" in line for line in lines)
    assert any("`array.pods` is missing" in line for line in lines)
    assert any("unknown key `array.pds`; allowed here: pods, rows" in line for line in lines)
    assert any("unit must be one of B/s, GB/s, but got 'GB'" in line for line in lines)
    assert "absent.yaml" in lines[-1]
    assert axdnn("accelerators", "validate").code == 2
