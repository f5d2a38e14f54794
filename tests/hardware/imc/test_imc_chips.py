"""Chip files: what ships, what is refused, and published figures of ISAAC."""

import numpy as np
import pytest
import yaml

from axdnn.hardware.imc import ImcChip, imc_cost, list_imc_chips, load_imc_chip, parse_imc_chip
from axdnn.hardware.imc.activity import Activity
from axdnn.hardware.imc.array_costs import array_costs
from axdnn.hardware.imc.chip_keys import keys_of
from axdnn.hardware.imc.terms import parameters
from axdnn.records import InvalidInputError, UnknownNameError


def data_of(name):
    entries = {}
    chip = load_imc_chip(name)
    for key in keys_of(chip.kind):
        section, key_name = key.path.split(".")
        unit = {"bits": "bit", "voltage": "V", "length": "nm", "conductance": "S", "power": "W", "time": "s"}
        units = {**unit, "bandwidth": "B/s", "energy": "J", "energy per byte": "J/B", "area": "m2"}
        entry = {"value": getattr(chip, key.field), "unit": units.get(key.dimension, "1"), "source": "test"}
        entries.setdefault(section, {})[key_name] = entry
    return {"name": name, "description": "A chip.", "kind": chip.kind, **entries}


def test_shipped_chips():
    assert list_imc_chips() == ["isaac", "neurram", "sram_cim"]
    for name in list_imc_chips():
        chip = load_imc_chip(name)
        assert chip.name == name
        assert sorted(chip.sources) == sorted(key.path for key in keys_of(chip.kind))
        assert all(len(source.split("; ", 1)[1]) > 8 for source in chip.sources.values())


@pytest.mark.parametrize("name", ["isaac", "neurram", "sram_cim"])
def test_si_values_survive_a_round_trip(name, tmp_path):
    path = tmp_path / "chip.yaml"
    path.write_text(yaml.safe_dump(data_of(name)))
    again = load_imc_chip(path)
    for key in keys_of(again.kind):
        assert getattr(again, key.field) == getattr(load_imc_chip(name), key.field)


def test_every_fault_is_named_together():
    data = data_of("isaac")
    del data["array"]["rows"]
    data["array"]["colums"] = data["array"].pop("columns")
    data["adc"]["bits"]["value"] = 8.5
    data["adc"]["model"]["value"] = "flash"
    data["energy"]["write"]["unit"] = "mJ"
    data["cell"]["read_voltage"]["source"] = " "
    data["timing"]["read"] = 3
    data["array"]["input_bits"]["value"] = 9
    data["extras"] = {}
    with pytest.raises(InvalidInputError) as caught:
        parse_imc_chip(yaml.safe_dump(data), "mine.yaml")
    text = str(caught.value)
    assert text.startswith("mine.yaml has 10 fault(s):")
    for part in (
        "`array.rows` is missing", "unknown key `array.colums`", "`array.columns` is missing",
        "`adc.bits.value` must be a whole number in 1..16 bit, but got 8.5", "`adc.model.value` must be one of",
        "`energy.write.unit` must be one of J, pJ, fJ, but got", "`cell.read_voltage.source`", "`timing.read` must",
        "`input_bits` must be at most `activation_bits` = 8", "unknown section `extras`",
    ):  # fmt: skip
        assert part in text


def test_every_fault_of_an_entry_is_named():
    data = data_of("isaac")
    data["cell"]["read_voltage"] = {"value": "low", "unit": "kV", "source": ""}
    data["array"]["rows"] = {"value": 0, "unit": "1", "source": ""}
    data["adc"]["model"] = {"value": "flash", "unit": "V", "source": ""}
    with pytest.raises(InvalidInputError) as caught:
        parse_imc_chip(yaml.safe_dump(data), "mine.yaml")
    said = str(caught.value)
    assert said.startswith("mine.yaml has 7 fault(s):")
    for part in (
        "`cell.read_voltage.source` must", "`cell.read_voltage.unit` must be one of V, mV, but got 'kV'",
        "`array.rows.source` must", "`array.rows.value` must be a whole number in 2..8192, but got 0",
        "`adc.model.source` must", "`adc.model.unit` must", "`adc.model.value` must be one of sar_table",
    ):  # fmt: skip
        assert part in said


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a: [", "must be YAML"),
        ("- 1", "mapping of sections"),
        ("name: x\ndescription: y\nkind: flash", "`kind` must be one of resistive, aimc, dimc"),
        ("kind: dimc", "`name` must be a text"),
    ],
)
def test_broken_files(text, match):
    with pytest.raises(InvalidInputError, match=match):
        parse_imc_chip(text, "mine.yaml")


def test_sram_macros_hold_whole_weights_at_28_nm():
    data = data_of("sram_cim")
    data["array"]["columns"]["value"] = 100
    data["array"]["node"]["value"] = 22
    with pytest.raises(InvalidInputError, match=r"(?s)multiple of `weight_bits` = 8.*`node_nm` must be 28"):
        parse_imc_chip(yaml.safe_dump(data), "mine.yaml")


def test_names_and_paths(tmp_path):
    with pytest.raises(UnknownNameError, match="nearest: isaac"):
        load_imc_chip("isac")
    with pytest.raises(InvalidInputError, match="cannot read the chip file"):
        load_imc_chip(tmp_path / "none.yaml")


def test_a_changed_field_says_so():
    chip = load_imc_chip("isaac").replace(rows=256)
    assert chip.rows == 256
    assert "changed by the caller" in chip.sources["array.rows"]


def test_an_analogue_sram_chip_can_be_described():
    data = data_of("sram_cim")
    data["kind"] = "aimc"
    data["adc"] = {"bits": {"value": 6, "unit": "bit", "source": "test"}}
    chip = parse_imc_chip(yaml.safe_dump(data), "aimc.yaml")
    assert isinstance(chip, ImcChip)
    assert chip.adc_bits == 6


def test_power_of_one_isaac_unit():
    """Eight crossbars at work: published powers of ISAAC's parts, 9 % apart at most (ADC: 1.2 or 1.28 GS/s)."""
    p, _ = parameters(load_imc_chip("isaac"), {})
    costs = array_costs("resistive", p, Activity().checked())
    per_step = {
        "cells": (128 * 128 * costs.cell_j, 2.4e-3),
        "dac": (128 * costs.drive_j, 4e-3),
        "adc": (128 * costs.convert_j, 16e-3),
        "shift_add": (128 * costs.shift_add_j, 0.2e-3),
    }
    assert costs.round_s == pytest.approx(100e-9)
    for name, (energy, published_w) in per_step.items():
        ratio = float((8 * energy / costs.round_s)[0]) / published_w
        print(f"{name}: {ratio:.3f}")
        assert ratio == pytest.approx(1, abs=0.09), name


def test_peak_of_isaac(product, network_of):
    """At 16 bits, all crossbars at work: figures of Shafiee et al., ISCA 2016, quoted from memory.

    479 GOPS/mm2 x 85.4 mm2; a tile takes 0.330 W and 0.372 mm2, registers, pooling and sigmoids included, which are
    not modelled. Links between chips are left out on both sides.
    """
    chip = load_imc_chip("isaac").replace(activation_bits=16, weight_bits=16, buffer_bandwidth_b_s=1e18)
    cost = imc_cost(network_of(product("full", 100, 128 * 126, 16 * 128)), chip)
    assert cost.arrays.item() == 16128
    assert cost.utilisation.item() == 1
    ops_s = 2 * 100 * 128 * 126 * 16 * 128 / cost.total_s
    assert ops_s == pytest.approx(479e9 * 85.4, rel=0.02)
    assert cost.total_j / cost.total_s == pytest.approx(168 * 0.330, rel=0.08)
    assert cost.total_m2 == pytest.approx(168 * 0.372e-6, rel=0.12)


def test_rounds_of_neurram():
    """Two phases of 4 bits: 15 integrations and 8 converter steps each, as its published timing has them."""
    p, _ = parameters(load_imc_chip("neurram"), {})
    costs = array_costs("resistive", p, Activity().checked())
    assert costs.round_s == pytest.approx(4 * 10e-9 + 15 * 270e-9 + 8 * 300e-9)
    assert costs.convert_j == pytest.approx(8 * 0.3e-12 + 4 * 1.2e-12 + 15 * 0.25e-12)
    assert costs.cell_j == pytest.approx(0.25 * 4e-6 * 10e-9)
    half = array_costs("resistive", p, Activity(activation_ones=0.5, weight_mean=0.0).checked())
    assert half.cell_j == pytest.approx(0.5 * 0.25 * 1e-6 * 10e-9)
    assert np.all(half.convert_j == costs.convert_j)
