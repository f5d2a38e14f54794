"""Names, tables, figures and the speed of loading."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from axdnn.multipliers import (
    CatalogueRow,
    Multiplier,
    area_ratio,
    catalogue_names,
    classify,
    error_metrics,
    exact_multiplier,
    list_multipliers,
    load_multiplier,
    load_set,
    power_ratio,
)
from axdnn.multipliers.catalogue import XAI_GEN
from axdnn.multipliers.packing import pack_error, unpack_error
from axdnn.records import AmbiguousNameError, InvalidInputError, UnknownNameError, from_json, to_json
from axdnn.report import PAPER_MULTIPLIERS

SOURCE = Path(__file__).parents[3] / "shared" / "evoapprox8b"
AMBIGUOUS = ("mul8s_1KV8", "mul8s_1KVA", "mul8u_17C8")


def test_99_names_mean_64_tables_of_which_13_are_signed(index):
    names = [f"{name['circuit']}@{name['release']}" for table in index["tables"] for name in table["names"]]
    assert len(names) == len(set(names)) == 99
    circuits = {load_multiplier(name).id: load_multiplier(name) for name in names}
    assert len(circuits) == 64
    assert sum(circuit.coding == "signed" for circuit in circuits.values()) == 13


def test_tables_match_the_hashes_in_the_index(index):
    for entry in index["tables"]:
        table = load_multiplier(entry["label"]).table
        assert hashlib.sha1(table.astype("<i4").tobytes()).hexdigest()[:12] == entry["sha1"]


@pytest.mark.skipif(not SOURCE.exists(), reason="needs ../shared/evoapprox8b, the folder the package data is made from")
def test_tables_and_printed_figures_match_the_source_folder(index):
    printed = {f"{n['circuit']}@{n['release']}": n["published"] for t in index["tables"] for n in t["names"]}
    with np.load(SOURCE / "tables.npz") as file:
        arrays = {key: file[key] for key in file.files}
    rows = list(csv.DictReader((SOURCE / "index.csv").read_text().splitlines()))
    assert len(rows) == 99
    for row in rows:
        name = f"{row['circuit']}@{row['release']}"
        multiplier = load_multiplier(name)
        np.testing.assert_array_equal(multiplier.table, arrays[row["table"]])
        assert printed[name] == {key: row[key] for key in printed[name]}
        assert (multiplier.coding == "signed") == (row["signed"] == "1")


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_name_is_an_error_that_lists_both(name):
    with pytest.raises(AmbiguousNameError) as caught:
        load_multiplier(name)
    assert f"{name}@v1" in str(caught.value)
    assert f"{name}@v2022" in str(caught.value)
    assert load_multiplier(f"{name}@v1") != load_multiplier(f"{name}@v2022")
    assert name not in catalogue_names()


def test_labels_prefer_v2022_and_carry_a_release_only_where_needed():
    assert load_multiplier("mul8s_1L1G").name == "mul8s_1L2N"
    assert load_multiplier("mul8s_1L2N@v2022").aliases == ("mul8s_1L1G",)
    assert load_multiplier("mul8u_QKX").name == "mul8u_QKX"
    assert load_multiplier("mul8s_1KV8@v1").name == "mul8s_1KV6"
    assert load_multiplier("mul8s_1KVA@v1").name == "mul8s_1KV8@v2022"
    assert load_multiplier("exact").is_exact
    for name in catalogue_names():
        loaded = load_multiplier(name)
        assert name in (loaded.name, *loaded.aliases)


def test_unknown_names_list_the_nearest():
    with pytest.raises(UnknownNameError, match="mul8u_QKX"):
        load_multiplier("mul8u_QXK")
    with pytest.raises(UnknownNameError):
        load_multiplier("mul8u_QKX@v2022")
    with pytest.raises(UnknownNameError, match="evoapprox8b-signed"):
        load_set("evoapprox8b-sined")
    with pytest.raises(InvalidInputError):
        load_set(" , ")
    with pytest.raises(InvalidInputError):
        load_multiplier(3)  # type: ignore[arg-type]


def test_transposed_circuits_are_entries_of_their_own():
    plain, swapped = load_multiplier("mul8u_17C8@v1"), load_multiplier("mul8u_17C8@v1.T")
    np.testing.assert_array_equal(plain.table.T, swapped.table)
    assert swapped.name == "mul8u_17C8@v1.T"
    assert swapped != plain
    assert load_multiplier("mul8u_1446.T").aliases == ("mul8u_1446.T",)
    with pytest.raises(InvalidInputError, match="symmetric"):
        load_multiplier("mul8s_1KV6.T")


def test_sets():
    everything = load_set("evoapprox8b")
    assert len(everything) == len({circuit.id for circuit in everything}) == 64 + 52
    assert sum(circuit.name.endswith(".T") for circuit in everything) == 52
    assert len(load_set("evoapprox8b-signed")) == 13 + 6
    assert len(load_set("evoapprox8b-unsigned")) == 51 + 46
    assert [m.name for m in load_set("mul8u_QKX, exact,mul8s_1KV6")] == ["mul8u_QKX", "mul8s_1KV6"]


def test_the_set_of_the_paper_is_what_the_report_calls_m1_to_m7():
    found = load_set("xai-gen")
    assert [m.id for m in found] == [load_multiplier(PAPER_MULTIPLIERS[f"M{i}"]).id for i in range(1, 8)]
    assert [m.name for m in found] == [load_multiplier(name).name for name in XAI_GEN]
    errors = [error_metrics(m).mae for m in found]
    assert errors[0] == 0
    assert errors == sorted(errors), "M1 to M7 by mean absolute error"
    with pytest.raises(UnknownNameError, match="xai-gen"):
        load_set("xai_gen")


def test_list_agrees_with_what_the_tables_say():
    rows = list_multipliers()
    assert len(rows) == 116
    for row in rows:
        circuit = load_multiplier(row.name)
        assert row.id == circuit.id
        assert row.classification == classify(circuit)
        assert row.symmetric == np.array_equal(circuit.table, circuit.table.T)
        assert row.power_ratio == power_ratio(circuit)
        assert row.area_ratio == area_ratio(circuit)
        measured = error_metrics(circuit)
        for field in measured.__struct_fields__:
            assert getattr(row.metrics, field) == pytest.approx(getattr(measured, field), rel=1e-12)
    assert from_json(CatalogueRow, to_json(rows[0])) == rows[0]


def test_exact_circuits_and_ratios():
    for coding in ("signed", "unsigned", "sign_magnitude"):
        exact = exact_multiplier(coding)
        assert exact.is_exact
        assert exact.coding == coding
        assert power_ratio(exact) == area_ratio(exact) == 1.0
    half = load_multiplier("mul8s_1L2N")
    assert half.figures.power_w == 0.126e-3
    assert half.figures.area_m2 == 284.9e-12
    assert half.figures.delay_s == 0.94e-9
    assert power_ratio(half) == pytest.approx(0.126 / 0.425)
    wrapped = load_multiplier("mul8u_QKX").sign_magnitude()
    assert power_ratio(wrapped) == power_ratio(load_multiplier("mul8u_QKX"))
    unpriced = Multiplier.from_table(half.table, signed=True, name="mine")
    with pytest.raises(InvalidInputError, match="figures"):
        power_ratio(unpriced)
    with pytest.raises(InvalidInputError):
        exact_multiplier("ternary")  # type: ignore[arg-type]


def test_packing_is_lossless_modulo_2_to_the_16():
    error = np.random.default_rng(0).integers(-(2**15), 2**15, (256, 256))
    for signed in (False, True):
        np.testing.assert_array_equal(unpack_error(pack_error(error, signed), signed), error & 0xFFFF)


def test_import_loads_neither_torch_nor_tables():
    code = (
        "import sys, axdnn.multipliers as m; assert 'torch' not in sys.modules;"
        "from axdnn.multipliers import library; assert library._read.cache_info().currsize == 0;"
        "m.load_multiplier('exact'); assert library.library_table.cache_info().currsize == 1;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
