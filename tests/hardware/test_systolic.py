"""Closed forms against published tools and literal loops."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axdnn.hardware import buffer_accesses, cycles, mapping_efficiency, place, sosa_point, utilisation
from axdnn.hardware.systolic import double_buffered, split_rows
from axdnn.records import InvalidInputError

SOSA_LAYERS = Path(__file__).parents[3] / "shared" / "reference" / "sosa_layers.csv"


def test_scalesim_is_reproduced_exactly(reference):
    rows = reference("scalesim_layers.csv")
    assert len(rows) == 80
    for row in rows:
        m, k, n, r, c = (int(row[key]) for key in ("M", "K", "N", "array_rows", "array_cols"))
        flow = row["dataflow"]
        total = cycles(m, k, n, r, c, flow, "scalesim3")
        assert total == int(row["total_cycles"])
        assert place(m, k, n, r, c, flow).folds == int(row["folds"])
        words = buffer_accesses(m, k, n, r, c, flow, scalesim_slip=True)
        columns = ("sram_ifmap_reads", "sram_filter_reads", "sram_ofmap_writes")
        assert [int(w) for w in words] == [int(row[key]) for key in columns]
        assert 100 * utilisation(m * k * n, total, r * c) == pytest.approx(float(row["overall_util_pct"]), rel=1e-12)
        efficiency = mapping_efficiency(place(m, k, n, r, c, flow), r, c)
        assert 100 * efficiency == pytest.approx(float(row["mapping_eff_pct"]), rel=1e-12)


def test_vectorised_equals_scalar(reference):
    rows = [row for row in reference("scalesim_layers.csv") if row["dataflow"] == "ws"]
    m, k, n, r, c = (np.array([int(row[key]) for row in rows]) for key in ("M", "K", "N", "array_rows", "array_cols"))
    assert cycles(m, k, n, r, c, "ws", "scalesim3").tolist() == [int(row["total_cycles"]) for row in rows]


def test_slip_is_only_added_on_request():
    assert buffer_accesses(10, 20, 30, 8, 8, "os").output_writes == 300
    assert buffer_accesses(10, 20, 30, 8, 8, "os", scalesim_slip=True).output_writes == 300 + 8 * 16


def test_pipelined_form():
    assert cycles(100, 300, 200, 128, 128) == 3 * 2 * 128 + 2 * 128 + 128 - 2
    assert cycles(1000, 300, 200, 128, 128, arrays=4) == 2 * 1000 + 2 * 128 + 128 - 2


def test_paper_form():
    assert cycles(100, 300, 200, 128, 128, "ws", "paper") == 3 * 2 * (2 * 128 + 128 + 100 - 2)
    assert cycles(100, 300, 200, 128, 128, "os", "paper") == 1 * 2 * (2 * 128 + 128 + 300 - 2)


@pytest.mark.parametrize(("flow", "timing"), [("xs", "paper"), ("ws", "fast")])
def test_unknown_words_are_refused(flow, timing):
    with pytest.raises(InvalidInputError, match="must be one of"):
        cycles(1, 1, 1, 8, 8, flow, timing)
    with pytest.raises(InvalidInputError, match="`arrays` must be 1"):
        cycles(1, 1, 1, 8, 8, "ws", "paper", arrays=2)


def test_tpu_v4_fit(reference):
    """Loose anchor: four MXUs, pipelined, within 25 % of the fitted line for 2048..4096."""
    checked = 0
    for row in reference("tpu_v4_gemm_fit.csv"):
        m, n, k = (int(row[key]) for key in ("m", "n", "k"))
        us = cycles(m, k, n, 128, 128, "ws", "pipelined", arrays=4) / 1050
        assert us == pytest.approx(float(row["pipelined_4mxu_us"]), abs=1e-3)
        assert us >= 2 * m * n * k / 137.6256e6 * (1 - 1e-9)
        if min(m, n, k) >= 2048:
            checked += 1
            assert us == pytest.approx(float(row["fitted_tpu_v4_us"]), rel=0.25)
    assert checked == 3


def test_sosa_formulas(reference):
    if not SOSA_LAYERS.exists():
        pytest.skip("sosa_layers.csv is read in place and is not here")
    with SOSA_LAYERS.open(newline="") as file:
        layers = list(csv.DictReader(file))
    for row in reference("sosa_analytic.csv"):
        own = [tuple(int(x[key]) for key in ("m", "n", "k")) for x in layers if x["net"] == row["net"]]
        point = sosa_point(own, int(row["rows"]), int(row["cols"]), int(row["pods"]))
        assert point.cycles == int(row["cycles"])
        found = (point.sram_w, point.mac_w, point.interconnect_w, point.power_w, point.peak_ops / 1e12,
                 100 * point.utilisation, point.effective_ops / 1e12)  # fmt: skip
        columns = ("power_sram_W", "power_mac_W", "power_ict_W", "power_total_W", "peak_TOPS", "util_pct",
                   "effective_TOPS")  # fmt: skip
        for value, column in zip(found, columns, strict=True):
            assert value == pytest.approx(float(row[column]), abs=0.00501), column


def literal_pipeline(rounds: int, compute: float, moved: float, share_in: float) -> tuple[float, float]:
    """Double buffering step by step: (homogeneous transfers as in the formula, true order of loads and stores)."""
    load, store = moved * share_in / rounds, moved * (1 - share_in) / rounds
    formula = load
    for _ in range(rounds - 1):
        formula += max(compute, load + store)
    formula += compute + store
    clock = load
    for i in range(rounds):
        traffic = (load if i + 1 < rounds else 0.0) + (store if i > 0 else 0.0)
        clock += max(compute, traffic)
    return formula, clock + store


@given(st.integers(1, 60), st.floats(1, 1e4), st.floats(0, 1e6), st.floats(0, 1))
def test_double_buffering_equals_the_event_loop(rounds, compute, moved, share):
    formula, true = literal_pipeline(rounds, compute, moved, share)
    closed = double_buffered(rounds, np.float64(compute), np.float64(moved))
    assert closed == pytest.approx(formula, rel=1e-12)
    assert closed - rounds * compute >= -1e-9 * closed  # no negative stall
    assert true * (1 - 1e-12) <= closed <= (true + compute) * (1 + 1e-12)


@given(st.integers(1, 40), st.integers(1, 1000), st.floats(1, 100), st.floats(0, 1e4))
def test_more_rounds_are_never_faster(rounds, more, compute, moved):
    few, many = (double_buffered(n, np.float64(compute), np.float64(moved)) for n in (rounds, rounds + more))
    assert few <= many * (1 + 1e-12)


@given(st.integers(1, 5000), st.integers(1, 50), st.integers(1, 64))
def test_split_covers_all_rows(m, tiles, chunks):
    split = split_rows(m, tiles, chunks)
    pieces = int(split.operations) // tiles
    assert pieces <= chunks
    assert (pieces - 1) * split.chunk_rows < m <= pieces * split.chunk_rows
