"""Pack the EvoApprox8b tables into src/axdnn/multipliers/data.

    python tools/pack_evoapprox.py ../shared/evoapprox8b

Reads index.csv and tables.npz of that folder, writes evoapprox8b.bin (tables) and evoapprox8b.json (names, published
figures as printed, and what our own code says of each table: identity, rank, class, error metrics).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np

from axdnn.multipliers.classify import classify
from axdnn.multipliers.library import INDEX, TABLES, Library, LibraryTable, PublishedName
from axdnn.multipliers.metrics import error_map, error_metrics
from axdnn.multipliers.modular import matrix_rank
from axdnn.multipliers.packing import pack_error
from axdnn.records import Multiplier

DATA = Path(__file__).resolve().parents[1] / "src" / "axdnn" / "multipliers" / "data"
PRINTED = ("mae_pct", "wce_pct", "wcre_pct", "ep_pct", "mre_pct", "mse", "mae_abs", "wce_abs") + (
    "power_mw",
    "area_um2",
    "delay_ns",
)
CITATION = (
    "V. Mrazek, R. Hrbacek, Z. Vasicek, L. Sekanina: EvoApprox8b: Library of approximate adders and multipliers for "
    "circuit design and benchmarking of approximation methods. DATE 2017, pp. 258-261, doi:10.23919/DATE.2017.7926993"
)


def main() -> None:
    """Pack the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with index.csv and tables.npz")
    folder = parser.parse_args().folder
    rows = list(csv.DictReader((folder / "index.csv").read_text().splitlines()))
    arrays = np.load(folder / "tables.npz")
    groups: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        groups[row["table"]].append(row)
    meanings: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        meanings[row["circuit"]].add(row["table"])
    ambiguous = {circuit for circuit, tables in meanings.items() if len(tables) > 1}
    packed = bytearray()
    entries: list[LibraryTable] = []
    for key in sorted(groups, key=lambda key: _order(groups[key])):
        entries.append(_entry(groups[key], arrays[key], ambiguous, packed))
    index = Library(
        title="EvoApprox8b",
        source="https://github.com/ehw-fit/evoapproxlib",
        license="MIT",
        citation=CITATION,
        releases={row["release"]: row["source"] for row in rows},
        tables=tuple(entries),
    )
    DATA.mkdir(parents=True, exist_ok=True)
    (DATA / TABLES).write_bytes(bytes(packed))
    (DATA / INDEX).write_bytes(msgspec.json.format(msgspec.json.encode(index), indent=1) + b"\n")
    print(f"{len(entries)} tables, {len(rows)} names: {len(packed)} bytes, index {(DATA / INDEX).stat().st_size} bytes")


def _order(rows: list[dict[str, str]]) -> tuple[int, float, float, str]:
    """Signed first, most power first, better first."""
    first = min(rows, key=_preferred)
    return -int(first["signed"]), -float(first["power_mw"]), float(first["calc_mae"]), first["name"]


def _preferred(row: dict[str, str]) -> int:
    return 0 if row["release"] == "v2022" else 1


def _entry(rows: list[dict[str, str]], array: np.ndarray, ambiguous: set[str], packed: bytearray) -> LibraryTable:
    rows = sorted(rows, key=_preferred)
    labels = [f"{r['circuit']}@{r['release']}" if r["circuit"] in ambiguous else r["circuit"] for r in rows]
    signed = rows[0]["signed"] == "1"
    multiplier = Multiplier.from_table(array, signed=signed, name=labels[0])
    data = pack_error(error_map(multiplier), signed)
    offset = len(packed)
    packed += data
    symmetric = np.array_equal(multiplier.table, multiplier.table.T)
    return LibraryTable(
        label=labels[0],
        aliases=tuple(labels[1:]),
        signed=signed,
        names=tuple(
            PublishedName(circuit=r["circuit"], release=r["release"], published={k: r[k] for k in PRINTED})
            for r in rows
        ),
        sha1=hashlib.sha1(multiplier.table.astype("<i4").tobytes()).hexdigest()[:12],
        offset=offset,
        size=len(data),
        id=multiplier.id,
        transposed_id=None if symmetric else multiplier.transposed().id,
        rank=matrix_rank(multiplier.table),
        classification=classify(multiplier),
        metrics=error_metrics(multiplier),
    )


if __name__ == "__main__":
    main()
