"""Accelerator files with several faults: all of them are named, and what one fault hides is not guessed."""

from __future__ import annotations

from importlib import resources
from typing import Any

import pytest
import yaml

from axdnn.hardware import accelerator_faults, list_accelerators, load_machine, machine_faults, parse_accelerator
from axdnn.hardware.design_files import shipped_text
from axdnn.records import InvalidInputError


@pytest.fixture
def data() -> dict[str, Any]:
    return yaml.safe_load(shipped("tpu_v4"))


def shipped(name: str) -> str:
    return (resources.files("axdnn.hardware") / "designs" / f"{name}.yaml").read_text(encoding="utf-8")


def test_shipped_designs_have_none():
    for name in list_accelerators():
        assert accelerator_faults(shipped(name), "chip.yaml") == []


def test_every_fault_is_named(data):
    del data["description"], data["static"], data["energy"]["add"]
    data["name"] = " "
    data["area"] = 3
    data["array"]["cores"] = 4
    data["array"]["pods"] = {"value": 6, "unit": "one", "source": ""}
    data["array"]["rows"]["value"] = 0
    data["memory"]["dram_latency"] = 1
    text = yaml.safe_dump(data)
    faults = accelerator_faults(text, "chip.yaml")
    said = (
        "`description` is missing; required here: name, description, array",
        "`static` is missing",
        "`energy.add` is missing; required here: multiply, add",
        "`area` must be a mapping with keys multiplier_scale",
        "`name` must be a text, but got ' '",
        "unknown key `array.cores`; allowed here: pods, rows, columns, clock, exact_rows, fill, ",
        "`array.pods`.unit must be one of 1, but got 'one'",
        "`array.pods`.source must say where the value comes from",
        "`array.rows`.value must be a whole number in 1..4096, but got 0",
        "`memory.dram_latency` must be {value: number, unit: text, source: text}, but got 1",
    )
    assert len(faults) == len(said)
    assert all(fault.startswith("chip.yaml: ") for fault in faults)
    assert all(sum(words in fault for fault in faults) == 1 for words in said)
    with pytest.raises(InvalidInputError) as caught:
        parse_accelerator(text, "chip.yaml")
    assert str(caught.value) == "; ".join(faults)


def test_entries_that_do_not_go_together(data):
    data["array"]["exact_rows"] = {"value": 200, "unit": "1", "source": "a test"}
    data["array"]["pods_together"] = {"value": 3, "unit": "1", "source": "a test"}
    both = accelerator_faults(yaml.safe_dump(data), "chip.yaml")
    assert ["`array.exact_rows` must be at most `array.rows` = 128" in both[0], "must divide" in both[1]] == [
        True,
        True,
    ]
    data["array"]["rows"]["value"] = "many"
    (rows, pods) = accelerator_faults(yaml.safe_dump(data), "chip.yaml")
    assert "`array.rows`.value" in rows
    assert "must divide" in pods


@pytest.mark.parametrize(("text", "said"), [("a: [", "must be YAML"), ("- 1", "a mapping of sections, but got list")])
def test_what_is_no_mapping_is_one_fault(text, said):
    (fault,) = accelerator_faults(text, "chip.yaml")
    assert said in fault


@pytest.mark.parametrize("name", ["tpu_v4", "tpu_v3_bank", "npu_cim", "isaac"])
def test_keys_that_stand_twice_are_named_with_the_other_faults(name, tmp_path):
    """YAML takes the last of them, whatever the first said."""
    package = {"tpu_v4": "hardware", "tpu_v3_bank": "hardware.banks", "npu_cim": "hardware.systems"}
    text = shipped_text(f"axdnn.{package.get(name, 'hardware.imc')}", name)
    path = tmp_path / "mine.yaml"
    path.write_text(text + "\nname: other\nmore: 1\n")
    last = len(text.splitlines()) + 2
    faults = machine_faults(path)
    assert len(faults) == 2
    assert faults[0] == f"{path}: line {last}: the key `name` must stand once"
    assert "unknown" in faults[1]
    with pytest.raises(InvalidInputError, match=r"(?s)the key `name` must stand once.*unknown"):
        load_machine(path)


def test_keys_of_merged_mappings_may_be_given_anew():
    """`<<` is how YAML shares entries; what stands beside it takes its place."""
    text = shipped("tpu_v4")
    merged = text.replace(
        '  rows:\n    value: 128\n    unit: "1"\n', '  rows:\n    <<: {value: 64, unit: "1"}\n    value: 32\n'
    )
    assert merged != text
    assert accelerator_faults(merged, "chip.yaml") == []
    assert parse_accelerator(merged, "chip.yaml").rows == 32
