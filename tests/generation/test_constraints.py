"""Limits and ties: brute force over all choices of small problems, and a real network that keeps them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from axdnn.generation import Constraints, Programme, Request, generate, parse_constraints
from axdnn.records import InfeasibleError, InvalidInputError, UnknownNameError


def every(problem):
    return np.array(list(itertools.product(range(len(problem.multipliers)), repeat=len(problem.layers))))


def limited(problem, **limits):
    return replace(problem, constraints=Constraints(**limits), chip=problem.table)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("limit", ["kinds", "latency", "area", "all"])
def test_the_programme_finds_the_cheapest_choice_that_keeps_the_limits(problem, seed, limit):
    problem = problem(seed, layers=4, kinds=4, pods=4)
    choices = every(problem)
    prices = problem.table.energy(choices)
    latency, area = (float(np.quantile(v[np.isfinite(v)], 0.4)) for v in (prices.latency_s, prices.area_m2))
    limits = {"kinds": {"most_kinds": 2}, "latency": {"max_latency_s": latency}, "area": {"max_area_m2": area}}
    limits["all"] = {"most_kinds": 3, "max_latency_s": 1.1 * latency, "max_area_m2": 1.1 * area}
    made = limited(problem, **limits[limit])
    kinds = np.array([len(set(c)) for c in choices.tolist()])
    asked = limits[limit]
    fine = (kinds <= asked.get("most_kinds", 9)) & (prices.latency_s <= asked.get("max_latency_s", np.inf)) & (
        prices.area_m2 <= asked.get("max_area_m2", np.inf))  # fmt: skip
    energy = np.where(fine, prices.energy_j, np.inf)
    assert np.array_equal(made.energy_j(choices), energy)
    damage = problem.damage_of(choices)
    for quantile in (0.2, 0.7):
        most = float(np.quantile(damage, quantile))
        best = np.where(damage <= most, energy, np.inf).min()
        found = Programme(made, made.damage).cheapest(most)
        if not np.isfinite(best):
            assert found is None
            continue
        assert found is not None
        assert problem.damage_of(found)[0] <= most * (1 + 1e-9)
        assert made.energy_j(found)[0] <= best * (1 + 1e-3)


def test_tied_layers_are_one_layer_with_their_costs_and_damage_together(problem):
    problem = limited(problem(3, layers=5, kinds=4, pods=4), tied=("l[13]", "l4"))
    groups = problem.constraints.groups(problem.layers)
    assert groups == (("l0",), ("l1", "l3"), ("l2",), ("l4",))
    tied = problem.tied(groups)
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(50):
        choice = rng.integers(0, 4, 4)
        whole = choice[[0, 1, 2, 1, 3]]
        assert tied.energy_j(choice)[0] == pytest.approx(problem.energy_j(whole)[0])
        assert tied.assignment(choice).multipliers == problem.assignment(whole).multipliers
        shares.append(tied.damage_of(choice)[0] / problem.damage_of(whole)[0])
    np.testing.assert_allclose(shares, shares[0])  # a scale in common, which is fitted
    assert problem.tied(tuple((n,) for n in problem.layers)) is problem


def test_text_becomes_constraints():
    assert parse_constraints([]) == Constraints()
    assert not parse_constraints([])
    text = ["kinds=3", "latency=2.5 ms", "area = 3cm2", "memory=8MB", "tie=stage1.*", "tie=stage2.*"]
    found = parse_constraints(text)
    assert (found.most_kinds, found.tied) == (3, ("stage1.*", "stage2.*"))
    limits = (found.max_latency_s, found.max_area_m2, found.max_memory_bytes)
    assert limits == pytest.approx((2.5e-3, 3e-4, 8 * 2**20))
    assert parse_constraints(["latency=1e-3s"]).max_latency_s == 1e-3
    for bad, said in {
        "latency=2": "unit", "latency=2mm2": "unit", "kinds=2.5": "whole number", "kinds=0": "at least 1",
        "area=-3mm2": "above 0", "memory=": "KEY=VALUE", "kinds": "KEY=VALUE", "area=mm2": "above 0",
    }.items():  # fmt: skip
        with pytest.raises(InvalidInputError, match=said):
            parse_constraints([bad])
    with pytest.raises(InvalidInputError, match="given once"):
        parse_constraints(["kinds=2", "kinds=3"])
    with pytest.raises(UnknownNameError, match="latency"):
        parse_constraints(["latancy=2ms"])
    with pytest.raises(InvalidInputError, match="units"):
        Request(strategy="paper", constraints=Constraints(tied=("a",)))


def request(**changes):
    names = "mul8s_1KVM,mul8s_1L2N,mul8u_17R6,mul8u_R36"
    return Request(max_accuracy_loss=5.0, multipliers=names, evaluations=12, score="none", **changes)


@pytest.mark.parametrize("strategy", ["integer", "greedy"])
def test_a_generated_network_keeps_them(small, strategy):
    constraints = Constraints(most_kinds=2, tied=("conv", "fc*"))
    result = generate(*small, request(strategy=strategy, constraints=constraints))
    assert len(set(result.assignment.values())) <= 2
    assert result.assignment["fc1"] == result.assignment["fc2"]
    assert result.energy_j < result.baseline_energy_j


def test_limits_that_nothing_keeps_are_an_answer_before_the_search(small):
    with pytest.raises(InfeasibleError, match=r"latency <= 1e-09 s cannot be kept: .* takes .* faster pods"):
        generate(*small, request(constraints=Constraints(max_latency_s=1e-9)))
    with pytest.raises(InfeasibleError, match=r"memory <= 10 bytes cannot be kept"):
        generate(*small, request(constraints=Constraints(max_memory_bytes=10)))
    with pytest.raises(UnknownNameError, match="layer or pattern to tie"):
        generate(*small, request(constraints=Constraints(tied=("nothing.*",))))
    with pytest.raises(InfeasibleError, match=r"no choice within the accuracy budget keeps .*max_area_m2"):
        generate(*small, request(constraints=Constraints(max_area_m2=1e-9)))


def test_an_area_that_only_approximate_pods_fit(small):
    free = generate(*small, request())
    area = 0.5 * (free.area_m2 + free.baseline_area_m2)
    assert free.area_m2 < area < free.baseline_area_m2
    held = generate(*small, request(constraints=Constraints(max_area_m2=area)))
    assert held.area_m2 <= area * (1 + 1e-9)
