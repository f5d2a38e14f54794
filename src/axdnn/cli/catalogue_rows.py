"""A multiplier's row as plain data and as the cells of a table with one figure a line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from axdnn.multipliers import CatalogueRow
    from axdnn.report import Table

_SHOWN: tuple[tuple[str, str, float | None], ...] = (
    ("name", "name", None), ("also called", "aliases", None), ("identity", "id", None), ("coding", "coding", None),
    ("class", "class", None), ("matrix rank", "rank", None), ("symmetric", "symmetric", None),
    ("f(0, 0)", "f_0_0", None), ("MAE", "mae", None), ("MAE %", "mae_pct", None), ("WCE", "wce", None),
    ("WCE %", "wce_pct", None), ("WCRE %", "wcre_pct", None), ("EP %", "ep_pct", None), ("MRE %", "mre_pct", None),
    ("MSE", "mse", None), ("mean error", "mean_error", None), ("power, mW", "power_w", 1e3),
    ("area, um2", "area_m2", 1e12), ("delay, ns", "delay_s", 1e9), ("power / exact", "power_ratio", None),
    ("area / exact", "area_ratio", None), ("origin", "origin", None),
)  # fmt: skip


def row_facts(row: CatalogueRow) -> dict[str, Any]:
    """Return a row as plain data; unknown figures are None."""
    m = row.metrics
    return {
        "name": row.name, "aliases": list(row.aliases), "id": row.id, "coding": row.coding,
        "class": row.classification.label, "rank": row.rank, "symmetric": row.symmetric,
        "mae": m.mae, "mae_pct": m.mae_pct, "wce": m.wce, "wce_pct": m.wce_pct, "wcre_pct": m.wcre_pct,
        "ep_pct": m.ep_pct, "mre_pct": m.mre_pct, "mse": m.mse, "mean_error": m.mean_error,
        "power_w": row.power_w, "area_m2": row.area_m2, "delay_s": row.delay_s,
        "power_ratio": row.power_ratio, "area_ratio": row.area_ratio,
    }  # fmt: skip


def facts_table(title: str, facts: dict[str, Any]) -> Table:
    """Return a table with one figure a line, of those facts that are there."""
    from axdnn.report import Column, Table

    cells = tuple(
        (label, _text(facts[key], factor)) for label, key, factor in _SHOWN if key in facts
    )  # a fact that is None is unknown
    return Table(title, (Column("figure", "figure"), Column("value", "value")), cells)


def file_stem(name: str) -> str:
    """Return a multiplier's name as the start of a file name: of a file its own stem, else without odd characters."""
    path = re.sub(r"\.axmul(#[0-9a-f]+)?", "", name)
    return re.sub(r"[^\w.@+=,-]+", "_", Path(path).name)


def _text(value: Any, factor: float | None) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    value = value * factor if factor else value
    return f"{value:.6g}" if isinstance(value, float) else str(value)
