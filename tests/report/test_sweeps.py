"""The table and the figures of a sweep hold what the record holds."""

import pytest

from axdnn.hardware import sweep
from axdnn.multipliers import load_multiplier
from axdnn.records import Layer, Network
from axdnn.report import NARROW, curves, draw_sweep, sweep_table, table_json, table_text, to_png


@pytest.fixture(scope="module")
def found():
    layers = tuple(
        Layer(name=f"layer{i}", kind="linear", m=m, k=k, n=n, input_words=m * k, output_words=m * n, in_shape=(k,),
              out_shape=(n,)) for i, (m, k, n) in enumerate([(1000, 64, 64), (300, 600, 64), (1, 640, 100)])
    )  # fmt: skip
    axes = {"array": ["8x8", "16x16", "32x32", "64x64"], "pods": [1, 2, 4, 8], "dataflow": ["ws", "os"],
            "dram_bandwidth": [10, 100]}  # fmt: skip
    return sweep(Network(name="three", layers=layers), load_multiplier("exact"), axes, "edge_16x16")


def test_best_points_first(found):
    table = sweep_table(found, shown=20)
    best = [row[-1] for row in table.rows]
    assert len(best) == 20
    assert best == sorted(best, reverse=True)
    assert "44 more points are not shown" in table.notes[1]
    every = sweep_table(found, shown=None)
    assert len(every.rows) == 64
    assert [row[-1] for row in every.rows] == [p.best for p in found.points]
    assert '"energy_j"' in table_json(every)
    assert "memory.dram_bandwidth" in [c.key for c in every.columns]
    assert "dram bandwidth, GB/s" in table_text(every)


def test_curves_are_the_least_at_each_value(found):
    data = curves(found, "array.pods")
    assert [v for v, _ in data["energy_j"]] == [1, 2, 4, 8]
    least = min(p.energy_j for p in found.points)
    for value, ratio in data["energy_j"]:
        assert ratio == min(p.energy_j for p in found.points if p.values["array.pods"] == value) / least
    assert min(r for _, r in data["latency_s"]) == 1.0
    faster = [r for _, r in data["latency_s"]]
    assert faster == sorted(faster, reverse=True), "more pods are never slower"


@pytest.mark.parametrize("width", [None, NARROW])
def test_drawn(found, width):
    figure = draw_sweep(found) if width is None else draw_sweep(found, width)
    titles = [a.get_title() for a in figure.axes if a.axison]
    assert titles == ["All points", "Layers on edge_16x16 itself", "array.rows", "array.columns", "array.pods",
                      "array.dataflow", "memory.dram_bandwidth"]  # fmt: skip
    shown = sum(len(c.get_offsets()) for c in figure.axes[0].collections)
    assert shown == len(found.points)
    assert len(figure.axes[1].collections[0].get_offsets()) == len(found.roofline)
    assert to_png(figure)[:4] == b"\x89PNG"
