"""What sharing work between candidates saves: an ablation sweep, and the evaluations of `generate`.

    OMP_NUM_THREADS=1 python benchmarks/prefix.py

Each case runs with and without sharing in turn, in one process, codings fitted before; figures are the median ratio of
wall times and the layer executions (layer times images, weighed by products, calibration included) that were left to
do. `evaluations` replays the assignments that `generate` with its default strategy evaluated, in its order; `generate`
is the whole run, whose other parts (scores, screening, the final test) sharing does not touch. Results of both ways are
compared, `generate` once. Each case finished is written into benchmarks/results/prefix.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from axdnn.data import load_dataset
from axdnn.evaluation import CodingBank, Evaluator, Split
from axdnn.generation import Request, generate
from axdnn.hardware import load_accelerator
from axdnn.importance import PANEL
from axdnn.layers import SHARED_BYTES, ActivationCache, Calibration, Recipe, build, outputs_of
from axdnn.methods import splits_of
from axdnn.models import load_model
from axdnn.models.machine import one_thread, processor
from axdnn.multipliers import load_multiplier
from axdnn.quant import capture, fold_batch_norm, network_of
from axdnn.records import Evaluation, Network, write_atomic

RESULTS = Path(__file__).parent / "results" / "prefix.json"
SMALL_SET = "mul8s_1KV6,mul8s_1KVQ,mul8s_1L2J,mul8s_1L2H,mul8s_1KXF,mul8s_1L12,mul8u_13QR,mul8u_17MJ,mul8u_R36"
DATA = {"lenet5": "mnist", "resnet8": "cifar10", "resnet20": "cifar10"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", nargs="*", default=["resnet8", "resnet20"], choices=list(DATA))
    parser.add_argument("--runs", nargs="*", default=["lenet5", "resnet8"], choices=list(DATA))
    parser.add_argument("--images", type=int, default=200, help="of the sweep, and of the search and accept splits")
    parser.add_argument("--calibration", type=int, default=64)
    parser.add_argument("--evaluations", type=int, default=20, help="cap of `generate`")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    with one_thread(), tempfile.TemporaryDirectory() as folder:
        for model in args.runs:
            for row in generation(model, args, Path(folder)):
                note(row, args)
        for model in args.sweeps:
            note(sweep(model, args), args)


def note(row: dict[str, Any], args: argparse.Namespace) -> None:
    """Print a case and put it into the result file, in place of an earlier run of it."""
    left = f", products {row['products_ratio']:.2f}" if "products_ratio" in row else ""
    print(f"{row['case']} {row['model']}: wall time {row['wall_ratio']:.2f}{left}", flush=True)
    row |= {"images": args.images, "calibration_images": args.calibration}
    report = json.loads(args.out.read_text()) if args.out.exists() else {"cases": []}
    others = [r for r in report["cases"] if (r["case"], r["model"]) != (row["case"], row["model"])]
    report = {
        "settings": {"multipliers": SMALL_SET, "panel": PANEL, "shared_bytes": SHARED_BYTES, "threads": 1},
        "machine": {"processor": processor(), "torch": torch.__version__, "python": platform.python_version()},
        "cases": [*others, row],
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(args.out, json.dumps(report, indent=1) + "\n")


def sweep(model: str, args: argparse.Namespace) -> dict[str, Any]:
    """Exact everywhere but in one layer, for each layer and circuit of the panel: all outputs."""
    calibration, network, images = prepared(model, args)
    recipe, bank = Recipe(), CodingBank(calibration, Recipe())
    base = {n: bank.get(n, load_multiplier("exact")) for n in network.layer_names}
    changes = [{n: bank.get(n, load_multiplier(c))} for n in reversed(network.layer_names) for c in PANEL]
    candidates = [base, *({**base, **change} for change in changes)]

    def run(cache: ActivationCache | None) -> list[torch.Tensor]:
        models = [build(calibration, codings, network, recipe, cache=cache) for codings in candidates]
        parts: list[list[torch.Tensor]] = [[] for _ in models]
        for i, outputs in outputs_of(models, images, cache, batch=100):
            parts[i].append(outputs.clone())
        return [torch.cat(p) for p in parts]

    def shared() -> tuple[Any, ActivationCache | None]:
        cache = ActivationCache(calibration)
        return run(cache), cache

    found = compared(lambda: (run(None), None), shared, network, args.repeats)
    return {"case": "ablation sweep", "model": model, "candidates": len(candidates), **found}


def generation(model: str, args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """A whole run of `generate`, and its evaluations alone."""
    trained = load_model(model, DATA[model])
    counts = {"search": args.images, "accept": args.images, "test": args.images}
    images, splits = splits_of(load_dataset(DATA[model]), 0, counts)
    request = Request(
        multipliers=SMALL_SET, evaluations=args.evaluations, max_accuracy_loss=3.0, objective="multiplier"
    )

    def whole(shared_bytes: int) -> Any:
        result = generate(
            trained.model, images[: args.calibration], splits, request, name=model, data=DATA[model],
            codings=folder / "codings", shared_bytes=shared_bytes,
        )  # fmt: skip
        return result.visited, result.network_images, result.evaluations

    visited, _, evaluations = whole(SHARED_BYTES)  # fits the codings
    calibration, network, _ = prepared(model, args)
    bank = CodingBank(calibration, Recipe(), folder / "codings")
    found = compared(
        lambda: replay(visited, bank, network, splits, 0),
        lambda: replay(visited, bank, network, splits, SHARED_BYTES),
        network, args.repeats,
    )  # fmt: skip
    entire = compared(lambda: (whole(0), None), lambda: (whole(SHARED_BYTES), None), network, 1)
    common = {"model": model, "evaluations": evaluations}
    return [{"case": "evaluations", **common, **found}, {"case": "generate", **common, **entire}]


def replay(
    visited: tuple[Evaluation, ...], bank: CodingBank, network: Network, splits: dict[str, Split], shared_bytes: int
) -> tuple[Any, ActivationCache | None]:
    multipliers = {n: load_multiplier(n) for e in visited for n in e.assignment.kinds}
    parts = {name: splits[name] for name in ("search", "accept")}
    chip = load_accelerator("tpu_v4")
    evaluator = Evaluator(bank, network, multipliers, "exact", parts, chip, 1000, shared_bytes=shared_bytes)
    found = [evaluator.evaluate(e.assignment, split).accuracy[split] for e in visited for split in e.accuracy]
    return (found, evaluator.run_images), evaluator.shared


def prepared(model: str, args: argparse.Namespace) -> tuple[Calibration, Network, torch.Tensor]:
    images, splits = splits_of(load_dataset(DATA[model]), 0, {"search": args.images})
    images = images[: args.calibration]
    captured = fold_batch_norm(capture(load_model(model, DATA[model]).model, images))
    recipe = Recipe()
    calibration = Calibration(captured, images, recipe.fit_rows, recipe.seed, recipe.activation_range)
    return calibration, network_of(captured, model), splits["search"].images


def compared(
    alone: Callable[[], tuple[Any, Any]],
    shared: Callable[[], tuple[Any, ActivationCache | None]],
    network: Network,
    repeats: int,
) -> dict[str, Any]:
    """Run both ways in turn; return the median ratio of times, and what was left to compute."""
    ratios = []
    for _ in range(repeats):
        (plain, _), plain_s = timed(alone)
        (found, cache), shared_s = timed(shared)
        assert same(plain, found), "sharing must not change a result"
        ratios.append(shared_s / plain_s)
    row: dict[str, Any] = {"wall_ratio": median(ratios), "wall_ratios": sorted(ratios)}
    if cache is not None:
        macs = {layer.name: layer.macs for layer in network.layers}
        computed = sum(macs[n] * cache.computed[n] for n in macs)
        every = sum(macs[n] * (cache.computed[n] + cache.recalled[n]) for n in macs)
        row |= {
            "products_ratio": computed / every,
            "images_computed": {n: cache.computed[n] for n in macs},
            "images_without_sharing": {n: cache.computed[n] + cache.recalled[n] for n in macs},
        }
    return row


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def same(a: Any, b: Any) -> bool:
    if isinstance(a, list) and a and isinstance(a[0], torch.Tensor):
        return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


if __name__ == "__main__":
    main()
