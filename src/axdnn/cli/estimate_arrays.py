"""`axdnn estimate --gemm-csv` and `--topology-csv`: counts of one systolic array for layers from a file."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axdnn.cli.console import Format, show_json, show_table

if TYPE_CHECKING:
    from axdnn.hardware import GemmLayers

GEMM_HELP = "Matrix products from a CSV file with columns name,m,k,n[,groups], on one systolic array; no --model."
TOPOLOGY_HELP = "Convolutions from a topology of SCALE-Sim (no padding), on one systolic array; no --model."
DATAFLOW_HELP = "What stays in the array: ws (weights; default), os (outputs), is (inputs)."
ARRAY_HELP = "Rows x columns of the array, e.g. 32x32; default 128x128."
TIMING_HELP = "scalesim3 (default; what scalesim 3.0.0 prints), paper, pipelined, sosa or sosa_cold."
SRAM_HELP = "kB of each buffer: one number, or ifmap,filter,ofmap; default 256."
PODS_HELP = "Arrays that share the tiles of a product, with pipelined and sosa; default 1."
SHOWN = (
    ("M", "M"), ("K", "K"), ("N", "N"), ("groups", "groups"), ("folds", "folds"), ("total_cycles", "cycles"),
    ("overall_util_pct", "util. %"), ("mapping_eff_pct", "mapping %"), ("sram_ifmap_reads", "ifmap reads"),
    ("sram_filter_reads", "filter reads"), ("sram_ofmap_writes", "ofmap writes"),
    ("dram_ifmap_reads", "DRAM ifmap"), ("dram_filter_reads", "DRAM filter"), ("dram_ofmap_writes", "DRAM ofmap"),
)  # fmt: skip
UNSUMMED = ("M", "K", "N", "groups", "overall_util_pct", "mapping_eff_pct")


def array_estimate(
    gemm_csv: Path | None,
    topology_csv: Path | None,
    dataflow: str | None,
    array: str | None,
    timing: str | None,
    sram_kb: str | None,
    pods: int | None,
    format: str,
) -> None:
    """Print the counts of every layer of a file.

    Raises:
        InvalidInputError: a faulty file or options, all of them named.
    """
    from axdnn.hardware import array_counts, read_gemm_csv, read_topology_csv
    from axdnn.records import InvalidInputError

    if gemm_csv is not None and topology_csv is not None:
        raise InvalidInputError("give --gemm-csv or --topology-csv, not both")
    faults: list[str] = []

    def taken(read: Callable[..., Any], *given: Any) -> Any:
        """What `read` makes of an option or file; what is wrong with it is noted."""
        try:
            return read(*given)
        except InvalidInputError as error:
            faults.append(str(error))
            return None

    flow, form = taken(_one_of, "--dataflow", dataflow or "ws"), taken(_one_of, "--timing", timing or "scalesim3")
    size = taken(_array, array or "128x128")
    buffers = taken(_buffers, sram_kb or "256")
    layers = taken(read_gemm_csv, gemm_csv) if gemm_csv is not None else taken(read_topology_csv, topology_csv)
    if faults:
        raise InvalidInputError("; ".join(faults))
    rows, columns = size
    counts = array_counts(layers, rows, columns, flow, form, buffers, 1 if pods is None else pods)
    fixed = {
        "dataflow": flow, "timing": form, "array_rows": rows, "array_cols": columns, "pods": pods or 1,
        "sram_kB_each": buffers[0] if len(set(buffers)) == 1 else None,
        **dict(zip(("sram_ifmap_kB", "sram_filter_kB", "sram_ofmap_kB"), buffers, strict=True)),
    }  # fmt: skip
    found = [
        {**shape, **fixed, **{key: values[i].item() for key, values in counts._asdict().items()}}
        for i, shape in enumerate(_shapes(layers))
    ]
    if format == "json":
        show_json({"layers": found})
    elif format == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
        sys.stdout.write(text.getvalue())
    else:
        _show(found)


def _shapes(layers: GemmLayers) -> list[dict[str, Any]]:
    keys = ("M", "K", "N", "groups")
    sizes = zip(layers.m.tolist(), layers.k.tolist(), layers.n.tolist(), layers.groups.tolist(), strict=True)
    return [{"name": name, **dict(zip(keys, row, strict=True))} for name, row in zip(layers.names, sizes, strict=True)]


def _show(found: list[dict[str, Any]]) -> None:
    from axdnn.report import Column, Table

    def kind(key: str) -> Any:
        return "number" if key.endswith("_pct") else "count"

    columns = (Column("name", "layer"), *(Column(key, head, kind(key), digits=4) for key, head in SHOWN))
    cells = tuple((row["name"], *(row[key] for key, _ in SHOWN)) for row in found)
    sums = tuple(None if key in UNSUMMED else sum(row[key] for row in found) for key, _ in SHOWN)
    one = found[0]
    sram = ", ".join(f"{key} {one[f'sram_{key}_kB']}" for key in ("ifmap", "filter", "ofmap"))
    title = f"{one['array_rows']}x{one['array_cols']} array, {one['dataflow']}, timing {one['timing']}"
    notes = (f"Buffers in kB: {sram}. Words of one byte; memories are never waited for.",)
    show_table(Table(title, columns, cells, notes, ("all layers", *sums)), Format.table)


def _one_of(option: str, value: str) -> str:
    from typing import get_args

    from axdnn.hardware import Dataflow, Timing
    from axdnn.records import InvalidInputError

    allowed = get_args(Dataflow if option == "--dataflow" else Timing)
    if value not in allowed:
        raise InvalidInputError(f"{option} must be one of {', '.join(allowed)}, but got {value!r}")
    return value


def _array(text: str) -> tuple[int, int]:
    from axdnn.records import InvalidInputError

    found = re.fullmatch(r"([0-9]{1,9})[xX]([0-9]{1,9})", text.strip())
    if not found:
        raise InvalidInputError(f"--array must be ROWSxCOLUMNS, e.g. 32x32, but got {text!r}")
    return int(found[1]), int(found[2])


def _buffers(text: str) -> tuple[int, int, int]:
    from axdnn.records import InvalidInputError

    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (1, 3) or not all(re.fullmatch(r"[0-9]{1,12}", part) for part in parts):
        raise InvalidInputError(f"--sram-kb must be one whole number or three, ifmap,filter,ofmap, but got {text!r}")
    ifmap, filters, ofmap = (int(part) for part in (parts * 3)[:3])
    return ifmap, filters, ofmap
