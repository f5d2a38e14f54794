"""The public convolution of codes."""

from __future__ import annotations

import torch
from torch.nn import functional

from axdnn.kernels.bounds import plain_arithmetic
from axdnn.kernels.codes import accumulator_dtype, check_codes, check_pad_code, table_index
from axdnn.kernels.dispatch import terms_dtype
from axdnn.kernels.factorised import (
    conv2d_factorised,
    conv_output_size,
    matmul_factorised,
    one_chunk,
    torch_factors,
)
from axdnn.kernels.int8 import conv2d_int8, int8_factors, matmul_int8
from axdnn.kernels.lookup import matmul_lookup
from axdnn.kernels.native_calls import conv2d_native
from axdnn.kernels.native_products import Steps
from axdnn.kernels.plan import DIGITS, Path, explain
from axdnn.kernels.ready import conv2d_ready
from axdnn.kernels.reference import conv2d_reference
from axdnn.kernels.terms import check_terms, exact_of, split_weights, surplus_conv2d, tables_of
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError, Multiplier


def approx_conv2d(
    x_codes: torch.Tensor,
    w_codes: torch.Tensor,
    multiplier: Multiplier | str,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    pad_code: int = 0,
    *,
    path: Path = "auto",
    terms: torch.Tensor | None = None,
) -> torch.Tensor:
    """Convolve codes with approximate products, exact integers.

    Args:
        x_codes: activation codes (operand a), `(b, c_in, h, w)`, int8 for signed multipliers, uint8 otherwise.
        w_codes: weight codes (operand b), `(c_out, c_in / groups, kernel_h, kernel_w)`.
        multiplier: whose table is used, or its name.
        stride: positive, one number or `(height, width)`; padding (not negative) and dilation likewise.
        padding: border on each side; it multiplies `pad_code` by the weight, as hardware does.
        dilation: step inside the window.
        groups: must divide both channel counts.
        pad_code: the activation code of zero (the zero point).
        path: force a path; `auto` takes the fastest (see `explain`).
        terms: what each term of a window multiplies with, uint8 `(k,)` or `(groups, k)` in the order of the flattened
            weight `(c_in / groups, kernel_h, kernel_w)`: 0 the table, 1 the exact product, 2 it is left out.

    Returns:
        `(b, c_out, h_out, w_out)`, int32 where a bound proves that it fits, else int64.

    Raises:
        InvalidInputError: wrong dtype, shape, or parameter.
        UnknownNameError: no multiplier of that name.
    """
    steps = _pair("stride", stride, 1), _pair("padding", padding, 0), _pair("dilation", dilation, 1)
    if torch.compiler.is_compiling():
        from axdnn.kernels.traced import traced_conv2d  # loads torch's compiler

        return traced_conv2d(x_codes, w_codes, multiplier, steps, groups, pad_code, path, terms)
    multiplier = load_multiplier(multiplier) if isinstance(multiplier, str) else multiplier
    check_codes(x_codes, multiplier.a_signed, "x_codes", multiplier)
    check_codes(w_codes, multiplier.w_signed, "w_codes", multiplier)
    check_pad_code(pad_code, multiplier.a_signed)
    window = Steps(*steps, groups, pad_code)
    if terms is None and type(groups) is int and groups > 0:
        ready = conv2d_ready(multiplier, x_codes, w_codes, window, path)
        if ready is not None:
            return ready
    check_conv_shapes(x_codes, w_codes, groups, steps[1], steps[2])
    kinds = None if terms is None else check_terms(terms, w_codes[0].numel(), groups, x_codes.device)
    if kinds is not None:
        return _with_terms(multiplier, x_codes, w_codes, kinds, window, path)
    return _conv(multiplier, x_codes, w_codes, window, path)


def _padded_rows(x_codes: torch.Tensor, multiplier: Multiplier, steps: Steps) -> torch.Tensor:
    """Return the row numbers of the input with its border."""
    pad_h, pad_w = steps.padding
    x = table_index(x_codes, multiplier.a_signed)
    pad_row = steps.pad_code + (128 if multiplier.a_signed else 0)
    return functional.pad(x, (pad_w, pad_w, pad_h, pad_h), value=pad_row) if pad_h or pad_w else x


def _with_terms(
    multiplier: Multiplier, x_codes: torch.Tensor, w_codes: torch.Tensor, terms: torch.Tensor, steps: Steps, path: Path
) -> torch.Tensor:
    """Convolve codes whose terms `(groups, k)` are of several kinds."""
    groups, dtype = len(terms), terms_dtype(multiplier, w_codes[0].numel())
    stride, dilation = steps.stride, steps.dilation
    x = _padded_rows(x_codes, multiplier, steps)
    if path == "reference":
        w = table_index(w_codes, multiplier.w_signed)
        rows, kinds = (x.cpu().numpy(), w.cpu().numpy()), terms.cpu().numpy()
        sums = conv2d_reference(tables_of(multiplier), *rows, stride, dilation, groups, kinds)
        return torch.from_numpy(sums).to(x.device, dtype)
    approximate, exact, others = split_weights(w_codes, terms)
    total = torch.zeros((), dtype=torch.int64, device=x.device)
    for circuit, codes in ((multiplier, approximate), (exact_of(multiplier), exact)):
        total = total + _conv(circuit, x_codes, codes, steps, path if circuit is multiplier else "auto")
    return (total - surplus_conv2d(multiplier, x, others, w_codes.shape, stride, dilation)).to(dtype)


def _conv(
    multiplier: Multiplier, x_codes: torch.Tensor, w_codes: torch.Tensor, steps: Steps, path: Path
) -> torch.Tensor:
    stride, padding, dilation, groups, _ = steps
    c_out, c_group, kernel_h, kernel_w = w_codes.shape
    out_h, out_w = conv_output_size(x_codes, w_codes, stride, dilation, padding)
    k, batch = c_group * kernel_h * kernel_w, x_codes.shape[0]
    dtype = accumulator_dtype(multiplier, k)
    window, device = kernel_h * kernel_w, x_codes.device
    plan = explain(multiplier, groups * batch * out_h * out_w, k, c_out // groups, path, str(device), window=window,
                   groups=groups, inputs=x_codes.numel())  # fmt: skip
    if 0 in (batch, c_out, k):
        return torch.zeros(batch, c_out, out_h, out_w, dtype=dtype, device=device)
    if plan.path.startswith("native"):
        return conv2d_native(multiplier, x_codes, w_codes, steps, plan.path)
    x, w = _padded_rows(x_codes, multiplier, steps), table_index(w_codes, multiplier.w_signed)
    x = x.contiguous()
    if plan.path == "reference":
        sums = conv2d_reference(multiplier.table, x.cpu().numpy(), w.cpu().numpy(), stride, dilation, groups)
        return torch.from_numpy(sums).to(x.device, dtype)
    with plain_arithmetic(x.device):
        if plan.path == "triton":
            from axdnn.kernels.triton_lookup import conv2d_triton  # Triton is loaded where it is used

            return conv2d_triton(multiplier, x, w, stride, dilation, groups, (out_h, out_w), dtype)
        factors = torch_factors(multiplier) if plan.path == "factorised" else None
        digits = int8_factors(multiplier) if plan.floats in DIGITS else None
        if digits is not None and groups == 1:
            return conv2d_int8(digits, x, w, stride, dilation, (out_h, out_w), dtype)
        if (
            digits is None and factors is not None and x.device.type == "cpu"
        ):  # elsewhere a convolution may be a Winograd transform
            floats = getattr(torch, plan.floats)
            if one_chunk(factors, floats, window):
                return conv2d_factorised(factors, x, w, stride, dilation, groups, floats, dtype)
        rows = unfold(x, (kernel_h, kernel_w), stride, dilation, (out_h, out_w), groups)
        flat = w.reshape(groups, c_out // groups, k)
        if digits is not None:
            sums = matmul_int8(digits, rows, flat, dtype)
        elif factors is not None:
            sums = matmul_factorised(factors, rows, flat, getattr(torch, plan.floats), dtype)
        else:
            sums = matmul_lookup(multiplier, rows, flat, dtype)
        return sums.view(groups, batch, out_h, out_w, -1).permute(1, 0, 4, 2, 3).reshape(batch, c_out, out_h, out_w)


def unfold(
    x: torch.Tensor,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    out: tuple[int, int],
    groups: int,
) -> torch.Tensor:
    """Return the windows of a padded, contiguous input as a matrix per group.

    Args:
        x: any dtype, `(b, c, h, w)`.
        kernel: window size.
        stride: step of the window.
        dilation: step inside the window.
        out: output size.
        groups: number of groups.

    Returns:
        `(groups, b * out_h * out_w, (c / groups) * kernel_h * kernel_w)`, ordered as weights are.
    """
    batch, channels = x.shape[:2]
    s_b, s_c, s_h, s_w = x.stride()
    c_group = channels // groups
    windows = x.as_strided(
        (groups, batch, out[0], out[1], c_group, kernel[0], kernel[1]),
        (c_group * s_c, s_b, stride[0] * s_h, stride[1] * s_w, s_c, dilation[0] * s_h, dilation[1] * s_w),
    )
    return windows.reshape(groups, batch * out[0] * out[1], c_group * kernel[0] * kernel[1])


def _pair(name: str, value: int | tuple[int, int], low: int) -> tuple[int, int]:
    if type(value) is int and value >= low:
        return value, value
    pair = tuple(value) if isinstance(value, list | tuple) else (value, value)
    if len(pair) != 2 or not all(isinstance(v, int) and not isinstance(v, bool) and v >= low for v in pair):
        raise InvalidInputError(f"`{name}` must be one or two integers >= {low}, but got {name}={value!r}")
    return pair[0], pair[1]


def check_conv_shapes(
    x: torch.Tensor, w: torch.Tensor, groups: int, padding: tuple[int, int], dilation: tuple[int, int]
) -> None:
    """Check that a window fits the padded input and the groups divide the channels.

    Raises:
        InvalidInputError: they do not.
    """
    if x.dim() != 4 or w.dim() != 4:
        raise InvalidInputError(
            "`x_codes` (b, c_in, h, w) and `w_codes` (c_out, c_in / groups, kh, kw) must have 4 dimensions, "
            f"but got {tuple(x.shape)} and {tuple(w.shape)}"
        )
    if not isinstance(groups, int) or groups < 1 or x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise InvalidInputError(
            f"c_in = groups * w.shape[1] and c_out % groups = 0 must hold, but got c_in={x.shape[1]}, "
            f"w.shape={tuple(w.shape)}, groups={groups}"
        )
    for i, side in enumerate(("height", "width")):
        reach = dilation[i] * (w.shape[2 + i] - 1) + 1
        if x.shape[2 + i] + 2 * padding[i] < reach:
            raise InvalidInputError(
                f"the padded input {side} {x.shape[2 + i] + 2 * padding[i]} must be at least the window {reach}"
            )
