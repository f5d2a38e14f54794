"""Measured rates of this machine, kept in the cache folder; the shipped ones until somebody measures.

Planning never measures: a product takes the stored rates, else the shipped ones. `axdnn bench --calibrate` measures,
and so does the first `axdnn generate` of a machine. Every path gives the same integers, so rates decide on speed alone.

A file belongs to one processor, set of kernel variants, build of the kernels, version of torch and number of threads;
its name is a hash of these. A file that is damaged or says something else than its name counts as absent.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch

from axdnn.kernels.native import has_permutes, native_variants
from axdnn.kernels.rates import Costs, Rates, shipped_rates
from axdnn.records import cache_root, processor_name, write_atomic

FORMAT = 1


def machine_key(threads: int) -> dict[str, Any]:
    """Return what the rates of this process depend on.

    Args:
        threads: that torch uses.
    """
    return {
        "format": FORMAT, "processor": f"{processor_name()} {torch.backends.cpu.get_cpu_capability()}",
        "variants": list(native_variants()), "permutes": has_permutes(), "kernels": _library_sha256(),
        "torch": torch.__version__, "threads": threads,
    }  # fmt: skip


def rates_file(threads: int) -> Path:
    """Return where the rates for this number of threads are, or would be."""
    text = json.dumps(machine_key(threads), sort_keys=True)
    return cache_root() / "rates" / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


@lru_cache(maxsize=16)
def rates(threads: int) -> Rates:
    """Return the rates to plan with: measured with so many threads, else with one, else as shipped.

    Args:
        threads: that torch uses.
    """
    for number in dict.fromkeys((threads, 1)):
        stored = read_rates(number)
        if stored is not None:
            return stored
    return shipped_rates(native_variants(), has_permutes())


def read_rates(threads: int) -> Rates | None:
    """Return the rates measured with so many threads, or None if there are none that can be used."""
    try:
        found = json.loads(rates_file(threads).read_text())
        costs = {kind: {step: float(s) for step, s in steps.items()} for kind, steps in found["costs"].items()}
        mine = found["machine"] == machine_key(threads)
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None
    return Rates(costs, "measured") if mine and _sound(costs) else None


def store_rates(measured: Rates, threads: int) -> Path:
    """Keep rates for later processes, and use them in this one from now on.

    Raises:
        OSError: the cache folder cannot be written.
    """
    file = rates_file(threads)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, json.dumps({"machine": machine_key(threads), "costs": measured.costs}, indent=1) + "\n")
    rates.cache_clear()
    return file


def _sound(costs: Costs) -> bool:
    """Whether every step that plans ask for has a cost, finite and not negative."""
    needed = shipped_rates(native_variants(), has_permutes()).costs
    return {kind: set(steps) for kind, steps in costs.items()} == {
        k: set(steps) for k, steps in needed.items()
    } and all(math.isfinite(s) and s >= 0 for steps in costs.values() for s in steps.values())


@cache
def _library_sha256() -> str:
    """Hash of the compiled kernels; empty where they are not used."""
    spec = importlib.util.find_spec("axdnn.kernels._native") if native_variants() else None
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest() if spec and spec.origin else ""
