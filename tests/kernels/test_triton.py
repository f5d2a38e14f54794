"""The Triton kernel in its interpreter on the CPU: every pair, odd windows, bounds; and that it compiles for GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.kernels import approx_conv2d, approx_matmul, explain
from axdnn.kernels.reference import conv2d_reference
from axdnn.kernels.triton_lookup import conv2d_triton, matmul_triton, sums_fit_int32
from axdnn.kernels.triton_tables import look_up_table
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError, Multiplier

CPU = torch.device("cpu")
LIBRARY = ("mul8s_1L2H", "mul8s_1KV8@v2022", "mul8u_QKX", "mul8u_1JJQ")
USER = ("random", "extreme", "minimum", "zero", "rank20", "wide")


def near_exact(spread: int, coding: str = "sign_magnitude") -> Multiplier:
    """An exact circuit with errors of at most `spread`, whose code of zero has errors too."""
    exact = Multiplier(name="exact", coding=coding, table=np.zeros((256, 256), int)).exact_table
    error = np.random.default_rng(spread).integers(-spread, spread + 1, (256, 256))
    return Multiplier(name=f"near{spread}", coding=coding, table=exact + error)


def every_kind(table) -> list[Multiplier]:
    circuits = [load_multiplier(name) for name in LIBRARY]
    circuits += [table(kind, signed) for kind in USER for signed in (True, False)]
    return [*circuits, *(near_exact(127, coding) for coding in ("signed", "unsigned", "sign_magnitude"))]


def test_all_65536_pairs_of_every_kind_of_table(table) -> None:
    rows = torch.arange(256, dtype=torch.uint8).view(1, 256, 1)
    for circuit in every_kind(table):
        assert np.array_equal(matmul_triton(circuit, rows, rows, torch.int64)[0].numpy(), circuit.table)


def test_the_narrow_table_is_the_table(table) -> None:
    for circuit in every_kind(table):
        narrow = look_up_table(circuit, CPU)
        whole = narrow.entries.T.long() + narrow.base
        terms = narrow.entries.T.long().abs()
        if narrow.values is not None:
            product = narrow.values[0].long()[:, None] * narrow.values[1].long()
            whole, terms = whole + product, terms + product.abs()
        assert np.array_equal(whole.numpy(), circuit.table)
        assert int(terms.max()) <= narrow.term_bound
        assert int(narrow.base.abs().max()) <= narrow.base_bound


def test_errors_are_looked_up_where_they_are_narrower() -> None:
    for coding in ("signed", "unsigned", "sign_magnitude"):
        narrow = look_up_table(near_exact(127, coding), CPU)
        assert (narrow.entries.dtype, narrow.values is not None) == (torch.int8, True)
    rng = np.random.default_rng(3)
    for width, kind in ((100, torch.int8), (20000, torch.int16), (2**30, torch.int32)):
        random = Multiplier.from_table(rng.integers(-width, width, (256, 256)), signed=True, name="random")
        narrow = look_up_table(random, CPU)
        assert (narrow.entries.dtype, narrow.values) == (kind, None)


@settings(max_examples=30)
@given(st.data())
def test_any_convolution_is_the_literal_sum(data) -> None:
    size = st.integers(1, 3)
    groups, kernel = data.draw(size), (data.draw(size), data.draw(size))
    stride, dilation = (data.draw(size), data.draw(size)), (data.draw(size), data.draw(size))
    shape = [data.draw(st.integers(0, 4)) + dilation[i] * (kernel[i] - 1) + 1 for i in range(2)]
    c_group, outputs, batch = data.draw(size), data.draw(st.integers(1, 9)), data.draw(size)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    x = rng.integers(0, 256, (batch, groups * c_group, *shape), dtype=np.uint8)
    w = rng.integers(0, 256, (groups * outputs, c_group, *kernel), dtype=np.uint8)
    circuit = data.draw(st.sampled_from([near_exact(127), near_exact(9000, "unsigned"), near_exact(2**30, "signed")]))
    want = conv2d_reference(circuit.table, x, w, stride, dilation, groups)
    given_x = torch.from_numpy(x)
    if data.draw(st.booleans()):
        given_x = given_x.contiguous(memory_format=torch.channels_last)
    got = conv2d_triton(
        circuit, given_x, torch.from_numpy(w), stride, dilation, groups, want.shape[2:], torch.int64
    )  # fmt: skip
    assert np.array_equal(got.numpy(), want)


@pytest.mark.parametrize(("groups", "m", "n", "k"), [(1, 513, 3, 2), (2, 1, 9, 5), (3, 7, 17, 3), (1, 1, 1, 1)])
def test_tiles_at_their_edges(groups, m, n, k, table) -> None:
    rng = np.random.default_rng(m)
    x, w = (torch.from_numpy(rng.integers(0, 256, (groups, size, k), dtype=np.uint8)) for size in (m, n))
    circuit = table("random")
    want = circuit.table[x.numpy()[:, :, None], w.numpy()[:, None]].astype(np.int64).sum(axis=-1)
    strided = torch.stack([x, x], dim=-1)[..., 0]
    for rows in (x, strided):
        assert np.array_equal(matmul_triton(circuit, rows, w, torch.int64).numpy(), want)


def test_sums_are_int64_as_soon_as_int32_is_not_proven() -> None:
    for entry in (2**15, -(2**15), 2**31 - 1, -(2**31)):
        flat = Multiplier.from_table(np.full((256, 256), entry), signed=True, name="flat")
        narrow = look_up_table(flat, CPU)
        last = (2**31 - 1) // (narrow.term_bound + narrow.base_bound)
        assert sums_fit_int32(narrow, last)
        assert not sums_fit_int32(narrow, last + 1)
        assert abs(entry) * last < 2**31
    codes = torch.zeros(1, 3, 5, dtype=torch.uint8)
    assert (matmul_triton(flat, codes, codes, torch.int64) == -5 * 2**31).all()


def test_the_path_is_public_and_never_chosen_on_the_cpu(codes) -> None:
    circuit = load_multiplier("mul8u_QKX")
    x, w = codes(circuit, "a", 2, 3, 6, 6), codes(circuit, "w", 4, 3, 3, 3)
    got = approx_conv2d(x, w, circuit, 2, 1, path="triton")
    assert torch.equal(got, approx_conv2d(x, w, circuit, 2, 1, path="reference"))
    assert "triton" not in explain(circuit, 10**6, 576, 64).predicted_s
    assert explain(circuit, 10, 5, 2, "triton").path == "triton"


def test_without_interpreter_or_gpu_the_path_says_what_it_needs(monkeypatch, codes) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    circuit = load_multiplier("mul8u_QKX")
    with pytest.raises(InvalidInputError, match=r"axdnn\[gpu\].*on cpu"):
        approx_matmul(codes(circuit, "a", 2, 3), codes(circuit, "w", 2, 3), circuit, path="triton")


COMPILE = """
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from axdnn.kernels.triton_lookup import OUTPUTS, WINDOWS, look_up_kernel
for target, entries, exact, wide in (
    (("cuda", 75, 32), "*i16", False, False), (("cuda", 80, 32), "*i8", True, False),
    (("cuda", 90, 32), "*i32", False, True), (("hip", "gfx942", 64), "*i8", True, True),
):
    types = dict(x="*u8", w="*u8", windows="*i64", terms="*i64", entries=entries,
                 values="*i32" if exact else entries, start="*i64" if wide else "*i32", out="*i64" if wide else "*i32",
                 m="i32", n="i32", k="i32", group_stride="i32", tiles_m="i32", tiles_n="i32",
                 EXACT="constexpr", WIDE="constexpr", BLOCK_M="constexpr", BLOCK_N="constexpr")
    fixed = dict(EXACT=exact, WIDE=wide, BLOCK_M=WINDOWS, BLOCK_N=OUTPUTS)
    done = compile(ASTSource(look_up_kernel, types, constexprs=fixed), target=GPUTarget(*target))
    print(target[1], len(done.asm["cubin" if target[0] == "cuda" else "hsaco"]) > 0)
"""


def test_it_compiles_to_machine_code_of_nvidia_and_amd(tmp_path: Path) -> None:
    """Compiled for real, run by nobody: that takes a GPU (test_cuda.py)."""
    env = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", COMPILE], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["75", "True", "80", "True", "90", "True", "gfx942", "True"]
