"""Exact ranks and integer factors."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.multipliers import Factors, factors_for, integer_factors, list_multipliers, load_multiplier, matrix_rank
from axdnn.multipliers.lattice import row_lattice_basis
from axdnn.multipliers.modular import PRIME, eliminate
from axdnn.records import InvalidInputError

SOURCE = Path(__file__).parents[3] / "shared" / "evoapprox8b" / "index.csv"
LOW_RANK = [row.name for row in list_multipliers() if row.rank <= 32]
STORED = np.arange(256) - 128
MAGNITUDE = np.where(STORED == -128, 0, np.abs(STORED))


def test_ranks_in_the_index_are_exact_and_agree_with_singular_values():
    for row in list_multipliers():
        if not row.transposed:
            table = load_multiplier(row.name).table
            assert matrix_rank(table) == row.rank
            assert np.linalg.matrix_rank(table.astype(np.float64)) == row.rank


@pytest.mark.skipif(not SOURCE.exists(), reason="needs ../shared/evoapprox8b")
def test_ranks_match_the_source_folder():
    ranks = {row.name: row.rank for row in list_multipliers()}
    for row in csv.DictReader(SOURCE.read_text().splitlines()):
        assert ranks[load_multiplier(f"{row['circuit']}@{row['release']}").name] == int(row["rank_table"])


@pytest.mark.parametrize("name", LOW_RANK)
def test_library_factors_are_exact_in_all_65536_entries(name):
    circuit = load_multiplier(name)
    factors = factors_for(circuit)
    assert factors is not None
    assert factors.rank == matrix_rank(circuit.table)
    np.testing.assert_array_equal(factors.F @ factors.G.T, circuit.table)
    assert factors.bound == int((np.abs(factors.F) @ np.abs(factors.G).T).max(initial=0))
    assert factors.bound <= 2 * np.abs(circuit.table).max()
    np.testing.assert_array_equal(factors.swapped().product(), circuit.table.T)
    if circuit.coding == "unsigned":
        wrapped = factors.reindex_w(2 * MAGNITUDE, np.where(STORED < 0, -1, 1))
        np.testing.assert_array_equal(wrapped.F @ wrapped.G.T, circuit.sign_magnitude().table)


def test_transposed_tables_have_swapped_factors():
    for row in list_multipliers("evoapprox8b-signed"):
        if row.transposed:
            swapped = factors_for(load_multiplier(row.name))
            plain = factors_for(load_multiplier(row.name.removesuffix(".T")))
            np.testing.assert_array_equal(swapped.F, plain.G)
            np.testing.assert_array_equal(swapped.G, plain.F)


def test_signed_factors_fit_int8():
    for row in list_multipliers("evoapprox8b-signed"):
        factors = factors_for(load_multiplier(row.name))
        assert factors is not None
        assert min(factors.F.min(), factors.G.min()) >= -128
        assert max(factors.F.max(), factors.G.max()) <= 127


def test_high_rank_gives_none_quickly():
    assert factors_for(load_multiplier("mul8u_12N4")) is None
    assert factors_for(load_multiplier("mul8u_17R6"), max_rank=9) is None
    table = np.random.default_rng(0).integers(-(2**31), 2**31, (256, 256))
    began = time.process_time()
    assert integer_factors(table) is None
    assert time.process_time() - began < 0.2


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 6),
    st.sampled_from([1, 3, 100, 8000]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([(256, 256), (40, 256), (7, 5)]),
)
def test_random_tables_of_low_rank(rank, size, seed, shape):
    rng = np.random.default_rng(seed)
    left = rng.integers(-size, size + 1, (shape[0], rank))
    right = rng.integers(-size, size + 1, (shape[1], rank))
    table = left @ right.T
    factors = integer_factors(table)
    assert factors is not None
    assert factors.rank == matrix_rank(table) <= min(rank, *shape)
    assert factors.reproduces(table)
    assert (factors.F.astype(object) @ factors.G.T.astype(object) == table).all()


@pytest.mark.parametrize(
    "table",
    [
        np.zeros((256, 256), dtype=np.int64),
        np.full((256, 256), -5),
        np.full((256, 256), -(2**31)),
        np.full((256, 256), 2**31 - 1),  # zero modulo the first prime
        np.diag([PRIME, 1, 0, PRIME]),
        np.diag([6, 10, 15]),
        np.array([[2, 0], [0, 2], [1, 1]]),
        np.array([[3, 1], [1, 5], [2, 7], [1, 0]]),
    ],
    ids=["zero", "constant", "lowest", "prime", "primes", "coprime", "even", "index14"],
)
def test_special_tables(table):
    factors = integer_factors(table)
    assert factors is not None
    assert factors.rank == matrix_rank(table) == np.linalg.matrix_rank(table.astype(float))
    assert factors.reproduces(table)
    if not factors.rank:
        assert factors.bound == 0


def test_a_corrupt_factor_is_noticed():
    table = load_multiplier("mul8s_1KX5").table
    factors = factors_for(load_multiplier("mul8s_1KX5"))
    assert factors is not None
    changed = factors.F.copy()
    changed[255, 0] += 1
    assert not Factors(F=changed, G=factors.G).reproduces(table)


def test_lattice_basis_spans_the_rows_and_nothing_more():
    rng = np.random.default_rng(3)
    for _ in range(20):
        matrix = rng.integers(-9, 10, (6, 3))
        found = eliminate(matrix).rows
        if len(found) < 3:
            continue
        minors = [round(np.linalg.det(matrix[[i, j, k]])) for i in range(6) for j in range(i) for k in range(j)]
        volume = abs(round(np.linalg.det(row_lattice_basis(matrix, found))))
        assert volume == np.gcd.reduce(minors)


def test_ranks_of_hard_matrices():
    assert matrix_rank(np.zeros((4, 4), dtype=int)) == 0
    assert matrix_rank([[PRIME, 0], [0, PRIME]]) == 2
    hilbert_like = np.array([[720720 // (i + j + 1) for j in range(7)] for i in range(7)])
    assert matrix_rank(hilbert_like) == 7
    rng = np.random.default_rng(5)
    wide = rng.integers(-(2**13), 2**13, (256, 20)) @ rng.integers(-(2**13), 2**13, (20, 256))
    assert matrix_rank(wide) == 20


def test_wrong_input_is_refused():
    with pytest.raises(InvalidInputError, match="integers"):
        matrix_rank([[0.5]])
    with pytest.raises(InvalidInputError, match="two dimensions"):
        matrix_rank([1, 2])
    with pytest.raises(InvalidInputError, match="int32"):
        integer_factors([[2**40]])
    with pytest.raises(InvalidInputError, match="signs"):
        factors_for(load_multiplier("exact")).reindex_w([0], [2])
    with pytest.raises(InvalidInputError):
        Factors(F=np.zeros((2, 1), dtype=np.int64), G=np.zeros((2, 2), dtype=np.int64))
