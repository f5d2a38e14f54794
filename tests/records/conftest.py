"""One example of every record, with no field left at its default."""

from __future__ import annotations

import numpy as np
import pytest

from axdnn.records import (
    Accuracy,
    Assignment,
    AttackOutcome,
    ChosenLayer,
    Constraint,
    CostReport,
    Evaluation,
    ExactOperator,
    Figures,
    FrontMember,
    GenerationResult,
    Law,
    Layer,
    LayerCost,
    LayerScores,
    Multiplier,
    Network,
    Objective,
    OperatorCost,
    Record,
    Rival,
    RobustnessReport,
    RooflineLayer,
    SearchHistory,
    SearchResult,
    SearchTrial,
    Study,
    Sweep,
    SweepPoint,
    TrainedChoice,
    Training,
    WorstCase,
)

FIGURES = Figures(power_w=1e-4, area_m2=7e-10, delay_s=1.5e-9, source="a table", published={"power_mw": "0.1"})
LAYER = Layer(
    name="conv1", kind="conv2d", m=4, k=9, n=2, groups=3, input_words=48, output_words=24, in_shape=(3, 4, 4),
    out_shape=(6, 2, 2), kernel=(3, 3), stride=(2, 2), padding=(1, 1), dilation=(1, 2), has_bias=False,
)  # fmt: skip
NETWORK = Network(
    name="net", layers=(LAYER,), edges=(("input", "conv1"), ("conv1", "output")),
    exact_operators=(ExactOperator(name="relu", operator="relu", reason="no products"),), input_shape=(3, 4, 4),
    peak_activation_words=72, captured_by="torch.export",
)  # fmt: skip
COST = CostReport(
    network="net", accelerator="tpu_v4", model="streaming", reading="ideal",
    layers=(LayerCost(layer="conv1", multiplier="m", pods=2, macs=216, cycles=31, latency_s=0.1 + 0.2,
                      utilisation=1 / 3, bound="sram", energy_j={"dram": 1e-300, "multiplier": 5e-324},
                      traffic_bytes={"dram": 0.1}, memory_bytes=99, area_m2=1e-7),),
    pods={"m": 2}, energy_j=1e-6, latency_s=2e-6, memory_bytes=77, area_m2=3e-4, multiplier_energy_j=1e-9,
    area_breakdown_m2={"pe": 1e-9}, memory_breakdown_bytes={"weights": 9}, notes=("ä note — µJ",), sources={"a.b": "1"},
    operators=(OperatorCost(name="relu", operator="relu", kind="activation", fused=True, operations=9, transcendental=1,
                            cycles=3, latency_s=0.1 + 0.2, energy_j={"vector": 5e-324}),),
    operator_energy_j=1e-12, operator_latency_s=1 / 3,
)  # fmt: skip
ASSIGNMENT = Assignment(multipliers={"conv1": "m"}, pods={"m": 2})
ACCURACY = Accuracy(split="search", images=5000, accuracy=0.1 + 0.2, baseline_accuracy=0.99, loss_bound=0.7)
EVALUATION = Evaluation(
    assignment=ASSIGNMENT, accuracy={"search": ACCURACY}, energy_j=1.0, latency_s=2.0, memory_bytes=3, area_m2=4.0,
    multiplier_energy_j=5.0, predicted_loss=0.25, strategy="greedy", accepted=False,
)  # fmt: skip
SCORES = LayerScores(
    score="conductance", values={"conv1": 0.5}, settings={"steps": "20"}, images=32, network_images=3200, unit="mean"
)
STUDY = Study(
    settings={"seed": "1"}, evaluations=(EVALUATION,), full_evaluations=3, network_images=12, finished=True,
    best=EVALUATION, wall_s=1.5,
)  # fmt: skip
TRAINING = Training(
    epochs=3, images=640, training_images=1920, settings={"epochs": "3"}, untrained=EVALUATION,
    rounds=(TrainedChoice(level=1.3, before=ACCURACY, evaluation=EVALUATION, losses=(0.5, 1 / 3), stage=1),),
    weights_file="network.safetensors", weights_sha256="0" * 64,
)  # fmt: skip
RESULT = GenerationResult(
    model="net", data="mnist", accelerator="tpu_v4", multiplier_set="exact,m", strategy="integer", seed=7,
    max_accuracy_loss=1.0, status="met", reason="within", baseline_accuracy=0.99, accuracy=0.985, energy_j=1e-6,
    baseline_energy_j=2e-6, multiplier_energy_j=1e-9, baseline_multiplier_energy_j=3e-9, latency_s=1e-6,
    baseline_latency_s=1e-6, memory_bytes=1, baseline_memory_bytes=2, area_m2=3.0, baseline_area_m2=4.0, evaluations=9,
    network_images=1234, wall_s=60.0, assignment={"conv1": "m"}, images={"test": 10_000}, provenance={"torch": "2"},
    float_accuracy=0.991, network=NETWORK, baseline_cost=COST, cost=COST, ideal_cost=COST, ideal_baseline_cost=COST,
    chosen=EVALUATION, scores=(SCORES,), visited=(EVALUATION, EVALUATION), notes=("a", "b"),
    training=TRAINING,
)  # fmt: skip


def multiplier(seed: int = 0) -> Multiplier:
    table = np.random.default_rng(seed).integers(-(2**31), 2**31, (256, 256))
    made = Multiplier.from_table(table, signed=True, name="mine", figures=FIGURES, origin="drawn by chance")
    return made


SWEEP = Sweep(
    network="net", accelerator="tpu_v4", multiplier="m", axes={"array.rows": (8.0, 16.0), "array.dataflow": ("ws",)},
    units={"array.rows": "1"}, peak_macs_per_s=1e12, dram_bandwidth_b_s=1e11, batch=3,
    points=(SweepPoint(values={"array.rows": 8.0, "array.dataflow": "ws"}, latency_s=1e-3, energy_j=2e-6, area_m2=1e-4,
                       energy_breakdown_j={"dram": 2e-6}, stall_fraction=0.25, best=True),),
    roofline=(RooflineLayer(layer="conv1", macs_per_byte=4.5, macs_per_s=1e9),),
)  # fmt: skip

SEARCHED = SearchHistory(
    name="widths", settings={"sampler": "guided"},
    objectives=(Objective(name="energy_j", direction="maximize", unit="J", reference=1e-6),),
    constraints=(Constraint(name="area_m2", sense="<=", bound=2e-6, unit="m2"),), budget=10, space_size="24",
    evaluations=1, failed=1, recalled=2, lost=3, reference={"energy_j": 1e-6}, hypervolume=(0.5,), wall_s=1.5,
    finished=True, reason="the budget is used", front=(0,),
    trials=(
        SearchTrial(
            number=1, index=2, key="ab12", outcome="recalled", candidate={"width": 8}, values={"energy_j": 1e-7},
            violations={"area_m2": -1e-7}, reason="met before", worker="here-1", wall_s=0.25, recalled_from=3,
            parents=("cd34",), notes={"depth": 2},
        ),
    ),
)  # fmt: skip
FOUND = SearchResult(
    method="xai-nas", model="net", data="mnist", accelerator="tpu_v4", settings={"arm": "xai"},
    objectives=(Objective(name="loss", reference=0.1), Objective(name="energy_j", unit="J", reference=1e-6)),
    constraints=SEARCHED.constraints, space_size=35**20, evaluations=3, failed=1, hypervolume=1e-300,
    reference={"loss": 0.1, "energy_j": 1e-6}, progress=(0.0, 1e-300), images={"search": 512}, network_images=1536,
    epochs=2.5, scores=(SCORES,), wall_s=1.5, reason="budget", provenance={"axdnn": "0.1.0"},
    front=(
        FrontMember(
            objectives={"loss": 0.01, "energy_j": 1e-7}, candidate={"conv1": "m"}, trial=2, file="front/00.json",
            figures={"test_accuracy": 0.99},
            layers=(ChosenLayer(name="conv1", kind="conv2d", shape="6 x 3 x 3", multiplier="m", skipped=0.25,
                                importance=1.5, energy_j=1e-8),),
        ),
    ),
    rivals=(Rival(name="exact", points=({"loss": 0.0, "energy_j": 1e-6},), hypervolume=(0.0,), evaluations=1),),
)  # fmt: skip
ATTACKED = RobustnessReport(
    model="net", data="mnist", split="test", images=100, norm="linf", epsilons=(0.1, 0.2), gradient="table_slope",
    level="inner", attacks=("pgd",), seed=3, forward_images=900, backward_images=800, wall_s=2.5,
    assignment={"conv1": "m"}, provenance={"axdnn": "0.1.0"},
    worst=(WorstCase(network="approximate", eps=0.1, images=100, clean_accuracy=0.99, robust_accuracy=0.5, low=0.4,
                     high=0.6, strongest="pgd"),),
    outcomes=(AttackOutcome(network="approximate", attack="pgd", settings="steps=10", kind="white_box", eps=0.1,
                            images=100, attacked=99, broken=49, robust_accuracy=0.5, forward_images=900,
                            backward_images=800, wall_s=2.0),),
    laws=(Law(name="monotone", network="approximate", eps=0.1, holds=True, text="0.5 <= 0.6"),),
)  # fmt: skip

EXAMPLES: tuple[Record, ...] = (
    FIGURES, LAYER, NETWORK, NETWORK.exact_operators[0], COST, COST.layers[0], COST.operators[0], ASSIGNMENT, ACCURACY,
    EVALUATION, SCORES, STUDY, RESULT, SWEEP, SWEEP.points[0], SWEEP.roofline[0], multiplier(),
    TRAINING, TRAINING.rounds[0], SEARCHED, SEARCHED.objectives[0], SEARCHED.constraints[0], SEARCHED.trials[0],
    FOUND, FOUND.front[0], FOUND.front[0].layers[0], FOUND.rivals[0],
    ATTACKED, ATTACKED.worst[0], ATTACKED.outcomes[0], ATTACKED.laws[0],
)  # fmt: skip


@pytest.fixture(params=EXAMPLES, ids=lambda record: type(record).__name__)
def record(request: pytest.FixtureRequest) -> Record:
    """Each kind of record in turn."""
    example: Record = request.param
    return example


@pytest.fixture
def examples() -> tuple[Record, ...]:
    """All of them."""
    return EXAMPLES
