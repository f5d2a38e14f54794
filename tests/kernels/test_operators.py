"""The operators: torch's own checks, the same integers as the functions, programs that compile, and that are saved."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

import axdnn.kernels as kernels
from axdnn.kernels import approx_conv2d, approx_matmul, peak_term, sums_dtype, table_operand
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError, Multiplier

CIRCUITS = ("mul8s_1L2H", "mul8u_QKX", "sm:mul8u_QKX")
CHECKS = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")


def circuit(name: str) -> Multiplier:
    if not name.startswith("sm:"):
        return load_multiplier(name)
    rng = np.random.default_rng(1)
    return Multiplier(name=name, coding="sign_magnitude", table=rng.integers(-9999, 9999, (256, 256)))


def operands(multiplier: Multiplier, k: int, terms: bool = False) -> tuple[Any, ...]:
    return table_operand(multiplier), sums_dtype(peak_term(multiplier, terms), k)


@pytest.mark.parametrize("name", CIRCUITS)
@pytest.mark.parametrize(("x", "w"), [((3, 7), (5, 7)), ((2, 1, 3, 4), (3, 6, 4)), ((0, 4), (2, 4)), ((1, 1), (1, 1))])
def test_torch_checks_the_matrix_product(name, x, w, codes) -> None:
    m = circuit(name)
    args = (codes(m, "a", *x), codes(m, "w", *w), *operands(m, x[-1]))
    torch.library.opcheck(torch.ops.axdnn.approx_matmul.default, args, test_utils=CHECKS)
    out = torch.ops.axdnn.approx_matmul(*args)
    plain = approx_matmul(args[0], args[1], m)
    assert out.dtype == plain.dtype
    assert torch.equal(out, plain)


CONVOLUTIONS = [
    ((2, 4, 7, 6), (6, 4, 3, 3), [2, 1], [1, 0], [1, 2], 1),
    ((1, 4, 5, 5), (4, 1, 3, 3), [1, 1], [1, 1], [1, 1], 4),
    ((3, 2, 4, 4), (1, 2, 1, 1), [2, 2], [0, 0], [1, 1], 1),
    ((0, 2, 4, 4), (3, 2, 2, 2), [1, 1], [0, 0], [1, 1], 1),
]


@pytest.mark.parametrize("name", CIRCUITS)
@pytest.mark.parametrize(("x", "w", "stride", "padding", "dilation", "groups"), CONVOLUTIONS)
@pytest.mark.parametrize("path", ["auto", "lookup"])
def test_torch_checks_the_convolution(name, x, w, stride, padding, dilation, groups, path, codes) -> None:
    m = circuit(name)
    steps = (stride, padding, dilation, groups, 5)
    args = (codes(m, "a", *x), codes(m, "w", *w), *operands(m, int(np.prod(w[1:]))), *steps, path)
    torch.library.opcheck(torch.ops.axdnn.approx_conv2d.default, args, test_utils=CHECKS)
    plain = approx_conv2d(*args[:2], m, tuple(stride), tuple(padding), tuple(dilation), groups, 5)
    out = torch.ops.axdnn.approx_conv2d(*args)
    assert out.dtype == plain.dtype
    assert torch.equal(out, plain)


def test_terms_are_an_operand(codes) -> None:
    m = circuit("mul8u_QKX")
    x, w = codes(m, "a", 4, 6), codes(m, "w", 3, 6)
    terms = torch.tensor([0, 1, 2, 0, 1, 2], dtype=torch.uint8)
    args = (x, w, *operands(m, 6, True), "auto", terms)
    torch.library.opcheck(torch.ops.axdnn.approx_matmul.default, args, test_utils=CHECKS)
    assert torch.equal(torch.ops.axdnn.approx_matmul(*args), approx_matmul(x, w, m, terms=terms))


def test_int32_needs_a_proof(table, codes) -> None:
    m = table("extreme")
    x, w = codes(m, "a", 3, 4), codes(m, "w", 2, 4)
    assert sums_dtype(peak_term(m, False), 4) == torch.int64
    with pytest.raises(InvalidInputError, match="int64 for sums of 4"):
        torch.ops.axdnn.approx_matmul(x, w, table_operand(m), torch.int32)
    small = circuit("mul8s_1L2H")  # asking for more than is needed is allowed
    wide = torch.ops.axdnn.approx_matmul(x, w, table_operand(small), torch.int64)
    assert wide.dtype == torch.int64
    assert torch.equal(wide, approx_matmul(x, w, small).long())


def test_bad_operands_are_named(codes) -> None:
    m = circuit("mul8s_1L2H")
    x, w, t = codes(m, "a", 3, 4), codes(m, "w", 2, 4), table_operand(m)
    op = torch.ops.axdnn.approx_matmul
    with pytest.raises(InvalidInputError, match="int32 \\(256, 256\\)"):
        op(x, w, t.long(), torch.int32)
    with pytest.raises(InvalidInputError, match="sign and magnitude"):
        op(x, w.view(torch.uint8), t, torch.int32)
    with pytest.raises(InvalidInputError, match="same k"):
        op(x, w[:, :3], t, torch.int32)
    with pytest.raises(InvalidInputError, match="give the operator a table"):
        op(x, w, None, torch.int32, multiplier="0123456789abcdef")


def test_a_table_that_is_written_to_is_read_again(codes) -> None:
    m = circuit("mul8s_1L2H")
    x, w, t = codes(m, "a", 3, 4), codes(m, "w", 2, 4), table_operand(m).clone()
    before = torch.ops.axdnn.approx_matmul(x, w, t, torch.int64)
    t.mul_(3)
    assert torch.equal(torch.ops.axdnn.approx_matmul(x, w, t, torch.int64), 3 * before)


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_functions_compile_to_the_same_integers_and_follow_the_circuit(backend, codes) -> None:
    names = ["mul8s_1L2H", "mul8s_1KV8@v2022"]
    holder = {"m": load_multiplier(names[0])}

    def matmul(x: torch.Tensor, w: torch.Tensor, multiplier: str) -> torch.Tensor:
        return approx_matmul(x, w, holder["m"]) + 2 * approx_matmul(x, w, multiplier)

    def conv(x: torch.Tensor, w: torch.Tensor, multiplier: str) -> torch.Tensor:
        return approx_conv2d(x, w, multiplier, 2, 1).float() * 0.5 + approx_conv2d(x, w, holder["m"], 2, 1)

    torch._dynamo.reset()
    counter = CompileCounterWithBackend(backend)
    for function, shapes in ((matmul, ((5, 7), (3, 7))), (conv, ((2, 4, 6, 6), (3, 4, 3, 3)))):
        compiled = torch.compile(function, backend=counter, fullgraph=True)
        for name in names:
            holder["m"] = load_multiplier(name)
            for other in names:
                x, w = codes(holder["m"], "a", *shapes[0]), codes(holder["m"], "w", *shapes[1])
                assert torch.equal(compiled(x, w, other), function(x, w, other))
    assert counter.frame_count <= 8, "one graph for each pair of circuits at most"


def test_any_batch_is_one_graph(codes) -> None:
    m = circuit("mul8s_1L2H")
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(lambda x, w: approx_matmul(x, w, m), backend=counter, fullgraph=True)
    w = codes(m, "w", 3, 7)
    for rows in (2, 5, 9, 33):
        x = codes(m, "a", rows, 7)
        assert torch.equal(compiled(x, w), approx_matmul(x, w, m))
    assert counter.frame_count <= 2


def test_codes_of_another_coding_are_refused_while_tracing(codes) -> None:
    m = circuit("mul8u_QKX")
    signed = circuit("mul8s_1L2H")
    torch._dynamo.reset()
    compiled = torch.compile(lambda x, w: approx_matmul(x, w, m), backend="aot_eager")
    with pytest.raises((InvalidInputError, torch._dynamo.exc.Unsupported), match=r"uint8 and torch\.uint8|uint8"):
        compiled(codes(signed, "a", 3, 4), codes(signed, "w", 2, 4))


def test_a_saved_program_holds_its_table(codes) -> None:
    m = circuit("sm:mul8u_QKX")

    class Layer(torch.nn.Module):
        def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
            return approx_conv2d(x, w, m, 1, 1, pad_code=3)

    x, w = codes(m, "a", 2, 3, 5, 5), codes(m, "w", 4, 3, 3, 3)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(Layer(), (x, w), dynamic_shapes={"x": {0: batch}, "w": None})
    assert any(node.target is torch.ops.axdnn.approx_conv2d.default for node in program.graph.nodes)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    x = codes(m, "a", 7, 3, 5, 5)
    assert torch.equal(loaded(x, w), kernels.approx_conv2d(x, w, m, 1, 1, pad_code=3))
