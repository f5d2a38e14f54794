"""What a problem may be, which layers suit which cores, and what an answer says when nothing fits."""

from dataclasses import replace

import numpy as np
import pytest

from axdnn.hardware.mapping import (
    Problem,
    greedy,
    is_depthwise,
    legality,
    network_edges,
    pipelined,
    sequential,
    single_core,
)
from axdnn.records import InfeasibleError, InvalidInputError, Layer, Network, UnknownNameError

ONES = np.ones((3, 2))


def layer(name, kind="conv2d", m=16, k=9, n=8, groups=1, **rest):
    kernel = {"kernel": (3, 3)} if kind == "conv2d" else {}
    return Layer(name=name, kind=kind, m=m, k=k, n=n, groups=groups, input_words=1, output_words=m * n * groups,
                 in_shape=(1,), out_shape=(1,), **kernel, **rest)  # fmt: skip


def transformer_like():
    layers = (
        layer("stem", k=27), layer("depthwise", n=1, groups=8), layer("scores", "matmul", groups=4),
        layer("head", "linear"),
    )  # fmt: skip
    return Network(
        name="small", layers=layers,
        edges=(("input", "stem"), ("stem", "depthwise"), ("depthwise", "scores"), ("stem", "scores"),
               ("scores", "head"), ("head", "output")),
    )  # fmt: skip


def test_legality_of_memory_cells():
    layers = transformer_like().layers
    assert [is_depthwise(x) for x in layers] == [False, True, False, False]
    strict = legality(layers, [False, True])
    assert strict.forbidden.tolist() == [[False, False], [False, True], [False, True], [False, False]]
    assert strict.never_stays.tolist() == [[False, False], [False, False], [False, True], [False, False]]
    assert set(strict.reasons) == {(1, 1), (2, 1)}
    assert "idle" in strict.reasons[1, 1]
    poor = legality(layers, [False, True], depthwise="poor", activation_products="poor")
    assert not poor.forbidden.any()
    assert poor.never_stays[2, 1]
    with pytest.raises(UnknownNameError, match="rule"):
        legality(layers, [True], depthwise="bad")


def test_rules_reach_the_mapping():
    """The product of activations goes to the slow core, or is rewritten in every inference where it may be."""
    network = transformer_like()
    edges, sizes = network_edges(network, 2.0)
    assert edges == ((0, 1), (1, 2), (0, 2), (2, 3))
    assert sizes.tolist() == [2 * 128, 2 * 128, 2 * 128, 2 * 512]
    latency = np.array([[5.0, 1.0]] * 4)
    answers = {}
    for rule in ("illegal", "poor"):
        rules = legality(network.layers, [False, True], depthwise=rule, activation_products=rule)
        p = Problem(
            latency_s=np.where(rules.forbidden, np.inf, latency), energy_j=np.zeros((4, 2)), reasons=rules.reasons,
            need=np.where(rules.never_stays, np.inf, 1.0), edges=edges, edge_bytes=sizes, link_latency_s=0.1,
            reload_latency_s=2.0, reload_energy_j=0.0, layer_names=network.layer_names, core_names=("npu", "cim"),
        )  # fmt: skip
        answers[rule] = sequential(p)
    assert answers["illegal"].cores == (1, 0, 0, 1)
    assert answers["illegal"].latency_s == pytest.approx(12 + 3 * 0.1)
    assert answers["poor"].cores == (1, 1, 1, 1)
    assert answers["poor"].resident == (True, True, False, True)
    assert answers["poor"].latency_s == pytest.approx(4 + 2.0)


def test_edges_of_networks():
    chain = Network(name="chain", layers=transformer_like().layers)
    assert network_edges(chain)[0] == ((0, 1), (1, 2), (2, 3))
    wrong = Network(name="wrong", layers=chain.layers, edges=(("stem", "nothing"),))
    with pytest.raises(InvalidInputError, match="nothing"):
        network_edges(wrong)


def test_a_layer_that_runs_nowhere_is_named():
    latency = ONES.copy()
    latency[1] = np.inf
    p = Problem(latency_s=latency, energy_j=ONES, reasons={(1, 0): "no softmax unit"}, core_names=("npu", "cim"),
                layer_names=("a", "b", "c"))  # fmt: skip
    for answer in (sequential(p), sequential(p, "edp"), pipelined(p), pipelined(p, contiguous=True)):
        assert not answer.feasible
        assert answer.exact
        assert "b runs on no core" in answer.binding
        assert "npu: no softmax unit" in answer.binding
        assert "cim: no reason given" in answer.binding
        assert answer.remedy == "for b, add a core that can run it"
        assert answer.cores == ()
    with pytest.raises(InfeasibleError, match="softmax"):
        sequential(p).raise_if_infeasible()
    assert "cannot run b" in single_core(p, 0).binding
    assert not greedy(p).feasible


def test_too_large_for_any_core():
    p = Problem(latency_s=ONES, energy_j=ONES, need=[[1, 1], [9, 7], [1, 1]], capacity=[5.0, 6.0])
    answer = sequential(p)
    assert "need 9 of a capacity of 5" in answer.binding
    assert "core 0 to 9 or core 1 to 7" in answer.remedy
    assert sequential(replace(p, capacity=[5.0, 7.0])).feasible


@pytest.mark.parametrize("seed", range(12))
def test_the_least_capacity_that_fits_is_named(seed):
    """What the remedy says does, and one unit less does not."""
    rng = np.random.default_rng(seed)
    need = rng.integers(1, 6, (5, 2)).astype(float)
    p = Problem(latency_s=np.ones((5, 2)), energy_j=np.ones((5, 2)), need=need, capacity=[6.0, 2.0])
    answer = sequential(p)
    if answer.feasible:
        assert need.min(axis=1).sum() <= 8
        return
    for core, words in ((0, "core 0 from 6 to "), (1, "core 1 from 2 to ")):
        if words in answer.remedy:
            least = float(answer.remedy.split(words)[1].split(",")[0])
            capacity = p.capacity.copy()
            capacity[core] = least
            assert sequential(replace(p, capacity=capacity)).feasible
            capacity[core] = least - 1
            assert not sequential(replace(p, capacity=capacity)).feasible
    assert "core" in answer.binding
    assert "capacity" in answer.binding


def test_no_core_alone_is_enough():
    """Both need more: one heavy layer each that only it can run, so a common factor is named."""
    latency = np.array([[1, np.inf], [1, np.inf], [np.inf, 1], [np.inf, 1]])
    p = Problem(latency_s=latency, energy_j=np.ones((4, 2)), need=3.0, capacity=[4.0, 4.0])
    answer = sequential(p)
    assert "factor of 1.5" in answer.remedy
    assert sequential(replace(p, capacity=[6.0, 6.0])).feasible


def test_missing_links_and_broken_stretches():
    latency = np.array([[1, np.inf], [np.inf, 1], [1, np.inf]])
    p = Problem(latency_s=latency, energy_j=ONES, link_latency_s=[[0, np.inf], [0, 0]])
    assert "core 0 -> core 1" in sequential(p).binding
    joined = replace(p, link_latency_s=0.0)
    assert sequential(joined).cores == (0, 1, 0)
    assert "one stretch each" in pipelined(joined, contiguous=True).binding


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"latency_s": np.ones(3)}, r"\(layers, cores\)"),
        ({"energy_j": np.ones((2, 2))}, r"`energy_j` must be numbers that broadcast to \(3, 2\)"),
        ({"energy_j": -ONES}, "`energy_j` must be >= 0, but got -1"),
        ({"need": np.nan}, "`need`"),
        ({"link_bandwidth_b_s": 0.0}, "`link_bandwidth_b_s` must be > 0"),
        ({"link_j_b": np.inf}, "`link_j_b` must be finite"),
        ({"edges": [(1, 0)]}, "run forwards"),
        ({"edges": [(0, 3)]}, "run forwards"),
        ({"idle_fraction": 1.5}, "0..1"),
        ({"core_names": ("a", "a")}, "2 different names"),
        ({"reasons": {(0, 2): "x"}}, "reasons"),
    ],
)
def test_problems_are_checked(fields, words):
    with pytest.raises(InvalidInputError, match=words):
        Problem(**{"latency_s": ONES, "energy_j": ONES} | fields)


@pytest.mark.parametrize("objective", ["speed", (0.0, 0.0), (-1.0, 1.0), (1.0, 1.0, 1.0)])
def test_objectives_are_checked(objective):
    error = UnknownNameError if isinstance(objective, str) else InvalidInputError
    with pytest.raises(error, match="objective"):
        sequential(Problem(latency_s=ONES, energy_j=ONES), objective)


def test_effort_is_checked(random_problem):
    p = random_problem(2, 30, 3, limited=True, reloads=1.0)
    with pytest.raises(InvalidInputError, match="most_labels"):
        sequential(p, most_labels=0)
    with pytest.raises(UnknownNameError, match="method"):
        sequential(p, method="guess")
    with pytest.raises(InvalidInputError, match="needs more than `most_labels` = 1"):
        sequential(p, method="exact", most_labels=1)
