import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from axdnn.hardware import exact_figures, load_accelerator
from axdnn.multipliers import load_multiplier
from axdnn.records import Assignment, Figures, Layer, Multiplier, Network

ROOT = Path(__file__).parents[2]


def make_gemm(name: str, m: int, k: int, n: int, groups: int = 1, inputs: int | None = None) -> Layer:
    return Layer(
        name=name,
        kind="conv2d",
        m=m,
        k=k,
        n=n,
        groups=groups,
        input_words=groups * m * k if inputs is None else inputs,
        output_words=groups * m * n,
        in_shape=(1,),
        out_shape=(1,),
    )


def make_network(*layers: Layer, peak: int = 0) -> Network:
    return Network(name="test", layers=layers, peak_activation_words=peak)


@pytest.fixture(scope="session", name="gemm")
def gemm_fixture():
    return make_gemm


@pytest.fixture(scope="session", name="network_of")
def network_of_fixture():
    return make_network


@pytest.fixture(scope="session")
def multipliers() -> dict[str, Multiplier]:
    names = ["mul8s_1KV6", "mul8s_1KVP", "mul8s_1L2N", "mul8u_1JFF", "mul8u_QKX", "mul8u_R36"]
    loaded = {name: load_multiplier(name) for name in names}
    loaded["QKX_sm"] = loaded["mul8u_QKX"].sign_magnitude()
    return loaded


@pytest.fixture(scope="session")
def exact_of() -> dict[str, Figures]:
    """Figures of the exact circuits by coding."""
    return exact_figures()


@pytest.fixture(scope="session")
def lenet() -> Network:
    return make_network(
        make_gemm("conv1", 784, 25, 6, inputs=1024),
        make_gemm("conv2", 100, 150, 16, inputs=1176),
        make_gemm("conv3", 1, 400, 120),
        make_gemm("fc1", 1, 120, 84),
        make_gemm("fc2", 1, 84, 10),
        peak=5728,
    )


@pytest.fixture(scope="session")
def mobile() -> Network:
    """Large and small, grouped and dense, one-column layers."""
    return make_network(
        make_gemm("stem", 12544, 27, 32, inputs=150528),
        make_gemm("depthwise", 12544, 9, 1, groups=32, inputs=401408),
        make_gemm("point", 12544, 32, 64),
        make_gemm("body", 196, 2304, 256, inputs=50176),
        make_gemm("grouped", 49, 576, 32, groups=4, inputs=12544),
        make_gemm("fc", 1, 512, 1000),
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
