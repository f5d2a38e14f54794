"""Figures of a `Sweep`: energy against latency, how each parameter moves them, and the roofline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from axdnn.records import Sweep, SweepPoint
from axdnn.report.drawing import BLUE, GREEN, GREY, INK, MUTED, ORANGE, WIDE, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUANTITIES = (("latency_s", "latency (ms)", 1e3, BLUE), ("energy_j", "energy (mJ)", 1e3, ORANGE),
              ("area_m2", "area (mm²)", 1e6, GREEN))  # fmt: skip
MOST_AXES = 6


def draw_sweep(sweep: Sweep, width: float = WIDE) -> Figure:
    """Draw a sweep: all points with the best ones, a panel of curves for each parameter, and the roofline.

    A curve shows the least of a quantity that can be had at each value of a parameter, all others free, as a
    multiple of the least of all.
    """
    axes = [key for key, values in sweep.axes.items() if len(values) > 1][:MOST_AXES]
    panels = 2 + len(axes)
    columns = 1 if width < WIDE else 3
    rows = -(-panels // columns)
    with style():
        figure = new_figure(width, 2.6 * rows)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        _points(grid[0], sweep.points)
        _roofline(grid[1], sweep)
        for panel, key in zip(grid[2:], axes, strict=False):
            _curves(panel, sweep, key)
        for panel in grid[panels:]:
            panel.set_axis_off()
    return figure


def curves(sweep: Sweep, key: str) -> dict[str, list[tuple[float | str, float]]]:
    """Return quantity -> (value of the parameter, least of the quantity at it / least of all), in order of values."""
    found: dict[str, list[tuple[float | str, float]]] = {}
    for name, *_ in QUANTITIES:
        least: dict[float | str, float] = {}
        for point in sweep.points:
            value = getattr(point, name)
            least[point.values[key]] = min(value, least.get(point.values[key], value))
        whole = min(least.values())
        found[name] = [(value, least[value] / whole) for value in sorted(least, key=_order)]
    return found


def _order(value: float | str) -> tuple[int, Any]:
    return (1, value) if isinstance(value, str) else (0, value)


def _points(panel: Axes, points: Iterable[SweepPoint]) -> None:
    for best, colour, size, label in ((False, GREY, 9, "other"), (True, ORANGE, 22, "best")):
        some = [p for p in points if p.best == best]
        if some:
            x, y = [p.latency_s * 1e3 for p in some], [p.energy_j * 1e3 for p in some]
            panel.scatter(x, y, s=size, color=colour, label=f"{label} ({len(some)})", linewidths=0)
    panel.set(xlabel="latency (ms)", ylabel="energy (mJ)", title="All points")
    _logarithmic(panel)
    panel.legend(loc="best")


def _logarithmic(panel: Axes) -> None:
    """Logarithmic axes with a few plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    panel.set(xscale="log", yscale="log")
    for axis in (panel.xaxis, panel.yaxis):
        low, high = sorted(axis.get_view_interval())
        steps = (1.0, 2.0, 5.0) if high < 30 * low else (1.0, 3.0) if high < 300 * low else (1.0,)
        axis.set_major_locator(LogLocator(subs=steps, numticks=6))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def _roofline(panel: Axes, sweep: Sweep) -> None:
    giga = 1e-9
    peak, bandwidth = sweep.peak_macs_per_s * giga, sweep.dram_bandwidth_b_s * giga
    x, y = [r.macs_per_byte for r in sweep.roofline], [r.macs_per_s * giga for r in sweep.roofline]
    low, high = min([*x, peak / bandwidth]) / 3, max([*x, peak / bandwidth]) * 3
    panel.plot([low, peak / bandwidth, high], [low * bandwidth, peak, peak], color=INK, linewidth=1.2)
    panel.scatter(x, y, s=14, color=BLUE, linewidths=0)
    panel.set(xlabel="MACs per byte of DRAM", ylabel="G MAC/s", title=f"Layers on {sweep.accelerator} itself")
    _logarithmic(panel)
    panel.annotate("peak", (high, peak), ha="right", va="bottom", color=MUTED, fontsize=8)


def _curves(panel: Axes, sweep: Sweep, key: str) -> None:
    found = curves(sweep, key)
    numbers = all(not isinstance(v, str) for v in sweep.axes[key])
    for name, label, _, colour in QUANTITIES:
        x = [value if numbers else str(value) for value, _ in found[name]]
        panel.plot(x, [y for _, y in found[name]], color=colour, marker="o", markersize=3.5, label=label.split(" (")[0])
    unit = sweep.units.get(key, "1")
    panel.set(ylabel="least / least of all", title=key, xlabel="" if unit == "1" else unit)
    if numbers and min(float(v) for v in sweep.axes[key]) > 0:
        panel.set_xscale("log", base=2)
        panel.set_xticks(x, [f"{v:g}" for v in x])
        panel.minorticks_off()
    panel.legend(loc="best")
