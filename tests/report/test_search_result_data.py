"""What the figures of a search method draw, how its figures are read, and `axdnn report` on its folder."""

from __future__ import annotations

import itertools
import json
import math

import msgspec
import pytest
from searched_results import layered, synthetic

from axdnn import report
from axdnn.cli.main import run
from axdnn.records import FrontMember, Objective, Rival, SearchResult, save_record
from axdnn.report.measures import figure_measures, large_count, measure, objective_measures, readable

replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def lenet(build) -> SearchResult:
    return layered(build.lenet_network())


def hand_made(**more: object) -> SearchResult:
    """Four networks, one of which is beaten in accuracy and energy but the fastest."""
    values = ((0.98, 4e-9, 3.0), (0.95, 2e-9, 3.0), (0.9, 1e-9, 2.0), (0.85, 3e-9, 1.0))
    names = ("accuracy", "energy_j", "depth")
    return SearchResult(
        method="hand",
        objectives=(Objective(name="accuracy", direction="maximize"), Objective(name="energy_j", unit="J"),
                    Objective(name="depth")),
        space_size=4, evaluations=4, hypervolume=2.0, reference=dict(zip(names, (0.5, 5e-9, 4.0), strict=True)),
        front=tuple(FrontMember(objectives=dict(zip(names, v, strict=True)), candidate={}) for v in values),
        rivals=(Rival(name="exact", points=({"accuracy": 0.99, "energy_j": 9e-9, "depth": 3.0},)),
                Rival(name="other", points=({"accuracy": 0.9, "energy_j": 8e-9},), hypervolume=(0.5, 0.5, 1.0),
                      evaluations=4)),
        progress=(0.5, 0.5, 1.5, 2.0), **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_panels_hold_fronts_and_rivals_as_recorded() -> None:
    first, second, third = report.front_panels(hand_made())
    assert (first.x.label, first.y.label) == ("accuracy", "energy")
    assert [scale.unit for scale in first.scales] == ["%", "nJ"]
    assert [(s.name, s.rival, len(s.points)) for s in first.series] == [
        ("exact", 0, 1), ("other", 1, 1), ("this search", None, 4)]  # fmt: skip
    assert [s.name for s in second.series] == ["exact", "this search"]  # one point has no depth
    assert first.series[-1].points == ((0.85, 3e-9), (0.9, 1e-9), (0.95, 2e-9), (0.98, 4e-9))
    assert (third.x.better, first.x.better) == ("lower is better", "higher is better")
    assert first.bounds == (None, None)


def test_a_staircase_passes_what_is_not_beaten() -> None:
    ours = report.front_panels(hand_made())[0].series[-1]
    assert report.staircase(ours.points, (-1.0, 1.0)) == (
        (0.98, 4e-9), (0.95, 4e-9), (0.95, 2e-9), (0.9, 2e-9), (0.9, 1e-9))  # fmt: skip
    assert report.staircase([(1.0, 1.0)], (1.0, 1.0)) == ((1.0, 1.0),)


def test_lines_have_the_better_end_at_the_right() -> None:
    data = report.front_lines(hand_made())
    assert [axis.ends for axis in data.axes] == [(0.85, 0.98), (4e-9, 1e-9), (3.0, 1.0)]
    assert data.lines[0] == (1.0, 0.0, 0.0)
    assert data.lines[3] == pytest.approx((0.0, 1 / 3, 1.0))
    one = report.front_lines(replace(hand_made(), front=hand_made().front[:1]))
    assert one.lines == ((0.5, 0.5, 0.5),)


def test_lines_leave_gaps_and_take_figures_that_differ() -> None:
    result = hand_made()
    figures = ({"test_accuracy": 0.9, "same": 1.0}, {"test_accuracy": 0.8, "same": 1.0}, {"latency_s": 1e-6}, {})
    front = tuple(replace(m, figures=f) for m, f in zip(result.front, figures, strict=True))
    data = report.front_lines(replace(result, front=front))
    assert [axis.measure.key for axis in data.axes[3:]] == ["test_accuracy"]
    assert [line[3] for line in data.lines] == [1.0, 0.0, None, None]


def test_progress_is_told_where_it_grew() -> None:
    ours, other = report.progress_curves(hand_made())
    assert ours.points == ((1, 0.25), (3, 0.75), (4, 1.0))
    assert other.points == ((1, 0.25), (3, 0.5))
    assert report.progress_curves(replace(hand_made(), hypervolume=0.0, progress=(), rivals=())) == ()
    table = report.effort_table(hand_made())
    assert table.column("reached") == (4, 3)
    assert table.column("ratio") == (1.0, 0.5)


def test_drawn_members_have_the_best_of_each_objective(lenet: SearchResult) -> None:
    assert report.spread_members(hand_made()) == (0, 1, 2, 3)
    for result in (lenet, synthetic("spheres", 4)):
        drawn = report.spread_members(result)
        assert len(set(drawn)) == 6
        assert list(drawn) == sorted(drawn)
        for m in objective_measures(result):
            best = min(m.sign * member.objectives[m.key] for member in result.front)
            assert any(m.sign * result.front[i].objectives[m.key] == best for i in drawn)
    places = [line[:2] for line in report.front_lines(lenet).lines]
    apart = [math.dist(places[i], places[j]) for i, j in itertools.combinations(report.spread_members(lenet), 2)]  # type: ignore[arg-type]
    assert min(apart) > 0.05


@pytest.mark.parametrize(
    ("name", "unit", "values", "text"),
    [
        ("energy_j", "J", [3e-9], "energy 3\u00a0nJ"),
        ("energy_j", "", [3e-9], "energy 3\u00a0nJ"),
        ("peak_memory_bytes", "", [2048.0], "peak memory 2.048\u00a0kB"),
        ("area", "m2", [2e-6], "area 2\u00a0mm²"),
        ("robust_accuracy", "", [0.4217], "robust accuracy 42.17\u00a0%"),
        ("accuracy", "", [42.17], "accuracy 42.17"),
        ("accuracy loss", "", [0.0042], "accuracy loss 0.42\u00a0points"),
        ("loss", "nats", [0.0042], "loss 0.004200\u00a0nats"),
        ("loss", "", [2.5], "loss 2.500"),
        ("images_s", "img", [5.0], "images s 5\u00a0img"),
        ("_", "", [1.0], "_ 1"),
    ],
)
def test_how_figures_are_read(name: str, unit: str, values: list[float], text: str) -> None:
    one = measure(name, unit, "minimize", values)
    assert f"{one.label} {one.text(values[0])}" == text


def test_one_prefix_a_column_unless_it_hides_numbers() -> None:
    one = measure("energy_j", "J", "minimize", [])
    assert one.cells([1e-9, 5e-9, None]) == [1e-9, 5e-9, None]
    assert one.cells([1e-12, 5e-3, None]) == [report.Quantity(1e-12, "J"), report.Quantity(5e-3, "J"), None]


def test_figures_that_nobody_asked_for_have_their_usual_direction(lenet: SearchResult) -> None:
    ways = {m.key: m.direction for m in figure_measures(lenet)}
    assert ways == {"test_accuracy": "maximize", "test_loss": "minimize", "multiplier_energy_j": "minimize"}


def test_large_numbers() -> None:
    assert [large_count(n) for n in (0, 7_962_624, 10**9, 10**34 - 1, 7 * 10**5000)] == [
        "0", "7,962,624", "1.00\u00a0×\u00a010⁹", "1.00\u00a0×\u00a010³⁴", "7.00\u00a0×\u00a010⁵⁰⁰⁰"]  # fmt: skip
    assert [readable(v) for v in (0.0, 0.3728, 3.728e-8, -2e12)] == [
        "0", "0.3728", "3.728\u00a0×\u00a010⁻⁸", "−2.000\u00a0×\u00a010¹²"]  # fmt: skip


def test_report_draws_a_search_again(tmp_path, lenet, capsys) -> None:
    save_record(tmp_path / "one" / "result.json", replace(lenet, front=lenet.front[:1]))
    assert run(["report", str(tmp_path / "one")]) == 0
    out = capsys.readouterr().out
    assert "Members of the front" in out
    assert str(tmp_path / "one" / "report.html") in out
    assert "xai-nas: LeNet-5" in (tmp_path / "one" / "report.html").read_text()
    assert run(["report", str(tmp_path / "one"), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["_type"] == "SearchResult"
    save_record(tmp_path / "two" / "result.json", hand_made())
    assert run(["report", str(tmp_path / "one"), str(tmp_path / "two")]) == 0
    out = capsys.readouterr().out
    assert "Reference points differ: these hypervolumes cannot be compared." in out
    assert (tmp_path / "two" / "report.html").exists()


def test_report_refuses_to_mix_searches_with_other_runs(tmp_path, small, capsys) -> None:
    save_record(tmp_path / "search" / "result.json", hand_made())
    save_record(tmp_path / "run" / "result.json", small)
    assert run(["report", str(tmp_path / "search"), str(tmp_path / "run")]) != 0
    error = capsys.readouterr().err
    assert "cannot be compared in one report" in error
    assert "Traceback" not in error
    assert not (tmp_path / "search" / "report.html").exists()
    assert run(["report", str(tmp_path / "search"), "--paper-table"]) != 0
    assert "one page each" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "result.json").write_text('{"_type": "SearchResult", "_version": 1')
    assert run(["report", str(tmp_path / "torn")]) != 0
    assert "must be JSON" in capsys.readouterr().err
