"""Banks of arrays: one array is a chip of one pod, layers take the cheapest array, idle arrays leak or are gated."""

import itertools

import pytest

from axdnn.hardware import ArrayBank, BankArray, estimate, load_accelerator
from axdnn.multipliers import load_multiplier
from axdnn.records import Assignment, Figures, InfeasibleError, InvalidInputError, Layer, Multiplier, Network
from axdnn.testing import MachineLaws

CHIP = load_accelerator("tpu_v3")
SIZES = ((128, 128), (16, 32), (64, 8))
TINY = Network(name="tiny", layers=(Layer(name="x", kind="conv2d", m=1, k=1, n=1, groups=1, input_words=1,
                                          output_words=1, in_shape=(1,), out_shape=(1,)),))  # fmt: skip


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


@pytest.mark.parametrize("name", ["mul8s_1KV6", "mul8u_QKX", "QKX_sm"])
@pytest.mark.parametrize(("rows", "columns", "network"), [(128, 128, "butterfly"), (32, 64, "bus"), (16, 8, "mesh")])
def test_one_array_is_a_chip_of_one_pod(mobile, multipliers, uniform, name, rows, columns, network):
    """Whatever size the chip's own pods have."""
    shared = CHIP.replace(interconnect=network)
    one = ArrayBank(chip=shared, arrays=(BankArray(rows=rows, columns=columns, multiplier=name),))
    found = one.cost(mobile, uniform(mobile, name), multipliers=multipliers, batch=2)
    chip = shared.replace(pods=1, rows=rows, columns=columns)
    wanted = estimate(mobile, uniform(mobile, name), chip, multipliers=multipliers, batch=2)
    assert found.energy_breakdown_j == pytest.approx(wanted.energy_breakdown_j)
    assert found.area_breakdown_m2 == pytest.approx(wanted.area_breakdown_m2)
    assert found.latency_s == pytest.approx(wanted.latency_s)
    assert found.memory_breakdown_bytes == wanted.memory_breakdown_bytes
    for mine, theirs in zip(found.layers, wanted.layers, strict=True):
        for field in ("cycles", "bound", "traffic_bytes", "memory_bytes", "pods", "macs"):
            assert getattr(mine, field) == getattr(theirs, field)
        assert mine.area_m2 == pytest.approx(theirs.area_m2)
    assert {k: x for k, x in found.sources.items() if k.startswith(("exact.", "multiplier."))} == {
        k: x for k, x in wanted.sources.items() if k.startswith(("exact.", "multiplier."))
    }


def idle_w(array, shared=CHIP):
    """Watts of an array that does nothing, from its report alone: static power less the leakage of one's memories."""
    alone = ArrayBank(chip=shared.replace(memory_leakage_w_m2=0.0), arrays=(array,))
    layer = alone.cost(TINY, Assignment(multipliers={"x": array.multiplier})).layers[0]
    return layer.energy_j["static"] / layer.latency_s


@pytest.mark.parametrize("idle", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("kinds", [("exact", "exact", "exact"), ("exact", "mul8s_1KVP", "exact")])
def test_the_route_is_the_cheapest_of_all(gemm, network_of, idle, kinds):
    """Every routing, priced with banks of one array each, and what the others draw meanwhile."""
    arrays = [BankArray(rows=r, columns=c, multiplier=m) for (r, c), m in zip(SIZES, kinds, strict=True)]
    network = network_of(gemm("large", 512, 900, 300), gemm("tiny", 4, 9, 6), gemm("deep", 16, 2000, 12),
                         gemm("wide", 9, 20, 700), gemm("depthwise", 50, 9, 1, groups=40))  # fmt: skip
    assignment = Assignment(multipliers={
        x: kinds[1] if x in ("large", "wide") else "exact" for x in network.layer_names})  # fmt: skip
    found = ArrayBank(chip=CHIP, arrays=tuple(arrays), idle_fraction=idle).cost(network, assignment)

    def whole(m):
        return Assignment(multipliers=dict.fromkeys(network.layer_names, m))

    alone = [ArrayBank(chip=CHIP, arrays=(a,)).cost(network, whole(a.multiplier)).layers for a in arrays]
    own_w = [idle_w(a) for a in arrays]
    buffers = CHIP.activation_buffer_bytes + CHIP.weight_buffer_bytes + 3 * CHIP.accumulator_bytes
    memories_w = buffers * CHIP.buffer_m2_b * CHIP.memory_leakage_w_m2
    ports = CHIP.interconnect_expansion * 3 * 1.584962500721156  # log2(3) stages
    width = sum(8 * (r + 5 * c) for r, c in SIZES) / 3
    network_w = ports * width * CHIP.interconnect_m2_bit * CHIP.logic_leakage_w_m2

    def price(i, a):
        layer = alone[a][i]
        watts = own_w[a] + memories_w + network_w + idle * (sum(own_w) - own_w[a])
        return layer.total_energy_j - layer.energy_j["static"] + watts * layer.latency_s

    wanted = [assignment.multipliers[n] for n in network.layer_names]
    totals = {
        route: sum(price(i, a) for i, a in enumerate(route))
        for route in itertools.product(range(3), repeat=5)
        if all(kinds[a] == m for a, m in zip(route, wanted, strict=True))
    }
    best = min(totals, key=totals.get)
    assert len(totals) in (243, 8)
    assert found.energy_j == pytest.approx(totals[best], rel=1e-9)
    assert [x.cycles for x in found.layers] == [alone[a][i].cycles for i, a in enumerate(best)]
    assert len(set(best)) > 1, "the case is too easy"


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


def test_partial_sums_are_those_of_the_arrays_that_work(gemm, network_of):
    """A strip of sums is as wide as the array: 4 bytes x rows of the stream x columns."""
    network = network_of(gemm("one", 100, 64, 500), gemm("other", 100, 64, 500))
    kinds = {"one": "mul8s_1KVP", "other": "mul8s_1L2N"}
    arrays = (256, 256, "exact"), (16, 32, "mul8s_1KVP"), (16, 48, "mul8s_1L2N")
    found = bank(*arrays).cost(network, Assignment(multipliers=kinds))
    assert found.memory_breakdown_bytes["partial_sums"] == 4 * 100 * 48


def test_any_name_of_a_circuit_is_meant(lenet, uniform):
    """Aliases, canonical names and `exact` lead to the same arrays; another price of the same table does not."""
    named = bank((16, 16, "exact"), (32, 16, "mul8s_1L1G"))
    for held, others in (("exact", ["mul8s_1KV6"]), ("mul8s_1L1G", ["mul8s_1L2N"])):
        wanted = named.cost(lenet, uniform(lenet, held))
        assert {x.multiplier for x in wanted.layers} == {held}
        assert all(named.cost(lenet, uniform(lenet, other)) == wanted for other in others)
    given = {"mul8s_1L2N": dear(load_multiplier("mul8s_1L2N"), 3)}
    assert named.cost(lenet, uniform(lenet, "mul8s_1L2N"), multipliers=given).energy_j > wanted.energy_j
    with pytest.raises(InfeasibleError, match="wants multiplier 'mine'"):
        named.cost(lenet, uniform(lenet, "mine"), multipliers={"mine": given["mul8s_1L2N"]})


def dear(multiplier, factor):
    """The same products at another power."""
    f = multiplier.figures
    figures = Figures(power_w=factor * f.power_w, area_m2=f.area_m2, delay_s=f.delay_s, source="made up")
    return Multiplier(name=multiplier.name, coding=multiplier.coding, table=multiplier.table, figures=figures)


def test_without_an_assignment_layers_are_exact(lenet, uniform):
    unsigned = bank((16, 16, "mul8u_1JJQ"), (16, 16, "mul8s_1L2N"))
    assert unsigned.cost(lenet) == unsigned.cost(lenet, uniform(lenet, "mul8u_1JJQ"))
    both = bank((16, 16, "mul8u_1JJQ"), (16, 16, "exact"))
    assert {x.multiplier for x in both.cost(lenet).layers} == {"exact"}
    with pytest.raises(InfeasibleError, match=r"no exact array, .* a multiplier of mul8s_1KVP, mul8s_1L2N, or add"):
        bank((16, 16, "mul8s_1L2N"), (16, 16, "mul8s_1KVP")).cost(lenet)


def test_texts_are_given_or_follow_the_arrays():
    plain = bank((16, 8, "exact"))
    assert (plain.name, "16 x 8 of exact" in plain.description) == ("tpu_v3 bank", True)
    grown = plain.replace(arrays=(BankArray(rows=4, columns=2),), idle_fraction=0.5)
    assert "4 x 2 of exact" in grown.description
    assert grown.sources["idle_fraction"] == "0.5; given by the caller"
    assert plain.sources["idle_fraction"].startswith("1; default")
    named = bank((16, 8, "exact"), name="mine", description="My own.").replace(idle_fraction=0.5)
    assert (named.name, named.description) == ("mine", "My own.")
    assert named.sources["arrays.0"] == "16 x 8 of exact; array 0 of mine"
    assert "array.pods" not in named.sources
    assert named.sources["energy.dram"] == CHIP.sources["energy.dram"]


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
