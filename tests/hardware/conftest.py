import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from hardware_cases import gemm, network_of

from axdnn.hardware import load_accelerator
from axdnn.multipliers import load_multiplier
from axdnn.records import Assignment, Multiplier, Network

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def multipliers() -> dict[str, Multiplier]:
    names = ["mul8s_1KV6", "mul8s_1KVP", "mul8s_1L2N", "mul8u_1JFF", "mul8u_QKX", "mul8u_R36"]
    loaded = {name: load_multiplier(name) for name in names}
    loaded["QKX_sm"] = loaded["mul8u_QKX"].sign_magnitude()
    return loaded


@pytest.fixture(scope="session")
def lenet() -> Network:
    return network_of(
        gemm("conv1", 784, 25, 6, inputs=1024),
        gemm("conv2", 100, 150, 16, inputs=1176),
        gemm("conv3", 1, 400, 120),
        gemm("fc1", 1, 120, 84),
        gemm("fc2", 1, 84, 10),
        peak=5728,
    )


@pytest.fixture(scope="session")
def mobile() -> Network:
    """Large and small, grouped and dense, one-column layers."""
    return network_of(
        gemm("stem", 12544, 27, 32, inputs=150528),
        gemm("depthwise", 12544, 9, 1, groups=32, inputs=401408),
        gemm("point", 12544, 32, 64),
        gemm("body", 196, 2304, 256, inputs=50176),
        gemm("grouped", 49, 576, 32, groups=4, inputs=12544),
        gemm("fc", 1, 512, 1000),
    )


@pytest.fixture(scope="session")
def uniform() -> Callable[[Network, str], Assignment]:
    return lambda network, name: Assignment(multipliers=dict.fromkeys(network.layer_names, name))


@pytest.fixture(scope="session")
def small_chip():
    """8 pods of 8 x 8 with little memory, so that every limit is met."""
    return load_accelerator("tpu_v4").replace(
        rows=8, columns=8, accumulator_bytes=4 * 8 * 50, activation_buffer_bytes=2e5, weight_buffer_bytes=2e4,
        backing_bytes=0.0, dram_bandwidth_b_s=2e10, buffer_bandwidth_b_s=1e10,
    )  # fmt: skip


def read_reference(name: str) -> list[dict[str, str]]:
    with (ROOT / "tests" / "reference" / name).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def reference() -> Callable[[str], list[dict[str, str]]]:
    return read_reference
