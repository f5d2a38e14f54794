"""Tables, figures, pages and console output of results: data first, then drawing. Sees records only.

Importing this package loads neither matplotlib, jinja2 nor rich; each loads when it first draws or prints.
"""

from axdnn.report.console import (
    comparison_text,
    print_comparison,
    print_summary,
    print_table,
    summary_text,
)
from axdnn.report.cost_tables import cost_layers_table, cost_totals_table
from axdnn.report.draw_multipliers import ParetoPoint, draw_error_maps, draw_pareto, front
from axdnn.report.error_map import ErrorMapData, draw_error_map, error_map_data
from axdnn.report.figure_data import (
    ChosenData,
    CompareData,
    ComparePoint,
    EnergyBar,
    EnergyData,
    ImportanceData,
    TradeoffData,
    TradeoffPoint,
    chosen_data,
    compare_data,
    energy_data,
    importance_data,
    scores_data,
    tradeoff_data,
)
from axdnn.report.figures import (
    NARROW,
    WIDE,
    ReportFigure,
    comparison_figure,
    draw_chosen,
    draw_comparison,
    draw_energy,
    draw_importance,
    draw_tradeoff,
    error_map_figure,
    report_figures,
    to_png,
    to_svg,
)
from axdnn.report.headline import Fact, Verdict, facts_to_know, headline, verdict
from axdnn.report.html import render_comparison, render_report, write_comparison, write_report
from axdnn.report.result_tables import (
    breakdown_table,
    energy_table,
    layers_table,
    multipliers_table,
    totals_table,
)
from axdnn.report.search_tables import comparison_table, importance_table, tau_table, visited_table
from axdnn.report.source_tables import exact_operators_table, provenance_table, sources_table
from axdnn.report.table_output import table_builtins, table_html, table_json, table_rich, table_text
from axdnn.report.tables import Column, Table, table_strings
from axdnn.report.tau import kendall_tau, ranks
from axdnn.report.units import Quantity, duration, quantity

__all__ = [
    "NARROW",
    "WIDE",
    "ChosenData",
    "Column",
    "CompareData",
    "ComparePoint",
    "EnergyBar",
    "EnergyData",
    "ErrorMapData",
    "Fact",
    "ImportanceData",
    "ParetoPoint",
    "Quantity",
    "ReportFigure",
    "Table",
    "TradeoffData",
    "TradeoffPoint",
    "Verdict",
    "breakdown_table",
    "chosen_data",
    "compare_data",
    "comparison_figure",
    "comparison_table",
    "comparison_text",
    "cost_layers_table",
    "cost_totals_table",
    "draw_chosen",
    "draw_comparison",
    "draw_energy",
    "draw_error_map",
    "draw_error_maps",
    "draw_importance",
    "draw_pareto",
    "draw_tradeoff",
    "duration",
    "energy_data",
    "energy_table",
    "error_map_data",
    "error_map_figure",
    "exact_operators_table",
    "facts_to_know",
    "front",
    "headline",
    "importance_data",
    "importance_table",
    "kendall_tau",
    "layers_table",
    "multipliers_table",
    "print_comparison",
    "print_summary",
    "print_table",
    "provenance_table",
    "quantity",
    "ranks",
    "render_comparison",
    "render_report",
    "report_figures",
    "scores_data",
    "sources_table",
    "summary_text",
    "table_builtins",
    "table_html",
    "table_json",
    "table_rich",
    "table_strings",
    "table_text",
    "tau_table",
    "to_png",
    "to_svg",
    "totals_table",
    "tradeoff_data",
    "verdict",
    "visited_table",
    "write_comparison",
    "write_report",
]
