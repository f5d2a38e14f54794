"""Which path computes a product, and why: the one predicted to take least time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch

from axdnn.kernels.bounds import float32_is_ieee
from axdnn.kernels.calibration import rates
from axdnn.kernels.codes import accumulator_dtype
from axdnn.kernels.device_digits import digit_type
from axdnn.kernels.device_rates import device_digits_s, device_floats_s, device_lookup_s, triton_runs, triton_s
from axdnn.kernels.factorised import chunks_needed, one_chunk, torch_factors
from axdnn.kernels.int8 import int8_factors, int8_is_exact
from axdnn.kernels.native import has_permutes, native_variants, on_tiles
from axdnn.kernels.native_calls import rows_pay
from axdnn.kernels.native_tables import native_table
from axdnn.kernels.rates import Rates, reference_s
from axdnn.kernels.terms import exact_of
from axdnn.kernels.work import Size, Work, digits_work, floats_work, int8_work, lookup_work, planes_work, rows_work
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError, Multiplier

Path = Literal["auto", "reference", "factorised", "lookup", "native_factorised", "native_lookup", "triton"]
DIGITS = ("int8", "float16")  # types of products that are products of digits
PATHS: tuple[Path, ...] = (
    "auto", "reference", "factorised", "lookup", "native_factorised", "native_lookup", "triton",
)  # fmt: skip


class Plan(NamedTuple):
    """Which path computes a product, and why; as text, with what the others would take.

    Attributes:
        path: one of `PATHS` but `auto`.
        floats: type of the products: `float32`, `float64`, `int8` or `float16` (digits of factors, summed in int32),
            `int32` (entries looked up by the native kernels or by Triton), or `int64` for the reference.
        rank: terms per product in the factorised paths, else None.
        result: `int32` if proven to fit, else `int64`.
        reason: a sentence.
        predicted_s: path -> predicted seconds with the threads that torch uses.
        rates: what they are predicted from: `measured` on this machine, `shipped`, or `device` (a GPU: orders of
            magnitude that nobody measured).
    """

    path: str
    floats: str
    rank: int | None
    result: str
    reason: str
    predicted_s: Mapping[str, float]
    rates: str

    def __str__(self) -> str:
        """Return the choice, the reason, and a line for each path with its predicted time."""
        chosen = self.predicted_s[self.path]
        lines = [
            f"{'->' if path == self.path else '  '} {path:<18} {seconds * 1e3:12.4g} ms  {seconds / chosen:8.2f}"
            for path, seconds in sorted(self.predicted_s.items(), key=lambda item: item[1])
        ]
        source = {
            "measured": "measured on this machine",
            "shipped": "shipped (`axdnn bench --calibrate` measures)",
            "device": "orders of magnitude, not measured",
        }[self.rates]
        head = f"   {'path':<18} {'predicted':>15}  {'/ chosen':>8}"
        return "\n".join([f"{self.path}: {self.reason}", head, *lines, f"   rates: {source}"])


def explain(
    multiplier: Multiplier | str,
    m: int,
    k: int,
    n: int,
    path: Path = "auto",
    device: str = "cpu",
    *,
    window: int = 1,
    groups: int = 1,
    inputs: int | None = None,
) -> Plan:
    """Say which path computes an `(m x k) . (k x n)` product of codes, and why.

    Args:
        multiplier: whose products are summed, or its name.
        m: rows of the activations, of all groups together (a convolution has groups * batch * output pixels).
        k: terms of a sum.
        n: rows of the weights of one group (output channels / groups).
        path: a forced path, or `auto`.
        device: torch device.
        window: terms that stay in one chunk if possible (a convolution is cut over input channels only).
        groups: products of `m / groups` rows that stand side by side.
        inputs: activation codes that are read, border included; default: `m * k / window`, as with stride 1.

    Raises:
        InvalidInputError: unknown path, or a forced path that cannot be exact.
    """
    if path not in PATHS:
        raise InvalidInputError(f"`path` must be one of {', '.join(PATHS)}, but got {path!r}")
    multiplier = load_multiplier(multiplier) if isinstance(multiplier, str) else multiplier
    size = Size(-(-m // max(groups, 1)), k, n, groups, window, m * k // window if inputs is None else inputs)
    cpu = device == "cpu"
    kind = digit_type(torch.device(device)) if not cpu else "int8" if int8_is_exact() else None
    here = _Here(device, float32_is_ieee(torch.device(device)), native_variants() if cpu else (), kind,
                 triton_runs(device) and (path == "triton" or not cpu))  # fmt: skip
    return _planned(multiplier, size, path, here, rates(torch.get_num_threads()) if cpu else None)


def plan_on_cpu(multiplier: Multiplier, size: Size, path: Path, on: Rates) -> Plan:
    """Return the plan for tensors on the CPU if float32 products are computed in float32.

    Where it is a native path it is the plan otherwise, too: then fewer paths compete.

    Raises:
        InvalidInputError: a forced path that cannot be exact.
    """
    here = _Here("cpu", True, native_variants(), "int8" if int8_is_exact() else None, False)
    return _planned(multiplier, size, path, here, on)


class _Here(NamedTuple):
    """What decides which paths there are.

    Attributes:
        device: torch device.
        ieee: whether float32 products are computed in float32.
        variants: of the native kernels.
        digits: type of torch's products of digits, or None.
        triton: whether the Triton kernel is a candidate.
    """

    device: str
    ieee: bool
    variants: tuple[str, ...]
    digits: str | None
    triton: bool


@lru_cache(maxsize=4096)
def _planned(multiplier: Multiplier, size: Size, path: Path, here: _Here, on: Rates | None) -> Plan:
    """Plan with the rates of the processor, or with orders of magnitude of another device."""
    result = str(accumulator_dtype(multiplier, size.k)).removeprefix("torch.")
    floats = _torch_floats(multiplier, size, here, on)
    rows = size.m * size.groups
    times = {"lookup": device_lookup_s(rows, size.k, size.n) if on is None else on.seconds([lookup_work(size)])}
    if here.triton:
        times["triton"] = triton_s(rows, size.k, size.n)
    if floats is not None:
        times["factorised"] = floats[1]
    if result == "int32" and on is not None and here.variants:
        times.update({name: on.seconds(parts) for name, parts in native_parts(multiplier, size).items()})
    if path not in ("auto", "reference", *times):
        raise InvalidInputError(_why_not(multiplier, path, result, here))
    chosen = path if path != "auto" else min(times, key=times.__getitem__)  # never the reference
    times["reference"] = reference_s(size)
    factors = torch_factors(multiplier)
    rank = None if factors is None else factors.f.shape[1]
    shown = {
        "factorised": floats[0] if floats else "", "lookup": "float32 or float64 by bound", "reference": "int64",
        "native_factorised": "int8", "native_lookup": "int32", "triton": "int32 or int64 by bound",
    }[chosen]  # fmt: skip
    reason = f"path {path!r} was asked for" if path != "auto" else _reason(chosen, rank, shown, times, here)
    own_rank = rank if chosen.endswith("factorised") else None
    return Plan(chosen, shown, own_rank, result, reason, MappingProxyType(times), on.source if on else "device")


def native_parts(multiplier: Multiplier, size: Size) -> dict[str, tuple[Work, ...]]:
    """Return the native paths that the table has, with what they do; the result has to fit int32 besides."""
    found: dict[str, tuple[Work, ...]] = {}
    digits, table = int8_factors(multiplier), native_table(multiplier)
    if digits is not None and digits.groups:
        found["native_factorised"] = (digits_work(size, digits.pairs, len(digits.groups), on_tiles()),)
    if table is not None and rows_pay(table.planes.count, size.m, size.n):
        found["native_lookup"] = (rows_work(size),)
    elif table is not None:
        found["native_lookup"] = (planes_work(size, table.planes.count, has_permutes(), table.planes.folded),)
        exact = int8_factors(exact_of(multiplier)) if table.exact is not None else None
        if exact is not None:
            found["native_lookup"] += (digits_work(size, exact.pairs, len(exact.groups), on_tiles()),)
    return found


def _torch_floats(multiplier: Multiplier, size: Size, here: _Here, on: Rates | None) -> tuple[str, float] | None:
    """Return the cheapest exact type of the factorised path of torch and its predicted seconds."""
    factors = torch_factors(multiplier)
    if factors is None:
        return None
    rank, rows = factors.f.shape[1], size.m * size.groups
    options = {}
    for name in ("float32", "float64"):
        chunks = chunks_needed(factors, getattr(torch, name), size.k)
        whole = name == "float64" or one_chunk(factors, torch.float32, size.window)
        if chunks and whole and (here.ieee or name == "float64"):
            work = floats_work(size, name, rank, chunks)
            options[name] = (
                on.seconds([work]) if on else device_floats_s(name, rows, size.k, size.n, max(rank, 1), chunks)
            )
    digits = int8_factors(multiplier) if here.digits is not None and rank else None
    if digits is not None and here.digits is not None:
        pairs, scales = digits.pairs, len(digits.groups)
        options[here.digits] = (
            on.seconds([int8_work(size, pairs, scales)])
            if on
            else device_digits_s(here.digits, rows, size.k, size.n, pairs, scales)
        )
    return min(options.items(), key=lambda option: option[1]) if options else None


def _why_not(multiplier: Multiplier, path: str, result: str, here: _Here) -> str:
    if path == "factorised":
        return (
            f"path 'factorised' needs exact integer factors of rank <= 32, but the table of {multiplier.name!r} has "
            "none; use 'lookup' or 'auto'"
        )
    if path == "triton":
        return (
            "path 'triton' needs Triton (`pip install axdnn[gpu]`) and tensors on a GPU, or TRITON_INTERPRET=1 set "
            f"before the first use, but the tensors are on {here.device}; use 'auto'"
        )
    if here.device != "cpu" or not here.variants:
        return f"path {path!r} needs the native kernels and tensors on the CPU; use 'auto'"
    if result != "int32":
        return f"path {path!r} needs sums that provably fit int32, but those of {multiplier.name!r} may not; use 'auto'"
    needs = "useful integer factors" if path == "native_factorised" else "columns that span less than 2^16"
    return f"path {path!r} needs {needs}, but the table of {multiplier.name!r} has none; use 'auto'"


def _reason(chosen: str, rank: int | None, floats: str, times: Mapping[str, float], here: _Here) -> str:
    tail = "" if here.ieee else "; float32 products are set to reduced precision in this process, so float64 is used"
    if chosen == "native_factorised":
        variant = here.variants[-1]
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
