"""Tables of docs/results.md on options of `generate`: groups of channels, skipped neurons."""

from __future__ import annotations

import json

from results_tables import ORDER, RESULTS, Run, geometric, lower, mean


def channel_groups() -> str:
    """Return what a multiplier for each group of output channels brought, a line a network and number of groups."""
    file = RESULTS / "channel_groups.json"
    if not file.exists():
        return "Not measured yet."
    runs = json.loads(file.read_text())["runs"]
    lines = [
        "| network | budget | groups | seeds | layers to choose for | multiplier energy saved | of each seed, times lower "
        "| multiplier energy / one group | chip energy / exact, not split | test loss, points (mean, worst) | evaluations "
        "| images through networks | processor seconds |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    names = ("case", "max_accuracy_loss", "channel_groups")
    for case, budget, groups in sorted(
        {tuple(r[k] for k in names) for r in runs}, key=lambda k: (ORDER.index(k[0]), k)
    ):
        same = [r for r in runs if (r["case"], r["max_accuracy_loss"]) == (case, budget)]
        whole = {r["seed"]: r for r in same if r["channel_groups"] == 1}
        mine = [r for r in same if r["channel_groups"] == groups and r["seed"] in whole]
        ratios = [r["multiplier_energy_j"] / whole[r["seed"]]["multiplier_energy_j"] for r in mine]
        chip = [r["streaming_energy_j"] / whole[r["seed"]]["baseline_streaming_energy_j"] for r in mine]
        losses = [r["loss_points"] for r in mine]
        each = ", ".join(f"{r['multiplier_energy_lower']:.4g}" for r in mine)
        lines.append(
            f"| {case} | {budget:g} | {groups} | {len(mine)} | {mine[0]['layers']} | {100 * (1 - 1 / lower(mine)):.1f} % "
            f"({lower(mine):.1f} times lower) | {each} | "
            f"{geometric(ratios):.2f} | {100 * mean(chip):.1f} % | {mean(losses):.2f}, {max(losses):.2f} | "
            f"{mean([r['evaluations'] for r in mine]):,.0f} | {mean([r['network_images'] for r in mine]):,.0f} | "
            f"{mean([r['cpu_s'] for r in mine]):,.0f} |"
        )
    return "\n".join(lines)


def skipping() -> str:
    """Return what multipliers, skipped neurons and both save: a line a network, objective and kind, seeds together."""
    file = RESULTS / "skipping.json"
    if not file.exists():
        return "Not measured yet."
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in json.loads(file.read_text())["runs"]:
        groups.setdefault((run["case"], run["data"], run["objective"], run["kind"]), []).append(run)
    lines = [
        "| network | minimised | chosen | seeds | multiplier energy saved | chip energy / exact "
        "| test loss, points (mean, worst) | neurons skipped, by layer, % (mean) | evaluations | images through networks |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (case, data, objective, kind), runs in sorted(groups.items(), key=lambda item: _place(item[0])):
        losses = [run["loss_points"] for run in runs]
        lines.append(
            f"| {case}, {data} | {MINIMISED[objective]} | {kind} | {len(runs)} | {100 * (1 - 1 / lower(runs)):.1f} % "
            f"({lower(runs):.2f} times lower) | "
            f"{100 * mean([r['streaming_energy_j'] / r['baseline_streaming_energy_j'] for r in runs]):.1f} % | "
            f"{mean(losses):.2f}, {max(losses):.2f} | {_shares(runs)} | "
            f"{mean([r['evaluations'] for r in runs]):,.0f} | {mean([r['network_images'] for r in runs]):,.0f} |"
        )
    return "\n".join(lines)


MINIMISED = {"multiplier": "multipliers", "energy": "chip", "paper_literal": "paper's equations"}
KINDS = ("multipliers only", "skip only", "both")


def _place(group: tuple[str, ...]) -> tuple[int, ...]:
    case, _, objective, kind = group
    return ORDER.index(case), list(MINIMISED).index(objective), KINDS.index(kind)


def _shares(runs: list[Run]) -> str:
    """Layer and mean share of its neurons that is skipped, for layers that skip any."""
    layers = list(runs[0]["assignment"])
    means = {layer: 100 * mean([run["skipped"].get(layer, 0.0) for run in runs]) for layer in layers}
    return ", ".join(f"{layer} {share:.0f}" for layer, share in means.items() if share > 0) or "none"


BLOCKS = {"channel_groups": channel_groups, "skipping": skipping}
