"""Table of docs/recovery.md: what each step of recovery gains, from the committed benchmark."""

from __future__ import annotations

import json
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "recovery.json"


def recovery() -> str:
    """Return a table a model: circuits down, the whole recipe and the recipe without one step across."""
    rows = json.loads(RESULTS.read_text())["rows"]
    parts = []
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        steps = list(dict.fromkeys(row["step"] for row in mine))
        lines = [
            f"{model}, {mine[0]['images']:,} held-out images, no training; accuracy in per cent:\n",
            "| circuit in every layer | whole recipe | " + " | ".join(steps[1:]) + " |",
            "|---" * (len(steps) + 1) + "|",
        ]
        for circuit in dict.fromkeys(row["circuit"] for row in mine):
            by_step = {row["step"]: row["accuracy"] for row in mine if row["circuit"] == circuit}
            if set(by_step) == set(steps):
                lines.append(f"| `{circuit}` | " + " | ".join(f"{100 * by_step[s]:.2f}" for s in steps) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def by_layer() -> str:
    """Return a table a model: divergence and accuracy with one layer approximate, with compensation and without."""
    rows = json.loads(RESULTS.read_text()).get("layers", [])
    parts = ["Not measured yet."] if not rows else []
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        circuits = list(dict.fromkeys(row["circuit"] for row in mine))
        lines = [
            f"{model}, {mine[0]['images']:,} held-out images; divergence in millinats and accuracy in per cent, "
            "without / with compensation:\n",
            "| layer | " + " | ".join(f"`{c}`, millinats | `{c}`, accuracy" for c in circuits) + " |",
            "|---" * (2 * len(circuits) + 1) + "|",
        ]
        for layer in dict.fromkeys(row["layer"] for row in mine):
            cells = []
            for circuit in circuits:
                found = {r["compensation"]: r for r in mine if (r["layer"], r["circuit"]) == (layer, circuit)}
                both = [found[kind] for kind in ("without", "with") if kind in found]
                cells += [" / ".join(f"{1000 * r['nats']:.3g}" for r in both)]
                cells += [" / ".join(f"{100 * r['accuracy']:.2f}" for r in both)]
            lines.append(f"| {layer} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
