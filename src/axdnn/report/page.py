"""Parts of a page: sections, tables and figures as HTML, the template."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from axdnn.records import write_atomic
from axdnn.report.figures import NARROW, WIDE, ReportFigure
from axdnn.report.table_output import table_html
from axdnn.report.tables import Table

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_ROWS = 500


class Section(NamedTuple):
    """A section of a page: anchor, heading, introduction, figures as HTML, tables (those in `folded` start closed).

    `notes`: a heading and lines below it, or None.
    """

    anchor: str
    heading: str
    text: str
    figures: tuple[Any, ...] = ()
    tables: tuple[Any, ...] = ()
    folded: tuple[tuple[str, Any], ...] = ()
    notes: tuple[str, tuple[str, ...]] | None = None


def as_html(table: Table) -> Any:
    """Return a table as markup, at most `MOST_ROWS` rows of it."""
    from markupsafe import Markup

    return Markup(table_html(table.limited(MOST_ROWS)))


def folded(table: Table) -> tuple[tuple[str, Any], ...]:
    """Return a table with a summary line, to be shown closed; nothing if it has no rows."""
    return ((f"{table.title} ({len(table.rows):,} rows)", as_html(table)),) if table.rows else ()


def figure_html(figure: ReportFigure, narrow: bool) -> Any:
    """Return a figure in its wide form and, for small screens, a narrow one."""
    from markupsafe import Markup, escape

    forms = [("wide", figure.svg(WIDE, "wide"))]
    if figure.small:
        forms = [("any", figure.svg(NARROW, "any"))]
    elif narrow:
        forms.append(("narrow", figure.svg(NARROW, "narrow")))
    only = "" if narrow or figure.small else " only"
    body = "".join(f'<div class="{form}{only}">{svg}</div>' for form, svg in forms)
    kind = "figure map" if figure.small else "figure"
    return Markup(f'<figure class="{kind}">{body}<figcaption>{escape(figure.caption)}</figcaption></figure>')


def write_figures(figures: Sequence[ReportFigure], directory: str | os.PathLike[str]) -> list[Path]:
    """Write the wide forms as `figures/*.png` into a directory, each atomically; return their paths."""
    return [write_atomic(Path(directory) / "figures" / f"{figure.name}.png", figure.png()) for figure in figures]


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the template engine."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).with_name("templates"))
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
