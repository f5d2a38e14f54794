"""Costs that explain times are found, kept for the machine they were measured on, and only choose between paths."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from axdnn.kernels import approx_matmul, calibrate, calibration, explain, native_variants
from axdnn.kernels.microbenchmark import Sample, fitted, measured_rates
from axdnn.kernels.native import has_permutes
from axdnn.kernels.rates import Rates, shipped_rates
from axdnn.kernels.work import Size, digits_work, floats_work, int8_work, lookup_work, planes_work, rows_work

SIZES = st.builds(
    lambda m, channels, n, groups, window: Size(m, channels * window, n, groups, window, m * channels * groups),
    st.integers(1, 5000), st.integers(1, 300), st.integers(1, 300), st.integers(1, 64), st.sampled_from([1, 9, 25]),
)  # fmt: skip
WORKS = {
    "digits": lambda s: digits_work(s, 3, 2),
    "planes1": lambda s: planes_work(s, 1, True),
    "planes2": lambda s: planes_work(s, 2, True),
    "rows": rows_work,
    "float32": lambda s: floats_work(s, "float32", 3, 2),
    "float64": lambda s: floats_work(s, "float64", 3, 1),
    "int8": lambda s: int8_work(s, 3, 2),
    "lookup": lookup_work,
}


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    """A cache without rates, and plans that read it."""
    monkeypatch.setenv("AXDNN_CACHE", str(tmp_path))
    monkeypatch.setattr("axdnn.kernels.plan.rates", calibration.rates)
    calibration.rates.cache_clear()
    yield tmp_path
    calibration.rates.cache_clear()


def shipped() -> Rates:
    return shipped_rates(native_variants(), has_permutes())


def test_costs_of_another_machine_are_found_from_times():
    """Steps cost up to twice more or less than shipped, all is 7 times slower, times are off by 3 %."""
    rng = np.random.default_rng(0)
    for kind, work in WORKS.items():
        if kind not in shipped().costs:
            continue
        true = {step: s * 7 * 2 ** rng.uniform(-1, 1) for step, s in shipped().costs[kind].items()}
        truth = Rates({kind: true}, "measured")
        outputs = 5.9 if kind.startswith("planes") else 9  # more are another kind of look-up

        def random(count, work=work, rng=rng, outputs=outputs):
            sizes = [
                Size(
                    *(int(2**v) for v in rng.uniform((3, 3, 2, 0), (12, 11, outputs, 5))),
                    1,
                    int(2 ** rng.uniform(4, 20)),
                )
                for _ in range(count)
            ]
            return [work(size) for size in sizes]

        samples = [Sample(w, truth.seconds([w]) * (1 + 0.03 * rng.standard_normal())) for w in random(40)]
        found = Rates(fitted(samples, shipped().costs), "measured")
        errors = [abs(np.log(found.seconds([w]) / truth.seconds([w]))) for w in random(200)]
        assert np.median(errors) < 0.05, kind
        assert max(errors) < 0.4, kind


def test_kinds_without_times_keep_their_costs_and_none_becomes_negative():
    work = lookup_work(Size(64, 32, 16, 1, 1, 2048))
    costs = fitted([Sample(work, 1e-3), Sample(work, 3e-3)], shipped().costs)
    assert {k: dict(v) for k, v in costs.items() if k != "lookup"} == {
        k: dict(v) for k, v in shipped().costs.items() if k != "lookup"
    }
    assert all(s > 0 for s in costs["lookup"].values())
    assert 1e-3 < Rates(costs, "").seconds([work]) < 3e-3


@given(SIZES, st.sampled_from(["m", "n", "groups"]), st.integers(1, 500), st.sampled_from(sorted(WORKS)))
def test_more_work_never_takes_less_time(size, axis, more, kind):
    if kind not in shipped().costs:
        return
    larger = size._replace(**{axis: getattr(size, axis) + more})
    larger = larger._replace(inputs=larger.m * larger.k * larger.groups)
    first, second = (shipped().seconds([WORKS[kind](s)]) for s in (size._replace(inputs=size.m), larger))
    if WORKS[kind](size).kind == WORKS[kind](larger).kind:
        assert second >= first * (1 - 1e-12)


@given(SIZES, st.integers(1, 9))
def test_more_digit_pairs_never_take_less_time(size, pairs):
    if native_variants():
        times = [shipped().seconds([digits_work(size, p, 1)]) for p in (pairs, pairs + 1)]
        assert times[0] < times[1]
    floats = [shipped().seconds([floats_work(size, "float32", r, 1)]) for r in (pairs, pairs + 1)]
    assert floats[0] < floats[1]


def test_planning_never_measures_and_says_where_rates_are_from(own_cache):
    assert explain("exact", 100, 9, 4).rates == "shipped"
    assert list(own_cache.iterdir()) == []
    assert explain("exact", 100, 9, 4, device="cuda").rates == "device"


def test_stored_rates_choose_the_path_and_change_no_result(own_cache):
    x = torch.randint(-128, 128, (40, 70), dtype=torch.int8)
    want = approx_matmul(x, x, "mul8s_1KVQ", path="reference")
    paths = [p for p in explain("mul8s_1KVQ", 40, 70, 40).predicted_s if p != "reference"]
    kinds = {"native_factorised": ("digits",), "native_lookup": ("planes1", "planes2", "rows"),
             "factorised": ("float32", "float64", "int8"), "lookup": ("lookup",)}  # fmt: skip
    for path in paths:
        costs = {
            kind: {step: s * (1e-6 if kind in kinds[path] else 1.0) for step, s in steps.items()}
            for kind, steps in shipped().costs.items()
        }
        file = calibration.store_rates(Rates(costs, "measured"), 1)
        assert file.parent == own_cache / "rates"
        plan = explain("mul8s_1KVQ", 40, 70, 40)
        assert plan.rates == "measured"
        if path == "native_lookup" and "native_factorised" in plan.predicted_s:
            assert plan.path in ("native_lookup", "native_factorised")  # its exact part is digit products
        else:
            assert plan.path == path
        assert torch.equal(approx_matmul(x, x, "mul8s_1KVQ").long(), want.long())


def test_a_file_that_is_damaged_or_foreign_counts_as_absent(own_cache):
    calibration.store_rates(Rates(shipped().costs, "measured"), 1)
    file = calibration.rates_file(1)
    good = json.loads(file.read_text())
    assert calibration.read_rates(1) is not None
    kind = next(iter(good["costs"]))
    step = next(iter(good["costs"][kind]))

    def changed(**parts):
        return json.dumps({**good, **parts})

    costs = good["costs"]
    for text in (
        "", file.read_text()[:-20], "[]", "null", "{}",
        changed(machine={**good["machine"], "processor": "another"}),
        changed(machine={**good["machine"], "kernels": "0"}),
        changed(costs={k: v for k, v in costs.items() if k != kind}),
        changed(costs={**costs, "more": {"call": 1.0}}),
        changed(costs={**costs, kind: {**costs[kind], step: -1.0}}),
        changed(costs={**costs, kind: {**costs[kind], step: float("nan")}}),
        changed(costs={**costs, kind: {**costs[kind], step: "soon"}}),
        changed(costs={**costs, kind: None}),
    ):  # fmt: skip
        file.write_text(text)
        assert calibration.read_rates(1) is None, text[:60]
        calibration.rates.cache_clear()
        assert explain("exact", 100, 9, 4).rates == "shipped"
    file.write_bytes(b"\xff\xfe")
    assert calibration.read_rates(1) is None


def test_rates_belong_to_threads_variants_and_build_and_one_thread_stands_in_for_others(own_cache):
    files = {calibration.rates_file(number) for number in (1, 2, 4)}
    assert len(files) == 3
    code = "from axdnn.kernels.calibration import rates_file; print(rates_file(1))"
    environment = {**os.environ, "AXDNN_NATIVE": "off"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert (done.stdout.strip() in map(str, files)) == (not native_variants())
    calibration.store_rates(Rates(shipped().costs, "measured"), 1)
    assert calibration.rates(4).source == "measured"


def test_calibration_is_done_once_and_again_on_request(own_cache):
    seen = []
    first = calibrate(lambda *progress: seen.append(progress))
    assert seen[0][1] == 0
    assert [done for _, done, _ in seen] == list(range(seen[0][2] + 1))
    steps = {kind: set(costs) for kind, costs in first.costs.items()}
    assert steps == {kind: set(costs) for kind, costs in shipped().costs.items()}
    seen.clear()
    assert calibrate(lambda *progress: seen.append(progress)).costs == first.costs
    assert seen == []
    assert explain("exact", 100, 9, 4).rates == "measured"
    calibration.rates_file(1).write_text("{")
    calibrate(lambda *progress: seen.append(progress))
    assert seen
    assert calibration.read_rates(1) is not None


def test_a_cache_that_cannot_be_written_is_reported(monkeypatch, own_cache):
    (own_cache / "file").write_text("")
    monkeypatch.setenv("AXDNN_CACHE", str(own_cache / "file" / "below"))
    with pytest.raises(OSError):
        calibration.store_rates(shipped(), 1)
    assert explain("exact", 100, 9, 4).rates == "shipped"


@pytest.mark.slow
def test_measured_costs_predict_other_products():
    """Two measurements agree, and each is near the other on sizes that neither timed."""
    first, second = measured_rates(), measured_rates()
    rng = np.random.default_rng(1)
    for kind, work in WORKS.items():
        if kind not in first.costs:
            continue
        sizes = [Size(*(int(2**v) for v in rng.uniform((5, 4, 3), (12, 10, 8))), 1, 1, 4096) for _ in range(50)]
        ratios = [first.seconds([work(s)]) / second.seconds([work(s)]) for s in sizes]
        assert 0.5 < np.median(ratios) < 2, kind
