"""The timings of SOSA: its published cycles, and its array model tile by tile."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axdnn.hardware import cycles, sosa_point
from axdnn.records import InvalidInputError

sizes, sides = st.integers(1, 40), st.integers(1, 12)


def test_sosa_is_the_published_sum(shared_folder, reference):
    """All 14 operating points; rows m, reduction n, columns k in SOSA's letters."""
    with (shared_folder / "reference" / "sosa_layers.csv").open(newline="") as file:
        layers = list(csv.DictReader(file))
    rows = reference("sosa_analytic.csv")
    assert len(rows) == 14
    for row in rows:
        m, n, k = (np.array([int(x[key]) for x in layers if x["net"] == row["net"]]) for key in ("m", "n", "k"))
        r, c, pods = int(row["rows"]), int(row["cols"]), int(row["pods"])
        total = cycles(m, n, k, r, c, "ws", "sosa", pods).sum()
        assert total == int(row["cycles"])
        utilisation = 100 * (m * n * k).sum() / (total * r * c * pods)
        assert utilisation == pytest.approx(float(row["util_pct"]), abs=0.00501)
        assert sosa_point(list(zip(m, n, k, strict=True)), r, c, pods).cycles == total


@given(sizes, sizes, sizes, sides, sides, st.integers(1, 50))
def test_sosa_rounds_one_by_one(m, k, n, rows, columns, pods):
    tiles = sum(1 for _ in range(0, k, rows) for _ in range(0, n, columns) for _ in range(0, m, rows))
    rounds = 0
    while tiles > 0:
        tiles, rounds = tiles - pods, rounds + 1
    assert cycles(m, k, n, rows, columns, "ws", "sosa", pods) == rounds * rows


@given(sizes, sizes, sizes, sides, sides)
def test_sosa_cold_tile_by_tile(m, k, n, rows, columns):
    """Weights of a tile enter a row a cycle while the tile before streams."""
    total, before = 0, 0
    for j in range(0, n, columns):
        for i in range(0, k, rows):
            used_rows, used_columns = min(rows, k - i), min(columns, n - j)
            total += max(used_rows - before, 0) + m + used_rows - 1 + used_columns - 1
            before = m
    assert cycles(m, k, n, rows, columns, "ws", "sosa_cold") == total


@given(sizes, sizes, sizes, sides, sides, st.integers(1, 20))
def test_no_timing_beats_the_array(m, k, n, rows, columns, pods):
    for timing, arrays in (("sosa", pods), ("pipelined", pods), ("sosa_cold", 1), ("paper", 1)):
        assert cycles(m, k, n, rows, columns, "ws", timing, arrays) * arrays * rows * columns >= m * k * n
    assert cycles(m, k, n, rows, columns, "ws", "sosa", pods) >= cycles(m, k, n, rows, columns, "ws", "sosa", pods + 1)


def test_arrays_broadcast():
    found = cycles(np.array([[64], [100]]), 300, 200, 32, 32, "ws", "sosa", np.array([1, 4, 9]))
    assert found.shape == (2, 3)
    assert found[0].tolist() == [-(-70 * 2 // pods) * 32 for pods in (1, 4, 9)]


@pytest.mark.parametrize("timing", ["sosa", "sosa_cold"])
@pytest.mark.parametrize("flow", ["os", "is"])
def test_sosa_keeps_weights(timing, flow):
    with pytest.raises(InvalidInputError, match=f"`dataflow` must be ws with timing '{timing}'"):
        cycles(1, 1, 1, 8, 8, flow, timing)


def test_sosa_cold_is_one_array():
    with pytest.raises(InvalidInputError, match="`arrays` must be 1"):
        cycles(1, 1, 1, 8, 8, "ws", "sosa_cold", 2)
