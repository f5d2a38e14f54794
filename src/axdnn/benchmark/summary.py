"""What the rows say together: geometric means, worst cases, how good the plans are, and targets met or missed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Row = Mapping[str, Any]
LARGE = 10_000_000  # products of a layer that is not a small one


class Told(NamedTuple):
    """Geometric mean of a ratio over rows, and the worst row."""

    mean: float
    worst: float
    at: str


def chosen(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of the paths that plans take."""
    return [row for row in rows if row["chosen"]]


def dense_signed(rows: Iterable[Row]) -> list[Row]:
    """Return the chosen rows of signed tables on dense convolutions."""
    return [
        r for r in chosen(rows)
        if r["table"].startswith("mul8s") and "ViT" not in r["shape"] and "depthwise" not in r["shape"]
    ]  # fmt: skip


def told(rows: Iterable[Row], key: str, worst: Callable[..., Row] = min) -> Told | None:
    """Return mean and worst case of a ratio, or None where no row has it."""
    having = [row for row in rows if row.get(key) is not None]
    if not having:
        return None
    extreme = worst(having, key=lambda row: row[key])
    mean = math.exp(sum(math.log(row[key]) for row in having) / len(having))
    return Told(mean, extreme[key], f"{extreme['table']}, {extreme.get('shape', extreme.get('network'))}")


def regret(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return for each shape and table how much longer the chosen path takes than the fastest one.

    Returns:
        `shape`, `table`, `path`, `fastest`, `regret` (1 is perfect) and `predicted_of_measured` of the chosen path,
        worst first.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["table"] != "float32":
            groups.setdefault((row["shape"], row["table"]), []).append(row)
    found = []
    for (shape, table), mine in groups.items():
        taken, fastest = next(row for row in mine if row["chosen"]), min(mine, key=lambda row: row["s"])
        found.append({
            "shape": shape, "table": table, "path": taken["path"], "fastest": fastest["path"],
            "regret": taken["s"] / fastest["s"], "predicted_of_measured": taken["predicted_s"] / taken["s"],
        })  # fmt: skip
    return sorted(found, key=lambda row: -row["regret"])


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Return geometric means and worst cases of the chosen paths as ratios, and how good the choices are."""
    signed, large = dense_signed(rows), [row for row in chosen(rows) if row["products"] >= LARGE]
    choices = regret(rows)
    parts: dict[str, Any] = {}
    for label, some in (("signed tables, dense convolutions", signed), ("all tables, 10 M products or more", large)):
        for key in ("of_float32", "of_scalar_loop", "of_gather_loop"):
            found = told(some, key)
            if found is not None:
                parts[f"{label}: {key}"] = found._asdict()
    if choices:
        ratios = [row["regret"] for row in choices]
        errors = [abs(math.log(row["predicted_of_measured"])) for row in choices]
        parts["choices"] = {
            "mean_regret": math.exp(sum(map(math.log, ratios)) / len(ratios)), "worst": choices[0],
            "not_the_fastest": sum(ratio > 1 for ratio in ratios), "of": len(choices),
            "typical_error": math.exp(sorted(errors)[len(errors) // 2]),
        }  # fmt: skip
    return parts


class _Target(NamedTuple):
    what: str
    least: float | None  # at least, else `most`
    most: float | None
    found: float | None
    at: str


def targets(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what was set out to be shown and what was found; what was not measured is left out.

    Args:
        report: of `measure`.

    Returns:
        `what`, `wanted`, `found`, `at` (worst case) and `met`.
    """
    listed = []
    for what, least, most, found, at in (*_products(report["rows"]), *_networks(report), *_threads(report)):
        if found is not None:
            met = found >= least if least is not None else found <= (most or 0.0)
            wanted = f"at least {least:g}" if least is not None else f"at most {most:g}"
            listed.append({"what": what, "wanted": wanted, "found": found, "at": at, "met": met})
    return listed


def _products(rows: Sequence[Row]) -> list[_Target]:
    signed, large = dense_signed(rows), [row for row in chosen(rows) if row["products"] >= LARGE]
    middle = [row for row in signed if row["rank"] is not None and 3 <= row["rank"] <= 5]
    found = []
    for what, some, key, least, of_mean in (
        ("signed tables on dense convolutions, mean, times float32", signed, "of_float32", 1.8, True),
        ("those of rank 3 to 5, mean, times float32", middle, "of_float32", 0.8, True),
        ("signed tables on dense convolutions, worst, times float32", signed, "of_float32", 0.5, False),
        ("signed tables on dense convolutions, mean, times the scalar loop", signed, "of_scalar_loop", 30, True),
        ("any table, 10 M products or more, worst, times float32", large, "of_float32", 0.25, False),
        ("any table, 10 M products or more, worst, times the scalar loop", large, "of_scalar_loop", 5, False),
    ):
        ratio = told(some, key)
        if ratio is not None:
            found.append(_Target(what, least, None, ratio.mean if of_mean else ratio.worst, ratio.at))
    return found


def _networks(report: Mapping[str, Any]) -> list[_Target]:
    rows = [row for row in report.get("networks", []) if row["table"] != "float32"]
    signed = [row for row in rows if row["table"].startswith("mul8s")]
    found = []
    for what, some, key, most in (
        ("whole network, signed tables, worst, time of float32", signed, "time_of_float32", 1.0),
        ("whole network, any table, worst, time of float32", rows, "time_of_float32", 5.0),
        ("whole network, any table, worst, peak memory of float32", rows, "memory_of_float32", 2.0),
    ):
        ratio = told(some, key, max)
        if ratio is not None:
            found.append(_Target(what, None, most, ratio.worst, ratio.at))
    return found


def _threads(report: Mapping[str, Any]) -> list[_Target]:
    rows = [r for r in report.get("speedup", []) if r["table"] != "float32" and r["threads"] == 2]
    ratio = told(rows, "speedup")
    return [] if ratio is None else [_Target("two threads, mean, times one", 1.7, None, ratio.mean, ratio.at)]
