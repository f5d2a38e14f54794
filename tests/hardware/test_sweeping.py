"""Sweeps: every point is what `estimate` says of that chip; keys, units and faults."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axdnn.hardware import at_voltage, estimate, load_accelerator, sweep, undominated
from axdnn.records import InvalidInputError, UnknownNameError, from_json, to_json


def test_every_point_is_an_estimate(mobile, multipliers, uniform):
    axes = {"array": ["16x16", "64x32"], "pods": [1, 4], "dataflow": ["ws", "os"], "activation_buffer": [64, "1 MiB"]}
    found = sweep(mobile, multipliers["mul8s_1KVP"], axes, "tpu_v4", batch=2)
    assert len(found.points) == 16
    assert found.axes == {"array.rows": (16, 64), "array.columns": (16, 32), "array.pods": (1, 4),
                          "array.dataflow": ("ws", "os"), "memory.activation_buffer": (64, 1024)}  # fmt: skip
    assert found.units["memory.activation_buffer"] == "KiB"
    for point in found.points:
        v = point.values
        chip = load_accelerator("tpu_v4").replace(
            rows=int(v["array.rows"]), columns=int(v["array.columns"]), pods=int(v["array.pods"]),
            dataflow=v["array.dataflow"], activation_buffer_bytes=1024.0 * v["memory.activation_buffer"],
        )  # fmt: skip
        report = estimate(mobile, uniform(mobile, "mul8s_1KVP"), chip, multipliers=multipliers, batch=2)
        assert (point.energy_j, point.latency_s, point.area_m2) == pytest.approx(
            (report.energy_j, report.latency_s, report.area_m2)
        )
        assert point.energy_breakdown_j == pytest.approx(report.energy_breakdown_j)
        assert 0 <= point.stall_fraction < 1
    assert from_json(type(found), to_json(found)) == found


def test_voltages_are_swept(mobile, multipliers, uniform):
    found = sweep(mobile, multipliers["mul8s_1KV6"], {"voltage": [0.7, "0.8", 0.9], "pods": [2, 8]}, "tpu_v4")
    assert found.axes["voltage"] == (0.7, 0.8, 0.9)
    assert found.units["voltage"] == "V"
    for point in found.points:
        chip = at_voltage(
            load_accelerator("tpu_v4").replace(pods=int(point.values["array.pods"])), point.values["voltage"]
        )
        report = estimate(mobile, uniform(mobile, "mul8s_1KV6"), chip, multipliers=multipliers)
        assert (point.energy_j, point.latency_s) == pytest.approx((report.energy_j, report.latency_s))
    with pytest.raises(InvalidInputError, match="`voltage` must be a number of volts, but got 'low'"):
        sweep(mobile, multipliers["mul8s_1KV6"], {"voltage": ["low"]})
    with pytest.raises(InvalidInputError, match="voltage_v"):
        sweep(mobile, multipliers["mul8s_1KV6"], {"voltage": [0.1]})


def test_roofs_bound_every_layer(mobile, multipliers):
    found = sweep(mobile, multipliers["mul8s_1KV6"], {"pods": [1]}, "tpu_v4")
    assert found.peak_macs_per_s == 8 * 128 * 128 * 1.05e9
    names = [x.layer for x in found.roofline]
    assert set(names) <= set(mobile.layer_names)
    assert "stem" in names
    for x in found.roofline:
        assert x.macs_per_s <= min(found.peak_macs_per_s, x.macs_per_byte * found.dram_bandwidth_b_s)


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=30))
def test_undominated_rows(rows):
    points = np.array(rows, dtype=float)
    literal = [not any((q <= p).all() and (q < p).any() for q in points) for p in points]
    assert undominated(points).tolist() == literal


@pytest.mark.parametrize(("axes", "error", "match"), [
    ({"row": [1]}, UnknownNameError, "array.rows"),
    ({"exact_rows": [1]}, UnknownNameError, "parameter"),
    ({"sign_magnitude": [1]}, UnknownNameError, "sign_magnitude"),  # of energy or of area
    ({"rows": [0]}, InvalidInputError, r"`array.rows`.value must be a whole number in 1..4096"),
    ({"rows": [1.5]}, InvalidInputError, "whole number"),
    ({"clock": ["fast"]}, InvalidInputError, "`array.clock` must be a number, but got 'fast'"),
    ({"clock": ["1 parsec"]}, InvalidInputError, "unit must be one of Hz, MHz, GHz"),
    ({"array": ["16"]}, InvalidInputError, "ROWSxCOLUMNS"),
    ({"dataflow": ["rs"]}, InvalidInputError, "one of ws, os, is"),
    ({}, InvalidInputError, "1 to 1000000 points"),
    ({"pods": []}, InvalidInputError, "points"),
])  # fmt: skip
def test_faults(lenet, multipliers, axes, error, match):
    with pytest.raises(error, match=match):
        sweep(lenet, multipliers["mul8s_1KV6"], axes)


def test_chips_with_exact_rows_are_priced_elsewhere(lenet, multipliers):
    with pytest.raises(InvalidInputError, match="no exact rows"):
        sweep(lenet, multipliers["mul8s_1KV6"], {"pods": [1]}, "xai_gen")
