"""How every figure looks, and how it becomes PNG or inline SVG. Uses `Figure` objects, never pyplot's global state."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE = 9.0
"""Width in inches of a figure for a screen or a page."""
NARROW = 4.5
"""Width in inches of the same figure for a phone."""

# Neutral colours; in inline SVG they become CSS variables, so that a figure follows light and dark.
INK, MUTED, GRID, PAPER = "#1b2732", "#5b6877", "#dde3e9", "#fffffe"
_VARIABLES = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--grid)", PAPER: "var(--paper)"}

# Okabe-Ito, told apart with every common colour blindness; yellow is left for last.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442",
)  # fmt: skip
GREY = "#98a2ad"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, YELLOW)
HATCHES = ("", "////", "....", "xxxx")

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlepad": 8.0,
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "none",
    "hatch.linewidth": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "axdnn",
    "image.composite_image": False,
}


@contextmanager
def style() -> Iterator[None]:
    """Settings in force while a figure is drawn or written; restored afterwards."""
    import matplotlib

    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that size in inches that lays itself out."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06))


def to_png(figure: Figure, dpi: int = 160) -> bytes:
    """Return the figure as PNG on white."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    with style():
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": "axdnn"})
    return buffer.getvalue()


def to_svg(figure: Figure, prefix: str, label: str = "") -> str:
    """Return the figure as an `svg` element to put into a page.

    Text stays text in the page's own font, neutral colours are the CSS variables `--ink`, `--muted`, `--grid` and
    `--paper`, and nothing is loaded from outside.

    Args:
        figure: what to write.
        prefix: put before every id, so that several figures can stand in one page.
        label: read aloud in place of the picture.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    with style():
        FigureCanvasSVG(figure)
        figure.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None, "Creator": None})
    return _inline(buffer.getvalue(), prefix, label)


def _inline(svg: str, prefix: str, label: str) -> str:
    from html import escape

    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*<style type=\"text/css\">.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\n?\s*", "", svg, flags=re.DOTALL)
    used = set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)"', svg))
    svg = re.sub(r' \bid="([^"]+)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    svg = re.sub(r"'DejaVu Sans'(, [^;\"]*)?", "var(--figure-font)", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    size = re.search(r'width="([\d.]+)pt"', svg)
    points = float(size.group(1)) if size else 0.0
    opening = f'<svg role="img" aria-label="{escape(label)}" style="max-width: {points * 1.65:.0f}px"'
    svg = re.sub(r'\b(width|height)="[\d.]+pt" ?', "", svg, count=2)
    return svg.replace("<svg", opening, 1).strip()


def colours(names: Sequence[str], exact: Sequence[bool]) -> dict[str, str]:
    """Return a colour a name, grey for exact ones; colours repeat beyond the palette."""
    chosen: dict[str, str] = {}
    used = 0
    for name, is_exact in zip(names, exact, strict=True):
        if name in chosen:
            continue
        chosen[name] = GREY if is_exact else PALETTE[used % len(PALETTE)]
        used += not is_exact
    return chosen


def text_on(colour: str) -> str:
    """Return black or white, whichever reads better on a colour."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return "#101010" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "#fefefe"


def legend_text(name: str, limit: int = 40) -> str:
    """Return a name as a legend takes it: shortened, and not hidden by a leading underscore."""
    from axdnn.report.labels import shorten

    name = shorten(name, limit)
    return f" {name}" if name.startswith("_") else name
