"""Every strategy under the judge, against an evaluator that knows the truth."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from axdnn.evaluation import Z_95, OutOfEvaluationsError
from axdnn.generation import STRATEGIES, Judge, Problem

# `exhaustive` needs a cap for every choice; `test_exhaustive.py` has its tests. On these problems, whose candidates are
# given, the two strategies of exact precision do what `uniform` and `greedy` do.
NAMES = tuple(n for n in STRATEGIES if n != "exhaustive")
EVERY = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def play(problem: Callable[..., Problem], known_truth: Any) -> Callable[..., tuple[Judge, Any]]:
    """A function that runs a strategy on a synthetic problem whose loss is additive but not as predicted."""

    def run(
        name: str, seed: int = 0, cap: int = 30, budget: float = 0.01, shift: float = 0.0, scale: float = 0.1,
        layers: int = 4, kinds: int = 8, pods: int = 4, **options: Any,
    ) -> tuple[Judge, Any]:  # fmt: skip
        p = problem(seed, layers, kinds, pods, budget)
        theta = scale * p.weights * 10 ** np.random.default_rng(seed).uniform(-0.5, 0.5, layers)
        evaluator = known_truth(p, cap, theta, shift=shift)
        judge = Judge(p, evaluator, name, **options)
        try:
            STRATEGIES[name](judge, np.random.default_rng(seed))
        except OutOfEvaluationsError:
            assert evaluator.left == 0
        return judge, evaluator

    return run


@EVERY
@pytest.mark.parametrize("seed", range(3))
def test_what_comes_out_was_accepted_and_the_cap_is_kept(play: Callable[..., Any], name: str, seed: int) -> None:
    for cap, shift in ((3, 0.0), (4, 0.0), (16, 0.0), (16, 0.003)):
        judge, evaluator = play(name, seed, cap, shift=shift)
        assert evaluator.full_evaluations <= cap
        assert len(evaluator.calls) == len(set(evaluator.calls)), "nothing is tried twice"
        best = evaluator.history[judge.problem.assignment(judge.best).key]
        assert best.accepted
        assert judge.best_energy_j == judge.problem.energy_j(judge.best)[0]
        if judge.best.any():
            assert best.accuracy["accept"].loss_bound <= judge.problem.budget
            assert best.accuracy["search"].loss_bound <= judge.problem.budget
        accepted = [e.energy_j for e in evaluator.history.values() if e.accepted]
        assert min(accepted) == best.energy_j


@EVERY
def test_nothing_acceptable_gives_the_exact_network(play: Callable[..., Any], name: str) -> None:
    for options in ({"budget": 0.0}, {"scale": 1e6}, {"shift": 1.0}):
        judge, _ = play(name, 1, **options)
        assert not judge.best.any()
        assert judge.best_energy_j == judge.problem.energy_j(judge.problem.baseline)[0]


@EVERY
@pytest.mark.parametrize("seed", range(3))
def test_a_larger_budget_never_costs_more(play: Callable[..., Any], name: str, seed: int) -> None:
    """With exact losses and evaluations to spare: true of `uniform` and `random` by construction, checked for all."""
    budgets = (0.003, 0.01, 0.05, 0.9)
    energies = [play(name, seed, 60, budget, kinds=4, layers=2)[0].best_energy_j for budget in budgets]
    assert energies == sorted(energies, reverse=True)


@pytest.mark.parametrize("name", ["integer", "greedy", "noise_greedy", "taylor", "random"])
@pytest.mark.parametrize("seed", range(3))
def test_more_evaluations_never_cost_more(play: Callable[..., Any], name: str, seed: int) -> None:
    """These do not look at what is left, so a longer run begins with the shorter one. `uniform` plans with it."""
    runs = [play(name, seed, cap) for cap in (4, 8, 15)]
    for (short, _), (long, evaluator) in itertools.pairwise(runs):
        assert long.best_energy_j <= short.best_energy_j
        calls = short.evaluator.calls
        assert evaluator.calls[: len(calls) - 1] == calls[:-1]


@pytest.mark.parametrize("seed", range(3))
def test_uniform_with_evaluations_to_spare_is_the_optimum(play: Callable[..., Any], seed: int) -> None:
    judge, evaluator = play("uniform", seed, 50)
    p = judge.problem
    allowed = []
    for m in range(len(p.multipliers)):
        choice = np.full(4, m)
        if m == 0 or evaluator.loss_bound(p.assignment(choice), "search") <= p.budget:
            allowed.append(float(p.energy_j(choice)[0]))
    assert judge.best_energy_j == min(allowed)


def test_integer_beats_the_others_on_average_under_the_same_cap(play: Callable[..., Any]) -> None:
    saved: dict[str, list[float]] = {name: [] for name in NAMES}
    for seed in range(6):
        for name in NAMES:
            judge, _ = play(name, seed, 14, layers=6, kinds=10)
            saved[name].append(judge.best_energy_j / float(judge.problem.energy_j(judge.problem.baseline)[0]))
    means = {name: float(np.mean(v)) for name, v in saved.items()}
    assert min(means, key=lambda n: means[n]) == "integer", means


@EVERY
def test_same_seed_same_result(play: Callable[..., Any], name: str) -> None:
    first, second = play(name, 3, 14), play(name, 3, 14)
    assert first[1].calls == second[1].calls
    assert np.array_equal(first[0].best, second[0].best)


def test_same_seed_same_result_in_another_process(play: Callable[..., Any]) -> None:
    code = (
        "import importlib.util, sys, numpy as np\n"
        f"spec = importlib.util.spec_from_file_location('c', {str(Path(__file__).with_name('conftest.py'))!r})\n"
        "c = importlib.util.module_from_spec(spec); sys.modules['c'] = c; spec.loader.exec_module(c)\n"
        "from axdnn.generation import STRATEGIES, Judge\n"
        f"for name in {NAMES!r}:\n"
        "  p = c.synthetic_problem(4, 4, 8, 4, 0.01)\n"
        "  theta = 0.1 * p.weights * 10 ** np.random.default_rng(4).uniform(-0.5, 0.5, 4)\n"
        "  e = c.KnownTruth(p, 14, theta); j = Judge(p, e, name)\n"
        "  try: STRATEGIES[name](j, np.random.default_rng(4))\n"
        "  except c.OutOfEvaluationsError: pass\n"
        "  print(name, e.calls, j.best.tolist())\n"
    )
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    here = ""
    for name in NAMES:
        judge, evaluator = play(name, 4, 14)
        here += f"{name} {evaluator.calls} {judge.best.tolist()}\n"
    assert out == here


def test_random_depends_on_its_seed(problem: Callable[..., Problem], known_truth: Any) -> None:
    calls = []
    for seed in (0, 1):
        p = problem(0, 4, 8, 4)
        evaluator = known_truth(p, 10, 0.1 * p.weights)
        with pytest.raises(OutOfEvaluationsError):
            STRATEGIES["random"](Judge(p, evaluator, "random"), np.random.default_rng(seed))
        calls.append(evaluator.calls)
    assert calls[0] != calls[1]


def judge_with(problem: Callable[..., Problem], known_truth: Any, shift: float = 0.0, **options: Any) -> Judge:
    p = problem(2, layers=2, kinds=6, pods=4, budget=0.02)
    return Judge(p, known_truth(p, 40, np.full(2, 0.05), shift=shift), "test", **options)


def test_the_judge_spares_the_accept_split(problem: Callable[..., Problem], known_truth: Any) -> None:
    """Neither what fails on the search split nor what costs more than the best goes to the accept split."""
    judge = judge_with(problem, known_truth)
    evaluator, p = judge.evaluator, judge.problem
    assert [split for split, _ in evaluator.calls] == ["search", "accept"]
    bad = max(np.ndindex(6, 6), key=lambda c: p.noise[[0, 1], c].sum())
    if evaluator.loss_bound(p.assignment(np.array(bad)), "search") > p.budget:
        judge.try_(np.array(bad))
        assert evaluator.calls[-1][0] == "search"
    good = [np.array(c) for c in np.ndindex(6, 6) if any(c)]
    good = [c for c in good if evaluator.loss_bound(p.assignment(c), "search") <= p.budget]
    good.sort(key=lambda c: p.energy_j(c)[0])
    assert len(good) >= 2
    assert judge.try_(good[0]).accepted
    before = len(evaluator.calls)
    assert not judge.try_(good[-1]).accepted
    assert [split for split, _ in evaluator.calls[before:]] == ["search"]
    judge.try_(good[-1])
    assert len(evaluator.calls) == before + 1, "a second try is recalled"


def test_best_is_told_at_once(problem: Callable[..., Problem], known_truth: Any) -> None:
    told: list[float] = []
    judge = judge_with(problem, known_truth, on_best=lambda e: told.append(e.energy_j))
    STRATEGIES["greedy"](judge, np.random.default_rng(0))
    assert told == sorted(told, reverse=True)
    assert told[-1] == judge.best_energy_j


def test_accept_tries_cap_and_correct_the_bound(problem: Callable[..., Problem], known_truth: Any) -> None:
    assert judge_with(problem, known_truth).accept_z == Z_95
    assert judge_with(problem, known_truth, accept_tries=1).accept_z == pytest.approx(Z_95, rel=1e-9)
    assert norm.sf(judge_with(problem, known_truth, accept_tries=3).accept_z) == pytest.approx(0.05 / 7)
    judge = judge_with(problem, known_truth, shift=0.5, accept_tries=2)  # everything fails on the accept split
    for choice in np.ndindex(6, 6):
        if judge.left:
            judge.try_(np.array(choice))
    sent = [key for split, key in judge.evaluator.calls if split == "accept"]
    assert len(sent) == 1 + 2
    assert judge.accept_sent == 2
