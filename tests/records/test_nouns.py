from __future__ import annotations

import msgspec
import numpy as np
import pytest

from axdnn.records import (
    CODINGS,
    Accuracy,
    Assignment,
    CostReport,
    InvalidInputError,
    Multiplier,
    Network,
    Record,
)

VALUES = np.arange(256) - 128
EXACT = np.multiply.outer(VALUES, VALUES)


def signed(table: object = EXACT, name: str = "m") -> Multiplier:
    return Multiplier.from_table(table, signed=True, name=name)  # type: ignore[arg-type]


def test_identity_is_coding_and_table_only() -> None:
    one, other = signed(name="one"), msgspec.structs.replace(signed(name="two"), origin="elsewhere", aliases=("x",))
    assert one == other
    assert hash(one) == hash(other)
    assert one.id == other.id
    assert len({one, other}) == 1
    unsigned = Multiplier.from_table(EXACT, signed=False, name="one")
    assert unsigned != one
    table = EXACT.copy()
    table[3, 4] += 1
    assert signed(table) != one
    assert signed(table).id != one.id
    assert one != "one"


def test_identity_is_stable() -> None:
    """The hash is written into results and caches: it may not change from version to version."""
    assert signed().id == "b71892d191c93d1b"


def test_identity_does_not_depend_on_how_the_table_lies_in_memory() -> None:
    ids = {signed(t).id for t in (EXACT, EXACT.astype(np.int16), np.asfortranarray(EXACT), EXACT.astype(">i4"))}
    assert len(ids) == 1
    assert msgspec.structs.replace(signed(), id="forged").id == signed().id


def test_the_callers_array_stays_his_own() -> None:
    array = EXACT.astype(np.int32)
    made = signed(array)
    array[0, 0] = 5
    assert made.table[0, 0] == 128 * 128
    assert array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        made.table[0, 0] = 5


def test_legal_codes_are_numbers() -> None:
    assert signed().is_exact
    assert list(signed().a_values[[0, 128, 255]]) == [-128, 0, 127]
    unsigned = Multiplier.from_table(np.multiply.outer(np.arange(256), np.arange(256)), signed=False, name="u")
    assert unsigned.is_exact
    assert list(unsigned.w_values[[0, 255]]) == [0, 255]
    wrapped = unsigned.sign_magnitude()
    assert wrapped.is_exact
    assert list(wrapped.w_values[[0, 1, 128, 129, 255]]) == [0, -254, 0, 2, 254]
    assert (wrapped.a_signed, wrapped.w_signed) == (False, True)


def test_sign_magnitude_wires_the_magnitude_to_the_upper_bits() -> None:
    table = np.random.default_rng(1).integers(0, 1000, (256, 256))
    wrapped = Multiplier.from_table(table, signed=False, name="u").sign_magnitude()
    for stored in (-127, -3, 0, 5, 127):
        expected = (-1 if stored < 0 else 1) * table[:, 2 * abs(stored)]
        assert (wrapped.table[:, stored + 128] == expected).all()
    assert (wrapped.table[:, 0] == -table[:, 0]).all()


def test_transposing_twice_is_nothing() -> None:
    table = np.random.default_rng(2).integers(-9, 9, (256, 256))
    made = signed(table, "m")
    swapped = made.transposed()
    assert swapped.name == "m.T"
    assert (swapped.table == table.T).all()
    assert swapped.transposed() == made
    assert swapped.transposed().name == "m"


def test_what_cannot_be_wrapped_or_transposed() -> None:
    with pytest.raises(InvalidInputError, match="'m' is signed"):
        signed().sign_magnitude()
    wrapped = Multiplier.from_table(EXACT, signed=False, name="u").sign_magnitude()
    with pytest.raises(InvalidInputError, match="transpose"):
        wrapped.transposed()


@pytest.mark.parametrize(
    ("table", "part"),
    [
        (EXACT[:255], r"\(255, 256\)"),
        (EXACT.astype(float), "float64"),
        (EXACT.astype(object), "object"),
        (np.full((256, 256), 2**31), "int32"),
        (np.full((256, 256), -(2**31) - 1), "int32"),
        ([], "shape"),
        ("table", "shape"),
    ],
)
def test_unusable_tables_are_refused_by_name(table: object, part: str) -> None:
    with pytest.raises(InvalidInputError, match=part) as error:
        signed(table, "broken")
    assert "broken" in str(error.value)


def test_the_ends_of_int32_are_legal() -> None:
    table = np.where(EXACT > 0, 2**31 - 1, -(2**31))
    assert (signed(table).table == table).all()


def test_unknown_coding_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=CODINGS[0]):
        Multiplier(name="m", coding="ternary", table=EXACT)  # type: ignore[arg-type]


def test_assignment_key_ignores_order_and_pods() -> None:
    one = Assignment(multipliers={"a": "x", "b": "y"})
    other = Assignment(multipliers={"b": "y", "a": "x"}, pods={"x": 1})
    assert one.key == other.key
    assert one.kinds == ("x", "y")
    assert one.key != Assignment(multipliers={"a": "y", "b": "x"}).key


def test_totals_are_sums(examples: tuple[Record, ...]) -> None:
    network = next(e for e in examples if isinstance(e, Network))
    assert network.macs == 3 * 4 * 9 * 2
    assert network.weights == 3 * 9 * 2
    assert network.layer_names == ("conv1",)
    cost = next(e for e in examples if isinstance(e, CostReport))
    assert cost.energy_breakdown_j == cost.layers[0].energy_j
    assert sum(cost.energy_breakdown_j.values()) == cost.layers[0].total_energy_j


def test_loss_is_baseline_minus_accuracy() -> None:
    better = Accuracy(split="s", images=4, accuracy=0.75, baseline_accuracy=0.5, loss_bound=0.1)
    assert better.loss == -0.25
