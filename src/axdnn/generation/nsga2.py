"""NSGA-II over the multipliers of the layers: loss on the search split against what is minimised.

K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Trans.
Evolutionary Computation 6(2), 2002; applied to multipliers of layers by V. Mrazek, Z. Vasicek, L. Sekanina,
M. A. Hanif, M. Shafique, "ALWANN: Automatic layer-wise approximation of deep neural network accelerators without
retraining", ICCAD 2019 (arXiv 1907.07229), which maps weights as `Recipe(weight_codes="alwann")` does. The generations
are Optuna's (`optuna.samplers.NSGAIISampler`, asked and told); pymoo's implementation is the oracle in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from axdnn.generation.judge import Judge
from axdnn.generation.pods import within_pods
from axdnn.generation.problem import Floats, Ints, Problem
from axdnn.generation.uniform import uniform_choices
from axdnn.records import require_finite

if TYPE_CHECKING:
    from optuna.study import Study


@dataclass(frozen=True, kw_only=True)
class NsgaOptions:
    """Options of `nsga2`.

    Attributes:
        population: individuals in a generation, at least 2.
        uniform: how many of the first generation are uniform choices, spread evenly over their energies; the others
            are random.
        crossover: chance that a child has two parents; `swap` is the chance that it takes a gene from the second one.
        mutation: chance that a gene is drawn anew; None for 1 / number of layers.
        reserve: evaluations kept back, at most, to confirm what waits on the front; what is left of them goes back to
            the search.
        patience: populations without a choice that was not measured before, after which the search ends.
    """

    population: int = 50
    uniform: int = 25
    crossover: float = 0.9
    swap: float = 0.5
    mutation: float | None = None
    reserve: int = 10
    patience: int = 2

    def __post_init__(self) -> None:
        """Check every option."""
        require_finite("population", self.population, 2)
        require_finite("uniform", self.uniform, 0)
        require_finite("reserve", self.reserve, 1)
        require_finite("patience", self.patience, 1)
        for name in ("crossover", "swap", "mutation"):
            value = getattr(self, name)
            if value is not None:
                require_finite(name, value, 0.0, 1.0)


def nsga2(judge: Judge, rng: np.random.Generator, options: NsgaOptions | None = None) -> None:
    """Evolve choices towards small loss and small energy, then confirm those within the budget, cheapest first.

    Genes are the indices of the layers' multipliers. All that is measured is kept; when few evaluations are left,
    choices on the front of the archive within the budget go to the accept split until one is accepted, and what is left
    of the evaluations goes back to the search. Choices that come up again are recalled and cost nothing.

    Args:
        judge: whose cap is the number of evaluations.
        rng: seeds the sampler.
        options: population, mutation, seeding.
    """
    options = options or NsgaOptions()
    if len(judge.problem.multipliers) < 2:
        return
    evolution = _Evolution(judge, int(rng.integers(2**31)), options)
    while evolution.run() and judge.left > 0:
        for choice in judge.waiting():
            if judge.left <= 0 or judge.confirm(choice).accepted:
                break


class _Evolution:
    """One Optuna study that asks for choices and is told loss and energy."""

    def __init__(self, judge: Judge, seed: int, options: NsgaOptions) -> None:
        from optuna.distributions import BaseDistribution, IntDistribution

        self.judge, self.options = judge, options
        kinds = len(judge.problem.multipliers)
        layers = range(len(judge.problem.layers))
        self.space: dict[str, BaseDistribution] = {f"layer{i}": IntDistribution(0, kinds - 1) for i in layers}
        self.study = _study(seed, options)
        for choice in _spread(uniform_choices(judge), min(options.uniform, options.population)):
            self.study.enqueue_trial(dict(zip(self.space, choice.tolist(), strict=True)))

    def run(self) -> bool:
        """Evolve until evaluations are kept back for what waits, or nothing new comes up; whether anything did."""
        judge, began, idle, reserve = self.judge, self.judge.left, 0, self.options.reserve
        most = len(judge.problem.multipliers) ** len(self.space)
        while judge.left > reserve or judge.left > max(1, len(judge.waiting())):
            before = judge.left
            self._one()
            idle = idle + 1 if judge.left == before else 0
            if idle >= self.options.patience * self.options.population or len(judge.tried) >= most:
                break
        return judge.left < began or bool(judge.waiting())

    def _one(self) -> None:
        trial = self.study.ask(fixed_distributions=self.space)
        genes = np.array([trial.params[name] for name in self.space], dtype=np.int64)
        choice = within_pods(self.judge.problem, genes, _distance(self.judge.problem, genes))
        loss = self.judge.measure(choice).loss
        self.study.tell(trial, [loss, self.judge.energy_j(choice)])


def _study(seed: int, options: NsgaOptions) -> Study:
    import optuna

    sampler = optuna.samplers.NSGAIISampler(
        population_size=options.population, mutation_prob=options.mutation, crossover_prob=options.crossover,
        swapping_prob=options.swap, seed=seed,
    )  # fmt: skip
    told = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # one line about a new study is no news
    try:
        return optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    finally:
        optuna.logging.set_verbosity(told)


def _spread(choices: Ints, count: int) -> list[Ints]:
    """Return evenly spaced choices, those in the middle first, so that a short run sees the whole range too."""
    places = np.unique(np.linspace(0, len(choices) - 1, min(count, len(choices))).astype(np.int64))
    halved, spans = list[int](), [(0, len(places))]
    for low, high in spans:  # grows while it is read: breadth first
        if low < high:
            middle = (low + high) // 2
            halved.append(int(places[middle]))
            spans += [(low, middle), (middle + 1, high)]
    return [choices[i] for i in halved]


def _distance(problem: Problem, genes: Ints) -> Floats:
    """How far the noise of each multiplier is from that of the gene, in orders of magnitude, `(L, M)`."""
    order = np.log10(problem.noise + 1e-12)
    return np.asarray(np.abs(order - order[np.arange(len(genes)), genes][:, None]))
