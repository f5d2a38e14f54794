"""How area and memory of a whole systolic chip come about; formulas are Python expressions over the inputs' names."""

from __future__ import annotations

from collections.abc import Mapping

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.components import ACCUMULATOR_BYTES, exact_figures, network_ports, require_figures
from axdnn.hardware.explained import Explained, Input
from axdnn.hardware.layer_arrays import layer_arrays
from axdnn.hardware.parameters import OPTIONAL, PARAMETERS
from axdnn.records import Coding, CostReport, Figures, Multiplier, Network


def explain_chip(
    report: CostReport,
    network: Network,
    chip: Accelerator,
    *,
    multipliers: Mapping[str, Multiplier],
    exact: Mapping[Coding, Figures] | None = None,
) -> tuple[Explained, ...]:
    """Explain the area by component, and the memory of weights, biases and activations.

    Args:
        report: of `estimate`, `buildable` reading.
        network: that was priced, skipped neurons taken out.
        chip: that it was priced on.
        multipliers: name -> multiplier with figures.
        exact: figures of the exact circuits, as given to `estimate`.
    """
    own = chip_inputs(chip)
    area = report.area_breakdown_m2
    products, rest = _pods(report, chip, multipliers, exact)
    elements = "rows * columns"
    bits = "8 * (rows + 5 * columns)"
    pods = sum(report.pods.values())
    common = {name: own[name] for name in ("rows", "columns")}
    memories = ("activation_buffer_bytes", "weight_buffer_bytes", "accumulator_bytes", "buffer_m2_b", "backing_bytes",
                "backing_m2_b")  # fmt: skip
    built = Input(pods, "pods that are built, all kinds")
    ports = Input(float(network_ports(chip, pods)), f"output ports of the {chip.interconnect}, see `network_ports`")
    kinds = [f"({pod} * {elements} * ({part}))" for pod, part, _ in rest]
    of_products = {key: x for _, inputs in products for key, x in inputs.items()}
    of_rest = {key: x for _, _, inputs in rest for key, x in inputs.items()}
    return (
        Explained("area: multiplier", area["multiplier"], "m2", " + ".join(f for f, _ in products),
                  common | of_products | _pick(own, "multiplier_area_scale")),
        Explained("area: mac_rest", area["mac_rest"], "m2", " + ".join(kinds),
                  common | of_rest | _pick(own, "pe_rest_m2", "sign_magnitude_m2")),
        Explained("area: sram", area["sram"], "m2",
                  "(activation_buffer_bytes + weight_buffer_bytes + built * accumulator_bytes) * buffer_m2_b "
                  "+ backing_bytes * backing_m2_b", {"built": built, **_pick(own, *memories)}),
        Explained("area: interconnect", area["interconnect"], "m2", f"ports * {bits} * interconnect_m2_bit",
                  {"ports": ports, **common, **_pick(own, "interconnect_m2_bit")}),
        *explain_memory(report, network),
    )  # fmt: skip


def chip_inputs(chip: Accelerator) -> dict[str, Input]:
    """Every number of a chip's file with its source, by field."""
    found = {}
    for p in (*PARAMETERS, *OPTIONAL):
        value = getattr(chip, p.field)
        if isinstance(value, int | float):
            found[p.field] = Input(float(value), f"{chip.name}, {p.path}: {chip.sources.get(p.path, 'default')}")
    return found


def _pick(own: dict[str, Input], *names: str) -> dict[str, Input]:
    return {name: own[name] for name in names}


def _pods(
    report: CostReport, chip: Accelerator, multipliers: Mapping[str, Multiplier], exact: Mapping[Coding, Figures] | None
) -> tuple[list[tuple[str, dict[str, Input]]], list[tuple[str, str, dict[str, Input]]]]:
    """Terms of the pods of each kind: their multipliers, and everything else in their elements."""
    reference, products, rest = exact_figures(exact), [], []
    for i, (name, count) in enumerate(report.pods.items()):
        m = multipliers[name]
        pod = {f"pods_{i}": Input(count, f"pods of {name}, as allocated")}
        figures = require_figures(m)
        inputs = pod | {
            f"area_{i}": Input(figures.area_m2, f"{name}: {figures.source}"),
            "exact_rows": Input(chip.exact_rows, "rows of exact circuits (`array.exact_rows`)"),
            f"exact_area_{i}": Input(reference[m.coding].area_m2, f"exact {m.coding} circuit"),
        }
        column = f"((rows - exact_rows) * area_{i} + exact_rows * exact_area_{i})"
        products.append((f"pods_{i} * columns * {column} * multiplier_area_scale", inputs))
        wrapped = Input(int(m.coding == "sign_magnitude"), "1 with a sign-magnitude wrapper")
        rest.append((f"pods_{i}", f"pe_rest_m2 + wrapped_{i} * sign_magnitude_m2", pod | {f"wrapped_{i}": wrapped}))
    return products, rest


def explain_memory(report: CostReport, network: Network) -> tuple[Explained, ...]:
    """Explain the memory of weights, biases and activations; arguments as of `explain_chip`."""
    found, peak = report.memory_breakdown_bytes, layer_arrays(network).peak_activation_bytes
    biases = sum(layer.groups * layer.n for layer in network.layers if layer.has_bias)
    return (
        Explained("memory: weights", found["weights"], "B", "weights",
                  {"weights": Input(network.weights, "weights of all layers, one byte each")}),
        Explained("memory: biases", found["biases"], "B", "biases * sum_bytes",
                  {"biases": Input(biases, "outputs of layers with a bias"),
                   "sum_bytes": Input(ACCUMULATOR_BYTES, "bytes of a 32-bit number")}),
        Explained("memory: activations", found["activations"], "B", "batch * peak",
                  {"batch": Input(report.batch, "inferences computed together"),
                   "peak": Input(peak, "most activation bytes alive at once")}),
    )  # fmt: skip
