"""The plain archive: a compressed `.npz` of arrays and one JSON text, for hardware flows; see docs/export.md."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from axdnn.export.program import Array, Program
from axdnn.records import write_atomic

FORMAT = "axdnn-program"
VERSION = 1


def write_archive(program: Program, path: str | Path) -> Path:
    """Write a program as `.npz`.

    Args:
        program: of a network.
        path: of the file.
    """
    arrays: dict[str, Array] = {}
    steps: list[dict[str, Any]] = []
    for i, step in enumerate(program.steps):
        keys = {name: f"{i}.{name}" for name in step.arrays}
        arrays |= {keys[name]: array for name, array in step.arrays.items()}
        steps.append({
            "op": step.op, "output": step.output, "inputs": step.inputs, "node": step.node, "shape": step.shape,
            "dtype": step.dtype, **step.attrs, "arrays": keys,
        })  # fmt: skip
    tables = {}
    for key, table in program.tables.items():
        tables[key] = {"name": table.name, "coding": table.coding}
        arrays[f"table.{key}"] = table.table
        arrays[f"a_values.{key}"], arrays[f"w_values.{key}"] = table.a_values, table.w_values
    graph = {
        "format": FORMAT, "version": VERSION, "about": program.about, "inputs": program.inputs,
        "outputs": program.outputs, "tables": tables, "steps": steps,
    }  # fmt: skip
    buffer = io.BytesIO()
    np.savez_compressed(buffer, graph=np.array(json.dumps(graph)), **arrays)
    return write_atomic(path, buffer.getvalue())
