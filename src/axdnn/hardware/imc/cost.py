"""`imc_cost`: energy by component, latency, arrays and area of a network on a chip of in-memory arrays.

Vectorised over layers, and over any number of candidate parameter values at once. Layers run one after the other at
batch 1. Not in it: a limit of the buffer's size, activations that go off the chip, wires within an array (voltage
drop), operators that do not multiply, and write-verify loops beyond what a chip's file says.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from axdnn.hardware.imc.activity import Activity
from axdnn.hardware.imc.array_costs import Parameters, array_costs
from axdnn.hardware.imc.chip import ImcChip, load_imc_chip
from axdnn.hardware.imc.gates import floats
from axdnn.hardware.imc.mapping import Placement, Shapes, place_on_arrays, residency
from axdnn.hardware.imc.result import ImcCost
from axdnn.hardware.imc.terms import (
    Layout,
    adc_bits_missing,
    chip_area_m2,
    layer_bytes,
    layer_energy_j,
    layer_times,
    parameters,
    setup,
)
from axdnn.records import InvalidInputError, Network


def network_shapes(network: Network) -> Shapes:
    """Products of a network's layers, each array of shape `(layers,)`.

    Raises:
        InvalidInputError: no layers, or a dimension below 1.
    """
    if not network.layers:
        raise InvalidInputError(f"a network needs at least one layer to be priced, but {network.name!r} has none")
    labels = ("m", "k", "n", "groups")
    for layer in network.layers:
        for label in labels:
            if (value := getattr(layer, label)) < 1:
                raise InvalidInputError(f"layer {layer.name!r}: {label} >= 1 must hold, but got {value}")
    m, k, n, groups = (np.array([getattr(x, label) for x in network.layers], dtype=np.int64) for label in labels)
    return Shapes(m, k, n, groups, np.array([layer.kind == "matmul" for layer in network.layers]))


def imc_cost(
    network: Network,
    chip: str | ImcChip,
    activity: Activity | None = None,
    *,
    replicas: npt.ArrayLike = 1,
    pack_groups: bool = False,
    vary: Mapping[str, npt.ArrayLike] | None = None,
) -> ImcCost:
    """Cost of one inference at batch 1, layer after layer.

    Args:
        network: shapes.
        chip: name, path or loaded.
        activity: of the operands, numbers or one value a layer; None = 1 everywhere, as the closed forms assume.
        replicas: copies of the weights of all layers, or of each.
        pack_groups: let groups share arrays block-diagonally; off, every group has its own tiles.
        vary: numeric field of `ImcChip` -> values in SI units that replace the chip's. The arrays broadcast against
            each other; results get their shape in front of the layers.

    Raises:
        UnknownNameError: unknown chip, or a field that cannot be varied.
        InvalidInputError: an illegal network, activity, count of replicas or parameter value.
    """
    chip = chip if isinstance(chip, ImcChip) else load_imc_chip(chip)
    shapes = network_shapes(network)
    p, shape = parameters(chip, vary or {})
    layout = laid_out(shapes, p, replicas, pack_groups)
    place, copies = layout.place, layout.copies
    costs = array_costs(chip.kind, p, (activity or Activity()).checked())
    moved = layer_bytes(layout, p)
    times = layer_times(layout, costs, moved, p)
    energy = layer_energy_j(layout, costs, moved, p)
    static_w = p["arrays"] * p["array_leakage_w"] + p["shared_leakage_w"]
    energy["leakage"] = floats(static_w * (times.compute + times.programming))
    feasible = layout.stay.fits | (p["reload"][..., 0] > 0)
    barred = np.where(feasible, 0.0, np.inf)[..., None]
    setup_j, setup_s = setup(layout, moved, p)
    full = (*shape, len(network.layers))
    return ImcCost(
        chip=chip.name,
        layers=network.layer_names,
        energy_j={part: np.broadcast_to(value + barred, full) for part, value in energy.items()},
        compute_s=np.broadcast_to(times.compute + barred, full),
        programming_s=np.broadcast_to(times.programming + barred, full),
        bound=np.broadcast_to(times.bound, full),
        arrays=np.broadcast_to(place.arrays * copies, full),
        passes=np.broadcast_to(layout.stay.passes, full),
        loaded=np.broadcast_to(layout.stay.loaded, full),
        utilisation=np.broadcast_to(place.utilisation, full),
        adc_bits_missing=np.broadcast_to(adc_bits_missing(chip.kind, shapes, costs, p), full),
        area_m2={part: np.broadcast_to(value, shape) for part, value in chip_area_m2(costs, p).items()},
        arrays_needed=np.broadcast_to(layout.stay.needed, shape),
        arrays_available=np.broadcast_to(p["arrays"][..., 0].astype(np.int64), shape),
        feasible=np.broadcast_to(feasible, shape),
        setup_j=np.broadcast_to(setup_j, shape),
        setup_s=np.broadcast_to(setup_s, shape),
    )


def laid_out(shapes: Shapes, p: Parameters, replicas: npt.ArrayLike, pack_groups: bool) -> Layout:
    """Lay layers on arrays, and say what stays.

    Raises:
        InvalidInputError: an illegal count of replicas.
    """
    copies = np.asarray(replicas, dtype=np.int64)
    if copies.ndim > 1 or copies.size not in (1, len(shapes.m)) or not bool(np.all(copies >= 1)):
        raise InvalidInputError(f"`replicas` must be whole numbers >= 1, one or one a layer, but got {replicas!r}")
    place = _placed(shapes, p, pack_groups, copies)
    return Layout(shapes, copies, place, residency(place.arrays * copies, shapes.dynamic, p["arrays"]))


def _placed(shapes: Shapes, p: Parameters, pack_groups: bool, copies: npt.NDArray[np.int64]) -> Placement:
    """Layers on the arrays of every candidate."""
    names = ("activation_bits", "weight_bits", "input_bits", "cell_bits", "cells_per_slice", "slices_per_conversion")
    widths = {name: p[name] for name in names}
    return place_on_arrays(shapes, p["rows"], p["columns"], replicas=copies, pack_groups=pack_groups, **widths)


def balanced_replicas(network: Network, chip: str | ImcChip, *, pack_groups: bool = False) -> npt.NDArray[np.int64]:
    """Copies of each layer's weights by which the slowest layer gets faster as long as arrays are left.

    The layer with most rows per copy gets as many copies more as shorten it, until these do not fit; 1 everywhere if
    the network fits no more than once. Products of two activations are not copied.

    Returns:
        `(layers,)`, for `imc_cost(replicas=...)`.

    Raises:
        UnknownNameError: unknown chip.
        InvalidInputError: an illegal network.
    """
    chip = chip if isinstance(chip, ImcChip) else load_imc_chip(chip)
    shapes = network_shapes(network)
    p, _ = parameters(chip, {})
    copies = np.ones(len(network.layers), dtype=np.int64)
    arrays = _placed(shapes, p, pack_groups, copies).arrays
    left = chip.arrays - int(residency(arrays, shapes.dynamic, chip.arrays).needed)
    waiting = [(-int(m), i) for i, m in enumerate(shapes.m) if not shapes.dynamic[i]]
    heapq.heapify(waiting)
    while waiting:
        rows, i = -waiting[0][0], waiting[0][1]
        if rows == 1:
            break
        wanted = math.ceil(int(shapes.m[i]) / (rows - 1))
        if (wanted - int(copies[i])) * int(arrays[i]) > left:
            break
        left -= (wanted - int(copies[i])) * int(arrays[i])
        copies[i] = wanted
        heapq.heapreplace(waiting, (-math.ceil(int(shapes.m[i]) / wanted), i))
    return copies
