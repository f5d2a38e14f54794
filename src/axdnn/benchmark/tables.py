"""The measurement as tables to print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axdnn.report import Column, Table

Report = Mapping[str, Any]


def product_table(report: Report) -> Table:
    """Return one row a layer and path: products a second, ratios, spread; `*` marks the path that is chosen."""
    loops = [key for key in ("of_scalar_loop", "of_gather_loop") if any(key in row for row in report["rows"])]
    columns = (
        Column("shape", "layer"), Column("table", "table"), Column("rank", "rank", "count"), Column("path", "path"),
        Column("products_per_s", "products", "number", digits=3), Column("spread", "spread", "percent", digits=0),
        Column("of_float32", "times float32", "fixed"),
        *(Column(key, f"times {key.removeprefix('of_').replace('_', ' ')}", "fixed", digits=1) for key in loops),
    )  # fmt: skip
    rows = []
    for row in report["rows"]:
        low, high = row["quarters_s"]
        mark = "* " if row["chosen"] else ""
        rows.append((
            row["shape"], row["table"], row["rank"], mark + row["path"], row["products_per_s"] / 1e9,
            (high - low) / row["s"], row["of_float32"], *(row[key] for key in loops),
        ))  # fmt: skip
    settings = report["settings"]
    count = settings["threads"]
    notes = [
        f"Products in G a second, medians of {settings['rounds']} rounds; spread: between the quarter points, of the "
        f"median; * is the path that is chosen, by {settings['rates']} rates. {count} thread{'s' * (count > 1)}.",
    ]
    if settings["within"] is not None:
        notes.append(
            f"Paths that are predicted to take over {settings['within']:g} times as long are left out (--full)."
        )
    if not loops:
        notes.append("Look-up loops need a C++ compiler and the sources: `python benchmarks/simulation.py`.")
    return Table("Exact simulation of layers", columns, tuple(rows), tuple(notes))


def network_table(report: Report) -> Table:
    """Return one row a whole network: time and memory of a batch beside float32."""
    columns = (
        Column("table", "table"), Column("s", "time", "si", "s", 3),
        Column("time_of_float32", "time / float32", "fixed"),
        Column("peak_bytes", "peak memory", "si", "B", 3), Column("memory_of_float32", "memory / float32", "fixed"),
        Column("batch_memory_of_float32", "of the batch alone", "fixed"),
    )  # fmt: skip
    rows = tuple(tuple(row[column.key] for column in columns) for row in report["networks"])
    first = report["networks"][0]
    return Table(f"{first['network']} on {first['data']}, batch {first['batch']}", columns, rows)


def speedup_table(report: Report) -> Table:
    """Return one row a layer: what several threads bring."""
    columns = (Column("shape", "layer"), Column("table", "table"), Column("threads", "threads", "count"),
               Column("speedup", "times one thread", "fixed"))  # fmt: skip
    rows = tuple(tuple(row[column.key] for column in columns) for row in report["speedup"])
    load = report["settings"]["load_before"][0]
    return Table("Threads", columns, rows, (f"Load average when the measurement began: {load:.1f}.",))


def target_table(report: Report) -> Table:
    """Return one row a target: wanted, found, met."""
    columns = (Column("what", "target"), Column("wanted", "wanted"), Column("found", "found", "fixed"),
               Column("at", "worst at"), Column("met", "met", "flag"))  # fmt: skip
    rows = tuple(tuple(row[column.key] for column in columns) for row in report["targets"])
    choices = report["summary"].get("choices")
    notes: tuple[str, ...] = ()
    if choices:
        worst = choices["worst"]
        notes = (
            f"Of {choices['of']} choices of a path {choices['not_the_fastest']} were not the fastest one; in the mean "
            f"{100 * (choices['mean_regret'] - 1):.1f} % are lost, at worst {worst['regret']:.2f} times "
            f"({worst['table']}, {worst['shape']}).",
        )
    return Table("Targets", columns, rows, notes)
