"""Node scaling: the published tables, and laws of the curves."""

import numpy as np
import pytest

from axdnn.hardware import technology as tech
from axdnn.hardware.components import AREA_BY_NODE_NM, ENERGY_BY_NODE_NM, node_factor
from axdnn.records import InvalidInputError

NODES = (130, 90, 65, 45, 32, 20, 16, 14, 10, 7)


def test_components_hand_on_the_same_objects():
    assert ENERGY_BY_NODE_NM is tech.ENERGY_BY_NODE_NM
    assert AREA_BY_NODE_NM is tech.AREA_BY_NODE_NM
    assert node_factor is tech.node_factor
    assert AREA_BY_NODE_NM == {45: 1.0, 32: 0.46, 16: 0.19, 7: 0.059}


def test_the_short_table_follows_from_the_curves():
    """Low power at 45 and 32 nm over high performance below, at 0.8 V, to the printed digits."""
    low_45 = {node: tech.node_energy_factor(45, node, flavour="lp") for node in NODES}
    for node, printed in ENERGY_BY_NODE_NM.items():
        mixed = low_45[node] if node >= 32 else tech.node_energy_factor(45, node) * hp_over_lp(45)
        assert mixed == pytest.approx(printed, rel=0.03), node


def hp_over_lp(node: int) -> float:
    """Energy of the high-performance curve over that of the low-power one, through their common curve at 65 nm."""
    return float(tech.node_energy_factor(65, node) / tech.node_energy_factor(65, node, flavour="lp"))


@pytest.mark.parametrize("flavour", ["hp", "lp"])
def test_laws_of_the_curves(flavour):
    for node in (*NODES, 28, 12, 100):
        low, high = tech.voltage_range_v(node, flavour)
        volts = np.linspace(low, high, 60)
        delay = tech.node_delay_factor(node, node, 0.8, volts, flavour)
        energy = tech.node_energy_factor(node, node, 0.8, volts, flavour)
        assert (np.diff(delay) < 0).all(), node
        assert (np.diff(energy) > 0).all(), node
    # Smaller nodes take less energy and area, at every voltage all of them reach.
    for volt in (0.6, 0.7, 0.8):
        down = tech.node_energy_factor(130, np.linspace(130, 7, 200), volt, volt, flavour)
        assert (np.diff(down) < 0).all()
    assert (np.diff(tech.node_area_factor(130, np.linspace(130, 7, 200))) < 0).all()


def test_there_and_back_and_through():
    for factor in (tech.node_energy_factor, tech.node_delay_factor, tech.node_area_factor):
        assert factor(45, 7) * factor(7, 45) == pytest.approx(1)
        assert factor(45, 28) * factor(28, 7) == pytest.approx(factor(45, 7))
        assert factor(22, 22) == pytest.approx(1)


def test_published_curves_that_are_not_ordered():
    """What the module says of the source: delay need not fall with the node."""
    assert tech.node_delay_factor(32, 20) == pytest.approx(1.23, abs=0.01)
    assert tech.node_delay_factor(65, 45, flavour="lp") == pytest.approx(3.46, abs=0.01)
    step = [tech.node_energy_factor(20, 32, flavour=f) for f in ("hp", "lp")]
    assert step == pytest.approx([2.34, 3.66], abs=0.01)
    assert ENERGY_BY_NODE_NM[32] / ENERGY_BY_NODE_NM[20] == pytest.approx(3.0)


def test_the_two_area_tables():
    assert node_factor(AREA_BY_NODE_NM, 45, 28) / tech.node_area_factor(45, 28) == pytest.approx(1.054, abs=0.001)
    for node in AREA_BY_NODE_NM:
        assert node_factor(AREA_BY_NODE_NM, 45, node) == pytest.approx(tech.node_area_factor(45, node))


def test_arrays_equal_scalars():
    start, end = np.array([[45.0], [28.0]]), np.array([7.0, 16.0, 32.0])
    whole = tech.node_energy_factor(start, end, 0.7, 0.75)
    assert whole.shape == (2, 3)
    for i, a in enumerate(start[:, 0]):
        for j, b in enumerate(end):
            assert whole[i, j] == pytest.approx(tech.node_energy_factor(a, b, 0.7, 0.75), rel=1e-14)


def test_outside_is_refused_with_the_range():
    with pytest.raises(InvalidInputError, match=r"7 <= node <= 130 nm must hold, but got 5"):
        tech.node_area_factor(45, [7, 5])
    with pytest.raises(InvalidInputError, match=r"7..130 nm, but got 3"):
        tech.node_energy_factor(45, 3)
    with pytest.raises(InvalidInputError, match=r"at 45 nm hold for 0.6..0.9 V, but got 1 V"):
        tech.node_energy_factor(45, 7, 1.0, 0.8)
    with pytest.raises(InvalidInputError, match=r"at 28 nm hold for 0.6..0.8 V, but got 0.5 V"):
        tech.node_delay_factor(45, 28, 0.8, 0.5)
