"""Assignments that leave something out: kept apart in the caches, checked before they count, priced as left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from axdnn.evaluation import Evaluator, Skipping
from axdnn.records import Assignment, InvalidInputError, UnknownNameError
from axdnn.testing import counted_images

Make = Callable[..., Evaluator]


def leaving_out(evaluator: Evaluator, name: str = "mul8u_13QR", **parts: dict[str, tuple[int, ...]]) -> Assignment:
    return msgspec.structs.replace(evaluator.uniform(name), **parts)


PARTS: list[dict[str, Any]] = [
    {}, {"skip": {"fc2": (1,)}}, {"absent": {"fc2": (1,)}}, {"skip": {"fc2": (1, 2)}}, {"skip": {"fc1": (1,)}},
    {"skip": {"fc2": (1,)}, "absent": {"fc2": (1,)}}, {"skip": {"fc1": (1,), "fc2": (1,)}},
]  # fmt: skip


def test_what_is_left_out_is_another_entry_in_memory_and_on_disk(make_evaluator: Make, tmp_path: Path) -> None:
    """An output skipped is not an input left out, whatever the numbers."""
    evaluator = make_evaluator(tmp_path)
    choices = [leaving_out(evaluator, **part) for part in PARTS]
    for choice in choices:
        evaluator.evaluate(choice)
    assert len({choice.key for choice in choices}) == len(evaluator.history) == len(choices)
    assert len(list(tmp_path.glob("*.bits"))) == len(choices) + 1, "and the exact network"
    for cached in (make_evaluator(tmp_path), make_evaluator()):
        for choice in choices:
            assert cached.evaluate(choice) == evaluator.history[choice.key]
    assert len(list(tmp_path.glob("*.bits"))) == len(choices) + 1
    with counted_images() as seen:
        again = make_evaluator(tmp_path)
        for choice in choices:
            again.evaluate(choice)
    assert sum(seen) == 24, "only calibration"


def test_order_and_empty_parts_change_nothing(make_evaluator: Make, tmp_path: Path) -> None:
    evaluator = make_evaluator(tmp_path)
    one = leaving_out(evaluator, skip={"fc1": (1, 5), "fc2": (0,)})
    same = leaving_out(evaluator, skip={"fc2": (0,), "fc1": (5, 1), "conv": ()}, absent={"fc3": ()})
    first = evaluator.evaluate(one).accuracy
    files = sorted(tmp_path.glob("*.bits"))
    assert one.key == same.key
    assert make_evaluator(tmp_path).evaluate(same).accuracy == first
    assert sorted(tmp_path.glob("*.bits")) == files


def test_a_skipped_network_costs_less_and_differs(make_evaluator: Make) -> None:
    evaluator = make_evaluator()
    plain = evaluator.evaluate(leaving_out(evaluator))
    less = evaluator.evaluate(leaving_out(evaluator, skip={"fc1": (0, 1, 2, 3, 4, 5)}))
    assert less.energy_j < plain.energy_j
    assert less.multiplier_energy_j < plain.multiplier_energy_j
    assert less.accuracy != plain.accuracy
    whole = evaluator.paper_cost(leaving_out(evaluator)).energy_j
    assert evaluator.paper_cost(leaving_out(evaluator, skip={"fc1": (0, 1, 2, 3)})).energy_j <= whole


@pytest.mark.parametrize(
    ("part", "error", "text"),
    [
        ({"skip": {"fc9": (0,)}}, UnknownNameError, "fc1"),
        ({"skip": {"fc1": (8,)}}, InvalidInputError, "0..7"),
        ({"skip": {"fc1": tuple(range(8))}}, InvalidInputError, "at least one"),
        ({"absent": {"fc1": (36,)}}, InvalidInputError, "0..35"),
        ({"absent": {"fc2": tuple(range(8))}}, InvalidInputError, "at least one"),
        ({"absent": {"fc9": (0,)}}, UnknownNameError, "fc1"),
    ],
)
def test_what_is_refused_is_not_counted(
    make_evaluator: Make, part: dict[str, Any], error: type[Exception], text: str
) -> None:
    evaluator = make_evaluator()
    with pytest.raises(error, match=text):
        evaluator.evaluate(leaving_out(evaluator, **part))
    assert (evaluator.full_evaluations, evaluator.run_images) == (0, 0)


def test_the_key_of_a_skipping_tells_everything_apart() -> None:
    """Equal for equal content in any order; skipped outputs are not absent inputs."""
    parts = [
        Skipping({"a": (1,)}),
        Skipping(absent={"a": (1,)}),
        Skipping({"a": (1, 2)}),
        Skipping({"b": (1,)}),
        Skipping(),
    ]
    assert len({s.key for s in parts}) == len(parts)
    assert Skipping({"a": (1,), "b": (2,)}).key == Skipping({"b": (2,), "a": (1,)}).key
    assert [bool(s) for s in parts] == [True] * 4 + [False]
