"""How a robust front stands beside another one, as the ratios that the paper prints."""

from __future__ import annotations

from dataclasses import dataclass

from axdnn.records import FrontMember, InvalidInputError, SearchResult

PUBLISHED = {"robust accuracy": 1.5, "energy": 2.1, "latency": 4.39, "memory": 2.37}
"""Largest ratios to other architecture searches in the abstract of the robust XAI-NAS paper, as far as it tells."""
COSTS = {"energy": "energy_j", "latency": "latency_s", "memory": "memory_bytes"}


@dataclass(frozen=True)
class Ratio:
    """The largest ratio between two fronts in one figure.

    Attributes:
        figure: `robust accuracy`, `energy`, `latency` or `memory`.
        published: of the paper, against searches that were other ones.
        measured: above 1 where the first front is better; None if no pair of members can be compared.
        own, other: trials of the members it lies between; -1 without any.
        own_robust, other_robust: their robust accuracies, 0..1, for a ratio never stands alone.
    """

    figure: str
    published: float
    measured: float | None = None
    own: int = -1
    other: int = -1
    own_robust: float = 0.0
    other_robust: float = 0.0


def robust_ratios(result: SearchResult, rival: SearchResult) -> tuple[Ratio, ...]:
    """Compare two fronts as a paper would that says `up to`, but without letting one figure be bought by another.

    A cost is compared between members of which the first is at least as robust (PGD-10, as searched). Robust accuracy
    is compared between members of which the first takes no more energy.

    Args:
        result: the front that is judged.
        rival: a baseline, of the same data, accelerator, objectives and evaluations.

    Raises:
        InvalidInputError: they cannot be compared.
    """
    for name in ("data", "accelerator", "reference", "evaluations"):
        if getattr(result, name) != getattr(rival, name):
            raise InvalidInputError(
                f"both searches must have the same {name}, but got {getattr(result, name)} and {getattr(rival, name)}"
            )
    pairs = [(a, b) for a in result.front for b in rival.front]
    equal = [(a, b) for a, b in pairs if _robust(a) >= _robust(b)]
    cheap = [(a, b) for a, b in pairs if a.objectives["energy_j"] <= b.objectives["energy_j"] and _robust(b) > 0]
    found = [_largest("robust accuracy", [(_robust(a) / _robust(b), a, b) for a, b in cheap])]
    for figure, name in COSTS.items():
        found.append(_largest(figure, [(b.objectives[name] / a.objectives[name], a, b) for a, b in equal]))
    return tuple(found)


def _robust(member: FrontMember) -> float:
    return 1.0 - member.objectives["robust_error"]


def _largest(figure: str, pairs: list[tuple[float, FrontMember, FrontMember]]) -> Ratio:
    if not pairs:
        return Ratio(figure, PUBLISHED[figure])
    ratio, own, other = max(pairs, key=lambda pair: pair[0])
    return Ratio(figure, PUBLISHED[figure], ratio, own.trial, other.trial, _robust(own), _robust(other))
