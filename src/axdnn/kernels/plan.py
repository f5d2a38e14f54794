"""Which path computes a product, and why."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch

from axdnn.kernels.bounds import float32_is_ieee
from axdnn.kernels.codes import accumulator_dtype
from axdnn.kernels.device_digits import digit_type
from axdnn.kernels.device_rates import BYTE_RATE, DEVICE_RATES, device_digits_s, triton_runs, triton_s
from axdnn.kernels.factorised import chunks_needed, one_chunk, torch_factors
from axdnn.kernels.int8 import int8_factors, int8_is_exact, predicted_s
from axdnn.kernels.native import native_variants
from axdnn.kernels.native_tables import native_table
from axdnn.kernels.rates import FEW_OUTPUTS, TORCH_RATES, digits_s, planes_s, torch_lookup_s
from axdnn.kernels.terms import exact_of
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError, Multiplier

Path = Literal["auto", "reference", "factorised", "lookup", "native_factorised", "native_lookup", "triton"]
DIGITS = ("int8", "float16")  # types of products that are products of digits
BYTE_PRODUCTS = ("avxvnni", "vnni", "amx")  # variants that multiply bytes as fast as torch's library does
PATHS: tuple[Path, ...] = (
    "auto", "reference", "factorised", "lookup", "native_factorised", "native_lookup", "triton",
)  # fmt: skip


class Plan(NamedTuple):
    """Which path computes a product, and why.

    Attributes:
        path: one of `PATHS` but `auto`.
        floats: type of the products: `float32`, `float64`, `int8` or `float16` (digits of factors, summed in int32),
            `int32` (entries looked up by the native kernels or by Triton), or `int64` for the reference.
        rank: terms per product in the factorised paths, else None.
        result: `int32` if proven to fit, else `int64`.
        reason: a sentence.
        predicted_s: path -> predicted seconds of one core, for ordering only.
    """

    path: str
    floats: str
    rank: int | None
    result: str
    reason: str
    predicted_s: dict[str, float]


def explain(
    multiplier: Multiplier | str, m: int, k: int, n: int, path: Path = "auto", device: str = "cpu", *, window: int = 1
) -> Plan:
    """Say which path computes an `(m x k) . (k x n)` product of codes, and why.

    Args:
        multiplier: whose products are summed, or its name.
        m: rows of the activations (a convolution has batch * output pixels).
        k: terms of a sum.
        n: rows of the weights (output channels).
        path: a forced path, or `auto`.
        device: torch device.
        window: terms that stay in one chunk if possible (a convolution is cut over input channels only).

    Raises:
        InvalidInputError: unknown path, or a forced path that cannot be exact.
    """
    if path not in PATHS:
        raise InvalidInputError(f"`path` must be one of {', '.join(PATHS)}, but got {path!r}")
    multiplier = load_multiplier(multiplier) if isinstance(multiplier, str) else multiplier
    result = str(accumulator_dtype(multiplier, k)).removeprefix("torch.")
    cpu = device == "cpu"
    times = {"lookup": torch_lookup_s(m, k, n) if cpu else float(m) * k * n / DEVICE_RATES["lookup"]}
    if triton_runs(device) and (path == "triton" or not cpu):
        times["triton"] = triton_s(m, k, n)
    native = _native_times(multiplier, m, k, n) if result == "int32" and cpu and native_variants() else {}
    own = "native_factorised" in native and native_variants()[-1] in BYTE_PRODUCTS
    floats = _torch_floats(multiplier, m, k, n, device, window, int8=not own)
    if floats is not None:
        times["factorised"] = floats[1]
    times.update(native)
    if path not in ("auto", "reference", *times):
        raise InvalidInputError(_why_not(multiplier, path, result, device))
    chosen = path if path != "auto" else min(times, key=times.__getitem__)  # never the reference
    times["reference"] = float(m) * k * n / TORCH_RATES["reference"]
    factors = torch_factors(multiplier)
    rank = None if factors is None else factors.f.shape[1]
    shown = {
        "factorised": floats[0] if floats else "", "lookup": "float32 or float64 by bound", "reference": "int64",
        "native_factorised": "int8", "native_lookup": "int32", "triton": "int32 or int64 by bound",
    }[chosen]  # fmt: skip
    reason = f"path {path!r} was asked for" if path != "auto" else _reason(chosen, rank, shown, times, device)
    return Plan(chosen, shown, rank if chosen.endswith("factorised") else None, result, reason, times)


def _torch_floats(
    multiplier: Multiplier, m: int, k: int, n: int, device: str, window: int, int8: bool
) -> tuple[str, float] | None:
    """Return the cheapest exact type of the factorised path of torch and its predicted seconds.

    With `int8` products of digits are among them; where the native kernels make the same products, they need not be.
    """
    factors = torch_factors(multiplier)
    if factors is None:
        return None
    rank, ieee = factors.f.shape[1], float32_is_ieee(torch.device(device))
    rates, adds = (TORCH_RATES, 1e9) if device == "cpu" else (DEVICE_RATES, BYTE_RATE / 8)
    options = {}
    for name in ("float32", "float64"):
        chunks = chunks_needed(factors, getattr(torch, name), k)
        whole = name == "float64" or one_chunk(factors, torch.float32, window)
        if chunks and whole and (ieee or name == "float64"):
            seconds = float(m) * k * max(n, FEW_OUTPUTS) * max(rank, 1) / rates[name] + chunks * m * n / adds
            options[name] = seconds
    kind = digit_type(torch.device(device)) if device != "cpu" else "int8" if int8 and int8_is_exact() else None
    digits = int8_factors(multiplier) if kind is not None else None
    if digits is not None and kind is not None and rank and device == "cpu":
        options[kind] = predicted_s(digits, m, k, n)
    elif digits is not None and kind is not None and rank:
        options[kind] = device_digits_s(kind, m, k, n, digits.pairs, len(digits.groups))
    return min(options.items(), key=lambda option: option[1]) if options else None


def _native_times(multiplier: Multiplier, m: int, k: int, n: int) -> dict[str, float]:
    times = {}
    digits, looked_up = int8_factors(multiplier), native_table(multiplier)
    if digits is not None and digits.groups:
        times["native_factorised"] = digits_s(m, k, n, digits.pairs, len(digits.groups))
    if looked_up is not None:
        exact = int8_factors(exact_of(multiplier)) if looked_up.exact is not None else None
        times["native_lookup"] = planes_s(m, k, n, looked_up.planes.count, exact.pairs if exact else 0)
    return times


def _why_not(multiplier: Multiplier, path: str, result: str, device: str) -> str:
    if path == "factorised":
        return (
            f"path 'factorised' needs exact integer factors of rank <= 32, but the table of {multiplier.name!r} has "
            "none; use 'lookup' or 'auto'"
        )
    if path == "triton":
        return (
            "path 'triton' needs Triton (`pip install axdnn[gpu]`) and tensors on a GPU, or TRITON_INTERPRET=1 set "
            f"before the first use, but the tensors are on {device}; use 'auto'"
        )
    if device != "cpu" or not native_variants():
        return f"path {path!r} needs the native kernels and tensors on the CPU; use 'auto'"
    if result != "int32":
        return f"path {path!r} needs sums that provably fit int32, but those of {multiplier.name!r} may not; use 'auto'"
    needs = "useful integer factors" if path == "native_factorised" else "columns that span less than 2^16"
    return f"path {path!r} needs {needs}, but the table of {multiplier.name!r} has none; use 'auto'"


def _reason(chosen: str, rank: int | None, floats: str, times: dict[str, float], device: str) -> str:
    ieee = float32_is_ieee(torch.device(device))
    tail = "" if ieee else "; float32 products are set to reduced precision in this process, so float64 is used"
    if chosen == "native_factorised":
        variant = native_variants()[-1]
        return f"the table has exact integer factors of rank {rank}; native products of 8-bit digits ({variant})"
    if chosen == "factorised":
        how = f"products of 8-bit digits in {floats}" if floats in DIGITS else f"sums in {floats}"
        return f"the table has exact integer factors of rank {rank}; {how}, cut by the proven bound{tail}"
    by = {"native_lookup": " by the native kernels", "triton": " by the Triton kernel"}.get(chosen, "")
    how = f"looked up{by}"
    if rank is None:
        return f"the table has no exact integer factors of rank <= 32, so every product is {how}"
    if "factorised" not in times:
        return f"the integer factors (rank {rank}) are too large for exact float sums, so every product is {how}"
    return f"rank {rank} makes the factorised path slower than products {how}{tail}"
