"""`export_onnx`, `export_pt2`, `export_npz`: write a network, after comparing what was written with the network."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from axdnn.export.archive import archive_bytes, archive_program
from axdnn.export.aten import AtenProgram, pt2_bytes
from axdnn.export.lowering import lower
from axdnn.export.onnx_model import onnx_bytes, run_onnx
from axdnn.export.program import Program
from axdnn.layers import ApproxModel
from axdnn.records import unknown_name, write_atomic

CHECK_INPUTS = 4
# A function that rounds otherwise may, very rarely, move a code by one step, which moves results by about as much.
TOLERANCE = 0.02  # of the largest magnitude of a result
Inputs = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Exported:
    """A written file.

    Attributes:
        path: of the file.
        bytes: its size.
        verified: whether it was run on inputs and gave the network's results, bit for bit but for `Program.inexact`.
        check: a sentence that says on what, or why not.
    """

    path: Path
    bytes: int
    verified: bool
    check: str


@dataclass(frozen=True)
class Format:
    """How a program becomes a file's content, and how that is run (None: what runs it is not installed)."""

    pack: Callable[[Program], bytes]
    run: Callable[[bytes, Inputs], Inputs | None]
    runner: str


def _run_pt2(content: bytes, inputs: Inputs) -> Inputs:
    return _tuple(torch.export.load(io.BytesIO(content)).module()(*inputs))


def _run_archive(content: bytes, inputs: Inputs) -> Inputs:
    return _tuple(AtenProgram(archive_program(content))(*inputs))


FORMATS = {
    "onnx": Format(onnx_bytes, run_onnx, "onnxruntime"),
    "pt2": Format(pt2_bytes, _run_pt2, "torch.export.load"),
    "npz": Format(archive_bytes, _run_archive, "the archive read back"),
}


def export_onnx(model: ApproxModel, path: str | Path, inputs: torch.Tensor | Inputs | None = None) -> Exported:
    """Write a network as an ONNX model of standard operators.

    The model takes `(batch, ...)` float32, any batch size, and gives the network's results bit for bit in onnxruntime
    on a processor; functions of real values, such as softmax, may differ in the last bit of float64. It is exact
    wherever float32 convolutions and matrix products of integers below 2^24 are, which TF32, bfloat16 and Winograd
    transforms are not.

    Args:
        model: approximate network.
        path: of the file.
        inputs: real inputs to compare on, `(b, ...)`; a few random ones if omitted.

    Returns:
        Where it is and how it was checked; not checked if onnxruntime is not installed.

    Raises:
        MissingPackageError: `onnx` is not installed.
        UnsupportedOperatorError: operators without a rule, each named.
        AssertionError: the file gives other results (nothing is written).
    """
    return export_model(model, path, "onnx", inputs)


def export_pt2(model: ApproxModel, path: str | Path, inputs: torch.Tensor | Inputs | None = None) -> Exported:
    """Write a network as a saved `torch.export` program of plain torch operators, which loads without axdnn.

    Products and sums are float64 integers, so that no precision setting of torch changes a bit.

    Args:
        model: approximate network.
        path: of the file.
        inputs: see `export_onnx`.

    Raises:
        UnsupportedOperatorError, AssertionError: see `export_onnx`.
    """
    return export_model(model, path, "pt2", inputs)


def export_npz(model: ApproxModel, path: str | Path, inputs: torch.Tensor | Inputs | None = None) -> Exported:
    """Write a network as a plain archive of codes, tables and scales; docs/export.md has the format.

    Args:
        model: approximate network.
        path: of the file.
        inputs: see `export_onnx`.

    Raises:
        UnsupportedOperatorError, AssertionError: see `export_onnx`.
    """
    return export_model(model, path, "npz", inputs)


def export_model(
    model: ApproxModel, path: str | Path, to: str, inputs: torch.Tensor | Inputs | None = None
) -> Exported:
    """Write a network in one of `FORMATS`; see `export_onnx`.

    Raises:
        UnknownNameError: no such format.
    """
    if to not in FORMATS:
        raise unknown_name("export format", to, FORMATS)
    chosen = FORMATS[to]
    program = lower(model)
    content = chosen.pack(program)
    several = (inputs,) if isinstance(inputs, torch.Tensor) else inputs
    given = _examples(model) if several is None else tuple(x[:CHECK_INPUTS].float() for x in several)
    with torch.no_grad():
        wanted, found = _tuple(model(*given)), chosen.run(content, given)
    if found is None:
        check = f"not verified: {chosen.runner} is not installed (pip install axdnn[onnx])"
    else:
        check = _compared(program, wanted, found, f"{len(given[0])} inputs", chosen.runner)
    return Exported(write_atomic(path, content), len(content), found is not None, check)


def _examples(model: ApproxModel) -> Inputs:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(CHECK_INPUTS, *shape, generator=generator) for shape in model.input_shapes)


def _compared(program: Program, wanted: Inputs, found: Inputs, inputs: str, runner: str) -> str:
    """Say how results compare; they must be the same, or close where functions may round otherwise."""
    pairs = list(zip(wanted, found, strict=True))
    if all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs):
        return f"results on {inputs} identical in {runner}"
    alike = all(a.dtype == b.dtype and a.shape == b.shape for a, b in pairs)
    if not program.inexact or not alike or not all(_close(a, b) for a, b in pairs):
        raise AssertionError(f"{runner} disagrees with the network; nothing was written: please report this")
    count, total = sum(int((a != b).sum()) for a, b in pairs), sum(a.numel() for a in wanted)
    return (
        f"{count} of {total} results on {inputs} differ in {runner}, by at most {TOLERANCE:.0%} of the largest: "
        f"float64 may be rounded otherwise in {', '.join(program.inexact)}"
    )


def _close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).abs().max() <= TOLERANCE * a.abs().max())


def _tuple(results: torch.Tensor | Inputs) -> Inputs:
    return results if isinstance(results, tuple) else (results,)
