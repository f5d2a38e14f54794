"""The native kernels under the address and undefined-behaviour sanitizers, over random shapes; compiles them anew."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NATIVE = Path(__file__).resolve().parents[2] / "native"
CODE = """
import importlib.util as u, sys, types
find = u.find_spec
u.find_spec = lambda n, *a: types.SimpleNamespace(origin=sys.argv[1]) if n.endswith("._native") else find(n, *a)
import numpy as np, torch
from axdnn.kernels import approx_conv2d, approx_matmul, native_variants
from axdnn.kernels.native_products import Steps, conv_digits, conv_rows
from axdnn.kernels.native_tables import native_digits, native_table
from axdnn.kernels.requantise import Codes, Emit, Levels, add_codes, requantise
from axdnn.multipliers import load_multiplier
rng = np.random.default_rng(0)
circuits = [load_multiplier(n) for n in ("mul8s_1KV6", "mul8s_1L2H", "mul8u_R36", "mul8u_2AC", "mul8u_QKX")]
for turn in range(160):
    circuit = circuits[turn % len(circuits)]
    groups, c, o = (int(rng.choice(v)) for v in ([1, 1, 2, 3], [1, 3, 16, 40, 130], [1, 5, 17, 33, 70]))
    kernel, stride, dilation = (tuple(int(v) for v in rng.integers(1, 4, 2)) for _ in range(3))
    if turn % 4 == 3:  # kernels of their own
        groups, c, o, kernel, dilation = int(rng.integers(2, 90)), 1, 1, (3, 3), (1, 1)
    size = [dilation[i] * (kernel[i] - 1) + 1 + int(rng.integers(0, 9)) for i in range(2)]
    x = torch.from_numpy(rng.integers(0, 256, (int(rng.integers(1, 4)), groups * c, *size), dtype=np.uint8))
    w = torch.from_numpy(rng.integers(0, 256, (groups * o, c, *kernel), dtype=np.uint8))
    x, w = (x.view(torch.int8), w.view(torch.int8)) if circuit.a_signed else (x, w)
    torch.set_num_threads(1 + turn % 3)
    paths = ["native_lookup"] + ["native_factorised"] * (native_digits(circuit) is not None)
    got = [approx_conv2d(x, w, circuit, stride, 1, dilation, groups, path=p) for p in paths]
    assert all(torch.equal(g, got[0]) for g in got)
    if native_digits(circuit) is not None:
        if turn % 2:
            x, w = (t.contiguous(memory_format=torch.channels_last) for t in (x, w))
        steps = Steps(stride, (1, 1), dilation, groups, 0)
        sums = [conv_digits(native_digits(circuit), x, w, steps, variant=v) for v in native_variants()]
        sums += [conv_rows(native_table(circuit).entries, x, w, steps, variant=v) for v in native_variants()]
        assert torch.equal(sums[0].permute(0, 3, 1, 2), got[0])
        assert all(torch.equal(s, sums[0]) for s in sums)
        levels = Levels(-5, 9, 8, 40, False)
        bias, unit = torch.zeros(sums[0].shape[-1], dtype=torch.int32), torch.rand(sums[0].shape[-1]) / 999
        codes = requantise(sums[0], bias, unit, levels)
        add_codes(Codes(codes, 3, 0.1), Codes(codes, 4, 0.2), [(0.5, levels), (0.7, levels)])
        emit = Emit(bias, unit, levels)
        made = [conv_digits(native_digits(circuit), x, w, steps, v, emit) for v in native_variants()]
        assert all(torch.equal(m, codes) for m in made)
    flat = x.flatten(1)
    approx_matmul(flat, flat if circuit.a_signed == circuit.w_signed else flat[:0], circuit)
print("clean", native_variants())
"""


@pytest.mark.slow
def test_sanitizers_find_nothing(tmp_path):
    compiler = shutil.which("c++")
    assert compiler, "this test compiles the kernels"
    library = tmp_path / "_native.so"
    flags = [
        "-std=c++17",
        "-O1",
        "-g",
        "-ffp-contract=off",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    ]
    sources = sorted(map(str, NATIVE.glob("*.cpp")))
    subprocess.run([compiler, *flags, "-fPIC", "-shared", "-pthread", "-o", str(library), *sources], check=True)
    runtimes = [subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True)
                .stdout.strip() for name in ("libasan.so", "libubsan.so")]  # fmt: skip
    environment = {**os.environ, "LD_PRELOAD": ":".join(runtimes), "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(library)], capture_output=True, text=True, env=environment
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.startswith("clean ('portable'")
