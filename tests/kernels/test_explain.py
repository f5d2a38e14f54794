"""What `explain` says is what runs, and bad input is refused in words."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
import torch

from axdnn.kernels import PATHS, approx_conv2d, approx_matmul, explain
from axdnn.multipliers import list_multipliers, load_multiplier
from axdnn.records import InvalidInputError

EXACT = load_multiplier("exact")
INT8 = torch.zeros(2, 3, dtype=torch.int8)
IMAGE = torch.zeros(1, 2, 5, 5, dtype=torch.int8)
KERNEL = torch.zeros(4, 2, 3, 3, dtype=torch.int8)


@pytest.fixture
def no_native(monkeypatch):
    """As after a source install without a compiler."""
    monkeypatch.setattr("axdnn.kernels.plan.native_variants", lambda: ())


def test_low_rank_takes_the_factorised_path_and_full_rank_the_look_up(table, no_native):
    plan = explain(EXACT, 10000, 576, 64)
    assert (plan.path, plan.floats, plan.rank, plan.result) == ("factorised", "float32", 1, "int32")
    assert "rank 1" in plan.reason
    plan = explain(table("random"), 10000, 576, 64)
    assert (plan.path, plan.rank) == ("lookup", None)
    assert "no exact integer factors" in plan.reason
    slow = explain(table("rank20"), 10000, 576, 64)
    assert set(slow.predicted_s) == {"lookup", "factorised", "reference"}
    assert slow.path == min(("lookup", "factorised"), key=slow.predicted_s.__getitem__)


def test_auto_never_takes_the_slow_reference(table):
    for kind in ("random", "rank1", "extreme"):
        for m, k, n in ((1, 1, 1), (1, 4096, 4096), (2, 9, 1), (0, 0, 0)):
            assert explain(table(kind), m, k, n).path != "reference"


def note_ready(monkeypatch, name, ran):
    """Note when a call is of a kind that was planned before as digit products."""
    function = getattr(importlib.import_module("axdnn.kernels.ready"), name)

    def noting(*args):
        result = function(*args)
        ran.extend([] if result is None else ["native_factorised"])
        return result

    where = "dispatch" if name.startswith("matmul") else "conv"
    monkeypatch.setattr(f"axdnn.kernels.{where}.{name}", noting)


@pytest.mark.parametrize("path", PATHS)
def test_the_path_that_explain_names_runs(monkeypatch, path):
    ran = []
    note_ready(monkeypatch, "matmul_ready", ran)
    for module, name in (
        ("dispatch", "matmul_factorised"),
        ("dispatch", "matmul_lookup"),
        ("dispatch", "matmul_reference"),
        ("dispatch", "matmul_native"),
        ("triton_lookup", "matmul_triton"),
    ):
        function = getattr(importlib.import_module(f"axdnn.kernels.{module}"), name)
        monkeypatch.setattr(
            f"axdnn.kernels.{module}.{name}",
            lambda *a, f=function, n=name: ran.append(a[-1] if "native" in n else n.removeprefix("matmul_")) or f(*a),
        )
    approx_matmul(INT8, INT8, EXACT, path=path)
    plan = explain(EXACT, 2, 3, 2, path)
    assert ran == [plan.path]
    assert plan.path == path or path == "auto"
    assert path == "auto" or "asked for" in plan.reason


@pytest.mark.parametrize("path", PATHS)
def test_the_path_that_explain_names_runs_for_convolutions(monkeypatch, path):
    ran = []
    note_ready(monkeypatch, "conv2d_ready", ran)
    for name in ("conv2d_factorised", "matmul_lookup", "conv2d_reference", "conv2d_native", "conv2d_triton"):
        module = importlib.import_module(f"axdnn.kernels.{'triton_lookup' if 'triton' in name else 'conv'}")
        function = getattr(module, name)
        monkeypatch.setattr(
            f"{module.__name__}.{name}",
            lambda *a, f=function, n=name: ran.append(a[-1] if "native" in n else n) or f(*a),
        )
    approx_conv2d(IMAGE, KERNEL, EXACT, path=path)
    assert ran[0].endswith(explain(EXACT, 9, 18, 4, path).path)
    assert len(ran) == 1


def test_every_library_circuit_has_an_exact_path():
    for row in list_multipliers():
        plan = explain(load_multiplier(row.name), 1000, 1000, 64)
        assert plan.path in ("factorised", "lookup", "native_factorised", "native_lookup")
        assert plan.reason


def test_a_forced_path_that_cannot_be_exact_is_refused(table):
    with pytest.raises(InvalidInputError, match=r"factorised.*lookup"):
        approx_matmul(INT8, INT8, table("random"), path="factorised")
    with pytest.raises(InvalidInputError, match=r"factorised.*lookup"):
        approx_conv2d(IMAGE, KERNEL, table("random"), path="factorised")
    with pytest.raises(InvalidInputError, match="`path` must be one of auto, reference"):
        approx_matmul(INT8, INT8, EXACT, path="fast")


@pytest.mark.parametrize(
    ("x", "w", "message"),
    [
        (INT8.float(), INT8, r"`x_codes` must be a torch.int8 tensor .* but got torch.float32"),
        (INT8, INT8.to(torch.uint8), r"`w_codes` must be a torch.int8 tensor .* but got torch.uint8"),
        (INT8.long(), INT8, "torch.int64"),
        (INT8.tolist(), INT8, "list"),
        (INT8[0], INT8, "must have the same k"),
        (INT8, INT8[:, :2], "must have the same k"),
        (INT8.expand(2, 2, 3), INT8.expand(3, 2, 3), "must broadcast"),
    ],
)
def test_wrong_operands_of_the_matrix_product(x, w, message):
    with pytest.raises(InvalidInputError, match=message):
        approx_matmul(x, w, EXACT)


def test_operand_types_follow_the_coding():
    unsigned = load_multiplier("mul8u_1JJQ")
    with pytest.raises(InvalidInputError, match="uint8"):
        approx_matmul(INT8, INT8, unsigned)
    with pytest.raises(InvalidInputError, match=r"`w_codes` must be a torch\.int8"):
        approx_matmul(INT8.to(torch.uint8), INT8.to(torch.uint8), unsigned.sign_magnitude())
    approx_matmul(INT8.to(torch.uint8), INT8, unsigned.sign_magnitude())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x_codes": IMAGE[0]}, "4 dimensions"),
        ({"w_codes": KERNEL[0]}, "4 dimensions"),
        ({"x_codes": IMAGE[:, :1]}, "c_in = groups"),
        ({"groups": 2}, "c_in = groups"),
        ({"groups": 0}, "c_in = groups"),
        ({"groups": 1.0}, "c_in = groups"),
        ({"w_codes": KERNEL[:3, :1], "groups": 2}, "c_out % groups"),
        ({"stride": 0}, "`stride` must be"),
        ({"stride": 1.5}, "`stride` must be"),
        ({"stride": (1, 2, 3)}, "`stride` must be"),
        ({"stride": True}, "`stride` must be"),
        ({"stride": None}, "`stride` must be"),
        ({"padding": -1}, "`padding` must be"),
        ({"padding": "same"}, "`padding` must be"),
        ({"dilation": (1, 0)}, "`dilation` must be"),
        ({"dilation": 3}, "at least the window 7"),
        ({"pad_code": 128}, "-128 <= pad_code <= 127"),
        ({"pad_code": -129}, "-128 <= pad_code <= 127"),
        ({"pad_code": 0.0}, "pad_code"),
        ({"w_codes": torch.zeros(4, 2, 6, 1, dtype=torch.int8)}, "height 5 must be at least the window 6"),
    ],
)
def test_wrong_arguments_of_the_convolution(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        approx_conv2d(**{"x_codes": IMAGE, "w_codes": KERNEL, "multiplier": EXACT, **arguments})


def test_importing_the_kernels_loads_only_what_is_below_them():
    code = (
        "import sys, axdnn.kernels as k; assert set(k.__all__) <= set(dir(k)); "
        "above = ('quant', 'layers', 'importance', 'evaluation', 'generation', 'models', 'data', 'cli'); "
        "slow = ('triton', 'torch._dynamo', 'torch._inductor'); "
        "print([m for m in (*(f'axdnn.{m}' for m in above), *slow) if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_plan_is_printed_with_what_the_others_would_take():
    plan = explain("mul8u_QKX", m=1024, k=576, n=64)
    first, head, *lines, last = str(plan).splitlines()
    assert first == f"{plan.path}: {plan.reason}"
    assert "predicted" in head
    assert "shipped" in last
    rows = [line.removeprefix("->").split() for line in lines]
    assert {row[0] for row in rows} == set(plan.predicted_s)
    times = [float(row[1]) for row in rows]
    assert times == sorted(times)
    (marked,) = (line for line in lines if line.startswith("->"))
    assert plan.path in marked
    assert marked.endswith("1.00")
    for row in rows:
        assert float(row[1]) == pytest.approx(plan.predicted_s[row[0]] * 1e3, rel=1e-3)


def test_other_devices_and_machines_without_kernels_take_what_they_have(table, no_native):
    for device in ("cpu", "cuda"):
        for kind in ("random", "rank1", "wide", "zero"):
            plan = explain(table(kind), 4096, 576, 64, device=device)
            assert set(plan.predicted_s) <= {
                "lookup",
                "factorised",
                "reference",
                *(("triton",) if device != "cpu" else ()),
            }
            fastest = min(plan.predicted_s.items(), key=lambda item: (item[0] == "reference", item[1]))
            assert plan.path == fastest[0]
            assert plan.rates == ("shipped" if device == "cpu" else "device")
            assert "not measured" in str(plan) or device == "cpu"


def test_groups_rows_and_inputs_count():
    dense = explain(EXACT, 4 * 1024, 36, 64)
    grouped = explain(EXACT, 4 * 1024, 36, 64, groups=4)
    assert all(grouped.predicted_s[path] >= dense.predicted_s[path] * 0.99 for path in dense.predicted_s)
    for path, least in (("factorised", 1.0), ("lookup", 0.0)):
        times = [explain(EXACT, 1024, 64, 64, inputs=inputs).predicted_s[path] for inputs in (65536, 4 * 65536)]
        assert times[1] - times[0] > 0 if least else times[1] == times[0]
