"""The tables of docs/xai_nas.md and docs/robust_xai_nas.md, computed from the committed results of `benchmarks/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
NOTHING = "Not measured yet."


def _read(name: str) -> dict[str, Any] | None:
    file = RESULTS / name
    return json.loads(file.read_text()) if file.exists() else None


def xai_nas() -> str:
    """Return what each arm reaches, and how much of ALWANN's budget it takes to come to ALWANN's end."""
    report = _read("xai_nas.json")
    if report is None:
        return NOTHING
    lines = [
        "| network | evaluations, images each | arm | seeds | hypervolume, share of the reference box "
        "| least energy at 1 point, of exact | reaches ALWANN's end | with so much of its evaluations (mean, most) "
        "| of its network images |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["shares"]:
        reached = f"{row['reached']} of {row['seeds']}"
        lines.append(
            f"| {row['case']} | {row['trials']}, {row['search_images']:,} | `{row['arm']}` | {row['seeds']} | "
            f"{row['hypervolume']:.3f} | {100 * row['energy_at_point']:.1f} % | {reached} | "
            f"{_share(row['share_of_evaluations'])}, {_share(row['most_share_of_evaluations'])} | "
            f"{_share(row['share_of_images'])} |"
        )
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def robust_replay() -> str:
    """Return the hypervolume of guided, unguided and random sampling on the committed tables of trained networks."""
    parts = []
    for data in ("mnist", "cifar10"):
        found, table = _read(f"robust_replay-{data}.json"), _read(f"robust_table-{data}.json")
        if found is None or table is None:
            continue
        steps = [step for step in (10, 20, 30, 40, 60) if step <= found["budget"]]
        lines = [
            f"**{data}**: {found['rows']} candidates on {len({str(row['topology']) for row in table['rows']})} trained "
            f"topologies, {found['above_floor']} above the floor; {found['seeds']} seeds; hypervolume as a share of that "
            "of all rows (95 % interval of the mean):",
            "",
            "| sampler | " + " | ".join(f"after {step}" for step in steps) + " |",
            "|---" * (1 + len(steps)) + "|",
        ]
        for sampler, curve in found["curves"].items():
            cells = [
                f"{curve[step - 1][0]:.3f} ({curve[step - 1][1]:.3f} to {curve[step - 1][2]:.3f})" for step in steps
            ]
            lines.append(f"| `{sampler}` | " + " | ".join(cells) + " |")
        for name, (mean, low, high) in found["differences"].items():
            lines.append(f"\n{name}: {mean:+.4f} ({low:+.4f} to {high:+.4f}).")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) or NOTHING


BLOCKS = {"xai_nas": xai_nas, "robust_replay": robust_replay}
