"""SRAM: the shipped fits are what the sweep gives, what they miss, and how other designs compare."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axdnn.hardware import technology as tech
from axdnn.hardware.sosa import BANK_J_B
from axdnn.hardware.technology.sram import NODES_NM, PORTS_BITS
from axdnn.records import InvalidInputError

KB = 1024
COLUMNS = {
    "read": ("read_pJ_per_byte", 1e-12),
    "write": ("write_pJ_per_byte", 1e-12),
    "area": ("area_mm2", 1e-6),
    "access": ("access_ns", 1e-9),
    "leakage": ("leak_mW", 1e-3),
}
FIELDS = {"read": "read_j_b", "write": "write_j_b", "area": "area_m2", "access": "access_s"}


def model(quantity: str, size, node, port):
    if quantity == "leakage":
        return tech.lstp_leakage_w(size, node, port)
    return getattr(tech.cacti_sram(size, node, port), FIELDS[quantity])


@pytest.fixture(scope="module")
def sweep(reference):
    """Sizes in bytes and values in SI by (quantity, node, port)."""
    rows = reference("cacti_sram.csv")
    assert len(rows) == 96
    found = {}
    for quantity, (column, unit) in COLUMNS.items():
        for node in NODES_NM:
            for port in PORTS_BITS:
                own = [r for r in rows if (int(r["tech_nm"]), int(r["block_bits"])) == (node, port)]
                sizes = np.array([float(r["size_kB"]) * KB for r in own])
                found[quantity, node, port] = sizes, np.array([float(r[column]) * unit for r in own])
    return found


def test_shipped_coefficients_are_the_least_squares_fit(sweep):
    for (quantity, node, port), (sizes, values) in sweep.items():
        slope, offset = np.polyfit(np.log(sizes / (32 * KB)), np.log(values), 1)
        expected = np.exp(offset) * (sizes / (32 * KB)) ** slope
        found = model(quantity, sizes, node, port)
        assert found == pytest.approx(expected, rel=1e-5), (quantity, node, port)
        off = found / values - 1
        worst = off[np.argmax(abs(off))]
        assert tech.sram_fit_deviation(quantity, node, port) == pytest.approx(worst, abs=1e-5)


def test_worst_deviations_as_stated():
    worst = {
        q: [max(abs(tech.sram_fit_deviation(q, n, port)) for n in NODES_NM) for port in PORTS_BITS] for q in COLUMNS
    }
    assert worst == pytest.approx(
        {
            "read": pytest.approx([0.371, 0.520], abs=1e-3),
            "write": pytest.approx([0.196, 0.205], abs=1e-3),
            "area": pytest.approx([0.132, 0.315], abs=1e-3),
            "access": pytest.approx([0.212, 0.163], abs=1e-3),
            "leakage": pytest.approx([0.125, 0.110], abs=1e-3),
        }
    )


def test_rounded_coefficients_known_before():
    """Coefficients of 64-bit ports as first noted, to their digits."""
    at = {q: [float(model(q, 32 * KB, n, 64)) * 1e12 for n in NODES_NM] for q in ("read", "write")}
    assert at["read"] == pytest.approx([0.44, 1.00, 1.77, 3.12], abs=0.006)
    assert at["write"] == pytest.approx([0.42, 1.00, 1.89, 3.71], abs=0.006)
    per_mb = [float(model("area", 1024 * KB, n, 64)) * 1e6 for n in NODES_NM]
    assert per_mb == pytest.approx([0.78, 1.65, 3.3, 6.8], rel=0.07)


def test_a_left_out_node_is_found_again(sweep):
    """Interpolate 32 nm from 22 and 45, and 45 from 32 and 65: how far from the fit of the node itself."""
    worst = {}
    for quantity in FIELDS:
        for left, node, right in ((22, 32, 45), (32, 45, 65)):
            for port in PORTS_BITS:
                sizes = sweep[quantity, node, port][0]
                low, own, high = (model(quantity, sizes, n, port) for n in (left, node, right))
                share = np.log(node / left) / np.log(right / left)
                found = low ** (1 - share) * high**share
                worst[quantity] = max(worst.get(quantity, 0), abs(found / own - 1).max())
    bands = {"read": 0.12, "write": 0.14, "area": 0.04, "access": 0.08}
    assert all(worst[quantity] < band for quantity, band in bands.items()), worst


SIZES = st.floats(2 * KB, 4096 * KB)


@given(SIZES, SIZES, st.floats(22, 65), st.floats(22, 65), st.floats(64, 256))
def test_laws(a, b, node_a, node_b, port):
    (small, large), (new, old) = sorted((a, b)), sorted((node_a, node_b))
    for quantity in FIELDS:
        value = model(quantity, small, new, port)
        assert value <= model(quantity, large, new, port) * (1 + 1e-12)
        assert value <= model(quantity, small, old, port) * (1 + 1e-12)
    for quantity in ("read", "write"):  # a byte of a wide access is cheaper
        assert model(quantity, a, new, 256) <= model(quantity, a, new, 64)


def test_arrays_equal_scalars():
    sizes, nodes = np.array([3e3, 1e5, 4e6]), np.array([[22.0], [28.0], [65.0]])
    whole = tech.cacti_sram(sizes, nodes, 128)
    assert whole.read_j_b.shape == (3, 3)
    for field, values in whole._asdict().items():
        for i in range(3):
            for j in range(3):
                single = getattr(tech.cacti_sram(sizes[j], nodes[i, 0], 128), field)
                assert values[i, j] == pytest.approx(float(single), rel=1e-14)


def test_below_22_nm_only_on_request():
    with pytest.raises(InvalidInputError, match=r"`node_nm` must be in 22..65 nm, but got 7; .*extrapolate=True"):
        tech.cacti_sram(32 * KB, 7)
    at_22, at_7 = tech.cacti_sram(32 * KB, 22), tech.cacti_sram(32 * KB, 7, extrapolate=True)
    assert at_7.write_j_b / at_22.write_j_b == pytest.approx(np.sqrt(7 / 22))
    assert at_7.access_s / at_22.access_s == pytest.approx(7 / 22)
    # Published 7 nm memories take about four times as much: they hold more than the macro.
    ratio = tech.sram_family_j_b("tpu_v4i_7", 32 * KB) / at_7.read_j_b
    assert ratio == pytest.approx(4.3, abs=0.05)


def test_outside_the_sweep_is_refused():
    for arguments, message in (
        ((1024, 32), r"`size_bytes` must be in 2048..4.1943e\+06 bytes, but got 1024; join or split banks"),
        ((32 * KB, 90), "`node_nm` must be in 22..65 nm, but got 90"),
        ((32 * KB, 32, 32), "`port_bits` must be in 64..256 bits, but got 32"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            tech.cacti_sram(*arguments)
    with pytest.raises(InvalidInputError, match="`node_nm` must be one of 22, 32, 45, 65, but got 28"):
        tech.sram_fit_deviation("read", 28)
    with pytest.raises(InvalidInputError, match="for 'sosa_28', but got 1024"):
        tech.sram_family_j_b("sosa_28", 1024)


def test_families_against_the_fit():
    """Horowitz at 45 nm within 40 %, SOSA's 256 kB bank at 28 nm within 20 %."""
    for size in (8, 32, 1024):
        fit = tech.cacti_sram(size * KB, 45).read_j_b
        assert fit == pytest.approx(float(tech.sram_family_j_b("horowitz_45", size * KB)), rel=0.4)
    fit = tech.cacti_sram(256 * KB, 28).read_j_b
    assert fit == pytest.approx(float(tech.sram_family_j_b("sosa_28", 256 * KB)), rel=0.2)


def test_families_keep_their_points():
    assert tech.list_sram_families() == ["cmem_7", "horowitz_45", "sosa_28", "tpu_v4i_7", "vmem_7"]
    for size, joules in BANK_J_B.items():
        assert tech.sram_family_j_b("sosa_28", size * KB) == pytest.approx(joules)
    middle = tech.sram_family_j_b("sosa_28", np.sqrt(64 * 128) * KB)
    assert middle == pytest.approx(np.sqrt(1.1e-12 * 1.6e-12))
    assert tech.sram_family_j_b("vmem_7", 4096 * KB, write=True) == pytest.approx(2.344e-12)
    assert np.isnan(tech.sram_family("sosa_28").area_m2_b)


def test_disagreement():
    at_7 = tech.sram_disagreement(32 * KB, 7)
    assert set(at_7.read_j_b) == {"horowitz_45", "tpu_v4i_7", "cacti"}
    assert at_7.factor == pytest.approx(4.3, abs=0.05)
    only = tech.sram_disagreement(128 * 1024 * KB, 7)
    assert (only.factor, set(only.read_j_b)) == (1.0, {"cmem_7"})
    with pytest.raises(InvalidInputError, match="`size_bytes`"):
        tech.sram_disagreement(100, 7)


def test_leakage_is_the_callers():
    point = tech.operating_point([0.7, 0.9])
    found = tech.sram_leakage_w(2**20, 1e-9, point.leakage_factor)
    assert found == pytest.approx(2**20 * 1e-9 * point.leakage_factor)
    # Low standby power: 0.02 to 0.2 mW for a MB, and not monotone in the node.
    per_mb = tech.lstp_leakage_w(2**20, np.array(NODES_NM)) * 1e3
    assert ((per_mb > 0.02) & (per_mb < 0.2)).all()
    assert (np.diff(per_mb) < 0).any()
    assert (np.diff(per_mb) > 0).any()
    with pytest.raises(InvalidInputError, match=r"`leakage_w_b` must be in 0\.\.inf"):
        tech.sram_leakage_w(1, -1)
