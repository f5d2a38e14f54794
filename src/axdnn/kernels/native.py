"""Native kernels (`native/`, a plain C interface): bound by ctypes, variants chosen by what the processor has.

Sums are modulo 2^32, so these paths are taken only where the result provably fits int32. Without the compiled library
(a source install without a compiler, another platform) everything runs on the paths of torch, and one warning says so.

The environment variable `AXDNN_NATIVE` picks a variant (`amx`, `vnni`, `avxvnni`, `avx2`, `portable`) or switches all
off (`off`).
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import warnings
from ctypes import POINTER, c_float, c_int32, c_int64, c_void_p
from functools import cache

from axdnn.records import InvalidInputError

VARIANTS = ("portable", "avx2", "avxvnni", "vnni", "amx")
INTERFACE = 7


_SIZES = (
    "batch", "height", "width", "channels", "outputs", "kernel_h", "kernel_w", "out_h", "out_w", "stride_h", "stride_w",
    "dilation_h", "dilation_w", "groups", "pad_h", "pad_w", "pad", "x_batch", "x_channel", "x_row", "x_column",
    "w_output", "w_channel", "w_row", "w_column",
)  # fmt: skip


class Shape(ctypes.Structure):
    """A convolution, and how its operands lie in memory."""

    _fields_ = [(name, c_int64) for name in _SIZES]


class Digits(ctypes.Structure):
    """A table as digit pairs: pointers to what `native_products.NativeDigits` keeps."""

    _fields_ = [("groups", c_int64), *((name, c_void_p) for name in ("sizes", "scales", "f", "g", "shift"))]


class Coding(ctypes.Structure):
    """Bounds of the levels, code steps of a level, code of zero."""

    _fields_ = [("low", c_float), ("high", c_float), ("step", c_int32), ("zero", c_int32)]


class Sink(ctypes.Structure):
    """A form in which a sum of two tensors is wanted."""

    _fields_ = [("inverse", c_float), ("coding", Coding), ("codes", c_void_p)]


class Emission(ctypes.Structure):
    """What becomes of sums at once: pointers to biases and units of channels, how levels become codes, and codes."""

    _fields_ = [("bias", c_void_p), ("unit", c_void_p), ("coding", Coding), ("codes", c_void_p)]


class Addend(ctypes.Structure):
    """What turns a stored byte into a real value."""

    _fields_ = [("zero", c_float), ("scale", c_float), ("flip", c_int32)]


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
        POINTER(Shape), c_void_p, c_void_p, POINTER(Digits), c_void_p, POINTER(Emission), c_int32, c_int32
    ]  # fmt: skip
    library.axdnn_conv_lookup.argtypes = [
        POINTER(Shape), c_void_p, c_void_p, c_void_p, c_void_p, c_int32, c_int32, c_void_p, c_void_p, c_int32, c_int32,
        c_int32,
    ]  # fmt: skip
    library.axdnn_conv_rows.argtypes = [POINTER(Shape), c_void_p, c_void_p, c_void_p, c_void_p, c_int32, c_int32]
    library.axdnn_requantise.argtypes = [
        c_void_p, c_int64, c_int64, c_void_p, c_void_p, POINTER(Coding), c_void_p, c_int32, c_int32
    ]  # fmt: skip
    library.axdnn_add.argtypes = [
        c_void_p, c_void_p, c_int64, POINTER(Addend), POINTER(Addend), POINTER(Sink), c_int64, c_int32, c_int32
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


def on_tiles() -> bool:
    """Whether digit products run on tile registers (AMX), which need windows laid out side by side."""
    return native_variants()[-1:] == ("amx",)


def variant_number(variant: str | None) -> int:
    """Return the number of a variant, of the fastest that may be used for None."""
    return VARIANTS.index(variant or native_variants()[-1])


@cache
def has_permutes() -> bool:
    """Whether look-ups use byte permutes (AVX-512 VBMI)."""
    library = _library()
    return library is not None and "vnni" in native_variants() and bool(library.axdnn_has_permutes())


def check_error(error: int, name: str) -> None:
    """Raise what the number that a kernel returned stands for."""
    if error == 3:
        raise MemoryError(f"{name} could not get memory")
    if error:
        raise RuntimeError(f"{name} failed with error {error}: this is a defect of axdnn")
