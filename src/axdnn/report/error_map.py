"""Error map of a multiplier: its table less the exact products, as data and as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.records import Multiplier
from axdnn.report.labels import shorten
from axdnn.report.units import fixed, percent, significant

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ERROR_MAP_WIDTH = 5.6
TICK_CODES = (0, 64, 128, 192, 255)


class ErrorMapData(NamedTuple):
    """What an error map shows.

    Attributes:
        name, coding: of the multiplier.
        error: `table - exact`, int64 `(256, 256)`, row = operand a (activation), column = operand b (weight).
        a_ticks, w_ticks: (index, value it stands for) of the axes; a `sign_magnitude` weight counts in twos.
        limit: colours run from -limit to limit; beyond it they saturate.
        mean_abs, worst, mean: of the error over all 65,536 pairs of codes, in units of the product.
        share: part of the pairs with any error.
    """

    name: str
    coding: str
    error: npt.NDArray[np.int64]
    a_ticks: tuple[tuple[int, int], ...]
    w_ticks: tuple[tuple[int, int], ...]
    limit: float
    mean_abs: float
    worst: int
    mean: float
    share: float


def error_map_data(multiplier: Multiplier) -> ErrorMapData:
    """Return the error of every pair of codes with the values on the axes."""
    error: npt.NDArray[np.int64] = multiplier.table.astype(np.int64) - multiplier.exact_table
    size = np.abs(error)
    worst = int(size.max())
    # A few extreme corners must not wash out the rest.
    usual = float(np.percentile(size, 99.5))
    limit = float(worst) if worst <= 2 * usual or usual == 0 else usual
    return ErrorMapData(
        multiplier.name,
        multiplier.coding,
        error,
        tuple((code, int(multiplier.a_values[code])) for code in TICK_CODES),
        tuple((code, int(multiplier.w_values[code])) for code in TICK_CODES),
        limit or 1.0,
        float(size.mean()),
        worst,
        float(error.mean()),
        float((error != 0).mean()),
    )


def draw_error_map(data: ErrorMapData, width: float = ERROR_MAP_WIDTH) -> Figure:
    """Draw the error of every product as a heat map, blue too small, red too large."""
    from axdnn.report.drawing import MUTED, new_figure, style

    with style():
        figure = new_figure(width, width * 0.86)
        axes: Any = figure.add_subplot()
        image = axes.imshow(
            data.error, cmap="RdBu_r", vmin=-data.limit, vmax=data.limit, origin="lower", interpolation="nearest"
        )
        axes.grid(False)
        axes.set_xticks([i for i, _ in data.w_ticks], [fixed(v, 0) for _, v in data.w_ticks])
        axes.set_yticks([i for i, _ in data.a_ticks], [fixed(v, 0) for _, v in data.a_ticks])
        axes.set_xlabel("operand b (weight)")
        axes.set_ylabel("operand a (activation)")
        name = shorten(data.name, int(width * 6))
        axes.set_title(f"{name}: table \u2212 exact product", loc="left")
        bar = figure.colorbar(image, ax=axes, shrink=0.86, extend="both" if data.limit < data.worst else "neither")
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0)
        lines = (
            f"{data.coding.replace('_', '-')}; mean |error| {significant(data.mean_abs, 4)}, worst {data.worst:,},",
            f"mean {significant(data.mean, 4)}; {percent(data.share, 1)} of pairs differ",
        )
        figure.supxlabel("\n".join(lines) if width < 6.5 else " ".join(lines), color=MUTED, fontsize=8)
    return figure
