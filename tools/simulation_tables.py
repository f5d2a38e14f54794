"""The computed parts of docs/simulation.md, from benchmarks/results/simulation*.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from axdnn.benchmark import chosen, told

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"


def reports() -> list[dict[str, Any]]:
    """Return the committed measurements, fewest threads first."""
    found = [json.loads(path.read_text()) for path in RESULTS.glob("simulation*.json")]
    return sorted(found, key=lambda report: report["settings"]["threads"])


def earlier() -> str:
    """Return the targets as other processors met them, by earlier builds of the kernels; one thread."""
    found = [json.loads(path.read_text()) for path in sorted((RESULTS / "earlier").glob("simulation*.json"))]
    parts = []
    for report in (report for report in found if report["settings"]["threads"] == 1):
        rows = [[t["what"], t["wanted"], f"{t['found']:.4g}", t["at"], "yes" if t["met"] else "**no**"]
                for t in report["targets"]]  # fmt: skip
        s = report["settings"]
        head = f"{s['processor']}, kernels {', '.join(s['variants'])}, load average {s['load_before'][0]:.1f}:"
        parts.append(f"{head}\n\n{_table(['target', 'wanted', 'found', 'worst at', 'met'], rows)}")
    return "\n\n".join(parts)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows))


def measured() -> str:
    """Return what was measured, and on what."""
    lines = []
    for report in reports():
        s = report["settings"]
        tables = {row["table"] for row in report["rows"]} - {"float32"}
        lines.append(
            f"- {s['threads']} thread{'s' * (s['threads'] > 1)} of {s['cores']} cores ({s['processor']}; kernels "
            f"{', '.join(s['variants']) or 'of torch alone'}), torch {s['torch']}: {len(tables)} tables on "
            f"{len({row['shape'] for row in report['rows']})} layers, {len(report['rows'])} times as medians of "
            f"{s['rounds']} rounds. Load average {s['load_before'][0]:.1f} before, {s['load_after'][0]:.1f} after; "
            f"paths chosen by {s['rates']} rates."
        )
    return "\n".join(lines)


def targets() -> str:
    """Return targets met and missed; they are set for one thread. What several threads give stands below."""
    first, *others = reports()
    rows = [
        [t["what"], t["wanted"], f"{t['found']:.4g}", t["at"], "yes" if t["met"] else "**no**"]
        for t in first["targets"]
    ]
    text = _table(["target", "wanted", "found", "worst at", "met"], rows)
    for report in others:
        found = "; ".join(f"{t['what']} {t['found']:.3g}" for t in report["targets"])
        text += f"\n\nWith {report['settings']['threads']} threads, float32 as well (no targets): {found}."
    return text


def layers() -> str:
    """Return the chosen path beside float32, by table and layer, of one thread."""
    rows = chosen(reports()[0]["rows"])
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    lines = []
    for table in dict.fromkeys(row["table"] for row in rows):
        mine = {row["shape"]: row for row in rows if row["table"] == table}
        mean, rank = told(mine.values(), "of_float32"), next(iter(mine.values()))["rank"]
        cells = [f"{mine[shape]['of_float32']:.2f}" for shape in shapes]
        lines.append(
            [f"`{table}`", "over 32" if rank is None else str(rank), *cells, f"{mean.mean:.2f}" if mean else ""]
        )
    return _table(["table", "rank", *shapes, "mean"], lines)


def paths() -> str:
    """Return G products a second of each path, the range over layers and tables, and how it compares with loops."""
    rows = [row for row in reports()[0]["rows"] if row["table"] != "float32"]
    lines = []
    for path in dict.fromkeys(row["path"] for row in rows):
        mine = [row for row in rows if row["path"] == path]
        cells = [f"`{path}`", str(len(mine)), str(sum(row["chosen"] for row in mine))]
        for key, unit in (("products_per_s", 1e9), ("of_float32", 1), ("of_scalar_loop", 1), ("of_gather_loop", 1)):
            values = sorted(row[key] / unit for row in mine if row.get(key) is not None)
            cells.append(f"{values[0]:.3g} .. {values[len(values) // 2]:.3g} .. {values[-1]:.3g}" if values else "-")
        lines.append(cells)
    heads = [
        "path",
        "timed",
        "chosen",
        "G products/s",
        "times float32",
        "times the scalar loop",
        "times the gather loop",
    ]
    return _table(heads, lines) + "\n\nLeast, median and most over tables and layers."


def choices() -> str:
    """Return how good the choices of paths were."""
    lines = []
    for report in reports():
        found = report["summary"]["choices"]
        worst = found["worst"]
        lines.append(
            f"- {report['settings']['threads']} thread{'s' * (report['settings']['threads'] > 1)}: of {found['of']} "
            f"choices {found['not_the_fastest']} were not the fastest path as timed; {100 * (found['mean_regret'] - 1):.1f} % "
            f"of the time is lost in the mean, at worst {worst['regret']:.2f} times the fastest path's "
            f"(`{worst['table']}`, {worst['shape']}: `{worst['path']}`, fastest `{worst['fastest']}`). Predicted and "
            f"measured time of the chosen path differ by a factor of {found['typical_error']:.2f} in the median."
        )
    return "\n".join(lines)


def networks() -> str:
    """Return whole networks: time and memory beside float32."""
    rows = []
    for report in reports():
        for row in report["networks"]:
            memory = "-" if row["memory_of_float32"] is None else f"{row['memory_of_float32']:.2f}"
            batch = "-" if row["batch_memory_of_float32"] is None else f"{row['batch_memory_of_float32']:.2f}"
            rows.append(
                [
                    str(report["settings"]["threads"]),
                    f"`{row['table']}`",
                    f"{row['time_of_float32']:.2f}",
                    memory,
                    batch,
                ]
            )
    return _table(
        ["threads", "circuit of every layer", "time / float32", "peak memory / float32", "batch alone / float32"], rows
    )


def threads() -> str:
    """Return what several threads bring."""
    rows = [
        [row["shape"], f"`{row['table']}`", str(row["threads"]), f"{row['speedup']:.2f}", f"{report['settings']['load_before'][0]:.1f}"]
        for report in reports() for row in report["speedup"]
    ]  # fmt: skip
    return _table(["layer", "table", "threads", "times one thread", "load average before"], rows)


BLOCKS = {
    f"simulation_{block.__name__}": block
    for block in (measured, targets, earlier, layers, paths, choices, networks, threads)
}
