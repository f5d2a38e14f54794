"""`generate` with channel groups: runs, resumes, is proved and recorded; one group changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import nn

from axdnn.channels import ChannelBank, coding_bank, recorded_channels, recorded_importance
from axdnn.evaluation import Evaluator, RowMapping, Split
from axdnn.generation import Constraints, PaperOptions, Request, Run, TuningOptions, generate, generate_front, tune
from axdnn.hardware import load_accelerator
from axdnn.layers import Recipe
from axdnn.multipliers import load_multiplier
from axdnn.quant import capture, fold_batch_norm
from axdnn.records import GenerationResult, InvalidInputError, RecordError, to_json
from axdnn.retraining import FineTuning
from axdnn.testing import counted_images

CIRCUITS = "mul8s_1L2L,mul8u_2AC,mul8u_QKX,mul8u_13QR,mul8u_17MJ,mul8u_1SX"
RECIPE = Recipe(fit_rows=64)
PARTS = tuple(f"{layer}.part{i}" for layer in ("conv", "fc1", "fc2") for i in range(2))
Small = tuple[nn.Module, torch.Tensor, dict[str, Split]]


class Net(nn.Module):
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


@pytest.fixture(scope="module")
def small() -> Small:
    """A network trained for a moment, calibration images, splits of 400."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    net, (x, y) = Net(), masked(1000, generator)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()
    splits = {name: Split(name, *masked(400, generator)) for name in ("search", "accept", "test")}
    return net.eval(), masked(64, generator)[0], splits


def request(**options: Any) -> Request:
    settings = {"max_accuracy_loss": 8.0, "multipliers": CIRCUITS, "evaluations": 8, "recipe": RECIPE,
                "objective": "multiplier", "channel_groups": 2, **options}  # fmt: skip
    return Request(**settings)


def plain(result: GenerationResult) -> str:
    return to_json(msgspec.structs.replace(result, wall_s=0.0))


@pytest.mark.parametrize("strategy", ["integer", "greedy"])
def test_a_run_with_two_groups(small: Small, tmp_path: Path, strategy: str) -> None:
    """Every image is counted, parts may differ in their multiplier, a rerun and an interrupted run end alike."""
    model, calibration, splits = small
    asked = request(strategy=strategy)
    with counted_images() as check:
        capture(model, calibration)
    with counted_images() as seen:
        result = generate(model, calibration, splits, asked, cache=tmp_path / "e", codings=tmp_path / "c")
    assert result.network_images == sum(seen) - sum(check)
    assert tuple(result.assignment) == PARTS == result.network.layer_names
    assert result.status == "met"
    pairs = zip(PARTS[::2], PARTS[1::2], strict=True)
    assert strategy == "greedy" or any(result.assignment[a] != result.assignment[b] for a, b in pairs)
    assert "identical on the literal reference path" in result.provenance["reference_check"]
    assert any("split into 2 groups of output channels" in note for note in result.notes)
    assert result.provenance["channels of fc2.part0"].count(" ") == 1
    assert plain(generate(model, calibration, splits, asked, cache=tmp_path / "e")) == plain(result)

    def stop(message: str, done: int, total: int) -> None:
        if message.startswith(("search", "accept")) and done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(model, calibration, splits, asked, cache=tmp_path / "part", progress=stop)
    assert plain(generate(model, calibration, splits, asked, cache=tmp_path / "part")) == plain(result)


def test_the_exact_network_is_that_without_a_split(small: Small) -> None:
    """Accuracy on each split is the same to the bit, and so is the energy of all multipliers."""
    model, calibration, splits = small
    whole, split = (Run(model, calibration, splits, request(channel_groups=g)) for g in (1, 2))
    for part in splits.values():
        right = [run.evaluator.correct(run.evaluator.baseline, part) for run in (whole, split)]
        assert (right[0] == right[1]).all()
    energy = [run.evaluator.cost(run.evaluator.baseline).multiplier_energy_j for run in (whole, split)]
    assert energy[0] == pytest.approx(energy[1], rel=1e-12)


def test_one_group_is_what_there_was(small: Small) -> None:
    """The very classes, graph and names, and no word of channels in the result."""
    model, calibration, splits = small
    run = Run(model, calibration, splits, request(channel_groups=1))
    assert not isinstance(run.bank, ChannelBank)
    assert run.network.layer_names == ("conv", "fc1", "fc2")
    assert run.captured is run.bank.calibration.model
    result = run.run()
    assert not any("channel" in text for text in (*result.provenance, *result.provenance.values(), *result.notes))
    assert Request(multipliers=CIRCUITS) == Request(multipliers=CIRCUITS, channel_groups=1)


def test_a_recorded_split_is_made_again_without_measuring(small: Small) -> None:
    model, calibration, splits = small
    result = generate(model, calibration, splits, request())
    captured = fold_batch_norm(capture(model, calibration))
    importance = recorded_importance(result.provenance)
    with counted_images() as seen:
        bank = coding_bank(captured, calibration, RECIPE, rows=RowMapping(), groups=2, importance=importance)
    assert sum(seen) == len(calibration)
    assert recorded_channels(bank).items() <= result.provenance.items()
    circuits = {name: load_multiplier(name) for name in {*result.assignment.values(), "exact"}}
    evaluator = Evaluator(bank, result.network, circuits, "exact", {}, load_accelerator("tpu_v4"))
    found = evaluator.accuracy(result.chosen.assignment, splits["test"])
    assert found == result.chosen.accuracy["test"]


@pytest.mark.parametrize("text", ["0 x", "0 9", ""])
def test_a_damaged_record_of_channels_is_refused(text: str) -> None:
    with pytest.raises(RecordError, match="channels of the parts"):
        recorded_importance({"channels of conv.part0": text, "channels of conv.part1": "1 3"})


def test_parts_can_be_tied(small: Small) -> None:
    """A pattern ties the parts of a layer; with every layer tied there is one multiplier a layer, as without groups."""
    model, calibration, splits = small
    ties = Constraints(tied=("conv.*", "fc1.*", "fc2.*"))
    result = generate(model, calibration, splits, request(constraints=ties))
    assert result.status == "met"
    assert all(result.assignment[a] == result.assignment[b] for a, b in zip(PARTS[::2], PARTS[1::2], strict=True))


def test_neurons_of_parts_can_be_skipped(small: Small) -> None:
    model, calibration, splits = small
    options = PaperOptions(skip=0.3, remove=True)
    asked = request(strategy="paper", paper=options, max_accuracy_loss=30.0, objective="energy")
    result = generate(model, calibration, splits, asked)
    assert result.chosen.assignment.skip.keys() <= set(PARTS)
    assert result.skipped


def test_a_front_of_budgets(small: Small, tmp_path: Path) -> None:
    model, calibration, splits = small
    results = generate_front(model, calibration, splits, request(), (4.0, 12.0), cache=tmp_path)
    assert results[0].multiplier_energy_j >= results[1].multiplier_energy_j
    assert all(set(result.assignment) == set(PARTS) for result in results)


def test_training_takes_turns_with_parts(small: Small) -> None:
    model, calibration, splits = small
    run = Run(model, calibration, splits, request(max_accuracy_loss=12.0))
    train = Split("fit", *masked(300, torch.Generator().manual_seed(77)))
    options = TuningOptions(rounds=1, fine_tuning=FineTuning(epochs=1))
    found = tune(run, train, options)
    assert set(found.rounds[0].assignment.multipliers) == set(PARTS)
    assert found.model.layer_names == PARTS


@pytest.mark.parametrize("groups", [0, -2, 1.5, True, "2"])
def test_bad_numbers_of_groups_are_refused_before_any_work(groups: int) -> None:
    with pytest.raises(InvalidInputError, match="channel_groups"):
        request(channel_groups=groups)


def test_more_groups_than_channels_are_refused(small: Small) -> None:
    model, calibration, splits = small
    with pytest.raises(InvalidInputError, match=r"at most 12, the most channels .* but got 13"):
        generate(model, calibration, splits, request(channel_groups=13))
