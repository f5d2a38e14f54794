"""Compare the scores of importance: agreement with ablation, cost, and what each is worth to strategy `integer`.

    OMP_NUM_THREADS=1 python benchmarks/scores.py

For each case, seed and score one run of `generate` at a budget of 1 point, all with the same candidates, images, cap
of full evaluations and caches; it minimises the energy of the multipliers. Thirteen candidates keep a run short so that
several seeds can be run; `benchmarks/baselines.py` has the whole library. The score sees a tenth of the search images.
The seed draws the calibration images. Two controls stand beside the scores: `none` weighs all layers alike, `random`
draws an importance for each layer (exponential, mean 1). `learned_noise (products)` is AGN's reward.

Seconds are processor time of the score alone. Backward passes are counted where they are asked for: an image for each
class and point. Cache hits count as evaluations and images. A finished row is kept in benchmarks/results/scores.json
and not repeated, so more seeds may follow.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from axdnn.data import load_dataset
from axdnn.generation import Request, generate
from axdnn.importance import SCORES, Context, LearnedNoise, Scorer, kendall_tau, load_scorer
from axdnn.methods import splits_of
from axdnn.models import load_model
from axdnn.models.machine import one_thread, processor
from axdnn.quant import CapturedModel
from axdnn.records import GenerationResult, LayerScores, write_atomic

RESULTS = Path(__file__).parent / "results" / "scores.json"
TRUTH = "ablation"
NAMES = (TRUTH, *(name for name in SCORES if name != TRUTH), "learned_noise (products)", "random", "none")
MULTIPLIERS = (
    "mul8s_1KV6,mul8s_1KVQ,mul8s_1L2J,mul8s_1L2H,mul8s_1L2L,mul8s_1KXF,mul8s_1L2N,mul8s_1L12,mul8u_13QR,mul8u_17MJ,"
    "mul8u_17R6,mul8u_18DU,mul8u_R36"
)
# Images of the splits, cap of full evaluations. A bound of 95 % within a point takes thousands of images.
CASES: dict[str, dict[str, Any]] = {
    "lenet5": {"model": "lenet5", "data": "mnist", "search": 5000, "accept": 5000, "calibration": 256, "test": 10_000,
               "cap": 6},
    "lenet5_16": {"model": "lenet5", "data": "mnist", "search": 5000, "accept": 5000, "calibration": 256,
                  "test": 10_000, "cap": 16},
    "resnet8": {"model": "resnet8", "data": "cifar10", "search": 2500, "accept": 5000, "calibration": 128,
                "test": 2000, "cap": 12},
}  # fmt: skip


class RandomScore(Scorer):
    """An importance for each layer, drawn; no score (a dead layer may come first), so it is not in the package."""

    name = "random"

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def score(self, context: Context) -> LayerScores:
        layers = context.network.layer_names
        values = np.random.default_rng(self.seed).exponential(size=len(layers))
        return LayerScores(score="random", values=dict(zip(layers, values.tolist(), strict=True)), unit="none")


class Measured(Scorer):
    """A scorer, its processor time and its backward passes."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer, self.seconds, self.backward_images = scorer, 0.0, 0

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.scorer.name

    def score(self, context: Context) -> LayerScores:
        began = time.process_time()
        with counted_backward() as images:
            found = self.scorer.score(context)
        self.seconds, self.backward_images = time.process_time() - began, sum(images)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--scores", nargs="+", default=list(NAMES), choices=list(NAMES))
    parser.add_argument("--loss", type=float, default=1.0, help="budget, percentage points")
    parser.add_argument("--work", type=Path, default=Path("runs/scores"), help="caches")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    with one_thread():
        for case in args.cases:
            for seed in range(args.first, args.first + args.seeds):
                for score in args.scores:
                    one(args, case, seed, score)


def one(args: argparse.Namespace, case: str, seed: int, score: str) -> None:
    """Run `generate` with one score unless its row is there already; write the row at once."""
    report = json.loads(args.out.read_text()) if args.out.exists() else {"runs": []}
    key = {"case": case, "seed": seed, "score": score}
    if any(all(run[k] == v for k, v in key.items()) for run in report["runs"]):
        return
    settings = CASES[case]
    calibration, splits = splits_of(
        load_dataset(settings["data"]), seed, {name: settings[name] for name in ("search", "accept", "test")}
    )
    scorer = Measured(scorer_of(score, seed)) if score != "none" else None
    request = Request(
        max_accuracy_loss=args.loss, strategy="integer", objective="multiplier", evaluations=settings["cap"],
        seed=seed, multipliers=MULTIPLIERS, score=scorer or "none",
    )  # fmt: skip
    work = args.work / settings["model"]
    result = generate(
        load_model(settings["model"], settings["data"]).model, calibration[: settings["calibration"]], splits, request,
        name=settings["model"], data=settings["data"], cache=work / str(seed), codings=work / "codings",
    )  # fmt: skip
    report["runs"].append({**key, **row_of(result), **cost_of(result, scorer)})
    report["settings"] = {
        "loss": args.loss, "strategy": "integer", "objective": "multiplier", "multipliers": MULTIPLIERS, "cases": CASES,
        "accelerator": "tpu_v4, streaming, buildable, batch 1",
    }  # fmt: skip
    report["machine"] = {"processor": processor(), "torch": torch.__version__, "python": platform.python_version()}
    set_taus(report["runs"])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(args.out, json.dumps(report, indent=1) + "\n")
    row = report["runs"][-1]
    print(
        f"{case} seed {seed} {score:24} tau {row['tau']}, {row['score_seconds']:.1f} s, multipliers "
        f"{row['multiplier_energy_lower']:.2f} times lower, {row['loss_points']:.2f} points",
        flush=True,
    )


def scorer_of(name: str, seed: int) -> Scorer:
    if name == "random":
        return RandomScore(seed)
    return LearnedNoise(weights="products") if name == "learned_noise (products)" else load_scorer(name)


def row_of(r: GenerationResult) -> dict[str, Any]:
    return {
        "status": r.status, "accuracy": r.accuracy, "baseline_accuracy": r.baseline_accuracy,
        "loss_points": 100 * (r.baseline_accuracy - r.accuracy),
        "multiplier_energy_j": r.multiplier_energy_j, "baseline_multiplier_energy_j": r.baseline_multiplier_energy_j,
        "multiplier_energy_lower": r.baseline_multiplier_energy_j / r.multiplier_energy_j,
        "accept_loss_points": 100 * r.chosen.accuracy["accept"].loss,
        "accept_bound_points": 100 * r.chosen.accuracy["accept"].loss_bound,
        "evaluations": r.evaluations, "network_images": r.network_images, "images": dict(r.images),
        "assignment": dict(r.assignment),
    }  # fmt: skip


def cost_of(r: GenerationResult, scorer: Measured | None) -> dict[str, Any]:
    """What the score said and what it took; nothing for `none`."""
    if scorer is None:
        return {
            "values": None, "unit": "", "score_settings": {}, "score_images": 0, "score_network_images": 0,
            "score_backward_images": 0, "score_seconds": 0.0,
        }  # fmt: skip
    (score,) = r.scores
    return {
        "values": dict(score.values), "unit": score.unit, "score_settings": dict(score.settings),
        "score_images": score.images, "score_network_images": score.network_images,
        "score_backward_images": scorer.backward_images, "score_seconds": scorer.seconds,
    }  # fmt: skip


def set_taus(runs: list[dict[str, Any]]) -> None:
    """Set Kendall's tau-b with ablation under the same case and seed; None without values."""
    truths = {(r["case"], r["seed"]): r["values"] for r in runs if r["score"] == TRUTH}
    for run in runs:
        truth = truths.get((run["case"], run["seed"]))
        both = [LayerScores(score="", values=v) for v in (run["values"], truth) if v]
        run["tau"] = kendall_tau(*both) if len(both) == 2 else None


@contextmanager
def counted_backward() -> Iterator[list[int]]:
    """Count the images of backward passes: those of the run of the network whose result they begin at.

    A gradient that is asked for inside a backward pass, as the rules of some operators do, belongs to that pass.
    """
    images, latest, depth = [], [0], [0]
    run, grad = CapturedModel.run, torch.autograd.grad

    def counting_run(self: CapturedModel, x: Any, *args: Any, **kwargs: Any) -> Any:
        latest[0] = len(x[0] if isinstance(x, tuple) else x)
        return run(self, x, *args, **kwargs)

    def counting_grad(*args: Any, **kwargs: Any) -> Any:
        if depth[0] == 0:
            images.append(latest[0])
        depth[0] += 1
        try:
            return grad(*args, **kwargs)
        finally:
            depth[0] -= 1

    CapturedModel.run, torch.autograd.grad = counting_run, counting_grad  # type: ignore[method-assign]
    try:
        yield images
    finally:
        CapturedModel.run, torch.autograd.grad = run, grad  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
