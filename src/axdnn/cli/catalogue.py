"""`axdnn multipliers list` and `axdnn multipliers show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from axdnn.cli.console import Format, require_file_place, show_json, show_listing, show_table, write_bytes
from axdnn.cli.group import group

if TYPE_CHECKING:
    from axdnn.multipliers import CatalogueRow

app = group("The multiplier catalogue.")


@app.command("list")
def list_(
    set: str = typer.Option("evoapprox8b", help="evoapprox8b, evoapprox8b-signed, -unsigned, or names with commas."),
    format: Format = typer.Option(Format.table, help="Output format."),
) -> None:
    """List multipliers: what they are, how wrong, and what they cost beside the exact circuit of the same kind."""
    from axdnn.multipliers import list_multipliers
    from axdnn.report import Column

    columns = (
        Column("name", "name"), Column("coding", "coding"), Column("class", "class"), Column("rank", "rank", "count"),
        Column("mae_pct", "MAE %", "number", digits=3), Column("wce_pct", "WCE %", "number", digits=3),
        Column("ep_pct", "EP %", "number", digits=3), Column("mre_pct", "MRE %", "number", digits=3),
        Column("mean_error", "mean error", "number", digits=3),
        Column("power_ratio", "power / exact", "percent", digits=1),
        Column("area_ratio", "area / exact", "percent", digits=1), Column("aliases", "also called"),
    )  # fmt: skip
    rows = [_facts(row) for row in list_multipliers(set)]
    show_listing(f"Multipliers: {set}", columns, rows, format, (f"{len(rows)} entries.",))


@app.command()
def show(
    name: str = typer.Argument(help="A name of the catalogue, e.g. mul8u_QKX, mul8s_1KV8@v1, mul8u_QKX.T."),
    figure: Path | None = typer.Option(None, help="Where the error map goes; default NAME.png in this folder."),
    format: Format = typer.Option(Format.table, help="Output format."),
) -> None:
    """Show one multiplier and draw its error map (a PNG)."""
    from axdnn.multipliers import list_multipliers, load_multiplier
    from axdnn.report import Column, Table, error_map_figure

    multiplier = load_multiplier(name)
    (row,) = list_multipliers(multiplier.name)
    target = figure or Path(f"{row.name}.png")
    require_file_place(target, ".png")
    zero = 128 if row.coding == "signed" else 0
    facts = {**_facts(row), "f_0_0": int(multiplier.table[zero, zero]), "origin": multiplier.origin}
    if format is Format.json:
        show_json(facts)
    else:
        cells = tuple((label, _text(facts[key] * factor if factor else facts[key])) for label, key, factor in _SHOWN)
        show_table(Table(row.name, (Column("figure", "figure"), Column("value", "value")), cells), format)
    write_bytes(target, error_map_figure(multiplier).png())


_SHOWN: tuple[tuple[str, str, float | None], ...] = (
    ("name", "name", None), ("also called", "aliases", None), ("identity", "id", None), ("coding", "coding", None),
    ("class", "class", None), ("matrix rank", "rank", None), ("symmetric", "symmetric", None),
    ("f(0, 0)", "f_0_0", None), ("MAE", "mae", None), ("MAE %", "mae_pct", None), ("WCE", "wce", None),
    ("WCE %", "wce_pct", None), ("WCRE %", "wcre_pct", None), ("EP %", "ep_pct", None), ("MRE %", "mre_pct", None),
    ("MSE", "mse", None), ("mean error", "mean_error", None), ("power, mW", "power_w", 1e3),
    ("area, um2", "area_m2", 1e12), ("delay, ns", "delay_s", 1e9), ("power / exact", "power_ratio", None),
    ("area / exact", "area_ratio", None), ("origin", "origin", None),
)  # fmt: skip


def _facts(row: CatalogueRow) -> dict[str, Any]:
    m = row.metrics
    return {
        "name": row.name, "aliases": list(row.aliases), "id": row.id, "coding": row.coding,
        "class": row.classification.label, "rank": row.rank, "symmetric": row.symmetric,
        "mae": m.mae, "mae_pct": m.mae_pct, "wce": m.wce, "wce_pct": m.wce_pct, "wcre_pct": m.wcre_pct,
        "ep_pct": m.ep_pct, "mre_pct": m.mre_pct, "mse": m.mse, "mean_error": m.mean_error,
        "power_w": row.power_w, "area_m2": row.area_m2, "delay_s": row.delay_s,
        "power_ratio": row.power_ratio, "area_ratio": row.area_ratio,
    }  # fmt: skip


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
