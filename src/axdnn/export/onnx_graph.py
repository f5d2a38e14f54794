"""An ONNX graph under construction."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from axdnn.export.planes import Planes, planes_of
from axdnn.export.program import Array, Program, Step
from axdnn.kernels.bounds import FLOAT32_EXACT

TYPES = {
    "float32": TensorProto.FLOAT, "int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "int32": TensorProto.INT32,
    "int64": TensorProto.INT64, "float64": TensorProto.DOUBLE, "bool": TensorProto.BOOL,
}  # fmt: skip


class Graph:
    """Nodes and constants so far.

    Args:
        program: whose tables and shapes are read.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nodes: list[NodeProto] = []
        self.constants: dict[tuple[str, tuple[int, ...], bytes], tuple[str, Array]] = {}
        self.shapes = {name: (-1, *shape) for name, shape in program.inputs.items()}
        self.shapes |= {step.output: step.shape for step in program.steps}
        self.types = dict.fromkeys(program.inputs, "float32") | {step.output: step.dtype for step in program.steps}
        self.layers: dict[tuple[object, ...], Planes] = {}  # calls of a layer share theirs
        self.step: Step | None = None
        self.count = 0

    def name(self) -> str:
        """Return a new name for a value, after the step in work."""
        self.count += 1
        return f"{self.step.output if self.step else ''}/{self.count}"

    def add(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Append a node and return the name of its result."""
        output = output or self.name()
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def constant(self, value: Any, dtype: str) -> str:
        """Return the name of a constant; equal ones are stored once."""
        array = np.asarray(value, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        return self.constants.setdefault(key, (f"constant{len(self.constants)}", array))[0]

    def cast(self, value: str, dtype: str, output: str = "") -> str:
        """Return a value in another type."""
        return self.add("Cast", value, to=TYPES[dtype], output=output)

    def row(self, value: str, first: int) -> str:
        """Return the row of a table for each code, int32."""
        row = self.cast(value, "int32")
        return self.add("Add", row, self.constant(-first, "int32")) if first else row

    def planes(self, s: Step) -> Planes:
        """Return the sums of a layer as planes that float32 adds exactly."""
        key = (s.attrs["table"], s.attrs["w_zero"], *map(id, s.arrays.values()))
        if key not in self.layers:
            self.layers[key] = planes_of(s, self.program.tables[s.attrs["table"]], FLOAT32_EXACT)
        return self.layers[key]

    def tensors(self) -> list[TensorProto]:
        """Return the constants."""
        return [numpy_helper.from_array(array, name) for name, array in self.constants.values()]

    def info(self, name: str) -> ValueInfoProto:
        """Describe an input or a result, batch size free."""
        free = ["batch", *[None] * (len(self.shapes[name]) - 1)]
        sizes = [size if size >= 0 else free[axis] for axis, size in enumerate(self.shapes[name])]
        return helper.make_tensor_value_info(name, TYPES[self.types[name]], sizes)
