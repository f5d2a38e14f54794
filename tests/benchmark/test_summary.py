"""What is said of rows follows from the rows."""

from __future__ import annotations

import math

import pytest

from axdnn.benchmark import chosen, regret, summary, targets, told


def row(shape, table, path, s, *, chosen=False, rank=1, products=20_000_000, float32_s=1.0, predicted=None):
    return {
        "shape": shape, "table": table, "rank": rank, "path": path, "chosen": chosen, "products": products, "s": s,
        "predicted_s": s if predicted is None else predicted, "of_float32": float32_s / s, "of_scalar_loop": 40 / s,
    }  # fmt: skip


ROWS = [
    row("conv", "float32", "torch", 1.0),
    row("conv", "mul8s_a", "native_factorised", 0.5, chosen=True, predicted=0.25),
    row("conv", "mul8s_a", "lookup", 4.0),
    row("conv", "mul8s_b", "native_factorised", 2.0, chosen=True, rank=4, predicted=2.0),
    row("conv", "mul8s_b", "native_lookup", 1.0, rank=4),
    row("ViT-S MLP", "mul8s_a", "native_factorised", 8.0, chosen=True, predicted=32.0),
    row("conv", "random", "native_lookup", 5.0, chosen=True, rank=None, predicted=5.0),
    row("small", "random", "native_lookup", 50.0, chosen=True, rank=None, products=9_999_999, predicted=50.0),
]


def test_regret_is_the_time_lost_against_the_fastest_path():
    found = {(r["shape"], r["table"]): r for r in regret(ROWS)}
    assert len(found) == 5
    assert found["conv", "mul8s_b"]["regret"] == 2.0
    assert found["conv", "mul8s_b"]["fastest"] == "native_lookup"
    assert found["conv", "mul8s_a"]["regret"] == 1.0
    assert found["conv", "mul8s_a"]["predicted_of_measured"] == 0.5
    assert regret(ROWS)[0]["table"] == "mul8s_b"
    choices = summary(ROWS)["choices"]
    assert (choices["not_the_fastest"], choices["of"]) == (1, 5)
    assert choices["mean_regret"] == pytest.approx(2 ** (1 / 5))


def test_means_are_geometric_and_the_worst_case_is_named():
    ratio = told(chosen(ROWS), "of_float32")
    values = [2.0, 0.5, 0.125, 0.2, 0.02]
    assert ratio.mean == pytest.approx(math.prod(values) ** (1 / 5))
    assert (ratio.worst, ratio.at) == (0.02, "random, small")
    assert told(chosen(ROWS), "of_gather_loop") is None


def test_targets_are_met_or_missed_as_the_issue_words_them():
    network = [
        {"network": "n", "table": "float32", "time_of_float32": 1.0, "memory_of_float32": 1.0},
        {"network": "n", "table": "mul8s_a", "time_of_float32": 1.01, "memory_of_float32": 1.0},
        {"network": "n", "table": "random", "time_of_float32": 4.9, "memory_of_float32": 2.1},
    ]
    speedup = [
        {"shape": "conv", "table": t, "threads": 2, "speedup": s} for t, s in (("float32", 1), ("a", 1.6), ("b", 2))
    ]
    report = {"rows": ROWS, "networks": network, "speedup": speedup}
    found = {t["what"]: (t["wanted"], round(t["found"], 3), t["met"]) for t in targets(report)}
    assert found == {
        "signed tables on dense convolutions, mean, times float32": ("at least 1.8", 1.0, False),
        "those of rank 3 to 5, mean, times float32": ("at least 0.8", 0.5, False),
        "signed tables on dense convolutions, worst, times float32": ("at least 0.5", 0.5, True),
        "signed tables on dense convolutions, mean, times the scalar loop": ("at least 30", 40.0, True),
        "any table, 10 M products or more, worst, times float32": ("at least 0.25", 0.125, False),
        "any table, 10 M products or more, worst, times the scalar loop": ("at least 5", 5.0, True),
        "whole network, signed tables, worst, time of float32": ("at most 1", 1.01, False),
        "whole network, any table, worst, time of float32": ("at most 5", 4.9, True),
        "whole network, any table, worst, peak memory of float32": ("at most 2", 2.1, False),
        "two threads, mean, times one": ("at least 1.7", round(math.sqrt(3.2), 3), True),
    }


def test_what_was_not_measured_is_no_target():
    assert targets({"rows": []}) == []
    memoryless = [{"network": "n", "table": "mul8s_a", "time_of_float32": 0.5, "memory_of_float32": None}]
    assert len(targets({"rows": [], "networks": memoryless})) == 2
