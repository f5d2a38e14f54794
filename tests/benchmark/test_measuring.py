"""Jobs take turns, rows belong together, loops sum what the reference sums, and the commands print and write it."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch

from axdnn import benchmark
from axdnn.benchmark.memory import peak_memory
from axdnn.benchmark.timing import SLOW_ROUNDS, SLOW_S, in_turns
from axdnn.cli.main import run
from axdnn.kernels import approx_matmul
from axdnn.multipliers import load_multiplier
from axdnn.report import table_text

SMALL = {"conv": benchmark.Shape(2, 4, 8, 6, 3, 2, 1), "depthwise": benchmark.Shape(1, 4, 6, 4, 3, 1, 1, 4),
         "linear": benchmark.Shape(7, 12, 1, 5, 1)}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("AXDNN_CACHE", str(tmp_path / "cache"))


def test_jobs_take_turns_and_slow_ones_fewer():
    seen = []
    now = [0.0]

    def job(name, seconds):
        def call():
            seen.append(name)
            now[0] += seconds

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("axdnn.benchmark.timing.time.thread_time", lambda: now[0])
        found = in_turns({"a": job("a", 0.1), "b": job("b", 2 * SLOW_S), "c": job("c", 0.3 * SLOW_S)}, 5)
        turns = seen.copy()
        in_turns({name: job(name, 0.1) for name in ("a1", "a2", "b1")}, 2, kind=lambda key: key[0])
    assert turns == ["a", "b", "c"] + ["a", "b", "c"] * SLOW_ROUNDS + ["a", "c"] * (5 - SLOW_ROUNDS)
    assert seen[len(turns) :] == ["a1", "a2", "b1"] + ["a1", "a1", "a2", "b1", "b1"] * 2, "the first of a kind twice"
    assert found["a"].s == pytest.approx(0.1)
    assert found["b"].quarters == pytest.approx((0.4, 0.4))


def test_sizes_of_a_layer_are_those_of_its_call():
    for shape in (*SMALL.values(), *benchmark.SHAPES.values()):
        weight = torch.zeros(shape.outputs, shape.inputs // shape.groups, shape.kernel, shape.kernel)
        layer = torch.nn.functional.conv2d(
            torch.zeros(1, shape.inputs, shape.size, shape.size),
            weight,
            None,
            shape.stride,
            shape.padding,
            1,
            shape.groups,
        )
        assert layer.shape[1:] == (shape.outputs, shape.out, shape.out)
        assert shape.products == shape.batch * layer.numel() * weight[0].numel()


def test_there_are_thirteen_signed_tables_and_others_of_every_rank():
    tables = benchmark.circuits()
    assert sum(m.coding == "signed" for m in tables.values()) == 13 + 1
    assert len({m.id for m in tables.values()}) == len(tables)
    assert set(benchmark.QUICK_TABLES) <= set(tables)
    assert set(benchmark.QUICK_SHAPES) <= set(benchmark.SHAPES)


def test_rows_of_small_layers_belong_together():
    tables = {name: benchmark.circuits()[name] for name in ("mul8s_1KVQ", "mul8u_QKX", "random")}

    def loop(x, w, table):
        return table[x.long()[:, None], w.long()[None]].sum(dim=-1)

    rows = benchmark.measure_products(SMALL, tables, 3, {"own_loop": loop})
    for label in SMALL:
        (base,) = (row for row in rows if row["shape"] == label and row["table"] == "float32")
        for name in tables:
            mine = [row for row in rows if (row["shape"], row["table"]) == (label, name)]
            assert sum(row["chosen"] for row in mine) == 1
            assert len({row["path"] for row in mine}) == len(mine) >= 2
            for row in mine:
                assert row["of_float32"] == pytest.approx(base["s"] / row["s"])
                assert row["products_per_s"] == pytest.approx(SMALL[label].products / row["s"])
                assert row["quarters_s"][0] <= row["s"] <= row["quarters_s"][1]
                assert row["of_own_loop"] > 0
    near = benchmark.measure_products(SMALL, tables, 2, within=1.0)
    assert [row["chosen"] for row in near] == [row["table"] != "float32" for row in near]


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler is installed here")
def test_the_loops_of_the_comparison_sum_what_the_reference_sums():
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "simulation.py"
    spec = importlib.util.spec_from_file_location("simulation_script", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    circuit = load_multiplier("mul8u_QKX")
    x, w = (torch.randint(0, 256, (size, 45), dtype=torch.uint8) for size in (11, 6))
    want = approx_matmul(x, w, circuit, path="reference")
    loops = script.loops()
    assert "scalar_loop" in loops
    for loop in loops.values():
        assert torch.equal(loop(x, w, torch.from_numpy(circuit.table.copy())), want)


@pytest.mark.slow
def test_a_network_with_its_memory_is_measured():
    rows = benchmark.measure_networks(("mul8s_1KVM",), "lenet5", "mnist", batch=256, rounds=2)
    base, row = rows
    assert (base["table"], base["time_of_float32"]) == ("float32", 1.0)
    assert row["time_of_float32"] == pytest.approx(row["s"] / base["s"])
    if row["batch_bytes"] is not None:
        assert 0 < row["batch_bytes"] <= row["peak_bytes"]
        larger = peak_memory("lenet5", "mnist", "float32", 1024)
        smaller = peak_memory("lenet5", "mnist", "float32", 64)
        images = 960 * 28 * 28 * 4
        assert larger["batch_bytes"] - smaller["batch_bytes"] > images, "activations grow with the batch"
    report = {"networks": rows}
    assert "mul8s_1KVM" in table_text(benchmark.network_table(report))


@pytest.mark.slow
def test_the_command_prints_and_writes_and_choices_are_good(tmp_path, capsys):
    file = tmp_path / "new" / "speed.json"
    assert run(["bench", "--calibrate", "--rounds", "3", "--quiet", "--out", str(file)]) == 0
    shown = capsys.readouterr().out
    report = json.loads(file.read_text())
    assert report["settings"]["rates"] == "measured"
    assert all(label in shown for label in benchmark.QUICK_SHAPES)
    assert "C++ compiler" in shown
    assert report["summary"]["choices"]["mean_regret"] < 1.5


def test_wrong_arguments_of_the_command(capsys, tmp_path):
    for arguments, message in (
        (["--threads", "0"], "--threads must be 1 or more, but got 0"),
        (["--rounds", "1"], "--rounds must be 2 or more, but got 1"),
        (["--out", str(tmp_path)], "folder"),
    ):
        assert run(["bench", *arguments]) == 2
        assert message in capsys.readouterr().err
