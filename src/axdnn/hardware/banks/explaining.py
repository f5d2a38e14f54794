"""How the figures of a bank come about: a layer on its array, the bank's area, memory and static power.

Formulas are Python expressions over the inputs' names.
"""

from __future__ import annotations

from collections.abc import Mapping

from axdnn.hardware.banks.bank import ArrayBank
from axdnn.hardware.banks.report import bank_report
from axdnn.hardware.banks.routing import Built, build, known_multipliers, route_layers
from axdnn.hardware.components import network_ports, require_figures
from axdnn.hardware.dataflows import MOVING_BITS
from axdnn.hardware.explained import Explained, Input
from axdnn.hardware.explaining import explain_layer
from axdnn.hardware.explaining_chip import chip_inputs, explain_memory
from axdnn.hardware.skipping import thinned
from axdnn.records import Assignment, Coding, Figures, Multiplier, Network, unknown_name


def explain_bank_layer(
    network: Network,
    assignment: Assignment | None,
    bank: ArrayBank,
    layer: str,
    *,
    multipliers: Mapping[str, Multiplier] | None = None,
    exact: Mapping[Coding, Figures] | None = None,
    batch: int = 1,
) -> tuple[int, tuple[Explained, ...]]:
    """Explain what a layer costs on its array: its energy by component, and its cycles.

    Arguments as of `ArrayBank.cost`.

    Returns:
        The array's index, and the explanations.

    Raises:
        UnknownNameError: no such layer; what `ArrayBank.cost` refuses.
    """
    if layer not in network.layer_names:
        raise unknown_name("layer", layer, network.layer_names, f"the network is {network.name!r}")
    index = network.layer_names.index(layer)
    report = bank_report(bank, network, assignment, multipliers, exact=exact, batch=batch)
    routed = route_layers(bank, network, assignment, multipliers, exact=exact, batch=batch)
    a, cost = routed.route[index], report.layers[index]
    # on its array a layer costs what it does on a chip of that one pod, but for static power
    alone = Assignment(
        multipliers=dict.fromkeys(network.layer_names, cost.multiplier),
        skip=routed.assignment.skip,
        absent=routed.assignment.absent,
    )
    kind = {cost.multiplier: routed.built.kinds[a]}
    parts = explain_layer(network, alone, routed.built.chips[a], layer, multipliers=kind, exact=exact, batch=batch)
    values = {**cost.energy_j, "cycles": float(cost.cycles)}
    static = _static(bank, routed.built, a, cost.cycles, values["static"])
    return a, tuple(static if p.name == "static" else p._replace(value=values[p.name]) for p in parts)


def _static(bank: ArrayBank, built: Built, index: int, cycles: int, joules: float) -> Explained:
    """Static energy: the working array's own power, what is shared, and the idle part of the others'."""
    chip = built.chips[index]
    own = float(built.own_w[index])
    inputs = {
        "own_w": Input(own, f"leakage and clock of array {index}, see `static: array {index}` of the bank"),
        "shared_w": Input(built.shared_w, "leakage of memories and network, see `static: shared` of the bank"),
        "others_w": Input(float(built.own_w.sum()) - own, "leakage and clock of all other arrays"),
        "idle_fraction": Input(bank.idle_fraction, f"{bank.name}, idle_fraction: {bank.sources['idle_fraction']}"),
        "cycles": Input(cycles, "below"),
        "clock_hz": chip_inputs(chip)["clock_hz"],
    }
    formula = "(own_w + shared_w + idle_fraction * others_w) * cycles / clock_hz"
    return Explained("static", joules, "J", formula, inputs)


def explain_bank(
    network: Network,
    assignment: Assignment | None,
    bank: ArrayBank,
    *,
    multipliers: Mapping[str, Multiplier] | None = None,
    exact: Mapping[Coding, Figures] | None = None,
    batch: int = 1,
) -> tuple[Explained, ...]:
    """Explain the bank's area by component, its static power by array, and the memory that a network takes.

    Arguments and errors as of `ArrayBank.cost`.
    """
    report = bank_report(bank, network, assignment, multipliers, exact=exact, batch=batch)
    built = build(bank, known_multipliers(bank, multipliers), exact)
    shapes = thinned(network, assignment) if assignment else network
    return (*_areas(bank, built), *_powers(bank, built), *explain_memory(report, shapes))


def _areas(bank: ArrayBank, built: Built) -> tuple[Explained, ...]:
    """Area by component: arrays one by one, memories shared, each array's part of the network at its own width."""
    count, area = len(bank.arrays), built.area_m2
    own = chip_inputs(bank.chip)
    arrays = [_array_inputs(bank, built, i) for i in range(count)]
    sizes = {k: x for one in arrays for k, x in one.items() if k.startswith(("rows_", "columns_"))}
    circuits = {k: x for one in arrays for k, x in one.items() if k.startswith("area_")}
    wrapped = {k: x for one in arrays for k, x in one.items() if k.startswith("wrapped_")}
    products = " + ".join(f"rows_{i} * columns_{i} * area_{i}" for i in range(count))
    rest = " + ".join(f"rows_{i} * columns_{i} * (pe_rest_m2 + wrapped_{i} * sign_magnitude_m2)" for i in range(count))
    width = " + ".join(f"rows_{i} + 5 * columns_{i}" for i in range(count))
    memories = ("activation_buffer_bytes", "weight_buffer_bytes", "accumulator_bytes", "buffer_m2_b", "backing_bytes",
                "backing_m2_b")  # fmt: skip
    arrays_built = {"built": Input(count, "arrays that are built")}
    kind = bank.chip.interconnect
    ports = {"ports": Input(float(network_ports(bank.chip, count)), f"output ports of the {kind}, see `network_ports`")}
    return (
        Explained("area: multiplier", area["multiplier"], "m2", f"({products}) * multiplier_area_scale",
                  sizes | circuits | {"multiplier_area_scale": own["multiplier_area_scale"]}),
        Explained("area: mac_rest", area["mac_rest"], "m2", rest,
                  sizes | wrapped | {name: own[name] for name in ("pe_rest_m2", "sign_magnitude_m2")}),
        Explained("area: sram", area["sram"], "m2",
                  "(activation_buffer_bytes + weight_buffer_bytes + built * accumulator_bytes) * buffer_m2_b "
                  "+ backing_bytes * backing_m2_b", arrays_built | {name: own[name] for name in memories}),
        Explained("area: interconnect", area["interconnect"], "m2",
                  f"ports / built * 8 * ({width}) * interconnect_m2_bit",
                  ports | arrays_built | sizes | {"interconnect_m2_bit": own["interconnect_m2_bit"]}),
    )  # fmt: skip


def _powers(bank: ArrayBank, built: Built) -> tuple[Explained, ...]:
    """Static power of each array and of what is shared."""
    powers = []
    for i, chip in enumerate(built.chips):
        own = chip_inputs(chip)
        names = ("multiplier_area_scale", "pe_rest_m2", "sign_magnitude_m2", "logic_leakage_w_m2", "clock_fraction",
                 "register_j_bit", "clock_hz")  # fmt: skip
        bits = Input(MOVING_BITS[chip.dataflow], f"register bits that change a cycle with dataflow {chip.dataflow}")
        inputs = {**_array_inputs(bank, built, i), **{name: own[name] for name in names}, "moving_bits": bits}
        element = f"area_{i} * multiplier_area_scale + pe_rest_m2 + wrapped_{i} * sign_magnitude_m2"
        formula = (
            f"rows_{i} * columns_{i} * (({element}) * logic_leakage_w_m2 "
            "+ clock_fraction * moving_bits * register_j_bit * clock_hz)"
        )
        powers.append(Explained(f"static: array {i}", float(built.own_w[i]), "W", formula, inputs))
    own = chip_inputs(bank.chip)
    areas = {f"{name}_m2": Input(built.area_m2[name], f"see `area: {name}`") for name in ("sram", "interconnect")}
    leaks = {name: own[name] for name in ("memory_leakage_w_m2", "logic_leakage_w_m2")}
    formula = "sram_m2 * memory_leakage_w_m2 + interconnect_m2 * logic_leakage_w_m2"
    return (*powers, Explained("static: shared", built.shared_w, "W", formula, areas | leaks))


def _array_inputs(bank: ArrayBank, built: Built, index: int) -> dict[str, Input]:
    """Size and circuit of one array."""
    array, kind = bank.arrays[index], built.kinds[index]
    figures, source = require_figures(kind), bank.sources[f"arrays.{index}"]
    return {
        f"rows_{index}": Input(array.rows, source),
        f"columns_{index}": Input(array.columns, source),
        f"area_{index}": Input(figures.area_m2, f"{kind.name}: {figures.source}"),
        f"wrapped_{index}": Input(int(kind.coding == "sign_magnitude"), "1 with a sign-magnitude wrapper"),
    }
