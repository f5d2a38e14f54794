"""The one interface of everything that can be priced: systolic arrays, in-memory computing, chips of several cores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from axdnn.records import Assignment, CostReport, InvalidInputError, Multiplier, Network


@runtime_checkable
class Machine(Protocol):
    """What a cost model of an accelerator offers; `axdnn.testing.check_machine` is its conformance kit.

    Attributes:
        name, description: label and one sentence.
        sources: key path of the accelerator file -> `value unit; source`.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def description(self) -> str: ...  # noqa: D102

    @property
    def sources(self) -> dict[str, str]: ...  # noqa: D102

    def cost(
        self,
        networks: Network | Sequence[Network],
        assignments: Assignment | Sequence[Assignment] | None = None,
        *,
        multipliers: Mapping[str, Multiplier] | None = None,
        **options: Any,
    ) -> CostReport | tuple[CostReport, ...]:
        """Price networks under assignments.

        Args:
            networks: one, or several.
            assignments: one for each network; one for all; or several for one network. None = exact multipliers.
            multipliers: name -> multiplier with figures, at least those of the assignments.
            options: of the kind of machine, e.g. `batch`, `reading`.

        Returns:
            A report for one network under one assignment, else a tuple of them in order.
        """


def pairs(
    networks: Network | Sequence[Network], assignments: Assignment | Sequence[Assignment] | None
) -> Iterator[tuple[Network, Assignment | None]]:
    """Pair networks with assignments; one of either goes with all of the other.

    Raises:
        InvalidInputError: two lists of different lengths.
    """
    nets = [networks] if isinstance(networks, Network) else list(networks)
    given: list[Assignment | None]
    given = [assignments] if assignments is None or isinstance(assignments, Assignment) else list(assignments)
    count = max(len(nets), len(given))
    if not nets or not given or any(len(some) not in (1, count) for some in (nets, given)):
        raise InvalidInputError(
            f"`networks` and `assignments` must be as many, or one of either, but got {len(nets)} and {len(given)}"
        )
    for i in range(count):
        yield nets[i if len(nets) > 1 else 0], given[i if len(given) > 1 else 0]


def exact_assignment(network: Network) -> Assignment:
    """Return the exact multiplier for every layer."""
    return Assignment(multipliers=dict.fromkeys(network.layer_names, "exact"))


def one_or_all(
    networks: Network | Sequence[Network], assignments: Assignment | Sequence[Assignment] | None,
    reports: Sequence[CostReport],
) -> CostReport | tuple[CostReport, ...]:  # fmt: skip
    """Return the report itself where one network and at most one assignment was given, else all reports."""
    single = isinstance(networks, Network) and (assignments is None or isinstance(assignments, Assignment))
    return reports[0] if single else tuple(reports)
