"""Counts of an array against every row that scalesim 3.0.0 printed, and against sums over groups."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from axdnn.hardware import GemmLayers, array_counts, cycles
from axdnn.records import InvalidInputError

EXACT = ("total_cycles", "stall_cycles", "sram_ifmap_reads", "sram_filter_reads", "sram_ofmap_writes",
         "dram_filter_reads", "dram_ofmap_writes")  # fmt: skip
ONLY_LARGE = ("macs", "folds", "ifmap_words_touched", "usable_words_Cb", "ifmap_fits")


def made(*rows: tuple[int, int, int, int]) -> GemmLayers:
    m, k, n, groups = np.array(rows, dtype=np.int64).T
    return GemmLayers(tuple(f"l{i}" for i in range(len(rows))), m, k, n, groups, m * k)


@pytest.mark.parametrize(("file", "count"), [("scalesim_layers", 80), ("scalesim_small", 84)])
def test_every_row_of_the_tool_is_equal(file, count, tool_rows):
    rows = tool_rows[file]
    assert len(rows) == count
    for told, layers, counts in rows:
        for key in (*EXACT, *(ONLY_LARGE if file == "scalesim_layers" else ())):
            assert getattr(counts, key).tolist() == [int(told[key])], (told, key)
        if file == "scalesim_layers":
            assert [int(layers.m[0]), int(layers.k[0]), int(layers.n[0])] == [int(told[key]) for key in "MKN"]


def test_percentages_are_equal_to_the_bit_on_arrays_of_powers_of_two(tool_rows):
    """Elsewhere the tool's sum over folds rounds: 12 digits."""
    exact = 0
    for row in (*tool_rows["scalesim_layers"], *tool_rows["scalesim_small"]):
        told = float(row.told["mapping_eff_pct"])
        assert row.counts.overall_util_pct.tolist() == [float(row.told["overall_util_pct"])]
        assert row.counts.mapping_eff_pct[0] == pytest.approx(told, rel=1e-12)
        if all(size & (size - 1) == 0 for size in row.array):
            exact += 1
            assert row.counts.mapping_eff_pct.tolist() == [told]
    assert exact == 80 + 42


@pytest.mark.parametrize("flow", ["os", "ws", "is"])
@pytest.mark.parametrize("timing", ["scalesim3", "paper", "pipelined"])
def test_groups_are_layers_one_after_another(flow, timing):
    """Counts of g groups are g times those of one, the missing cycle of scalesim3 and its surplus included."""
    grouped, single = made((50, 30, 20, 7)), made((50, 30, 20, 1))
    ours, one = (array_counts(x, 8, 16, flow, timing, (1, 1, 1)) for x in (grouped, single))
    for key in ("overall_util_pct", "mapping_eff_pct", "usable_words_Cb", "ifmap_fits"):
        assert getattr(ours, key)[0] == pytest.approx(getattr(one, key)[0])
    for key in set(ours._fields) - {"overall_util_pct", "mapping_eff_pct", "usable_words_Cb", "ifmap_fits"}:
        assert getattr(ours, key)[0] == 7 * getattr(one, key)[0], key


def test_the_surplus_is_the_tools_alone():
    tool, plain = (array_counts(made((10, 20, 30, 1)), 8, 8, "os", timing) for timing in ("scalesim3", "paper"))
    assert tool.sram_ofmap_writes[0] == 300 + 8 * 16
    assert plain.sram_ofmap_writes[0] == 300
    assert plain.dram_ofmap_writes[0] == 300


def test_pods_share_what_they_can():
    layer = made((64, 300, 200, 1))
    counts = array_counts(layer, 32, 32, "ws", "sosa", pods=4)
    assert counts.total_cycles[0] == cycles(64, 300, 200, 32, 32, "ws", "sosa", 4)
    assert counts.overall_util_pct[0] == pytest.approx(100 * 64 * 300 * 200 / (counts.total_cycles[0] * 32 * 32 * 4))
    with pytest.raises(InvalidInputError, match="`pods` must be 1 with timing 'scalesim3'"):
        array_counts(layer, 32, 32, pods=4)


def test_largest_sizes_do_not_overflow():
    """2^31 in each place, and products up to 2^53, in exact integers."""
    for flow in ("os", "ws", "is"):
        for sizes in ((2**31, 1, 1), (1, 2**31, 1), (1, 1, 2**31), (2**22, 2**31, 1), (2**11, 2**11, 2**31)):
            for rows, columns in ((1, 1), (2**16, 1), (1, 2**16), (128, 128)):
                counts = array_counts(made((*sizes, 1)), rows, columns, flow)
                m, k, n = sizes
                sr, sc, t = {"os": (m, n, k), "ws": (k, n, m), "is": (k, m, n)}[flow]
                folds = -(-sr // rows) * -(-sc // columns)
                fold = t + rows + columns - 2 + (0 if flow == "os" else rows)
                assert int(counts.total_cycles[0]) == folds * fold - 1
                assert all(value.min() >= 0 for value in counts), (flow, sizes, rows, columns)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": 0}, "`rows` must be a whole number in 1..65536, but got 0"),
        ({"columns": 2**16 + 1}, "`columns`"),
        ({"pods": 0}, "`pods`"),
        ({"sram_kb": (1, 0, 1)}, "`sram_kb`"),
        ({"dataflow": "xs"}, "must be one of ws, os, is"),
        ({"timing": "fast"}, "must be one of scalesim3, paper, pipelined, sosa, sosa_cold"),
        ({"timing": "sosa", "dataflow": "os"}, "must be ws"),
        ({"layers": made((0, 1, 1, 1))}, "'l0': m >= 1 must hold, got 0"),
        ({"layers": made((1, 1, 1, 1), (2**20, 2**20, 2**14, 1))}, r"2\^53 must hold .* l1"),
    ],
)
def test_wrong_sizes_and_words(change, said):
    with pytest.raises(InvalidInputError, match=said):
        array_counts(**{"layers": made((1, 2, 3, 1)), "rows": 8, "columns": 8, **change})


def test_the_committed_benchmark_found_the_tool_equal():
    """All but inputs of convolutions that do not fit; and it says how many times faster the closed forms are."""
    report = json.loads((Path(__file__).parents[3] / "benchmarks" / "results" / "hardware.json").read_text())
    differ = report["scalesim"]["rows_that_differ"]
    assert {key for key, rows in differ.items() if rows} == {"dram_ifmap_reads"}
    ours, tool = (report[key]["layer_configurations_s"] for key in ("closed_forms", "scalesim"))
    assert report["ratio"] == pytest.approx(ours / tool, rel=1e-12)
    assert ours > 1e6
