"""`axdnn multipliers compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from axdnn.cli.catalogue_rows import row_facts
from axdnn.cli.console import Format, require_folder_place, show_listing, write_bytes

if TYPE_CHECKING:
    from axdnn.multipliers import CatalogueRow

MOST = 12


def compare(
    names: list[str] = typer.Argument(
        help="Two or more: names of the catalogue, of families (drum:k=4) or of files (mine.axmul)."
    ),
    out: Path | None = typer.Option(None, help="Folder for error-maps.png and pareto.png; default: no figures."),
    format: Format = typer.Option(Format.table, help="Output format."),
) -> None:
    """Compare multipliers: error metrics and cost side by side, error maps, and power against error in the library."""
    from axdnn.multipliers import describe_multiplier, list_multipliers, load_multiplier
    from axdnn.records import InvalidInputError
    from axdnn.report import Column, ParetoPoint, draw_error_maps, draw_pareto, error_map_data, to_png

    multipliers = list({m.name: m for m in map(load_multiplier, names)}.values())
    if not 2 <= len(multipliers) <= MOST:
        raise InvalidInputError(f"2 to {MOST} different multipliers can be compared, but got {len(multipliers)}")
    if out is not None:
        require_folder_place(out)
    rows = [describe_multiplier(m.name) for m in multipliers]
    unpriced = [row.name for row in rows if row.power_ratio is None]
    columns = (
        Column("name", "name"), Column("coding", "coding"), Column("class", "class"), Column("rank", "rank", "count"),
        Column("symmetric", "symmetric", "flag"), Column("mae_pct", "MAE %", "number", digits=3),
        Column("wce_pct", "WCE %", "number", digits=3), Column("ep_pct", "EP %", "number", digits=3),
        Column("mre_pct", "MRE %", "number", digits=3), Column("mse", "MSE", "number", digits=3),
        Column("mean_error", "mean error", "number", digits=3),
        Column("power_ratio", "power / exact", "percent", digits=1),
    )  # fmt: skip
    notes = (f"Not priced, power unknown: {', '.join(unpriced)}.",) if unpriced else ()
    show_listing("Multipliers compared", columns, [row_facts(row) for row in rows], format, notes)
    if out is None:
        return

    def points(found: Sequence[CatalogueRow]) -> list[ParetoPoint]:
        return [ParetoPoint(r.name, r.coding, r.metrics.mae_pct, r.metrics.mre_pct, r.power_ratio) for r in found]

    library = [row for row in list_multipliers() if not row.transposed]
    write_bytes(out / "error-maps.png", to_png(draw_error_maps([error_map_data(m) for m in multipliers])))
    write_bytes(out / "pareto.png", to_png(draw_pareto(points(library), points(rows))))
