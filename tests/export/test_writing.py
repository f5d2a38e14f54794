"""Files, the check of what was written, errors, and readers that have neither axdnn nor torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from axdnn.export import (
    AtenProgram,
    archive_bytes,
    archive_program,
    export_model,
    export_npz,
    export_onnx,
    export_pt2,
    lower,
    onnx_bytes,
)
from axdnn.quant import Node
from axdnn.records import MissingPackageError, RecordError, UnknownNameError, UnsupportedOperatorError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run_without(packages: str, code: str, *arguments: object) -> None:
    """Run code in a process where importing any of these packages fails."""
    block = f"import sys\nsys.modules.update(dict.fromkeys({packages.split()!r}))\n"
    command = [sys.executable, "-c", block + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_numpy_alone_reads_the_archive(kit, tmp_path):
    model, x = kit.made("windows", "sign-magnitude")
    done = export_npz(model, tmp_path / "net.npz")
    assert done.verified
    assert done.bytes == done.path.stat().st_size
    np.save(tmp_path / "x.npy", x.numpy())
    np.save(tmp_path / "y.npy", model(x).numpy())
    code = (
        "import numpy as np\nsys.path.insert(0, sys.argv[1])\nimport read_export\n"
        "[y] = read_export.run(sys.argv[2], np.load(sys.argv[3]))\n"
        "assert y.dtype == np.float32 and np.array_equal(y, np.load(sys.argv[4]))\n"
        "assert not [m for m in ('torch', 'axdnn', 'scipy', 'onnx') if sys.modules.get(m)]\n"
    )
    run_without("torch axdnn", code, EXAMPLES, done.path, tmp_path / "x.npy", tmp_path / "y.npy")
    assert len((EXAMPLES / "read_export.py").read_text().splitlines()) <= 60


@pytest.mark.slow
def test_torch_alone_loads_the_program(kit, tmp_path):
    model, x = kit.made("paths", "signed")
    done = export_pt2(model, tmp_path / "net.pt2", x)
    assert done.verified
    np.save(tmp_path / "x.npy", x.numpy())
    np.save(tmp_path / "y.npy", model(x).numpy())
    code = (
        "import numpy as np, torch\ntorch.set_float32_matmul_precision('medium')\n"
        "program = torch.export.load(sys.argv[1])\n"
        "names = {str(n.target).split('.')[0] for n in program.graph.nodes if n.op == 'call_function'}\n"
        "assert names <= {'aten', '<built-in function getitem>', '<built-in function mul>'}, names\n"
        "y = program.module()(torch.from_numpy(np.load(sys.argv[2])))\n"
        "assert torch.equal(y, torch.from_numpy(np.load(sys.argv[3])))\n"
    )
    run_without("axdnn", code, done.path, tmp_path / "x.npy", tmp_path / "y.npy")


def test_onnx_uses_standard_operators_and_says_what_it_is(kit, tmp_path):
    model, x = kit.made("windows", "full rank, unsigned")
    done = export_onnx(model, tmp_path / "net.onnx", x)
    assert done.verified
    assert "onnxruntime" in done.check
    loaded = onnx.load(done.path)
    assert {(entry.domain, entry.version) for entry in loaded.opset_import} == {("", 21)}
    assert {node.domain for node in loaded.graph.node} == {""}
    assert loaded.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    about = {entry.key: entry.value for entry in loaded.metadata_props}
    assert json.loads(about["assignment"]) == model.assignment.multipliers


def test_onnx_in_the_reference_of_the_standard(kit):
    """ONNX's own evaluator, written in NumPy, is an oracle apart from onnxruntime."""
    from onnx.reference import ReferenceEvaluator

    for case in ("in steps", "full rank, signed"):
        model, x = kit.made("windows", case)
        evaluator = ReferenceEvaluator(onnx.load_from_string(onnx_bytes(lower(model))))
        [found] = evaluator.run(None, {evaluator.input_names[0]: x[:1].numpy()})
        assert np.array_equal(found, model(x[:1]).numpy())


def test_onnxruntime_gives_the_same_bits_at_every_optimisation_level_and_thread_count(kit):
    """Fusions that would fold a scale into weights, or sum in another order, change nothing."""
    for net, case in (("windows", "signed"), ("paths", "f(0,0) != 0")):
        model, x = kit.made(net, case)
        content, wanted = onnx_bytes(lower(model)), model(x).numpy()
        levels = onnxruntime.GraphOptimizationLevel
        for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_BASIC, levels.ORT_ENABLE_ALL):
            for threads in (1, 2):
                options = onnxruntime.SessionOptions()
                options.graph_optimization_level, options.intra_op_num_threads = level, threads
                session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
                assert np.array_equal(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0], wanted)


def test_an_archive_comes_back_as_it_was(kit):
    program = lower(kit.made("paths", "unsigned")[0])
    content = archive_bytes(program)
    again = archive_program(content)
    assert archive_bytes(again) == content
    assert [step.op for step in again.steps] == [step.op for step in program.steps]


def test_damaged_and_foreign_archives_are_refused(kit, tmp_path):
    content = archive_bytes(lower(kit.made("layer", "signed")[0]))
    for bad in (b"", b"PK nothing", content[:-200]):
        with pytest.raises(RecordError, match="axdnn export --to npz"):
            archive_program(bad)
    np.savez(tmp_path / "other.npz", graph=np.array(json.dumps({"format": "axdnn-program", "version": 99})))
    with pytest.raises(RecordError, match="version 99"):
        archive_program((tmp_path / "other.npz").read_bytes())


def test_operators_without_a_rule_are_named(kit, tmp_path):
    model, _ = kit.made("layer", "signed")
    model.nodes["strange"] = Node("strange", "fold", (next(iter(model.nodes)),))
    try:
        with pytest.raises(UnsupportedOperatorError, match=r"'strange' \(fold\)"):
            export_npz(model, tmp_path / "net.npz")
    finally:
        del model.nodes["strange"]
    program = lower(model)
    odd = replace(program, steps=(*program.steps, replace(program.steps[-1], op="fold", node="strange")))
    for writer in (onnx_bytes, AtenProgram):
        with pytest.raises(UnsupportedOperatorError, match="'fold' of 'strange'"):
            writer(odd)
    assert not list(tmp_path.iterdir())


def test_unknown_formats_are_refused(kit, tmp_path):
    with pytest.raises(UnknownNameError, match="onnx, pt2, npz"):
        export_model(kit.made("layer", "signed")[0], tmp_path / "net.tflite", "tflite")


def test_without_onnx_the_error_says_what_to_install(kit, tmp_path, monkeypatch):
    model, _ = kit.made("layer", "signed")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    done = export_onnx(model, tmp_path / "net.onnx")
    assert not done.verified
    assert done.check.startswith("not verified: onnxruntime is not installed")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingPackageError, match=r"pip install axdnn\[onnx\]"):
        export_onnx(model, tmp_path / "other.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]


def test_a_file_that_computes_something_else_is_not_written(kit, tmp_path):
    """A network that does more than its graph says is found out."""
    model, x = kit.made("sum", "signed")
    hook = model.register_forward_hook(lambda module, inputs, result: result * (1 + 2**-23))
    try:
        for writer in (export_npz, export_onnx):
            with pytest.raises(AssertionError, match="nothing was written"):
                writer(model, tmp_path / "net", x)
    finally:
        hook.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    ["lenet5", pytest.param("resnet8", marks=pytest.mark.slow), pytest.param("resnet20", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("to", ["onnx", "npz", pytest.param("pt2", marks=pytest.mark.slow)])
def test_shipped_networks(kit, tmp_path, name, to):
    """Trained weights, another circuit in each layer, and neurons that are left out."""
    from axdnn import approximate
    from axdnn.models import resolve_model

    trained = resolve_model(name, "mnist" if name == "lenet5" else "cifar10")
    shape = (1, 28, 28) if name == "lenet5" else (3, 32, 32)
    data = torch.rand(8, *shape, generator=torch.Generator().manual_seed(0))
    circuits = ("mul8s_1L2N", "mul8s_1KVL", "mul8u_R36", "exact", "mul8s_1L12")
    layers = approximate(trained.model, "exact", data[:1]).layer_names
    chosen = {layer: circuits[i % len(circuits)] for i, layer in enumerate(layers)}
    model = approximate(trained.model, chosen, data)
    assert export_model(model, tmp_path / f"net.{to}", to, data[:2]).verified
