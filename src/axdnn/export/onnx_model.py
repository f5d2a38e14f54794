"""Writing a program as an ONNX model."""

from __future__ import annotations

from pathlib import Path

from axdnn.export.program import Program
from axdnn.records import write_atomic

OPSET = 21  # the newest that needs no newer runtime than the operators do


def write_onnx(program: Program, path: str | Path) -> Path:
    """Write a program as an ONNX model of standard operators, batch size free.

    Args:
        program: of a network.
        path: of the file.

    Raises:
        MissingPackageError: `onnx` is not installed.
        UnsupportedOperatorError: a step without a rule.
    """
    from onnx import checker, helper

    from axdnn.export.onnx_graph import Graph

    graph = Graph(program)
    for step in program.steps:
        graph.add_step(step)
    written = helper.make_graph(
        graph.nodes,
        program.about["network"] or "network",
        [graph.info(name) for name in program.inputs],
        [graph.info(name) for name in program.outputs],
        graph.tensors(),
    )
    imports = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(written, opset_imports=imports, producer_name="axdnn",
                              ir_version=helper.find_min_ir_version_for(imports))  # fmt: skip
    helper.set_model_props(model, program.about)
    checker.check_model(model, full_check=True)
    return write_atomic(path, model.SerializeToString())
