"""Reference counts of scalesim 3.0.0, each row with its layer as read from a topology file."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from axdnn.hardware import ArrayCounts, GemmLayers, array_counts, read_topology_csv

REFERENCE = Path(__file__).parents[2] / "reference"


class ToolRow(NamedTuple):
    """A layer, what the tool counts for it, and what the closed forms count."""

    told: dict[str, str]
    layers: GemmLayers
    counts: ArrayCounts

    @property
    def array(self) -> tuple[int, int]:
        return int(self.told["array_rows"]), int(self.told["array_cols"])

    @property
    def size_bytes(self) -> int:
        return 1024 * int(self.told["sram_kB_each"])


@pytest.fixture(scope="session")
def tool_rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[ToolRow]]:
    """File -> rows: ResNet-18 on square arrays, and small layers on odd arrays with little memory."""
    file = tmp_path_factory.mktemp("topologies") / "layer.csv"

    def row(told: dict[str, str]) -> ToolRow:
        file.write_text(told["topology_row"] + ",\n")
        layers = read_topology_csv(file)
        kb = int(told["sram_kB_each"])
        rows, columns = int(told["array_rows"]), int(told["array_cols"])
        return ToolRow(told, layers, array_counts(layers, rows, columns, told["dataflow"], sram_kb=(kb, kb, kb)))

    found = {}
    for name in ("scalesim_layers", "scalesim_small"):
        with (REFERENCE / f"{name}.csv").open(newline="") as lines:
            found[name] = [row(told) for told in csv.DictReader(lines)]
    return found


@pytest.fixture
def layer_file(tmp_path: Path) -> Callable[[str], Path]:
    """A function that writes a file of layers."""

    def write(text: str) -> Path:
        path = tmp_path / "layers.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def reference() -> Callable[[str], list[dict[str, str]]]:
    def read(name: str) -> list[dict[str, str]]:
        with (REFERENCE / name).open(newline="") as lines:
            return list(csv.DictReader(lines))

    return read
