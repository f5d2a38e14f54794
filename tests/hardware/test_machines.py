"""Every shipped machine obeys the laws of cost models; several networks and assignments at once."""

import pytest

from axdnn.hardware import Machine, exact_assignment, list_accelerators, load_accelerator
from axdnn.records import Assignment, InvalidInputError
from axdnn.testing import MachineLaws, law_network


@pytest.mark.parametrize("shipped", list_accelerators())
class TestShipped(MachineLaws):
    """By name."""

    @pytest.fixture(autouse=True)
    def _named(self, shipped: str) -> None:
        self.shipped = shipped

    def machine(self) -> Machine:
        return load_accelerator(self.shipped)


class TestApproximate(MachineLaws):
    """With two kinds of multiplier."""

    def machine(self) -> Machine:
        return load_accelerator("tpu_v4")

    def assignment(self, network):
        names = network.layer_names
        return Assignment(multipliers={n: ("mul8s_1L2N", "mul8s_1KV6")[i % 2] for i, n in enumerate(names)})

    def multipliers(self):
        from axdnn.multipliers import load_multiplier

        return {name: load_multiplier(name) for name in ("mul8s_1L2N", "mul8s_1KV6")}


class TestOperatorsIncluded(TestApproximate):
    """Operators in the totals."""

    def options(self):
        return {"operators": "included"}


def test_one_network_with_several_assignments(multipliers):
    chip, network = load_accelerator("tpu_v4"), law_network()
    choices = [Assignment(multipliers=dict.fromkeys(network.layer_names, n)) for n in ("mul8s_1KV6", "mul8s_1L2N")]
    found = chip.cost(network, choices, multipliers=multipliers)
    assert [r.layers[0].multiplier for r in found] == ["mul8s_1KV6", "mul8s_1L2N"]
    assert found[1].energy_j < found[0].energy_j
    assert chip.cost([network] * 2, exact_assignment(network)) == (chip.cost(network),) * 2
    assert chip.cost(network, batch=2).batch == 2
    with pytest.raises(InvalidInputError, match="as many, or one of either, but got 3 and 2"):
        chip.cost([network] * 3, choices, multipliers=multipliers)
    with pytest.raises(InvalidInputError, match="but got 0 and 1"):
        chip.cost([], multipliers=multipliers)
