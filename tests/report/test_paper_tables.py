"""Table I beside ours, kinds of results, units, and the prices of the paper's equations."""

import io

import msgspec
import pytest

from axdnn import report
from axdnn.records import LayerScores
from axdnn.report import PAPER_NETWORKS, TABLE_ONE, Quantity


def named(result, model, data, **changes):
    return msgspec.structs.replace(result, model=model, data=data, **changes)


@pytest.fixture(scope="module")
def ours(skipping, small, large, build):
    network = build.lenet_network()
    exact = dict.fromkeys(network.layer_names, build.EXACT)
    skips = build.make_result(network, exact, skipped=skipping.skipped, strategy="paper")
    return (
        named(skipping, "lenet5", "mnist"),
        named(skips, "lenet5", "mnist"),
        named(small, "lenet5", "mnist"),
        named(large, "resnet.py:ResNet18", "cifar10"),
        named(large, "resnet20", "cifar10", paper_literal=None, baseline_paper_literal=None),
        named(small, "lenet5", "fashion_mnist"),
    )


def keyed(table):
    return [dict(zip((c.key for c in table.columns), row, strict=True)) for row in table.rows]


def test_rows_of_the_paper_and_ours_below_them(ours):
    choices, accuracy, paper, own = report.table_one(ours)
    heads = [(row["network"], row["row"]) for row in keyed(choices)]
    assert (
        heads == [(r["network"], r["row"]) for r in keyed(accuracy)] == [(r["network"], r["row"]) for r in keyed(paper)]
    )
    assert [h for h in heads if h[1].startswith("published")] == [
        (f"{r.network}, {PAPER_NETWORKS[r.network].data}", f"published {i % 3 + 1}") for i, r in enumerate(TABLE_ONE)
    ]
    assert heads[3:6] == [
        ("lenet5, mnist", "ours: paper, 1\u00a0point, minimising paper_literal"),
        ("lenet5, mnist", "ours: paper, 1\u00a0point"),
        ("lenet5, mnist", "ours: integer, 1\u00a0point"),
    ]
    assert heads[9][0] == "resnet.py:ResNet18, cifar10"
    assert [h[0] for h in heads[-2:]] == ["resnet20, cifar10", "lenet5, fashion_mnist"]
    assert [r["row"] for r in keyed(own)] == [h[1] for h in heads if h[1].startswith("ours: ") and "not" not in h[1]]


def test_what_was_not_measured_is_a_dash_and_why(ours):
    tables = report.table_one(ours)
    for table in tables[:3]:
        empty = [row for row in keyed(table) if row["row"] == "ours: not measured"]
        assert [row["network"] for row in empty] == ["ResNet-34, CIFAR-10", "ResNet-50, ImageNet"]
        assert {v for row in empty for k, v in row.items() if k not in ("network", "row")} == {None}
    assert any("no run is among these results: ResNet-34, CIFAR-10; ResNet-50, ImageNet" in n for n in tables[0].notes)
    nothing = report.table_one([])
    assert len(nothing) == 3
    assert sum(row["row"] == "ours: not measured" for row in keyed(nothing[0])) == 4


def test_kinds(ours, infeasible):
    kinds = [row["kind"] for row in keyed(report.table_one(ours)[0])]
    assert kinds[:6] == ["both"] * 4 + ["skip only", "multipliers only"]
    assert report.run_kind(infeasible) == "exact"


def test_published_and_measured_figures_stand_apart(ours):
    _, accuracy, paper, _ = report.table_one(ours)
    for table in (accuracy, paper):
        groups = {c.key: c.group.split(",")[0] for c in table.columns if c.group}
        for row in keyed(table):
            filled = {groups[k] for k, v in row.items() if k in groups and v is not None}
            assert filled <= ({"published"} if row["row"].startswith("published") else {"ours"})
    own = keyed(accuracy)[3]
    assert own["ours_accuracy"] == ours[0].accuracy
    assert own["ours_change"] == ours[0].accuracy - ours[0].baseline_accuracy
    assert own["ours_test_images"] == 10000
    assert keyed(accuracy)[0]["published_change"] == pytest.approx(-0.04)


def test_cost_models_never_share_a_column(ours):
    _, _, paper, own = report.table_one(ours)
    priced = keyed(paper)[3]
    assert priced["ours_energy_paper_literal"] == Quantity(ours[0].paper_literal.energy_j, "J")
    assert priced["ours_times_paper_literal"] == pytest.approx(
        ours[0].baseline_paper_literal.energy_j / ours[0].paper_literal.energy_j
    )
    assert keyed(own)[0]["energy_streaming"] == Quantity(ours[0].energy_j, "J")
    streaming = {getattr(v, "value", v) for row in own.rows for v in row}
    literal = {v.value for row in paper.rows for v in row if isinstance(v, Quantity)}
    assert literal == {r.energy_j for x in ours if x.paper_literal for r in (x.paper_literal, x.baseline_paper_literal)}
    assert not streaming & literal
    unpriced = next(row for row in keyed(paper) if row["network"] == "resnet20, cifar10")
    assert unpriced["ours_energy_paper_literal"] is None
    assert any("without these prices: 1" in note for note in paper.notes)


def test_choices_by_unit(ours):
    rows = keyed(report.table_one(ours)[0])
    assert rows[0]["skip"].replace("\u00a0", " ") == "5, 0, 10, 15, 70"
    assert rows[0]["multipliers"] == "M2, M1, M3, M6, M7"
    assert rows[3]["skip"].replace("\u00a0", " ") == "0, 0, 10, 25, 50"
    assert rows[3]["multipliers"] == "mul8s_1KV8, M6, M6, M6, mul8u_QKX"
    assert rows[4]["multipliers"] == "all mul8s_1KV8"
    assert rows[5]["skip"] == "none"
    assert "1 of 6 not printed" in rows[8]["multipliers"]


def test_units_of_a_residual_network(large):
    units = report.unit_layers(large.network.layer_names)
    assert list(units) == ["conv1", "layer1", "layer2", "layer3", "layer4", "linear"]
    assert units["layer2"] == tuple(n for n in large.network.layer_names if n.startswith("layer2."))
    chosen = report.unit_multipliers(large)
    for unit, layers in units.items():
        assert set(chosen[unit]) == {large.assignment[x] for x in layers}
        weight = {m: sum(x.macs for x in large.network.layers if x.name in layers and large.assignment[x.name] == m)
                  for m in chosen[unit]}  # fmt: skip
        assert list(weight.values()) == sorted(weight.values(), reverse=True)


def test_skipped_share_of_a_unit_counts_neurons(large):
    names = [n for n in large.network.layer_names if n.startswith("layer2.")]
    skipped = {names[0]: 0.5, names[1]: 0.25, "linear": 0.75}
    edges = (("linear", "output"),)
    network = msgspec.structs.replace(large.network, edges=edges)
    result = msgspec.structs.replace(large, skipped=skipped, network=network)
    shares = report.unit_skips(result)
    neurons = {layer.name: layer.n for layer in network.layers}
    gone = 0.5 * neurons[names[0]] + 0.25 * neurons[names[1]]
    assert shares["layer2"] == pytest.approx(gone / sum(neurons[n] for n in names))
    assert shares["linear"] == 0.75
    assert shares["conv1"] == 0.0


def test_paper_prices_of_a_result(skipping):
    table = report.paper_cost_table(skipping)
    rows = keyed(table)
    assert sum(r["energy_j_paper_literal"] for r in rows) == pytest.approx(skipping.paper_literal.energy_j)
    assert table.footer[4:6] == (skipping.baseline_paper_literal.energy_j, skipping.paper_literal.energy_j)
    assert table.notes == skipping.paper_literal.notes
    assert "paper_literal on xai_gen" in table.title
    assert not report.paper_cost_table(msgspec.structs.replace(skipping, paper_literal=None)).rows


def test_the_tables_as_text_keep_their_groups(ours):
    out = io.StringIO()
    accuracy = report.table_one(ours)[1]
    report.print_table(accuracy, out)
    title, _, groups, heads = out.getvalue().splitlines()[:4]
    assert title == "Table I of XAI-Gen beside ours: accuracy"
    assert groups.split() == ["published", "ours"]
    first = heads.index("accuracy")
    assert groups.index("published") <= first < groups.index("ours") <= heads.index("accuracy", first + 1)


def test_profile_figure_takes_one_conductance_a_network(ours, small):
    figure = report.profile_figure([*ours, msgspec.structs.replace(small, model="bare", scores=())])
    drawn = figure.draw(report.WIDE)
    titles = [axes.get_title(loc="left") for axes in drawn.axes if axes.get_visible()]
    assert titles == [
        "lenet5 on mnist",
        "resnet.py:ResNet18 on cifar10",
        "resnet20 on cifar10",
        "lenet5 on fashion_mnist",
    ]
    other = (LayerScores(score="ablation", values={"conv1": 1.0}),)
    assert report.profile_figure([msgspec.structs.replace(small, scores=other)]) is None
