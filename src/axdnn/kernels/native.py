"""Native kernels (`native/`, a plain C interface): bound by ctypes, variants chosen by what the processor has.

Sums are modulo 2^32, so these paths are taken only where the result provably fits int32. Without the compiled library
(a source install without a compiler, another platform) everything runs on the paths of torch, and one warning says so.

The environment variable `AXDNN_NATIVE` picks a variant (`amx`, `vnni`, `avx2`, `portable`) or switches all off (`off`).
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import warnings
from ctypes import POINTER, byref, c_float, c_int32, c_int64, c_void_p
from functools import cache

import torch

from axdnn.records import InvalidInputError

VARIANTS = ("portable", "avx2", "vnni", "amx")
INTERFACE = 3


_SIZES = (
    "batch", "height", "width", "channels", "outputs", "kernel_h", "kernel_w", "out_h", "out_w", "stride_h", "stride_w",
    "dilation_h", "dilation_w", "groups",
)  # fmt: skip


class _Shape(ctypes.Structure):
    _fields_ = [(name, c_int64) for name in _SIZES]


class _Digits(ctypes.Structure):
    _fields_ = [("groups", c_int64), *((name, c_void_p) for name in ("sizes", "scales", "f", "g", "shift"))]


class Coding(ctypes.Structure):
    """Bounds of the levels, code steps of a level, code of zero."""

    _fields_ = [("low", c_float), ("high", c_float), ("step", c_int32), ("zero", c_int32)]


class Addend(ctypes.Structure):
    """What turns a stored byte into a real value."""

    _fields_ = [("zero", c_float), ("scale", c_float), ("flip", c_int32)]


class NativeDigits:
    """A table as digit pairs, laid out for the native kernels.

    Args:
        sizes: pairs of each scale, int64 `(s,)`.
        scales: int32 `(s,)`, modulo 2^32.
        f: by activation, int8 `(pairs, 256)`.
        g: by weight, int8 `(pairs, 256)`.
        shift: added for each weight, int32 `(256,)`, modulo 2^32.
    """

    def __init__(
        self, sizes: torch.Tensor, scales: torch.Tensor, f: torch.Tensor, g: torch.Tensor, shift: torch.Tensor
    ) -> None:
        self._kept = tuple(t.contiguous() for t in (sizes, scales, f, g, shift))
        self.struct = _Digits(len(sizes), *(t.data_ptr() for t in self._kept))


class NativePlanes:
    """A table as bytes of its entries, laid out for the native kernels.

    Args:
        planes: `(256 w, count, 256 x)` uint8, lowest byte first, one or two of them.
        base: what is added for each weight, int32 `(256,)`.
    """

    def __init__(self, planes: torch.Tensor, base: torch.Tensor) -> None:
        self.planes, self.base = planes.contiguous(), base.contiguous()
        self.count = planes.shape[1]


@cache
def _library() -> ctypes.CDLL | None:
    """Load the compiled kernels; None, with one warning, where there are none."""
    if os.environ.get("AXDNN_NATIVE") == "off":
        return None
    spec = importlib.util.find_spec("axdnn.kernels._native")
    try:
        if spec is None or spec.origin is None:
            raise OSError("they were not compiled when axdnn was installed (no C++ compiler was found)")
        library = ctypes.CDLL(spec.origin)
        if library.axdnn_interface() != INTERFACE:
            raise OSError(f"{spec.origin} belongs to another version; install axdnn again")
    except OSError as error:
        warnings.warn(
            f"axdnn runs without its native kernels, several times slower, with the same results: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    library.axdnn_conv_digits.argtypes = [
        POINTER(_Shape), c_void_p, c_void_p, POINTER(_Digits), c_void_p, c_int32, c_int32
    ]  # fmt: skip
    library.axdnn_conv_lookup.argtypes = [
        POINTER(_Shape), c_void_p, c_void_p, c_void_p, c_int32, c_void_p, c_void_p, c_int32, c_int32
    ]  # fmt: skip
    library.axdnn_requantise.argtypes = [
        c_void_p, c_int64, c_int64, c_void_p, c_void_p, POINTER(Coding), c_void_p, c_int32, c_int32
    ]  # fmt: skip
    library.axdnn_add.argtypes = [
        c_void_p, c_void_p, c_int64, POINTER(Addend), POINTER(Addend), c_float, POINTER(Coding), c_void_p, c_int32,
        c_int32,
    ]  # fmt: skip
    return library


def native_library() -> ctypes.CDLL:
    """Return the compiled kernels.

    Raises:
        RuntimeError: there are none; ask `native_variants()` first.
    """
    library = _library()
    if library is None:
        raise RuntimeError("the native kernels are not there")
    return library


@cache
def native_variants() -> tuple[str, ...]:
    """Return the variants that run here, slowest first; empty without the native kernels.

    Raises:
        InvalidInputError: `AXDNN_NATIVE` names something else.
    """
    wanted = os.environ.get("AXDNN_NATIVE", "")
    if wanted and wanted not in (*VARIANTS, "off"):
        raise InvalidInputError(f"`AXDNN_NATIVE` must be one of {', '.join(VARIANTS)} or off, but got {wanted!r}")
    library = _library()
    if library is None:
        return ()
    found = tuple(name for i, name in enumerate(VARIANTS) if library.axdnn_has(i))
    if not wanted:
        return found
    if wanted not in found:
        raise InvalidInputError(f"`AXDNN_NATIVE={wanted}` needs a processor that has it; here: {', '.join(found)}")
    return found[: found.index(wanted) + 1]


def variant_number(variant: str | None) -> int:
    """Return the number of a variant, of the fastest that may be used for None."""
    return VARIANTS.index(variant or native_variants()[-1])


@cache
def has_permutes() -> bool:
    """Whether look-ups use byte permutes (AVX-512 VBMI)."""
    library = _library()
    return library is not None and "vnni" in native_variants() and bool(library.axdnn_has_permutes())


def conv_digits(
    digits: NativeDigits,
    x: torch.Tensor,
    w: torch.Tensor,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    variant: str | None = None,
) -> torch.Tensor:
    """Convolve by digit products, modulo 2^32.

    Args:
        digits: of the table.
        x: padded row numbers, uint8 `(b, h, w, c)`.
        w: column numbers, uint8 `(o, kh, kw, c / groups)`.
        stride: of the window.
        dilation: inside the window.
        groups: divides both channel counts.
        variant: one of `native_variants()`; the fastest by default.

    Returns:
        int32 `(b, h_out, w_out, o)`.
    """
    b, h, width, c = x.shape
    shape = _shape((b, c, h, width), (w.shape[0], w.shape[1], w.shape[2]), stride, dilation, groups)
    out = torch.empty(b, shape.out_h, shape.out_w, w.shape[0], dtype=torch.int32)
    x, w = x.contiguous(), w.contiguous()
    error = native_library().axdnn_conv_digits(
        byref(shape),
        x.data_ptr(),
        w.data_ptr(),
        byref(digits.struct),
        out.data_ptr(),
        variant_number(variant),
        torch.get_num_threads(),
    )
    check_error(error, "axdnn_conv_digits")
    return out


def conv_lookup(
    table: NativePlanes,
    x: torch.Tensor,
    w: torch.Tensor,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    out: torch.Tensor | None = None,
    permutes: bool | None = None,
) -> torch.Tensor:
    """Convolve by look-ups, modulo 2^32.

    Args:
        table: bytes of the entries.
        x: padded row numbers, uint8 `(b, c, h, w)`.
        w: column numbers, uint8 `(o, c / groups, kh, kw)`.
        stride: of the window.
        dilation: inside the window.
        groups: divides both channel counts.
        out: int32 `(b, h_out, w_out, o)`, contiguous, to add to; zeros by default.
        permutes: whether to use byte permutes; by default where the processor has them.

    Returns:
        int32 `(b, h_out, w_out, o)`.
    """
    shape = _shape(tuple(x.shape), (w.shape[0], w.shape[2], w.shape[3]), stride, dilation, groups)
    if out is None:
        out = torch.zeros(x.shape[0], shape.out_h, shape.out_w, w.shape[0], dtype=torch.int32)
    x, w = x.contiguous(), w.contiguous()
    fast = has_permutes() if permutes is None else permutes
    error = native_library().axdnn_conv_lookup(
        byref(shape), x.data_ptr(), w.data_ptr(), table.planes.data_ptr(), table.count, table.base.data_ptr(),
        out.data_ptr(), VARIANTS.index("vnni" if fast else "portable"), torch.get_num_threads(),
    )  # fmt: skip
    check_error(error, "axdnn_conv_lookup")
    return out


def _shape(
    x: tuple[int, ...], w: tuple[int, int, int], stride: tuple[int, int], dilation: tuple[int, int], groups: int
) -> _Shape:
    """Return the shape record for an input `(b, c, h, w)` and weights `(o, kh, kw)`."""
    out = [(x[2 + i] - dilation[i] * (w[1 + i] - 1) - 1) // stride[i] + 1 for i in range(2)]
    return _Shape(x[0], x[2], x[3], x[1], *w, *out, *stride, *dilation, groups)


def check_error(error: int, name: str) -> None:
    """Raise what the number that a kernel returned stands for."""
    if error == 3:
        raise MemoryError(f"{name} could not get memory")
    if error:
        raise RuntimeError(f"{name} failed with error {error}: this is a defect of axdnn")
