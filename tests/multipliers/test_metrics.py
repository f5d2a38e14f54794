"""Error metrics: published digits, and a loop over all pairs."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.multipliers import Multiplier, error_map, error_metrics, exact_multiplier, load_multiplier
from axdnn.records import InvalidInputError

TWICE_ROUNDED = {"mul8s_1KV8@v2022", "mul8s_1KVA@v1", "mul8s_1KV9@v2022", "mul8s_1KVB@v1"}
COLUMNS = {
    "mae_pct": "mae_pct",
    "wce_pct": "wce_pct",
    "wcre_pct": "wcre_pct",
    "ep_pct": "ep_pct",
    "mre_pct": "mre_pct",
    "mse": "mse",
    "mae_abs": "mae",
    "wce_abs": "wce",
}


def prints_as(value: float, printed: str) -> bool:
    """Whether rounding `value` to the last printed digit gives what is printed (a tie may go either way)."""
    number = Decimal(printed)
    return abs(Decimal(value) - number) <= Decimal(1).scaleb(number.as_tuple().exponent) / 2


def test_every_published_digit(index):
    differing = set()
    checked = 0
    for table in index["tables"]:
        for name in table["names"]:
            full = f"{name['circuit']}@{name['release']}"
            metrics = error_metrics(load_multiplier(full))
            for column, field in COLUMNS.items():
                checked += 1
                if not prints_as(getattr(metrics, field), name["published"][column]):
                    differing.add((full, column))
    assert checked == 99 * 8
    cut = {("mul8s_1KVQ@v2022", "mae_abs"), ("mul8s_1KRC@v1", "mae_abs")}  # 36 printed for 36.535: cut, not rounded
    assert differing == {(name, "mae_pct") for name in TWICE_ROUNDED} | cut


def loop(multiplier: Multiplier, a_weights, w_weights) -> dict[str, float]:
    """Brute force in plain Python numbers."""
    total = sum(a_weights) * sum(w_weights)
    sums = dict.fromkeys(("mae", "mse", "mean_error", "ep_pct", "relative", "nonzero"), 0)
    worst = worst_relative = 0.0
    table = multiplier.table.tolist()
    for row, a in enumerate(multiplier.a_values.tolist()):
        for column, w in enumerate(multiplier.w_values.tolist()):
            weight = a_weights[row] * w_weights[column]
            error = table[row][column] - a * w
            if not weight:
                continue
            sums["mae"] += weight * abs(error)
            sums["mse"] += weight * error * error
            sums["mean_error"] += weight * error
            sums["ep_pct"] += 100 * weight * (error != 0)
            worst = max(worst, abs(error))
            if a * w:
                sums["relative"] += weight * abs(error) / abs(a * w)
                sums["nonzero"] += weight
                worst_relative = max(worst_relative, abs(error) / abs(a * w))
    means = {key: value / total for key, value in sums.items()}
    return {
        "mae": means["mae"],
        "mse": means["mse"],
        "mean_error": means["mean_error"],
        "ep_pct": means["ep_pct"],
        "mae_pct": 100 * means["mae"] / 65536,
        "wce": worst,
        "wce_pct": 100 * worst / 65536,
        "mre_pct": 100 * means["relative"] / means["nonzero"] if means["nonzero"] else 0.0,
        "wcre_pct": 100 * worst_relative,
        "std_error": (means["mse"] - means["mean_error"] ** 2) ** 0.5,
    }


@pytest.mark.parametrize("name", ["mul8s_1L12", "mul8u_2AC", "mul8u_GJM.T"])
@pytest.mark.parametrize("weighted", [False, True])
def test_against_a_loop_over_all_pairs(name, weighted):
    circuit = load_multiplier(name)
    rng = np.random.default_rng(1)
    a = rng.integers(0, 50, 256) * (rng.random(256) < 0.7) if weighted else np.ones(256, dtype=int)
    w = rng.integers(0, 50, 256) * (rng.random(256) < 0.3) if weighted else np.ones(256, dtype=int)
    measured = error_metrics(circuit, a, w)
    for field, value in loop(circuit, a.tolist(), w.tolist()).items():
        assert getattr(measured, field) == pytest.approx(value, rel=1e-9), field


def test_sign_magnitude_against_a_loop():
    circuit = load_multiplier("mul8u_QKX").sign_magnitude()
    ones = [1] * 256
    for field, value in loop(circuit, ones, ones).items():
        assert getattr(error_metrics(circuit), field) == pytest.approx(value, rel=1e-9), field


def test_one_pair_only():
    circuit = load_multiplier("mul8u_2AC")
    only_zero = np.eye(256)[0]
    metrics = error_metrics(circuit, only_zero, only_zero)
    assert (metrics.mae, metrics.wce, metrics.ep_pct, metrics.mre_pct, metrics.wcre_pct) == (32, 32, 100, 0, 0)
    assert metrics.std_error == 0


def test_exact_circuits_have_no_error():
    for coding in ("signed", "unsigned", "sign_magnitude"):
        assert not error_map(exact_multiplier(coding)).any()
        metrics = error_metrics(exact_multiplier(coding))
        assert all(getattr(metrics, f) == 0 for f in metrics.__struct_fields__ if f != "version")


@settings(max_examples=20, deadline=None)
@given(st.integers(-(2**31), 2**31 - 1))
def test_extreme_tables_do_not_overflow(value):
    circuit = Multiplier.from_table(np.full((256, 256), value, dtype=np.int64), signed=False, name="constant")
    metrics = error_metrics(circuit)
    assert metrics.mean_error == value - 127.5**2
    assert metrics.mse == pytest.approx((value - 127.5**2) ** 2 + metrics.std_error**2, rel=1e-9)


@pytest.mark.parametrize("bad", [np.ones(255), -np.ones(256), np.zeros(256), np.full(256, np.nan)])
def test_bad_weights_are_refused(bad):
    with pytest.raises(InvalidInputError, match="w_weights"):
        error_metrics(exact_multiplier("signed"), None, bad)
