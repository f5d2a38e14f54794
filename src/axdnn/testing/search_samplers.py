"""The laws of samplers as tests: subclass `SamplerLaws` and name a sampler as `search` takes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from axdnn.records import Objective, Scalar, SearchHistory
from axdnn.search import Categorical, Integer, Named, Real, Repeat, Run, Space, When, search
from axdnn.search.problems import Problem, stacks, zdt1

Candidate = Mapping[str, Scalar]


def law_space() -> Space:
    """Return a space with every kind of field, conditions, blocks, and a rule that refuses some candidates."""
    block = (
        Categorical(name="kind", values=("conv", "pool")),
        Integer(name="width", low=1, high=64, log=True, when=(When(field="kind", values=("conv",)),)),
    )
    return Space(
        (
            Categorical(name="fixed", values=("only",)),
            Categorical(name="flag", values=(True, False)),
            Real(name="rate", low=1e-4, high=1e-1, log=True, when=(When(field="flag", values=(True,)),)),
            Real(name="share", low=0.0, high=1.0, step=0.25),
            Repeat(name="blocks", least=0, most=3, fields=block),
        ),
        check=_not_all_pooled,
    )


def _not_all_pooled(candidate: Candidate) -> str | None:
    kinds = [candidate[f"blocks/{i}/kind"] for i in range(int(candidate["blocks"]))]
    return "some block must not be pooled" if kinds and set(kinds) == {"pool"} else None


def law_figures(candidate: Candidate, run: Run) -> Mapping[str, float]:
    """Return two figures of a candidate of `law_space`; some candidates fail."""
    widths = [float(candidate.get(f"blocks/{i}/width", 0.5)) for i in range(int(candidate["blocks"]))]
    if candidate["share"] == 0.75 and len(widths) == 3:
        raise ValueError("this one cannot be trained")
    return {
        "a": 1.0 / (1.0 + sum(widths)) + float(candidate.get("rate", 0.05)),
        "b": sum(widths) + float(candidate["share"]),
    }


OBJECTIVES = (Objective(name="a", reference=2.0), Objective(name="b", reference=300.0))


class SamplerLaws:
    """Subclass as `TestMySampler` and set `sampler`; pytest collects the checks.

    Attributes:
        sampler: name, or `Named` with options.
        trials: evaluations of each check; few for a sampler that is slow.
        seeds: of the comparisons with random search.
        budget: evaluations of the comparisons.
        beats: share of the way from the hypervolume of random search to that of the known front that the mean over the
            seeds must make good on ZDT1 (ten fields in 21 steps); None for a baseline, which need not be better.
        beats_conditional: the same on a conditional space.
    """

    sampler: str | Named = ""
    trials: int = 30
    seeds: tuple[int, ...] = (0, 1, 2)
    budget: int = 120
    beats: float | None = 0.1
    beats_conditional: float | None = 0.1

    def run(self, trials: int, storage: Path | None = None, seed: int = 0) -> SearchHistory:
        """Search `law_space`."""
        return search(
            law_space(), law_figures, OBJECTIVES, trials=trials, sampler=self.sampler, seed=seed, storage=storage
        )

    def test_every_proposal_is_valid_and_new(self) -> None:
        """Conditions, blocks, a rule and failed evaluations are no trouble; equal candidates are evaluated once."""
        found = self.run(self.trials)
        space = law_space()
        evaluated = [trial for trial in found.trials if trial.evaluated]
        assert found.evaluations == len(evaluated) == self.trials
        assert not [reason for trial in evaluated if (reason := space.why_invalid(trial.candidate))]
        assert len({trial.key for trial in evaluated}) == self.trials
        assert {trial.outcome for trial in found.trials} <= {"complete", "failed", "recalled", "invalid"}
        assert all("cannot be trained" in trial.reason for trial in found.trials if trial.outcome == "failed")

    def test_a_resumed_search_ends_as_one_that_was_not_interrupted(self, tmp_path: Path) -> None:
        """Chance comes from the seed and the place of the proposal: nothing is kept in memory."""
        whole = self.run(self.trials)
        for trials in (3, self.trials // 2, self.trials):
            resumed = self.run(trials, tmp_path / "study")
        assert [t.candidate for t in resumed.trials] == [t.candidate for t in whole.trials]
        assert [t.values for t in resumed.trials] == [t.values for t in whole.trials]
        assert resumed.front == whole.front
        assert [t.key for t in self.run(8, seed=1).trials] != [t.key for t in whole.trials[:8]]

    def test_one_objective_that_is_maximised(self) -> None:
        """Directions are understood: the best is better than the first ones."""
        objective = (Objective(name="b", direction="maximize", reference=0.0),)
        found = search(law_space(), law_figures, objective, trials=self.trials, sampler=self.sampler)
        best = [trial.values["b"] for trial in found.front_trials]
        assert len(best) == 1
        assert best[0] == max(trial.values["b"] for trial in found.trials if trial.outcome == "complete")

    def test_a_small_space_is_exhausted(self) -> None:
        """A sampler that only repeats itself does not keep the search from the last candidates."""
        space = Space((Integer(name="x", low=0, high=3), Categorical(name="y", values=("a", "b"))))
        found = search(space, _small, (Objective(name="v", reference=9.0),), trials=100, sampler=self.sampler, seed=5)
        assert found.evaluations == space.size == 8
        assert found.reason == "exhausted"

    def test_it_is_better_than_chance(self) -> None:
        """Hypervolume on ZDT1 at an equal budget."""
        gains = [self.gain(zdt1(), seed) for seed in self.seeds] if self.beats is not None else []
        assert not gains or sum(gains) / len(gains) >= (self.beats or 0.0), f"gains over random search: {gains}"

    def test_it_is_better_than_chance_on_a_conditional_space(self) -> None:
        """The same with a variable number of blocks, whose front is found by enumeration."""
        gains = [self.gain(stacks(), seed) for seed in self.seeds] if self.beats_conditional is not None else []
        mean = sum(gains) / len(gains) if gains else 0.0
        assert not gains or mean >= (self.beats_conditional or 0.0), f"gains over random search: {gains}"

    def gain(self, problem: Problem, seed: int) -> float:
        """Return the gain in hypervolume over random search, as a share of what the known front would gain."""
        chance, own = (
            search(
                problem.space, problem.evaluate, problem.objectives, trials=self.budget, sampler=sampler, seed=seed
            ).hypervolume[-1]
            for sampler in ("random", self.sampler)
        )
        assert max(chance, own) <= problem.best * (1.0 + 1e-9), "nothing is beyond the known front"
        return (own - chance) / (problem.best - chance)


def _small(candidate: Candidate, run: Run) -> Mapping[str, float]:
    return {"v": float(candidate["x"]) + (candidate["y"] == "a")}
