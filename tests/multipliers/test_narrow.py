"""Narrowed circuits, and the widths at which a circuit is exact, against products computed one pair at a time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from axdnn.multipliers import (
    classify,
    describe_multiplier,
    exact_multiplier,
    exact_widths,
    load_multiplier,
    load_set,
    pinned_set,
    require_label,
)
from axdnn.records import InvalidInputError, Multiplier, UnknownNameError

CIRCUITS = ("mul8s_1L2L", "mul8s_1KVA@v2022", "mul8s_1L12", "mul8u_QKX", "mul8u_17R6", "mul8u_1SX", "mul8u_TD3")


def is_exact_at(m: Multiplier, a_bits: int, w_bits: int) -> bool:
    """Every product of operands whose low bits are 0, one after the other."""
    table, unit = m.table.tolist(), 2 if m.coding == "sign_magnitude" else 1
    rows = [(i, a) for i, a in enumerate(m.a_values.tolist()) if a % 2 ** (8 - a_bits) == 0]
    columns = [(j, w) for j, w in enumerate(m.w_values.tolist()) if w // unit % 2 ** (8 - w_bits) == 0]
    return all(table[i][j] == a * w for i, a in rows for j, w in columns)


@pytest.mark.parametrize("name", CIRCUITS)
def test_the_widths_are_exact_and_no_wider_ones_are(name: str) -> None:
    circuit = load_multiplier(name)
    for m in (circuit, *([] if circuit.coding == "signed" else [circuit.sign_magnitude()])):
        widths = exact_widths(m)
        for a_bits, w_bits in widths:
            assert is_exact_at(m, a_bits, w_bits)
        wider = {(a + da, w + dw) for a, w in widths for da, dw in ((1, 0), (0, 1)) if a + da <= 8 and w + dw <= 8}
        corners = {(8, 2), (2, 8)} if widths else {(2, 2)}
        for a_bits, w_bits in wider | corners:
            known = any(a_bits <= a and w_bits <= w for a, w in widths)
            assert is_exact_at(m, a_bits, w_bits) == known, (a_bits, w_bits)


def test_exact_circuits_are_exact_at_all_bits() -> None:
    for coding in ("signed", "unsigned", "sign_magnitude"):
        assert exact_widths(exact_multiplier(coding)) == ((8, 8),)


def test_reduced_precision_circuits_have_the_widths_of_their_class() -> None:
    for m in load_set("evoapprox8b-signed"):
        kind = classify(m)
        if kind.kind == "reduced_precision":
            assert exact_widths(m) == ((kind.a_bits, kind.w_bits),)


@pytest.mark.parametrize("name", ["mul8u_QKX", "mul8s_1KVA@v2022", "mul8u_874.T"])
def test_a_narrowed_circuit_sees_operands_without_low_bits(name: str) -> None:
    circuit = load_multiplier(name)
    narrow = circuit.narrowed(5, 3)
    low = -128 if circuit.a_signed else 0
    for a, w in itertools.product(range(low, low + 256, 7), range(low, low + 256)):
        seen = (a // 8 * 8 - low, w // 32 * 32 - low)
        assert narrow.table[a - low, w - low] == circuit.table[seen]
    assert narrow.name == f"{name}.5x3"
    assert narrow.figures == circuit.figures
    assert load_multiplier(narrow.name) == narrow
    assert load_multiplier(f"{narrow.name}.T").transposed() == narrow
    assert describe_multiplier(narrow.name).classification.a_step_bits >= 3


def test_narrowing_to_exact_widths_gives_a_multiplier_of_fewer_bits() -> None:
    for name, (a_bits, w_bits) in (("mul8s_1KVA@v2022", (6, 6)), ("mul8u_QKX", (8, 1))):
        kind = classify(load_multiplier(f"{name}.{a_bits}x{w_bits}"))
        assert (kind.kind, kind.a_bits, kind.w_bits) == ("reduced_precision", a_bits, w_bits)


def test_what_cannot_be_narrowed_is_refused() -> None:
    circuit = load_multiplier("mul8u_QKX")
    with pytest.raises(InvalidInputError, match="before wrapping"):
        circuit.sign_magnitude().narrowed(8, 4)
    with pytest.raises(InvalidInputError, match="1 <= w_bits <= 8"):
        circuit.narrowed(8, 0)
    with pytest.raises(InvalidInputError, match="8x8"):
        load_multiplier("mul8u_QKX.8x8")
    with pytest.raises(UnknownNameError, match="mul8u_QKX"):
        load_multiplier("mul8u_QXK.8x4")
    with pytest.raises(InvalidInputError, match="6x5"):
        require_label("mine.6x5")


def test_narrowed_circuits_take_part_in_sets() -> None:
    spec = "mul8u_QKX.8x1,mul8s_1L2N"
    assert [m.name for m in load_set(spec)] == spec.split(",")
    assert pinned_set(spec) == spec
    assert np.array_equal(load_set(spec)[0].table, load_multiplier("mul8u_QKX").narrowed(8, 1).table)
