"""Importance by unit against depth, ours beside the paper's: what the profile figure shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from axdnn.records import InvalidInputError, LayerScores
from axdnn.report.groups import unit_layers
from axdnn.report.published import PAPER_NETWORKS, PAPER_PROFILES, named_like
from axdnn.report.tau import kendall_tau

NEAREST_RESNET = "ResNet-18"
"""The paper's network that residual networks which are not in the paper are drawn beside: its smallest."""


class PaperBand(NamedTuple):
    """The paper's readings over the largest middle of a range, so that the middles peak at 1.

    Attributes:
        network: of the paper.
        units: in order of depth. low, high: ends of the ranges.
        same: whether it is the network of the panel, not just the nearest one.
    """

    network: str
    units: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    same: bool

    @property
    def middle(self) -> tuple[float, ...]:
        """Middles of the ranges."""
        return tuple((low + high) / 2 for low, high in zip(self.low, self.high, strict=True))


class ProfileLine(NamedTuple):
    """A score of a network by unit, over its largest magnitude.

    Attributes:
        label: of the score.
        values: by unit.
        tau: Kendall's tau-b with the paper's middles; None where the units do not correspond one to one.
    """

    label: str
    values: tuple[float, ...]
    tau: float | None


class ProfilePanel(NamedTuple):
    """A network: its units in order of depth, a line a score, the paper's band (None if it has no such network)."""

    network: str
    units: tuple[str, ...]
    lines: tuple[ProfileLine, ...]
    paper: PaperBand | None


class ProfileData(NamedTuple):
    """The profile figure, one panel a network."""

    panels: tuple[ProfilePanel, ...]


def profile_data(scores: Mapping[str, LayerScores]) -> ProfileData:
    """Return scores summed over units (as the paper sums over residual groups), beside the paper's readings.

    A unit is the part of a layer's name before the first dot; units stand in the order of the layers in `values`.

    Args:
        scores: label -> score. A label is a network (`LeNet-5`), or a network and what to call the line, after a comma
            (`LeNet-5, ablation`); without one the line is called by the score. Labels of one network share a panel.

    Raises:
        InvalidInputError: there are no scores, one has no layers, or scores of one network differ in their units.
    """
    if not scores:
        raise InvalidInputError("`scores` must hold at least one LayerScores, but it is empty")
    found: dict[str, list[tuple[str, dict[str, float]]]] = {}
    for label, score in scores.items():
        if not score.values:
            raise InvalidInputError(f"`scores[{label!r}]` must have a value for at least one layer, but it has none")
        network, _, line = (part.strip() for part in label.partition(","))
        found.setdefault(network, []).append((line or score.score, unit_sums(score)))
    return ProfileData(tuple(_panel(network, lines) for network, lines in found.items()))


def unit_sums(score: LayerScores) -> dict[str, float]:
    """Return unit -> sum of the score over its layers."""
    units = unit_layers(score.values)
    return {unit: sum(score.values[layer] for layer in layers) for unit, layers in units.items()}


def _panel(network: str, lines: Sequence[tuple[str, dict[str, float]]]) -> ProfilePanel:
    units = tuple(lines[0][1])
    for label, sums in lines:
        if set(sums) != set(units):
            raise InvalidInputError(
                f"scores of {network!r} must have the units {', '.join(units)}, but {label!r} has {', '.join(sums)}"
            )
    band = paper_band(network)
    drawn = []
    for label, sums in lines:
        top = max(abs(v) for v in sums.values()) or 1.0
        values = tuple(sums[unit] / top for unit in units)
        alike = band is not None and band.same and len(band.units) == len(units)
        tau = kendall_tau(values, band.middle) if alike and band is not None else None
        drawn.append(ProfileLine(label, values, tau))
    return ProfilePanel(network, units, tuple(drawn), band)


def paper_band(network: str) -> PaperBand | None:
    """Return the readings that a network is drawn beside: its own, a residual one's nearest, or None."""
    own = next((name for name in PAPER_PROFILES if named_like(network, name)), None)
    name = own or (NEAREST_RESNET if "resnet" in network.lower() else None)
    if name is None:
        return None
    readings = PAPER_PROFILES[name]
    top = max((r.low + r.high) / 2 for r in readings)
    low, high = tuple(r.low / top for r in readings), tuple(r.high / top for r in readings)
    return PaperBand(name, PAPER_NETWORKS[name].units, low, high, own is not None)
