import msgspec
import numpy as np
import pytest

from axdnn import report
from axdnn.records import Multiplier


def test_importance_is_normalised(small):
    data = report.importance_data(small)
    assert data.layers == small.network.layer_names
    assert data.scores == ("conductance", "curvature", "ablation")
    for score, values in zip(small.scores, data.values, strict=True):
        top = max(score.values.values())
        assert values == tuple(score.values[layer] / top for layer in data.layers)


def test_importance_with_gaps_zeros_and_negatives(small):
    scores = (
        msgspec.structs.replace(small.scores[0], values={"conv1": -2.0, "fc2": 1.0}),
        msgspec.structs.replace(small.scores[0], values=dict.fromkeys(small.network.layer_names, 0.0)),
    )
    data = report.importance_data(msgspec.structs.replace(small, scores=scores))
    assert data.scores == ("conductance", "conductance #2")
    assert data.values == ((-1.0, None, None, None, 0.5), (0.0,) * 5)


def test_chosen(small):
    data = report.chosen_data(small)
    assert data.multipliers == ("mul8s_1L2L", "mul8u_QKX", "mul8u_R36", "mul8u_QKX", "mul8s_1KV8")
    assert data.power_ratio == pytest.approx((0.2 / 0.425, 0.029 / 0.391, 0.015 / 0.391, 0.029 / 0.391, 1.0))
    macs = (117600, 240000, 48000, 10080, 840)
    assert data.mac_share == pytest.approx([m / sum(macs) for m in macs])
    assert data.exact == (False, False, False, False, True)


def test_power_ratio_is_unknown_without_a_multiplier_component(small):
    def rename(cost):
        layers = tuple(msgspec.structs.replace(x, energy_j={"everything": x.total_energy_j}) for x in cost.layers)
        return msgspec.structs.replace(cost, layers=layers)

    result = msgspec.structs.replace(small, cost=rename(small.cost), baseline_cost=rename(small.baseline_cost))
    assert report.chosen_data(result).power_ratio == (None, None, None, None, 1.0)


def test_energy_bars_sum_to_the_totals(large):
    data = report.energy_data(large)
    reports = (large.ideal_baseline_cost, large.ideal_cost, large.baseline_cost, large.cost)
    assert [(b.reading, b.which) for b in data.bars] == [
        ("ideal", "baseline"), ("ideal", "chosen"), ("buildable", "baseline"), ("buildable", "chosen"),
    ]  # fmt: skip
    for bar, cost in zip(data.bars, reports, strict=True):
        assert bar.total_j == cost.energy_j
        assert sum(bar.joules) == pytest.approx(cost.energy_j)
        assert dict(zip(data.components, bar.joules, strict=True)) == pytest.approx(cost.energy_breakdown_j)
    assert data.components[0] == "multipliers"


def test_tradeoff_is_what_was_visited(large):
    data = report.tradeoff_data(large)
    assert len(data.points) == len(large.visited)
    assert data.budget_points == pytest.approx(1.0)
    assert data.baseline[:3] == (1.0, 1.0, 0.0)
    for point, evaluation in zip(data.points, large.visited, strict=True):
        split = "accept" if "accept" in evaluation.accuracy else "search"
        accuracy = evaluation.accuracy[split]
        assert point.split == split
        assert point.loss_points == pytest.approx(100 * (accuracy.baseline_accuracy - accuracy.accuracy))
        assert point.energy_ratio == evaluation.energy_j / large.baseline_energy_j
        assert point.state == {True: "accepted", False: "rejected", None: "not tried"}[evaluation.accepted]
    assert data.chosen == data.points[-1]


def test_tradeoff_without_energy_has_no_ratio(small):
    zero = msgspec.structs.replace(small, baseline_energy_j=0.0, baseline_multiplier_energy_j=0.0)
    assert {p.energy_ratio for p in report.tradeoff_data(zero).points} == {None}


def test_comparison_points(strategies):
    data = report.compare_data(strategies)
    assert data.model == "streaming"
    for point, result in zip(data.points, strategies, strict=True):
        assert point.label == result.strategy
        assert point.loss_points == pytest.approx(100 * (result.baseline_accuracy - result.accuracy))
        assert point.energy_ratio == result.energy_j / result.baseline_energy_j
        assert point.bound_points == pytest.approx(100 * result.chosen.accuracy["test"].loss_bound)


def test_error_map_signed():
    values = np.arange(256) - 128
    table = np.multiply.outer(values, values)
    table[0, 255] += 5
    data = report.error_map_data(Multiplier.from_table(table, signed=True, name="m"))
    assert data.error[0, 255] == data.worst == 5
    assert np.count_nonzero(data.error) == 1
    assert data.a_ticks == ((0, -128), (64, -64), (128, 0), (192, 64), (255, 127)) == data.w_ticks
    assert data.share == 1 / 65536
    assert data.mean == data.mean_abs == 5 / 65536


def test_error_map_of_other_codings():
    values = np.arange(256)
    exact = Multiplier.from_table(np.multiply.outer(values, values), signed=False, name="u")
    data = report.error_map_data(exact)
    assert data.limit == 1.0
    assert data.a_ticks == data.w_ticks == ((0, 0), (64, 64), (128, 128), (192, 192), (255, 255))
    wrapped = report.error_map_data(exact.sign_magnitude())
    assert wrapped.worst == 0
    assert wrapped.a_ticks[-1] == (255, 255)
    assert wrapped.w_ticks == ((0, 0), (64, -128), (128, 0), (192, 128), (255, 254))


def test_error_map_limit_ignores_rare_corners(circuits):
    data = report.error_map_data(circuits[1])
    assert data.worst > 2 * data.limit
    size = np.abs(data.error)
    assert (size <= data.limit).mean() > 0.99


def test_test_bound_is_left_out_where_it_was_not_recorded(small):
    accuracy = {k: v for k, v in small.chosen.accuracy.items() if k != "test"}
    chosen = msgspec.structs.replace(small.chosen, accuracy=accuracy)
    result = msgspec.structs.replace(small, chosen=chosen)
    assert report.compare_data([result]).points[0].bound_points is None
    assert "bound" not in report.headline(result)[0].detail
    assert report.comparison_table([result]).column("loss_bound") == (None,)


def test_power_is_per_product_where_neurons_are_skipped(skipping, small):
    data = report.chosen_data(skipping)
    assert data.skipped == (0.0, 0.0, 0.1, 0.25, 0.5)
    assert data.power_ratio == pytest.approx((1.0, *(0.2 / 0.425,) * 3, 0.029 / 0.391))
    assert report.chosen_data(small).skipped == ()
