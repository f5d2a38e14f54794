"""The laws of strategy `paper` one by one, on synthetic problems."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from axdnn.generation import Judge, PaperOptions, Problem, paper, units_of
from axdnn.records import Assignment, Evaluation, InvalidInputError

NAMES = ("stem", "a.0.conv", "a.1.conv", "b.0.conv", "b.1.conv", "fc")
Tried = tuple[tuple[int, ...], tuple[float, ...]]


def test_ranks_worked_by_hand(walk: SimpleNamespace) -> None:
    """z = 0.2, 0.6, 1 of five kinds: t_c = 1, 0.9, 0.8 lets ranks 3, 1, 0."""
    p, evaluator = walk.setting(0, 3, 5, 4, budget=0.9, scale=1e-9)
    p = dataclasses.replace(p, weights=np.array([1.0, 0.2, 0.6]), mean_error=np.arange(5.0))
    evaluator.problem = p
    options = PaperOptions(units="layers", step=0.1, sweeps=1, retries=0)
    judge = walk.play(p, evaluator, options)
    assert evaluator.tried() == [((0, 3, 0), (0.0,) * 3), ((0, 3, 1), (0.0,) * 3)]
    assert judge.best.tolist() in ([0, 3, 0], [0, 3, 1])
    p, evaluator = walk.setting(0, 3, 5, 4, budget=0.9, scale=1e-9)
    p = evaluator.problem = dataclasses.replace(p, weights=np.array([1.0, 0.2, 0.6]), mean_error=np.arange(5.0))
    walk.play(p, evaluator, dataclasses.replace(options, step=0.5))  # t_c = 1, 0.5, 0
    assert [choice for choice, _ in evaluator.tried()] == [(0, 3, 0)]


@pytest.mark.parametrize("seed", range(10))
def test_a_less_important_unit_gets_no_milder_multiplier(walk: SimpleNamespace, seed: int) -> None:
    p, evaluator = walk.setting(seed, 5, 7, 7, budget=0.9, scale=1e-9)
    walk.play(p, evaluator, PaperOptions(stop="both", sweeps=1, step=0.1))
    last = np.array(evaluator.tried()[-1][0])
    assert (np.diff(last[np.argsort(p.weights)]) <= 0).all()
    assert last.any()


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_units_are_visited_in_order(walk: SimpleNamespace, order: Any) -> None:
    p, evaluator = walk.setting(3, 6, 7, 7, budget=0.9, scale=1e-9, names=NAMES)
    walk.play(p, evaluator, PaperOptions.literal(order=order, skip=0.5, threshold=3.0))
    units = units_of(NAMES, "groups")
    assert list(units) == ["stem", "a", "b", "fc"]
    weight = {name: p.weights[list(members)].sum() for name, members in units.items()}
    states = [((0,) * 6, (0.0,) * 6), *evaluator.tried()]
    changed = []
    for (one, first), (two, second) in itertools.pairwise(states):
        differ = {i for i in range(6) if one[i] != two[i] or first[i] != second[i]}
        changed += [name for name, members in units.items() if set(members) == differ]
    assert changed == sorted(weight, key=lambda name: weight[name], reverse=order == "descending")


@pytest.mark.parametrize("seed", range(8))
def test_nothing_that_broke_the_budget_stays(walk: SimpleNamespace, seed: int) -> None:
    """Units that share no layer with the failing step's unit keep what they had: the next try starts from there."""
    p, evaluator = walk.setting(seed, 5, 7, 4, scale=0.3)
    judge = walk.play(p, evaluator, PaperOptions(skip=0.4))
    state: Tried = ((0,) * 5, (0.0,) * 5)
    seen_broken = False
    for tried in evaluator.tried():
        differ = [i for i in range(5) if tried[0][i] != state[0][i] or tried[1][i] != state[1][i]]
        assert len(differ) == 1, "one unit differs from what has been committed"
        record = next(e for e in evaluator.history.values() if as_tried(evaluator, e) == tried)
        within = record.accuracy["search"].loss_bound <= p.budget
        seen_broken |= not within
        if record.accepted or (within and "accept" not in record.accuracy):
            state = tried
    assert seen_broken
    assert judge.best_energy_j <= p.energy_j(p.baseline)[0]
    best = evaluator.history[judge.best_assignment.key]
    assert best.accepted
    assert best.accuracy["accept"].loss_bound <= p.budget


def as_tried(evaluator: Any, record: Evaluation) -> Tried:
    choice, shares = evaluator.choice(record.assignment), evaluator.shares(record.assignment)
    return tuple(choice.tolist()), tuple(shares.tolist())


@pytest.mark.parametrize("seed", range(8))
def test_both_ends_when_both_constraints_are_broken(walk: SimpleNamespace, seed: int) -> None:
    ended = 0
    for share in (0.0, 0.5, 0.8, 2.0):
        p, evaluator = walk.setting(seed, 6, 7, 7, scale=0.5)
        most = share * float(p.energy_j(p.baseline)[0])
        walk.play(p, evaluator, PaperOptions.literal(max_energy_j=most, threshold=2.0, units="layers"))
        broken = []
        for choice, _ in evaluator.tried():
            record = Assignment(multipliers={n: p.multipliers[m] for n, m in zip(p.layers, choice, strict=True)})
            loss, energy = evaluator.loss(record, "search"), float(p.energy_j(np.array(choice))[0])
            broken.append(loss > p.budget and energy > most)
        assert not any(broken[:-1]), "it goes on until both are broken"
        ended += broken[-1]
        if not broken[-1]:
            last = np.array(evaluator.tried()[-1][0])
            assert last[np.argmin(p.weights)] > 0
    assert ended


def test_an_energy_that_is_low_enough_ends_it(walk: SimpleNamespace) -> None:
    p, evaluator = walk.setting(1, 5, 7, 5, scale=1e-4)
    whole = walk.play(p, evaluator, PaperOptions())
    enough = 0.5 * (whole.best_energy_j + float(p.energy_j(p.baseline)[0]))
    p, fewer = walk.setting(1, 5, 7, 5, scale=1e-4)
    judge = walk.play(p, fewer, PaperOptions(max_energy_j=enough))
    assert judge.best_energy_j <= enough
    accepted = [e.energy_j for e in fewer.history.values() if e.accepted]
    assert all(e > enough for e in accepted[:-1])
    assert len(fewer.calls) < len(evaluator.calls)


def test_skipping_alone_changes_no_multiplier(walk: SimpleNamespace) -> None:
    p, evaluator = walk.setting(2, 4, 7, 4, scale=0.02)
    judge = walk.play(p, evaluator, PaperOptions(multipliers=False, skip=0.6))
    tried = evaluator.tried()
    assert tried
    assert all(not any(choice) for choice, _ in tried)
    assert judge.best_skipping
    assert max(max(shares) for _, shares in tried) <= 0.6


@pytest.mark.parametrize("pods", [1, 2, 3])
def test_kinds_fit_the_pods(walk: SimpleNamespace, pods: int) -> None:
    for seed in range(5):
        p, evaluator = walk.setting(seed, 6, 7, pods, budget=0.9, scale=1e-6)
        walk.play(p, evaluator, PaperOptions(stop="both"))
        assert all(len(set(choice)) <= pods for choice, _ in evaluator.tried())


def test_the_same_again(walk: SimpleNamespace) -> None:
    runs = []
    for generator in (0, 1):
        p, evaluator = walk.setting(5, 6, 7, 4, scale=0.1)
        judge = Judge(p, evaluator, "paper")
        paper(judge, np.random.default_rng(generator), PaperOptions(skip=0.3))
        runs.append((evaluator.calls, judge.best.tolist(), judge.best_skipping.key))
    assert runs[0] == runs[1]


def test_the_listing_as_printed() -> None:
    options = PaperOptions.literal()
    assert (options.stop, options.sweeps, options.retries, options.order) == ("both", 1, 0, "ascending")
    assert PaperOptions.literal(skip=0.5, stop="rollback") == PaperOptions(
        sweeps=1, retries=0, skip_rule="equal", skip=0.5
    )


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"units": "blocks"}, "groups, layers"), ({"order": "up"}, "ascending"), ({"stop": "or"}, "rollback"),
        ({"skip_rule": "all"}, "scaled"), ({"skip": 1.1}, "skip"), ({"skip": -0.1}, "skip"),
        ({"skip": float("nan")}, "skip"), ({"threshold": float("inf")}, "threshold"), ({"step": -1}, "step"),
        ({"retries": -1}, "retries"), ({"retries": 1.5}, "retries"), ({"sweeps": 0}, "sweeps"),
        ({"sweeps": True}, "sweeps"), ({"max_energy_j": -1.0}, "max_energy_j"), ({"multipliers": False}, "skip > 0"),
        ({"remove": "yes"}, "remove"), ({"multipliers": 1}, "multipliers"),
    ],
)  # fmt: skip
def test_options_that_are_refused(options: dict[str, Any], part: str) -> None:
    with pytest.raises(InvalidInputError, match=part):
        PaperOptions(**options)


def test_skipping_needs_neurons(problem: Callable[..., Problem], known_truth: Any) -> None:
    p = problem(0, 3, 4, 2)
    judge = Judge(p, known_truth(p, 9, np.ones(3)), "paper")
    with pytest.raises(InvalidInputError, match="neurons"):
        paper(judge, np.random.default_rng(0), PaperOptions(skip=0.5))
