"""The plain archive: a compressed `.npz` of arrays and one JSON text, for hardware flows; see docs/export.md."""

from __future__ import annotations

import io
import json
from typing import Any
from zipfile import BadZipFile

import numpy as np

from axdnn.export.program import Array, Program, Step
from axdnn.records import Multiplier, RecordError

FORMAT = "axdnn-program"
VERSION = 1
_KEYS = ("op", "output", "inputs", "node", "shape", "dtype", "arrays")  # of every step; the others are its attributes


def archive_bytes(program: Program) -> bytes:
    """Return a program as the contents of an `.npz` file."""
    arrays: dict[str, Array] = {}
    known: dict[int, str] = {}  # calls of one layer share their arrays
    steps: list[dict[str, Any]] = []
    for i, step in enumerate(program.steps):
        keys = {name: known.setdefault(id(array), f"{i}.{name}") for name, array in step.arrays.items()}
        arrays |= {keys[name]: array for name, array in step.arrays.items()}
        steps.append({
            "op": step.op, "output": step.output, "inputs": step.inputs, "node": step.node, "shape": step.shape,
            "dtype": step.dtype, **step.attrs, "arrays": keys,
        })  # fmt: skip
    tables = {}
    for key, m in program.tables.items():
        tables[key] = {"name": m.name, "coding": m.coding}
        arrays |= {f"table.{key}": m.table, f"a_values.{key}": m.a_values, f"w_values.{key}": m.w_values}
    graph = {
        "format": FORMAT, "version": VERSION, "about": program.about, "inputs": program.inputs,
        "outputs": program.outputs, "tables": tables, "steps": steps,
    }  # fmt: skip
    buffer = io.BytesIO()
    np.savez_compressed(buffer, graph=np.array(json.dumps(graph, allow_nan=False)), **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def archive_program(content: bytes, where: str = "the archive") -> Program:
    """Return the program in an archive.

    Raises:
        RecordError: it is not an archive of this format and version.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        graph = json.loads(str(arrays["graph"]))
        found = (graph["format"], graph["version"])
    except (ValueError, KeyError, OSError, EOFError, TypeError, BadZipFile) as error:
        raise RecordError(f"{where} must be a file that `axdnn export --to npz` wrote, but: {error}") from error
    if found != (FORMAT, VERSION):
        raise RecordError(f"{where} must hold {FORMAT} version {VERSION}, but got {found[0]} version {found[1]}")
    steps = tuple(
        Step(
            s["op"], s["output"], tuple(s["inputs"]), s["node"], tuple(s["shape"]), s["dtype"],
            {key: value for key, value in s.items() if key not in _KEYS},
            {name: arrays[key] for name, key in s["arrays"].items()},
        )
        for s in graph["steps"]
    )  # fmt: skip
    tables = {
        key: Multiplier(name=t["name"], coding=t["coding"], table=arrays[f"table.{key}"])
        for key, t in graph["tables"].items()
    }
    inputs = {name: tuple(shape) for name, shape in graph["inputs"].items()}
    return Program(inputs, tuple(graph["outputs"]), steps, tables, graph["about"])
