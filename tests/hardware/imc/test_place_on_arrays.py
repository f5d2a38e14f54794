"""Counts against literal loops over tiles, slices and rows; what stays on the chip."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axdnn.hardware.imc import Shapes, place_on_arrays, residency
from axdnn.records import InvalidInputError


def shapes_of(m, k, n, groups, dynamic=False):
    return Shapes(*(np.array([x]) for x in (m, k, n, groups, dynamic)))


def literal(m, k, n, groups, rows, columns, a, w, input_bits, cell_bits, per_slice, together):
    """Walk over everything that happens in an inference."""
    found = dict.fromkeys(
        ("arrays", "conversions", "outputs", "row_drives", "read_cells", "cells", "row_writes", "steps"), 0
    )
    columns_of_weight = [(j, b, s) for j in range(n) for b in range(0, w, cell_bits) for s in range(per_slice)]
    if together > 1:
        tiles = [
            [
                (range(k), columns_of_weight)
                for _ in range(first, min(first + together, groups))
            ]
            for first in range(0, groups, together)
        ]  # fmt: skip
    else:
        tiles = [
            [(range(r, min(r + rows, k)), columns_of_weight[c : c + columns])]
            for _ in range(groups)
            for r in range(0, k, rows)
            for c in range(0, len(columns_of_weight), columns)
        ]
    for array in tiles:
        found["arrays"] += 1
        for used_rows, used_columns in array:
            found["cells"] += len(used_rows) * len(used_columns)
            found["row_writes"] += len(used_rows)
            for _, _ in itertools.product(range(m), range(0, a, input_bits)):
                found["row_drives"] += len(used_rows)
                found["conversions"] += len(used_columns)
                found["read_cells"] += len(used_rows) * len(used_columns)
    per_row = -(-k // rows)
    found["outputs"] = sum(
        per_row for _ in itertools.product(range(m), range(0, a, input_bits), range(n), range(groups))
    )
    found["steps"] = sum(1 for _ in itertools.product(range(m), range(0, a, input_bits)))
    return found


small = st.integers(1, 9)


@given(
    st.integers(1, 3), small, st.integers(1, 4), st.integers(1, 5), st.integers(1, 12), st.integers(1, 12),
    st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.booleans(),
)  # fmt: skip
def test_counts_equal_a_literal_loop(m, k, n, groups, rows, columns, a, w, input_bits, cell_bits, per_slice, pack):
    place = place_on_arrays(
        shapes_of(m, k, n, groups), rows, columns, activation_bits=a, weight_bits=w, input_bits=input_bits,
        cell_bits=cell_bits, cells_per_slice=per_slice, pack_groups=pack,
    )  # fmt: skip
    width = n * -(-w // cell_bits) * per_slice
    together = min(rows // k, columns // width, groups) if pack else 1
    assert place.groups_per_array == max(together, 1)
    expected = literal(m, k, n, groups, rows, columns, a, w, input_bits, cell_bits, per_slice, together)
    assert {name: int(getattr(place, name)[0]) for name in expected} == expected
    assert place.utilisation == pytest.approx(expected["cells"] / (expected["arrays"] * rows * columns))
    assert 0 < place.utilisation <= 1


def test_depthwise_wastes_tiles_unless_packed():
    layer = shapes_of(100, 9, 1, 64)
    alone = place_on_arrays(layer, 128, 128)
    packed = place_on_arrays(layer, 128, 128, pack_groups=True)
    assert alone.arrays == 64
    assert alone.utilisation == 9 * 8 / 128**2
    assert packed.groups_per_array == 14
    assert packed.arrays == 5
    assert packed.conversions == alone.conversions


def test_slices_that_are_added_before_conversion():
    layer = shapes_of(10, 64, 4, 1)
    each = place_on_arrays(layer, 64, 64, activation_bits=7)
    joined = place_on_arrays(layer, 64, 64, activation_bits=7, slices_per_conversion=4)
    assert each.conversions == 10 * 7 * 4 * 8
    assert joined.conversions == 10 * 2 * 4 * 8


def test_counts_broadcast():
    layers = Shapes(*(np.array(x) for x in ([10, 20], [30, 300], [5, 50], [1, 2], [False, False])))
    rows, columns = np.array([32, 64, 128])[:, None, None], np.array([16, 32])[:, None]
    place = place_on_arrays(layers, rows, columns)
    assert place.arrays.shape == (3, 2, 2)
    for i, j in itertools.product(range(3), range(2)):
        alone = place_on_arrays(layers, rows[i, 0, 0], columns[j, 0])
        assert place.arrays[i, j].tolist() == alone.arrays.tolist()


@pytest.mark.parametrize("name", ["rows", "columns", "cell_bits", "input_bits", "replicas", "slices_per_conversion"])
def test_zero_is_refused(name):
    with pytest.raises(InvalidInputError, match=f"`{name}` >= 1"):
        place_on_arrays(shapes_of(1, 1, 1, 1), **{"rows": 8, "columns": 8, name: 0})


layers_of = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=6)


@given(layers_of)
def test_more_arrays_never_load_more(layers):
    arrays, dynamic = (np.array(x) for x in zip(*layers, strict=True))
    available = np.arange(1, 80)[:, None]
    stay = residency(arrays, dynamic, available)
    loads = np.rint(stay.loaded * arrays)
    np.testing.assert_allclose(stay.loaded * arrays, loads, atol=1e-9)
    assert np.all(np.diff(loads.sum(axis=-1)) <= 0)
    assert np.all(np.diff(stay.passes, axis=0) <= 0)
    need = arrays[~dynamic].sum() + max(arrays[dynamic], default=0)
    assert np.all(stay.needed == need)
    assert stay.fits.tolist() == (available[:, 0] >= need).tolist()
    assert np.all(loads[stay.fits][:, ~dynamic] == 0)
    assert np.all(loads[:, dynamic] == arrays[dynamic])
    assert np.all(stay.passes[stay.fits] == 1)


def test_first_layers_stay_where_not_all_fit():
    stay = residency(np.array([3, 4, 5, 2]), np.zeros(4, bool), 10)
    assert (stay.loaded * [3, 4, 5, 2]).tolist() == [0, 2, 5, 2]  # 5 are free for loading, 5 hold layer 1 and half of 2
    assert stay.passes.tolist() == [1, 1, 1, 1]
    assert residency(np.array([3, 4, 5, 2]), np.zeros(4, bool), 2).passes.tolist() == [2, 2, 3, 1]
