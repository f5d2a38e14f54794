"""`Request`: what a generation run is asked; and the table of strategies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from axdnn.channels import require_groups
from axdnn.generation.agn import agn
from axdnn.generation.constraints import Constraints
from axdnn.generation.exhaustive import exhaustive
from axdnn.generation.greedy import greedy, noise_greedy
from axdnn.generation.integer import integer
from axdnn.generation.judge import Judge
from axdnn.generation.nsga2 import NsgaOptions, nsga2
from axdnn.generation.objective import OBJECTIVES, Objective
from axdnn.generation.paper import PaperOptions, paper
from axdnn.generation.precision import (
    PRECISION,
    exact_products,
    mixed_precision,
    precision_recipe,
    uniform_precision,
)
from axdnn.generation.prepare import SCORE_NAMES
from axdnn.generation.probe import ProbeOptions
from axdnn.generation.random_search import random
from axdnn.generation.sensitivity import SensitivityOptions
from axdnn.generation.skip_levels import SkipOptions
from axdnn.generation.taylor import taylor
from axdnn.generation.uniform import uniform
from axdnn.hardware import load_accelerator
from axdnn.importance import Scorer
from axdnn.layers import Recipe
from axdnn.multipliers import load_set, require_own_name
from axdnn.records import InvalidInputError, Multiplier, require_finite, unknown_name

Strategy = Callable[[Judge, np.random.Generator], None]
STRATEGIES: dict[str, Strategy] = {
    "integer": integer, "paper": paper, "greedy": greedy, "noise_greedy": noise_greedy, "uniform": uniform,
    "random": random, "nsga2": nsga2, "agn": agn, "taylor": taylor, "uniform_precision": uniform_precision,
    "mixed_precision": mixed_precision, "exhaustive": exhaustive,
}  # fmt: skip


RECOVERY: dict[str, dict[str, Any]] = {
    "coding": {"align": False}, "ranges": {"activation_range": "minmax"}, "mapping": {"weight_codes": "nearest"},
    "bias": {"compensate": False}, "order": {"in_order": False},
}  # fmt: skip
"""Step of recovery without training -> what a recipe has without it."""


def recovery_recipe(steps: Sequence[str]) -> Recipe:
    """Return the recipe that takes these steps of recovery and no others, see docs/recovery.md.

    Args:
        steps: names in `RECOVERY`: `coding` aligned to what a circuit can tell apart, `ranges` of least error,
            `mapping` of weights to codes whose errors cancel, `bias` and gain by channel, calibration in `order`.

    Raises:
        UnknownNameError: another name.
        InvalidInputError: `finetune`, which is no switch of the conversion.
    """
    for step in steps:
        if step == "finetune":
            raise InvalidInputError(
                "fine-tuning is not a step of the conversion: use `axdnn.tune`, or `axdnn generate --recover` with it"
            )
        if step not in RECOVERY:
            raise unknown_name("step of recovery", step, RECOVERY)
    without: dict[str, Any] = {}
    for step, changes in RECOVERY.items():
        without |= {} if step in steps else changes
    return Recipe(**without)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a generation run is asked.

    Attributes:
        max_accuracy_loss: percentage points below the exact-multiplier int8 network.
        multipliers: `evoapprox8b`, `evoapprox8b-signed`, a comma list, or multipliers themselves.
        accelerator: name or YAML path.
        strategy: a name in `STRATEGIES`. `uniform_precision` and `mixed_precision` choose among the exact products of
            fewer bits that the multipliers hold and set the recipe to nearest weights (see `exact_products`);
            `exhaustive` gets the multipliers unscreened.
        objective: what is minimised: `energy` of the chip, `multiplier` energy alone, or `paper_literal` (the energy of
            the paper's equations).
        score: importance that weighs the predicted loss: a name in `axdnn.importance.SCORES`, `none`, or a scorer with
            options of its own.
        evaluations: cap on full evaluations, at least 3.
        seed: of samples and of the strategy.
        recipe: conversion switches.
        accept_tries: most choices sent to the accept split, whose bound then holds for the whole search (see `Judge`);
            None for any number, with a 95 % bound for each.
        paper: options of strategy `paper`.
        constraints: limits and ties that hold for every strategy.
        nsga2: options of strategy `nsga2`.
        sensitivity: what strategy `integer` measures of single layers before it searches.
        probing: how many choices strategy `integer` probes on a tenth of the search split before it tries one.
        channel_groups: groups of output channels in each layer, each with a multiplier of its own; see
            `axdnn.channels.split_channels`. 1: one multiplier a layer.
        skip: shares of neurons that strategy `integer` may skip in each layer, chosen together with the multipliers or
            alone; None skips none.
    """

    max_accuracy_loss: float = 1.0
    multipliers: str | tuple[Multiplier, ...] = "evoapprox8b"
    accelerator: str = "tpu_v4"
    strategy: str = "integer"
    objective: Objective = "energy"
    score: str | Scorer = "conductance"
    evaluations: int = 30
    seed: int = 0
    recipe: Recipe = field(default_factory=Recipe)
    accept_tries: int | None = None
    paper: PaperOptions = field(default_factory=PaperOptions)
    constraints: Constraints = field(default_factory=Constraints)
    nsga2: NsgaOptions = field(default_factory=NsgaOptions)
    sensitivity: SensitivityOptions = field(default_factory=SensitivityOptions)
    probing: ProbeOptions = field(default_factory=ProbeOptions)
    channel_groups: int = 1
    skip: SkipOptions | None = None

    def __post_init__(self) -> None:
        """Check what can be checked before any work."""
        require_finite("max_accuracy_loss", self.max_accuracy_loss, 0.0, 100.0)
        require_finite("evaluations", self.evaluations, 3)
        if self.evaluations != int(self.evaluations):
            raise InvalidInputError(f"`evaluations` must be a whole number, but got {self.evaluations!r}")
        if self.strategy not in STRATEGIES:
            raise unknown_name("strategy", self.strategy, STRATEGIES)
        if self.objective not in OBJECTIVES:
            raise unknown_name("objective", self.objective, OBJECTIVES)
        if not isinstance(self.score, Scorer) and self.score not in SCORE_NAMES:
            raise unknown_name("score", self.score, SCORE_NAMES)
        if self.strategy == "paper" and self.constraints.tied:
            raise InvalidInputError("strategy `paper` ties layers by its option `units`: `tied` must be empty")
        if self.skip is not None and self.strategy != "integer":
            other = "; `paper` skips by its own option, `PaperOptions(skip=...)`" if self.strategy == "paper" else ""
            raise InvalidInputError(f"`skip` is for strategy `integer`, but the strategy is `{self.strategy}`{other}")
        if self.accept_tries is not None:
            require_finite("accept_tries", self.accept_tries, 1, 30)
        if self.strategy in PRECISION:  # here, so that whoever reads the request sees the recipe that is used
            object.__setattr__(self, "recipe", precision_recipe(self.recipe))
        require_groups(self.channel_groups)
        load_accelerator(self.accelerator)
        if not isinstance(self.multipliers, str):
            for multiplier in self.multipliers:
                require_own_name(multiplier)
        candidates = self.candidates()
        if len({m.name for m in candidates}) < len({(m.name, m.id) for m in candidates}):
            raise InvalidInputError("multipliers of one name must be the same circuit, but two differ: rename one")

    def strategist(self) -> Strategy:
        """Return the strategy with its options."""
        if self.strategy == "integer":
            return partial(integer, options=self.probing)
        if self.strategy == "nsga2":
            return partial(nsga2, options=self.nsga2)
        return partial(paper, options=self.paper) if self.strategy == "paper" else STRATEGIES[self.strategy]

    @property
    def skips(self) -> bool:
        """Whether the strategy may skip neurons."""
        if self.strategy == "paper":
            return self.paper.skip > 0
        return self.skip is not None and bool(self.skip.fractions)

    @property
    def screened(self) -> bool:
        """Whether candidates that others beat are left out before the search."""
        return self.strategy != "exhaustive"

    def candidates(self) -> tuple[Multiplier, ...]:
        """Return the multipliers to choose from; none where neurons alone are skipped."""
        if self.skip is not None and not self.skip.multipliers:
            return ()
        named = load_set(self.multipliers) if isinstance(self.multipliers, str) else self.multipliers
        return exact_products(named, self.recipe) if self.strategy in PRECISION else named
