"""Ratios between fronts: against brute force, and what cannot be compared."""

from __future__ import annotations

import pytest

from axdnn.methods.robust_xai_nas import PUBLISHED, robust_ratios
from axdnn.records import FrontMember, InvalidInputError, Objective, SearchResult

NAMES = ("robust_error", "energy_j", "latency_s", "memory_bytes")


def result(*points: tuple[float, float, float, float], evaluations: int = 5) -> SearchResult:
    front = tuple(
        FrontMember(objectives=dict(zip(NAMES, p, strict=True)), candidate={}, trial=i) for i, p in enumerate(points)
    )
    return SearchResult(
        method="robust-xai-nas", data="mnist", objectives=tuple(Objective(name=n) for n in NAMES), space_size=9,
        evaluations=evaluations, front=front, hypervolume=0.0, reference={},
    )  # fmt: skip


def test_ratios_are_between_members_that_can_be_compared() -> None:
    own = result((0.4, 2.0, 4.0, 10.0), (0.7, 0.5, 1.0, 5.0))
    rival = result((0.5, 3.0, 2.0, 20.0), (0.8, 1.0, 8.0, 5.0))
    found = {r.figure: r for r in robust_ratios(own, rival)}
    assert {name: r.published for name, r in found.items()} == PUBLISHED
    assert found["energy"].measured == pytest.approx(1.0 / 0.5)
    assert (found["energy"].own, found["energy"].other) == (1, 1)
    assert found["latency"].measured == pytest.approx(8.0)
    assert found["memory"].measured == pytest.approx(2.0)
    assert found["robust accuracy"].measured == pytest.approx(0.3 / 0.2)
    assert found["robust accuracy"].own_robust == pytest.approx(0.3)


def test_a_front_beside_itself_is_at_least_as_good() -> None:
    own = result((0.4, 2.0, 4.0, 10.0), (0.7, 0.5, 1.0, 5.0))
    assert all(r.measured is not None and r.measured >= 1.0 for r in robust_ratios(own, own))


def test_nothing_to_compare() -> None:
    assert all(r.measured is None for r in robust_ratios(result(), result((0.5, 1.0, 1.0, 1.0))))
    with pytest.raises(InvalidInputError, match="same evaluations"):
        robust_ratios(result(evaluations=3), result())
