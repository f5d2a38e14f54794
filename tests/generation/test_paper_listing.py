"""Strategy `paper` against a transcription of Algorithm 1 written from the description of its options."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from axdnn.evaluation import OutOfEvaluationsError
from axdnn.generation import PaperOptions, Problem
from axdnn.records import Assignment

NAMES = ("stem", "a.0.conv", "a.1.conv", "b.0.conv", "b.1.conv", "fc")
Tried = tuple[tuple[int, ...], tuple[float, ...]]


class Listing:
    """Algorithm 1 with the options of the docstring, in plain Python and without a judge."""

    def __init__(self, p: Problem, evaluator: Any, o: PaperOptions, cap: int, walk: SimpleNamespace) -> None:
        self.width, self.gap = walk.width, walk.gap
        self.p, self.e, self.o, self.left = p, evaluator, o, cap - 2  # the exact network on both splits
        self.choice, self.share = [0] * len(p.layers), [0.0] * len(p.layers)
        self.known: dict[Any, tuple[float, bool, bool]] = {
            ((0,) * len(p.layers), (0.0,) * len(p.layers)): (0, True, True)
        }
        self.trace: list[Tried] = []
        self.best = self.energy(self.choice, self.share)
        by_error = sorted(range(len(p.multipliers)), key=lambda m: (p.mean_error[m], m))
        self.rank = {m: (0 if m == p.exact else r) for r, m in enumerate(by_error)}

    def record(self, choice: list[int], share: list[float]) -> Assignment:
        """The same neurons as the search would skip: their number is all that the truth looks at."""
        skip = {n: tuple(range(round(s * self.width))) for n, s in zip(self.p.layers, share, strict=True) if s}
        multipliers = {n: self.p.multipliers[m] for n, m in zip(self.p.layers, choice, strict=True)}
        return Assignment(multipliers=multipliers, skip=skip)

    def energy(self, choice: list[int], share: list[float]) -> float:
        return self.e.cost(self.record(choice, share)).energy_j

    def spend(self) -> None:
        if self.left == 0:
            raise OutOfEvaluationsError("cap")
        self.left -= 1

    def look(self, choice: list[int], share: list[float]) -> tuple[float, bool, bool]:
        """(loss on the search split, accepted, sent to the accept split)."""
        key = (tuple(choice), tuple(share))
        if key not in self.known:
            self.spend()
            self.trace.append(key)
            record = self.record(choice, share)
            loss = self.e.loss(record, "search")
            sent = loss + self.gap <= self.p.budget and self.energy(choice, share) < self.best * (1 - 1e-9)
            accepted = False
            if sent:
                self.spend()
                accepted = self.e.loss(record, "accept") + self.gap <= self.p.budget
                if accepted:
                    self.best = self.energy(choice, share)
            self.known[key] = (loss, accepted, sent)
        return self.known[key]

    def select(self, members: list[int], z: float, t: float, most: int | None) -> int:
        n, best = len(self.p.multipliers), None
        for m in range(n):
            if m != self.p.exact and (not self.o.multipliers or z > t * (1 - self.rank[m] / (n - 1)) + 1e-12):
                continue
            if most is not None and self.rank[m] > most:
                continue
            after = [m if i in members else c for i, c in enumerate(self.choice)]
            if self.o.multipliers and len(set(after)) > self.p.table.pods:
                continue
            price = sum(self.p.table.dynamic_j[i, m] for i in members)
            if best is None or price < best[0]:
                best = (price, m)
        return self.choice[members[0]] if best is None else best[1]

    def units(self) -> Iterator[tuple[list[int], float, float]]:
        groups: dict[str, list[int]] = {}
        for i, name in enumerate(self.p.layers):
            groups.setdefault(name.split(".")[0] if self.o.units == "groups" else name, []).append(i)
        total = {g: sum(self.p.weights[i] for i in members) for g, members in groups.items()}
        order = sorted(groups, key=lambda g: total[g], reverse=self.o.order == "descending")
        for sweep in range(self.o.sweeps):
            t = self.o.threshold * 1.5**sweep
            for g in order:
                yield groups[g], total[g] / max(total.values()), t
                t = max(t - self.o.step, 0.0)

    def run(self) -> None:
        for members, z, t in self.units():
            if self.o.stop == "rollback" and self.o.max_energy_j is not None and self.best <= self.o.max_energy_j:
                return
            wanted = self.o.skip * ((1 - z) if self.o.skip_rule == "scaled" else 1)
            m = self.select(members, z, t, None)
            for attempt in range(1 + self.o.retries):
                if attempt:
                    wanted, m = wanted / 2, self.select(members, z, t, self.rank[m] // 2)
                count = min(int(wanted * self.width + 1e-9), self.width - 1) / self.width
                before = sum(self.p.table.dynamic_j[i, self.choice[i]] for i in members)
                after = sum(self.p.table.dynamic_j[i, m] for i in members)
                if after >= before and count <= self.share[members[0]]:
                    break
                choice = [m if i in members else c for i, c in enumerate(self.choice)]
                share = [count if i in members else s for i, s in enumerate(self.share)]
                loss, accepted, sent = self.look(choice, share)
                if self.o.stop == "both":
                    if loss > self.p.budget and self.energy(choice, share) > (self.o.max_energy_j or 0.0):
                        return
                elif not (accepted or (loss + self.gap <= self.p.budget and not sent)):
                    continue
                self.choice, self.share = choice, share
                break


def drawn_options(rng: np.random.Generator, exact_j: float) -> PaperOptions:
    pick = lambda *values: values[int(rng.integers(len(values)))]  # noqa: E731
    skip = pick(0.0, 0.3, 0.8)
    return PaperOptions(
        units=pick("groups", "layers"), order=pick("ascending", "descending"), stop=pick(*2 * ("rollback",), "both"),
        threshold=pick(0.5, 1.0, 2.0), step=pick(0.0, 0.05, 0.3), skip=skip, skip_rule=pick("scaled", "equal"),
        multipliers=skip == 0 or pick(True, False), retries=int(rng.integers(0, 4)), sweeps=int(rng.integers(1, 4)),
        max_energy_j=pick(None, None, exact_j * float(rng.uniform(0.4, 1.1))),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(120))
def test_the_walk_is_the_listing(walk: SimpleNamespace, seed: int) -> None:
    """Same tries in the same order, same state at the end, whatever the options."""
    rng = np.random.default_rng(seed)
    cap = int(rng.integers(3, 40))
    pods, shift = int(rng.integers(2, 6)), float(rng.choice([0.0, 0.0015]))
    p, evaluator = walk.setting(
        seed, 6, 7, pods, scale=0.2 * 10 ** rng.uniform(-1, 0), cap=cap, shift=shift, names=NAMES
    )
    options = drawn_options(rng, float(p.energy_j(p.baseline)[0]))
    judge = walk.play(p, evaluator, options)
    listing = Listing(p, evaluator, options, cap, walk)
    try:
        listing.run()
    except OutOfEvaluationsError:
        assert evaluator.left == 0
    assert evaluator.tried() == listing.trace
    assert judge.best_energy_j == pytest.approx(listing.best, rel=1e-12)
    assert evaluator.full_evaluations <= cap
