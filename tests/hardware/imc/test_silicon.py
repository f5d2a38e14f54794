"""Seven published chips, built from the parts in `gates`, against their silicon; voltage trends of three macros.

How each chip is put together (adder widths, registers, cells by CACTI, activity) follows the validation folder of
zigzag-imc (MIT): the parts are what is validated, the regular macro of `sram_macro` is built from the same parts.
"""

import csv

import numpy as np
import pytest

from axdnn.hardware.imc import gates, sram_macro, voltage_fit

SHRINK = 22 / 28  # logic at 22 nm, linear, as the source assumes; converters do not shrink in energy


def tree(inputs, bits):
    """Adders and delay of a ripple-carry tree."""
    return gates.tree_adders(inputs, bits), gates.tree_s(inputs, bits + np.log2(inputs) - 1)


def last_sum_s(added_bits):
    """Delay of an accumulator behind a tree: one sum, then carries through the bits that it adds."""
    return gates.sum_s() + added_bits * gates.carry_s()


def logic_m2(adders=0, registers=0, multipliers=0):
    return adders * gates.adder_m2() + registers * gates.register_m2() + multipliers * gates.gate_m2()


def logic_j(v, adders=0, registers=0, multipliers=0, lines=0):
    parts = gates.adder_j(v) * adders, gates.register_j(v) * registers, gates.multiplier_j(v) * multipliers
    return sum(parts) + gates.line_j(v) * lines


def aimc1():
    columns, rows, v = 512, 1024, 0.8
    area = SHRINK * (logic_m2(multipliers=columns * rows * 2) + columns * gates.adc_m2(6)) + 0.24496704e-6
    switched = SHRINK * logic_j(v, multipliers=columns * rows * 2, lines=3 * columns * rows)
    energy = switched + columns * gates.adc_j(6, v) + rows * gates.dac_j(7, v)
    return area, gates.gate_s() + gates.adc_s(6, rows), energy / (columns * rows)


def aimc2():
    outputs, v = 4 * 12, 0.9
    adders, registers = 8 * 7 + 4 * 9 + 2 * 12 + 15 + 20, 20 + 80
    area = outputs * (logic_m2(adders, registers, 2 * 16 * 2) + 16 * gates.adc_m2(5)) + 4 * 0.0360450648e-6
    delay = 2 * max(gates.gate_s() + gates.adc_s(5, 16), tree(16, 12)[1] + last_sum_s(4))
    switched = logic_j(v, adders, registers, 2 * 16 * 2, lines=2 * 16 * 8 + 2 * 16)
    energy = 2 * (outputs * (switched + 16 * gates.adc_j(5, v)) + 4 * 2 * 16 * gates.dac_j(2, v))
    return area, delay, energy / (outputs * 16)


def aimc3():
    outputs, v, toggles, ones = 8 * 256, 0.8, 0.375, 0.5
    area = SHRINK * (outputs * (logic_m2(6, 0, 64) + gates.adc_m2(7)) + 8 * 0.004505472e-6)
    delay = gates.gate_s() + gates.carry_out_s() + 5 * gates.carry_s() + gates.adc_s(3, 8)
    switched = ones * logic_j(v, 6, 0, toggles * 16, lines=8 * 8)
    energy = 8 * outputs * (SHRINK * switched + ones * gates.adc_j(3, v))
    return area, delay, energy / (outputs * 64 / 8)


def dimc1():
    outputs, v = 64 * 6, 0.9
    adders, delay = tree(32, 9)
    extra = 64 * 5 * logic_m2(gates.tree_adders(2, 32) + 32, 0) + 64 * 5 * 32 * 1.764e-12
    area = outputs * logic_m2(adders + 32, 32, 32 * 8) + extra + 64 * 0.00065545e-6
    energy = outputs * (0.25 * logic_j(v, adders, 0, 32 * 8) + logic_j(v, 32, 32))
    return area, gates.gate_s() + delay + last_sum_s(32 - 14), 4 * energy / (outputs * 32)


def dimc2():
    adders, delay = tree(32, 16)
    area = 2 * (logic_m2(adders + 32 * 16, 32 * (16 + 8), 32 * 8) + 0.00396e-6)
    energy = 0.25 * logic_j(0.9, adders, 0, 32 * 8) + logic_j(0.9, 16, 16 + 8)
    return area, max(gates.gate_s(), delay + last_sum_s(16 - 8)), 8 * energy / 32


def dimc3():
    adders, delay = tree(128, 2)
    channel, channel_delay = tree(8, 16)
    area = 8 * (8 * logic_m2(adders, 0, 256) + logic_m2(channel + 23, 23) + 0.00193147e-6)
    energy = 8 * 0.25 * logic_j(0.9, adders, 0, 256) + logic_j(0.9, channel + 23, 23)
    return area, gates.gate_s() + delay + last_sum_s(23 - 17) + channel_delay, 4 * energy / 128


def dimc4():
    (first, first_s), (second, second_s), (third, third_s) = tree(16, 1), tree(8, 4), tree(8, 6)
    adders = 64 * first + 8 * second + third
    area = 4 * (8 * logic_m2(adders + 17, 8 * 6 + 17, 128) + 0.00416728e-6)
    delay = max(gates.gate_s() + first_s + second_s, third_s + last_sum_s(17 - 9))
    energy = logic_j(0.9, 0.25 * adders + 17, 8 * 6 + 17, 0.5 * 128)
    return area, delay, 8 * energy / 128


CHIPS = {"AIMC1": aimc1, "AIMC2": aimc2, "AIMC3": aimc3, "DIMC1": dimc1, "DIMC2": dimc2, "DIMC3": dimc3, "DIMC4": dimc4}
UNKNOWN_SPARSITY = {"AIMC2", "DIMC2", "DIMC4"}
# Model / silicon of area, delay, energy, read off the source's figure. DIMC2's energy is left out: the figure shows
# 1.39, the activity behind it is not given, and the usual half toggles, half ones give 1.53.
PUBLISHED = {
    "AIMC1": (0.51, 1.00, 0.89), "AIMC2": (0.98, 1.05, 7.03), "AIMC3": (1.04, 1.02, 1.01), "DIMC1": (0.94, 0.83, 1.01),
    "DIMC2": (0.79, 1.31, None), "DIMC3": (1.00, 0.98, 0.98), "DIMC4": (1.23, 0.95, 15.97),
}  # fmt: skip


def rows_of(folder):
    with (folder / "reference" / "cim_silicon_refs.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def silicon(folder, chip):
    found = {r["metric"]: float(r["value"]) for r in rows_of(folder) if r["chip"].startswith(chip)}
    return found["area"] * 1e-6, found["clock_period"] * 1e-9, found["energy_per_MAC"] * 1e-15


@pytest.mark.parametrize("chip", CHIPS)
def test_chip(chip, shared_folder, record_property):
    area, delay, energy = (got / want for got, want in zip(CHIPS[chip](), silicon(shared_folder, chip), strict=True))
    record_property("model / silicon", f"{chip}: area {area:.3f}, delay {delay:.3f}, energy {energy:.3f}")
    print(f"{chip}: model / silicon: area {area:.3f}, delay {delay:.3f}, energy {energy:.3f}")
    assert delay == pytest.approx(1, abs=0.35)
    if chip != "AIMC1":  # its repeaters and decoupling capacitors are not modelled
        assert area == pytest.approx(1, abs=0.30)
    if chip not in UNKNOWN_SPARSITY:
        assert energy == pytest.approx(1, abs=0.20)
    for got, published in zip((area, delay, energy), PUBLISHED[chip], strict=True):
        assert published is None or got == pytest.approx(published, abs=0.012, rel=0.01)


def points(folder, chip, metric, condition=None):
    rows = [r for r in rows_of(folder) if r["chip"].startswith(chip) and r["metric"] == metric and r["voltage_V"]]
    rows = [r for r in rows if condition is None or r["condition"] == condition]
    return np.array([(float(r["voltage_V"]), float(r["value"])) for r in rows]).T


def spread(measured, modelled):
    """Largest deviation of a trend whose one scale is chosen so that this is smallest."""
    ratio = modelled / measured
    return float(np.sqrt(ratio.max() / ratio.min()) - 1)


SINANGIL = (
    ("energy_per_array_op", "output code 15", 9),
    ("efficiency", "average output code 15", 2),
    ("efficiency", "average output code 6", 2),
    ("efficiency", "average output code 0", 2),
)
"""All energies of Sinangil's macro over voltages: metric, condition, number of points."""


@pytest.mark.parametrize(
    ("fit", "chip", "metric", "condition", "count"),
    [
        ("wang_c2c", "Wang", "efficiency", None, 5),
        ("jia_charge", "Jia", "efficiency_1b", None, 2),
        *(("sinangil_sram", "Sinangil", *series) for series in SINANGIL),
    ],
)
def test_energy_against_voltage(fit, chip, metric, condition, count, shared_folder):
    v, value = points(shared_folder, chip, metric, condition)
    energy = value if metric.startswith("energy") else 1 / value
    assert len(v) == count
    worst = spread(energy, voltage_fit(fit).energy(v))
    print(f"{chip} {metric} {condition}: {100 * worst:.1f} %")
    assert worst < 0.15


def test_the_exponent_of_sinangils_energy_is_the_best(shared_folder):
    """Our own fit: of all exponents, the one whose worst deviation over all series is least."""
    series = [points(shared_folder, "Sinangil", *named[:2]) for named in SINANGIL]
    measured = [(v, value if len(v) > 2 else 1 / value) for v, value in series]

    def worst(exponent):
        return max(spread(energy, v**exponent) for v, energy in measured)

    exponents = np.linspace(1, 2.5, 3001)
    found = [worst(exponent) for exponent in exponents]
    shipped = voltage_fit("sinangil_sram").energy_exponent
    assert shipped == pytest.approx(exponents[np.argmin(found)], abs=0.005)
    assert worst(shipped) == pytest.approx(0.141, abs=0.0005)
    assert worst(1.7) > 0.15  # AccelForge's models; the pair of code 6 is flatter than the codes around it


@pytest.mark.parametrize(
    ("fit", "chip", "metric", "condition"),
    [
        ("wang_c2c", "Wang", "density", None),
        ("wang_c2c", "Wang", "throughput", None),
        ("jia_charge", "Jia", "throughput_1b", None),
        ("sinangil_sram", "Sinangil", "throughput", None),
    ],
)
def test_delay_against_voltage(fit, chip, metric, condition, shared_folder):
    v, value = points(shared_folder, chip, metric, condition)
    worst = spread(1 / value, voltage_fit(fit).delay(v))
    print(f"{chip} {metric}: {100 * worst:.1f} %")
    assert worst < 0.15


def test_digital_macro_rises_steeper_than_its_fit(shared_folder):
    """Colonnade's published energies are no check of `V^2`: they grow fourfold where the fit grows by 1.8."""
    v, value = points(shared_folder, "Colonnade", "energy_per_MAC", "1b x 1b")
    fit = voltage_fit("digital_serial")
    assert value[v == 0.8] / value[v == 0.6] > 2 * fit.energy(0.8) / fit.energy(0.6)
    assert fit.delay(0.6) / fit.delay(0.8) == pytest.approx(0.8 / 0.6)


REGULAR = {
    "AIMC1": (
        sram_macro("aimc", 1024, 512, activation_bits=7, weight_bits=2, bits_per_cycle=7, adc_bits=6, vdd_v=0.8),
        1,
    ),
    "AIMC3": (sram_macro("aimc", 64, 256, banks=8, bits_per_cycle=1, adc_bits=3, vdd_v=0.8), 0.375 * 0.5),
    "DIMC1": (sram_macro("dimc", 32, 6, banks=64, bits_per_cycle=2), 0.25),
    "DIMC3": (sram_macro("dimc", 128, 8, banks=8, bits_per_cycle=2), 0.25),
}
SWITCHED = ("multipliers", "bit_lines", "tree")


@pytest.mark.parametrize("chip", REGULAR)
def test_regular_macro_without_the_structure_of_a_chip(chip, shared_folder, record_property):
    """What `sram_macro` says of a chip from its sizes and activity alone."""
    macro, share = REGULAR[chip]
    energy = sum(float(value) * (share if part in SWITCHED else 1) for part, value in macro.energy_j.items())
    _, delay_s, mac_j = silicon(shared_folder, chip)
    ratios = float(macro.clock_s / delay_s), energy / float(macro.macs_per_cycle) / mac_j
    record_property("model / silicon", f"{chip}: delay {ratios[0]:.2f}, energy {ratios[1]:.2f}")
    print(f"{chip}: regular macro: delay {ratios[0]:.2f}, energy {ratios[1]:.2f}")
    assert all(0.6 < ratio < 2.4 for ratio in ratios)
