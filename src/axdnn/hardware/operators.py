"""The operators of a network as a cost report lists them: exact ones, and the requantisation of every result."""

from __future__ import annotations

from collections.abc import Sequence

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.layer_arrays import layer_arrays
from axdnn.hardware.traffic import activation_home
from axdnn.hardware.vector_unit import OPERATOR_COMPONENTS, operator_costs
from axdnn.records import ExactOperator, Network, OperatorCost, OperatorKind

REQUANTISE_OPERATIONS = 5
"""Of one value: product with the scale, rounding, zero point, and a comparison with either bound."""
REQUANTISED: tuple[OperatorKind, ...] = ("elementwise", "normalisation", "softmax", "reduction", "other")
"""Kinds whose results are new values that become codes; averages do too. The others hand codes on."""


def requantisations(network: Network) -> tuple[ExactOperator, ...]:
    """Return the requantisation of every layer's results and of the operators that make new values.

    An upper bound: results that leave the network, or that an operator reads as real values, are not rounded.
    """
    made = [(layer.name, layer.output_words) for layer in network.layers]
    made += [
        (o.name, o.output_words)
        for o in network.exact_operators
        if o.output_words and (o.kind in REQUANTISED or o.operator.startswith("avg_pool"))
    ]
    return tuple(
        ExactOperator(
            name=name, operator="requantise", reason="a scale, a zero point and a rounding", kind="elementwise",
            input_words=words, output_words=words, operations=REQUANTISE_OPERATIONS * words,
        ) for name, words in made
    )  # fmt: skip


def priced_operators(network: Network, chip: Accelerator, static_w: float | None = None) -> tuple[OperatorCost, ...]:
    """Price everything of a network that is no multiply-accumulate layer; what costs nothing (views) is left out.

    Args:
        network: with at least one layer.
        chip: accelerator.
        static_w: static power of the chip, charged for the time of each pass as component `static`; None = not charged,
            and no such component.

    Raises:
        InvalidInputError: the network has no layers, or an operator has a negative count.
    """
    operators = (*network.exact_operators, *requantisations(network))
    costs = operator_costs(operators, chip, str(activation_home(layer_arrays(network), chip)))
    parts = {name: getattr(costs, f"{name}_j").tolist() for name in OPERATOR_COMPONENTS}
    fused, cycles, latency = costs.fused.tolist(), costs.cycles.tolist(), costs.latency_s.tolist()
    return tuple(
        OperatorCost(
            name=o.name, operator=o.operator, kind=o.kind, fused=fused[i], operations=o.operations,
            transcendental=o.transcendental, cycles=cycles[i], latency_s=latency[i],
            energy_j={name: joules[i] for name, joules in parts.items()}
            | ({} if static_w is None else {"static": static_w * latency[i]}),
        ) for i, o in enumerate(operators) if cycles[i]
    )  # fmt: skip


def totals_note(operators: Sequence[OperatorCost], static_w: float | None) -> str:
    """Say whether the totals of energy and latency contain operators, and how they run.

    Args:
        operators: as priced.
        static_w: as in `priced_operators`; None = they stand apart.
    """
    what = (
        "operators that are no multiply-accumulate layers (pooling, additions, normalisation, softmax, activation "
        "functions, moves) and requantisation are priced"
    )
    how = (
        "fused ones stream behind the array, the others are passes of the vector unit; at the shapes of the whole "
        "network where neurons are skipped"
    )
    if static_w is None:
        where = "apart, in `operators`, and are not part of the totals of energy and latency"
        return f"{what} {where}: {how}; without static energy"
    joules, seconds = sum(o.total_energy_j for o in operators), sum(o.latency_s for o in operators)
    return (
        f"{what} in `operators`, and the totals contain them: {1e6 * joules:.6g} µJ and {1e6 * seconds:.6g} µs; {how}; "
        f"static power of the chip while passes run is charged, {static_w:.4g} W x {1e6 * seconds:.6g} µs"
    )


def operator_notes(operators: Sequence[ExactOperator]) -> tuple[str, ...]:
    """Say which operators of a network have no counts."""
    unknown = [o.operator for o in operators if not o.is_counted]
    if not unknown:
        return ()
    return (
        f"{len(unknown)} exact operators have no counts, so they are priced at 0: {', '.join(sorted(set(unknown)))}; "
        "an ONNX operator without a rule, or a network saved before operators were counted: capture that again",
    )
