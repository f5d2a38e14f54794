"""A ladder of fidelities: cheap figures early (few epochs, part of the data), and stopping those that lag behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from axdnn.records import InvalidInputError, Record, require_finite

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.study import StudyDirection


class Ladder(Record, frozen=True, kw_only=True):
    """Fidelities `first`, `first * factor`, ... (`rungs` of them), and the rule that stops a candidate at one.

    An evaluation calls `run.report(fidelity, value)` after each rung.

    Attributes:
        measure: what is reported, for people.
        first: lowest fidelity, at least 1, such as epochs or images.
        factor: ratio of two rungs, at least 2.
        rungs: number of rungs, at least 1; the last one is the full evaluation.
        direction: of the measure.
        rule: `halving` (asynchronous successive halving: the best 1 / factor of a rung goes on), `median` (what is
            worse than the median of a rung stops), or `none`.
        warm_up: trials that are never stopped, for `median`.
    """

    measure: str
    first: int = 1
    factor: int = 3
    rungs: int = 3
    direction: Literal["minimize", "maximize"] = "maximize"
    rule: Literal["halving", "median", "none"] = "halving"
    warm_up: int = 5

    def __post_init__(self) -> None:
        """Check the rungs and the rule."""
        require_finite("first", self.first, 1)
        require_finite("factor", self.factor, 2)
        require_finite("rungs", self.rungs, 1)
        if self.rule not in ("halving", "median", "none") or self.direction not in ("minimize", "maximize"):
            raise InvalidInputError(f"rule and direction must be known, but got {self.rule!r}, {self.direction!r}")

    @property
    def fidelities(self) -> tuple[int, ...]:
        """All rungs, lowest first."""
        return tuple(self.first * self.factor**i for i in range(self.rungs))

    def pruner(self) -> BasePruner:
        """Return the rule as an Optuna pruner."""
        from optuna.pruners import MedianPruner, NopPruner, SuccessiveHalvingPruner

        if self.rule == "halving":
            return SuccessiveHalvingPruner(min_resource=self.first, reduction_factor=self.factor)
        return MedianPruner(n_startup_trials=self.warm_up) if self.rule == "median" else NopPruner()

    def stops(self, study: Study, trial_number: int, pruner: BasePruner) -> bool:
        """Whether a running trial should stop after what it reported last."""
        trial = next(t for t in reversed(study.get_trials(deepcopy=False)) if t.number == trial_number)
        if trial.last_step is not None and trial.last_step >= self.fidelities[-1]:
            return False  # it has paid for everything already
        return bool(pruner.prune(_OneDirection(study, self.direction), trial))  # type: ignore[arg-type]


class _OneDirection:
    """A study as its pruners see it: one direction, that of the measure, whatever the objectives are."""

    def __init__(self, study: Study, direction: str) -> None:
        from optuna.study import StudyDirection

        self._study = study
        self.direction: StudyDirection = StudyDirection[direction.upper()]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)
