"""What the figures of a search draw, from plain records."""

from __future__ import annotations

import pytest

from axdnn.records import Constraint, Objective, Outcome, Scalar, SearchHistory, SearchTrial
from axdnn.report import climb, coordinates, front_table, pair_points, reasons_table, render_search


def trial(number: int, a: float, b: float, candidate: dict[str, Scalar], outcome: Outcome = "complete") -> SearchTrial:
    values = {"a": a, "b": b} if outcome == "complete" else {}
    reason = "" if outcome == "complete" else "ValueError: <no> width"
    return SearchTrial(number=number, outcome=outcome, candidate=candidate, values=values, reason=reason)


@pytest.fixture
def history() -> SearchHistory:
    trials = (
        trial(0, 5.0, 5.0, {"kind": "conv", "width": 8}),
        trial(1, 1.0, 9.0, {"kind": "conv", "width": 32}),
        trial(2, 0.0, 0.0, {"kind": "pool"}, "failed"),
        trial(3, 3.0, 4.0, {"kind": "pool"}),
        trial(4, 6.0, 6.0, {"kind": "pool"}),
    )
    return SearchHistory(
        name="study", objectives=(Objective(name="a", unit="J"), Objective(name="b", direction="minimize")),
        constraints=(Constraint(name="b", sense="<=", bound=10.0),), budget=9, space_size="3", evaluations=5, failed=1,
        trials=trials, front=(1, 3), reference={"a": 10.0, "b": 10.0}, hypervolume=(25.0, 29.0, 47.0, 47.0),
        settings={"sampler": "random"},
    )  # fmt: skip


def test_parallel_coordinates_leave_gaps_where_a_field_does_not_exist(history: SearchHistory) -> None:
    data = coordinates(history)
    assert [axis.name for axis in data.axes] == ["a", "b", "kind"]  # one width on the front: no axis
    assert data.lines == ((0.0, 1.0, 0.0), (1.0, 0.0, 1.0))
    front = coordinates(SearchHistory(**{**_fields(history), "front": (0, 1, 3)}))
    assert [axis.name for axis in front.axes] == ["a", "b", "kind", "width"]
    assert [line[3] for line in front.lines] == [0.0, 1.0, None]


def _fields(history: SearchHistory) -> dict[str, object]:
    return {name: getattr(history, name) for name in history.__struct_fields__ if name != "version"}


def test_pairs_and_climb(history: SearchHistory) -> None:
    (pair,) = pair_points(history)
    assert pair.x == "a (J), small is good"
    assert pair.points == ((5.0, 5.0), (1.0, 9.0), (3.0, 4.0), (6.0, 6.0))
    assert pair.front == ((1.0, 9.0), (3.0, 4.0))
    assert climb(history) == ((1, 25.0), (2, 29.0), (3, 47.0), (4, 47.0))


def test_tables_and_page(history: SearchHistory) -> None:
    assert front_table(history).rows == ((1, 1.0, 9.0, "kind=conv, width=32"), (3, 3.0, 4.0, "kind=pool"))
    assert reasons_table(history).rows == (("failed", "ValueError: <no> width", 1),)
    page = render_search(history)
    assert "ValueError: &lt;no&gt; width" in page
    assert "5 of 9" in page
    nothing = SearchHistory(name="new", objectives=history.objectives)
    assert "Trials and settings" in render_search(nothing)
