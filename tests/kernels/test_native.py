"""Native kernels: every variant, all 65,536 products, every block boundary, and what happens without them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.kernels import approx_conv2d, explain, native_variants
from axdnn.kernels.int8 import int8_factors
from axdnn.kernels.native import has_permutes
from axdnn.kernels.native_products import Steps, conv_digits, conv_lookup, conv_rows
from axdnn.kernels.native_tables import native_digits, native_table
from axdnn.multipliers import list_multipliers, load_multiplier
from axdnn.records import Multiplier

NAMES = sorted(row.name for row in list_multipliers("evoapprox8b"))
LOOKUPS = [False, *([True] if has_permutes() else [])]


def test_they_are_there():
    """Compiled when axdnn was installed; without a compiler this is where one hears of it."""
    assert native_variants()[0] == "portable"


def circuits(name: str) -> list[Multiplier]:
    found = load_multiplier(name)
    return [found, found.sign_magnitude()] if found.coding == "unsigned" else [found]


def rows(circuit: Multiplier, codes: torch.Tensor, operand: str) -> torch.Tensor:
    """Row or column numbers of the table, for bytes of codes."""
    return codes ^ (128 if getattr(circuit, f"{operand}_signed") else 0)


def every_sum(circuit: Multiplier, x: torch.Tensor, w: torch.Tensor, steps: Steps = Steps()):
    """The sums of every variant of every native path, `(b, h, w, o)`, for codes as bytes."""
    digits, table = native_digits(circuit), native_table(circuit)
    if digits is not None:
        for variant in native_variants():
            yield variant, conv_digits(digits, x, w, steps, variant=variant)
    if table is None:
        return
    for variant in native_variants():
        yield f"rows {variant}", conv_rows(table.entries, x, w, steps, variant=variant)
    for permutes in LOOKUPS:
        exact = None if table.exact is None else conv_digits(table.exact, x, w, steps)
        yield f"permutes {permutes}", conv_lookup(table.planes, x, w, steps, out=exact, permutes=permutes)


@pytest.mark.parametrize("name", NAMES)
def test_all_65536_products(name):
    """With outputs as lanes of the look-ups, and in parts so small that pixels are."""
    codes = torch.arange(256, dtype=torch.uint8)
    for circuit in circuits(name):
        assert native_table(circuit) is not None, "no entry of an 8-bit multiplier spans more than two bytes"
        table = circuit.table[rows(circuit, codes, "a").int()][:, rows(circuit, codes, "w").int()]
        for x, most in ((codes.view(256, 1, 1, 1), 256), (codes.view(1, 1, 16, 16), 52)):
            sums = [every_sum(circuit, x, w.view(-1, 1, 1, 1)) for w in codes.split(most)]
            for parts in zip(*sums, strict=True):
                products = torch.cat([part.view(256, -1) for _, part in parts], dim=1)
                assert np.array_equal(products.numpy(), table), parts[0][0]


def windows(x: torch.Tensor, w: torch.Tensor, table: np.ndarray, steps: Steps) -> torch.Tensor:
    """Sums of table entries in int64 by NumPy, one term at a time; `(b, h, w, o)` for padded row numbers."""
    stride, _, dilation, groups, _ = steps
    xi, wi = x.numpy().astype(int), w.numpy().astype(int)
    o, c, kh, kw = wi.shape
    out_h = (xi.shape[2] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    out_w = (xi.shape[3] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    sums = np.zeros((len(xi), out_h, out_w, o), dtype=np.int64)
    for n in range(o):
        first = n // (o // groups) * c
        for i, y, z in np.ndindex(c, kh, kw):
            rows = slice(y * dilation[0], y * dilation[0] + (out_h - 1) * stride[0] + 1, stride[0])
            columns = slice(z * dilation[1], z * dilation[1] + (out_w - 1) * stride[1] + 1, stride[1])
            sums[..., n] += table[xi[:, first + i, rows, columns], wi[n, i, y, z]]
    return torch.from_numpy(sums)


def check(
    circuit: Multiplier, x: torch.Tensor, w: torch.Tensor, steps: Steps = Steps(), order=torch.contiguous_format
) -> None:
    """Compare every native path with the literal sums, for operands in a memory order."""
    (pad_h, pad_w), pad = steps.padding, steps.pad_code
    padded = torch.nn.functional.pad(x, (pad_w, pad_w, pad_h, pad_h), value=pad)
    table = circuit.table.astype(np.int64)
    expected = windows(rows(circuit, padded, "a"), rows(circuit, w, "w"), table, steps)
    operands = x.contiguous(memory_format=order), w.contiguous(memory_format=order)
    for variant, sums in every_sum(circuit, *operands, steps):
        assert torch.equal(sums.long(), expected), variant


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


# (batch, channels, height, width), (outputs, kernel_h, kernel_w), stride, dilation, groups: panels and rows of 16,
# tiles of 32, steps of 64 terms, pieces of 1,024, chunks of 1,536, 512 windows; look-ups of 256 terms, pixels, outputs.
SHAPES = {
    "one of everything": ((1, 1, 1, 1), (1, 1, 1), (1, 1), (1, 1), 1),
    "whole panels and steps": ((2, 64, 4, 8), (32, 1, 1), (1, 1), (1, 1), 1),
    "a little more": ((1, 65, 3, 11), (33, 1, 1), (1, 1), (1, 1), 1),
    "a little less": ((1, 63, 1, 31), (15, 1, 1), (1, 1), (1, 1), 1),
    "windows across blocks": ((3, 3, 15, 17), (17, 3, 3), (1, 1), (1, 1), 1),
    "long runs": ((2, 700, 3, 4), (5, 2, 2), (1, 1), (1, 1), 1),
    "pieces": ((3, 2100, 1, 1), (4, 1, 1), (1, 1), (1, 1), 1),
    "many windows": ((1, 2, 30, 40), (3, 3, 2), (1, 1), (1, 1), 1),
    "many outputs": ((2, 30, 3, 4), (130, 3, 3), (1, 1), (1, 1), 1),
    "more outputs": ((1, 5, 2, 3), (321, 2, 1), (1, 1), (1, 1), 1),
    "groups of many outputs": ((2, 6, 5, 5), (140, 3, 3), (2, 1), (1, 1), 2),
    "strides": ((2, 5, 12, 13), (6, 3, 2), (2, 3), (1, 1), 1),
    "dilation": ((2, 4, 11, 12), (7, 3, 3), (1, 2), (2, 3), 1),
    "groups": ((2, 12, 7, 6), (9, 3, 3), (1, 1), (1, 1), 3),
    "depthwise": ((2, 20, 8, 9), (40, 3, 3), (2, 1), (1, 1), 20),
    "depthwise, straight": ((2, 35, 20, 19), (35, 3, 3), (1, 1), (1, 1), 35),
    "dilated groups": ((2, 6, 9, 9), (4, 2, 3), (2, 2), (1, 2), 2),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
@pytest.mark.parametrize("name", ["mul8s_1KV6", "mul8s_1L2H", "mul8u_18DU", "mul8u_QJD", "mul8u_QKX"])
def test_block_boundaries(name, shape):
    x, (o, *kernel), stride, dilation, groups = shape
    circuit = circuits(name)[-1]
    operands = random(*x, seed=0), random(o, x[1] // groups, *kernel, seed=1)
    check(circuit, *operands, Steps(stride, (0, 0), dilation, groups))
    border = kernel[0] // 2, kernel[1]
    check(circuit, *operands, Steps(stride, border, dilation, groups, 77), torch.channels_last)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_shape(data):
    whole, border = st.integers(1, 4), st.integers(0, 3)
    groups, c, o = (
        data.draw(st.sampled_from([1, 1, 2, 5])),
        data.draw(st.integers(1, 40)),
        data.draw(st.sampled_from([1, 7, 16, 33, 64, 100])),
    )
    kernel, stride = data.draw(st.tuples(whole, whole)), data.draw(st.tuples(whole, whole))
    dilation, padding = data.draw(st.tuples(whole, whole)), data.draw(st.tuples(border, border))
    size = [dilation[i] * (kernel[i] - 1) + 1 + data.draw(st.integers(0, 9)) for i in range(2)]
    x = random(data.draw(whole), groups * c, *size, seed=data.draw(st.integers(0, 99)))
    w = random(groups * o, c, *kernel, seed=data.draw(st.integers(0, 99)))
    circuit = circuits(data.draw(st.sampled_from(NAMES)))[-1]
    order = data.draw(st.sampled_from([torch.contiguous_format, torch.channels_last]))
    check(circuit, x, w, Steps(stride, padding, dilation, groups, data.draw(st.integers(0, 255))), order)


@pytest.mark.parametrize("corner", [(0, 0), (0, 255), (255, 0), (255, 255)])
def test_the_worst_operands_at_the_bound_of_int32(corner):
    """The most terms of the widest entry that still fit; sums of digits wrap on the way and come back."""
    entries = np.full((256, 256), -(2**16 - 1))
    entries[128:, 128:] = 2**15 - 1
    circuit = Multiplier.from_table(entries, signed=False, name="worst")
    k = (2**31 - 1) // (2**16 - 1)
    x = torch.full((3, k, 1, 1), corner[0], dtype=torch.uint8)
    w = torch.full((2, k, 1, 1), corner[1], dtype=torch.uint8)
    assert explain(circuit, 3, k, 2).result == "int32"
    digits = native_digits(circuit)
    assert digits is not None
    for variant in native_variants():
        got = conv_digits(digits, x, w, variant=variant)
        assert (got == entries[corner] * k).all()


def test_two_byte_entries_at_the_bound_of_the_sixteen_bit_sums():
    """256 terms of 255 in either byte, the most that is added up before it is spread to 32 bits."""
    entries = np.zeros((256, 256), int)
    entries[255] = 2**16 - 1
    circuit = Multiplier.from_table(entries, signed=False, name="full")
    check(circuit, torch.full((1, 513, 2, 1), 255, dtype=torch.uint8), random(3, 513, 1, 1, seed=1))


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_change_nothing(threads):
    circuit = load_multiplier("mul8u_R36")
    for shape, kernel in (((5, 8, 20, 20), (3, 3)), ((900, 40, 1, 1), (1, 1)), ((1, 64, 150, 150), (3, 3))):
        x, w = random(*shape, seed=2), random(24, shape[1], *kernel, seed=3)
        torch.set_num_threads(1)
        one = [approx_conv2d(x, w, circuit, path=path) for path in ("native_factorised", "native_lookup")]
        torch.set_num_threads(threads)
        many = [approx_conv2d(x, w, circuit, path=path) for path in ("native_factorised", "native_lookup")]
        assert all(torch.equal(a, b) for a, b in zip(one, many, strict=True))
        assert torch.equal(*one)


THREADS = """
import os, signal, threading, numpy, torch
from axdnn.kernels import approx_conv2d
from axdnn.multipliers import load_multiplier
circuit, g = load_multiplier("mul8u_R36"), torch.Generator().manual_seed(1)
x, w = (torch.randint(0, 256, s, generator=g, dtype=torch.uint8) for s in ((9, 8, 30, 30), (16, 8, 3, 3)))
sums = lambda path: approx_conv2d(x, w, circuit, path=path).numpy()
torch.set_num_threads(1)
one = sums("native_factorised")
same = lambda path: numpy.array_equal(sums(path), one)
torch.set_num_threads(3)
assert same("native_factorised") and same("native_lookup"), "with threads of torch's runtime"
found = []
several = [threading.Thread(target=lambda: found.append(same("native_lookup"))) for _ in range(3)]
[thread.start() for thread in several], [thread.join() for thread in several]
assert found == [True] * 3, "from several threads at once"
child = os.fork()
if child == 0:  # torch's own operators would wait for ever for threads that were not copied
    signal.alarm(60)
    os._exit(0 if same("native_factorised") else 7)
assert os.waitpid(child, 0)[1] == 0, "in a forked process"
print("the same")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on Unix only; none is installed here")
def test_threads_of_torch_of_python_and_of_a_forked_process():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", THREADS], capture_output=True, text=True, timeout=100)
    assert done.stdout == "the same\n", done.stderr[-2000:]


def test_large_images_are_cut_into_bands():
    circuit = load_multiplier("mul8s_1KXF")
    x, w = random(2, 48, 130, 140, seed=4), random(5, 48, 3, 3, seed=5)
    got = [approx_conv2d((x ^ 0x80).view(torch.int8), (w ^ 0x80).view(torch.int8), circuit, 2, path=path)
           for path in ("native_factorised", "native_lookup", "factorised")]  # fmt: skip
    assert torch.equal(got[0].long(), got[2].long())
    assert torch.equal(got[1].long(), got[2].long())


def test_circuits_with_a_sign_beside_them_fold():
    """Half the columns of the table, and complements; with codes of every kind, -128 and the border included."""
    folded = [name for name in NAMES for c in circuits(name) if native_table(c).planes.folded]
    unsigned = {name for name in NAMES if load_multiplier(name).coding == "unsigned"}
    assert set(folded) == unsigned | {"mul8s_1KV6"}  # of the exact circuit nothing but zeros is looked up
    for name in ("mul8u_QKX", "mul8u_17KS"):
        circuit = load_multiplier(name).sign_magnitude()
        w = random(130, 20, 3, 3, seed=11)
        w[0] = 128
        check(circuit, random(2, 20, 6, 5, seed=10), w, Steps(padding=(1, 1), pad_code=9))


@pytest.mark.parametrize("name", ["mul8u_R36", "mul8u_2AC"])
def test_weights_too_many_to_pack_at_once(name):
    """Of several scales, and scales of several passes; border and a last panel that is not full included."""
    x, w = random(2, 270, 3, 2, seed=8), random(250, 270, 3, 3, seed=9)
    for one in circuits(name):
        pairs = sum(group.f.shape[1] for group in int8_factors(one).groups)
        assert w.numel() * pairs > 4 << 20, "packed in one pass"
        check(one, x, w, Steps(padding=(1, 1), pad_code=7))


def test_the_dispatcher_takes_them():
    assert explain("mul8s_1KV6", m=4096, k=576, n=64).path == "native_factorised"
    assert "8-bit digits" in explain("mul8s_1KV6", m=4096, k=576, n=64).reason
    assert explain("mul8u_QKX", m=4096, k=576, n=64).path == "native_lookup"
    assert "native kernels" in explain("mul8u_QKX", m=4096, k=576, n=64).reason


CODE = """
import warnings, sys
import torch
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    from axdnn.kernels import approx_matmul, native_variants, explain
    x = torch.arange(12, dtype=torch.int8).view(3, 4)
    sums = [approx_matmul(x, x, "mul8s_1KV6").tolist() for _ in range(2)][0]
print(native_variants(), explain("mul8s_1KV6", 9, 9, 9).path, sums == (x.long() @ x.T.long()).tolist())
print([str(w.message) for w in seen if "axdnn" in str(w.message)])
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )


def test_without_them_one_warning_and_the_same_sums():
    missing = "import importlib.util as u; find = u.find_spec\n"
    missing += "u.find_spec = lambda name, *a: None if name.endswith('._native') else find(name, *a)\n"
    out = run(missing + CODE).stdout.splitlines()
    assert out[0] == "() factorised True"
    assert out[1].count("without its native kernels") == 1
    assert "C++ compiler" in out[1]


def test_they_can_be_switched_off_or_pinned():
    assert run(CODE, AXDNN_NATIVE="off").stdout.splitlines() == ["() factorised True", "[]"]
    assert run(CODE, AXDNN_NATIVE="portable").stdout.startswith("('portable',) ")
    failed = run(CODE, AXDNN_NATIVE="fast")
    assert failed.returncode
    assert "`AXDNN_NATIVE` must be one of portable, avx2, avxvnni, vnni, amx or off, but got 'fast'" in failed.stderr
