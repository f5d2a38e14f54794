"""Whole networks: the approximate one against torch float32, time and memory of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from axdnn.benchmark.memory import peak_memory
from axdnn.benchmark.selection import circuits
from axdnn.benchmark.timing import in_turns
from axdnn.data import dataset_info
from axdnn.layers import approximate
from axdnn.models import load_model
from axdnn.multipliers import load_multiplier

Progress = Callable[[str, int, int], None]
# Signed of rank 1 and 5, unsigned of rank 5, 52 and 229 (the highest), and chance.
NETWORK_TABLES = ("mul8s_1KVM", "mul8s_1KVA@v2022", "mul8u_18DU", "mul8u_QKX", "mul8u_12N4", "random")
CALIBRATION_IMAGES = 64


def built(model: str, data: str, table: str) -> nn.Module:
    """Return the network with its weights: as it is for `float32`, else with one circuit in every layer."""
    trained = load_model(model, data, allow_training=False).model.eval()
    if table == "float32":
        return trained
    circuit = circuits()["random"] if table == "random" else load_multiplier(table)
    return approximate(trained, circuit, random_images(data, CALIBRATION_IMAGES))


def random_images(data: str, count: int) -> torch.Tensor:
    """Return images of the right shape: how long a network takes does not depend on what they show."""
    shape = dataset_info(data).image_shape
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


def measure_networks(
    tables: Sequence[str] = NETWORK_TABLES,
    model: str = "resnet20",
    data: str = "cifar10",
    batch: int = 128,
    rounds: int = 5,
    memory: bool = True,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Time a batch through the float32 network and through approximate ones, in turns.

    Args:
        tables: circuits, each in every layer.
        model: a network whose weights ship with axdnn.
        data: what it was trained on.
        batch: images.
        rounds: times each network is run.
        memory: whether to measure peak memory too, each network in a process of its own.
        progress: called with (message, done, total).

    Returns:
        One row a network, float32 first; `time_of_float32` and `memory_of_float32` below 1 are better.
    """
    names = ("float32", *tables)
    networks: dict[str, nn.Module] = {}
    for i, name in enumerate(names):
        if progress is not None:
            progress(f"{model} with {name}", i, len(names))
        networks[name] = built(model, data, name)
    images = random_images(data, batch)

    def job(network: nn.Module) -> Callable[[], object]:
        return torch.no_grad()(lambda: network(images))

    found = in_turns({name: job(network) for name, network in networks.items()}, rounds)
    held = {name: peak_memory(model, data, name, batch) if memory else None for name in names}
    rows = []
    for name in names:
        mine, base = held[name], held["float32"]
        rows.append({
            "network": model, "data": data, "batch": batch, "table": name, "s": found[name].s,
            "quarters_s": found[name].quarters, "time_of_float32": found[name].s / found["float32"].s,
            **{key: mine[key] if mine else None for key in ("batch_bytes", "peak_bytes")},
            "memory_of_float32": mine["peak_bytes"] / base["peak_bytes"] if mine and base else None,
            "batch_memory_of_float32": mine["batch_bytes"] / base["batch_bytes"] if mine and base else None,
        })  # fmt: skip
    return rows
