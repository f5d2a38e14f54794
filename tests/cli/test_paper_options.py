"""`--strategy paper` with its options, `--objective`, and `estimate` of what was skipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from axdnn.cli.paper_options import PAPER_HELP, paper_options
from axdnn.generation import PaperOptions
from axdnn.hardware import estimate, paper_literal
from axdnn.models import build_model
from axdnn.multipliers import load_multiplier
from axdnn.quant import capture, fold_batch_norm, network_of
from axdnn.records import Assignment, CostReport, GenerationResult, from_json, load_record, save_record

Command = Callable[..., Any]
ESTIMATE = ("estimate", "--model", "lenet5", "--format", "json")
RUN = (
    "generate", "--model", "lenet5", "--data", "mnist", "--multipliers", "xai-gen", "--evaluations", 8, "--score",
    "none", "--search-images", 400, "--accept-images", 400, "--test-images", 100, "--max-accuracy-loss", 5, "--quiet",
    "--strategy", "paper", "--paper", "skip_rule=equal",
)  # fmt: skip


def test_options_are_read() -> None:
    assert paper_options(None, "integer") == paper_options([], "paper") == PaperOptions()
    texts = ["skip=0.5", "remove=true", " units = layers", "retries=0", "max_energy_j=2e-6", "multipliers=FALSE"]
    assert paper_options(texts, "paper") == PaperOptions(
        skip=0.5, remove=True, units="layers", retries=0, max_energy_j=2e-6, multipliers=False
    )
    assert paper_options(["literal"], "paper") == PaperOptions.literal()
    assert paper_options(["skip=0.3", "literal", "sweeps=2"], "paper") == PaperOptions.literal(skip=0.3, sweeps=2)


def test_the_help_names_every_option(axdnn: Command) -> None:
    assert all(name in PAPER_HELP for name in PaperOptions.__dataclass_fields__)
    said = axdnn("generate", "--help").out
    for word in ("--paper", "--objective", "paper_literal", "xai-gen", "Algorithm 1"):
        assert word in said


def lenet_estimates(assignment: Assignment) -> tuple[CostReport, ...]:
    model = build_model("lenet5", 1, 10, 28)
    network = network_of(fold_batch_norm(capture(model, torch.zeros(1, 1, 28, 28))), "lenet5")
    wired = {n: load_multiplier(n) for n in assignment.kinds}
    return tuple(price(network, assignment, "tpu_v4", multipliers=wired) for price in (estimate, paper_literal))


def test_estimate_prices_what_a_result_skips(axdnn: Command, result_of: Any, tmp_path: Path) -> None:
    layers = ("conv1", "conv2", "conv3", "fc1", "fc2")
    assignment = Assignment(
        multipliers=dict.fromkeys(layers, "mul8s_1L2N"), pods={"mul8s_1L2N": 3},
        skip={"conv2": (0, 5, 7), "fc1": tuple(range(40))}, absent={"conv3": (0, 5, 7), "fc2": tuple(range(50))},
    )  # fmt: skip
    whole = from_json(CostReport, axdnn(*ESTIMATE, "--multiplier", "mul8s_1L2N").out)
    save_record(tmp_path / "result.json", result_of(assignment, whole))
    found = from_json(CostReport, axdnn(*ESTIMATE, "--assignment", tmp_path).out)
    printed = from_json(CostReport, axdnn(*ESTIMATE, "--assignment", tmp_path, "--cost-model", "paper_literal").out)
    plain = Assignment(multipliers=assignment.multipliers, skip=assignment.skip, absent=assignment.absent)
    assert (found, printed) == lenet_estimates(plain), "the pods are chosen anew"
    assert found.multiplier_energy_j < whole.multiplier_energy_j


@pytest.mark.parametrize("left_out", [{"skip": {"conv1": (6,)}}, {"absent": {"fc9": (0,)}}])
def test_estimate_of_neurons_that_are_not_there(
    left_out: dict[str, Any], axdnn: Command, result_of: Any, tmp_path: Path
) -> None:
    layers = ("conv1", "conv2", "conv3", "fc1", "fc2")
    priced = from_json(CostReport, axdnn(*ESTIMATE).out)
    assignment = Assignment(multipliers=dict.fromkeys(layers, "mul8s_1KV6"), **left_out)
    save_record(tmp_path / "result.json", result_of(assignment, priced))
    done = axdnn(*ESTIMATE, "--assignment", tmp_path)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


@pytest.mark.data
@pytest.mark.xdist_group("full_run")
def test_a_run_with_options(axdnn_data: Command, tmp_path: Path) -> None:
    """What it chose is priced alike by `estimate`; other options are another run; the same ones are shown again."""
    out = tmp_path / "run"
    command = (*RUN, "--out", out, "--paper", "skip=0.2", "--paper", "remove=true", "--objective", "multiplier")
    done = axdnn_data(*command)
    assert done.code == 0, done.err
    result = load_record(GenerationResult, out / "result.json")
    assert (result.strategy, result.objective, result.multiplier_set) == ("paper", "multiplier", "xai-gen")
    assert result.status == "met"
    assert result.skipped
    assert result.multiplier_energy_j < result.baseline_multiplier_energy_j
    priced = from_json(CostReport, axdnn_data(*ESTIMATE, "--assignment", out).out)
    assert priced.energy_j == pytest.approx(result.energy_j, rel=1e-12)
    assert [(layer.layer, layer.multiplier) for layer in priced.layers] == list(result.assignment.items())
    for changed in (command[:-4], (*command, "--paper", "step=0.1"), (*command[:-1], "energy")):
        refused = axdnn_data(*changed)
        assert refused.code == 2
        assert "another run" in refused.err
    again = axdnn_data(*command, "--paper", "units=groups")
    assert again.code == 0
    assert "finished already" in again.err
