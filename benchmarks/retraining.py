"""What fine-tuning approximate networks costs and gains.

    OMP_NUM_THREADS=1 python benchmarks/retraining.py cost --multiplier mul8u_13QR
    OMP_NUM_THREADS=1 python benchmarks/retraining.py accuracy --multiplier mul8u_13QR

`cost`: time and memory of a training step of ResNet-8 on CIFAR-10 images: float, quantisation-aware (our own minimal
one: the captured network with a fake-quantised input and weight at every layer, torch's operators), and approximate
with both gradients. Times are interleaved in one process, medians of ratios; memory is the growth of the peak resident
size during a step, the median of three fresh processes. `accuracy`: before and after fine-tuning. The held-out split is
looked at while developing; the test split is used once, for the figures in the file. Results go to
`results/retraining.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from axdnn import approximate
from axdnn.data import load_dataset
from axdnn.layers import Recipe
from axdnn.models import load_model, measure_accuracy
from axdnn.models.machine import one_thread, processor
from axdnn.quant import CapturedModel, Node, capture, fold_batch_norm
from axdnn.records import write_atomic
from axdnn.retraining import FineTuning, Gradient, fine_tune, recalibrate, trainable

RESULTS = Path(__file__).parent / "results" / "retraining.json"
KINDS = ("float", "quantisation-aware", "straight_through", "table_slope")


class QuantisationAware(nn.Module):
    """A captured network whose layers see fake-quantised inputs and weights; weights and biases are trained."""

    def __init__(self, captured: CapturedModel, images: torch.Tensor) -> None:
        super().__init__()
        self.graph = captured
        self.weights = nn.ParameterList(nn.Parameter(captured.layer(n).weight.clone()) for n in captured.layer_names)
        self.biases = nn.ParameterList(nn.Parameter(captured.layer(n).bias.clone()) for n in captured.layer_names)
        self.scales: dict[str, tuple[float, int]] = {}
        captured.run(images, self._observe)

    def _observe(self, node: Node, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if node.is_layer:
            low, high = min(float(inputs[0].min()), 0.0), max(float(inputs[0].max()), 0.0)
            self.scales[node.name] = (high - low) / 255, round(-low * 255 / (high - low))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values: dict[str, torch.Tensor] = {}
        last = {i: node.name for node in self.graph.nodes.values() for i in node.inputs}
        parameters = iter(zip(self.weights, self.biases, strict=True))
        for node in self.graph.nodes.values():
            if node.op == "output":
                break
            inputs = tuple(values[i] for i in node.inputs)
            if node.op == "input":
                values[node.name] = x
            elif node.is_layer:
                values[node.name] = self._layer(node, inputs[0], *next(parameters))
            else:
                values[node.name] = self.graph.apply_node(node, inputs)
            for i in set(node.inputs):
                if last[i] == node.name:
                    del values[i]
        return values[self.graph.output]

    def _layer(self, node: Node, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        x = torch.fake_quantize_per_tensor_affine(x, *self.scales[node.name], 0, 255)
        size = weight.detach().abs().flatten(1).amax(1) / 127
        weight = torch.fake_quantize_per_channel_affine(weight, size, torch.zeros(len(size)), 0, -127, 127)
        if node.op == "linear":
            return functional.linear(x, weight, bias)
        a = node.attrs
        return functional.conv2d(x, weight, bias, a["stride"], a["padding"], a["dilation"], a["groups"])


def step_of(kind: str, multiplier: str, batch: int) -> Callable[[], None]:
    """Return a function that makes one training step."""
    data, model = load_dataset("cifar10"), load_model("resnet8", "cifar10").model
    calibration, images, labels = data.tensors("calibration", 128)[0], *data.tensors("fit", batch)
    if kind == "float":
        net: nn.Module = model.train()
    elif kind == "quantisation-aware":
        net = QuantisationAware(fold_batch_norm(capture(model, calibration[:1])), calibration)
    else:
        gradient: Gradient = "table_slope" if kind == "table_slope" else "straight_through"
        net = trainable(approximate(model, multiplier, calibration), model, calibration, gradient=gradient)
    optimizer = torch.optim.SGD(net.parameters(), 1e-6, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(net(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def peak_growth(kind: str, multiplier: str, batch: int) -> int:
    """Return by how many bytes two steps raise the resident size at most, in a fresh process.

    A step of four images comes first, so that code and tables are loaded; then free memory is given back and the
    kernel's peak is reset (Linux), so that what preparing took does not count.
    """
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import retraining as r\n"
        f"r.torch.set_num_threads(1); r.step_of({kind!r}, {multiplier!r}, 4)()\n"
        f"step = r.step_of({kind!r}, {multiplier!r}, {batch})\n"
        "import ctypes, gc, pathlib; gc.collect(); ctypes.CDLL(None).malloc_trim(0)\n"
        "pathlib.Path('/proc/self/clear_refs').write_text('5'); before = r.status('VmRSS')\n"
        "step(); step(); print(r.status('VmHWM') - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)


def status(field: str) -> int:
    """Return a field of this process' memory in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def ratio(times: list[float], others: list[float]) -> float:
    """Return the median over the rounds, the first left out, of the ratio of two times measured in one round."""
    return statistics.median(a / b for a, b in zip(times[1:], others[1:], strict=True))


def cost(circuits: list[str], batch: int, repeats: int) -> list[dict[str, Any]]:
    rows = []
    for multiplier in circuits:
        steps = {kind: step_of(kind, multiplier, batch) for kind in KINDS}
        times: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for _ in range(repeats):
            for kind, step in steps.items():
                began = time.perf_counter()
                step()
                times[kind].append(time.perf_counter() - began)
        del steps
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        growths = {kind: [peak_growth(kind, multiplier, batch) for _ in range(3)] for kind in KINDS}
        memory = {kind: statistics.median(values) for kind, values in growths.items()}
        for kind in KINDS:
            row = {
                "multiplier": multiplier, "kind": kind, "batch": batch, "repeats": repeats - 1,
                "time_to_float": ratio(times[kind], times["float"]),
                "time_to_quantisation_aware": ratio(times[kind], times["quantisation-aware"]),
                "memory_to_float": memory[kind] / memory["float"],
                "memory_to_quantisation_aware": memory[kind] / memory["quantisation-aware"],
                "memory_bytes": memory[kind], "load_a_core": round(load, 1),
            }  # fmt: skip
            rows.append(row)
            print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return rows


def accuracy(args: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune once and measure; the held-out images are training images that no training saw."""
    data, model = load_dataset(args.data), load_model(args.model, args.data).model
    calibration = data.tensors("calibration", 256)[0]
    images, labels = data.tensors("fit", args.images)
    held, test = data.tensors("search", 2000), data.tensors("test", 10000)
    recipe = Recipe(align=False, weight_codes="nearest", compensate=False) if args.plain else Recipe()
    approximated = approximate(model, args.multiplier, calibration, recipe=recipe)
    settings = FineTuning(
        epochs=args.epochs, learning_rate=args.rate, distillation=args.distillation, seed=args.seed, batch_size=64
    )
    started = {"held_out": measure_accuracy(approximated, *held), "test": measure_accuracy(approximated, *test)}
    recalibrate(approximated, model, images[:1000], "moments")
    moments = {"held_out": measure_accuracy(approximated, *held)}
    print(started, moments, flush=True)
    trained = trainable(approximated, model, calibration, recipe=recipe, gradient=args.gradient)
    checkpoint = args.checkpoint / f"{args.model}-{args.multiplier}-{args.gradient}-{args.seed}.pt"

    def show(message: str, done: int, total: int) -> None:
        print(f"{message}: {done} of {total}", flush=True)

    losses = fine_tune(trained, images, labels, settings, teacher=model, checkpoint=checkpoint, progress=show)
    finished = trained.finish()
    floats = {"held_out": measure_accuracy(model, *held), "test": measure_accuracy(model, *test)}
    after = {"held_out": measure_accuracy(finished, *held), "test": measure_accuracy(finished, *test)}
    return {
        "model": args.model, "data": args.data, "multiplier": args.multiplier, "gradient": args.gradient,
        "recipe": "plain" if args.plain else "default",
        "settings": {k: getattr(settings, k) for k in settings.__dataclass_fields__}, "images": len(images),
        "held_out_images": len(held[0]), "test_images": len(test[0]), "losses": losses, "float": floats,
        "approximate": started, "recalibrated_by_moments": moments, "fine_tuned": after,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["cost", "accuracy"])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--model", default="resnet8")
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--multiplier", default="mul8u_13QR")
    parser.add_argument("--gradient", default="straight_through")
    parser.add_argument("--plain", action="store_true", help="no alignment, nearest codes, no compensation")
    parser.add_argument("--images", type=int, default=6400)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--distillation", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, default=Path("runs/retraining"), help="folder")
    args = parser.parse_args()
    with one_thread():
        found: Any = cost([args.multiplier], args.batch, args.repeats) if args.part == "cost" else accuracy(args)
    report = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cost": [], "accuracy": []}
    report["machine"] = {"processor": processor(), "torch": torch.__version__, "python": platform.python_version()}
    if args.part == "cost":
        report["cost"] = [r for r in report["cost"] if r["multiplier"] != args.multiplier] + found
    else:
        key = ("model", "multiplier", "gradient", "recipe", "settings")
        report["accuracy"] = [r for r in report["accuracy"] if any(r[k] != found[k] for k in key)] + [found]
        print({k: found[k] for k in ("float", "approximate", "recalibrated_by_moments", "fine_tuned")})
    write_atomic(RESULTS, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
