"""Every format gives the network's results bit for bit: every operator, every coding, every kind of table."""

from __future__ import annotations

import io

import pytest
import torch

from axdnn.evaluation import CodingBank, RowMapping
from axdnn.export import lower, onnx_bytes, pt2_bytes, run_onnx
from axdnn.layers import Calibration, Recipe, build
from axdnn.multipliers import classify, load_multiplier
from axdnn.quant import capture, fold_batch_norm, network_of

CIRCUITS = (
    "exact", "signed", "in steps", "sign-magnitude", "unsigned", "f(0,0) != 0", "full rank, signed",
    "full rank, unsigned", "full rank, sign-magnitude", "beyond int32",
)  # fmt: skip
ENDS = ("layer", "moved", "joined", "table", "sum", "pool", "mean", "norm")


def same(got: torch.Tensor, wanted: torch.Tensor) -> None:
    assert got.dtype == wanted.dtype == torch.float32
    assert torch.equal(got, wanted)
    assert len(wanted.unique()) > 3


@pytest.mark.parametrize("to", ["onnx", "npz"])
@pytest.mark.parametrize(
    ("net", "case"),
    [
        pytest.param(net, case, marks=pytest.mark.slow if net == "paths" and i % 3 else ())
        for net in ("windows", "paths")
        for i, case in enumerate(CIRCUITS)
    ],
)
def test_every_kind_of_table(kit, case, net, to):
    model, x = kit.made(net, case)
    if case == "in steps":
        assert classify(model.layer(model.layer_names[0]).multiplier).a_step_bits >= 3
        assert any(model.layer(name).coding.encoding.step_bits >= 3 for name in model.layer_names)
    same(kit.run(model, to, x), model(x))


@pytest.mark.parametrize(
    ("net", "case"),
    [
        ("windows", "in steps"),
        pytest.param("paths", "f(0,0) != 0", marks=pytest.mark.slow),
        pytest.param("windows", "full rank, unsigned", marks=pytest.mark.slow),
    ],
)
def test_programs_of_torch(kit, net, case):
    model, x = kit.made(net, case)
    same(kit.run(model, "pt2", x), model(x))


@pytest.mark.parametrize("to", ["onnx", "npz"])
@pytest.mark.parametrize("end", ENDS)
def test_every_end(kit, end, to):
    model, x = kit.made(end, "signed")
    same(kit.run(model, to, x), model(x))


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS)
def test_every_end_of_a_torch_program(kit, end):
    model, x = kit.made(end, "signed")
    same(kit.run(model, "pt2", x), model(x))


@pytest.mark.parametrize("to", ["onnx", "npz", pytest.param("pt2", marks=pytest.mark.slow)])
def test_mixed_circuits_with_exact_rows_skipped_channels_and_absent_inputs(kit, to):
    for unsigned in ("sign_magnitude", "unsigned") if to != "pt2" else ("unsigned",):
        recipe, data = Recipe(unsigned_coding=unsigned), kit.images(16, 2, 13, 12)
        captured = fold_batch_norm(capture(kit.lively(kit.windows()), data))
        chosen = zip(captured.layer_names, ("mul8u_17KS", "mul8u_QKX", "mul8s_1KR3", "exact"), strict=True)
        skip, absent = {"stem": (1, 4), "deep": (0,)}, {"grouped": (0, 4), "deep": (3,), "head": (5, 6)}
        bank = CodingBank(Calibration(captured, data), recipe, rows=RowMapping(rows=8, exact_rows=3))
        codings = {layer: bank.get(layer, load_multiplier(name), absent.get(layer, ())) for layer, name in chosen}
        model = build(bank.calibration, codings, network_of(captured, "mixed"), recipe, skip=skip, absent=absent)
        assert any(model.layer(name).terms is not None for name in model.layer_names)
        x = kit.images(5, 2, 13, 12, seed=1)
        same(kit.run(model, to, x), model(x))
        model.path = "reference"
        same(kit.run(model, to, x), model(x))


def test_any_batch_size(kit):
    model, x = kit.made("paths", "sign-magnitude")
    program = lower(model)
    onnx, torch_program = onnx_bytes(program), torch.export.load(io.BytesIO(pt2_bytes(program))).module()
    for count in (1, 2, 5):
        same(run_onnx(onnx, (x[:count],))[0], model(x[:count]))
        same(torch_program(x[:count]), model(x[:count]))
