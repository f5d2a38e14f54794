"""Synthetic problems with a known truth, an evaluator that knows it, and a small real network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from axdnn.evaluation import Z_95, OutOfEvaluationsError, Split
from axdnn.generation import Judge, Neurons, PaperOptions, Problem, paper
from axdnn.hardware import CostTable, cost_table
from axdnn.models import load_model
from axdnn.multipliers import load_multiplier
from axdnn.quant import capture, fold_batch_norm, network_of
from axdnn.records import Accuracy, Assignment, Evaluation, Network


def synthetic_problem(seed: int, layers: int, kinds: int, pods: int, budget: float = 0.01) -> Problem:
    """Random prices and noise: kind 0 is exact and dearest, the cheaper the noisier on the whole."""
    rng = np.random.default_rng(seed)
    power = np.sort(rng.uniform(0.1, 1.0, kinds))[::-1]
    macs = 10 ** rng.uniform(0, 2, layers)
    dynamic = macs[:, None] * (power * rng.uniform(0.5, 2) + rng.uniform(0.2, 2))[None, :]
    parallel = np.maximum(1 / np.arange(1, pods + 1), rng.uniform(0.1, 0.9, layers)[:, None])
    table = CostTable(
        layers=tuple(f"l{i}" for i in range(layers)),
        multipliers=tuple(f"m{i}" for i in range(kinds)),
        dynamic_j=dynamic,
        multiplier_j=dynamic / 2,
        latency_s=rng.uniform(0.2, 3, layers)[:, None] * parallel,
        static_w_pod=rng.uniform(0.1, 2) * (0.5 + power * rng.uniform(0, 2)),
        static_w_shared=float(rng.uniform(0, 10)),
        area_m2_pod=power,
        area_m2_shared=1.0,
    )
    noise = np.sort(10 ** rng.uniform(-4, 0, (layers, kinds)), axis=1)
    noise[:, 0] = 1e-7
    return Problem(
        layers=table.layers, multipliers=table.multipliers, table=table, noise=noise,
        weights=rng.uniform(0.2, 2, layers), exact=0, budget=budget, mean_error=noise.mean(axis=0),
    )  # fmt: skip


IMAGES = 10_000


class KnownTruth:
    """Stands in for the Evaluator: the loss of an assignment is known, the bound a fixed distance above it."""

    def __init__(self, problem: Problem, cap: int, theta: np.ndarray, gap: float = 0.002, shift: float = 0.0) -> None:
        self.problem, self.cap, self.theta, self.gap, self.shift = problem, cap, theta, gap, shift
        self.full_evaluations = 0
        self.history: dict[str, Evaluation] = {}
        self.calls: list[tuple[str, str]] = []
        self.splits = {"search": range(IMAGES), "accept": range(IMAGES)}

    def least_sure(self, split: str, images: int) -> range:
        return range(images)

    def correct_on(self, assignments: list[Assignment], split: range) -> np.ndarray:
        wrong = np.array([round(self.loss(assignment, "search") * IMAGES) for assignment in assignments])
        return np.arange(len(split))[None, :] >= wrong[:, None]

    @property
    def baseline(self) -> Assignment:
        return self.problem.assignment(self.problem.baseline)

    @property
    def left(self) -> int:
        return self.cap - self.full_evaluations

    def choice(self, assignment: Assignment) -> np.ndarray:
        return np.array([self.problem.multipliers.index(assignment.multipliers[n]) for n in self.problem.layers])

    def loss(self, assignment: Assignment, split: str) -> float:
        choice = self.choice(assignment)
        if not choice.any():
            return 0.0
        noise = self.problem.noise[np.arange(len(choice)), choice]
        return min(float(self.theta @ noise), 0.9) + (self.shift if split == "accept" else 0.0)

    def loss_bound(self, assignment: Assignment, split: str, z: float = Z_95) -> float:
        return self.loss(assignment, split) + self.gap * z / Z_95

    def evaluate(
        self, assignment: Assignment, split: str = "search", predicted: float | None = None, strategy: str = ""
    ) -> Evaluation:
        if self.left <= 0:
            raise OutOfEvaluationsError("cap")
        self.full_evaluations += 1
        self.calls.append((split, assignment.key))
        loss = self.loss(assignment, split)
        accuracy = Accuracy(
            split=split, images=1000, accuracy=0.9 - loss, baseline_accuracy=0.9,
            loss_bound=self.loss_bound(assignment, split),
        )  # fmt: skip
        known = self.history.get(assignment.key)
        energy = float(self.problem.energy_j(self.choice(assignment))[0])
        record = Evaluation(
            assignment=assignment, accuracy={**(known.accuracy if known else {}), split: accuracy}, energy_j=energy,
            latency_s=1.0, memory_bytes=1, area_m2=1.0, multiplier_energy_j=1.0, strategy=strategy,
        )  # fmt: skip
        self.history[assignment.key] = record
        return record

    def mark(self, assignment: Assignment, accepted: bool) -> Evaluation:
        self.history[assignment.key] = msgspec.structs.replace(self.history[assignment.key], accepted=accepted)
        return self.history[assignment.key]


WIDTH, GAP = 8, 0.002
Tried = tuple[tuple[int, ...], tuple[float, ...]]


class Chain(nn.Module):
    """Linear layers of the given names, so that skipping has a network to act on."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names
        for name in names:
            *path, last = name.split(".")
            parent: nn.Module = self
            for part in path:
                if not hasattr(parent, part):
                    parent.add_module(part, nn.Module())
                parent = getattr(parent, part)
            parent.add_module(last, nn.Linear(WIDTH, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in self.names[:-1]:
            x = torch.relu(self.get_submodule(name)(x))
        return self.get_submodule(self.names[-1])(x)


class SkippingTruth(KnownTruth):
    """Knows what skipping costs as well: each skipped share of a layer adds loss and saves energy."""

    def shares(self, assignment: Assignment) -> np.ndarray:
        left_out = [assignment.skip.get(n, ()) or assignment.absent.get(n, ()) for n in self.problem.layers]
        return np.array([len(which) / WIDTH for which in left_out])

    def loss(self, assignment: Assignment, split: str) -> float:
        choice, shares = self.choice(assignment), self.shares(assignment)
        noise = self.problem.noise[np.arange(len(choice)), choice] * (choice > 0)
        found = min(float(self.theta @ (noise + 0.02 * shares)), 0.9)
        return found + (self.shift if split == "accept" and found > 0 else 0.0)

    def cost(self, assignment: Assignment) -> SimpleNamespace:
        whole = float(self.problem.energy_j(self.choice(assignment))[0])
        return SimpleNamespace(energy_j=whole * float(1 - self.shares(assignment).mean() / 2))

    def tried(self) -> list[Tried]:
        """Choices and shares of the evaluations on the search split, in order, the exact network left out."""
        found = [self.history[key].assignment for split, key in self.calls if split == "search"]
        return [(tuple(self.choice(a).tolist()), tuple(self.shares(a).tolist())) for a in found[1:]]


def skipping_setting(
    seed: int, layers: int = 4, kinds: int = 7, pods: int = 4, budget: float = 0.01, scale: float = 0.1,
    cap: int = 60, shift: float = 0.0, names: tuple[str, ...] | None = None,
) -> tuple[Problem, SkippingTruth]:  # fmt: skip
    """A synthetic problem with the neurons of a chain of linear layers, and its evaluator."""
    p, rng = synthetic_problem(seed, layers, kinds, pods, budget), np.random.default_rng(seed)
    names = names or p.layers
    model = fold_batch_norm(capture(Chain(names), torch.rand(2, WIDTH)))
    neurons = Neurons(model, {n: rng.permutation(WIDTH).astype(float) for n in names}, frozenset(names[-1:]))
    p = dataclasses.replace(p, layers=names, table=msgspec.structs.replace(p.table, layers=names), neurons=neurons)
    theta = scale * p.weights * 10 ** rng.uniform(-0.5, 0.5, layers)
    return p, SkippingTruth(p, cap, theta, GAP, shift)


def play_paper(p: Problem, evaluator: SkippingTruth, options: PaperOptions) -> Judge:
    judge = Judge(p, evaluator, "paper")
    try:
        paper(judge, np.random.default_rng(0), options)
    except OutOfEvaluationsError:
        assert evaluator.left == 0
    return judge


@pytest.fixture(scope="session")
def walk() -> SimpleNamespace:
    """Strategy `paper` on synthetic problems: `setting(...)`, `play(problem, evaluator, options)`, `width`, `gap`."""
    return SimpleNamespace(setting=skipping_setting, play=play_paper, width=WIDTH, gap=GAP)


@pytest.fixture(scope="session")
def problem() -> Callable[..., Problem]:
    return synthetic_problem


@pytest.fixture(scope="session")
def known_truth() -> type[KnownTruth]:
    return KnownTruth


class Small(nn.Module):
    """Convolution and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.fc1 = nn.Linear(4 * 9, 12)
        self.fc2 = nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = nn.functional.avg_pool2d(torch.relu(self.conv(x)), 2).flatten(1)
        return self.fc2(torch.relu(self.fc1(y)))


def masked(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of four masks in noise, and which."""
    masks = (torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    labels = torch.randint(4, (count,), generator=generator)
    noise = torch.rand(count, 1, 6, 6, generator=generator)
    return (0.3 * masks[labels] + 0.7 * noise).clamp(0, 1), labels


@pytest.fixture(scope="session")
def small() -> tuple[nn.Module, torch.Tensor, dict[str, Split]]:
    """A network trained for a moment to tell four masks apart, calibration images, splits of 400."""
    generator = torch.Generator().manual_seed(0)
    torch.rand(4, 1, 6, 6, generator=generator)  # the masks
    torch.manual_seed(0)
    net, (x, y) = Small(), masked(1000, generator)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()
    splits = {name: Split(name, *masked(400, generator)) for name in ("search", "accept", "test")}
    return net.eval(), masked(64, generator)[0], splits


@pytest.fixture(scope="session")
def small_train() -> Split:
    """More images of the same masks, to train on."""
    return Split("fit", *masked(1200, torch.Generator().manual_seed(77)))


@pytest.fixture(scope="session")
def lenet() -> Network:
    """LeNet-5's shapes."""
    model = load_model("lenet5", "mnist", allow_training=False).model
    return network_of(capture(model, torch.rand(2, 1, 28, 28)), "lenet5")


@pytest.fixture(scope="session")
def real_problem(lenet: Network) -> Problem:
    """LeNet-5 on 8 pods with six circuits; noise made up."""
    names = ("mul8s_1KV6", "mul8s_1L2L", "mul8u_2AC", "mul8u_QKX", "mul8u_13QR", "mul8u_1SX")
    wired = [load_multiplier(n) for n in names]
    wired = [m.sign_magnitude() if m.coding == "unsigned" else m for m in wired]
    noise = np.random.default_rng(1).uniform(0.5, 2, (5, 6)) * np.array([1e-5, 5e-3, 1e-3, 1e-2, 5e-2, 0.2])
    return Problem(
        layers=lenet.layer_names, multipliers=names, table=cost_table(lenet, wired, "tpu_v4"), noise=noise,
        weights=np.ones(5), exact=0, budget=0.01, mean_error=noise.mean(axis=0),
    )  # fmt: skip
