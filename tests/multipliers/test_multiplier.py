"""The record: what a table may be, JSON, sign-magnitude."""

from __future__ import annotations

import numpy as np
import pytest

from axdnn.multipliers import Multiplier, load_multiplier
from axdnn.records import InvalidInputError, from_json, to_json


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((255, 256), dtype=np.int32),
        np.zeros(65536, dtype=np.int32),
        np.zeros((256, 256)),
        np.full((256, 256), "a"),
        np.full((256, 256), 2**31, dtype=np.int64),
        np.full((256, 256), -(2**31) - 1, dtype=np.int64),
    ],
)
def test_bad_tables_are_refused(array):
    with pytest.raises(InvalidInputError, match="bad one"):
        Multiplier.from_table(array, signed=False, name="bad one")


def test_extreme_entries_and_a_copy():
    array = np.full((256, 256), -(2**31), dtype=np.int64)
    array[3, 4] = 2**31 - 1
    multiplier = Multiplier.from_table(array, signed=False, name="wide")
    array[3, 4] = 0
    assert multiplier.table[3, 4] == 2**31 - 1
    with pytest.raises(ValueError, match="read-only"):
        multiplier.table[0, 0] = 1


@pytest.mark.parametrize("name", ["mul8s_1KX5", "mul8u_QKX.T"])
def test_json_round_trip(name):
    before = load_multiplier(name)
    after = from_json(Multiplier, to_json(before))
    assert after == before
    assert (after.name, after.aliases, after.figures, after.origin) == (
        before.name,
        before.aliases,
        before.figures,
        before.origin,
    )
    np.testing.assert_array_equal(after.table, before.table)


def test_identity_is_behaviour_and_coding():
    circuit = load_multiplier("mul8u_QKX")
    assert Multiplier.from_table(circuit.table, signed=False, name="other") == circuit
    assert Multiplier.from_table(circuit.table, signed=True, name="other") != circuit
    assert circuit.transposed().transposed() == circuit


def test_sign_magnitude_wires_the_magnitude_to_the_upper_bits():
    circuit = load_multiplier("mul8u_2AC")  # f(0, 0) = 32: zero is not absorbing
    wrapped = circuit.sign_magnitude()
    for stored in range(-127, 128):
        expected = (-1 if stored < 0 else 1) * circuit.table[:, 2 * abs(stored)]
        np.testing.assert_array_equal(wrapped.table[:, stored + 128], expected)
    np.testing.assert_array_equal(wrapped.table[:, 0], -circuit.table[:, 0])  # minus zero
    assert wrapped.table[0, 0] == -32
    assert wrapped.w_values[0] == 0
    with pytest.raises(InvalidInputError):
        wrapped.sign_magnitude()
    with pytest.raises(InvalidInputError):
        wrapped.transposed()
