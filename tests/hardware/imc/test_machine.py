"""In-memory chips as machines: the laws of cost models, what does not fit, names and files of every kind."""

from importlib import resources

import pytest

from axdnn.hardware import Accelerator, list_machines, load_machine, machine_faults
from axdnn.hardware.imc import Activity, ImcChip, imc_cost, list_imc_chips, load_imc_chip
from axdnn.records import Assignment, InfeasibleError, InvalidInputError, UnknownNameError
from axdnn.testing import MachineLaws, law_network


@pytest.mark.parametrize("shipped", list_imc_chips())
class TestShipped(MachineLaws):
    """By name."""

    @pytest.fixture(autouse=True)
    def _named(self, shipped):
        self.shipped = shipped

    def machine(self):
        return load_machine(self.shipped)


def test_a_report_is_the_cost():
    chip, network = load_imc_chip("sram_cim"), law_network()
    report, cost = chip.cost(network), imc_cost(network, chip)
    assert report.energy_j == pytest.approx(float(cost.total_j))
    assert report.latency_s == pytest.approx(float(cost.total_s))
    assert report.area_m2 == pytest.approx(float(cost.total_m2))
    assert "operand activity 1" in " ".join(report.notes)
    calm = chip.cost(network, activity=Activity(activation_mean=0.1, activation_ones=0.2, activation_toggles=0.2))
    assert calm.energy_j < report.energy_j


def test_what_does_not_fit_is_an_answer():
    small = load_imc_chip("isaac").replace(arrays=3, reload=0)
    with pytest.raises(InfeasibleError, match="arrays are needed, but 3 are there"):
        small.cost(law_network())
    with pytest.raises(InvalidInputError, match="holds no multipliers, but got \\['mul8s_1L2N'\\]"):
        small.cost(law_network(), Assignment(multipliers={"stem": "mul8s_1L2N"}))


def test_machines_of_every_kind_by_name_and_file(tmp_path):
    kinds = list_machines()
    assert (kinds["tpu_v4"], kinds["isaac"]) == ("systolic", "in memory")
    assert isinstance(load_machine("tpu_v4"), Accelerator)
    with pytest.raises(UnknownNameError, match="isaac"):
        load_machine("isac")
    mine = tmp_path / "mine.yaml"
    text = (resources.files("axdnn.hardware.imc") / "designs" / "isaac.yaml").read_text()
    mine.write_text(text)
    assert isinstance(load_machine(mine), ImcChip)
    assert machine_faults(mine) == []
    mine.write_text(text.replace("kind: resistive", "kind: magic").replace("name: isaac", "name: ' '"))
    faults = machine_faults(mine)
    assert any("`kind` must be one of" in fault and "magic" in fault for fault in faults)
    assert all(str(mine) in fault for fault in faults)
    mine.write_text((resources.files("axdnn.hardware") / "designs" / "tpu_v4.yaml").read_text())
    assert isinstance(load_machine(mine), Accelerator)
    with pytest.raises(InvalidInputError, match="cannot read"):
        machine_faults(tmp_path / "absent.yaml")
