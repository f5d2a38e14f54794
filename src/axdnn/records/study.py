"""`Study`: the history of a search; `GenerationResult`: its outcome in one flat, citable form."""

from __future__ import annotations

from axdnn.records.codec import Record
from axdnn.records.cost import CostReport
from axdnn.records.evaluation import Evaluation
from axdnn.records.importance import LayerScores
from axdnn.records.network import Network
from axdnn.records.training import Training


class Study(Record, frozen=True, kw_only=True):
    """Everything a search has seen, in order.

    Attributes:
        settings: what the run was asked, as text; a resumed run must match.
        evaluations: full evaluations in the order they were made.
        full_evaluations: how many assignments were run on more than 10 % of a held-out split (cache hits and resumed
            ones count).
        network_images: every image sent through the network, calibration and scores included.
        finished: whether the strategy ended by itself.
        best: cheapest accepted evaluation so far.
        wall_s: seconds spent, interrupted runs included.
    """

    settings: dict[str, str]
    evaluations: tuple[Evaluation, ...] = ()
    full_evaluations: int = 0
    network_images: int = 0
    finished: bool = False
    best: Evaluation | None = None
    wall_s: float = 0.0


class GenerationResult(Record, frozen=True, kw_only=True):
    """Outcome of `axdnn generate`: the chosen assignment beside the exact baseline.

    Accuracies are fractions on the full test split, energies and latency per inference at batch 1, headline reading
    `buildable`. `max_accuracy_loss` is in percentage points. `evaluations` counts full evaluations; `network_images`
    every image sent through any network for this result: scores, calibration, search, acceptance, the literal check and
    the final test (`images` has the sizes of the splits), and training, where each image also goes through the teacher.
    Only the few copies of one image that check the capture are left out. `skipped`: layer -> share of its neurons that
    is not computed (of an output layer: of its inputs); which ones is in `chosen.assignment`. `paper_literal` and
    `baseline_paper_literal` price the same assignment by the printed equations of XAI-Gen: another model, never in one
    column with the other energies. `training` is there if assignments were fine-tuned; where it has weights, all
    figures are those of the trained network.
    """

    model: str
    data: str
    accelerator: str
    multiplier_set: str
    strategy: str
    objective: str = "energy"
    seed: int
    max_accuracy_loss: float
    status: str
    reason: str
    baseline_accuracy: float
    accuracy: float
    energy_j: float
    baseline_energy_j: float
    multiplier_energy_j: float
    baseline_multiplier_energy_j: float
    latency_s: float
    baseline_latency_s: float
    memory_bytes: int
    baseline_memory_bytes: int
    area_m2: float
    baseline_area_m2: float
    evaluations: int
    network_images: int
    wall_s: float
    assignment: dict[str, str]
    skipped: dict[str, float] = {}
    images: dict[str, int]
    provenance: dict[str, str]
    float_accuracy: float | None = None
    network: Network
    baseline_cost: CostReport
    cost: CostReport
    ideal_cost: CostReport
    ideal_baseline_cost: CostReport
    paper_literal: CostReport | None = None
    baseline_paper_literal: CostReport | None = None
    chosen: Evaluation
    scores: tuple[LayerScores, ...] = ()
    visited: tuple[Evaluation, ...] = ()
    notes: tuple[str, ...] = ()
    training: Training | None = None
