"""Files of banks: the shipped one and users', read as the class in Python, and every fault of a file named at once."""

import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import yaml

from axdnn.hardware import ArrayBank, BankArray, list_machines, load_accelerator, load_machine, machine_faults
from axdnn.hardware.banks import shipped_bank_text
from axdnn.hardware.systems import shipped_system_text
from axdnn.multipliers import save_multiplier
from axdnn.records import Assignment, Figures, InvalidInputError, Multiplier
from axdnn.testing import MachineLaws, law_network

MINE = """
name: mine
description: Two small arrays and a large one.
kind: bank
chip: {chip}
arrays:
  - {{rows: 16, columns: 32, multiplier: mul8s_1L2N, count: 2}}
  - {{rows: 64, columns: 64}}
idle_fraction: {{value: 0.25, unit: "1", source: "a guess,\n  on two lines"}}
delay_limits_clock: true
"""


@pytest.fixture
def file(tmp_path):
    """A bank beside the file of its chip, in a folder that is not the current one."""
    chip = chip_text("tpu_v3").replace("name: tpu_v3", "name: own_chip")
    (tmp_path / "own_chip.yaml").write_text(chip)
    path = tmp_path / "mine.yaml"
    path.write_text(MINE.format(chip="own_chip.yaml"))
    return path


def chip_text(name):
    return (resources.files("axdnn.hardware") / "designs" / f"{name}.yaml").read_text()


class TestShipped(MachineLaws):
    """By name, layers on all three arrays."""

    def machine(self):
        return load_machine("tpu_v3_bank")

    def assignment(self, network):
        kinds = ("exact", "mul8s_1KVP", "mul8s_1L2N")
        return Assignment(multipliers={n: kinds[i % 3] for i, n in enumerate(network.layer_names)})


class TestRead(MachineLaws):
    """From a user's file."""

    @pytest.fixture(autouse=True)
    def _read(self, file):
        self.file = file

    def machine(self):
        return load_machine(self.file)

    def assignment(self, network):
        return Assignment(multipliers={
            n: ("mul8s_1L2N", "exact")[i % 2] for i, n in enumerate(network.layer_names)})  # fmt: skip


def test_a_file_is_the_class_in_python(file):
    small = BankArray(rows=16, columns=32, multiplier="mul8s_1L2N")
    wanted = ArrayBank(
        name="mine", description="Two small arrays and a large one.",
        chip=load_accelerator(file.parent / "own_chip.yaml"), arrays=(small, small, BankArray(rows=64, columns=64)),
        idle_fraction=0.25, idle_source="a guess, on two lines", delay_limits_clock=True,
    )  # fmt: skip
    found = load_machine(file)
    assert found == wanted
    assert found.sources["idle_fraction"] == "0.25; a guess, on two lines"
    assert found.cost(law_network()) == wanted.cost(law_network())
    assert machine_faults(file) == []
    short = {
        k: v for k, v in yaml.safe_load(file.read_text()).items() if k not in ("idle_fraction", "delay_limits_clock")
    }
    file.write_text(yaml.safe_dump(short))
    assert load_machine(file) == wanted.replace(idle_fraction=1.0, idle_source="", delay_limits_clock=False)


def test_the_shipped_bank_is_what_it_says():
    assert list_machines()["tpu_v3_bank"] == "bank"
    bank = load_machine("tpu_v3_bank")
    assert bank.chip == load_accelerator("tpu_v3")
    assert {(a.rows, a.columns) for a in bank.arrays} == {(bank.chip.rows, bank.chip.columns)}
    assert "reconstruction" in bank.description
    costs = [bank.cost(law_network(), Assignment(multipliers=dict.fromkeys(law_network().layer_names, a.multiplier)))
             for a in bank.arrays]  # fmt: skip
    ratios = [c.multiplier_energy_j / costs[0].multiplier_energy_j for c in costs]
    assert ratios == pytest.approx([1, 0.363 / 0.425, 0.126 / 0.425])
    plain = load_accelerator("tpu_v3").replace(pods=1).cost(law_network())
    assert costs[0].energy_j > plain.energy_j, "more arrays leak"
    assert costs[0].latency_s == pytest.approx(plain.latency_s)


def test_a_multiplier_of_the_users(file):
    """A `.axmul` file, beside the bank's."""
    table = np.multiply.outer(np.arange(-128, 128), np.arange(-128, 128)) // 8 * 8
    own = Multiplier.from_table(table, signed=True, name="rounded_to_8", figures=Figures(
        power_w=1e-4, area_m2=3e-10, delay_s=1e-9, source="made up"))  # fmt: skip
    save_multiplier(file.parent / "own.axmul", own)
    file.write_text(file.read_text().replace("mul8s_1L2N", "own.axmul"))
    bank = load_machine(file)
    name = bank.arrays[0].multiplier
    layers = bank.cost(law_network(), Assignment(multipliers=dict.fromkeys(law_network().layer_names, name))).layers
    assert layers[0].energy_j["multiplier"] == pytest.approx(layers[0].macs * bank.chip.multiply_j * 1e-4 / 0.425e-3)
    save_multiplier(file.parent / "own.axmul", Multiplier.from_table(table, signed=True, name="without_figures"))
    (fault,) = machine_faults(file)
    assert "`arrays.0.multiplier`" in fault
    assert "no figures" in fault


def test_the_example_of_the_documents(tmp_path):
    """The one block of YAML in docs/hardware.md."""
    page = (Path(__file__).parents[3] / "docs" / "hardware.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "mine.yaml").write_text(example)
    bank = load_machine(tmp_path / "mine.yaml")
    small, exact = BankArray(rows=64, columns=64, multiplier="mul8s_1L2N"), BankArray(rows=128, columns=128)
    assert (bank.arrays, bank.idle_fraction, bank.delay_limits_clock) == ((small, small, exact), 0.1, True)


ARRAY = {"rows": 8, "columns": 8}
FAULTS = {
    "list": ({"arrays": {"rows": 8}}, ["`arrays` must be a list"]),
    "empty": ({"arrays": []}, ["`arrays` must be a list"]),
    "no mapping": ({"arrays": [ARRAY, "8x8"]}, ["`arrays.1` must be a mapping with rows, columns, multiplier"]),
    "negative": ({"arrays": [{**ARRAY, "rows": -8}]}, ["`arrays.0.rows` must be a whole number in 1..4096, but"]),
    "half": ({"arrays": [{**ARRAY, "columns": 8.5}]}, ["`arrays.0.columns` must be a whole number"]),
    "true": ({"arrays": [{**ARRAY, "rows": True}]}, ["`arrays.0.rows` must be a whole number"]),
    "too large": ({"arrays": [{**ARRAY, "rows": 5000}]}, ["`arrays.0.rows` must be a whole number in 1..4096"]),
    "none of it": ({"arrays": [{**ARRAY, "count": 0}]}, ["`arrays.0.count` must be a whole number in 1..512"]),
    "missing": ({"arrays": [{"rows": 8}]}, ["`arrays.0.columns` is missing"]),
    "unknown key": ({"arrays": [{**ARRAY, "size": 8}]}, ["unknown key `arrays.0.size`; allowed here: rows, columns"]),
    "multiplier": ({"arrays": [{**ARRAY, "multiplier": "mul8s_1L2M"}]},
                   ["`arrays.0.multiplier`: unknown multiplier 'mul8s_1L2M'; nearest:"]),
    "ambiguous": ({"arrays": [{**ARRAY, "multiplier": "mul8s_1KV8"}]}, ["two releases"]),
    "no name": ({"arrays": [{**ARRAY, "multiplier": 5}]}, ["`arrays.0.multiplier` must be a name of"]),
    "no circuit": ({"arrays": [{**ARRAY, "multiplier": "drum:k=4"}]}, ["`arrays.0.multiplier`", "no figures"]),
    "chip": ({"chip": "tpu_v9"}, ["`chip`: unknown accelerator 'tpu_v9'; nearest: tpu_v4"]),
    "chip in memory": ({"chip": "isaac"}, ["`chip`: must be a systolic design, but 'isaac' is of kind 'in memory'"]),
    "chip of cores": ({"chip": "npu_cim"}, ["`chip`: must be a systolic design"]),
    "chip a bank": ({"chip": "tpu_v3_bank"}, ["`chip`: must be a systolic design"]),
    "itself": ({"chip": "mine.yaml"}, ["`chip`: must be a systolic design, but", "of kind 'bank'"]),
    "no such file": ({"chip": "absent.yaml"}, ["`chip`: cannot read the accelerator file"]),
    "exact rows": ({"chip": "xai_gen"}, ["`chip` must have no exact rows, but 'xai_gen' has 128"]),
    "chip a list": ({"chip": ["tpu_v3"]}, ["`chip` must be the name of a systolic accelerator"]),
    "idle": ({"idle_fraction": {"value": 1.5, "unit": "1", "source": "x"}},
             ["`idle_fraction`.value must be a finite number in 0..1, but got 1.5"]),
    "idle without source": ({"idle_fraction": 0.5}, ["`idle_fraction` must be {value: number, unit: text"]),
    "clock": ({"delay_limits_clock": "yes"}, ["`delay_limits_clock` must be true or false, but got 'yes'"]),
    "key": ({"idle": 1}, ["unknown key `idle`; allowed here: name, description, kind, chip, arrays, idle_fraction"]),
    "text": ({"name": " "}, ["`name` must be a text"]),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_each_fault(file, case):
    changes, said = FAULTS[case]
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}))
    (fault,) = machine_faults(file)
    assert fault.startswith(f"{file}: ")
    assert all(words in fault for words in said), fault
    with pytest.raises(InvalidInputError) as refused:
        load_machine(file)
    assert str(refused.value) == fault


def test_all_faults_at_once(file):
    wrong = chip_text("tpu_v3").replace("value: 0.94", "value: -1").replace("unit: GHz", "unit: furlong")
    (file.parent / "own_chip.yaml").write_text(wrong)
    arrays = [{"rows": 0, "columns": -1, "multiplier": "nothing"}, {"rows": 1, "columns": 1, "count": "two"}]
    data = {**yaml.safe_load(file.read_text()), "arrays": arrays, "extra": 1, "delay_limits_clock": 1}
    del data["name"], data["description"]
    data["idle_fraction"]["unit"] = "%"
    file.write_text(yaml.safe_dump(data))
    faults = machine_faults(file)
    said = ("`name` is missing", "`description` is missing", "`extra`", "`array.clock`.unit", "`arrays.0.rows`",
            "`arrays.0.columns`", "`arrays.0.multiplier`", "`arrays.1.count`", "`idle_fraction`.unit",
            "`delay_limits_clock`")  # fmt: skip
    assert len(faults) == len(said)
    assert all(any(words in fault for fault in faults) for words in said)
    file.write_text("kind: bank\nname: [")
    (fault,) = machine_faults(file)
    assert "must be YAML" in fault


def test_a_bank_is_no_core_of_a_system(tmp_path):
    data = yaml.safe_load(shipped_system_text("npu_cim"))
    data["cores"]["bank"] = "tpu_v3_bank"
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(data))
    (fault,) = machine_faults(mine)
    assert "`cores.bank`: must be a systolic or in-memory design" in fault
    assert yaml.safe_load(shipped_bank_text("tpu_v3_bank"))["kind"] == "bank"
