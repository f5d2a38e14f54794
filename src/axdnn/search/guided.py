"""`GuidedSampler`: steady-state multi-objective evolution whose mutations follow a guidance, as an Optuna sampler.

Seeds come first, then random candidates, then children of a population that is kept by non-dominated rank and crowding
distance (K. Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE TEC 6(2), 2002, applied
after every evaluation). Without guidance it is a plain evolutionary algorithm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import TrialState

from axdnn.records import InfeasibleError, Scalar, require_finite
from axdnn.search.encoding import from_params
from axdnn.search.fronts import crowding, ranks
from axdnn.search.slots import Candidate
from axdnn.search.space import Space
from axdnn.search.variation import Guidance, crossover, mutate

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

Guide = Callable[[Candidate], Guidance]
FRESH = 30  # tries to make a child that was not proposed before


class GuidedSampler(BaseSampler):
    """Guided evolution.

    What it proposes depends on the seed, the number of the trial and the finished trials, so a resumed study goes on
    as an uninterrupted one.

    Args:
        space: what is searched.
        seed: of all chance.
        guidance: maps a parent to a bias of its mutation; called once a child, so it should be quick or remember.
        seeds: candidates proposed first.
        population: parents kept, at least 2.
        start: random candidates after the seeds; None for half the population less the seeds, at least 4.
        crossover: chance that a child has two parents.
        mutation: chance that a field is changed, at least one is; None for 1 / number of fields that exist.

    Attributes:
        index: number that chance is derived from; None for the number of the trial.
        parents: keys of the parents of the last proposal.
    """

    flat = False

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        *,
        guidance: Guide | None = None,
        seeds: Sequence[Candidate] = (),
        population: int = 32,
        start: int | None = None,
        crossover: float = 0.7,
        mutation: float | None = None,
    ) -> None:
        require_finite("population", population, 2)
        require_finite("crossover", crossover, 0.0, 1.0)
        if mutation is not None:
            require_finite("mutation", mutation, 0.0, 1.0)
        self.space, self.seed, self.guidance = space, seed, guidance
        self.seeds = [space.require(candidate) for candidate in seeds]
        self.start = max(4, population // 2 - len(self.seeds)) if start is None else start
        self.crossover, self.mutation = crossover, mutation
        self.index: int | None = None
        self.parents: tuple[str, ...] = ()
        self._kept = _Population(space, population)
        self._proposal: dict[str, Scalar] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Choose a candidate and return its fields; Optuna then asks for their values."""
        self._kept.update(study)
        index = trial.number if self.index is None else self.index
        rng = np.random.default_rng((self.seed, index))
        self._proposal, self.parents = self._propose(index, rng)
        return {path: self.space.by_path[path].domain.distribution() for path in self._proposal}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the values of the chosen candidate."""
        return dict(self._proposal)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw a field that the chosen candidate lacks, as one set from outside may ask for."""
        index = trial.number if self.index is None else self.index
        rng = np.random.default_rng((self.seed, index, len(trial.params)))
        return self.space.by_path[param_name].domain.draw(rng)

    def _propose(self, index: int, rng: np.random.Generator) -> tuple[dict[str, Scalar], tuple[str, ...]]:
        if index < len(self.seeds):
            return dict(self.seeds[index]), ()
        kept = self._kept
        if index < len(self.seeds) + self.start or not kept.keys:
            return self._fresh(lambda: (self.space.sample(rng), ()))
        return self._fresh(lambda: self._child(rng))

    def _fresh(
        self, make: Callable[[], tuple[dict[str, Scalar], tuple[str, ...]]]
    ) -> tuple[dict[str, Scalar], tuple[str, ...]]:
        """Return the first of a few candidates that no trial has had, else the last of them."""
        for _ in range(FRESH):
            candidate, parents = make()
            if self.space.key(candidate) not in self._kept.known:
                break
        return candidate, parents

    def _child(self, rng: np.random.Generator) -> tuple[dict[str, Scalar], tuple[str, ...]]:
        kept = self._kept
        first, second = kept.tournament(rng), kept.tournament(rng)
        parent, parents = kept.candidates[first], [kept.keys[first]]
        if first != second and rng.random() < self.crossover:
            parent = crossover(self.space, parent, kept.candidates[second], rng)
            parents.append(kept.keys[second])
        rate = 1.0 / len(parent) if self.mutation is None else self.mutation
        fields = max(1, int(rng.binomial(len(parent), rate)))
        guidance = self.guidance(parent) if self.guidance else None
        try:
            return mutate(self.space, parent, rng, fields, guidance), tuple(parents)
        except InfeasibleError:  # a parent without valid neighbours
            return self.space.sample(rng), ()


class _Population:
    """The best candidates so far, read from the finished trials of a study in the order of their numbers."""

    def __init__(self, space: Space, size: int) -> None:
        self.space, self.size = space, size
        self.candidates: list[dict[str, Scalar]] = []
        self.keys: list[str] = []
        self.known: set[str] = set()
        self._taken: set[str] = set()
        self._seen: set[int] = set()
        self._points: list[list[float]] = []
        self._penalty: list[float] = []
        self._rank, self._crowding = np.zeros(0), np.zeros(0)
        self._study = ""

    def update(self, study: Study) -> None:
        """Take in what finished since the last call."""
        if self._study != study.study_name:  # a sampler may be used for one study after another
            self.__init__(self.space, self.size)  # type: ignore[misc]
            self._study = study.study_name
        signs = [1.0 if d != StudyDirection.MAXIMIZE else -1.0 for d in study.directions]
        for trial in study.get_trials(deepcopy=False):
            if trial.number in self._seen or trial.state in (TrialState.RUNNING, TrialState.WAITING):
                continue
            self._seen.add(trial.number)
            self._add(trial, signs)

    def _add(self, trial: FrozenTrial, signs: list[float]) -> None:
        candidate = from_params(self.space, trial.params)
        key = self.space.key(candidate)
        if trial.state == TrialState.FAIL and not trial.params:
            return
        self.known.add(key)  # also of a lost trial, whose repetition may still become a parent
        if trial.state != TrialState.COMPLETE or key in self._taken or self.space.why_invalid(candidate):
            return
        self._taken.add(key)
        self.candidates.append(candidate)
        self.keys.append(key)
        self._points.append([sign * value for sign, value in zip(signs, trial.values, strict=True)])
        self._penalty.append(sum(max(v, 0.0) for v in trial.constraints.values()))
        self._keep_best()

    def _keep_best(self) -> None:
        points = np.array(self._points)
        self._rank = ranks(points, np.array(self._penalty) if any(self._penalty) else None)
        self._crowding = np.zeros(len(points))
        for rank in np.unique(self._rank):
            members = self._rank == rank
            self._crowding[members] = crowding(points[members])
        if len(points) > self.size:
            worst = int(np.lexsort((-self._crowding, self._rank))[-1])
            for column in (self.candidates, self.keys, self._points, self._penalty):
                del column[worst]
            self._rank, self._crowding = np.delete(self._rank, worst), np.delete(self._crowding, worst)

    def tournament(self, rng: np.random.Generator) -> int:
        """Return the better of two drawn at random: lower rank, then less crowded."""
        one, other = (int(i) for i in rng.integers(len(self.keys), size=2))
        better = (self._rank[one], -self._crowding[one]) <= (self._rank[other], -self._crowding[other])
        return one if better else other
