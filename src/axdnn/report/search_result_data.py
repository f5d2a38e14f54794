"""What the figures of a search method draw: fronts, parallel coordinates, hypervolume over evaluations."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from axdnn.records import SearchResult
from axdnn.report.derived import numbered
from axdnn.report.measures import Measure, figure_measures, objective_measures
from axdnn.report.units import Scale

OURS = "this search"
MOST_AXES = 12
MOST_NETWORKS = 6
MOST_POINTS = 1000  # of one front, lest a page grow without bound

Point = tuple[float, float]


class Series(NamedTuple):
    """A front in two objectives, or a single point: `rival` counts the rivals from 0, None for this search's own.

    Values are those of the record, not scaled.
    """

    name: str
    rival: int | None
    points: tuple[Point, ...]


class FrontPanel(NamedTuple):
    """Two objectives: their measures and scales, whether they are drawn by powers of ten, fronts, bounds to keep."""

    x: Measure
    y: Measure
    scales: tuple[Scale, Scale]
    logarithmic: tuple[bool, bool]
    series: tuple[Series, ...]
    bounds: tuple[float | None, float | None]


class LineAxis(NamedTuple):
    """An axis of parallel coordinates: worse and better end (lower and upper where neither is better)."""

    measure: Measure
    ends: tuple[float, float]

    def place(self, value: float) -> float:
        """Return where a value lies, 0 at the first end and 1 at the second."""
        first, last = self.ends
        return 0.5 if first == last else (value - first) / (last - first)


class FrontLines(NamedTuple):
    """Parallel coordinates of a front: axes, and for each member its places, None where a figure is not known."""

    axes: tuple[LineAxis, ...]
    lines: tuple[tuple[float | None, ...], ...]


class Curve(NamedTuple):
    """Hypervolume over complete evaluations, as a share of what this search ended with; `rival` as in `Series`."""

    name: str
    rival: int | None
    points: tuple[tuple[int, float], ...]


def rival_names(result: SearchResult) -> tuple[str, ...]:
    """Return one distinct name a rival."""
    return numbered(rival.name or "unnamed" for rival in result.rivals)


def front_panels(result: SearchResult) -> tuple[FrontPanel, ...]:
    """Return the fronts in every pair of objectives, rivals first; nothing where there is not one point."""
    panels = []
    for x, y in itertools.combinations(objective_measures(result), 2):
        fronts: list[tuple[str, int | None, Iterable[dict[str, float]]]] = [
            (name, i, result.rivals[i].points) for i, name in enumerate(rival_names(result))
        ]
        fronts.append((OURS, None, [member.objectives for member in result.front]))
        series = tuple(s for name, rival, points in fronts if (s := Series(name, rival, _points(points, x, y))).points)
        if not series:
            continue
        both = [[point[part] for s in series for point in s.points] for part in (0, 1)]
        limits = {c.name: c.bound for c in result.constraints}
        panels.append(
            FrontPanel(
                x, y, (x.scale(both[0]), y.scale(both[1])), (_wide(both[0]), _wide(both[1])), series,
                (limits.get(x.key), limits.get(y.key)),
            )
        )  # fmt: skip
    return tuple(panels)


def _points(found: Iterable[dict[str, float]], x: Measure, y: Measure) -> tuple[Point, ...]:
    points = sorted((values[x.key], values[y.key]) for values in found if x.key in values and y.key in values)
    return tuple(points[:: max(1, -(-len(points) // MOST_POINTS))])


def _wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and 60 * min(values) < max(values) < 1e6 * min(values)  # less than that is zero, rounded


def staircase(points: Sequence[Point], signs: Point) -> tuple[Point, ...]:
    """Return the corners of the line between what the points reach and what they do not, in two objectives.

    Args:
        points: some of them may be beaten by others, as in two of three objectives.
        signs: 1 for an objective that is minimised, -1 for one that is maximised.
    """
    corners: list[Point] = []
    least = float("inf")
    for a, b in sorted((x * signs[0], y * signs[1]) for x, y in points):
        if b < least:
            if corners:
                corners.append((a, least))
            corners.append((a, b))
            least = b
    return tuple((a * signs[0], b * signs[1]) for a, b in corners)


def front_lines(result: SearchResult) -> FrontLines:
    """Return the objectives of the members, then the figures that differ between them."""
    found = [{**member.figures, **member.objectives} for member in result.front]
    if not found:
        return FrontLines((), ())
    axes = [_axis(m, [values[m.key] for values in found if m.key in values]) for m in objective_measures(result)]
    for one in figure_measures(result):
        values = [known[one.key] for known in found if one.key in known]
        if len(set(values)) > 1 and len(axes) < MOST_AXES:
            axes.append(_axis(one, values))
    lines = tuple(
        tuple(axis.place(values[axis.measure.key]) if axis.measure.key in values else None for axis in axes)
        for values in found
    )
    return FrontLines(tuple(axes), lines)


def _axis(measure: Measure, values: Sequence[float]) -> LineAxis:
    low, high = min(values, default=0.0), max(values, default=0.0)
    return LineAxis(measure, (high, low) if measure.direction == "minimize" else (low, high))


def progress_curves(result: SearchResult) -> tuple[Curve, ...]:
    """Return the hypervolumes wherever they grew, this search first; nothing where no hypervolume is above 0."""
    whole = result.hypervolume or max((v for rival in result.rivals for v in rival.hypervolume), default=0.0)
    if whole <= 0:
        return ()
    courses: list[tuple[str, int | None, Sequence[float]]] = [(OURS, None, result.progress)]
    courses += [(name, i, result.rivals[i].hypervolume) for i, name in enumerate(rival_names(result))]
    return tuple(Curve(name, rival, _steps([v / whole for v in course])) for name, rival, course in courses if course)


def _steps(course: Sequence[float]) -> tuple[tuple[int, float], ...]:
    steps = [(n, v) for n, v in enumerate(course, start=1) if n == 1 or v != course[n - 2]]
    return tuple(steps) if steps[-1][0] == len(course) else (*steps, (len(course), course[-1]))


def spread_members(result: SearchResult, most: int = MOST_NETWORKS) -> tuple[int, ...]:
    """Return which members are drawn: the best in each objective, then always the one farthest from those taken."""
    lines = [line[: len(result.objectives)] for line in front_lines(result).lines]
    if len(lines) <= most:
        return tuple(range(len(lines)))
    places = [[value or 0.0 for value in line] for line in lines]
    losses = [[m.sign * member.objectives[m.key] for member in result.front] for m in objective_measures(result)]
    taken = list(dict.fromkeys(values.index(min(values)) for values in losses))[:most]
    while len(taken) < most:
        left = [i for i in range(len(places)) if i not in taken]
        taken.append(max(left, key=lambda i: min(_distance(places[i], places[j]) for j in taken)))
    return tuple(sorted(taken))


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
