"""Classes of tables, against tables built another way."""

from __future__ import annotations

import numpy as np
import pytest

from axdnn.multipliers import Multiplier, classify, exact_multiplier, list_multipliers, load_multiplier, load_set

REDUCED = {
    "mul8s_1KVM": (8, 7),
    "mul8s_1L2J": (7, 7),
    "mul8s_1KXF": (8, 5),
    "mul8s_1L2L": (6, 6),
    "mul8s_1L2N": (5, 5),
    "mul8s_1L12": (8, 2),
}


def truncated_product(a_bits: int, w_bits: int, low: int) -> list[list[int]]:
    """Product of floor-truncated operands by integer division, one pair at a time."""
    a_step, w_step = 2 ** (8 - a_bits), 2 ** (8 - w_bits)
    return [
        [(a // a_step) * a_step * ((w // w_step) * w_step) for w in range(low, low + 256)]
        for a in range(low, low + 256)
    ]


def test_exactly_six_signed_circuits_are_reduced_precision():
    rows = [row for row in list_multipliers("evoapprox8b-signed") if not row.transposed]
    kinds = {row.name: row.classification.kind for row in rows}
    assert {name for name, kind in kinds.items() if kind == "reduced_precision"} == set(REDUCED)
    assert sorted(kinds.values()).count("approximate") == 6


@pytest.mark.parametrize(("name", "bits"), REDUCED.items())
def test_reduced_precision_circuits_against_integer_division(name, bits):
    circuit = load_multiplier(name)
    found = classify(circuit)
    assert sorted((found.a_bits, found.w_bits)) == sorted(bits)
    np.testing.assert_array_equal(circuit.table, truncated_product(found.a_bits, found.w_bits, -128))


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(("a_bits", "w_bits"), [(8, 7), (1, 8), (3, 4), (1, 1)])
def test_tables_built_here(signed, a_bits, w_bits):
    table = truncated_product(a_bits, w_bits, -128 if signed else 0)
    found = classify(Multiplier.from_table(table, signed=signed, name="built"))
    assert (found.kind, found.a_bits, found.w_bits) == ("reduced_precision", a_bits, w_bits)
    assert found.label == f"{a_bits}x{w_bits} bits"
    table[17][3] += 1
    broken = classify(Multiplier.from_table(table, signed=signed, name="built"))
    assert (broken.kind, broken.a_step_bits, broken.w_step_bits) == ("approximate", 0, 0)


def test_exact_in_every_coding():
    for coding in ("signed", "unsigned", "sign_magnitude"):
        found = classify(exact_multiplier(coding))
        assert (found.kind, found.a_step_bits, found.w_step_bits) == ("exact", 0, 0)


def test_sign_magnitude_truncates_the_magnitude():
    table = truncated_product(8, 5, 0)
    wrapped = Multiplier.from_table(table, signed=False, name="built").sign_magnitude()
    found = classify(wrapped)
    assert (found.kind, found.a_step_bits, found.w_step_bits) == ("reduced_precision", 0, 2)


@pytest.mark.parametrize("value", [0, -7])
def test_constant_tables_ignore_both_operands(value):
    table = np.full((256, 256), value)
    for signed in (True, False):
        found = classify(Multiplier.from_table(table, signed=signed, name="constant"))
        assert (found.kind, found.a_step_bits, found.w_step_bits) == ("approximate", 8, 8)


def test_transposed_circuits_swap_the_bits():
    for circuit in load_set("evoapprox8b"):
        if circuit.name.endswith(".T"):
            one, other = classify(circuit), classify(circuit.transposed())
            assert (one.kind, one.a_bits, one.w_bits) == (other.kind, other.w_bits, other.a_bits)
