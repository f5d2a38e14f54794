"""Samplers by name, and the wrapper that makes them repeatable: chance is derived from the place of a proposal."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.samplers import BaseSampler

from axdnn.records import InvalidInputError, unknown_name
from axdnn.search.named import Named, load
from axdnn.search.slots import Candidate
from axdnn.search.space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, TrialState

MakeSampler = Callable[..., BaseSampler]


@dataclass(frozen=True)
class SamplerKind:
    """How a sampler is made: `make(space, seed, **options)`.

    `flat`: whether it needs one fixed set of parameters, so that it is asked for every field of the space and those
    that do not exist are left out afterwards. `keeps`: whether one instance serves all trials, because it derives
    chance from `index` itself; others are made anew for each trial.
    """

    make: MakeSampler
    flat: bool = False
    keeps: bool = False


def _random(space: Space, seed: int, **options: Any) -> BaseSampler:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed, **options)


def _tpe(space: Space, seed: int, **options: Any) -> BaseSampler:
    from optuna.samplers import TPESampler

    # Groups of fields that exist together are modelled together; running trials count as bad ones.
    return TPESampler(seed=seed, **{"multivariate": True, "group": True, "constant_liar": True, **options})


def _gp(space: Space, seed: int, **options: Any) -> BaseSampler:
    from optuna.samplers import GPSampler

    return GPSampler(seed=seed, **options)


def _nsga2(space: Space, seed: int, **options: Any) -> BaseSampler:
    from optuna.samplers import NSGAIISampler

    return NSGAIISampler(seed=seed, **options)


def _nsga3(space: Space, seed: int, **options: Any) -> BaseSampler:
    from optuna.samplers import NSGAIIISampler

    return NSGAIIISampler(seed=seed, **options)


def _guided(space: Space, seed: int, **options: Any) -> BaseSampler:
    from axdnn.search.guided import GuidedSampler

    return GuidedSampler(space, seed, **options)


SAMPLERS: Mapping[str, SamplerKind] = {
    "random": SamplerKind(_random),
    "tpe": SamplerKind(_tpe),
    "gp": SamplerKind(_gp, flat=True),
    "nsga2": SamplerKind(_nsga2, flat=True),
    "nsga3": SamplerKind(_nsga3, flat=True),
    "guided": SamplerKind(_guided, keeps=True),
}


def sampler_kind(sampler: str | Named) -> tuple[SamplerKind, dict[str, Any]]:
    """Return how a sampler is made, and its options.

    Args:
        sampler: a name of `SAMPLERS`, or `package.module:factory`, called with the space, a seed and the options.

    Raises:
        UnknownNameError: there is none of that name.
    """
    name, options = (sampler, {}) if isinstance(sampler, str) else (sampler.name, dict(sampler.settings))
    if name in SAMPLERS:
        return SAMPLERS[name], options
    if ":" not in name:
        raise unknown_name("sampler", name, SAMPLERS, "Or name a factory as package.module:function")
    make = load(name)
    return SamplerKind(make, bool(getattr(make, "flat", False)), bool(getattr(make, "keeps", False))), options


def require_sampler(sampler: str | Named, space: Space, seed: int) -> None:
    """Check name and options of a sampler by making it once.

    Raises:
        UnknownNameError: unknown name.
        InvalidInputError: options it refuses.
    """
    kind, options = sampler_kind(sampler)
    try:
        _quiet(kind.make, space, seed, options)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"sampler {sampler!r} must accept its options, but: {error}") from error


class IndexedSampler(BaseSampler):
    """A sampler whose chance comes from a seed and the index of the proposal, not from what it did before.

    Args:
        kind: how the inner sampler is made.
        space: what is searched.
        seed: of the study.
        options: of the inner sampler.
        seeds: candidates of the first indices.

    Attributes:
        index: of the proposal that is asked for next; None for the number of the trial.
        forced: the candidate to propose next, whatever the inner sampler says.
        parents: keys of the parents of the last proposal, where the inner sampler knows them.
    """

    def __init__(
        self, kind: SamplerKind, space: Space, seed: int, options: Mapping[str, Any], seeds: Sequence[Candidate] = ()
    ) -> None:
        self.kind, self.space, self.seed, self.options = kind, space, seed, dict(options)
        self.seeds = [space.require(candidate) for candidate in seeds]
        self.index: int | None = None
        self.forced: Candidate | None = None
        self.parents: tuple[str, ...] = ()
        self._inner: BaseSampler | None = None
        self._relative: dict[str, BaseDistribution] = {}
        self._now: Candidate | None = None

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Make the inner sampler for this proposal."""
        index = trial.number if self.index is None else self.index
        self._now = self.forced or (self.seeds[index] if index < len(self.seeds) else None)
        if self._inner is None or not self.kind.keeps:
            seed = self.seed if self.kind.keeps else derived_seed(self.seed, index)
            self._inner = _quiet(self.kind.make, self.space, seed, self.options)
        if self.kind.keeps:
            self._inner.index = index  # type: ignore[attr-defined]
        self._inner.before_trial(study, trial)

    @property
    def inner(self) -> BaseSampler:
        """The sampler of the current proposal."""
        assert self._inner is not None, "before_trial comes first"
        return self._inner

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters of the inner sampler and those of a candidate that is set from outside."""
        self._relative = self.inner.infer_relative_search_space(study, trial)
        set_here = {path: self.space.by_path[path].domain.distribution() for path in self._now or ()}
        return {**self._relative, **set_here}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Ask the inner sampler, which may keep books of generations, and put a candidate set from outside over it."""
        drawn = self.inner.sample_relative(study, trial, self._relative)
        self.parents = () if self._now else tuple(getattr(self.inner, "parents", ()))
        return {**drawn, **(self._now or {})}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Ask the inner sampler."""
        return self.inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Tell the inner sampler."""
        if self._inner is not None:
            self._inner.after_trial(study, trial, state, values)


def derived_seed(seed: int, *places: int) -> int:
    """Return a seed of 31 bits that depends on a seed and places alone, the same in any process."""
    text = ",".join(map(str, (seed, *places)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def _quiet(make: MakeSampler, space: Space, seed: int, options: Mapping[str, Any]) -> BaseSampler:
    """Make a sampler without Optuna's remark that some of its options are experimental."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return make(space, seed, **options)
