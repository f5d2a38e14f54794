"""Writing an approximate network down for other tools: ONNX, a `torch.export` program, a plain archive."""

from axdnn.export.archive import archive_bytes, archive_program
from axdnn.export.aten import AtenProgram, pt2_bytes
from axdnn.export.lowering import lower
from axdnn.export.onnx_model import onnx_bytes, run_onnx
from axdnn.export.program import STEPS, Program, Step
from axdnn.export.writing import FORMATS, Exported, export_model, export_npz, export_onnx, export_pt2

__all__ = [
    "FORMATS", "STEPS", "AtenProgram", "Exported", "Program", "Step", "archive_bytes", "archive_program",
    "export_model", "export_npz", "export_onnx", "export_pt2", "lower", "onnx_bytes", "pt2_bytes", "run_onnx",
]  # fmt: skip
