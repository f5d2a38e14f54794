"""What a reader of a `CostReport` must know: bounds, sensitivities, assumptions, sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from axdnn.hardware.accelerator import Accelerator
from axdnn.hardware.components import power_ratio, require_figures
from axdnn.records import Coding, Figures, LayerCost, Multiplier, Reading

SLACK = 1.0 + 1e-9

READINGS: dict[Reading, str] = {
    "ideal": (
        "ideal reading: every pod runs every chosen multiplier at no cost, so this is an upper bound of the benefit; "
        "static power is that of the chosen kind with the least, area that of the largest"
    ),
    "buildable": (
        "buildable reading: each pod holds one fixed multiplier and a layer runs on the pods of its kind alone; "
        "lost parallelism, static energy of the waiting pods and area are charged"
    ),
}
PRICED = (
    "priced: multiply-accumulate layers at batch 1, layers one after the other, each from a cold start (weights read "
    "from DRAM every inference, no prefetch across layers). Not priced: instruction fetch, DRAM refresh, host link"
)
ASSUMPTIONS = (
    "all static terms (leakage densities, clock fraction) and the butterfly's area are labelled assumptions in "
    "`sources`; a change of a factor 3 either way is within their range",
    "chunks of one weight tile on several pods get their weights by multicast: read from the buffer once a strip",
)


def notes(
    reading: Reading,
    layers: Sequence[LayerCost],
    kinds: Mapping[str, Multiplier],
    exact: Mapping[Coding, Figures],
    chip: Accelerator,
    exact_rows_j: Sequence[float],
    delay_limits_clock: bool,
    operators: str,
    operator_j: float,
) -> tuple[str, ...]:
    """Notes of a report, with the sensitivity of the multipliers' energy.

    `exact_rows_j` is the part of each layer's multiplier energy that exact rows spend; `delay_limits_clock` whether
    `chip` has a clock that the slowest kind allows; `operators` what is said of operators that are no layers, and
    `operator_j` their part of the total.
    """
    slow = [name for name, m in kinds.items() if require_figures(m).delay_s > exact[m.coding].delay_s * SLACK]
    charged = (
        f"the clock is {chip.clock_hz / 1e6:.4g} MHz"
        if delay_limits_clock
        else "which may lower the clock (not charged)"
    )
    delay = (f"slower than the exact circuit, {charged}: {', '.join(slow)}",) if slow else ()
    packed = "several a tile where they fit" if chip.pack_groups else "one group a tile, not packed"
    groups = f"grouped and depthwise convolutions run as independent products, {packed}"
    rows = (_rows(chip),) if chip.exact_rows else ()
    said = sensitivity(layers, kinds, exact, exact_rows_j, operator_j)
    return (READINGS[reading], said, *rows, *delay, groups, PRICED, operators, *ASSUMPTIONS)


def _rows(chip: Accelerator) -> str:
    """What exact rows mean for the figures."""
    where = "the first rows" if chip.fill == "top" else "the last rows"
    return (
        f"rows 0 to {chip.exact_rows - 1} of the {chip.rows} of every pod hold the exact circuit of the layer's "
        f"coding: term t of a sum lies on row t mod {chip.rows}, a fold that does not fill the rows on {where} "
        f"(array.fill: {chip.fill}); multiplier energy, area and static power are charged by row. A pod's kind is that "
        "of its other rows, and a layer with an exact multiplier needs pods of an exact kind"
    )


def sensitivity(
    layers: Sequence[LayerCost],
    kinds: Mapping[str, Multiplier],
    exact: Mapping[Coding, Figures],
    exact_rows_j: Sequence[float],
    operator_j: float,
) -> str:
    """How the multipliers' energy changes with the reference circuit, and with +-50 % on approximate circuits.

    The total is that of the layers and of `operator_j`.
    """
    to_signed = {c: exact[c].power_w / exact["signed"].power_w for c in exact}
    headline = signed = approximate = 0.0
    for layer, kept in zip(layers, exact_rows_j, strict=True):
        multiplier, joules = kinds[layer.multiplier], layer.energy_j["multiplier"]
        headline += joules
        signed += joules * to_signed[multiplier.coding]
        approximate += 0.0 if multiplier.is_exact else joules - kept
    total = sum(layer.total_energy_j for layer in layers) + operator_j
    low, high = headline - approximate / 2, headline + approximate / 2
    return (
        f"sensitivity: multiplier energy {_uj(headline)} µJ relative to the exact circuit of the same signedness; "
        f"{_uj(signed)} µJ if all are taken relative to the exact signed circuit; {_uj(low)} to {_uj(high)} µJ (total "
        f"{_uj(total + low - headline)} to {_uj(total + high - headline)} µJ) for -50 % to +50 % on the power ratio of "
        "the approximate multipliers, whose published power has unknown operand activity"
    )


def _uj(joules: float) -> str:
    """Microjoules, the unit that notes keep to."""
    return f"{joules * 1e6:.6g}"


def sources(chip: Accelerator, kinds: Mapping[str, Multiplier], exact: Mapping[Coding, Figures]) -> dict[str, str]:
    """Every parameter's value, unit and source, multipliers included."""
    return {**chip.sources, **figure_sources(kinds, exact)}


def figure_sources(kinds: Mapping[str, Multiplier], exact: Mapping[Coding, Figures]) -> dict[str, str]:
    """Figures of the exact circuits and of the multipliers in use, with their sources."""
    result = {}
    for coding in ("signed", "unsigned"):
        figures = exact[coding]
        result[f"exact.{coding}"] = f"{figures.power_w:g} W, {figures.area_m2:g} m2; {figures.source}"
    for name, multiplier in kinds.items():
        ratio, figures = power_ratio(multiplier, exact), require_figures(multiplier)
        result[f"multiplier.{name}"] = (
            f"{ratio:.4g} x power of the exact circuit, {figures.area_m2:g} m2 in its library; {figures.source}"
        )
    return result
