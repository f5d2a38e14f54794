"""Accelerator files: schema, units, sources, scaling arithmetic."""

from importlib import resources

import pytest
import yaml

from axdnn.hardware import estimate, list_accelerators, load_accelerator, parse_accelerator
from axdnn.hardware.accelerator import OPTIONAL, PARAMETERS
from axdnn.hardware.components import AREA_BY_NODE_NM, ENERGY_BY_NODE_NM, node_factor, shared_area_m2
from axdnn.records import InvalidInputError, UnknownNameError


@pytest.fixture
def data():
    text = (resources.files("axdnn.hardware") / "designs" / "tpu_v4.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def test_tpu_v4_is_what_is_published():
    chip = load_accelerator("tpu_v4")
    assert (chip.pods, chip.rows, chip.columns, chip.clock_hz) == (8, 128, 128, 1.05e9)
    assert 2 * chip.pods * chip.rows * chip.columns * chip.clock_hz == pytest.approx(275e12, rel=0.002)
    assert (chip.multiply_j, chip.add_j, chip.dram_bandwidth_b_s) == pytest.approx((0.07e-12, 0.03e-12, 1.2e12))
    assert chip.activation_buffer_bytes + chip.weight_buffer_bytes == 32 * 2**20
    assert chip.backing_bytes == 128 * 2**20
    vector = {p.path for p in OPTIONAL if p.field.startswith("vector_")}
    assert set(chip.sources) == {p.path for p in PARAMETERS} | vector
    assert sum(shared_area_m2(chip, 8).values()) < 600e-6  # die


def test_scaled_constants_follow_from_their_sources():
    tpu, edge = load_accelerator("tpu_v4"), load_accelerator("edge_16x16")
    fifo = 56 * 5.98e-12
    for chip, node in ((tpu, 7), (edge, 45)):
        area = 137e-12 * node_factor(AREA_BY_NODE_NM, 45, node) + fifo * node_factor(AREA_BY_NODE_NM, 40, node)
        assert chip.pe_rest_m2 == pytest.approx(area, rel=1e-3)
        assert chip.multiplier_area_scale == pytest.approx(node_factor(AREA_BY_NODE_NM, 45, node), rel=1e-3)
        wire = 28.75e-15 * node_factor(ENERGY_BY_NODE_NM, 28, node)
        assert chip.interconnect_j_b == pytest.approx(wire, rel=1e-3)
        assert chip.sign_magnitude_j == pytest.approx(16 * 0.25 / 32 * chip.add_j, rel=1e-6)
        gates = 16 * 2.4 / 7.8 / 32 * 137e-12 * node_factor(AREA_BY_NODE_NM, 45, node)
        assert chip.sign_magnitude_m2 == pytest.approx(gates, rel=1e-3)
        bit = 8e-12 * node_factor(AREA_BY_NODE_NM, 40, node)
        assert chip.interconnect_m2_bit == pytest.approx(bit, rel=1e-3)
    assert tpu.logic_leakage_w_m2 == pytest.approx(7.2e-3 / 0.492e-6, rel=0.01)
    assert tpu.memory_leakage_w_m2 == pytest.approx(381e-6 / 0.1316e-6, rel=0.01)


def test_edge_memory_energy_is_cacti(reference):
    edge = load_accelerator("edge_16x16")
    rows = {
        int(r["size_kB"]): r for r in reference("cacti_sram.csv")
        if (r["tech_nm"], r["block_bits"], r["banks"]) == ("45", "64", "1")
    }  # fmt: skip
    for size, read, write in (
        (128, edge.buffer_read_j_b, edge.buffer_write_j_b),
        (16, edge.accumulator_read_j_b, edge.accumulator_write_j_b),
    ):
        assert read == pytest.approx(float(rows[size]["read_pJ_per_byte"]) * 1e-12, rel=1e-3)
        assert write == pytest.approx(float(rows[size]["write_pJ_per_byte"]) * 1e-12, rel=1e-3)


def test_node_factor():
    assert node_factor(ENERGY_BY_NODE_NM, 45, 7) == pytest.approx(0.094)
    assert node_factor(ENERGY_BY_NODE_NM, 7, 45) == pytest.approx(1 / 0.094)
    assert 0.22 < node_factor(ENERGY_BY_NODE_NM, 45, 28) < 0.66
    with pytest.raises(InvalidInputError, match="nm must hold"):
        node_factor(AREA_BY_NODE_NM, 45, 5)


def test_shipped_and_unknown():
    assert list_accelerators() == [
        "edge_16x16", "eyeriss_like", "sosa_32x32", "tpu_v3", "tpu_v4", "tpu_v4i", "xai_gen",
    ]  # fmt: skip
    for name in list_accelerators():
        assert load_accelerator(name).name == name
    with pytest.raises(UnknownNameError, match="nearest: tpu_v4"):
        load_accelerator("tpu4")


def test_a_file_of_the_user(tmp_path, data, lenet, multipliers, uniform):
    data["name"] = "mine"
    data["array"]["pods"]["value"] = 3
    data["memory"]["backing"] = {"value": 1, "unit": "KiB", "source": "a test"}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data))
    chip = load_accelerator(path)
    assert (chip.name, chip.pods, chip.backing_bytes) == ("mine", 3, 1024)
    assert chip.sources["memory.backing"] == "1 KiB; a test"
    report = estimate(lenet, uniform(lenet, "mul8s_1KV6"), str(path), multipliers=multipliers)
    assert (report.accelerator, report.pods) == ("mine", {"mul8s_1KV6": 3})
    with pytest.raises(InvalidInputError, match=r"cannot read the accelerator file .*nothing\.yaml"):
        load_accelerator(tmp_path / "nothing.yaml")


def test_changed_fields_say_so():
    chip = load_accelerator("tpu_v4").replace(pods=4)
    assert chip.sources["array.pods"] == "4 (SI); changed by the caller"


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        ("array.pods", None, r"chip\.yaml: `array\.pods` is missing; required here: pods, rows"),
        ("energy", None, r"`energy` is missing"),
        ("energy", 3, r"`energy` must be a mapping with keys multiply"),
        ("array.cores", 3, r"unknown key `array\.cores`; allowed here: pods, rows, columns, clock"),
        ("colour", 3, r"unknown key `colour`"),
        ("name", 3, r"`name` must be a text"),
        ("array.pods", 8, r"`array\.pods` must be \{value: number"),
        ("array.pods.value", 2.5, r"`array\.pods`\.value must be a whole number in 1\.\.512, but got 2\.5"),
        ("array.pods.value", 0, r"whole number in 1\.\.512"),
        ("array.pods.value", True, r"whole number"),
        ("array.clock.value", float("nan"), r"`array\.clock`\.value must be a finite number in"),
        ("energy.add.value", -1, r"`energy\.add`\.value must be a finite number in 0\.\."),
        ("energy.add.value", "0.03", r"got '0\.03'"),
        ("energy.add.unit", "pj", r"`energy\.add`\.unit must be one of J, pJ, fJ, but got 'pj'"),
        ("energy.add.source", " ", r"`energy\.add`\.source must say where"),
        ("energy.add.note", "x", r"must be \{value"),
    ],
)  # fmt: skip
def test_bad_files_are_refused(data, path, value, match):
    *parents, key = path.split(".")
    node = data
    for parent in parents:
        node = node[parent]
    if value is None:
        del node[key]
    else:
        node[key] = value
    with pytest.raises(InvalidInputError, match=match):
        parse_accelerator(yaml.safe_dump(data), "chip.yaml")


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "3"])
def test_not_a_mapping(text):
    with pytest.raises(InvalidInputError, match=r"chip\.yaml must"):
        parse_accelerator(text, "chip.yaml")
