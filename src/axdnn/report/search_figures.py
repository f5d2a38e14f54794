"""Figures of a `SearchHistory`: parallel coordinates of the front, fronts per pair of objectives, hypervolume.

Data first: `coordinates`, `pair_points` and `climb` return exactly what is drawn.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from axdnn.records import Objective, Scalar, SearchHistory
from axdnn.report.drawing import BLUE, GREY, ORANGE, WIDE, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_AXES = 12  # of parallel coordinates: objectives, then the fields that vary most on the front
MOST_LINES = 200
MOST_POINTS = 4000  # of a cloud: a page of 10,000 trials stays small


class Axis(NamedTuple):
    """An axis of parallel coordinates: its name, the values in order, and whether they are numbers."""

    name: str
    values: tuple[Scalar, ...]
    numeric: bool

    def place(self, value: Scalar) -> float:
        """Return where a value lies, 0 at the bottom, 1 at the top."""
        if len(self.values) < 2:
            return 0.5
        if self.numeric:
            low, high = float(self.values[0]), float(self.values[-1])
            return (float(value) - low) / (high - low)
        return self.values.index(value) / (len(self.values) - 1)


class Coordinates(NamedTuple):
    """Parallel coordinates: axes, and for each trial of the front its places, None where a field does not exist."""

    axes: tuple[Axis, ...]
    lines: tuple[tuple[float | None, ...], ...]


class Pair(NamedTuple):
    """Points of two objectives: their titles, all complete trials, and those of the front in order."""

    x: str
    y: str
    points: tuple[tuple[float, float], ...]
    front: tuple[tuple[float, float], ...]


def title(objective: Objective) -> str:
    """Return the title of an objective's axis, with its unit and direction."""
    unit = f" ({objective.unit})" if objective.unit else ""
    return f"{objective.name}{unit}, {'small' if objective.direction == 'minimize' else 'large'} is good"


def coordinates(history: SearchHistory) -> Coordinates:
    """Return the parallel coordinates of the front: its objectives, then the fields with most values on it."""
    front = history.front_trials[:MOST_LINES]
    axes = [_axis(o.name, [t.values[o.name] for t in front]) for o in history.objectives] if front else []
    paths = dict.fromkeys(path for trial in front for path in trial.candidate)
    fields = [_axis(path, [t.candidate[path] for t in front if path in t.candidate]) for path in paths]
    varied = sorted((axis for axis in fields if len(axis.values) > 1), key=lambda axis: -len(axis.values))
    kept = {axis.name for axis in varied[: MOST_AXES - len(axes)]}
    chosen = [axis for axis in fields if axis.name in kept]
    lines = tuple(
        (
            *(axis.place(trial.values[axis.name]) for axis in axes),
            *(axis.place(trial.candidate[axis.name]) if axis.name in trial.candidate else None for axis in chosen),
        )
        for trial in front
    )
    return Coordinates((*axes, *chosen), lines)


def _axis(name: str, values: Sequence[Scalar]) -> Axis:
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return Axis(name, tuple(sorted(set(values), key=float if numeric else str)), numeric)


def pair_points(history: SearchHistory) -> tuple[Pair, ...]:
    """Return the points of every pair of objectives; of many trials that are not on the front evenly some."""
    complete = [trial for trial in history.trials if trial.outcome == "complete"]
    some = complete[:: max(1, -(-len(complete) // MOST_POINTS))]
    return tuple(
        Pair(
            title(one), title(other),
            tuple((trial.values[one.name], trial.values[other.name]) for trial in some),
            tuple(sorted((t.values[one.name], t.values[other.name]) for t in history.front_trials)),
        )
        for one, other in itertools.combinations(history.objectives, 2)
    )  # fmt: skip


def climb(history: SearchHistory) -> tuple[tuple[int, float], ...]:
    """Return (evaluations, hypervolume) wherever the hypervolume grew, and at the end."""
    steps: list[tuple[int, float]] = []
    for number, volume in enumerate(history.hypervolume, start=1):
        if not steps or volume > steps[-1][1]:
            steps.append((number, volume))
    if steps and steps[-1][0] < len(history.hypervolume):
        steps.append((len(history.hypervolume), steps[-1][1]))
    return tuple(steps)


def draw_coordinates(history: SearchHistory, width: float = WIDE) -> Figure:
    """Draw the front as parallel coordinates."""
    data = coordinates(history)
    with style():
        figure = new_figure(width, 3.4)
        panel = figure.subplots()
        places = range(len(data.axes))
        for line in data.lines:
            panel.plot(places, [float("nan") if v is None else v for v in line], color=BLUE, linewidth=0.9, alpha=0.5)
            shown = [(i, v) for i, v in enumerate(line) if v is not None]
            panel.scatter([i for i, _ in shown], [v for _, v in shown], s=8, color=BLUE, linewidths=0)
        names = [axis.name if len(axis.name) <= 22 else f"...{axis.name[-19:]}" for axis in data.axes]
        panel.set_xticks(list(places), names, rotation=30, ha="right")
        panel.set(yticks=[], ylim=(-0.12, 1.12))
        for i, axis in enumerate(data.axes):
            for y, value in ((-0.03, axis.values[0]), (1.03, axis.values[-1])):
                text = f"{value:.3g}" if isinstance(value, float) else str(value)[:14]
                panel.annotate(text, (i, y), ha="center", va="top" if y < 0 else "bottom", fontsize=7.5)
    return figure


def draw_pairs(history: SearchHistory, width: float = WIDE) -> Figure:
    """Draw the front and the other trials for every pair of objectives."""
    pairs = pair_points(history)
    columns = 1 if width < WIDE else min(3, max(len(pairs), 1))
    rows = -(-max(len(pairs), 1) // columns)
    with style():
        figure = new_figure(width, 3.2 * rows)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, pair in zip(grid, pairs, strict=False):
            _pair(panel, pair)
        for panel in grid[len(pairs) :]:
            panel.set_axis_off()
    return figure


def _pair(panel: Axes, pair: Pair) -> None:
    for points, size, colour, label in ((pair.points, 9, GREY, "evaluated"), (pair.front, 22, ORANGE, "front")):
        x, y = [point[0] for point in points], [point[1] for point in points]
        panel.scatter(x, y, s=size, color=colour, linewidths=0, label=label)
    panel.set(xlabel=pair.x, ylabel=pair.y)
    panel.legend(loc="best")


def draw_climb(history: SearchHistory, width: float = WIDE) -> Figure:
    """Draw the hypervolume over evaluations."""
    steps = climb(history)
    with style():
        figure = new_figure(width, 2.8)
        panel = figure.subplots()
        panel.step([n for n, _ in steps], [v for _, v in steps], where="post", color=BLUE)
        panel.set(xlabel="complete evaluations", ylabel="hypervolume")
        panel.set_ylim(bottom=0)
    return figure
