"""Banks of arrays: one array is a chip of one pod, layers take the cheapest array, idle arrays leak or are gated."""

import pytest

from axdnn.hardware import ArrayBank, BankArray, estimate, load_accelerator
from axdnn.multipliers import load_multiplier
from axdnn.records import Assignment, InfeasibleError, InvalidInputError
from axdnn.testing import MachineLaws

CHIP = load_accelerator("tpu_v3")


def bank(*arrays, **options):
    return ArrayBank(
        chip=CHIP, arrays=tuple(BankArray(rows=r, columns=c, multiplier=m) for r, c, m in arrays), **options
    )


class TestBank(MachineLaws):
    """Two sizes and two multipliers."""

    def machine(self):
        return bank((128, 128, "exact"), (64, 64, "exact"), (128, 64, "mul8s_1L2N"))

    def assignment(self, network):
        names = network.layer_names
        return Assignment(multipliers={n: ("exact", "mul8s_1L2N")[i % 2] for i, n in enumerate(names)})


@pytest.mark.parametrize("name", ["mul8s_1KV6", "mul8u_QKX"])
def test_one_array_is_a_chip_of_one_pod(mobile, multipliers, uniform, name):
    one = bank((128, 128, name)).cost(mobile, uniform(mobile, name), multipliers=multipliers, batch=2)
    chip = estimate(mobile, uniform(mobile, name), CHIP.replace(pods=1), multipliers=multipliers, batch=2)
    assert one.energy_breakdown_j == pytest.approx(chip.energy_breakdown_j)
    assert (one.latency_s, one.area_m2) == pytest.approx((chip.latency_s, chip.area_m2))
    assert [x.cycles for x in one.layers] == [x.cycles for x in chip.layers]


def test_a_layer_takes_the_cheaper_array_of_its_multiplier(gemm, network_of, multipliers):
    both = bank((128, 128, "mul8s_1L2N"), (8, 8, "mul8s_1L2N"))
    network = network_of(gemm("large", 4096, 1024, 1024), gemm("tiny", 8, 8, 8))
    chosen = Assignment(multipliers=dict.fromkeys(network.layer_names, "mul8s_1L2N"))
    found = both.cost(network, chosen, multipliers=multipliers)
    alone = [bank(a).cost(network, chosen, multipliers=multipliers) for a in ((128, 128, "mul8s_1L2N"),
                                                                               (8, 8, "mul8s_1L2N"))]  # fmt: skip
    cycles = [[x.cycles for x in report.layers] for report in (found, *alone)]
    assert cycles[0][0] == cycles[1][0] < cycles[2][0]
    assert cycles[0][1] == cycles[2][1] < cycles[1][1]


def test_idle_arrays_leak_or_are_gated(lenet, multipliers, uniform):
    exact = uniform(lenet, "exact")
    one = bank((128, 128, "exact")).cost(lenet, exact)
    arrays = (128, 128, "exact"), (256, 256, "mul8s_1L2N")
    leaking, half, gated = (bank(*arrays, idle_fraction=f).cost(lenet, exact) for f in (1.0, 0.5, 0.0))
    assert leaking.energy_j > half.energy_j > gated.energy_j
    assert half.energy_j == pytest.approx((leaking.energy_j + gated.energy_j) / 2)
    dynamic = [r.energy_j - r.energy_breakdown_j["static"] for r in (one, leaking, gated)]
    assert dynamic == pytest.approx([dynamic[0]] * 3, rel=1e-2)  # one more port of the network
    assert leaking.area_m2 > one.area_m2


def test_a_slow_multiplier_may_limit_the_clock(lenet, uniform):
    name = "mul8s_1KVA@v2022"
    ratio = load_multiplier(name).figures.delay_s / load_multiplier("exact").figures.delay_s
    assert ratio > 1.02
    given = {name: load_multiplier(name)}
    chosen = uniform(lenet, name)
    free, bound = (
        bank((128, 128, name), delay_limits_clock=limits).cost(lenet, chosen, multipliers=given)
        for limits in (False, True)
    )
    assert free.latency_s < bound.latency_s <= free.latency_s * ratio
    assert bound.latency_s > 1.005 * free.latency_s
    assert [x.macs for x in free.layers] == [x.macs for x in bound.layers]


def test_what_is_refused(lenet, multipliers, uniform):
    both = bank((16, 16, "exact"), (16, 16, "mul8s_1L2N"))
    with pytest.raises(
        InfeasibleError, match="'conv1' wants multiplier 'mul8u_QKX', but the arrays hold exact, mul8s_1L2N"
    ):
        both.cost(lenet, uniform(lenet, "mul8u_QKX"), multipliers=multipliers)
    with pytest.raises(InvalidInputError, match="at least one array"):
        bank()
    with pytest.raises(InvalidInputError, match="rows and columns >= 1"):
        bank((0, 4, "exact"))
    with pytest.raises(InvalidInputError, match="idle_fraction"):
        bank((4, 4, "exact"), idle_fraction=1.5)
    with pytest.raises(InvalidInputError, match="no exact rows"):
        ArrayBank(chip=load_accelerator("xai_gen"), arrays=(BankArray(rows=4, columns=4),))
    with pytest.raises(InvalidInputError, match="'conv2' has none"):
        both.cost(lenet, Assignment(multipliers={"conv1": "exact"}))
