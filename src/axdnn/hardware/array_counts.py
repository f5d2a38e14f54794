"""What one array does for a list of layers: cycles, buffer and DRAM words, under SCALE-Sim's names.

The groups of a layer are products one after another, each a layer of its own: all counts are those of one product times
the groups. Under `scalesim3` every product is one cycle short, as the tool prints it, so that many groups are that many
cycles short; buffers are cold at the start of each.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.hardware.dram import buffered_words, flushed_words, usable_words
from axdnn.hardware.layer_files import GemmLayers
from axdnn.hardware.systolic import SHARED_TIMINGS, Dataflow, Ints, Timing, buffer_accesses, cycles, place
from axdnn.records.errors import InvalidInputError

MOST_PRODUCTS = 2**53
"""MACs of one layer: below it no count overflows 64 bits, and doubles and JSON hold each of them exactly."""
LARGEST_ARRAY = 2**16
LARGEST_SRAM_KB = 2**31
SRAM_KB = (256, 256, 256)
Floats = npt.NDArray[np.float64]


class ArrayCounts(NamedTuple):
    """Counts by layer, shape `(L,)`; the names are the columns of SCALE-Sim's reports.

    Attributes:
        macs: products.
        folds: tiles.
        total_cycles: of all groups.
        stall_cycles: 0, memories are never waited for.
        overall_util_pct: MACs / (cycles x elements), percent.
        mapping_eff_pct: elements that hold something / elements of all tiles, percent.
        sram_ifmap_reads, sram_filter_reads, sram_ofmap_writes: words between buffers and array.
        dram_ifmap_reads, dram_filter_reads, dram_ofmap_writes: words between DRAM and buffers.
        ifmap_words_touched: different input values.
        usable_words_Cb: words of the ifmap buffer that serve.
        ifmap_fits: 1 where the input values of a product fit into these.
    """

    macs: Ints
    folds: Ints
    total_cycles: Ints
    stall_cycles: Ints
    overall_util_pct: Floats
    mapping_eff_pct: Floats
    sram_ifmap_reads: Ints
    sram_filter_reads: Ints
    sram_ofmap_writes: Ints
    dram_ifmap_reads: Ints
    dram_filter_reads: Ints
    dram_ofmap_writes: Ints
    ifmap_words_touched: Ints
    usable_words_Cb: Ints
    ifmap_fits: Ints


def array_counts(
    layers: GemmLayers,
    rows: int,
    columns: int,
    dataflow: Dataflow = "ws",
    timing: Timing = "scalesim3",
    sram_kb: tuple[int, int, int] = SRAM_KB,
    pods: int = 1,
) -> ArrayCounts:
    """Count for every layer.

    With `scalesim3` the counts are those of PyPI scalesim 3.0.0 without given bandwidths, its surplus of outputs under
    `os` and its flush-when-full buffers included; with another timing the outputs have no surplus and the buffers are
    plain double buffers.

    Args:
        layers: as read from a file.
        rows: of the array, 1..65536.
        columns: of the array, 1..65536.
        dataflow: what stays in the array.
        timing: see `cycles`.
        sram_kb: kB (1024 bytes) of the ifmap, filter and ofmap buffers.
        pods: arrays that share the tiles; above 1 only with `pipelined` and `sosa`.

    Raises:
        InvalidInputError: sizes out of range, layers of more than 2^53 products, or words that do not go together;
            all of them named.
    """
    _check(layers, rows, columns, dataflow, timing, sram_kb, pods)
    g, shape = layers.groups, (layers.m, layers.k, layers.n, rows, columns)
    p = place(*shape, dataflow)
    once = cycles(*shape, dataflow, timing, pods)
    flush = timing == "scalesim3"
    sram = buffer_accesses(*shape, dataflow, scalesim_slip=flush)
    ifmap, weights, ofmap = (1024 * kb for kb in sram_kb)
    usable = int(usable_words(ifmap)) if flush else ifmap // 2
    if flush:
        dram = flushed_words(*shape, dataflow, ifmap, weights, ofmap, layers.distinct_inputs)
    else:
        dram = buffered_words(*shape, dataflow, ifmap, weights, layers.distinct_inputs)
    macs, total = g * layers.m * layers.k * layers.n, g * once
    elements = rows * columns
    held = (p.spatial_rows * p.spatial_columns) / elements / p.folds
    fits = layers.distinct_inputs < usable if flush else layers.distinct_inputs <= usable
    return ArrayCounts(
        macs=macs,
        folds=g * p.folds,
        total_cycles=total,
        stall_cycles=np.zeros_like(total),
        overall_util_pct=100 * macs / np.maximum(total * float(elements * pods), 1),
        mapping_eff_pct=100 * held,
        sram_ifmap_reads=g * sram.input_reads,
        sram_filter_reads=g * sram.weight_reads,
        sram_ofmap_writes=g * sram.output_writes,
        dram_ifmap_reads=g * dram.input_reads,
        dram_filter_reads=g * dram.weight_reads,
        dram_ofmap_writes=g * dram.output_writes,
        ifmap_words_touched=g * layers.distinct_inputs,
        usable_words_Cb=np.full_like(total, usable),
        ifmap_fits=fits.astype(np.int64),
    )


def _check(
    layers: GemmLayers, rows: int, columns: int, dataflow: str, timing: str, sram_kb: tuple[int, int, int], pods: int
) -> None:
    faults = [
        f"`{label}` must be a whole number in 1..{most}, but got {value}"
        for label, value, most in (
            ("rows", rows, LARGEST_ARRAY), ("columns", columns, LARGEST_ARRAY), ("pods", pods, LARGEST_ARRAY),
            *(("sram_kb", kb, LARGEST_SRAM_KB) for kb in sram_kb),
        ) if not 1 <= value <= most
    ]  # fmt: skip
    if pods > 1 and timing not in SHARED_TIMINGS:
        faults.append(
            f"`pods` must be 1 with timing {timing!r}, for {' and '.join(SHARED_TIMINGS)} share, but got {pods}"
        )
    if timing.startswith("sosa") and dataflow != "ws":
        faults.append(f"`dataflow` must be ws with timing {timing!r}, but got {dataflow!r}")
    macs = np.ones(len(layers.names))
    for label in ("m", "k", "n", "groups"):
        values = getattr(layers, label)
        macs *= values
        if (wrong := np.flatnonzero(values < 1)).size:
            faults.append(f"layer {layers.names[wrong[0]]!r}: {label} >= 1 must hold, got {values[wrong[0]]}")
    if large := [name for name, count in zip(layers.names, macs, strict=True) if count > MOST_PRODUCTS]:
        shown = ", ".join(large[:12])
        faults.append(f"m * k * n * groups <= 2^53 must hold in every layer, but does not in {shown}")
    if faults:
        raise InvalidInputError("; ".join(dict.fromkeys(faults)))
