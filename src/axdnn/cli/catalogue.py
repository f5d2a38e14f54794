"""`axdnn multipliers list` and `axdnn multipliers show`."""

from __future__ import annotations

from pathlib import Path

import typer

from axdnn.cli.console import Format, show_table, write_bytes

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_(
    set: str = typer.Option("evoapprox8b", help="evoapprox8b, evoapprox8b-signed, or names with commas."),
    format: Format = typer.Option(Format.table, help="Output format."),
) -> None:
    """List multipliers: what they are, how wrong, and what they cost beside the exact circuit of the same kind."""
    from axdnn.multipliers import list_multipliers
    from axdnn.report import Column, Table

    columns = (
        Column("name", "name"), Column("coding", "coding"), Column("class", "class"), Column("rank", "rank", "count"),
        Column("mae_pct", "MAE %", "number", digits=3), Column("wce_pct", "WCE %", "number", digits=3),
        Column("ep_pct", "EP %", "number", digits=3), Column("mre_pct", "MRE %", "number", digits=3),
        Column("mean_error", "mean error", "number", digits=3),
        Column("power_ratio", "power / exact", "percent", digits=1),
        Column("area_ratio", "area / exact", "percent", digits=1), Column("aliases", "also called"),
    )  # fmt: skip
    rows = tuple(
        (
            row.name, row.coding, row.classification.label, row.rank, row.metrics.mae_pct, row.metrics.wce_pct,
            row.metrics.ep_pct, row.metrics.mre_pct, row.metrics.mean_error, row.power_ratio, row.area_ratio,
            ", ".join(row.aliases),
        )
        for row in list_multipliers(set)
    )  # fmt: skip
    show_table(Table(f"Multipliers: {set}", columns, rows, (f"{len(rows)} entries.",)), format)


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
    facts: list[tuple[str, object]] = [
        ("name", row.name), ("also called", ", ".join(row.aliases)), ("identity", row.id), ("coding", row.coding),
        ("class", row.classification.label), ("matrix rank", row.rank), ("symmetric", row.symmetric),
        ("f(0, 0)", int(multiplier.table[128, 128] if row.coding == "signed" else multiplier.table[0, 0])),
        ("MAE", row.metrics.mae), ("MAE %", row.metrics.mae_pct), ("WCE", row.metrics.wce),
        ("WCE %", row.metrics.wce_pct), ("WCRE %", row.metrics.wcre_pct), ("EP %", row.metrics.ep_pct),
        ("MRE %", row.metrics.mre_pct), ("MSE", row.metrics.mse), ("mean error", row.metrics.mean_error),
        ("power, mW", row.power_w * 1e3), ("area, um2", row.area_m2 * 1e12), ("delay, ns", row.delay_s * 1e9),
        ("power / exact", row.power_ratio), ("area / exact", row.area_ratio), ("origin", multiplier.origin),
    ]  # fmt: skip
    rows = tuple((key, f"{value:.6g}" if isinstance(value, float) else str(value)) for key, value in facts)
    if format is Format.json:
        import json

        typer.echo(json.dumps(dict(facts), indent=1))
    else:
        show_table(Table(row.name, (Column("figure", "figure"), Column("value", "value")), rows), format)
    write_bytes(figure or Path(f"{row.name}.png"), error_map_figure(multiplier).png())
