"""Tables of one `CostReport`, as `estimate` prints them."""

import msgspec
import pytest

from axdnn import report
from axdnn.report import Quantity

WIDEST = 135


def test_what_every_layer_shares_is_said_once(small, infeasible):
    mixed, uniform = report.cost_layers_table(small.cost), report.cost_layers_table(infeasible.cost)
    assert "multiplier" in [c.key for c in mixed.columns]
    assert mixed.column("multiplier") == tuple(small.assignment.values())
    keys = [c.key for c in uniform.columns]
    assert "multiplier" not in keys
    assert "pods" not in keys
    assert uniform.notes == ("Every layer: multiplier mul8s_1KV8, pods 4.",)
    one = msgspec.structs.replace(infeasible.cost, layers=infeasible.cost.layers[:1])
    assert "multiplier" in [c.key for c in report.cost_layers_table(one).columns]


def test_energy_adds_up_and_has_one_unit_style(small):
    energy = report.cost_energy_table(small.cost)
    assert sum(energy.column("energy_j")) == pytest.approx(energy.footer[1]) == pytest.approx(small.cost.energy_j)
    for i, column in enumerate(energy.columns[1:], start=1):
        assert sum(energy.column(column.key)) == pytest.approx(energy.footer[i])
    totals = report.cost_totals_table(small.cost)
    values = dict(zip(totals.column("figure"), totals.column("value"), strict=True))
    assert values["energy"] == Quantity(small.cost.energy_j, "J")
    assert values["area: SRAM"] == Quantity(2.3e-6, "m²")
    assert len(values) == len(totals.rows), "a label stands twice"
    text = report.table_text(totals)
    assert "uJ" not in text
    assert "mm2" not in text


@pytest.mark.parametrize("name", ["small", "large"])
def test_tables_fit_a_terminal(name, request):
    cost = request.getfixturevalue(name).cost
    for table in (report.cost_layers_table(cost), report.cost_energy_table(cost)):
        lines = report.table_text(table).splitlines()
        assert max(map(len, lines)) <= WIDEST


def test_a_model_of_energy_alone_has_no_empty_columns(skipping):
    keys = {c.key for c in report.cost_layers_table(skipping.paper_literal).columns}
    assert not keys & {"utilisation", "bound", "memory_bytes", "area_m2"}
    figures = report.cost_totals_table(skipping.paper_literal).column("figure")
    assert not {"memory", "area"} & set(figures)
