"""`generate` end to end on a small real network: counts, splits, resume, proof, what it reports."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from axdnn.evaluation import Split
from axdnn.evaluation.outcomes import read_outcome
from axdnn.generation import STRATEGIES, Request, generate
from axdnn.importance import Fisher
from axdnn.layers import Recipe, approximate
from axdnn.multipliers import load_multiplier
from axdnn.quant import capture
from axdnn.records import (
    Evaluation,
    GenerationResult,
    InvalidInputError,
    Multiplier,
    Study,
    UnknownNameError,
    from_json,
    to_json,
)
from axdnn.testing import counted_images

CIRCUITS = "mul8s_1L2L,mul8u_2AC,mul8u_QKX,mul8u_13QR,mul8u_17MJ,mul8u_1SX"
RECIPE = Recipe(fit_rows=64)
Small = tuple[nn.Module, torch.Tensor, dict[str, Split]]
# Of those that try choices one by one as these do, `test_strategies.py` holds the same laws without a network.
NAMES = [n for n in STRATEGIES if n not in ("noise_greedy", "agn", "taylor", "uniform_precision", "exhaustive")]
EVERY = pytest.mark.parametrize("strategy", NAMES)


def request(**options: Any) -> Request:
    settings = {"max_accuracy_loss": 8.0, "multipliers": CIRCUITS, "evaluations": 8, "recipe": RECIPE, **options}
    return Request(**settings)


def plain(result: GenerationResult) -> str:
    """A result as text, without the time it took."""
    return to_json(msgspec.structs.replace(result, wall_s=0.0))


@EVERY
def test_a_run_of_each_strategy(small: Small, tmp_path: Path, strategy: str) -> None:
    """Accepted on the accept split, within the cap, every image counted, cached, repeated from the cache alike."""
    model, calibration, splits = small
    asked = request(strategy=strategy)
    with counted_images() as check:
        capture(model, calibration)
    with counted_images() as seen:
        result = generate(model, calibration, splits, asked, cache=tmp_path / "e", codings=tmp_path / "c")
    assert result.network_images == sum(seen) - sum(check)
    assert 2 <= result.evaluations <= 8
    assert sum(len(e.accuracy) for e in result.visited) == result.evaluations
    assert result.status == ("met" if result.energy_j < result.baseline_energy_j else "exact")
    assert result.status == "met" or strategy == "random"
    assert result.chosen.accepted
    assert result.chosen.accuracy["accept"].loss_bound <= 0.08
    assert result.chosen.accuracy["search"].loss_bound <= 0.08
    assert result.chosen.energy_j == result.energy_j == min(e.energy_j for e in result.visited if e.accepted)
    assert from_json(GenerationResult, to_json(result)) == result
    with counted_images() as seen_again:
        again = generate(model, calibration, splits, asked, cache=tmp_path / "e", codings=tmp_path / "c")
    assert plain(again) == plain(result)
    assert seen_again.count(400) == 1, "only the float network runs on a whole split again"
    assert plain(generate(model, calibration, splits, asked)) == plain(result), "caches change no figure"


def test_the_test_split_is_used_once_at_the_end(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exact, the chosen and the float network see it, each once, after every choice has been made.

    Before, networks see whole splits, each a full evaluation, and the few images of the search split that choices are
    probed on; the exact network sees the search split once more, to say which images these are.
    """
    simulation, generation = sys.modules["axdnn.evaluation.simulation"], sys.modules["axdnn.generation.generate"]
    model, calibration, splits = small
    uses: list[str] = []
    searched = {image.numpy().tobytes() for image in splits["search"].images}

    def name_of(images: torch.Tensor) -> str:
        named = [name for name, split in splits.items() if split.images is images]
        few = 10 * len(images) <= len(searched) and {image.numpy().tobytes() for image in images} <= searched
        return named[0] if named else "few of search" if few else "?"

    outputs_of, predictions = simulation.outputs_of, generation.predictions

    def watched_outputs(models: list[nn.Module], images: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        uses.extend([name_of(images)] * len(models))
        return outputs_of(models, images, *args, **kwargs)

    def watched(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        uses.append(name_of(images))
        return predictions(network, images)

    monkeypatch.setattr(simulation, "outputs_of", watched_outputs)
    monkeypatch.setattr(sys.modules["axdnn.evaluation.least_sure"], "outputs_of", watched_outputs)
    monkeypatch.setattr(generation, "predictions", watched)
    result = generate(model, calibration, splits, request())
    assert uses[-3:] == ["test"] * 3
    before = uses[:-3]
    assert set(before) == {"search", "accept", "few of search"}
    assert before.count("search") + before.count("accept") == result.evaluations + 1


@pytest.mark.parametrize(("strategy", "at"), [(name, 4) for name in NAMES] + [("integer", 1), ("integer", 7)])
def test_interrupted_and_resumed(small: Small, tmp_path: Path, strategy: str, at: int) -> None:
    """Ctrl-C after evaluation n, then the same call: the same result, and only what was missing is simulated."""
    model, calibration, splits = small
    asked = request(strategy=strategy, score="none")
    whole = generate(model, calibration, splits, asked, cache=tmp_path / "whole")
    assert whole.evaluations >= at

    def stop(message: str, done: int, total: int) -> None:
        if message.startswith(("search", "accept")) and done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(model, calibration, splits, asked, cache=tmp_path / "part", progress=stop)
    kept = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "part").iterdir()}
    sizes = {len(splits["search"]), len(splits["accept"])}
    bits = list((tmp_path / "part").glob("*.bits"))
    assert sum(any(read_outcome(file, size) for size in sizes) for file in bits) == at, "others are of probes"
    resumed = generate(model, calibration, splits, asked, cache=tmp_path / "part")
    assert plain(resumed) == plain(whole)
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "part").iterdir()}
    assert {name: after[name] for name in kept} == kept, "nothing is simulated twice"
    assert sorted(after) == sorted(p.name for p in (tmp_path / "whole").iterdir())


def test_checkpoints_hold_the_history_and_the_best(small: Small) -> None:
    model, calibration, splits = small
    saved: list[tuple[Study, Evaluation | None]] = []
    result = generate(model, calibration, splits, request(), checkpoint=lambda s, best: saved.append((s, best)))
    counts = [s.full_evaluations for s, _ in saved]
    assert counts == sorted(counts)
    assert [s.finished for s, _ in saved] == [False] * (len(saved) - 1) + [True]
    last, best = saved[-1]
    assert last.evaluations == result.visited
    assert best is not None
    assert best.assignment.multipliers == result.assignment
    assert all(a.network_images <= b.network_images for (a, _), (b, _) in itertools.pairwise(saved))


@EVERY
def test_a_budget_that_cannot_be_met_gives_the_exact_network(small: Small, strategy: str) -> None:
    model, calibration, splits = small
    result = generate(model, calibration, splits, request(strategy=strategy, max_accuracy_loss=0.0))
    assert result.status == "exact"
    assert set(result.assignment.values()) == {"mul8s_1KV6"}
    assert result.energy_j == result.baseline_energy_j
    assert result.accuracy == result.baseline_accuracy
    assert "95 %" in result.reason
    assert "0 points" in result.reason
    assert result.evaluations <= 8


def test_only_the_exact_circuit_to_choose_from(small: Small) -> None:
    model, calibration, splits = small
    result = generate(model, calibration, splits, request(multipliers="exact"))
    assert (result.status, result.evaluations) == ("exact", 2)


def test_the_reported_figures_are_those_of_the_model_handed_over(small: Small) -> None:
    """Rebuilt from the assignment alone, by `approximate`, on the literal path, image by image."""
    model, calibration, splits = small
    result = generate(model, calibration, splits, request())
    assert "identical" in result.provenance["reference_check"]
    rebuilt = approximate(model, dict(result.assignment), calibration, recipe=RECIPE)
    test = splits["test"]
    fast = rebuilt(test.images)
    rebuilt.path = "reference"
    assert torch.equal(fast, torch.cat([rebuilt(part) for part in test.images.split(50)]))
    assert float((fast.argmax(1) == test.labels).double().mean()) == pytest.approx(result.accuracy)
    with torch.no_grad():
        floats = float((model(test.images).argmax(1) == test.labels).double().mean())
    assert result.float_accuracy == pytest.approx(floats)
    assert result.images == {"search": 400, "accept": 400, "test": 400, "calibration": 64}


def test_a_disagreement_with_the_reference_is_an_error(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    model, calibration, splits = small
    monkeypatch.setattr(sys.modules["axdnn.generation.generate"].torch, "equal", lambda *_: False)
    with pytest.raises(AssertionError, match="disagrees"):
        generate(model, calibration, splits, request(evaluations=3))


@pytest.mark.parametrize("score", ["conductance", "ablation", "fisher", "learned_noise", "error_path", "none"])
def test_scores_guide_and_are_reported(small: Small, score: str) -> None:
    model, calibration, splits = small
    with counted_images() as check:
        capture(model, calibration)
    with counted_images() as seen:
        result = generate(model, calibration, splits, request(score=score, evaluations=4))
    assert [s.score for s in result.scores] == ([] if score == "none" else [score])
    assert all(s.images <= 40 for s in result.scores), "a score sees at most a tenth of the search split"
    assert result.network_images == sum(seen) - sum(check)


def test_a_scorer_with_options_guides_as_well(small: Small) -> None:
    model, calibration, splits = small
    given, named = Fisher(images=4), request(score="fisher", evaluations=3)
    result = generate(model, calibration, splits, request(score=given, evaluations=3))
    assert (result.scores[0].score, result.scores[0].images) == ("fisher", 4)
    assert generate(model, calibration, splits, named).scores[0].images == 40
    with pytest.raises(UnknownNameError, match="fisher"):
        request(score="fischer")


def test_same_seed_same_result_in_another_process(small: Small, tmp_path: Path) -> None:
    model, calibration, splits = small
    torch.save((model.state_dict(), calibration, {k: (s.images, s.labels) for k, s in splits.items()}), tmp_path / "in")
    code = (
        "import importlib.util, sys, torch, json\n"
        "torch.set_num_threads(1)\n"
        f"spec = importlib.util.spec_from_file_location('c', {str(Path(__file__).with_name('conftest.py'))!r})\n"
        "c = importlib.util.module_from_spec(spec); sys.modules['c'] = c; spec.loader.exec_module(c)\n"
        "from axdnn.generation import Request, generate; from axdnn.layers import Recipe\n"
        f"state, cal, parts = torch.load({str(tmp_path / 'in')!r})\n"
        "net = c.Small(); net.load_state_dict(state); net.eval()\n"
        "splits = {k: c.Split(k, *v) for k, v in parts.items()}\n"
        f"asked = Request(max_accuracy_loss=8.0, multipliers={CIRCUITS!r}, evaluations=8, recipe=Recipe(fit_rows=64))\n"
        "r = generate(net, cal, splits, asked)\n"
        "keys = [e.assignment.key for e in r.visited]\n"
        "print(json.dumps([r.assignment, r.accuracy, r.energy_j, r.network_images, keys]))"
    )
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    r = generate(model, calibration, splits, request())
    here = [r.assignment, r.accuracy, r.energy_j, r.network_images, [e.assignment.key for e in r.visited]]
    assert json.loads(out) == here


def test_the_seed_draws_the_samples(small: Small) -> None:
    model, calibration, splits = small
    results = [generate(model, calibration, splits, request(seed=seed, evaluations=6)) for seed in (0, 1)]
    assert [r.seed for r in results] == [0, 1]
    assert any(
        a.accuracy != b.accuracy or a.assignment != b.assignment
        for a, b in zip(results[0].visited, results[1].visited, strict=False)
    )


def test_accept_tries_limit_the_looks_at_the_accept_split(small: Small) -> None:
    model, calibration, splits = small
    result = generate(model, calibration, splits, request(accept_tries=2, evaluations=12))
    assert sum("accept" in e.accuracy for e in result.visited) <= 1 + 2


def test_a_circuit_without_figures_cannot_be_priced(small: Small) -> None:
    model, calibration, splits = small
    bare = Multiplier(name="bare", coding="unsigned", table=load_multiplier("mul8u_QKX").table)
    with pytest.raises(InvalidInputError, match="bare"):
        generate(model, calibration, splits, request(multipliers=(bare,)))


def test_users_own_circuits(small: Small, problem: Callable[..., Any]) -> None:
    """A multiplier that is not in the catalogue takes part under its own name."""
    model, calibration, splits = small
    known = load_multiplier("mul8u_QKX")
    table = np.array(known.table)
    table[255, 255] += 1
    mine = Multiplier(name="mine", coding="unsigned", table=table, figures=known.figures)
    result = generate(model, calibration, splits, request(multipliers=(mine,), strategy="uniform"))
    assert set(result.assignment.values()) == {"mine"}
    assert result.multiplier_set == "mine"


def test_models_of_several_inputs_or_results_are_refused():
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(4, 3)

        def forward(self, x):
            return self.fc(x), self.fc(x + 1)

    images, labels = torch.rand(40, 4), torch.zeros(40, dtype=torch.long)
    splits = {name: Split(name, images, labels) for name in ("search", "accept", "test")}
    with pytest.raises(InvalidInputError, match="one input and one result"):
        generate(Two(), images, splits, Request())
