"""`sweep`: a network on all combinations of values of an accelerator's parameters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from axdnn.hardware.accelerator import Accelerator, load_accelerator
from axdnn.hardware.batching import batched
from axdnn.hardware.layer_arrays import layer_arrays
from axdnn.hardware.many_chips import Costs, price_chips
from axdnn.hardware.operating import at_voltage
from axdnn.hardware.parameters import (
    BACKING,
    OPTIONAL,
    PARAMETERS,
    UNITS,
    Parameter,
    backing_faults,
    entry_faults,
    read_entry,
)
from axdnn.hardware.traffic import traffic
from axdnn.records import (
    Coding,
    Figures,
    InvalidInputError,
    Multiplier,
    Network,
    RooflineLayer,
    Sweep,
    SweepPoint,
    unknown_name,
)

MOST_POINTS = 1_000_000
SIZE = "array"
"""Short for `array.rows` and `array.columns` together: `32x32`."""
VOLTAGE = "voltage"
_NOT_SWEPT = ("exact_rows", "fill", "pods_together")


def sweep(
    network: Network,
    multiplier: Multiplier,
    axes: Mapping[str, Sequence[float | int | str]],
    accelerator: str | Accelerator = "tpu_v4",
    *,
    batch: int = 1,
    curve: str = "alpha_power",
    exact: Mapping[Coding, Figures] | None = None,
) -> Sweep:
    """Price a network on all combinations of parameter values; each point's figures are those of `estimate`.

    Args:
        network: shapes.
        multiplier: of every pod, with figures.
        axes: key of the accelerator file, its last part, `array` (`"RxC"`) or `voltage` (volts, see `at_voltage`) ->
            values, in the unit that sweeps show for the key, or texts with a unit: `"64 KiB"`.
        accelerator: what is varied: name, path or loaded.
        batch: inferences computed together.
        curve: of voltages.
        exact: figures of the exact circuits by coding; default: those of the shipped library.

    Raises:
        UnknownNameError: a key that accelerator files do not have.
        InvalidInputError: no axes or values, values out of range or a backing memory slower than DRAM at any point, or
            too many points.
    """
    base = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
    if base.exact_rows:
        raise InvalidInputError(f"`accelerator` must have no exact rows to be swept, but {base.name!r} has some")
    read = {key: [_changes(key, value) for value in values] for key, values in axes.items()}
    count = math.prod(len(values) for values in read.values())
    if not read or not 1 <= count <= MOST_POINTS:
        raise InvalidInputError(f"`axes` must give 1 to {MOST_POINTS} points, but gives {count if read else 0}")
    combined = [_joined(values) for values in itertools.product(*read.values())]
    chips = [_chip(base, fields, curve) for _, fields in combined]
    shapes = batched(network, batch)
    costs = _priced(shapes, chips, multiplier, exact)
    shown: dict[str, tuple[float | str, ...]] = {}
    for values, _ in combined:
        for key, value in values.items():
            shown[key] = (*shown.get(key, ()), *(() if value in shown.get(key, ()) else (value,)))
    return Sweep(
        network=network.name,
        accelerator=base.name,
        multiplier=multiplier.name,
        axes=shown,
        units={key: "V" if key == VOLTAGE else _unit(_parameter(key)) for key in shown},
        points=_points([values for values, _ in combined], costs),
        peak_macs_per_s=base.pods * base.rows * base.columns * base.clock_hz,
        dram_bandwidth_b_s=base.dram_bandwidth_b_s,
        roofline=_roofline(shapes, base, multiplier, exact),
        batch=batch,
    )


def _chip(base: Accelerator, fields: dict[str, Any], curve: str) -> Accelerator:
    """A variant: parameters first, held to what a file is held to, then its voltage."""
    chip = base.replace(**{field: value for field, value in fields.items() if field != VOLTAGE})
    if fields.keys() & set(BACKING) and (faults := backing_faults({f: getattr(chip, f) for f in BACKING}, "sweep")):
        raise InvalidInputError("; ".join(faults))
    return at_voltage(chip, fields[VOLTAGE], curve) if VOLTAGE in fields else chip


def _joined(parts: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> tuple[dict[str, Any], dict[str, Any]]:
    shown: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for values, changes in parts:
        shown |= values
        fields |= changes
    return shown, fields


def _parameter(key: str) -> Parameter:
    known = {p.path: p for p in (*PARAMETERS, *OPTIONAL) if p.field not in _NOT_SWEPT}
    tails = [path.split(".")[1] for path in known]
    short = {tail: p for tail, p in zip(tails, known.values(), strict=True) if tails.count(tail) == 1}
    if key not in known and key not in short:
        names = [SIZE, VOLTAGE, *known]
        raise unknown_name("parameter", key, names, "a sweep varies the keys of an accelerator file")
    return known.get(key) or short[key]


_UNITS = {"bytes": "KiB", "frequency": "MHz", "bandwidth": "GB/s", "time": "ns", "energy": "pJ",
          "energy per bit": "pJ/bit", "energy per byte": "pJ/B", "area": "um2", "area per byte": "mm2/MiB",
          "power density": "mW/mm2"}  # fmt: skip


def _unit(parameter: Parameter) -> str:
    """Unit in which values of a sweep are given and shown."""
    return "1" if parameter.choices else _UNITS.get(parameter.dimension, "1")


def _changes(key: str, value: Any) -> tuple[dict[str, float | str], dict[str, Any]]:
    """Values by key as shown, and changed fields in SI."""
    if key == SIZE:
        sides = str(value).lower().split("x")
        if len(sides) != 2 or not all(side.strip().isdigit() for side in sides):
            raise InvalidInputError(f"`{SIZE}` must be ROWSxCOLUMNS, e.g. 32x32, but got {value!r}")
        pairs = [_changes(k, int(s)) for k, s in zip(("array.rows", "array.columns"), sides, strict=True)]
        return pairs[0][0] | pairs[1][0], pairs[0][1] | pairs[1][1]
    if key == VOLTAGE:
        try:
            return {VOLTAGE: float(value)}, {VOLTAGE: float(value)}
        except ValueError:
            raise InvalidInputError(f"`{VOLTAGE}` must be a number of volts, but got {value!r}") from None
    parameter = _parameter(key)
    number, unit = value, _unit(parameter)
    if isinstance(value, str) and not parameter.choices:
        head, _, tail = value.strip().partition(" ")
        try:
            number = float(head)
        except ValueError:
            raise InvalidInputError(f"`{parameter.path}` must be a number, but got {value!r}") from None
        unit = tail.strip() or unit
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    entry = {"value": number, "unit": unit, "source": "swept"}
    if faults := entry_faults(entry, parameter, "sweep"):
        raise InvalidInputError("; ".join(faults))
    si, _ = read_entry(entry, parameter)
    return {parameter.path: _shown(si, parameter)}, {parameter.field: si}


def _shown(si: float | int | str, parameter: Parameter) -> float | str:
    return si if isinstance(si, str) else float(si) / UNITS[parameter.dimension][_unit(parameter)]


def _priced(
    network: Network, chips: list[Accelerator], multiplier: Multiplier, exact: Mapping[Coding, Figures] | None
) -> dict[str, npt.NDArray[np.float64]]:
    """Totals of each chip, those of one dataflow, timing and network together."""
    layers = layer_arrays(network)
    totals: dict[str, npt.NDArray[np.float64]] = {}
    kinds: dict[tuple[str, str, str], list[int]] = {}
    for i, chip in enumerate(chips):
        kinds.setdefault((chip.dataflow, chip.timing, chip.interconnect), []).append(i)
    for rows in kinds.values():
        costs = price_chips(layers, [chips[i] for i in rows], multiplier, exact)
        for name, values in _totals(costs).items():
            totals.setdefault(name, np.empty(len(chips)))[rows] = values
    return totals


def _totals(costs: Costs) -> dict[str, npt.NDArray[np.float64]]:
    stalls = costs.stall_cycles.sum(axis=1) / costs.cycles.sum(axis=1)
    parts = {f"energy {name}": values.sum(axis=1) for name, values in costs.energy_j.items()}
    return {"latency": costs.total_latency_s, "energy": costs.total_energy_j, "area": costs.total_area_m2,
            "stalls": np.asarray(stalls), **parts}  # fmt: skip


def _points(values: list[dict[str, float | str]], totals: dict[str, npt.NDArray[np.float64]]) -> tuple[SweepPoint, ...]:
    best = undominated(np.stack([totals[name] for name in ("latency", "energy", "area")], axis=1))
    parts = [name for name in totals if name.startswith("energy ")]
    return tuple(
        SweepPoint(
            values=values[i],
            latency_s=float(totals["latency"][i]),
            energy_j=float(totals["energy"][i]),
            area_m2=float(totals["area"][i]),
            energy_breakdown_j={name.removeprefix("energy "): float(totals[name][i]) for name in parts},
            stall_fraction=float(totals["stalls"][i]),
            best=bool(best[i]),
        )
        for i in range(len(values))
    )


def undominated(objectives: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Rows that no other row beats: at least as small everywhere and smaller somewhere. Shape `(n, d)` -> `(n,)`."""
    order = np.lexsort(objectives.T[::-1])
    kept: list[int] = []
    found = np.zeros(len(objectives), dtype=bool)
    for i in order:  # a row is beaten only by one that stands before it
        point = objectives[i]
        front = objectives[kept]
        if kept and ((front <= point).all(axis=1) & (front < point).any(axis=1)).any():
            continue
        kept.append(int(i))
        found[i] = True
    return found


def _roofline(
    network: Network, chip: Accelerator, multiplier: Multiplier, exact: Mapping[Coding, Figures] | None
) -> tuple[RooflineLayer, ...]:
    layers = layer_arrays(network)
    costs, moved = price_chips(layers, [chip], multiplier, exact), traffic(layers, chip).dram
    return tuple(
        RooflineLayer(
            layer=name,
            macs_per_byte=float(layers.macs[i] / moved[i]),
            macs_per_s=float(layers.macs[i] / costs.latency_s[0, i]),
        )
        for i, name in enumerate(network.layer_names)
        if moved[i]  # a layer that needs nothing from DRAM has no place on the plot
    )
