"""Shared: operators with counts, and a product of activations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from axdnn.hardware import load_accelerator
from axdnn.records import ExactOperator, Layer, Network


def make_operator(kind, operator="any", operations=0, transcendental=0, read=0, written=0, name="one") -> ExactOperator:
    return ExactOperator(
        name=name, operator=operator, reason="a test", kind=kind, input_words=read, output_words=written,
        operations=operations, transcendental=transcendental,
    )  # fmt: skip


def make_layer(name: str, m: int, k: int, n: int, groups: int = 1, kind: str = "linear") -> Layer:
    second = groups * k * n if kind == "matmul" else 0
    return Layer(
        name=name, kind=kind, m=m, k=k, n=n, groups=groups, input_words=groups * m * k + second,
        output_words=groups * m * n, in_shape=(groups, m, k), out_shape=(groups, m, n), has_bias=kind != "matmul",
    )  # fmt: skip


@pytest.fixture(scope="session")
def operator() -> Callable[..., ExactOperator]:
    return make_operator


@pytest.fixture(scope="session")
def layer() -> Callable[..., Layer]:
    return make_layer


@pytest.fixture(scope="session")
def chip():
    """4 pods of 8 columns; 16 lanes, 2 operations and 1/4 transcendental a cycle; 10 words a cycle; round energies."""
    return load_accelerator("tpu_v4").replace(
        pods=4, rows=8, columns=8, clock_hz=1e9, buffer_bandwidth_b_s=2.5e9, vector_lanes=16, vector_operations=2,
        vector_transcendental_cycles=4, vector_8bit_j=1e-12, vector_16bit_j=2e-12, vector_32bit_j=4e-12,
        vector_transcendental_j=50e-12, buffer_read_j_b=3e-12, buffer_write_j_b=5e-12, backing_read_j_b=7e-12,
        backing_write_j_b=11e-12, dram_j_bit=1e-12, dram_bandwidth_b_s=2e9, backing_bandwidth_b_s=5e9,
    )  # fmt: skip


@pytest.fixture(scope="session")
def attention() -> Network:
    """Two products of activations between linear layers, with the softmax; 2 heads, 5 tokens of 8 values."""
    layers = (
        make_layer("qkv", 5, 16, 48), make_layer("scores", 5, 8, 5, 2, "matmul"),
        make_layer("context", 5, 5, 8, 2, "matmul"), make_layer("out", 5, 16, 16),
    )  # fmt: skip
    names = ["input", *(one.name for one in layers), "output"]
    soft = make_operator("softmax", "attention_weights", 240, 60, 50, 50, "softmax")
    return Network(
        name="attention", layers=layers, edges=tuple(pairwise(names)), exact_operators=(soft,),
        peak_activation_words=400,
    )  # fmt: skip
