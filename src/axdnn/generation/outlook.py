"""What a search may expect of choices: the energy they save times the chance that they are accepted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr

from axdnn.evaluation import Z_95
from axdnn.generation.acceptance import Acceptance, Sampled
from axdnn.generation.judge import Judge
from axdnn.generation.predictor import LossPredictor
from axdnn.generation.probe import Seen, keys_of
from axdnn.generation.problem import Floats, Ints

# Share of the sampling error of a loss that is peculiar to a choice, beside what it has in common with the others.
OWN_SAMPLING = 0.5
# Standard deviation of what the images of a probe do not show, as a share of the budget, before any was compared.
UNSEEN = 0.1
# How much wider bounds are on the whole split than a probe shows, before any was compared.
WIDER = 1.1
# A probed choice is out where even so many standard deviations less would be above the limit.
CLEAR = 2.0
TINY = 1e-24


class Outlook:
    """Chances of choices after all that was seen so far.

    Args:
        judge: budget and verdicts.
        predictor: of losses.

    Attributes:
        width: distance from a measured loss to its bound on the search split, where the loss is not far above the
            budget.
        sampled: standard deviation that goes with it.
        limit: loss on the search split that is just accepted; may be negative.
        unseen: what a probe does not show.
        acceptance: what the accept split has said.
    """

    def __init__(self, judge: Judge, predictor: LossPredictor) -> None:
        self.judge, self.predictor, self.budget = judge, predictor, judge.problem.budget
        self.width = width_of(judge)
        self.sampled, self.limit = self.width / Z_95, self.budget - self.width
        self.unseen = unseen(judge)
        self._seen = {} if judge.probe is None else judge.probe.seen
        self._images = max((len(seen.differs) for seen in self._seen.values()), default=1)
        sent = [key for key, verdict in judge.tried.items() if verdict.sent]
        choices = np.array(sent, dtype=np.int64).reshape(len(sent), len(judge.problem.baseline))
        answers = [judge.tried[key].accepted for key in sent]
        self.acceptance = Acceptance(self._looks(choices, None)[0], answers, self.budget)

    @property
    def aim(self) -> float:
        """Loss on the search split at which the accept split is likely to agree."""
        return self.limit - max(self.acceptance.harder, 0.0)

    def gain(self, choices: Ints, spread: float | None = None) -> Floats:
        """Logarithm of energy saved times the chance that a choice holds on the search and on the accept split.

        Args:
            choices: cheaper than the best accepted one, `(C, N)`.
            spread: standard deviation of all predictions, for a first look at many; None for that of each.
        """
        choices = np.atleast_2d(choices)
        saved = np.maximum(self.judge.best_energy_j - self.judge.problem.energy_j(choices), 0.0)
        looks, loss, sd = self._looks(choices, spread)
        search = log_ndtr((self.budget - looks.width - loss) / np.sqrt(sd**2 + TINY))
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(saved) + search + np.log(np.maximum(self.acceptance.chance(looks), 1e-300)))

    def hopeless(self) -> Ints:
        """Probed choices, cheaper than the best, that the search split would refuse, `(C, N)`."""
        unseen, tried = self.unseen, self.judge.tried
        most = self.budget + CLEAR * unseen.sd - unseen.mean
        keys = [k for k, seen in self._seen.items() if unseen.bound_of(seen) > most and k not in tried]
        choices = np.array(keys, dtype=np.int64).reshape(len(keys), len(self.judge.problem.baseline))
        return np.asarray(choices[self.judge.problem.energy_j(choices) < self.judge.best_energy_j]) if keys else choices

    def _looks(self, choices: Ints, spread: float | None) -> tuple[Sampled, Floats, Floats]:
        """Return how choices look on the search split, and their losses there with standard deviations, `(C,)`."""
        predicted, many = self.predictor.predict_all(choices), len(choices)
        doubt = np.full(many, spread or 0.0)
        if spread is None:
            doubt = np.array([self.predictor.spread(choice) for choice in choices]).reshape(many)
        looks = Sampled(
            predicted.copy(), np.full(many, self.width), np.full(many, self.sampled), doubt.copy(),
            np.zeros((many, self._images)),
        )  # fmt: skip
        loss, sd = predicted.copy(), np.sqrt(doubt**2 + self.sampled**2)
        for i, key in enumerate(keys_of(choices) if many else ()):
            seen, verdict = self._seen.get(key), self.judge.tried.get(key)
            if verdict is not None:
                loss[i], sd[i], looks.width[i] = verdict.loss, 0.0, verdict.bound - verdict.loss
            elif seen is not None:
                loss[i], sd[i] = seen.loss + self.unseen.mean, self.unseen.sd
                looks.width[i] = self.unseen.bound_of(seen) - seen.loss
            if seen is not None:
                looks.differs[i] = seen.differs
            if seen is not None or verdict is not None:
                self._weigh(looks, i, loss[i], sd[i])
        return looks, loss, sd

    def _weigh(self, looks: Sampled, i: int, measured: float, sd: float) -> None:
        """Put the mean of what was predicted of a choice and what was measured of it into place `i`.

        What was measured has luck in it that the choice owes to these images.
        """
        looks.sampled[i] = looks.width[i] / Z_95
        own = sd**2 + (OWN_SAMPLING * looks.sampled[i]) ** 2 + TINY
        expected = looks.doubt[i] ** 2 + (UNSEEN * self.budget) ** 2
        share = expected / (expected + own)
        looks.loss[i] += share * (measured - looks.loss[i])
        looks.doubt[i] = np.sqrt(share) * sd


def width_of(judge: Judge) -> float:
    """Return the distance from a measured loss to its bound, where the loss is not far above the budget."""
    budget = judge.problem.budget
    widths = [v.bound - v.loss for v in judge.tried.values() if v.bound > 0 and v.loss < 3 * budget]
    return float(np.median(widths)) if widths else 0.25 * budget


class Unseen(NamedTuple):
    """What probes do not show of the whole search split.

    Attributes:
        mean, sd: of the part of a loss, fractions.
        wider: factor on the distance from loss to bound.
    """

    mean: float
    sd: float
    wider: float

    def bound_of(self, seen: Seen) -> float:
        """Return the bound as it may be on the whole split if the loss is the same."""
        return seen.loss + self.wider * (seen.bound - seen.loss)


def unseen(judge: Judge) -> Unseen:
    """Return what probes did not show of choices that were run on the whole split too.

    All are drawn to what is expected before any comparison, which counts like one (the mean) or two of them.
    """
    prior, budget = UNSEEN * judge.problem.budget, judge.problem.budget
    seen: dict[tuple[int, ...], Seen] = {} if judge.probe is None else judge.probe.seen
    pairs = [(judge.tried[key], found) for key, found in seen.items() if key in judge.tried]
    pairs = [(whole, part) for whole, part in pairs if whole.loss < 3 * budget]
    losses = np.array([whole.loss - part.loss for whole, part in pairs])
    widths = np.array([(whole.bound - whole.loss) / (part.bound - part.loss) for whole, part in pairs])
    mean, many = float(losses.sum()) / (len(pairs) + 1), len(pairs) + 2
    sd = float(np.sqrt((2 * prior**2 + np.square(losses - mean).sum()) / many))
    return Unseen(mean, sd, float((2 * WIDER + widths.sum()) / many))
