import json
from html.parser import HTMLParser

import msgspec
import pytest

from axdnn import report
from axdnn.records import InvalidInputError
from axdnn.report import Column, Quantity, Table, table_html, table_json, table_strings, table_text

TABLE = Table(
    "Energies <of> layers",
    (Column("layer", "layer"), Column("energy_j", "energy", "si", "J"), Column("loss", "loss", "points")),
    (("conv<1>", 1.5e-7, 0.0042), ("fc", 2.0e-12, -0.001), ("none", None, None)),
    ("A note & more.",),
    ("total", 1.50002e-7, None),
)


def test_units_stand_in_the_heads_and_one_prefix_holds_for_a_column():
    text = table_strings(TABLE)
    assert text.heads == ("layer", "energy (nJ)", "loss (points)")
    assert [row[1] for row in text.rows] == ["150.0", "<0.1", "–"]
    assert [row[2] for row in text.rows] == ["0.42", "−0.10", "–"]
    assert text.footer == ("total", "150.0", "–")


def test_json_holds_si_values():
    data = json.loads(table_json(TABLE))
    assert data["rows"][0] == {"layer": "conv<1>", "energy_j": 1.5e-7, "loss": 0.0042}
    assert data["columns"][1] == {"key": "energy_j", "head": "energy", "unit": "J"}
    assert data["columns"][2]["unit"] == "fraction"
    assert data["total"]["energy_j"] == 1.50002e-7


def test_text_lines_up():
    lines = table_text(TABLE).splitlines()
    assert lines[0] == TABLE.title
    assert lines[2].index("energy (nJ)") + len("energy (nJ)") == lines[4].index("150.0") + len("150.0")
    assert lines[-1] == "A note & more."


def test_html_escapes_and_closes():
    html = table_html(TABLE)
    assert "conv&lt;1&gt;" in html
    assert "<of>" not in html
    stack: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag != "wbr":
                stack.append(tag)

        def handle_endtag(self, tag):
            assert stack.pop() == tag

    Parser().feed(html)
    assert not stack


def test_rows_must_fit_the_columns():
    with pytest.raises(InvalidInputError, match="must have 3 cells, but got 2"):
        Table("t", TABLE.columns, (("a", 1.0),))
    with pytest.raises(InvalidInputError, match="nothing"):
        TABLE.column("nothing")


def test_limited_says_so():
    short = TABLE.limited(1)
    assert len(short.rows) == 1
    assert "first 1 of 3" in short.notes[-1]
    assert TABLE.limited(3) is TABLE


@pytest.mark.parametrize("name", ["small", "large", "infeasible"])
def test_totals_are_those_of_the_records(name, request):
    result = request.getfixturevalue(name)
    layers, energy = report.layers_table(result), report.energy_table(result)
    assert layers.column("layer") == result.network.layer_names
    assert sum(layers.column("macs")) == layers.footer[2] == result.network.macs
    assert sum(layers.column("energy_j")) == pytest.approx(result.energy_j, rel=1e-12)
    assert sum(layers.column("baseline_energy_j")) == pytest.approx(result.baseline_energy_j, rel=1e-12)
    for key, total in (
        ("ideal_baseline_j", result.ideal_baseline_cost.energy_j),
        ("ideal_j", result.ideal_cost.energy_j),
        ("buildable_baseline_j", result.baseline_energy_j),
        ("buildable_j", result.energy_j),
    ):
        index = [c.key for c in energy.columns].index(key)
        assert energy.footer[index] == total
        assert sum(energy.column(key)) == pytest.approx(total, rel=1e-12)
    totals = report.totals_table(result)
    assert totals.column("buildable") == (
        Quantity(result.energy_j, "J"),
        Quantity(result.multiplier_energy_j, "J"),
        Quantity(result.latency_s, "s"),
        Quantity(result.memory_bytes, "B"),
        Quantity(result.area_m2, "m²"),
    )
    chosen = report.multipliers_table(result)
    assert sum(chosen.column("layers")) == len(result.assignment)
    assert sum(chosen.column("mac_share")) == pytest.approx(1.0)


def test_energy_outside_layers_is_shown(small):
    cost = msgspec.structs.replace(small.cost, energy_j=small.cost.energy_j + 1e-8)
    table = report.energy_table(msgspec.structs.replace(small, cost=cost))
    row = table.rows[table.column("component").index("not in a layer")]
    assert row[5] == pytest.approx(1e-8)
    assert sum(table.column("buildable_j")) == pytest.approx(cost.energy_j)


def test_power_ratios_come_from_the_cost(small, circuits):
    table = report.multipliers_table(small, circuits)
    power = dict(zip(table.column("multiplier"), table.column("power_ratio"), strict=True))
    assert power["mul8u_QKX"] == pytest.approx(0.029 / 0.391)
    assert power["mul8s_1KV8"] == 1.0
    exact = dict(zip(table.column("multiplier"), table.column("exact"), strict=True))
    assert [name for name, yes in exact.items() if yes] == ["mul8s_1KV8"]
    published = dict(zip(table.column("multiplier"), table.column("power_w"), strict=True))
    assert published["mul8u_QKX"] == 29e-6
    assert published["mul8u_R36"] is None


def test_visited(small):
    table = report.visited_table(small)
    assert len(table.rows) == len(small.visited)
    assert table.column("chosen") == (*(False,) * 14, True)
    for row, evaluation in zip(table.rows, small.visited, strict=True):
        assert row[4] == evaluation.energy_j / small.baseline_energy_j
        assert row[7] == evaluation.accuracy["search"].loss
        accept = evaluation.accuracy.get("accept")
        assert row[9] == (accept.loss_bound if accept else None)
        assert row[10] == evaluation.accepted


def test_comparison(strategies):
    table = report.comparison_table(strategies)
    assert table.column("strategy") == ("integer", "uniform", "greedy", "random", "nsga2")
    for row, result in zip(table.rows, strategies, strict=True):
        keyed = dict(zip((c.key for c in table.columns), row, strict=True))
        assert keyed["accuracy"] == result.accuracy
        assert keyed["loss"] == result.baseline_accuracy - result.accuracy
        assert keyed["energy_j"] == result.energy_j
        assert keyed["multiplier_energy_ratio"] == result.multiplier_energy_j / result.baseline_multiplier_energy_j
        assert keyed["evaluations"] == result.evaluations


def test_comparison_keeps_cost_models_apart(small):
    cost = msgspec.structs.replace(small.cost, model="paper_literal")
    table = report.comparison_table([small, msgspec.structs.replace(small, cost=cost)])
    assert table.column("energy_j_streaming") == (small.energy_j, None)
    assert table.column("energy_j_paper_literal") == (None, small.energy_j)
    assert table.column("strategy") == ("integer", "integer #2")


def test_same_strategy_is_told_apart_by_seed(small):
    other = msgspec.structs.replace(small, seed=8)
    assert report.comparison_table([small, other]).column("strategy") == ("integer, seed 7", "integer, seed 8")


def test_importance_ranks_and_agreement(small):
    table = report.importance_table(small.scores, small.network.layer_names)
    values = table.column("conductance")
    best = max(range(len(values)), key=lambda i: values[i])
    assert table.column("conductance_rank")[best] == 1
    tau = report.tau_table(small.scores)
    for i, row in enumerate(tau.rows):
        assert row[i + 1] == pytest.approx(1.0)
        assert row[1:] == tuple(r[i + 1] for r in tau.rows)


def test_the_cost_of_each_score_is_told(small):
    first, *others = small.scores
    dear = msgspec.structs.replace(first, images=32, network_images=673)
    free = msgspec.structs.replace(first, score="asserted", images=0, network_images=0)
    table = report.score_costs_table((dear, free, *others))
    assert table.column("network_images")[:2] == (673, 0)
    assert table.column("per_image")[:2] == (673 / 32, None)
    assert len(table.rows) == 2 + len(others)
