"""A program as an ONNX model, and running one."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from axdnn.export.program import Program
from axdnn.records import InvalidInputError, MissingPackageError

OPSET = 21  # every operator in the form it has kept since
MOST_BYTES = 2**31 - 2**20  # a protobuf message ends at 2 GiB


def onnx_bytes(program: Program) -> bytes:
    """Return a program as an ONNX model of standard operators, batch size free.

    Raises:
        MissingPackageError: `onnx` is not installed.
        UnsupportedOperatorError: a step without a rule.
        InvalidInputError: the model does not fit an ONNX file.
    """
    if find_spec("onnx") is None:
        raise MissingPackageError("export to ONNX needs the package onnx: pip install axdnn[onnx]")
    from onnx import checker, helper

    from axdnn.export.onnx_graph import Graph
    from axdnn.export.onnx_rules import add_step

    graph = Graph(program)
    for step in program.steps:
        add_step(graph, step)
    size = sum(array.nbytes for _, array in graph.constants.values())
    if size > MOST_BYTES:
        raise InvalidInputError(
            f"an ONNX file holds at most 2 GiB, but the constants take {size} bytes; use pt2 or npz"
        )
    written = helper.make_graph(
        graph.nodes,
        program.about["network"] or "network",
        [graph.info(name) for name in program.inputs],
        [graph.info(name) for name in program.outputs],
        graph.tensors(),
    )
    imports = [helper.make_opsetid("", OPSET)]
    version = helper.find_min_ir_version_for(imports)
    model = helper.make_model(written, opset_imports=imports, producer_name="axdnn", ir_version=version)
    helper.set_model_props(model, program.about)
    checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def run_onnx(content: bytes, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
    """Return what onnxruntime computes on the processor with such a model, or None if it is not installed."""
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    found = session.run(None, {name: x.numpy() for name, x in zip(names, inputs, strict=True)})
    return tuple(torch.from_numpy(result) for result in found)
