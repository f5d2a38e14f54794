import math

import pytest

from axdnn.records import InvalidInputError
from axdnn.report import units as u
from axdnn.report.labels import shorten, shorten_all


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (8.12e-7, "J", "812 nJ"),
        (1.5e-12, "J", "1.50 pJ"),
        (2.5e-3, "J", "2.50 mJ"),
        (0.99999e-6, "J", "1 µJ"),
        (6.55e-7, "s", "655 ns"),
        (1.0e-3, "s", "1 ms"),
        (5.44e-6, "m²", "5.44 mm²"),
        (1.12e-10, "m²", "112 µm²"),
        (61706, "B", "61.7 kB"),
        (512, "B", "512 B"),
        (0.0, "J", "0 J"),
        (0.0, "B", "0 B"),
        (-3e-9, "J", "−3 nJ"),
    ],
)
def test_quantity(value, unit, text):
    assert u.quantity(value, unit).replace("\u00a0", " ") == text


@pytest.mark.parametrize("exponent", range(-16, 3))
@pytest.mark.parametrize("mantissa", [1.0, 3.217, 9.996])
def test_quantity_reads_back(exponent, mantissa):
    value = mantissa * 10.0**exponent
    text, unit = u.quantity(value, "J", 4).split("\u00a0")
    factor = {"fJ": 1e-15, "pJ": 1e-12, "nJ": 1e-9, "µJ": 1e-6, "mJ": 1e-3, "J": 1.0}[unit]
    assert float(text.replace(",", "")) * factor == pytest.approx(value, rel=6e-4)


def test_one_scale_for_a_column():
    assert u.scale_for([1e-9, 3e-7, None], "J") == (1e-9, "nJ")
    assert u.scale_for([], "s") == (1.0, "s")
    with pytest.raises(InvalidInputError, match="parsec"):
        u.scale_for([1.0], "parsec")


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (1234.5, 1, "1,234.5"),
        (-0.0001, 2, ">−0.01"),
        (0.0001, 2, "<0.01"),
        (0.0, 2, "0.00"),
        (None, 2, "–"),
        (math.nan, 1, "–"),
        (math.inf, 1, "∞"),
        (-2.0, 0, "−2"),
    ],
)
def test_fixed(value, decimals, text):
    assert u.fixed(value, decimals) == text


def test_changes_and_ratios():
    assert u.change_text(0.769, 1.0) == "−23.1\u00a0%"
    assert u.change_text(1.01, 1.0) == "+1.0\u00a0%"
    assert u.change_text(1.0, 1.0) == "±0\u00a0%"
    assert u.change_text(0.0, 0.0) == "±0\u00a0%"
    assert u.change_text(1.0, 0.0) == "–"
    assert u.times_lower(1.0, 12.4) == "12.4×"
    assert u.times_lower(0.0, 1.0) == "∞"
    assert u.times_lower(0.0, 0.0) == "–"
    assert u.ratio(1.0, 0.0) is None
    assert u.points(-0.00001) == "0.00"
    assert u.points(-0.0042) == "−0.42"
    assert u.budget_text(1.0) == "1\u00a0point"
    assert u.budget_text(0.5) == "0.5\u00a0points"


def test_durations():
    assert u.duration(0.412) == "412\u00a0ms"
    assert u.duration(192.4) == "3\u00a0min 12\u00a0s"
    assert u.duration(59.99) == "60\u00a0s"
    assert u.duration(7500) == "2\u00a0h 05\u00a0min"


def test_shorten_keeps_both_ends():
    assert shorten("short", 10) == "short"
    assert shorten("a" * 30 + "z" * 30, 11) == "aaaaa…zzzzz"
    assert len(shorten("x" * 99, 16)) == 16


@pytest.mark.parametrize("limit", [10, 16, 30])
def test_shortened_names_stay_different(limit):
    deep = [f"features.stage{i // 20}.block{i:02d}.depthwise.conv" for i in range(60)]
    wild = [f"{'x' * 40}{i}{'y' * 40}" for i in range(12)]
    for names in (deep, wild, ["a", "b"], ["only" * 30], [*deep, "fc"]):
        labels = shorten_all(names, limit)
        assert len(set(labels)) == len(names)
        assert max(map(len, labels)) <= limit
    assert shorten_all(deep, 20)[7] == "…stage0.block07…"
    assert shorten_all(["same", "same"], limit) == ("same", "same")
