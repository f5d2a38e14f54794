"""Every sampler under the laws of the kit; fronts of DTLZ2; guidance, seeds, options."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import optuna
import pytest

from axdnn.records import InvalidInputError, Objective, Scalar, UnknownNameError
from axdnn.search import SAMPLERS, Guidance, GuidedSampler, Named, Run, search, suggest
from axdnn.search.problems import dtlz2, stacks, zdt1
from axdnn.testing import SamplerLaws


class TestRandom(SamplerLaws):
    sampler = "random"
    beats = beats_conditional = None


class TestGuided(SamplerLaws):
    sampler = "guided"
    beats, beats_conditional = 0.4, 0.3


class TestNsga2(SamplerLaws):
    sampler = Named("nsga2", {"population_size": 20})
    seeds = (0, 1)
    beats, beats_conditional = 0.15, 0.15


@pytest.mark.slow
class TestNsga3(SamplerLaws):
    sampler = Named("nsga3", {"population_size": 20})
    seeds = (0, 1)
    beats, beats_conditional = 0.15, 0.1


class TestTpe(SamplerLaws):
    sampler = "tpe"
    trials = 16
    seeds = (0, 1)
    budget = 60
    beats, beats_conditional = 0.3, 0.05


@pytest.mark.slow
class TestGp(SamplerLaws):
    sampler = "gp"
    trials = 14
    seeds = (0,)
    budget = 40
    beats, beats_conditional = 0.3, None


def volume(sampler: str | Named, seed: int, trials: int = 150) -> float:
    problem = dtlz2()
    found = search(problem.space, problem.evaluate, problem.objectives, trials=trials, sampler=sampler, seed=seed)
    assert found.hypervolume[-1] <= 1.5**3 - np.pi / 6  # the volume beyond the part of the sphere
    return found.hypervolume[-1]


def test_three_objectives() -> None:
    chance = [volume("random", seed) for seed in (0, 1, 2)]
    for sampler in ("guided", Named("nsga3", {"population_size": 20})):
        mean = np.mean([volume(sampler, seed) for seed in (0, 1, 2)])
        assert mean > max(chance), f"{sampler}: {mean} against {chance} by chance"


def lowest_first(candidate: Mapping[str, Scalar]) -> Guidance:
    """Knows the answer of ZDT1: all but the first variable should be 0."""
    others = [path for path in candidate if path != "x0"]
    return Guidance({p: float(candidate[p] != 0) for p in others} | {"x0": 0.2}, {p: {0: 1.0} for p in others})


def highest_first(candidate: Mapping[str, Scalar]) -> Guidance:
    others = [path for path in candidate if path != "x0"]
    return Guidance({}, {path: {20: 1.0} for path in others})


def test_guidance_decides_how_soon_the_front_is_reached() -> None:
    problem = zdt1()

    def after(guidance: object, seed: int) -> float:
        found = search(
            problem.space, problem.evaluate, problem.objectives, trials=60, guidance=guidance, seed=seed,  # type: ignore[arg-type]
        )  # fmt: skip
        return found.hypervolume[-1] / problem.best

    good, none, bad = (np.mean([after(g, seed) for seed in range(3)]) for g in (lowest_first, None, highest_first))
    assert good > none > bad
    assert good > 0.93


def test_seeds_come_first_with_every_sampler() -> None:
    problem = stacks(2)
    seeds = [problem.space.sample(np.random.default_rng(i)) for i in range(5)]
    for sampler in SAMPLERS:
        found = search(
            problem.space, problem.evaluate, problem.objectives, trials=7, sampler=sampler, seeds=seeds, seed=1
        )
        assert [trial.candidate for trial in found.trials[:5]] == seeds
        assert found.evaluations == 7


def test_children_know_their_parents() -> None:
    problem = stacks(2)
    seen: dict[str, tuple[str, ...]] = {}

    def evaluate(candidate: Mapping[str, Scalar], run: Run) -> Mapping[str, float]:
        assert all(parent in seen for parent in run.parents)
        seen[run.key] = run.parents
        return problem.evaluate(candidate, run)

    found = search(problem.space, evaluate, problem.objectives, trials=60)
    assert found.failed == 0
    assert sum(len(parents) > 0 for parents in seen.values()) > 30
    assert {trial.key: trial.parents for trial in found.trials if trial.evaluated} == seen


def test_constraints_keep_infeasible_candidates_off_the_front() -> None:
    from axdnn.records import Constraint

    problem = zdt1()
    limit = Constraint(name="f1", sense=">=", bound=0.5)
    for sampler in ("guided", Named("nsga2", {"population_size": 16}), "tpe"):
        found = search(
            problem.space, problem.evaluate, problem.objectives, trials=40, sampler=sampler, constraints=(limit,)
        )
        assert found.front_trials
        assert all(trial.values["f1"] >= 0.5 for trial in found.front_trials)
        assert any(not trial.feasible for trial in found.trials if trial.outcome == "complete")
        late = [trial.feasible for trial in found.trials if trial.outcome == "complete"][-20:]
        assert sum(late) > 10, f"{sampler} must turn to feasible candidates"


def test_the_guided_sampler_is_a_plain_optuna_sampler() -> None:
    problem = stacks(2)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        directions=["minimize", "minimize"], sampler=GuidedSampler(problem.space, seed=3, population=8)
    )

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        figures = problem.evaluate(suggest(problem.space, trial), Run(number=trial.number, key="", seed=0))
        return figures["error"], figures["energy"]

    study.optimize(objective, n_trials=60)
    assert len(study.trials) == 60
    assert len(study.best_trials) > 5


def test_unknown_samplers_and_options_are_named() -> None:
    problem = stacks(2)

    def run(sampler: str | Named, **more: object) -> None:
        search(problem.space, problem.evaluate, problem.objectives, trials=3, sampler=sampler, **more)  # type: ignore[arg-type]

    with pytest.raises(UnknownNameError, match="unknown sampler 'nsga'; nearest: nsga"):
        run("nsga")
    with pytest.raises(InvalidInputError, match="populations"):
        run(Named("guided", {"populations": 3}))
    with pytest.raises(InvalidInputError, match="population >= 2"):
        run(Named("guided", {"population": 1}))
    with pytest.raises(InvalidInputError, match="guidance needs the sampler 'guided'"):
        run("random", guidance=lowest_first)
    with pytest.raises(InvalidInputError, match="importable"):
        run("no_such_module:make")
    with pytest.raises(InvalidInputError, match="objectives with different names"):
        search(problem.space, problem.evaluate, (Objective(name="a"), Objective(name="a")), trials=3)
