"""Writing an approximate network down for other tools: ONNX, a `torch.export` program, a plain archive."""

from axdnn.export.archive import write_archive
from axdnn.export.lowering import lower
from axdnn.export.program import STEPS, Program, Step, Table

__all__ = ["STEPS", "Program", "Step", "Table", "lower", "write_archive"]
