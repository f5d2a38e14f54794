"""`CostTable` agrees with `estimate`, allocations with brute force; speed."""

import itertools
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.hardware import allocate, compositions, cost_table, estimate
from axdnn.records import Assignment, InvalidInputError, Multiplier


@pytest.mark.parametrize("accelerator", ["tpu_v4", "edge_16x16"])
@pytest.mark.parametrize("reading", ["ideal", "buildable"])
def test_table_agrees_with_estimate(mobile, multipliers, accelerator, reading):
    names = list(multipliers)
    table = cost_table(mobile, [multipliers[name] for name in names], accelerator)
    rng = np.random.default_rng(0)
    choice = rng.integers(0, len(names), (40, len(mobile.layers)))
    choice[:7] = np.arange(7)[:, None]
    prices = table.energy(choice, reading)
    for i, row in enumerate(choice):
        assignment = Assignment(multipliers={layer: names[j] for layer, j in zip(mobile.layer_names, row, strict=True)})
        if reading == "buildable" and len(set(row)) > table.pods:
            assert np.isinf([prices.energy_j[i], prices.latency_s[i], prices.area_m2[i]]).all()
            continue
        report = estimate(mobile, assignment, accelerator, multipliers=multipliers, reading=reading)
        for field in ("energy_j", "latency_s", "area_m2", "multiplier_energy_j"):
            assert getattr(prices, field)[i] == pytest.approx(getattr(report, field), rel=1e-12), field
        assert {names[j]: n for j, n in enumerate(prices.pods[i].tolist()) if n} == report.pods


def test_table_checks_its_input(lenet, multipliers):
    table = cost_table(lenet, [multipliers["mul8s_1KV6"]])
    assert table.energy(np.zeros(5, dtype=int)).energy_j.shape == (1,)
    assert table.energy(np.zeros((0, 5), dtype=int)).energy_j.shape == (0,)
    for bad, match in ((np.zeros((2, 4), int), "shape"), (np.zeros((2, 5)), "integers"), (np.ones((2, 5), int), "< 1")):
        with pytest.raises(InvalidInputError, match=match):
            table.energy(bad)
    with pytest.raises(InvalidInputError, match="reading"):
        table.energy(np.zeros(5, dtype=int), "best")
    with pytest.raises(InvalidInputError, match="at least one multiplier"):
        cost_table(lenet, [])
    with pytest.raises(InvalidInputError, match="no figures"):
        cost_table(lenet, [Multiplier.from_table(np.zeros((256, 256), int), signed=True, name="bare")])
    with pytest.raises(ValueError, match="read-only"):
        table.dynamic_j[0, 0] = 0.0


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(4, 6), st.integers(0, 2**32 - 1))
def test_allocation_equals_brute_force(kinds, pods, seed):
    rng = np.random.default_rng(seed)
    latency = np.sort(rng.integers(1, 6, (3, kinds, pods)).astype(float), axis=-1)[..., ::-1]
    watts = rng.integers(1, 4, (3, kinds)).astype(float)
    best = allocate(latency, watts, 2.0)
    for c in range(3):
        options = []
        for way in itertools.product(range(1, pods + 1), repeat=kinds):
            if sum(way) == pods:
                seconds = sum(latency[c, k, n - 1] for k, n in enumerate(way))
                power = 2.0 + sum(watts[c, k] * n for k, n in enumerate(way))
                options.append((power * seconds, seconds))
        assert (best.static_j[c], best.latency_s[c]) == min(options)
        assert best.pods[c].sum() == pods
        assert best.pods[c].min() >= 1


def test_equal_energy_goes_to_the_faster():
    """(1, 2) pods: 5 W x 7 s; (2, 1) pods: 7 W x 5 s."""
    latency = np.array([[[4.0, 2.0, 2.0], [3.0, 3.0, 3.0]]])
    best = allocate(latency, np.array([[3.0, 1.0]]), 0.0)
    assert (best.pods.tolist(), best.static_j.tolist(), best.latency_s.tolist()) == ([[2, 1]], [35.0], [5.0])


def test_allocation_in_blocks(monkeypatch):
    rng = np.random.default_rng(1)
    latency = -np.sort(-rng.random((50, 3, 8)), axis=-1)
    watts = rng.random((50, 3))
    whole = allocate(latency, watts, 1.0)
    monkeypatch.setattr("axdnn.hardware.pods.BLOCK", 100)
    for a, b in zip(whole, allocate(latency, watts, 1.0), strict=True):
        assert np.array_equal(a, b)


def test_all_compositions():
    assert compositions(8, 1).tolist() == [[8]]
    assert compositions(1, 1).tolist() == [[1]]
    assert len(compositions(8, 4)) == 35
    assert {tuple(row) for row in compositions(5, 3)} == {
        way for way in itertools.product(range(1, 6), repeat=3) if sum(way) == 5
    }
    with pytest.raises(InvalidInputError, match="8 pods must hold"):
        compositions(8, 9)
    with pytest.raises(InvalidInputError, match="more than 200000"):
        compositions(256, 5)


def test_speed(mobile, multipliers):
    """Goal: a million layer configurations a second on one core; a tenth of it here, for loaded machines."""
    table = cost_table(mobile, list(multipliers.values()))
    choice = np.random.default_rng(0).integers(0, 4, (20000, len(mobile.layers)))
    started = time.perf_counter()
    table.energy(choice)
    assert choice.size / (time.perf_counter() - started) > 1e5


def test_no_torch_is_loaded():
    code = (
        "import sys; from axdnn.hardware import *; from axdnn.records import *; load_accelerator('tpu_v4');"
        "from axdnn.hardware import exact_figures; exact_figures(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
