"""Shares of skipped neurons chosen together with multipliers: optimal for what is predicted, kept limits, resumed."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from axdnn.evaluation import OutOfEvaluationsError, Split
from axdnn.generation import (
    Constraints,
    Judge,
    LossPredictor,
    Programme,
    Request,
    Run,
    SkipOptions,
    SkippingProblem,
    SkipProgramme,
    generate,
    generate_front,
    integer,
    programme_of,
    tune,
)
from axdnn.layers import Recipe
from axdnn.records import GenerationResult, InfeasibleError, InvalidInputError, from_json, to_json
from axdnn.testing import counted_images

Small = tuple[nn.Module, torch.Tensor, dict[str, Split]]
CIRCUITS = "mul8s_1L2L,mul8u_QKX,mul8u_13QR"
FEW = SkipOptions(fractions=(0.25, 0.5))
GAP = 1e-9


def request(**options: Any) -> Request:
    settings = {
        "max_accuracy_loss": 8.0, "multipliers": CIRCUITS, "evaluations": 8, "recipe": Recipe(fit_rows=64),
        "objective": "multiplier", "skip": FEW,
    }  # fmt: skip
    return Request(**{**settings, **options})


@pytest.fixture(scope="module")
def known(small: Small) -> tuple[Run, SkippingProblem]:
    run = Run(*small, request())
    problem = run.problem()
    assert isinstance(problem, SkippingProblem)
    return run, problem


def every(problem: SkippingProblem) -> np.ndarray:
    options = [range(len(problem.multipliers))] * len(problem.layers)
    levels = [range(last + 1) for last in problem.levels.last]
    return np.array(list(itertools.product(*options, *levels)), dtype=np.int64)


def harm(problem: SkippingProblem, rng: np.random.Generator) -> np.ndarray:
    """Made-up damage: any for multipliers, growing along the levels of skipping, none for the exact network."""
    damage = 10 ** rng.uniform(-4, -1, problem.prior.harm.shape)
    damage[:, 0] = 0.0
    damage[len(problem.layers) :] = np.cumsum(damage[len(problem.layers) :], axis=1)
    return damage


@pytest.mark.parametrize("skip", [FEW, SkipOptions(fractions=FEW.fractions, multipliers=False)], ids=["both", "alone"])
@pytest.mark.parametrize("objective", ["multiplier", "energy"])
def test_cheapest_and_safest_are_the_optimum(small: Small, skip: SkipOptions, objective: Any) -> None:
    """All 1728 choices of four multipliers and three levels in three layers, some of them refused before."""
    problem = Run(*small, request(skip=skip, objective=objective, accelerator="edge_16x16")).problem()
    assert isinstance(problem, SkippingProblem)
    choices, rng, gaps = every(problem), np.random.default_rng(0), []
    energies = problem.energy_j(choices)
    for case in range(12):
        damage = LossPredictor(problem).table if case == 0 else harm(problem, rng)
        programme = programme_of(problem, damage)
        assert isinstance(programme, SkipProgramme)
        free = np.isfinite(energies)
        for refused in choices[rng.integers(1, len(choices), 3)]:
            programme.refuse(refused)
            layers = len(problem.layers)
            same = (choices[:, :layers] == refused[:layers]).all(axis=1)
            free &= ~(same & (choices[:, layers:] >= refused[layers:]).all(axis=1))
        total = programme.damage_of(choices)
        most = float(np.quantile(total, rng.uniform(0.05, 0.8)))
        allowed = free & (total <= most)
        for quick in (False, True):
            found = programme.cheapest(most, quick=quick)
            assert (found is None) == (not allowed.any())
            if found is not None:
                at = int(np.flatnonzero((choices == found).all(axis=1))[0])
                assert allowed[at], "what was refused, or a superset of it, is not proposed"
                gaps.append((quick, energies[at] / energies[allowed].min() - 1))
        limit = float(np.quantile(energies[free], rng.uniform(0.05, 0.9)))
        found = programme.safest(limit)
        below = free & (energies < limit)
        assert (found is None) == (not below.any())
        if found is not None:
            gaps.append((False, programme.damage_of(found)[0] / max(total[below].min(), 1e-12) - 1))
    whole = [gap for quick, gap in gaps if not quick]
    assert np.mean([gap > GAP for gap in whole]) <= 0.05
    assert np.mean([gap > GAP for quick, gap in gaps if quick]) <= 0.2


def test_no_level_is_todays_problem_and_choice(small: Small, known: tuple[Run, SkippingProblem]) -> None:
    """Prices, predictions and proposals at level 0 are those of a problem without levels; so is a run without any."""
    _, problem = known
    plain = Run(*small, request(skip=None)).problem()
    kinds = np.random.default_rng(0).integers(0, len(plain.multipliers), (50, len(plain.layers)))
    with_none = np.hstack([kinds, np.zeros((50, len(problem.levels.layers)), dtype=np.int64)])
    np.testing.assert_allclose(problem.energy_j(with_none), plain.energy_j(kinds), rtol=1e-14)
    predictors = LossPredictor(problem), LossPredictor(plain)
    for one, other in zip(with_none[:5], kinds[:5], strict=True):
        assert problem.assignment(one) == plain.assignment(other)
        assert predictors[0].predict(one) == pytest.approx(predictors[1].predict(other))
        predictors[0].learn(one, 0.02)
        predictors[1].learn(other, 0.02)
    forever = predictors[0].table.copy()
    forever[len(problem.layers) :, 1:] = 1.0  # skipping is never worth it
    most = float(np.median(predictors[1].table.sum(axis=0)))
    found = programme_of(problem, forever).cheapest(most)
    alone = programme_of(plain, predictors[1].table)
    assert type(alone) is Programme
    assert found is not None
    assert found.tolist() == [*np.asarray(alone.cheapest(most)).tolist(), 0, 0, 0]
    nothing, off = (generate(*small, request(skip=s)) for s in (SkipOptions(fractions=(0,)), None))
    same = {"wall_s": 0.0}
    assert msgspec.structs.replace(nothing, **same) == msgspec.structs.replace(off, **same)


def test_levels_are_measured_and_do_less_harm_the_fewer_neurons_go(known: tuple[Run, SkippingProblem]) -> None:
    run, problem = known
    expected = problem.levels.expected
    assert expected is not None
    assert problem.expected is not None
    assert not expected.nats[:, 0].any()
    assert (np.diff(expected.nats, axis=1) >= 0).all()
    assert 3 <= expected.measured_pairs <= 6
    choice, search = problem.baseline, run.splits["search"]
    choice[-3] = 2
    few = Split("sensitivity", search.images[:40], search.labels[:40])
    measured = run.evaluator.divergences([problem.assignment(choice)], few)[0]
    assert expected.nats[0, 2] == pytest.approx(measured, rel=0.2)
    table = LossPredictor(problem)
    table.learn(choice, 0.5)
    choice[-3] = 1
    table.learn(choice, 0.9)
    assert (np.diff(table.table[3:], axis=1) >= 0).all(), "a smaller share never looks worse than a larger one"


def plain(result: GenerationResult) -> str:
    return to_json(msgspec.structs.replace(result, wall_s=0.0))


@pytest.mark.parametrize("alone", [False, True], ids=["both", "alone"])
def test_a_run_is_counted_cached_and_resumed(small: Small, tmp_path: Path, alone: bool) -> None:
    asked = request(skip=SkipOptions(multipliers=not alone), evaluations=9)
    whole = generate(*small, asked, cache=tmp_path / "whole", codings=tmp_path / "codings")
    assert whole.status == "met"
    assert whole.skipped
    assert whole.multiplier_energy_j < whole.baseline_multiplier_energy_j
    chosen = whole.chosen.assignment
    assert whole.cost.multiplier_energy_j == whole.chosen.multiplier_energy_j
    assert not alone or set(chosen.multipliers.values()) == {"mul8s_1KV6"}
    assert from_json(GenerationResult, to_json(whole)) == whole
    assert any("layers that can skip" in note for note in whole.notes)
    assert any("level of skipping; 3 of these" in note for note in whole.notes)
    accepted = [e.multiplier_energy_j for e in whole.visited if e.accepted]
    assert whole.multiplier_energy_j == min(accepted)

    def stop(message: str, done: int, total: int) -> None:
        if message.startswith(("search", "accept")) and done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(*small, asked, cache=tmp_path / "part", codings=tmp_path / "codings", progress=stop)
    with counted_images() as seen:
        resumed = generate(*small, asked, cache=tmp_path / "part", codings=tmp_path / "codings")
    assert plain(resumed) == plain(whole)
    assert sum(images == 400 for images in seen) < whole.evaluations + 3
    with counted_images() as seen:
        again = generate(*small, asked, cache=tmp_path / "whole", codings=tmp_path / "codings")
    assert plain(again) == plain(whole)
    assert seen.count(400) == 1, "only the float network runs on a whole split again"


def test_more_budget_never_costs_more(small: Small) -> None:
    results = generate_front(*small, request(evaluations=6), (3.0, 12.0, 6.0))
    energies = [result.multiplier_energy_j for result in results]
    assert energies == sorted(energies, reverse=True)
    assert results[-1].skipped
    for early, late in itertools.pairwise(results):
        keys = [[e.assignment.key for e in r.visited] for r in (early, late)]
        assert keys[0] == keys[1][: len(keys[0])], "the later search goes on from the earlier one"
        assert len(set(keys[1])) == len(keys[1]), "nothing is tried twice"


def test_limits_hold(small: Small) -> None:
    """Kinds and ties, and a latency that only a network with skipped neurons keeps."""
    limits = Constraints(most_kinds=2, tied=("fc*",))
    result = generate(*small, request(constraints=limits, evaluations=6))
    assert len(set(result.assignment.values())) <= 2
    assert result.assignment["fc1"] == result.assignment["fc2"]
    assert result.multiplier_energy_j < result.baseline_multiplier_energy_j
    chip = "edge_16x16"
    exact = generate(*small, request(accelerator=chip, evaluations=3, skip=None)).baseline_latency_s
    asked = {"accelerator": chip, "max_accuracy_loss": 20.0, "evaluations": 8, "objective": "energy"}
    fast = generate(*small, request(**asked, constraints=Constraints(max_latency_s=0.99 * exact)))
    assert fast.status == "met"
    assert fast.latency_s <= 0.99 * exact * (1 + 1e-9)
    with pytest.raises(InfeasibleError, match="as many neurons skipped as can be"):
        generate(*small, request(**asked, constraints=Constraints(max_latency_s=0.1 * exact)))


def test_what_was_refused_is_refused_with_more_skipped(known: tuple[Run, SkippingProblem]) -> None:
    """No choice that the search tries skips as much or more everywhere, with the same multipliers, as a refused one."""
    run, problem = known
    judge = Judge(problem, run.evaluator, "integer")
    run.evaluator.cap = 14
    with contextlib.suppress(OutOfEvaluationsError):
        integer(judge, np.random.default_rng(0))
    tried = [(np.array(key), verdict) for key, verdict in judge.tried.items()]
    assert len(tried) > 4
    for (one, verdict), (later, _) in itertools.combinations(tried, 2):
        if not verdict.accepted and (one[:3] == later[:3]).all():
            assert not (later[3:] >= one[3:]).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fractions": ()}, "fractions"), ({"fractions": (1.5,)}, "fractions"), ({"fractions": (-0.1,)}, "fractions"),
        ({"fractions": (float("nan"),)}, "fractions"), ({"fractions": "auto"}, "fractions"),
        ({"multipliers": 1}, "True or False"), ({"fractions": (0,), "multipliers": False}, "above 0"),
        ({"fractions": tuple(np.linspace(0.01, 0.9, 40))}, "at most 32"),
    ],
)  # fmt: skip
def test_bad_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        SkipOptions(**options)


def test_equal_options_are_equal_and_other_strategies_refuse_them(
    small: Small, small_train: Split, tmp_path: Path
) -> None:
    assert SkipOptions(fractions=(0.5, 0, 0.25, 0.5)) == SkipOptions(fractions=[0.25, 0.5])  # type: ignore[arg-type]
    for strategy in ("greedy", "paper", "random"):
        with pytest.raises(InvalidInputError, match=f"`skip` is for strategy `integer`.*`{strategy}`"):
            request(strategy=strategy)
    tiny = SkipOptions(fractions=(0.01,), multipliers=False)
    with pytest.raises(InvalidInputError, match="no layer can skip"):
        generate(*small, request(skip=tiny))
    both = generate(*small, request(skip=dataclasses.replace(tiny, multipliers=True), evaluations=3))
    assert not both.skipped
    assert any("no layer can skip neurons" in note for note in both.notes)
    with pytest.raises(InvalidInputError, match="leave `skip` out"):
        tune(Run(*small, request()), small_train)
