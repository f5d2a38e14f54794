"""The table of a `Sweep`, as `axdnn estimate --sweep` prints it."""

from __future__ import annotations

from axdnn.records import Sweep, SweepPoint
from axdnn.report.cost_tables import inferences
from axdnn.report.tables import Column, Table

SHOWN = 40
"""Points printed at most; all of them are in JSON and CSV."""


def sweep_table(sweep: Sweep, shown: int | None = SHOWN) -> Table:
    """Return one row a point, the best ones (see `SweepPoint`) first, then by energy.

    Args:
        sweep: what to show.
        shown: most rows; None = all, in the order of the sweep.
    """
    points = list(sweep.points)
    if shown is not None:
        points.sort(key=lambda p: (not p.best, p.energy_j))
        points = points[:shown]
    columns = (
        *(Column(key, _head(sweep, key)) for key in sweep.axes),
        Column("latency_s", "latency", "si", "s"), Column("energy_j", "energy", "si", "J"),
        Column("area_m2", "area", "si", "m²"), Column("stall_fraction", "stalls", "percent", digits=1),
        Column("best", "best", "flag"),
    )  # fmt: skip
    best = sum(p.best for p in sweep.points)
    left = len(sweep.points) - len(points)
    notes = (
        f"{best} of {len(sweep.points)} points are best: none other is as good in latency, energy and area and better "
        f"in one. Figures are of {inferences(sweep.batch)}; every pod holds {sweep.multiplier}.",
        *((f"{left} more points are not shown; --format csv or json has all.",) if left else ()),
    )
    title = f"{sweep.network} on variants of {sweep.accelerator}"
    return Table(title, columns, tuple(_row(sweep, p) for p in points), notes)


def _head(sweep: Sweep, key: str) -> str:
    unit, name = sweep.units.get(key, "1"), key.split(".")[-1].replace("_", " ")
    return name if unit == "1" else f"{name}, {unit}"


def _row(sweep: Sweep, p: SweepPoint) -> tuple[float | str | bool, ...]:
    values = (p.values[key] for key in sweep.axes)
    shown = (v if isinstance(v, str) else f"{v:g}" for v in values)
    return (*shown, p.latency_s, p.energy_j, p.area_m2, p.stall_fraction, p.best)
