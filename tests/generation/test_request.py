"""A request is checked before any work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from axdnn.cli.generate import STEPS
from axdnn.generation import RECOVERY, Request, recovery_recipe
from axdnn.layers import Recipe
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError, Multiplier, UnknownNameError


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"strategy": "integr"}, UnknownNameError, "integer"),
        ({"score": "shapley"}, UnknownNameError, "score"),
        ({"evaluations": 2}, InvalidInputError, "evaluations >= 3"),
        ({"evaluations": 3.5}, InvalidInputError, "whole number"),
        ({"max_accuracy_loss": -1.0}, InvalidInputError, "max_accuracy_loss"),
        ({"max_accuracy_loss": float("nan")}, InvalidInputError, "max_accuracy_loss"),
        ({"multipliers": "mul8u_QXK"}, UnknownNameError, "mul8u_QKX"),
        ({"accelerator": "tpu_v9"}, UnknownNameError, "tpu_v4"),
        ({"accept_tries": 0}, InvalidInputError, "accept_tries"),
    ],
)
def test_bad_requests_are_refused_before_any_work(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Request(**options)


def test_two_circuits_of_one_name_are_refused() -> None:
    library = load_multiplier("mul8u_QKX")
    first = Multiplier(name="mine", coding="unsigned", table=library.table, figures=library.figures)
    table = np.array(first.table)
    table[3, 3] += 1
    second = Multiplier(name="mine", coding="unsigned", table=table, figures=first.figures)
    with pytest.raises(InvalidInputError, match="one name"):
        Request(multipliers=(first, second))


def test_a_borrowed_catalogue_name_is_refused() -> None:
    library = load_multiplier("mul8u_QKX")
    borrowed = Multiplier(name=library.name, coding="unsigned", table=library.table + 1, figures=library.figures)
    with pytest.raises(InvalidInputError, match="another circuit"):
        Request(multipliers=(borrowed,))


def test_steps_of_recovery_are_switches_of_the_recipe() -> None:
    assert recovery_recipe(tuple(RECOVERY)) == Recipe()
    assert tuple(RECOVERY) == STEPS, "the command line takes the same"
    bare = recovery_recipe(())
    assert (bare.align, bare.activation_range, bare.weight_codes, bare.compensate, bare.in_order) == (
        False, "minmax", "nearest", False, False)  # fmt: skip
    for step, changes in RECOVERY.items():
        without = recovery_recipe([other for other in RECOVERY if other != step])
        assert without == replace(Recipe(), **changes) != Recipe()
    with pytest.raises(UnknownNameError, match="bias"):
        recovery_recipe(["biass"])
    with pytest.raises(InvalidInputError, match=r"axdnn\.tune.*--recover"):
        recovery_recipe(["coding", "finetune"])
